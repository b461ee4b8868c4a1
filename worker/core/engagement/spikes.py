"""
Says which accounts are at a peak: the points of this week against the mean of the four weeks before.

A week is seven UTC days, the present day the last of the first. Points count as they were earned, before any half-life,
so that an old week is not the smaller for being old. Called by ``standing``.
"""

from typing import Final

import polars as pl

from worker.core.chain import run
from worker.core.engagement.points import account_acts_limit
from worker.core.engagement.rules import EngagementRules, milli

WEEK_DAYS: Final = 7
WEEKS_BEFORE: Final = 4


def spikes(inside: pl.DataFrame, rules: EngagementRules) -> pl.DataFrame:
    """
    One row an account with acts, in the order of account_id: account_id, week_milli (this week's points, those of
    nobody up to their limit), before_milli (the mean of the four weeks before), week_people, and is_spike: points and
    people enough, and at least ``spike_times`` the mean. ``inside`` is what ``points.counted`` gives.
    """
    return run(
        inside.lazy()
        .select("account_id", "person_id", "base_milli", week=pl.col("age_days") // WEEK_DAYS)
        .filter(pl.col("week") <= WEEKS_BEFORE)
        .with_columns(_ALONE, _FRESH)
        .group_by("account_id", "week")
        .agg(_OF_A_WEEK)
        .with_columns(earned=pl.col("own") + pl.min_horizontal("lone", pl.lit(account_acts_limit(rules))))
        .group_by("account_id")
        .agg(_OF_THE_WEEKS)
        .with_columns(
            is_spike=pl.all_horizontal(
                pl.col("week_milli") >= milli(rules.spike_points),
                pl.col("week_people") >= rules.spike_people,
                pl.col("week_milli") * 1000 >= pl.col("before_milli") * milli(rules.spike_times),
            )
        )
        .sort("account_id")
    )


_ALONE: Final = pl.col("person_id").is_null().alias("alone")
_FRESH: Final = pl.all_horizontal(pl.col("week") == 0, pl.col("base_milli") > 0).alias("is_fresh")
_OF_A_WEEK: Final = (
    pl.col("base_milli").filter(~pl.col("alone")).sum().alias("own"),
    pl.col("base_milli").filter("alone").sum().alias("lone"),
    pl.col("person_id").filter("is_fresh").drop_nulls().n_unique().alias("people"),
)
_OF_THE_WEEKS: Final = (
    pl.col("earned").filter(pl.col("week") == 0).sum().alias("week_milli"),
    (pl.col("earned").filter(pl.col("week") > 0).sum() // WEEKS_BEFORE).alias("before_milli"),
    pl.col("people").sum().alias("week_people"),
)
