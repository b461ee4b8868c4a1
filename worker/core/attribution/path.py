"""
Cuts each deal's path out of its journey: what the two clocks see of it and which touches hold a position.

Decides which milestones are reached, who holds them, and which team sourced the deal. Divides nothing (``allot`` does)
and reads no money. Called by the attribution flow.

Only marketing touches of eligible types are path touches; the other teams' touches decide the sourcing team and may be
the milestone of a position defined by rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core import chain
from worker.core.attribution.journey import earliest_leads, find_candidates, follow, in_path_order, number_deals
from worker.core.attribution.rules import AttributionRules, Position
from worker.core.columns import (
    constant,
    days,
    expand,
    filled,
    group_ends,
    group_starts,
    instant,
    joined,
    known,
    numbers,
    one,
    places,
    spread,
    starts_of,
)
from worker.core.errors import Fatal
from worker.core.frames import PATH

CLOCKS: Final = ("pipeline", "revenue")

# What became of a position on a clock. held: its milestone is reached and a touch holds it. bare: reached without an
# eligible touch. unreached: not reached at the clock's instant. later: it can only come after that instant.
STATE: Final = pl.Enum(["held", "bare", "unreached", "later"])
HELD, BARE, UNREACHED, LATER = (pl.Series([state], dtype=STATE) for state in STATE.categories)

NO_TEAM: Final = "none"


@dataclass(frozen=True)
class PathSet:
    """
    The paths of a set of deals.

    ``paths``: PATH, one row a touch on a deal's path and clock, in the order opportunity, clock, position index.
    ``clocks``: one row a deal and clock, in the order opportunity, clock: ``opportunity_id``, ``clock``, ``at`` (the
    clock's instant), ``outcome``, ``touch_count``, and for each position P ``state:P`` (STATE) and ``holder:P`` (the
    position index of its touch, null unless held).
    ``deals``: one row a deal: ``opportunity_id``; ``basis`` roles, account or primary; ``people_count`` on the path;
    ``source_team`` ("none" without a touch up to creation), ``source_channel``, ``source_offer``, ``source_touch_id``;
    ``influenced``; ``assisted``; ``first_touch``: where marketing's first touch lies, before_creation,
    after_creation, after_close or none.
    ``group``: of each row of ``paths``, its row of ``clocks``. ``starts``: of each row of ``clocks``, its first row of
    ``paths``.
    ``touch_rows``: of each row of ``paths``, its row among the touches that were handed in. ``opening_rows``: of each
    row of ``deals``, that of ``source_touch_id``; null where there is none.
    ``deal_rows``: of each row of ``clocks``, its row of ``deals``.
    ``channels``: of each row of ``paths``, where a model of the rules weighs channels; else None.
    """

    paths: pl.DataFrame
    clocks: pl.DataFrame
    deals: pl.DataFrame
    group: pl.Series
    starts: pl.Series
    touch_rows: pl.Series
    opening_rows: pl.Series
    deal_rows: pl.Series
    channels: pl.Series | None = None

    def only(self, clock: str, opportunity_ids: Sequence[int]) -> "PathSet":
        """
        These deals on this clock.
        """
        is_of = pl.col("opportunity_id").is_in(list(opportunity_ids))
        wanted = (pl.col("clock") == clock) & is_of
        rows, deals = self.paths.select(wanted).to_series(), self.deals.select(is_of).to_series()
        clocks = self.clocks.filter(wanted)
        counts = clocks["touch_count"].cast(pl.UInt32)
        return PathSet(
            paths=self.paths.filter(rows),
            clocks=clocks,
            deals=self.deals.filter(deals),
            group=expand(counts),
            starts=starts_of(counts),
            touch_rows=self.touch_rows.filter(rows),
            opening_rows=self.opening_rows.filter(deals),
            deal_rows=numbers(clocks.height),
            channels=None if self.channels is None else self.channels.filter(rows),
        )


def build_paths(
    deals: pl.DataFrame,
    people: pl.DataFrame,
    touches: pl.DataFrame,
    rules: AttributionRules,
    *,
    as_of: datetime,
    clocks: Sequence[str] = CLOCKS,
    stages: pl.DataFrame | None = None,
) -> PathSet:
    """
    The path of every deal on each clock asked for.

    ``deals`` DEAL, ``people`` DEAL_PERSON, ``touches`` TOUCH of all teams, each in any order; touches of people on no
    deal are ignored. ``stages`` (``opportunity_id``, ``stage``, ``entered_at``) is needed where a position names a
    stage. ``as_of`` is aware and stands in for the close of open deals. Outcomes are trusted: to see a past instant,
    hand in the deals as they stood then. Influenced looks back from creation, and from the close once
    there is one: of an open deal the passing of time alone changes nothing.

    Raises Fatal HW-902 for input that contradicts itself (a deal or a touch twice, an unknown outcome, a naive
    ``as_of``, no ``stages`` where the rules need them).
    """
    if as_of.tzinfo is None:
        raise Fatal("HW-902", "attribution was asked for an instant without a time zone")
    numbered = number_deals(deals, as_of)
    found, members = follow(numbered, find_candidates(numbered, people, rules), touches, rules)
    journeys = in_path_order(numbered, found)
    dated = _milestones(numbered, members, rules, stages)
    counted = _counted(dated, journeys, rules)
    grouped, deal_rows, first = _groups(counted, [clock for clock in CLOCKS if clock in clocks], rules)
    at, row = found["occurred_at"], found["row"]
    late = row.filter(found["eligible"] & (at > numbered["end_at"][row]) & (at <= instant(as_of)))
    path_touches = journeys["touch"].filter(journeys["eligible"])
    counts = grouped["touch_count"].cast(pl.UInt32)
    starts, group = starts_of(counts), expand(counts)
    index = numbers(group.len()) - starts[group]
    source = path_touches[first[group] + index]
    bits = position_bits(grouped, starts, rules.position_names, group.len())
    weighs_channels = any(model.weightings() for model in rules.models)
    openings = _openings(counted, journeys)
    return PathSet(
        paths=_paths(touches, source, grouped, group, _labels(bits, rules.position_names), index),
        clocks=grouped,
        deals=_summaries(counted, members, late, touches, openings, rules),
        group=group,
        starts=starts,
        touch_rows=source,
        opening_rows=openings,
        deal_rows=deal_rows,
        channels=touches["channel"][source] if weighs_channels else None,
    )


def _milestones(
    numbered: pl.DataFrame, members: pl.DataFrame, rules: AttributionRules, stages: pl.DataFrame | None
) -> pl.DataFrame:
    """
    The deals with the instants that need no journey: ``lead_at`` and ``lead_person``, ``at:P`` of stage positions.
    """
    dated = numbered.hstack(earliest_leads(members, numbered.height))
    for position in rules.positions:
        if position.milestone != "stage":
            continue
        if stages is None:
            raise Fatal("HW-902", f"position {position.name} needs the deals' stages, and none were handed in")
        entered = stages.filter(pl.col("stage") == position.value).group_by("opportunity_id")
        entries = entered.agg(pl.col("entered_at").min().alias(f"at:{position.name}"))
        dated = dated.join(entries, on="opportunity_id", how="left", maintain_order="left")
    return dated


def _counted(dated: pl.DataFrame, journeys: pl.DataFrame, rules: AttributionRules) -> pl.DataFrame:
    """
    Per deal, how many path touches lie up to each milestone, counted along the journey from its beginning.

    The holder of a milestone is then the last of those counted: ``to_creation``, ``to_end``, ``to:P``; ``lead_before``
    and ``lead_after`` count up to the one touch of the earliest-created person that may hold LC; ``influenced``.
    ``before`` counts the path touches of the deals before this one.
    """
    positions = tuple(rules.positions)
    measures = pl.LazyFrame([journeys["row"], *_measures(dated, journeys, rules)])
    sums = chain.run(measures.group_by("row", maintain_order=True).agg(_sums(positions)))
    if sums.height < dated.height:
        # A deal without a journey has no sums.
        sums = sums[spread(numbers(sums.height), sums["row"], dated.height)]
    of_deals = {name: sums[name] for name in sums.columns}
    typed = [position.name for position in positions if position.milestone == "first_touch_of_type"]
    for name in ("lead_before", "lead_after", *(f"to:{name}" for name in typed)):
        of_deals[name] = (of_deals[name] - of_deals["before"]).cast(pl.Int32)
    for name in ("to_creation", "to_end", *(f"to:{position.name}" for position in positions)):
        of_deals[name] = filled(of_deals[name].cast(pl.Int32), 0)
    of_deals["before"], of_deals["influenced"] = (
        filled(of_deals["before"], 0),
        filled(of_deals["influenced"], value=False),
    )
    return dated.hstack([each.alias(name) for name, each in of_deals.items() if name != "row"])


def _measures(dated: pl.DataFrame, journeys: pl.DataFrame, rules: AttributionRules) -> Iterator[pl.Series]:
    """
    What ``_sums`` sums up of each touch of the journeys.
    """
    row, at, eligible = journeys["row"], journeys["occurred_at"], journeys["eligible"]
    created_at, end_at, lead_at = dated["created_at"], dated["end_at"], dated["lead_at"]
    created, end, lead = created_at[row], end_at[row], lead_at[row]
    number = journeys["number"]
    nothing = one(None, number.dtype)
    yield (number - eligible.cast(number.dtype)).alias("before")
    to_creation, to_end = at <= created, at <= end
    yield (eligible & to_creation).alias("to_creation")
    yield (eligible & to_end).alias("to_end")
    of_lead, before_lead = eligible & (journeys["person_id"] == dated["lead_person"][row]), at <= lead
    window_end = (lead_at + days(rules.lead_creation_window_days))[row]
    yield number.zip_with(of_lead & before_lead, nothing).alias("lead_before")
    yield number.zip_with(of_lead & ~before_lead & (at <= window_end), nothing).alias("lead_after")
    # In the days before the creation, or before the close of a closed deal.
    looked_at = days(rules.influence_days)
    is_closed = dated["outcome"] != one("open", pl.String)
    before_creation = (at >= (created_at - looked_at)[row]) & to_creation
    before_close = (at >= (end_at - looked_at)[row]) & to_end & is_closed[row]
    yield (journeys["response"] & (before_creation | before_close)).alias("influenced")
    for position in rules.positions:
        if position.milestone == "stage":
            yield (eligible & (at <= dated[f"at:{position.name}"][row])).alias(f"to:{position.name}")
        else:
            is_of_type = journeys[f"is:{position.name}"]
            yield number.zip_with(is_of_type, nothing).alias(f"to:{position.name}")
            yield at.zip_with(is_of_type, one(None, at.dtype)).alias(f"at:{position.name}")


@lru_cache(maxsize=32)
def _sums(positions: tuple[Position, ...]) -> tuple[pl.Expr, ...]:
    """
    What is made of each deal's measures. Put together once for the same rules: for a single deal that takes longer than
    what the expressions compute.
    """
    typed = [position.name for position in positions if position.milestone == "first_touch_of_type"]
    staged = [position.name for position in positions if position.milestone == "stage"]
    return (
        pl.col("before").first(),
        pl.col("to_creation", "to_end", *(f"to:{name}" for name in staged)).sum(),
        pl.col("lead_before").max(),
        pl.col("lead_after", *(f"{what}:{name}" for name in typed for what in ("to", "at"))).min(),
        pl.col("influenced").any(),
    )


def _groups(
    counted: pl.DataFrame, clocks: Sequence[str], rules: AttributionRules
) -> tuple[pl.DataFrame, pl.Series, pl.Series]:
    """
    One row a deal and clock with the states and holders of all positions; for each its deal's row, and the first touch
    of its deal among all deals' path touches.
    """
    # The clocks' names are in the order of the alphabet, as the groups are to be.
    row = pl.concat([counted["row"]] * len(clocks)).sort()
    which = numbers(row.len()) - row * one(len(clocks), row.dtype)
    clock = pl.Series(clocks, dtype=pl.String)[which]
    is_pipeline = clock == one("pipeline", pl.String)
    seen = {name: counted[name][row] for name in counted.columns if name not in ("row", "lead_person", "influenced")}
    seen["is_pipeline"] = is_pipeline
    seen["at"] = seen["created_at"].zip_with(is_pipeline, seen["end_at"])
    seen["touch_count"] = seen["to_creation"].zip_with(is_pipeline, seen["to_end"])
    described = [seen["opportunity_id"], clock.alias("clock"), seen["at"].alias("at"), seen["outcome"]]
    described.append(seen["touch_count"].alias("touch_count"))
    return pl.DataFrame([*described, *_positions(seen, rules.positions)]), row, seen["before"]


def _positions(seen: dict[str, pl.Series], by_rule: Sequence[Position]) -> Iterator[pl.Series]:
    """
    States and holders of the built-in positions and of those defined by rule, for deals as a clock each has them
    ``seen``.
    """
    count, at, is_pipeline = seen["touch_count"], seen["at"], seen["is_pipeline"]
    always, unreached = constant(True, count.len(), pl.Boolean), UNREACHED.new_from_index(0, count.len())
    still_to_come = LATER.new_from_index(0, count.len()).zip_with(is_pipeline, UNREACHED)

    def up_to(counted: pl.Series) -> pl.Series:
        return counted.zip_with(counted < count, count)

    after = seen["lead_after"].zip_with(seen["lead_after"] <= count, one(None, count.dtype))
    lead = seen["lead_before"].zip_with(known(seen["lead_before"]), after)
    # A deal closes after its creation, and enters its stages from creation on: what is not reached by then is later.
    closed = ~is_pipeline & (seen["outcome"] == one("won", pl.String))
    # Of each position whether it is reached, how many touches there are up to its holder (zero or null where there is
    # none), and the state of what is not reached.
    milestones = {
        "FT": (count > 0, up_to(constant(1, count.len(), count.dtype)), unreached),
        "LC": (seen["lead_at"] <= at, lead, unreached),
        "OC": (always, up_to(seen["to_creation"]), unreached),
        "CW": (closed, count, still_to_come),
        "LT": (count > 0, count, unreached),
    }
    for position in by_rule:
        reached, held = seen[f"at:{position.name}"] <= at, up_to(seen[f"to:{position.name}"])
        milestones.pop(position.name, None)
        milestones[position.name] = reached, held, still_to_come if position.milestone == "stage" else unreached
    return _states(milestones)


def _states(milestones: Mapping[str, tuple[pl.Series, pl.Series, pl.Series]]) -> Iterator[pl.Series]:
    """
    State and holder of each position, found for all of them together.
    """
    reached, held, otherwise = (joined(each) for each in zip(*milestones.values(), strict=True))
    somebody, nobody = held > one(0, held.dtype), one(None, held.dtype)
    state = HELD.new_from_index(0, held.len()).zip_with(somebody, BARE).zip_with(reached, otherwise)
    holder = (held - one(1, held.dtype)).zip_with(reached & somebody, nobody)
    height = held.len() // len(milestones)
    for number, name in enumerate(milestones):
        yield state.slice(number * height, height).alias(f"state:{name}")
        yield holder.slice(number * height, height).alias(f"holder:{name}")


def position_bits(groups: pl.DataFrame, starts: pl.Series, names: Sequence[str], height: int) -> pl.Series:
    """
    The positions that each of ``height`` touches holds, the first name as bit 0; ``starts`` are the groups' first rows.
    """
    bits = constant(0, height, pl.UInt32)
    for number, name in enumerate(names):
        holder = groups[f"holder:{name}"]
        rows = (starts + holder.cast(pl.UInt32)).filter(known(holder))
        bits = bits.scatter(rows, bits[rows] + one(1 << number, pl.UInt32))
    return bits


def _labels(bits: pl.Series, names: Sequence[str]) -> pl.Series:
    """
    The names of the positions held, of those that ``position_bits`` was asked for.
    """
    held = sorted({0, *bits.filter(bits > one(0, bits.dtype)).to_list()})
    masks, labels = _labels_of(tuple(held), tuple(names))
    return labels[places(bits, masks)]


@lru_cache(maxsize=64)
def _labels_of(held: tuple[int, ...], names: tuple[str, ...]) -> tuple[pl.Series, pl.Series]:
    labels = [[name for number, name in enumerate(names) if mask >> number & 1] for mask in held]
    return pl.Series(held, dtype=pl.UInt32), pl.Series(labels, dtype=PATH["positions"])


def _paths(
    touches: pl.DataFrame,
    source: pl.Series,
    grouped: pl.DataFrame,
    group: pl.Series,
    positions: pl.Series,
    index: pl.Series,
) -> pl.DataFrame:
    """
    PATH of the rows ``source`` of the touches, with the row of ``grouped`` that each belongs to and its place there.
    """
    return pl.DataFrame(
        [
            grouped["opportunity_id"][group],
            grouped["clock"][group],
            *(touches[name][source] for name in ("touch_id", "person_id", "occurred_at")),
            index.cast(pl.Int32).alias("position_index"),
            positions.alias("positions"),
        ]
    )


def _openings(counted: pl.DataFrame, journeys: pl.DataFrame) -> pl.Series:
    """
    The first touch of each deal's journey, of any team, where it lies up to the deal's creation.
    """
    first = group_starts(journeys["row"])
    row = journeys["row"][first]
    opens = journeys["occurred_at"][first] <= counted["created_at"][row]
    return spread(journeys["touch"][first].filter(opens), row.filter(opens), counted.height)


def _summaries(
    counted: pl.DataFrame,
    members: pl.DataFrame,
    late: pl.Series,
    touches: pl.DataFrame,
    openings: pl.Series,
    rules: AttributionRules,
) -> pl.DataFrame:
    """
    What holds for a deal as a whole, on no clock. ``late`` are the rows of deals with a touch after their end,
    ``openings`` each deal's opening touch.
    """
    height = counted.height
    source = {name: touches[name][openings] for name in ("team", "channel", "offer", "touch_id")}
    source["team"] = filled(source["team"], NO_TEAM)
    member = group_starts(members["row"])
    on_path = members["row"][member]
    people = spread((group_ends(member, members.height) - member).cast(pl.Int32), on_path, height)
    by_account = spread(members["by_account"][member], on_path, height)
    before, after = counted["to_creation"] > 0, counted["to_end"] > 0
    return pl.DataFrame(
        [
            counted["opportunity_id"],
            _basis(rules, filled(by_account, value=True)).alias("basis"),
            filled(people, 0).alias("people_count"),
            *(each.alias(f"source_{name}") for name, each in source.items()),
            counted["influenced"],
            (~before & after).alias("assisted"),
            _first_touch(before, after, constant(False, height, pl.Boolean).scatter(late, True)).alias("first_touch"),
        ]
    )


def _basis(rules: AttributionRules, by_account: pl.Series) -> pl.Series:
    if rules.path != "roles_else_account":
        return constant(rules.path, by_account.len(), pl.String)
    return constant("account", by_account.len(), pl.String).zip_with(by_account, one("roles", pl.String))


def _first_touch(before: pl.Series, after: pl.Series, late: pl.Series) -> pl.Series:
    """
    Where marketing's first touch lies, in the words of ``PathSet``.
    """
    lies = constant("none", before.len(), pl.String)
    for where, word in ((late, "after_close"), (after, "after_creation"), (before, "before_creation")):
        lies = one(word, pl.String).zip_with(where, lies)
    return lies
