"""
Says which cohorts are too young to be judged: an open cohort, or one that has had less time than a deal usually takes,
is *maturing* and has no conversion rate yet.
"""

from datetime import datetime, timedelta

import polars as pl


def median_cycle(deals: pl.DataFrame) -> timedelta | None:
    """
    The median time from creation to won, of deals with created_at, closed_at and outcome; None where none was won.
    """
    won = deals.filter((pl.col("outcome") == "won") & pl.col("closed_at").is_not_null())
    taken = won.select((pl.col("closed_at") - pl.col("created_at")).clip(lower_bound=timedelta(0))).to_series()
    middle = taken.median()
    return middle if isinstance(middle, timedelta) else None


def is_maturing(ends_at: datetime, now: datetime, cycle: timedelta | None) -> bool:
    """
    Whether a cohort whose entries end at ``ends_at`` is open, or younger than the median cycle.
    """
    return ends_at > now or (cycle is not None and now - ends_at < cycle)
