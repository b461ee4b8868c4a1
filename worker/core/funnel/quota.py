"""
Works out what a plan of revenue needs: how much pipeline, how many deals, created by when; by the company's own win
rate, deal size and cycle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

import polars as pl


@dataclass(frozen=True)
class Group:
    """
    Deals of one kind: all that is given must hold, one value of each is enough.
    """

    name: str
    teams: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class RevenueTarget:
    """
    ``revenue`` to be won in ``period``, in the organisation's currency; ``groups``: name -> percent of it.
    """

    period: str
    revenue: Decimal
    groups: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class QuotaRules:
    """
    What stands in the place of the company's own baseline where it is not None.
    """

    baseline_months: int = 12
    win_rate_percent: Decimal | None = None
    deal_size: Decimal | None = None
    cycle_days: int | None = None
    groups: tuple[Group, ...] = ()
    targets: tuple[RevenueTarget, ...] = ()


@dataclass(frozen=True)
class Baseline:
    """
    ``win_rate`` by count and ``win_rate_by_amount`` (0 to 1), the mean size of a won deal, the mean days to win one;
    None where there is too little to tell. ``closed`` deals it was taken from.
    """

    win_rate: Decimal | None
    win_rate_by_amount: Decimal | None
    deal_size: Decimal | None
    cycle_days: int | None
    closed: int


def group_of(groups: tuple[Group, ...]) -> pl.Expr:
    """
    The name of the first group that a deal (team, channel, type) falls into; null where none fits.
    """
    named = pl.lit(None, pl.String)
    for group in reversed(groups):
        fits = pl.lit(value=True)
        for column, values in (("team", group.teams), ("channel", group.channels), ("type", group.types)):
            if values:
                fits = fits & pl.col(column).is_in(values).fill_null(value=False)
        named = pl.when(fits).then(pl.lit(group.name)).otherwise(named)
    return named


def baseline(closed: pl.DataFrame, rules: QuotaRules) -> Baseline:
    """
    Of closed deals (outcome, amount, created_at, closed_at) in one currency.
    """
    won = closed.filter(pl.col("outcome") == "won")
    amounts, won_amounts = (each["amount"].drop_nulls() for each in (closed, won))
    days = won.select((pl.col("closed_at") - pl.col("created_at")).dt.total_days().clip(lower_bound=0)).to_series()
    total, won_total = (Decimal(each.sum() or 0) for each in (amounts, won_amounts))
    given = None if rules.win_rate_percent is None else rules.win_rate_percent / 100
    mean_days = days.mean()
    return Baseline(
        win_rate=given or (Decimal(won.height) / closed.height if won.height else None),
        win_rate_by_amount=given or (won_total / total if won_total > 0 and total > 0 else None),
        deal_size=rules.deal_size or (won_total / won_amounts.len() if won_amounts.len() and won_total > 0 else None),
        cycle_days=rules.cycle_days
        if rules.cycle_days is not None
        else (round(float(mean_days)) if isinstance(mean_days, float) else None),
        closed=closed.height,
    )


@dataclass(frozen=True)
class Need:
    """
    What so much revenue needs. ``created_by``: deals created later are on average not won within the period.
    """

    pipeline: Decimal | None
    deals: int | None
    created_by: datetime | None


def needed(revenue: Decimal, ends_at: datetime, found: Baseline) -> Need:
    """
    Pipeline in cents rounded up, deals rounded up; None where the baseline cannot tell.
    """
    deals = None
    if found.deal_size and found.win_rate:
        deals = int((revenue / found.deal_size / found.win_rate).to_integral_value(ROUND_CEILING))
    pipeline = None
    if found.win_rate_by_amount:
        pipeline = (revenue / found.win_rate_by_amount).quantize(Decimal("0.01"), ROUND_CEILING)
    by = None if found.cycle_days is None else ends_at - timedelta(days=found.cycle_days)
    return Need(pipeline, deals, by)
