"""
Turns a model's weights into each deal's exact shares: what is reached, pending, spread or unassigned.

This is the whole of the reached-or-pending rule, one row a deal and clock. It knows no touches beyond their number, and
no money. Called by ``allot``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from worker.core.attribution.columns import constant
from worker.core.attribution.money import FINEST, integer_for
from worker.core.attribution.rules import MIDDLE, Model, NoTouchRule
from worker.core.errors import Fatal


@dataclass(frozen=True)
class Held:
    """
    A position over all models and groups: ``stands`` where a touch holds it and the model weighs it; there ``place``
    is that touch's and ``part`` what it gets for the position.
    """

    stands: pl.Series
    place: pl.Series
    part: pl.Series


def divide_weights(
    groups: pl.DataFrame, models: Sequence[Model], no_touch: NoTouchRule, *, apart: bool = False
) -> tuple[pl.DataFrame, dict[str, Held]]:
    """
    Divide the models' weights over what each group (deal and clock) has of them.

    ``groups`` as ``PathSet.clocks``; ``apart`` as ``PathSet.apart``. One row a model and group, model after model with
    the groups in the same order, whole numbers (Int64; Int128 where weights are that fine): ``whole``, of which
    ``pending``, ``unassigned`` and ``middle`` (for all middle touches together) are parts; ``middle_count``, the
    touches in the middle. Beside them, with the same rows, every position that any of the models weighs; a touch that
    holds several gets their parts added. ``pending + unassigned + middle`` and the parts of the positions that stand
    add up to ``whole``, exactly.

    Raises Fatal HW-903 for weights so fine that no integer holds what they are scaled to.
    """
    weights = [model.parts() for model in models]
    names = list(dict.fromkeys(name for each in weights for name in each if name != MIDDLE))
    kind = _integer_of(models, weights)
    model = pl.concat(constant(number, groups.height, pl.UInt32) for number in range(len(models)))
    stacked = pl.concat([groups] * len(models))
    nothing = constant(0, model.len(), kind)
    totals, middle_count = dict.fromkeys(("held", "bare", "unreached"), nothing), stacked["touch_count"].cast(pl.Int64)
    positions: dict[str, Held] = {}
    for name in names:
        state, place = stacked[f"state:{name}"], stacked[f"holder:{name}"]
        weight = pl.Series([each.get(name, 0) for each in weights], dtype=kind)[model]
        # What can only come after the clock's instant is in none of the states: the other positions are scaled up.
        for reached in totals:
            totals[reached] = totals[reached] + weight.zip_with(state == reached, nothing)
        stands = (state == "held") & (weight > 0)
        taken = ~stands
        for other in () if apart else positions.values():
            taken = taken | (other.stands & (other.place == place))
        middle_count = middle_count - (~taken).cast(pl.Int64)
        positions[name] = Held(stands, place, weight)
    middle = pl.Series([each.get(MIDDLE, 0) for each in weights], dtype=kind)[model]
    columns = [middle.alias("middle"), middle_count.alias("middle_count"), *(totals[n].alias(n) for n in totals)]
    frame = stacked.select("clock", "outcome", "touch_count").hstack(columns).lazy()
    *steps, parts = _steps(kind, no_touch)
    for step in steps:
        frame = frame.with_columns(step)
    divided = frame.select(parts).collect(optimizations=pl.QueryOptFlags.none())
    over = divided["over"]
    return divided, {name: Held(each.stands, each.place, each.part * over) for name, each in positions.items()}


@lru_cache(maxsize=8)
def _steps(kind: pl.DataType, no_touch: NoTouchRule) -> tuple[tuple[pl.Expr, ...], ...]:
    """
    The columns of each step, the last being the answer's. Put together once: for a single deal that takes longer than
    what the expressions compute.
    """
    settled = (pl.col("clock") == "revenue") & (pl.col("outcome") == "won")
    return (
        (
            (pl.col("held") + pl.col("bare") + pl.col("unreached")).alias("weighed"),
            (pl.lit(0, kind) if no_touch == "spread" else pl.col("bare")).alias("bare"),
            pl.when(settled).then(0).otherwise("unreached").alias("waiting"),
        ),
        *_scaled(),
        tuple(_parts(kind)),
    )


def _integer_of(models: Sequence[Model], weights: Sequence[Mapping[str, int]]) -> pl.DataType:
    """
    The integer that holds the models' weights times their sum, which is the most that scaling makes of them.
    """
    largest = 0
    for model, each in zip(models, weights, strict=True):
        largest = max(largest, sum(each.values()) ** 2)
        if largest >= FINEST:
            raise Fatal(
                "HW-903",
                f"model {model.name} cannot divide this path exactly",
                actions=[f"give {model.name} rounder weights"],
            )
    return integer_for(largest)


def _scaled() -> Iterable[tuple[pl.Expr, ...]]:
    """
    By which fraction ``over/under`` the receiving positions' weights grow, and the cases in which none receives; a step
    a time.

    What a milestone that never happened leaves behind (won deals), what one without a touch leaves (where that is
    spread), and what an empty middle leaves, all go to the same receivers in proportion to their weights.
    """
    middle_spreads = (pl.col("middle_count") == 0) & (pl.col("waiting") == 0)
    yield (
        (pl.col("held") + pl.col("bare") + pl.col("waiting")).alias("receivers"),
        (pl.col("weighed") + pl.when(middle_spreads).then("middle").otherwise(0)).alias("grown"),
        (pl.col("weighed") + pl.col("middle")).alias("total"),
    )
    as_written = pl.col("grown") == pl.col("receivers")
    yield (
        pl.when(as_written).then(1).otherwise("grown").alias("over"),
        pl.when(as_written).then(1).otherwise("receivers").alias("under"),
        # An empty path has nobody to receive; nor has a model whose every milestone can only come later.
        ((pl.col("touch_count") == 0) | (pl.col("total") == 0)).alias("idle"),
        (pl.col("receivers") == 0).alias("only_middle"),
    )


def _parts(kind: pl.DataType) -> Iterable[pl.Expr]:
    """
    The parts of a group. What is nobody's yet is pending while the deal is open and unassigned once it is closed.
    """
    is_open = pl.col("outcome") == "open"
    has_middle = pl.col("middle_count") > 0
    middle = pl.col("middle") * pl.col("under")
    middle_waits = ~has_middle & (pl.col("waiting") > 0)
    waiting = pl.col("waiting") * pl.col("over") + pl.when(middle_waits).then(middle).otherwise(0)
    waiting = pl.when("idle").then(1).when("only_middle").then(0).otherwise(waiting)
    bare = pl.when(pl.col("idle") | pl.col("only_middle")).then(0).otherwise(pl.col("bare") * pl.col("over"))
    shared = pl.when(has_middle).then(middle).otherwise(0)
    yield pl.col("middle_count")
    yield pl.col("over").cast(kind)
    yield pl.when("idle").then(0).when("only_middle").then(1).otherwise(shared).cast(kind).alias("middle")
    yield pl.when(is_open).then(waiting).otherwise(0).cast(kind).alias("pending")
    yield (bare + pl.when(is_open).then(0).otherwise(waiting)).cast(kind).alias("unassigned")
    whole = pl.when(pl.col("idle") | pl.col("only_middle")).then(1).otherwise(pl.col("total") * pl.col("under"))
    yield whole.cast(kind).alias("whole")
