"""
What is kept of a deal's credits: all models of an item together, converted to the corporate currency where it differs,
and in locked periods as they were.

Part of ``attribute``, which calls it in its transaction.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.adjust import LOCKED, SETTLING, STANDING, may_be_late, settle
from worker.core.attribution.allot import allot_wide
from worker.core.attribution.conversion import convert
from worker.core.attribution.digests import clocks_moved
from worker.core.attribution.path import CLOCKS, PathSet
from worker.core.chain import queried
from worker.core.columns import constant, filled, joined, known, one, places
from worker.core.rules import Rules
from worker.flows.run import Run
from worker.store import adjustments

# What a touch gets of a deal: the deal's number, and the numerator and denominator of its share.
Share = tuple[int, int, int]

CLOSED = ("Final", "Lost")  # the states of ``attribution`` in which a deal's revenue shares are settled

_FINALITY: Final = {name: kind for name, kind in SETTLING.items() if name != "period_on"}

_NONE_LOCKED: Final = pl.DataFrame(schema=LOCKED)
_NO_REFS: Final = pl.DataFrame(
    schema={"opportunity_id": pl.Int64, "pipeline_rate_ref": pl.String, "revenue_rate_ref": pl.String}
)


def rates_for(connection: Connection, deals: pl.DataFrame, rules: Rules) -> pl.DataFrame | None:
    """
    The dated rates where any of these deals is in another currency than the organisation's and rates are kept.
    """
    if not (deals["currency"] != one(rules.currency, pl.String)).any():
        return None
    rates = adjustments.rates(connection)
    return None if rates.is_empty() else rates


def converted(
    wide: pl.DataFrame,
    deals: pl.DataFrame,
    paths: PathSet,
    rules: Rules,
    rates: pl.DataFrame | None,
    as_stored: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    The credits of deals in other currencies with ``corporate_units:M`` for each model M, and by which rate: pipeline by
    that of the creation's day, revenue by that of the close date, by deal. Converted first, then divided. ``rates`` are
    those of ``rates_for``, ``as_stored`` is SETTLED_AS of the deals.
    """
    if rates is None:
        return wide, _NO_REFS
    foreign = deals.filter(pl.col("currency") != rules.currency)
    ids = foreign["opportunity_id"].to_list()
    days = as_stored.filter(pl.col("opportunity_id").is_in(ids)).select(
        "opportunity_id", pipeline=_local_day("created_at", rules.zone), revenue=pl.col("close_on")
    )
    parts = []
    refs = days.select("opportunity_id")
    for clock in CLOCKS:
        rated = foreign.join(
            days.select("opportunity_id", rated_on=pl.coalesce(clock, "pipeline")), on="opportunity_id"
        )
        corporate = convert(rated, rates, rules.currency)
        refs = refs.join(
            corporate.select("opportunity_id", pl.col("rate_id").alias(f"{clock}_rate_ref")), on="opportunity_id"
        )
        parts.append(allot_wide(corporate, paths.only(clock, ids), rules.attribution))
    units = {f"amount_units:{model.name}": f"corporate_units:{model.name}" for model in rules.attribution.models}
    key = ["opportunity_id", "clock", "item", "touch_id"]
    corporate_units = pl.concat(parts).select(*key, *units).rename(units)
    wide = wide.join(corporate_units, on=key, how="left", nulls_equal=True, maintain_order="left")
    return wide, refs.sort("opportunity_id")


def locked_for(connection: Connection, facts: pl.DataFrame) -> pl.DataFrame:
    """
    LOCKED, for deals of DEAL_TO_DECIDE.
    """
    return adjustments.locked_periods(connection) if facts["any_locked"].any() else _NONE_LOCKED


