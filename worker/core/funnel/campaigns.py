"""
Ranks campaigns within a half-year by what they brought for what they cost, and names the lowest tenth.
"""

from datetime import datetime, timedelta

import polars as pl


def ranked(campaigns: pl.DataFrame, now: datetime, cycle: timedelta | None) -> pl.DataFrame:
    """
    ``campaigns`` (half, cost, pipeline, first_touch_at) with ``rank`` (1 is the best of its half; null where it is too
    young, or nobody was touched) and ``standing``: "maturing" while younger than the median ``cycle``, "lowest tenth",
    or null. What is measured is pipeline for each unit of cost; those without a cost are ranked after, by pipeline.
    """
    young = pl.col("first_touch_at") > now - (cycle or timedelta(0))
    is_judged = pl.col("first_touch_at").is_not_null() & ~young
    pipeline = pl.col("pipeline").fill_null(0).cast(pl.Float64)
    per_cost = pl.when(pl.col("cost") > 0).then(pipeline / pl.col("cost").cast(pl.Float64))
    judged = (
        campaigns.filter(is_judged)
        .with_columns(per_cost=per_cost, pipeline_value=pipeline)
        .sort("half", "per_cost", "pipeline_value", "campaign", descending=[False, True, True, False], nulls_last=True)
        .with_columns(rank=pl.int_range(pl.len()).over("half") + 1, of=pl.len().over("half"))
        .with_columns(standing=pl.when(pl.col("rank") > pl.col("of") - pl.col("of") // 10).then(pl.lit("lowest tenth")))
        .drop("per_cost", "pipeline_value", "of")
    )
    rest = campaigns.filter(~is_judged.fill_null(value=False)).with_columns(
        rank=pl.lit(None, judged.schema["rank"]),
        standing=pl.when(pl.col("first_touch_at").is_not_null()).then(pl.lit("maturing")),
    )
    return pl.concat([judged, rest], how="vertical_relaxed").sort("half", "rank", "campaign", nulls_last=True)
