"""
What each campaign cost beside what came of it: as a whole, with ranks, or day by day, so that a period or a span of
time has its own part of every number.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final

import polars as pl

from worker.core.attribution.cost import costs_by_day
from worker.core.frames import INSTANT
from worker.core.funnel.calendar import KINDS
from worker.core.funnel.campaigns import ranked
from worker.core.funnel.cohorts import median_cycle
from worker.core.funnel.totals import MONEY, Measure
from worker.flows.reports.funnels import credited
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report, Table

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
SOON: Final = timedelta(days=30)
COUNTS: Final = ("people", "accounts", "touches", "newly_engaged")
MONIES: Final = ("cost", "pipeline", "won")
TOLD: Final = ("channel", "type", "status")
NAMED: Final = 3

MEASURES: Final = (
    Measure("people", column="people"),
    Measure("accounts", column="accounts"),
    Measure("newly_engaged", column="newly_engaged"),
    Measure("deals", "share", column="deals"),
    Measure("cost", "money", column="cost"),
    Measure("pipeline", "money", column="pipeline"),
    Measure("won", "money", column="won"),
)


def campaigns(rows: Rows, asked: Asked) -> Report:
    """
    Each campaign's cost beside people, accounts that became engaged, deals, pipeline and revenue: by half-year, with
    ranks and the lowest tenth named; of a period, or by a span of time, what falls into it day by day.
    """
    found = rows.campaigns()
    credit = rows.credits(asked.model).filter(pl.col("campaign").is_not_null())
    touches = rows.touches(EVER).filter(pl.col("campaign").is_not_null())
    engaged = _became_engaged(touches, rows.turns(EVER).filter("engaged"))
    whole = _ranked(_whole(found, credit, engaged), rows, asked)
    notes = [f"Ranked within a half-year by pipeline credit (model {asked.model}) for each unit of cost."]
    if asked.period is None and not set(asked.by) & set(KINDS):
        by = ("half", "rank", "campaign", "standing")
        measures = (Measure("campaigns", where="is_own"), *MEASURES)
        table = Table("campaigns", whole, measures, by, (*by, *TOLD, "currency"), "first_touch_at")
        return Report("Campaigns", [table.chosen(asked)], notes)
    days, undated = _by_day(found, credit, touches, engaged, asked.calendar.zone)
    told = whole.filter("is_own").select("campaign", "rank", "standing", *TOLD)
    days = days.join(told, on="campaign", how="left", maintain_order="left")
    dimensions = ("campaign", "rank", "standing", *TOLD, "currency")
    table = Table("days of campaigns", days, MEASURES, ("campaign",), dimensions, "at")
    notes[0] += " Costs by the days a campaign ran; people and accounts on the day they were first reached."
    return Report("Campaigns", [table.chosen(asked)], [*notes, *_told(undated)])


def _whole(found: pl.DataFrame, credit: pl.DataFrame, engaged: pl.DataFrame) -> pl.DataFrame:
    """
    A row a campaign (CAMPAIGN_ROW and what it brought), and one more for each other currency in which it earned credit:
    ``is_own`` is false there.
    """
    is_pipeline = pl.col("clock") == "pipeline"
    earned = credit.group_by("campaign", "currency").agg(
        pipeline=pl.col("amount").filter(is_pipeline).sum().cast(MONEY),
        won=pl.col("amount").filter(~is_pipeline & (pl.col("outcome") == "won")).sum().cast(MONEY),
        deals=pl.col("share").filter(is_pipeline).sum(),
    )
    keys = ["campaign", "currency"]
    own = found.join(earned, on=keys, how="left", maintain_order="left").with_columns(is_own=pl.lit(value=True))
    abroad = earned.join(found, on=keys, how="anti").sort(keys)
    abroad = abroad.join(found.select("campaign", *TOLD), on="campaign", how="left", maintain_order="left")
    count = engaged.group_by("campaign").agg(newly_engaged=pl.len().cast(pl.Int64))
    return pl.concat(
        [
            own.join(count, on="campaign", how="left", maintain_order="left"),
            abroad.with_columns(is_own=pl.lit(value=False)),
        ],
        how="diagonal",
    ).with_columns(pl.col(COUNTS).fill_null(0), pl.col("deals").fill_null(0.0))


def _ranked(whole: pl.DataFrame, rows: Rows, asked: Asked) -> pl.DataFrame:
    cycle = median_cycle(credited(rows.deals()))
    return ranked(whole.with_columns(half=asked.calendar.name_of("first_touch_at", "half")), asked.now, cycle)


def _became_engaged(touches: pl.DataFrame, turns: pl.DataFrame) -> pl.DataFrame:
    """
    campaign, account_id and ``at``: accounts that became engaged within 30 days of a touch of it, and when first.
    """
    pairs = touches.join(turns.select("account_id", "at"), on="account_id", how="inner")
    near = pairs.filter((pl.col("at") >= pl.col("occurred_at")) & (pl.col("at") <= pl.col("occurred_at") + SOON))
    return near.group_by("campaign", "account_id").agg(pl.col("at").min()).sort("campaign", "account_id")


def _by_day(
    found: pl.DataFrame, credit: pl.DataFrame, touches: pl.DataFrame, engaged: pl.DataFrame, zone: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    A row a campaign, currency and day on which it cost or brought anything: ``at`` is the day's noon. A person, an
    account counts on the day it was first reached, pipeline where the deal was created, won on its CloseDate; so the
    days of a campaign add up to it. And the campaigns whose cost has no day, which has a row without one.
    """

    def day(column: str) -> pl.Expr:
        return pl.col(column).dt.convert_time_zone(zone).dt.date()

    def reached(who: str) -> pl.DataFrame:
        return touches.drop_nulls(who).group_by("campaign", who).agg(on=day("occurred_at").min())

    costs = costs_by_day(found.with_columns(first_on=day("first_touch_at")))
    is_pipeline = pl.col("clock") == "pipeline"
    own: Sequence[pl.DataFrame] = (
        costs.days,
        costs.undated.with_columns(on=pl.lit(None, pl.Date)),
        touches.select("campaign", on=day("occurred_at"), touches=pl.lit(1)),
        reached("person_id").select("campaign", "on", people=pl.lit(1)),
        reached("account_id").select("campaign", "on", accounts=pl.lit(1)),
        engaged.select("campaign", on=day("at"), newly_engaged=pl.lit(1)),
    )
    currencies = found.select("campaign", "currency")
    earned = credit.select(
        "campaign",
        "currency",
        on=day("counted_at"),
        pipeline=pl.when(is_pipeline).then("amount"),
        won=pl.when(~is_pipeline & (pl.col("outcome") == "won")).then("amount"),
        deals=pl.when(is_pipeline).then("share"),
    )
    parts = [each.join(currencies, on="campaign", maintain_order="left") for each in own]
    summed = [pl.col(name).cast(pl.Int64).sum() for name in COUNTS]
    money = [pl.when(pl.col(name).count() > 0).then(pl.col(name).cast(MONEY).sum()).alias(name) for name in MONIES]
    # Noon is within its own day in every zone, whatever the clocks do that day.
    noon = pl.col("on").dt.combine(time(12)).dt.replace_time_zone(zone).dt.convert_time_zone("UTC")
    days = (
        pl.concat([*parts, earned], how="diagonal_relaxed")
        .group_by("campaign", "currency", "on")
        .agg(*summed, *money, pl.col("deals").sum())
        .with_columns(at=noon.cast(INSTANT))
        .sort("campaign", "on", "currency", nulls_last=True)
    )
    is_nothing = pl.all_horizontal(pl.col(*COUNTS, "deals") == 0, pl.col(MONIES).fill_null(0) == 0)
    return days.filter(~is_nothing), costs.undated


def _told(undated: pl.DataFrame) -> list[str]:
    """
    The campaigns whose cost falls into no span of time, in words.
    """
    if undated.is_empty():
        return []
    names = ", ".join(undated["campaign"].head(NAMED).to_list())
    more = f" and {undated.height - NAMED:,} more" if undated.height > NAMED else ""
    return [f"In no period is the cost of {names}{more}: without a day, or ending before the start."]
