"""
Says which accounts are at a peak: the points of this week against the mean of the four weeks before.

A week is seven UTC days, the present day the last of the first. Points count as they were earned, before any half-life,
so that an old week is not the smaller for being old. Called by ``standing``.
"""

from typing import Final

import polars as pl

from worker.core.engagement.points import account_acts_limit
from worker.core.engagement.rules import EngagementRules, milli

WEEK_DAYS: Final = 7
WEEKS_BEFORE: Final = 4


def spikes(inside: pl.DataFrame, rules: EngagementRules) -> pl.DataFrame:
    """
    One row an account with acts: account_id, week_milli (this week's points, those of nobody up to their limit),
    before_milli (the mean of the four weeks before), week_people, and is_spike: points and people enough, and at least
    ``spike_times`` the mean. ``inside`` is what ``points.counted`` gives.
    """
    week, alone = pl.col("week"), pl.col("person_id").is_null()
    earned = pl.col("own") + pl.min_horizontal("lone", pl.lit(account_acts_limit(rules)))
    return (
        inside.select("account_id", "person_id", "base_milli", week=pl.col("age_days") // WEEK_DAYS)
        .filter(week <= WEEKS_BEFORE)
        .group_by("account_id", "week")
        .agg(
            own=pl.col("base_milli").filter(~alone).sum(),
            lone=pl.col("base_milli").filter(alone).sum(),
            people=pl.col("person_id").filter((week == 0) & (pl.col("base_milli") > 0)).drop_nulls().n_unique(),
        )
        .group_by("account_id")
        .agg(
            week_milli=earned.filter(week == 0).sum(),
            before_milli=earned.filter(week > 0).sum() // WEEKS_BEFORE,
            week_people=pl.col("people").sum(),
        )
        .with_columns(
            is_spike=(pl.col("week_milli") >= milli(rules.spike_points))
            & (pl.col("week_people") >= rules.spike_people)
            & (pl.col("week_milli") * 1000 >= pl.col("before_milli") * milli(rules.spike_times))
        )
    )
