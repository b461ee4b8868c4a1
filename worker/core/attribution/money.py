"""
Whole units of money out of exact shares, by largest remainder.

Every item first gets its share rounded down; the units left over go one each to the largest remainders, of equal
remainders to the item that stands first. A negative amount is divided as its absolute value and negated. Called by
``allot``.

Why 128 bits suffice: denominators are below 2^94 (``FINEST``) and money is below 2^64. Where amount x numerator might
not fit, the amount is divided in two digits of 32 bits, each product below 2^126. polars says nothing when a product
or a sum overflows, hence the bounds here; its floor division and remainder are exact at every width.
"""

from typing import Final

import polars as pl

from worker.core.chain import queried
from worker.core.columns import constant, filled, group_starts, group_sums, numbers, one

FINEST: Final = 2**94
DIGIT: Final = 2**32

_IN_ORDER: Final = pl.arg_sort_by("key", maintain_order=True)


def largest_remainders(
    amounts: pl.Series, numerators: pl.Series, denominators: pl.Series, group: pl.Series
) -> pl.Series:
    """
    Units (Int64) for each item, adding up to its group's amount; null where the amount is null.

    ``amounts`` and ``denominators`` are one value a group; ``numerators`` and ``group`` (the group's row) one an item,
    groups one after the other and none without an item, items in the order that settles equal remainders. A group's
    numerators add up to its denominator, which is below FINEST.
    """
    if group.is_empty():
        return pl.Series([], dtype=pl.Int64)
    starts = group_starts(group)
    sizes = filled(amounts, 0).cast(pl.Int128)
    zero = one(0, pl.Int128)
    sizes = sizes.zip_with(sizes >= zero, zero - sizes)
    floors, rests = _floored(sizes, numerators, denominators, group)
    left_over = sizes - group_sums(floors.cast(integer_for(_largest(sizes) * sizes.len())), starts)
    if _largest(left_over):
        rounded_up = _first_of_each(rests, left_over, _largest(denominators), group, starts)
        floors = floors.scatter(rounded_up, floors[rounded_up] + one(1, floors.dtype))
    if amounts.null_count() or amounts.min() < 0:  # type: ignore[operator]
        signs = constant(1, amounts.len(), floors.dtype).zip_with(amounts >= 0, one(None, floors.dtype))
        signs = one(-1, floors.dtype).zip_with(amounts < 0, signs)
        floors = floors * signs[group]
    return floors.cast(pl.Int64)


def integer_for(bound: int) -> pl.DataType:
    """
    The narrower of the two integers that holds every number up to this bound.
    """
    return pl.Int64() if bound < 2**63 else pl.Int128()


def _floored(
    sizes: pl.Series, numerators: pl.Series, denominators: pl.Series, group: pl.Series
) -> tuple[pl.Series, pl.Series]:
    """
    size x numerator / denominator rounded down, and the remainder.
    """
    bound = max(1, _largest(sizes)) * _largest(denominators)
    width = integer_for(bound)
    size, divisor = sizes.cast(width)[group], denominators.cast(width)[group]
    factor = numerators.cast(width)
    if bound < 2**126:
        product = size * factor
        floors = product // divisor
        return floors, product - floors * divisor
    digit = constant(DIGIT, group.len(), pl.Int128)
    high = (size // digit) * factor
    low = (high % divisor) * digit + (size % digit) * factor
    return (high // divisor) * digit + low // divisor, low % divisor


def _first_of_each(rests: pl.Series, left_over: pl.Series, span: int, group: pl.Series, starts: pl.Series) -> pl.Series:
    """
    The rows of the largest remainders, as many of each group as it has units left over; ``span`` exceeds them all.
    """
    # One number orders rows by group and falling remainder, and a stable sort keeps equals in their order.
    width = integer_for(starts.len() * span)
    spans = pl.Series([span], dtype=width)
    keys = group.cast(width) * spans + (spans - one(1, width) - rests.cast(width))
    order = queried(keys.to_frame("key"), _IN_ORDER)
    # Sorted by group first, every group keeps its rows' places, so a place within the group is a rank.
    rank = numbers(group.len()) - starts[group]
    return order.filter(rank < left_over.cast(pl.UInt32)[group])


def _largest(values: pl.Series) -> int:
    return int(values.max())  # type: ignore[arg-type]
