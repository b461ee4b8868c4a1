"""
Weighs the touches of a path by what was learnt of their channels.

A channel's weight is divided equally among the path's own touches of that channel, in whole numbers, so that shares
stay exact. Learning is ``learn``'s; called by ``allot``.
"""

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from worker.core.attribution.money import FINEST
from worker.core.attribution.rules import Model, channel_parts
from worker.core.errors import Fatal


def weigh_channels(channels: pl.Series, group: pl.Series, at: pl.Series, model: Model) -> pl.Series:
    """
    What each touch counts within its group (Int128); 0 for a null channel and for one the model does not weigh.

    ``group`` is the row of each touch's deal and clock, ``at`` each group's instant. Raises Fatal HW-902 where a model
    that is to be learnt comes without anything learnt, HW-903 where the numbers of touches by channel have a common
    multiple too large to divide exactly.
    """
    weightings = [channel_parts(weights) for weights in model.weightings()]
    if not weightings:
        raise Fatal("HW-902", f"model {model.name} is learnt, and came without what was learnt")
    frame = pl.DataFrame({"group": group, "channel": channels, "weighting": _weighting(at, model).gather(group)})
    known = _weighed(frame.with_row_index("place"), weightings)
    multiples = known.group_by("group").agg(counts=pl.col("count").unique())
    common = [math.lcm(*counts) for counts in multiples["counts"].to_list()]
    if common and max(common) * max(sum(parts.values()) for parts in weightings) >= FINEST:
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


def decided_by(at: pl.Series, model: Model) -> pl.Series:
    """
    The number of the learning that each group goes by (Int64), ``at`` being the groups' instants; the model has some.
    """
    return pl.Series([each.number for each in model.learnings], dtype=pl.Int64).gather(_weighting(at, model))


def _weighting(at: pl.Series, model: Model) -> pl.Series:
    """
    Which of the model's weightings each group goes by: of learnings the last by the group's instant, else the first.
    """
    if len(model.learnings) < 2:
        return pl.repeat(0, at.len(), dtype=pl.UInt32, eager=True)
    since = pl.Series([each.learnt_at for each in model.learnings], dtype=at.dtype)
    learnt = since.to_physical().search_sorted(at.to_physical(), side="right")
    return (learnt.cast(pl.Int64).clip(lower_bound=1) - 1).cast(pl.UInt32)


def _weighed(frame: pl.DataFrame, weightings: Sequence[dict[str, int]]) -> pl.DataFrame:
    """
    The touches whose channel is weighed, with ``count``, how many of their group have it, and ``weight``.
    """
    counted = frame.with_columns(count=pl.len().over("group", "channel").cast(pl.Int64))
    return pl.concat(
        counted.filter((pl.col("weighting") == number) & pl.col("channel").is_in(list(parts))).with_columns(
            weight=pl.col("channel").replace_strict(parts, return_dtype=pl.Int128)
        )
        for number, parts in enumerate(weightings)
    )