def settled(
    run: Run,
    connection: Connection,
    locked: pl.DataFrame,
    differing: Mapping[int, str | None],
    computed: pl.DataFrame,
    facts: pl.DataFrame,
) -> tuple[pl.DataFrame, list[int]]:
    """
    The credits to go by: the computed, or where a deal's period is locked the stored; and the deals whose pipeline is
    locked. ``locked`` is that of ``locked_for``; ``differing`` are the deals whose credits come out otherwise than they
    did last, with their digests; ``computed`` the credits of those or of all, and of all where anything is locked;
    ``facts`` is DEAL_TO_DECIDE. What late data changed of settled shares is kept as an adjustment of today.
    """
    if locked.is_empty():
        facts = only_of(facts, differing)
        groups = _restated(facts, differing, run.rules)
        facts = only_of(facts, {deal for deal, _ in groups})
    else:
        groups = {(deal, clock) for deal in facts["opportunity_id"].to_list() for clock in CLOCKS}
    if not groups:
        return computed, []
    ids, key = facts["opportunity_id"].to_list(), ["opportunity_id", "clock"]
    stored = adjustments.stored_credits(connection, ids)
    was, now = (_standing(each, groups) for each in (stored, computed))
    settling = settling_of(facts, facts, run.rules)
    settlement = settle(
        pl.DataFrame(was, schema=STANDING, orient="row"),
        pl.DataFrame(now, schema=STANDING, orient="row"),
        settling,
        locked,
        adjustments.booked(connection, ids),
        on=run.now.astimezone(ZoneInfo(run.rules.zone)).date(),
    )
    adjustments.save(connection, settlement.adjustments, run.now, run.rules.version)
    run.count("credits adjusted", settlement.adjustments.height)
    keep = settlement.keep
    if keep.is_empty():
        return computed, []
    credits = pl.concat([computed.join(keep, on=key, how="anti"), stored.join(keep, on=key, how="semi")])
    return credits, keep.filter(clock="pipeline")["opportunity_id"].to_list()


def _restated(facts: pl.DataFrame, differing: Mapping[int, str | None], rules: Rules) -> set[tuple[int, str]]:
    """
    The deals and clocks of DEAL_TO_DECIDE on which shares that were final come out otherwise. Where there were none,
    there is nothing to restate.
    """
    digests = zip(facts["opportunity_id"].to_list(), facts["digest"].to_list(), strict=True)
    moved = {deal: clocks_moved(digest, differing[deal]) if digest else [] for deal, digest in digests}
    return {
        (deal, clock)
        for deal, clock, *finality in _finality_of(facts, facts, rules)
        if clock in moved[deal] and may_be_late(*finality)
    }


def only_of(frame: pl.DataFrame, deals: Collection[int]) -> pl.DataFrame:
    """
    The rows of these deals.
    """
    of_deals = set(deals)
    rows = [number for number, deal in enumerate(frame["opportunity_id"].to_list()) if deal in of_deals]
    return frame if len(rows) == frame.height else frame[rows]


