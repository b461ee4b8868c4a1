"""
One deal's journey as it stood at a past moment: what was done, its milestones, and what each touch had of it.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Final

import polars as pl

from worker.core.errors import Fatal
from worker.core.frames import INSTANT
from worker.core.funnel.totals import MONEY
from worker.core.instants import to_the_minute
from worker.core.rules import Rules
from worker.flows.as_of import CreditedSet, Hindsight, Moment, credits_as, people_as
from worker.flows.reclassify import classified, that_stand
from worker.store import past
from worker.store.reports import JOURNEY_DAYS, JOURNEY_ROW, NOBODYS

PLACE: Final = {"touch": 1, "deal created": 2, "stage": 3}


def shares_of(credits: pl.DataFrame, model: str, facts: pl.DataFrame) -> pl.DataFrame:
    """
    Credits as the store keeps them, those that the model has, with ``share`` and the exact ``amount`` in its place.
    ``facts`` gives each deal's ``digits``.
    """
    part = pl.col("models").str.json_path_match(f"$['{model}']")
    told = credits.with_columns(part=part).filter(pl.col("part").is_not_null())
    halves = pl.col("part").str.json_path_match("$.share").str.split("/").cast(pl.List(pl.Float64))
    told = told.join(facts.select("opportunity_id", "digits"), on="opportunity_id", maintain_order="left").with_columns(
        share=halves.list.first() / halves.list.get(1, null_on_oob=True).fill_null(1.0),
        units=pl.col("part").str.json_path_match("$.units").cast(pl.Int64),
    )
    amounts = [
        None if units is None else Decimal(units).scaleb(-digits)
        for units, digits in told.select("units", "digits").iter_rows()
    ]
    return told.with_columns(amount=pl.Series(amounts, dtype=MONEY)).drop("part", "units", "digits", "models")


def journey_as(hindsight: Hindsight, opportunity_id: int, rules: Rules, moment: Moment, model: str) -> pl.DataFrame:
    """
    JOURNEY_ROW of one deal at a moment, as ``store.reports.journey`` gives it of the present.
    """
    credited = credits_as(hindsight, [opportunity_id], rules, moment.lens, moment.at)
    if credited.facts.is_empty():
        raise Fatal("HW-162", f"the deal was not there at {to_the_minute(moment.at)}", actions=["a later instant"])
    shares = shares_of(credited.credits, model, credited.facts)
    events = pl.concat(
        [_touches(hindsight, credited, shares, rules, moment), _milestones(hindsight, credited, moment), _rest(shares)],
        how="diagonal_relaxed",
    )
    place = pl.col("event").replace_strict(PLACE, default=4, return_dtype=pl.Int8)
    return (
        events.with_columns(place=place)
        .sort("at", "place", "what", nulls_last=True)
        .select(pl.col(name).cast(kind) for name, kind in JOURNEY_ROW.items())
    )


def _touches(
    hindsight: Hindsight, credited: CreditedSet, shares: pl.DataFrame, rules: Rules, moment: Moment
) -> pl.DataFrame:
    deal = credited.facts.row(0, named=True)
    people = people_as(hindsight, [deal["opportunity_id"]], rules, moment.lens)["person_id"].unique().to_list()
    acts = hindsight.timeline.arrived(classified(hindsight.connection, "person", people, rules))
    at = pl.col("occurred_at")
    inside = (at >= deal["created_at"] - timedelta(days=JOURNEY_DAYS)) & ~pl.col("type").str.starts_with("email")
    if deal["closed_at"] is not None:
        inside &= at <= deal["closed_at"]
    done = that_stand(acts.filter(moment.lens.sees()), rules).filter(inside)
    names = past.people_named(hindsight.connection, people)
    touches = done.join(names, left_on="golden_id", right_on="person_id", how="left").select(
        "touch_id", "person", "team", "channel", "offer", "campaign", at="occurred_at",
        event=pl.lit("touch"), what="label",
    )  # fmt: skip
    for clock in ("pipeline", "revenue"):
        own = shares.filter(clock=clock).select(
            "touch_id",
            pl.col("share").alias(f"{clock}_share"),
            pl.col("amount").alias(clock),
            pl.col("positions").alias(f"{clock}_positions"),
        )
        touches = touches.join(own, on="touch_id", how="left")
    return touches.with_columns(positions=pl.coalesce("revenue_positions", "pipeline_positions"))


def _milestones(hindsight: Hindsight, credited: CreditedSet, moment: Moment) -> pl.DataFrame:
    deal = credited.facts.row(0, named=True)
    changes = hindsight.timeline.arrived(past.deal_changes(hindsight.connection, [deal["opportunity_id"]]))
    (name,) = past.deals_named(hindsight.connection, [deal["opportunity_id"]])["deal"].to_list()
    ends = [("deal created", deal["created_at"], name), (f"deal {deal['outcome']}", deal["closed_at"], name)]
    told = pl.DataFrame(ends, schema={"event": pl.String, "at": INSTANT, "what": pl.String}, orient="row")
    stages = changes.filter(moment.lens.sees()).select(event=pl.lit("stage"), at="occurred_at", what="stage")
    return pl.concat([told.drop_nulls("at"), stages], how="vertical_relaxed")


def _rest(shares: pl.DataFrame) -> pl.DataFrame:
    """
    What nobody gets, one row for both clocks.
    """
    item = pl.col("item").cast(pl.String)
    rest = shares.filter(pl.col("touch_id").is_null()).with_columns(event=item, what=item.replace(NOBODYS))
    parts = [
        rest.filter(clock=clock).select(
            "event", "what", pl.col("share").alias(f"{clock}_share"), pl.col("amount").alias(clock)
        )
        for clock in ("pipeline", "revenue")
    ]
    return parts[0].join(parts[1], on=["event", "what"], how="full", coalesce=True)
