"""
Turns a model's weights into each deal's exact shares: what is reached, pending, spread or unassigned.

This is the whole of the reached-or-pending rule, one row a deal and clock. It knows no touches beyond their number, and
no money. Called by ``allot``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from worker.core.attribution.money import FINEST, integer_for
from worker.core.attribution.path import STATE
from worker.core.attribution.rules import MIDDLE, Model, NoTouchRule
from worker.core.columns import constant, one
from worker.core.errors import Fatal

# The states of which a weight makes a difference, as numbers.
HELD, BARE, UNREACHED = (STATE.categories.to_list().index(state) for state in ("held", "bare", "unreached"))


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
    seen = pl.concat([_what_counts(groups, names)] * len(models))
    model = pl.concat([constant(number, groups.height, pl.UInt32) for number in range(len(models))])
    reached = tuple(one(state, pl.UInt32) for state in (HELD, BARE, UNREACHED))
    nothing = constant(0, model.len(), kind)
    held = bare = unreached = nothing
    middle_count = seen["touch_count"]
    positions: dict[str, Held] = {}
    for name in names:
        state, place = seen[f"state:{name}"], seen[f"holder:{name}"]
        weight = pl.Series([each.get(name, 0) for each in weights], dtype=kind)[model]
        is_held, is_bare, is_unreached = (state == number for number in reached)
        # What can only come after the clock's instant is in none of the states: the other positions are scaled up.
        held = held + weight.zip_with(is_held, nothing)
        bare = bare + weight.zip_with(is_bare, nothing)
        unreached = unreached + weight.zip_with(is_unreached, nothing)
        stands = is_held & (weight > nothing)
        taken = ~stands
        for other in () if apart else positions.values():
            taken = taken | (other.stands & (other.place == place))
        middle_count = middle_count - (~taken).cast(pl.Int64)
        positions[name] = Held(stands, place, weight)
    middle = pl.Series([each.get(MIDDLE, 0) for each in weights], dtype=kind)[model]
    weighed = _Weighed(seen, middle, middle_count, held, bare, unreached)
    divided, over = _divided(weighed, no_touch)
    return divided, {name: Held(each.stands, each.place, each.part * over) for name, each in positions.items()}


def _what_counts(groups: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """
    What of the groups decides how their weights are divided.
    """
    is_won, is_revenue = groups["outcome"] == one("won", pl.String), groups["clock"] == one("revenue", pl.String)
    return pl.DataFrame(
        [
            *groups.select(_states(tuple(names))),
            groups["touch_count"].cast(pl.Int64),
            (groups["outcome"] == one("open", pl.String)).alias("is_open"),
            (is_revenue & is_won).alias("is_settled"),
            *(groups[f"holder:{name}"].cast(pl.UInt32) for name in names),
        ]
    )


@lru_cache(maxsize=32)
def _states(names: tuple[str, ...]) -> tuple[pl.Expr, ...]:
    """
    The positions' states as numbers. Put together once: for a single deal that takes longer than their use.
    """
    return tuple(pl.col(f"state:{name}").to_physical().cast(pl.UInt32) for name in names)


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


@dataclass(frozen=True)
class _Weighed:
    """
    Of each model and group, what it ``seen`` is, the middle's weight and touches, and the weights of the positions by
    what became of them.
    """

    seen: pl.DataFrame
    middle: pl.Series
    middle_count: pl.Series
    held: pl.Series
    bare: pl.Series
    unreached: pl.Series


def _divided(weighed: _Weighed, no_touch: NoTouchRule) -> tuple[pl.DataFrame, pl.Series]:
    """
    The parts of each model and group, and the factor of its positions' weights.

    What a milestone that never happened leaves behind (won deals), what one without a touch leaves (where that is
    spread), and what an empty middle leaves, all go to the same receivers in proportion to their weights, which grow by
    the fraction ``over/under``. What is nobody's yet is pending while the deal is open and unassigned once it is
    closed.
    """
    middle, seen = weighed.middle, weighed.seen
    kind = middle.dtype
    nothing, once = constant(0, middle.len(), kind), constant(1, middle.len(), kind)
    together = weighed.held + weighed.bare + weighed.unreached
    bare = nothing if no_touch == "spread" else weighed.bare
    waiting = nothing.zip_with(seen["is_settled"], weighed.unreached)
    waits = waiting > nothing
    has_middle = weighed.middle_count > 0

    receivers, total = weighed.held + bare + waiting, together + middle
    grown = together + nothing.zip_with(has_middle | waits, middle)
    as_written = grown == receivers
    over, under = once.zip_with(as_written, grown), once.zip_with(as_written, receivers)
    # An empty path has nobody to receive; nor has a model whose every milestone can only come later.
    idle = (seen["touch_count"] == 0) | (total == nothing)
    only_middle = receivers == nothing
    apart = idle | only_middle

    middle = middle * under
    waiting = waiting * over + middle.zip_with(waits & ~has_middle, nothing)
    waiting = once.zip_with(idle, nothing.zip_with(only_middle, waiting))
    bare = nothing.zip_with(apart, bare * over)
    shared = nothing.zip_with(idle, once.zip_with(only_middle, middle.zip_with(has_middle, nothing)))
    pending = waiting.zip_with(seen["is_open"], nothing)
    unassigned = bare + nothing.zip_with(seen["is_open"], waiting)
    whole = once.zip_with(apart, total * under)
    columns = (shared.alias("middle"), weighed.middle_count.alias("middle_count"), pending.alias("pending"))
    return pl.DataFrame([*columns, unassigned.alias("unassigned"), whole.alias("whole")]), over
