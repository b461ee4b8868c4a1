"""
Says which cohorts are too young to be judged: an open cohort, or one that has had less time than a deal usually takes,
is *maturing* and has no conversion rate yet. And which are too old, because nothing was kept in their days.
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

STRAY_PERCENT: Final = 2


def median_cycle(deals: pl.DataFrame) -> timedelta | None:
    """
    The median time from creation to won, of deals with created_at, closed_at and outcome; None where none was won.
    """
    won = deals.filter((pl.col("outcome") == "won") & pl.col("closed_at").is_not_null())
    taken = won.select((pl.col("closed_at") - pl.col("created_at")).clip(lower_bound=timedelta(0))).to_series()
    middle = taken.median()
    return middle if isinstance(middle, timedelta) else None


def kept_since(months: pl.DataFrame) -> datetime | None:
    """
    From when on acts are kept as a matter of course: the first month (month_at, acts) after the oldest STRAY_PERCENT of
    them, which may lie long before; None where there are none.
    """
    counted = months.sort("month_at").with_columns(so_far=pl.col("acts").cum_sum(), all=pl.col("acts").sum())
    found = counted.filter(pl.col("so_far") * 100 > pl.col("all") * STRAY_PERCENT)["month_at"].first()
    return found if isinstance(found, datetime) else None


def is_maturing(ends_at: datetime, now: datetime, cycle: timedelta | None) -> bool:
    """
    Whether a cohort whose entries end at ``ends_at`` is open, or younger than the median cycle.
    """
    return ends_at > now or (cycle is not None and now - ends_at < cycle)
