"""
Cuts each deal's path out of its journey: what the two clocks see of it and which touches hold a position.

Decides which milestones are reached, who holds them, and which team sourced the deal. Divides nothing (``allot`` does)
and reads no money. Called by the attribution flow.

Only marketing touches of eligible types are path touches; the other teams' touches decide the sourcing team and may be
the milestone of a position defined by rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.attribution.columns import constant, expand
from worker.core.attribution.journey import earliest_leads, find_candidates, follow, in_path_order, number_deals
from worker.core.attribution.rules import AttributionRules, Position
from worker.core.errors import Fatal
from worker.core.frames import PATH

CLOCKS: Final = ("pipeline", "revenue")

# What became of a position on a clock. held: its milestone is reached and a touch holds it. bare: reached without an
# eligible touch. unreached: not reached at the clock's instant. later: it can only come after that instant.
STATE: Final = pl.Enum(["held", "bare", "unreached", "later"])

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
    ``channels``: of each row of ``paths``, where a model of the rules weighs channels; else None.
    ``apart``: whether no touch holds two positions of ``clocks``, which saves looking for those that do.
    """

    paths: pl.DataFrame
    clocks: pl.DataFrame
    deals: pl.DataFrame
    channels: pl.Series | None = None
    apart: bool = False

    def only(self, clock: str, opportunity_ids: Sequence[int]) -> "PathSet":
        """
        These deals on this clock.
        """
        wanted = (pl.col("clock") == clock) & pl.col("opportunity_id").is_in(list(opportunity_ids))
        rows = self.paths.select(wanted).to_series()
        return PathSet(
            paths=self.paths.filter(rows),
            clocks=self.clocks.filter(wanted),
            deals=self.deals.filter(pl.col("opportunity_id").is_in(list(opportunity_ids))),
            channels=None if self.channels is None else self.channels.filter(rows),
            apart=self.apart,
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
    found, members = follow(find_candidates(numbered, people, rules), touches, rules)
    journeys = in_path_order(found)
    dated = _milestones(numbered, members, rules, stages)
    counted = _counted(dated, journeys, rules)
    grouped = _groups(counted, [clock for clock in CLOCKS if clock in clocks], rules)
    late = found.filter(pl.col("eligible") & (pl.col("occurred_at") > pl.col("end_at")))
    path_touches = journeys.filter("eligible")
    paths, source = _paths(path_touches, grouped, rules.position_names)
    weighs_channels = any(model.weightings() for model in rules.models)
    return PathSet(
        paths=paths,
        clocks=grouped.drop("start"),
        deals=_summaries(counted, members, journeys, late.filter(pl.col("occurred_at") <= as_of), touches, rules),
        channels=touches["channel"][path_touches["touch"][source]] if weighs_channels else None,
    )


def _milestones(
    numbered: pl.DataFrame, members: pl.DataFrame, rules: AttributionRules, stages: pl.DataFrame | None
) -> pl.DataFrame:
    """
    The deals with the instants that need no journey: ``lead_at`` and ``lead_person``, ``at:P`` of stage positions.
    """
    dated = numbered.join(earliest_leads(members), on="row", how="left", maintain_order="left")
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
    and ``lead_after`` count up to the one touch of the earliest-created person that may hold LC.
    """
    of_deals = [dated[name][journeys["row"]] for name in dated.columns if name not in journeys.columns]
    measures, sums, settled = _counting(tuple(rules.positions), rules.lead_creation_window_days, rules.influence_days)
    per_deal = (
        journeys.hstack(of_deals)
        .lazy()
        .with_columns(number=pl.col("eligible").cast(pl.UInt32).cum_sum())
        .select(measures)
        .group_by("row")
        .agg(sums)
    )
    return (
        dated.lazy()
        .join(per_deal, on="row", how="left", maintain_order="left")
        .with_columns(settled)
        .collect(optimizations=pl.QueryOptFlags.none())
    )


@lru_cache(maxsize=32)
def _counting(
    positions: tuple[Position, ...], window_days: int, influence_days: int
) -> tuple[tuple[pl.Expr, ...], tuple[pl.Expr, ...], tuple[pl.Expr, ...]]:
    """
    What is measured of each touch, summed for each deal, and made of the sums. Put together once for the same rules.
    """
    occurred, eligible, number = pl.col("occurred_at"), pl.col("eligible").cast(pl.UInt32), pl.col("number")
    of_lead = pl.col("eligible") & (pl.col("person_id") == pl.col("lead_person"))
    window_end = pl.col("lead_at") + timedelta(days=window_days)
    measures = (
        pl.col("row"),
        (number - eligible).alias("before"),
        (eligible * (occurred <= pl.col("created_at"))).alias("to_creation"),
        (eligible * (occurred <= pl.col("end_at"))).alias("to_end"),
        pl.when(of_lead & (occurred <= pl.col("lead_at"))).then(number).alias("lead_before"),
        pl.when(of_lead & (occurred > pl.col("lead_at")) & (occurred <= window_end)).then(number).alias("lead_after"),
        (pl.col("response") & _influential(influence_days)).alias("influenced"),
        *(
            expression.alias(name)
            for position in positions
            for name, expression in _up_to(position.name, position.milestone)
        ),
    )
    typed = [position.name for position in positions if position.milestone == "first_touch_of_type"]
    staged = [position.name for position in positions if position.milestone == "stage"]
    sums = (
        pl.col("to_creation", "to_end", *(f"to:{name}" for name in staged)).sum(),
        pl.col("lead_before").max() - pl.col("before").first(),
        (pl.col("lead_after", *(f"to:{name}" for name in typed)).min() - pl.col("before").first()),
        *(pl.col(f"at:{name}").min() for name in typed),
        pl.col("influenced").any(),
    )
    settled = (
        pl.col("to_creation", "to_end", *(f"to:{position.name}" for position in positions)).fill_null(0).cast(pl.Int32),
        pl.col("lead_before", "lead_after").cast(pl.Int32),
        pl.col("influenced").fill_null(value=False),
    )
    return measures, sums, settled


def _influential(within_days: int) -> pl.Expr:
    """
    Whether a touch lies in the days before the creation, or before the close of a closed deal.
    """
    days, occurred = timedelta(days=within_days), pl.col("occurred_at")
    before_creation = occurred.is_between(pl.col("created_at") - days, pl.col("created_at"))
    before_close = occurred.is_between(pl.col("end_at") - days, pl.col("end_at")) & (pl.col("outcome") != "open")
    return before_creation | before_close


def _up_to(name: str, milestone: str) -> Iterable[tuple[str, pl.Expr]]:
    """
    What each touch adds to the count up to the milestone of a position defined by rule.
    """
    if milestone == "stage":
        yield f"to:{name}", pl.col("eligible").cast(pl.UInt32) * (pl.col("occurred_at") <= pl.col(f"at:{name}"))
    else:
        yield f"to:{name}", pl.when(f"is:{name}").then("number")
        yield f"at:{name}", pl.when(f"is:{name}").then("occurred_at")


def _groups(counted: pl.DataFrame, clocks: Sequence[str], rules: AttributionRules) -> pl.DataFrame:
    """
    One row a deal and clock with the states and holders of all positions; ``start`` is the first touch of the deal
    among all deals' path touches.
    """
    length = pl.max_horizontal("to_creation", "to_end")
    placed = counted.with_columns(start=(length.cum_sum() - length).cast(pl.UInt32))
    on_clocks = pl.concat(
        placed.hstack(
            [
                constant(clock, placed.height, pl.String).alias("clock"),
                constant(clock == "pipeline", placed.height, pl.Boolean).alias("is_pipeline"),
                placed["created_at" if clock == "pipeline" else "end_at"].alias("at"),
                placed["to_creation" if clock == "pipeline" else "to_end"].alias("touch_count"),
            ]
        )
        for clock in clocks
    )
    return on_clocks.select(
        "opportunity_id", "clock", "at", "outcome", "touch_count", "start", *_positions(tuple(rules.positions))
    ).sort("opportunity_id", "clock")


@lru_cache(maxsize=32)
def _positions(by_rule: tuple[Position, ...]) -> tuple[pl.Expr, ...]:
    """
    States and holders of the built-in positions and of those defined by rule. Put together once for the same rules: for
    a single deal that takes longer than what the expressions compute.
    """
    count = pl.col("touch_count")
    lead = pl.coalesce("lead_before", pl.when(pl.col("lead_after") <= count).then("lead_after"))
    creation = _position("OC", reached=pl.lit(value=True), held=pl.min_horizontal("to_creation", count))
    # A deal closes after its creation, and enters its stages from creation on: what is not reached by then is later.
    closed = ~pl.col("is_pipeline") & (pl.col("outcome") == "won")
    return (
        *_position("FT", reached=count > 0, held=pl.min_horizontal(count, 1)),
        *_position("LC", reached=pl.col("lead_at") <= pl.col("at"), held=lead),
        *(() if any(position.name == "OC" for position in by_rule) else creation),
        *_position("CW", reached=closed, held=count, later=True),
        *_position("LT", reached=count > 0, held=count),
        *(
            column
            for position in by_rule
            for column in _position(
                position.name,
                reached=pl.col(f"at:{position.name}") <= pl.col("at"),
                held=pl.min_horizontal(f"to:{position.name}", "touch_count"),
                later=position.milestone == "stage",
            )
        ),
    )


def _position(name: str, *, reached: pl.Expr, held: pl.Expr, later: bool = False) -> Iterable[pl.Expr]:
    """
    State and holder of a position; ``held`` counts the touches up to its holder, zero or null where there is none;
    ``later`` says that what is not reached by the creation can still come.
    """
    happened, somebody = reached.fill_null(value=False), held.fill_null(0) > 0
    otherwise = pl.lit("unreached")
    if later:
        otherwise = pl.when("is_pipeline").then(pl.lit("later")).otherwise(otherwise)
    state = pl.when(~happened).then(otherwise).when(somebody).then(pl.lit("held")).otherwise(pl.lit("bare"))
    yield state.cast(STATE).alias(f"state:{name}")
    yield pl.when(happened & somebody).then(held - 1).cast(pl.Int32).alias(f"holder:{name}")


def position_bits(groups: pl.DataFrame, starts: pl.Series, names: Sequence[str], height: int) -> pl.Series:
    """
    The positions that each of ``height`` touches holds, the first name as bit 0; ``starts`` are the groups' first rows.
    """
    bits = constant(0, height, pl.UInt32)
    places = groups.select((pl.col(f"holder:{name}") + starts).drop_nulls().cast(pl.UInt32).implode() for name in names)
    for number, column in enumerate(places):
        rows = column[0]
        bits = bits.scatter(rows, bits[rows] | (1 << number))
    return bits


def _paths(path_touches: pl.DataFrame, grouped: pl.DataFrame, names: Sequence[str]) -> tuple[pl.DataFrame, pl.Series]:
    """
    The path touches once for each clock that sees them, and each one's row among ``path_touches``; a clock sees a
    deal's first ``touch_count``.
    """
    counts = grouped["touch_count"].cast(pl.UInt32)
    starts = counts.cum_sum() - counts
    group = expand(counts)
    index = pl.int_range(group.len(), dtype=pl.UInt32, eager=True) - starts[group]
    source = grouped["start"][group] + index
    bits = position_bits(grouped, starts, names, group.len())
    held = bits.unique().sort()
    labels = pl.Series(
        [[name for n, name in enumerate(names) if mask >> n & 1] for mask in held], dtype=PATH["positions"]
    )
    label = bits.replace_strict(held, pl.int_range(held.len(), dtype=pl.UInt32, eager=True), return_dtype=pl.UInt32)
    paths = pl.DataFrame(
        {
            "opportunity_id": grouped["opportunity_id"][group],
            "clock": grouped["clock"][group],
            "touch_id": path_touches["touch_id"][source],
            "person_id": path_touches["person_id"][source],
            "occurred_at": path_touches["occurred_at"][source],
            "position_index": index.cast(pl.Int32),
            "positions": labels[label],
        },
        schema=PATH,
    )
    return paths, source


def _summaries(
    counted: pl.DataFrame,
    members: pl.DataFrame,
    journeys: pl.DataFrame,
    late: pl.DataFrame,
    touches: pl.DataFrame,
    rules: AttributionRules,
) -> pl.DataFrame:
    """
    What holds for a deal as a whole, on no clock.
    """
    opens = (pl.col("row") != pl.col("row").shift(1)).fill_null(value=True)
    first = journeys.filter(opens)
    opening = first.filter(first["occurred_at"] <= counted["created_at"][first["row"]]).select("row", "touch")
    told = touches.select("team", "channel", "offer", "touch_id")[opening["touch"]]
    sources = told.rename(lambda name: f"source_{name}").with_columns(opening["row"])
    people = members.group_by("row").agg(people_count=pl.len().cast(pl.Int32), by_account=pl.col("by_account").first())
    basis = {"roles": "roles", "primary": "primary", "account": "account"}.get(rules.path)
    by_people = pl.when(pl.col("by_account").fill_null(value=True)).then(pl.lit("account")).otherwise(pl.lit("roles"))
    before, after = pl.col("to_creation") > 0, pl.col("to_end") > 0
    return (
        counted.join(people, on="row", how="left", maintain_order="left")
        .join(sources, on="row", how="left", maintain_order="left")
        .join(late.select("row", is_late=True).unique(), on="row", how="left", maintain_order="left")
        .select(
            "opportunity_id",
            basis=pl.lit(basis) if basis else by_people,
            people_count=pl.col("people_count").fill_null(0),
            source_team=pl.col("source_team").fill_null(NO_TEAM),
            source_channel="source_channel",
            source_offer="source_offer",
            source_touch_id="source_touch_id",
            influenced="influenced",
            assisted=~before & after,
            first_touch=pl.when(before)
            .then(pl.lit("before_creation"))
            .when(after)
            .then(pl.lit("after_creation"))
            .when("is_late")
            .then(pl.lit("after_close"))
            .otherwise(pl.lit("none")),
        )
    )
