"""
Turns a model's weights into each deal's exact shares: what is reached, pending, spread or unassigned.

This is the whole of the reached-or-pending rule, one row a deal and clock. It knows no touches beyond their number, and
no money. Called by ``allot``.
"""

from collections.abc import Iterable, Sequence

import polars as pl

from worker.core.attribution.rules import MIDDLE, Model, NoTouchRule


def divide_weights(groups: pl.DataFrame, model: Model, no_touch: NoTouchRule, *, apart: bool = False) -> pl.DataFrame:
    """
    Divide the model's weights over what each group (deal and clock) has of it.

    ``groups`` as ``PathSet.clocks``; ``apart`` as ``PathSet.apart``. One row a group, in the same order, whole numbers
    (Int64): ``whole``, of which ``pending``, ``unassigned`` and ``middle`` (for all middle touches together) are parts;
    ``middle_count``, the touches in the middle; and for each position P that the model weighs ``held:P``, the part of
    **the touch** that holds P, its positions added (null where none does). ``pending + unassigned + middle`` and the
    parts of the distinct holders add up to ``whole``, exactly.
    """
    parts = model.parts()
    names = [name for name in parts if name != MIDDLE]
    middle = parts.get(MIDDLE, 0)
    settled = (pl.col("clock") == "revenue") & (pl.col("outcome") == "won")
    return (
        groups.lazy()
        .with_columns(_live(name, parts[name]).alias(f"live:{name}") for name in names)
        .with_columns(
            middle_count=pl.col("touch_count").cast(pl.Int64) - _distinct_holders(names, apart=apart),
            weighed=_total(names),
            held=_total(names, "held"),
            bare=pl.lit(0, pl.Int64) if no_touch == "spread" else _total(names, "bare"),
            waiting=pl.when(settled).then(0).otherwise(_total(names, "unreached")),
        )
        .pipe(_scaled, middle)
        .select(*_parts(middle), *(_of_touch(name, [name] if apart else names) for name in names))
        .collect()
    )


def _live(name: str, weight: int) -> pl.Expr:
    """
    A position's weight, none if it can only come after the clock's instant: the others are scaled up.
    """
    return pl.when(pl.col(f"state:{name}") == "later").then(0).otherwise(weight).cast(pl.Int64)


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
        holder = pl.col(f"holder:{name}")
        taken = (
            (holder == pl.col(f"holder:{other}")).fill_null(value=False) for other in names[: 0 if apart else number]
        )
        firsts.append((holder.is_not_null() & ~pl.any_horizontal(pl.lit(value=False), *taken)).cast(pl.Int64))
    return pl.sum_horizontal(pl.lit(0, pl.Int64), *firsts)


def _scaled(frame: pl.LazyFrame, middle: int) -> pl.LazyFrame:
    """
    By which fraction ``over/under`` the receiving positions' weights grow, and the cases in which none receives.

    What a milestone that never happened leaves behind (won deals), what one without a touch leaves (where that is
    spread), and what an empty middle leaves, all go to the same receivers in proportion to their weights.
    """
    middle_spreads = (pl.col("middle_count") == 0) & (pl.col("waiting") == 0)
    return (
        frame.with_columns(
            receivers=pl.col("held") + pl.col("bare") + pl.col("waiting"),
            grown=pl.col("weighed") + pl.when(middle_spreads).then(middle).otherwise(0),
            total=pl.col("weighed") + middle,
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


def _parts(middle: int) -> Iterable[pl.Expr]:
    """
    The parts of a group. What is nobody's yet is pending while the deal is open and unassigned once it is closed.
    """
    is_open = pl.col("outcome") == "open"
    has_middle = pl.col("middle_count") > 0
    middle_waits = ~has_middle & (pl.col("waiting") > 0)
    waiting = pl.col("waiting") * pl.col("over") + pl.when(middle_waits).then(middle * pl.col("under")).otherwise(0)
    waiting = pl.when("idle").then(1).when("only_middle").then(0).otherwise(waiting)
    bare = pl.when(pl.col("idle") | pl.col("only_middle")).then(0).otherwise(pl.col("bare") * pl.col("over"))
    shared = pl.when(has_middle).then(middle * pl.col("under")).otherwise(0)
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
    holder = pl.col(f"holder:{name}")
    held = (pl.when(pl.col(f"holder:{other}") == holder).then(f"live:{other}").otherwise(0) for other in names)
    added = pl.sum_horizontal(pl.lit(0, pl.Int64), *held) * pl.col("over")
    return pl.when(holder.is_not_null()).then(added).cast(pl.Int64).alias(f"held:{name}")
