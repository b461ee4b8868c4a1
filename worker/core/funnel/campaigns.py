"""
Ranks campaigns within a half-year by what they brought for what they cost, and names the lowest tenth.
"""

from datetime import datetime, timedelta

import polars as pl


def ranked(campaigns: pl.DataFrame, now: datetime, cycle: timedelta | None) -> pl.DataFrame:
    """
    ``campaigns`` (half, cost, pipeline, first_touch_at) with ``rank`` (1 is the best of its half; null where it is not
    ranked) and ``standing``: "maturing" while younger than the median ``cycle``, "no cost known", "lowest tenth", or
    null. What is measured is pipeline for each unit of cost, so that one without a cost has no rank among those with
    one; in a half where none has a cost it is pipeline alone. Where nobody was touched there is neither.
    """
    young = pl.col("first_touch_at") > now - (cycle or timedelta(0))
    is_ripe = pl.col("first_touch_at").is_not_null() & ~young
    has_cost = (pl.col("cost") > 0).fill_null(value=False)
    is_judged = is_ripe & (has_cost | ~(has_cost & is_ripe.fill_null(value=False)).any().over("half"))
    pipeline = pl.col("pipeline").fill_null(0).cast(pl.Float64)
    per_cost = pl.when(has_cost).then(pipeline / pl.col("cost").cast(pl.Float64))
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
        standing=pl.when(young).then(pl.lit("maturing")).when(is_ripe).then(pl.lit("no cost known")),
    )
    return pl.concat([judged, rest], how="vertical_relaxed").sort("half", "rank", "campaign", nulls_last=True)