def settling_of(as_stored: pl.DataFrame, facts: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """
    SETTLING of these deals. A deal belongs to the period of its creation for pipeline, of its close date for revenue.
    """
    days = as_stored.select(_days(rules.zone))
    finality = pl.DataFrame(_finality_of(as_stored, facts, rules), schema=_FINALITY, orient="row")
    place = places(finality["opportunity_id"], as_stored["opportunity_id"])
    on_pipeline = finality["clock"] == one("pipeline", pl.String)
    period_on = days["pipeline"][place].zip_with(on_pipeline, days["revenue"][place])
    return finality.hstack([period_on.alias("period_on")])[list(SETTLING)]


@lru_cache(maxsize=8)
def _days(zone: str) -> tuple[pl.Expr, ...]:
    """
    The days that say which period a deal belongs to on each clock.
    """
    created_on = _local_day("created_at", zone)
    return created_on.alias("pipeline"), pl.coalesce("close_on", created_on).alias("revenue")


def _finality_of(as_stored: pl.DataFrame, facts: pl.DataFrame, rules: Rules) -> list[tuple[Any, ...]]:
    """
    Rows of SETTLING without their days, which are needed only where something moved: all of pipeline, then all of
    revenue.
    """
    outcomes = dict(zip(facts["opportunity_id"].to_list(), facts["outcome"].to_list(), strict=True))
    known_of = zip(*(as_stored[name].to_list() for name in ("opportunity_id", "state", "rule_version")), strict=True)
    told = [each for each in known_of if each[0] in outcomes]
    pipeline = [(deal, "pipeline", state is not None, True, was, rules.version) for deal, state, was in told]
    revenue = [
        (deal, "revenue", state in CLOSED, outcomes[deal] != "open", was, rules.version) for deal, state, was in told
    ]
    return pipeline + revenue


def _standing(stored: pl.DataFrame, groups: Collection[tuple[int, str]]) -> list[tuple[Any, ...]]:
    """
    STANDING rows of credits as stored, of these deals and clocks: one for each model of an item.
    """
    return [
        (deal, clock, model, item, touch, credit["share"], credit["units"], credit.get("learnt"))
        for deal, clock, item, touch, models in stored[
            ["opportunity_id", "clock", "item", "touch_id", "models"]
        ].iter_rows()
        if (deal, clock) in groups
        for model, credit in json.loads(models).items()
    ]


def _local_day(instant: str, zone: str) -> pl.Expr:
    return pl.col(instant).dt.convert_time_zone(zone).dt.date()


def stored_credits(wide: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """
    Credits as the store keeps them: one row a deal, clock and item, all models in one JSON object of exact shares
    ("3/10") and whole units, with ``corporate_units`` where they were converted and ``learnt``, the number of the
    learning that decided, where the model's weights are learnt.
    """
    names = [model.name for model in rules.attribution.models]
    written = queried(pl.DataFrame(_written(wide, names)), _together(tuple(names)))
    described = ("opportunity_id", "clock", "item", "touch_id", "occurred_at", "positions")
    return pl.DataFrame([*(wide[name] for name in described), written])


def marketing_share(deals: pl.Series, shares: Iterable[Share]) -> pl.Series:
    """
    What these shares make of each of the deals together, in percent with four digits.
    """
    sums = dict.fromkeys(deals.to_list(), (0, 1))
    for deal, numerator, denominator in shares:
        if deal in sums:
            top, bottom = sums[deal]
            alike = bottom == denominator
            sums[deal] = (
                (top + numerator, bottom) if alike else (top * denominator + numerator * bottom, bottom * denominator)
            )
    percents = [round(top * 1_000_000 / bottom) / 10_000 for top, bottom in sums.values()]
    return pl.Series(percents, dtype=pl.Float64)


def shares_allotted(wide: pl.DataFrame, model: str) -> Iterator[Share]:
    """
    What touches get of revenue under a model.
    """
    gets = _of_revenue(wide) & known(wide[f"share_num:{model}"])
    columns = ("opportunity_id", f"share_num:{model}", f"share_den:{model}")
    return zip(*(wide[name].filter(gets).to_list() for name in columns), strict=True)


def shares_stored(credits: pl.DataFrame, model: str) -> Iterator[Share]:
    """
    The same of credits as stored.
    """
    of_revenue = _of_revenue(credits)
    shares = queried(credits["models"].filter(of_revenue).to_frame(), _share(model))
    for deal, share in zip(credits["opportunity_id"].filter(of_revenue).to_list(), shares.to_list(), strict=True):
        if share is not None:
            numerator, denominator = share.split("/")
            yield deal, int(numerator), int(denominator)


def _of_revenue(credits: pl.DataFrame) -> pl.Series:
    return (credits["clock"] == one("revenue", pl.String)) & (credits["item"] == one("touch", pl.String))


@lru_cache(maxsize=8)
def _share(model: str) -> pl.Expr:
    """
    A model's share as it is stored: "3/10".
    """
    return pl.col("models").str.json_path_match(f"$.{model}.share")


def _written(wide: pl.DataFrame, models: Sequence[str]) -> list[pl.Series]:
    """
    Each model's credits as members of a JSON object, null where an item has none. They are written one under the other,
    so that it takes as many steps for eight models as for one.
    """

    def stacked(column: str) -> pl.Series:
        columns = (f"{column}:{model}" for model in models)
        return joined(wide[name] if name in given else nothing for name in columns).cast(pl.String)

    def number(column: str) -> pl.Series:
        """
        The member of a number that some items have; nothing where there is none.
        """
        return filled(one(f',"{column}":', pl.String) + stacked(column), "")

    given, nothing = set(wide.columns), constant(None, wide.height, pl.Int64)
    text = joined(constant(f'"{model}":{{"share":"', wide.height, pl.String) for model in models)
    text = text + stacked("share_num") + one("/", pl.String) + stacked("share_den")
    text = text + one('","units":', pl.String) + filled(stacked("amount_units"), "null")
    for column in ("corporate_units", "learnt"):
        if any(f"{column}:{model}" in given for model in models):
            text = text + number(column)
    text = text + one("}", pl.String)
    return [text.slice(place * wide.height, wide.height).alias(model) for place, model in enumerate(models)]


@lru_cache(maxsize=32)
def _together(models: tuple[str, ...]) -> pl.Expr:
    """
    All models' credits as one JSON object. Put together once: for a single deal that takes longer than writing it.
    """
    members = pl.concat_str(list(models), separator=",", ignore_nulls=True)
    return pl.concat_str(pl.lit("{"), members, pl.lit("}")).alias("models")
