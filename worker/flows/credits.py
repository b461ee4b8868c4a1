"""
What is kept of a deal's credits: all models of an item together, converted to the corporate currency where it differs,
and in locked periods as they were.

Part of ``attribute``, which calls it in its transaction.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.adjust import SETTLING, STANDING, may_be_late, settle
from worker.core.attribution.allot import allot_wide
from worker.core.attribution.conversion import convert
from worker.core.attribution.path import CLOCKS, PathSet
from worker.core.rules import Rules
from worker.flows.run import Run
from worker.store import adjustments

CLOSED = ("Final", "Lost")  # the states of ``attribution`` in which a deal's revenue shares are settled


def converted(
    connection: Connection, wide: pl.DataFrame, deals: pl.DataFrame, paths: PathSet, rules: Rules
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    The credits of deals in other currencies with ``corporate_units:M`` for each model M, and by which rate: pipeline by
    that of the creation's day, revenue by that of the close date. Converted first, then divided.
    """
    refs = pl.DataFrame(
        schema={"opportunity_id": pl.Int64, "pipeline_rate_ref": pl.String, "revenue_rate_ref": pl.String}
    )
    foreign = deals.filter(pl.col("currency") != rules.currency)
    rates = adjustments.rates(connection) if foreign.height else None
    if rates is None or rates.is_empty():
        return wide, refs
    ids = foreign["opportunity_id"].to_list()
    days = adjustments.settled_as(connection, ids).select(
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
    return wide.join(corporate_units, on=key, how="left", nulls_equal=True, maintain_order="left"), refs


def settled(
    run: Run, connection: Connection, differing: Sequence[int], computed: pl.DataFrame, facts: pl.DataFrame
) -> tuple[pl.DataFrame, list[int]]:
    """
    The credits to go by: the computed, or where a deal's period is locked the stored; and the deals whose pipeline is
    locked. ``differing`` are the deals whose credits come out otherwise than they did last. What late data changed of
    settled shares is kept as an adjustment of today.
    """
    computed = computed.select(pl.col(name).cast(kind) for name, kind in adjustments.STORED.items())
    locked = adjustments.locked_periods(connection)
    # Where anything is locked, all deals are held against it, so that a deal's fields say what its credits say.
    ids = facts["opportunity_id"].to_list() if locked.height else differing
    stored = adjustments.stored_credits(connection, ids) if ids else None
    if stored is None or (stored.is_empty() and locked.is_empty()):
        return computed, []
    settling = settling_of(adjustments.settled_as(connection, ids), facts, run.rules)
    held = settling if locked.height else may_be_late(settling)
    key = ["opportunity_id", "clock"]
    before, after = (_standing(each.join(held, on=key, how="semi")) for each in (stored, computed))
    if locked.is_empty() and set(before) == set(after):
        return computed, []
    settlement = settle(
        pl.DataFrame(before, schema=STANDING, orient="row"),
        pl.DataFrame(after, schema=STANDING, orient="row"),
        settling,
        locked,
        adjustments.booked(connection, ids),
        on=run.now.astimezone(ZoneInfo(run.rules.zone)).date(),
    )
    adjustments.save(connection, settlement.adjustments, run.now, run.rules.version)
    run.count("credits adjusted", settlement.adjustments.height)
    keep = settlement.keep
    credits = pl.concat([computed.join(keep, on=key, how="anti"), stored.join(keep, on=key, how="semi")])
    return credits, keep.filter(clock="pipeline")["opportunity_id"].to_list()


def settling_of(as_stored: pl.DataFrame, facts: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """
    SETTLING of these deals. A deal belongs to the period of its creation for pipeline, of its close date for revenue.
    """
    closed = facts.select("opportunity_id", is_closed=pl.col("outcome") != "open")
    known = as_stored.join(closed, on="opportunity_id").with_columns(
        was_stored=pl.col("state").is_not_null(),
        was_closed=pl.col("state").is_in(CLOSED).fill_null(value=False),
        created_on=_local_day("created_at", rules.zone),
        is_version=pl.lit(rules.version),
    )
    return pl.concat(
        known.select(
            "opportunity_id",
            clock=pl.lit(clock),
            period_on=day,
            was_settled=was,
            is_settled=now,
            was_version="rule_version",
            is_version="is_version",
        ).cast(pl.Schema(SETTLING))
        for clock, day, was, now in (
            ("pipeline", pl.col("created_on"), pl.col("was_stored"), pl.lit(value=True)),
            ("revenue", pl.coalesce("close_on", "created_on"), pl.col("was_closed"), pl.col("is_closed")),
        )
    )


def _standing(stored: pl.DataFrame) -> list[tuple[Any, ...]]:
    """
    STANDING rows of credits as stored: one for each model of an item.
    """
    return [
        (deal, clock, model, item, touch, credit["share"], credit["units"], credit.get("learnt"))
        for deal, clock, item, touch, models in stored.select(
            "opportunity_id", "clock", "item", "touch_id", "models"
        ).iter_rows()
        for model, credit in json.loads(models).items()
    ]


def _local_day(instant: str, zone: str) -> pl.Expr:
    return pl.col(instant).dt.convert_time_zone(zone).dt.date()


def stored_credits(wide: pl.DataFrame, touches: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """
    Credits as the store keeps them: one row a deal, clock and item, all models in one JSON object of exact shares
    ("3/10") and whole units, with ``corporate_units`` where they were converted and ``learnt``, the number of the
    learning that decided, where the model's weights are learnt.
    """
    names = tuple(model.name for model in rules.attribution.models)
    written = wide.with_columns(models=_written(names, frozenset(wide.columns)))
    instants = touches.select("touch_id", "occurred_at")
    return written.join(instants, on="touch_id", how="left", maintain_order="left").select(
        "opportunity_id", "clock", "item", "touch_id", "occurred_at", "positions", "models"
    )


@lru_cache(maxsize=32)
def _written(models: tuple[str, ...], columns: frozenset[str]) -> pl.Expr:
    """
    All models' credits as JSON. Put together once: for a single deal that takes longer than writing it.
    """
    members = [
        pl.when(pl.col(f"share_num:{name}").is_not_null()).then(
            pl.concat_str(
                pl.lit(f'"{name}":{{"share":"'),
                pl.col(f"share_num:{name}").cast(pl.String),
                pl.lit("/"),
                pl.col(f"share_den:{name}").cast(pl.String),
                pl.lit('","units":'),
                pl.col(f"amount_units:{name}").cast(pl.String).fill_null("null"),
                *_number(columns, "corporate_units", name),
                *_number(columns, "learnt", name),
                pl.lit("}"),
            )
        )
        for name in models
    ]
    return pl.concat_str(pl.lit("{"), pl.concat_str(members, separator=",", ignore_nulls=True), pl.lit("}"))


def _number(columns: Collection[str], name: str, model: str) -> Iterable[pl.Expr]:
    """
    The JSON member of a number that some items have; nothing where there is none.
    """
    if f"{name}:{model}" in columns:
        yield pl.concat_str(pl.lit(f',"{name}":'), pl.col(f"{name}:{model}").cast(pl.String)).fill_null("")
