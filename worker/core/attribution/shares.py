"""
Turns a model's weights into each deal's exact shares: what is reached, pending, spread or unassigned.

This is the whole of the reached-or-pending rule, one row a deal and clock. It knows no touches beyond their number, and
no money. Called by ``allot``.
"""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from worker.core.attribution.rules import MIDDLE, Model, NoTouchRule


def divide_weights(
    groups: pl.DataFrame, models: Sequence[Model], no_touch: NoTouchRule, *, apart: bool = False
) -> pl.DataFrame:
    """
    Divide the models' weights over what each group (deal and clock) has of them.

    ``groups`` as ``PathSet.clocks``; ``apart`` as ``PathSet.apart``. One row a model and group, model after model with
    the groups in the same order, whole numbers (Int64): ``whole``, of which ``pending``, ``unassigned`` and ``middle``
    (for all middle touches together) are parts; ``middle_count``, the touches in the middle; and for each position P
    that any of the models weighs ``weighed:P``, the place of the touch that holds P (null where none does, or the model
    does not weigh P), and ``held:P``, the part of **the touch** that holds P, its positions added (null likewise).
    ``pending + unassigned + middle`` and the parts of the distinct holders add up to ``whole``, exactly.
    """
    weights = [model.parts() for model in models]
    names = list(dict.fromkeys(name for each in weights for name in each if name != MIDDLE))
    settled = (pl.col("clock") == "revenue") & (pl.col("outcome") == "won")
    return (
        _stacked(groups, weights, names)
        .lazy()
        .with_columns(_live(name) for name in names)
        .with_columns(_weighed(name) for name in names)
        .with_columns(
            middle_count=pl.col("touch_count").cast(pl.Int64) - _distinct_holders(names, apart=apart),
            weighed=_total(names),
            held=_total(names, "held"),
            bare=pl.lit(0, pl.Int64) if no_touch == "spread" else _total(names, "bare"),
            waiting=pl.when(settled).then(0).otherwise(_total(names, "unreached")),
        )
        .pipe(_scaled)
        .select(
            *_parts(),
            *(f"weighed:{name}" for name in names),
            *(_of_touch(name, [name] if apart else names) for name in names),
        )
        .collect()
    )


def _stacked(groups: pl.DataFrame, weights: Sequence[Mapping[str, int]], names: Sequence[str]) -> pl.DataFrame:
    """
    The groups once for each model, with the model's weight of each position (null where it weighs it not at all) and
    of the middle.
    """
    columns = {f"weight:{name}": [each.get(name) for each in weights] for name in names}
    table = pl.DataFrame(
        columns | {"middle": [each.get(MIDDLE, 0) for each in weights]},
        schema=dict.fromkeys([*columns, "middle"], pl.Int64),
    )
    model = pl.int_range(len(weights) * groups.height, eager=True) // max(1, groups.height)
    return pl.concat([groups] * len(weights)).hstack(table[model])


def _live(name: str) -> pl.Expr:
    """
    A position's weight, none if it can only come after the clock's instant: the others are scaled up.
    """
    is_later = pl.col(f"state:{name}") == "later"
    return pl.when(is_later).then(0).otherwise(f"weight:{name}").cast(pl.Int64).alias(f"live:{name}")


def _weighed(name: str) -> pl.Expr:
    """
    The holder of a position that the model weighs.
    """
    return pl.when(pl.col(f"weight:{name}").is_not_null()).then(f"holder:{name}").alias(f"weighed:{name}")


def _total(names: Sequence[str], state: str | None = None) -> pl.Expr:
    """
    The weights of the positions in that state, or of all.
    """
    inside = (
        pl.when(pl.col(f"state:{name}") == state).then(f"live:{name}").otherwise(0) if state else pl.col(f"live:{name}")
        for name in names
    )
    return pl.sum_horizontal(pl.lit(0, pl.Int64), *inside)


def _distinct_holders(names: Sequence[str], *, apart: bool) -> pl.Expr:
    """
    How many touches hold at least one of these positions.
    """
    firsts = []
    for number, name in enumerate(names):
        holder = pl.col(f"weighed:{name}")
        taken = (
            (holder == pl.col(f"weighed:{other}")).fill_null(value=False) for other in names[: 0 if apart else number]
        )
        firsts.append((holder.is_not_null() & ~pl.any_horizontal(pl.lit(value=False), *taken)).cast(pl.Int64))
    return pl.sum_horizontal(pl.lit(0, pl.Int64), *firsts)


def _scaled(frame: pl.LazyFrame) -> pl.LazyFrame:
    """
    By which fraction ``over/under`` the receiving positions' weights grow, and the cases in which none receives.

    What a milestone that never happened leaves behind (won deals), what one without a touch leaves (where that is
    spread), and what an empty middle leaves, all go to the same receivers in proportion to their weights.
    """
    middle_spreads = (pl.col("middle_count") == 0) & (pl.col("waiting") == 0)
    return (
        frame.with_columns(
            receivers=pl.col("held") + pl.col("bare") + pl.col("waiting"),
            grown=pl.col("weighed") + pl.when(middle_spreads).then("middle").otherwise(0),
            total=pl.col("weighed") + pl.col("middle"),
        )
        .with_columns(as_written=pl.col("grown") == pl.col("receivers"))
        .with_columns(
            over=pl.when("as_written").then(1).otherwise("grown"),
            under=pl.when("as_written").then(1).otherwise("receivers"),
            # An empty path has nobody to receive; nor has a model whose every milestone can only come later.
            idle=(pl.col("touch_count") == 0) | (pl.col("total") == 0),
            only_middle=pl.col("receivers") == 0,
        )
    )


def _parts() -> Iterable[pl.Expr]:
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
    yield pl.when("idle").then(0).when("only_middle").then(1).otherwise(shared).cast(pl.Int64).alias("middle")
    yield pl.when(is_open).then(waiting).otherwise(0).cast(pl.Int64).alias("pending")
    yield (bare + pl.when(is_open).then(0).otherwise(waiting)).cast(pl.Int64).alias("unassigned")
    whole = pl.when(pl.col("idle") | pl.col("only_middle")).then(1).otherwise(pl.col("total") * pl.col("under"))
    yield whole.cast(pl.Int64).alias("whole")


def _of_touch(name: str, names: Sequence[str]) -> pl.Expr:
    """
    The part of the touch that holds this position: all it holds, added; null where nobody does.
    """
    holder = pl.col(f"weighed:{name}")
    held = (pl.when(pl.col(f"weighed:{other}") == holder).then(f"live:{other}").otherwise(0) for other in names)
    added = pl.sum_horizontal(pl.lit(0, pl.Int64), *held) * pl.col("over")
    return pl.when(holder.is_not_null()).then(added).cast(pl.Int64).alias(f"held:{name}")
