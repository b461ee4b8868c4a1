"""
Turns a model's weights into a deal's exact shares: what is reached, pending, spread or unassigned.

This is the whole of the reached-or-pending rule. Of a deal on a clock it looks at no more than its *situation*, of
which there are few among however many deals: the rule divides each situation once, and deals look up what theirs gets.
It knows no touches beyond their number and who of them holds two positions, and no money. Called by ``allot``.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Final, NamedTuple

import polars as pl

from worker.core import chain
from worker.core.attribution.money import FINEST, integer_for
from worker.core.attribution.path import STATE
from worker.core.attribution.rules import MIDDLE, Model, NoTouchRule
from worker.core.columns import one
from worker.core.errors import Fatal

STATES: Final = STATE.categories.to_list()

# A model's weights as whole numbers, by position and for the middle.
Weights = tuple[tuple[str, int], ...]


class Situation(NamedTuple):
    """
    All of a deal on a clock that decides how weights are divided. ``touch_count`` is told up to one more than there are
    positions: with so many, some are in the middle whoever holds what. Of each position ``states`` has the state, and
    ``holders`` the number of the first position with the same holder.
    """

    outcome: str
    clock: str
    touch_count: int
    states: tuple[str, ...]
    holders: tuple[int, ...]


class Parts(NamedTuple):
    """
    What a situation gets under a model: ``whole``, of which ``pending``, ``unassigned``, ``middle`` (for all middle
    touches together) and ``held`` are parts that add up to it. ``held`` has, at the first of a touch's positions, what
    it gets for all of them; None elsewhere and where it gets nothing. ``holder_count`` touches get something so.
    """

    whole: int
    middle: int
    pending: int
    unassigned: int
    holder_count: int
    held: tuple[int | None, ...]


def weighed_positions(models: Sequence[Model]) -> tuple[str, ...]:
    """
    Every position that any of the models weighs.
    """
    return tuple(dict.fromkeys(name for model in models for name in model.parts() if name != MIDDLE))


def situations(groups: pl.DataFrame, positions: Sequence[str]) -> tuple[tuple[Situation, ...], pl.Series]:
    """
    The different situations of deals and clocks (``PathSet.clocks``) with regard to these positions, and the number of
    each row's among them.
    """
    most = one(len(positions) + 1, groups["touch_count"].dtype)
    touch_count = groups["touch_count"].zip_with(groups["touch_count"] < most, most)
    states = chain.run(groups.lazy().select(_states(tuple(positions))))
    holders = (groups[f"holder:{name}"] for name in positions)
    columns = (groups["outcome"], groups["clock"], touch_count, *states, *holders)
    # Equal rows are one before anything is made of them: deals by the thousand are mostly equal ones.
    rows: defaultdict[tuple[Any, ...], int] = defaultdict(count().__next__)
    row = pl.Series(
        [rows[each] for each in zip(*(column.to_list() for column in columns), strict=True)], dtype=pl.UInt32
    )
    numbers: defaultdict[Situation, int] = defaultdict(count().__next__)
    number = pl.Series([numbers[_situation(each, len(positions))] for each in rows], dtype=pl.UInt32)
    return tuple(numbers), number[row]


def _situation(row: tuple[Any, ...], positions: int) -> Situation:
    outcome, clock, touch_count, *others = row
    states, holders = others[:positions], others[positions:]
    told = tuple(STATES[state] for state in states)
    return Situation(outcome, clock, touch_count, told, tuple(map(holders.index, holders)))


@lru_cache(maxsize=32)
def _states(positions: tuple[str, ...]) -> tuple[pl.Expr, ...]:
    """
    The positions' states as numbers, which are told apart in a fraction of the time that words are.
    """
    return tuple(pl.col(f"state:{name}").to_physical() for name in positions)


def divide_weights(
    models: Sequence[Model], positions: tuple[str, ...], different: tuple[Situation, ...], no_touch: NoTouchRule
) -> pl.DataFrame:
    """
    ``Parts`` of each model and of these situations with regard to these positions, one row each, model after model with
    the situations in the same order: whole numbers (Int64; Int128 where weights are that fine), ``held:P`` for each
    position P.

    Raises Fatal HW-903 for weights so fine that no integer holds what they are scaled to.
    """
    weights = tuple(tuple(model.parts().items()) for model in models)
    return _table(weights, positions, different, no_touch, _integer_of(models, weights))


# A single deal is mostly in a situation that was seen before, and looking it up takes a hundredth of dividing it.
@lru_cache(maxsize=128)
def _table(
    weights: tuple[Weights, ...],
    positions: tuple[str, ...],
    different: tuple[Situation, ...],
    no_touch: NoTouchRule,
    kind: pl.DataType,
) -> pl.DataFrame:
    parts = [_divided(dict(each), positions, situation, no_touch) for each in weights for situation in different]
    columns = {name: [getattr(each, name) for each in parts] for name in Parts._fields if name != "held"}
    columns |= {f"held:{name}": [each.held[place] for each in parts] for place, name in enumerate(positions)}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, kind))


def _divided(weights: dict[str, int], positions: tuple[str, ...], situation: Situation, no_touch: NoTouchRule) -> Parts:
    """
    The rule. What a milestone that never happened leaves behind (won deals), what one without a touch leaves (where
    that is spread), and what an empty middle leaves, all go to the same receivers in proportion to their weights, which
    grow by the fraction ``over/under``. What is nobody's yet is pending while the deal is open and unassigned once it
    is closed. What can only come after the clock's instant is in none of the states: the others are scaled up.
    """
    by_state = dict.fromkeys(situation.states, 0)
    by_holder: dict[int, int] = {}
    for name, state, holder in zip(positions, situation.states, situation.holders, strict=True):
        weight = weights.get(name, 0)
        by_state[state] += weight
        if state == "held" and weight:
            by_holder[holder] = by_holder.get(holder, 0) + weight
    held, bare, unreached = (by_state.get(state, 0) for state in ("held", "bare", "unreached"))
    middle = weights.get(MIDDLE, 0)
    has_middle = situation.touch_count > len(by_holder)
    never_comes = situation.outcome == "won" and situation.clock == "revenue"
    waiting = 0 if never_comes else unreached
    left_bare = 0 if no_touch == "spread" else bare

    total, receivers = held + bare + unreached + middle, held + left_bare + waiting
    if not situation.touch_count or not total:
        # An empty path has nobody to receive; nor has a model whose every milestone can only come later.
        whole, shared, waiting, left_bare, over = 1, 0, 1, 0, 1
    elif not receivers:
        whole, shared, over = 1, 1, 1
    else:
        grown = total if not (has_middle or waiting) else total - middle
        over, under = (1, 1) if grown == receivers else (grown, receivers)
        whole, shared, left_bare = total * under, middle * under if has_middle else 0, left_bare * over
        if waiting:
            waiting = waiting * over + (0 if has_middle else middle * under)
    is_open = situation.outcome == "open"
    return Parts(
        whole=whole,
        middle=shared,
        pending=waiting if is_open else 0,
        unassigned=left_bare + (0 if is_open else waiting),
        holder_count=len(by_holder),
        held=tuple(by_holder[place] * over if place in by_holder else None for place in range(len(positions))),
    )


def _integer_of(models: Sequence[Model], weights: Sequence[Weights]) -> pl.DataType:
    """
    The integer that holds the models' weights times their sum, which is the most that scaling makes of them.
    """
    largest = 0
    for model, each in zip(models, weights, strict=True):
        largest = max(largest, sum(weight for _, weight in each) ** 2)
        if largest >= FINEST:
            raise Fatal(
                "HW-903",
                f"model {model.name} cannot divide this path exactly",
                actions=[f"give {model.name} rounder weights"],
            )
    return integer_for(largest)
