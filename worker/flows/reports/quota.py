"""
The pipeline quota: what the plan needs by the company's own rates, beside what there is.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import polars as pl

from worker.core.frames import INSTANT, Schema
from worker.core.funnel.quota import Baseline, RevenueTarget, baseline, group_of, needed
from worker.core.funnel.totals import MONEY, Measure
from worker.flows.reports.funnels import credited
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report, Table

PLAN: Final[Schema] = {
    "period": pl.String,
    "group": pl.String,
    "revenue_target": MONEY,
    "pipeline_needed": MONEY,
    "deals_needed": pl.Int64,
    "created_by": INSTANT,
}
ALL_OTHERS = "all others"


def quota(rows: Rows, asked: Asked) -> Report:
    """
    For each target of ``funnel.yaml`` and each group: revenue to be won and won, pipeline and deals needed and there,
    all of deals that are to close within the period. The organisation's own currency only.
    """
    rules = asked.rules.quota
    everything = credited(rows.deals()).with_columns(group=group_of(rules.groups))
    deals = everything.filter(pl.col("currency") == asked.rules.currency)
    since = asked.now - timedelta(days=rules.baseline_months * 365 // 12)
    found = baseline(deals.filter(pl.col("closed_at").is_between(since, asked.now)), rules)
    notes = [_told(found, asked)]
    if not rules.targets:
        notes.append("There is no plan yet: write targets into funnel.yaml (docs/rules.md).")
    if everything.height > deals.height:
        notes.append(f"{everything.height - deals.height:,} deals in other currencies are not counted.")
    lines = [line for target in rules.targets for line in _lines(target, deals, found, asked)]
    schema: Schema = {
        **PLAN,
        "won": MONEY,
        "pipeline": MONEY,
        "deals": pl.Int64,
        "marketing_sourced": MONEY,
    }
    measures = (
        Measure("revenue_target", "money", column="revenue_target"),
        Measure("won", "money", column="won"),
        Measure("attained", "percent", column="won", over="revenue_target"),
        Measure("pipeline_needed", "money", column="pipeline_needed"),
        Measure("pipeline", "money", column="pipeline"),
        Measure("coverage", "percent", column="pipeline", over="pipeline_needed"),
        Measure("deals_needed", column="deals_needed"),
        Measure("deals", column="deals"),
        Measure("marketing_sourced", "money", column="marketing_sourced"),
        Measure("marketing_share", "percent", column="marketing_sourced", over="pipeline"),
    )
    by = ("period", "group", "created_by")
    plan = pl.DataFrame(lines, schema=schema, orient="row")
    tables = [Table("plan", plan, measures, by, by).chosen(asked)]
    if rules.targets:
        behind = pl.concat([_within(target, deals, asked) for target in rules.targets])
        counted = (
            Measure("deals"),
            Measure("pipeline", "money", column="amount"),
            Measure("won", "money", where="is_won", column="amount"),
        )
        tables.append(Table("deals", behind, counted, ("period", "group"), ("period", "group", "channel", "team")))
    return Report("Quota", tables, notes)


def _within(target: RevenueTarget, deals: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """
    The deals that are to close, or were closed, within the target's period.
    """
    span = asked.calendar.span(target.period)
    inside = (pl.col("closes_at") >= span.start) & (pl.col("closes_at") < span.end)
    return deals.filter(inside).with_columns(
        period=pl.lit(target.period), is_won=pl.col("outcome") == "won", is_marketing=pl.col("team") == "Marketing"
    )


def _lines(target: RevenueTarget, deals: pl.DataFrame, found: Baseline, asked: Asked) -> list[tuple[Any, ...]]:
    """
    One line a group of the target, and one for what the groups leave over.
    """
    inside = _within(target, deals, asked)
    ends_at = asked.calendar.span(target.period).end
    rest = 100 - sum(target.groups.values(), Decimal(0))
    lines = []
    for name, percent in [*target.groups.items(), (ALL_OTHERS, rest)]:
        mine = inside.filter(
            pl.col("group") == name
            if name != ALL_OTHERS
            else pl.col("group").is_null() | ~pl.col("group").is_in(list(target.groups))
        )
        if name == ALL_OTHERS and not rest and mine.is_empty():
            continue
        revenue = target.revenue * percent / 100
        need = needed(revenue, ends_at, found)
        lines.append(
            (
                target.period,
                name,
                revenue,
                need.pipeline,
                need.deals,
                need.created_by,
                mine.filter("is_won")["amount"].sum(),
                mine["amount"].sum(),
                mine.height,
                mine.filter(pl.col("is_marketing").fill_null(value=False))["amount"].sum(),
            )
        )
    return lines


def _told(found: Baseline, asked: Asked) -> str:
    def percent(share: Decimal | None) -> str:
        return "-" if share is None else f"{share * 100:.1f} %"

    size = "-" if found.deal_size is None else f"{found.deal_size:,.2f} {asked.rules.currency}"
    days = "-" if found.cycle_days is None else f"{found.cycle_days:,} days"
    return (
        f"Baseline of {found.closed:,} deals closed within {asked.rules.quota.baseline_months} months: win rate "
        f"{percent(found.win_rate)} by count, {percent(found.win_rate_by_amount)} by amount; a won deal is {size} "
        f"and takes {days}."
    )
