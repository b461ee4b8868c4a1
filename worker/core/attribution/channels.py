"""
Weighs the touches of a path by what was learnt of their channels.

A channel's weight is divided equally among the path's own touches of that channel, in whole numbers, so that shares
stay exact. Learning is ``learn``'s; called by ``allot``.
"""

import math
from typing import Any

import polars as pl

from worker.core.attribution.money import FINEST
from worker.core.attribution.rules import Model
from worker.core.errors import Fatal


def weigh_channels(channels: pl.Series, group: pl.Series, model: Model) -> pl.Series:
    """
    What each touch counts within its group (Int128); 0 for a null channel and for one the model does not weigh.

    ``group`` is the row of each touch's deal and clock. Raises Fatal HW-903 where the numbers of touches by channel
    have a common multiple too large to divide exactly.
    """
    parts = model.channel_parts()
    frame = pl.DataFrame({"group": group, "channel": channels}).with_row_index("place")
    known = frame.filter(pl.col("channel").is_in(list(parts))).with_columns(
        count=pl.len().over("group", "channel").cast(pl.Int64),
        weight=pl.col("channel").replace_strict(parts, return_dtype=pl.Int128),
    )
    multiples = known.group_by("group").agg(counts=pl.col("count").unique())
    common = [math.lcm(*counts) for counts in multiples["counts"].to_list()]
    if common and max(common) * sum(parts.values()) >= FINEST:
        raise Fatal(
            "HW-903",
            f"model {model.name} cannot divide a path with so many touches of so many channels exactly",
            actions=[f"give {model.name} rounder channel weights, or shorten lookback_days"],
        )
    scales: dict[str, Any] = {"group": multiples["group"], "common": pl.Series(common, dtype=pl.Int128)}
    weighed = known.join(pl.DataFrame(scales), on="group", how="left", maintain_order="left").select(
        "place", each=pl.col("weight") * (pl.col("common") // pl.col("count").cast(pl.Int128))
    )
    each = pl.repeat(0, channels.len(), dtype=pl.Int128, eager=True)
    return each.scatter(weighed["place"], weighed["each"])
