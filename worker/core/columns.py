"""
Steps on whole columns that decisions share: constants, lookups, expanding groups, sums over them.

A polars method that builds a query costs twenty microseconds or more whatever the size, a join seventy, and a single
deal is nothing but such costs. Arithmetic, comparison, ``column[rows]``, ``filter`` by a mask, ``zip_with`` and
``scatter`` cost one or two. So attribution works on columns, and what polars has as a query only is put together here.
Rows are UInt32; a null row gives null, and a null in a mask counts as False. ``scatter`` changes the column that it is
called on: only a column made on the spot may be. Called by ``deals``, ``attribution``, ``engagement`` and the
attribution flow.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import polars as pl

from worker.core.chain import queried
from worker.core.frames import INSTANT
from worker.core.instants import microseconds

DType = pl.DataType | type[pl.DataType]

# Beyond this many rows a query costs less than a step for each of several kinds.
_MANY: Final = 1_000
_NUMBERS: Final = pl.int_range(50_000, dtype=pl.UInt32, eager=True)

_REPEATED: Final = (
    pl.int_range(pl.len(), dtype=pl.UInt32).repeat_by(pl.first()).explode(empty_as_null=False).alias("group")
)
_RUNNING: Final = pl.first().cum_sum()
_KEY: Final = pl.col("key")


@lru_cache(maxsize=256, typed=True)
def one(value: Any, dtype: DType) -> pl.Series:
    """
    A column of this value alone, which columns of any length are compared and filled with. It is kept, so it is for
    values of the rules and not of the data.
    """
    return pl.Series([value], dtype=dtype)


def constant(value: Any, times: int, dtype: DType) -> pl.Series:
    """
    The same value (or null) so many times.
    """
    return one(value, dtype).new_from_index(0, times)


def joined(columns: Iterable[pl.Series]) -> pl.Series:
    """
    Columns one under the other, in one piece: every step on a column of many pieces takes several times as long.
    """
    return pl.concat(columns, rechunk=True)


def known(values: pl.Series) -> pl.Series:
    """
    A mask of the values that are not null.
    """
    return values == values  # noqa: PLR0124 - null equals nothing, and this costs a tenth of is_not_null


def absent(values: pl.Series) -> pl.Series:
    """
    A mask of the values that are null, which is never null itself.
    """
    return ~filled(known(values), value=False)


def filled(values: pl.Series, value: Any) -> pl.Series:
    """
    The values with this one in the place of null.
    """
    return values.zip_with(known(values), one(value, values.dtype)) if values.null_count() else values


def numbers(times: int) -> pl.Series:
    """
    0, 1, 2 ... as rows.
    """
    return _NUMBERS.slice(0, times) if times <= _NUMBERS.len() else pl.int_range(times, dtype=pl.UInt32, eager=True)


def days(count: int) -> pl.Series:
    """
    A column of this span alone.
    """
    return one(timedelta(days=count), pl.Duration("us"))


@lru_cache(maxsize=16)
def instant(at: datetime) -> pl.Series:
    """
    A column of this aware instant alone.
    """
    return pl.Series([microseconds(at)], dtype=pl.Int64).cast(INSTANT)


def sorted_by(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """
    The frame in the order of a column, which it often is in already.
    """
    return frame if frame[column].is_sorted() else frame.sort(column)


def rows_where(mask: pl.Series) -> pl.Series:
    """
    The rows at which a mask holds.
    """
    return numbers(mask.len()).filter(mask)


def spread(values: pl.Series, rows: pl.Series, height: int) -> pl.Series:
    """
    A column of that height with these values at these rows, and null elsewhere.
    """
    return constant(None, height, values.dtype).scatter(rows, values)


def running(values: pl.Series) -> pl.Series:
    """
    The sums of all values up to each.
    """
    return queried(values.to_frame(), _RUNNING)


def places(keys: pl.Series, among: pl.Series) -> pl.Series:
    """
    At which row each key stands among others, which are sorted and distinct; null where it does not.
    """
    if among.is_empty():
        return constant(None, keys.len(), pl.UInt32)
    if keys.equals(among):
        return numbers(keys.len())
    place = queried(keys.to_frame("key"), pl.lit(among).search_sorted(_KEY))
    place = place.zip_with(place < among.len(), one(0, place.dtype))
    return place.zip_with(among[place] == keys, one(None, place.dtype))


def mapped(values: pl.Series, to: Mapping[str, Any], otherwise: Any, dtype: DType = pl.String) -> pl.Series:
    """
    What each of the values, texts of a few kinds, stands for.
    """
    if values.len() > _MANY and to:
        return values.replace_strict(to, default=otherwise, return_dtype=dtype)
    found = constant(otherwise, values.len(), dtype)
    for value in to.keys() & kinds_of(values):
        found = one(to[value], dtype).zip_with(values == one(value, pl.String), found)
    return found


def kinds_of(values: pl.Series) -> set[Any]:
    """
    The different values, of which there are few.
    """
    return set(values.unique().to_list() if values.len() > _MANY else values.to_list())


def expand(counts: pl.Series) -> pl.Series:
    """
    Each row's number as often as its count says: [2, 0, 1] becomes [0, 0, 2].
    """
    return queried(counts.to_frame(), _REPEATED)


def starts_of(counts: pl.Series) -> pl.Series:
    """
    The row at which each of neighbouring groups of these sizes starts.
    """
    return (running(counts) - counts).cast(pl.UInt32)


def group_starts(group: pl.Series) -> pl.Series:
    """
    The first row of each run of equal group numbers.
    """
    if group.is_empty():
        return numbers(0)
    differs = group.slice(1) != group.slice(0, group.len() - 1)
    return pl.concat([one(0, pl.UInt32), rows_where(differs) + one(1, pl.UInt32)])


def group_sums(values: pl.Series, starts: pl.Series) -> pl.Series:
    """
    The sum over each group of neighbouring rows, groups given by their first rows and none of them empty.
    """
    if starts.is_empty():
        return values
    sums = running(values)
    lasts = group_ends(starts, values.len()) - one(1, starts.dtype)
    return sums[lasts] - sums[starts] + values[starts]


def group_ends(starts: pl.Series, height: int) -> pl.Series:
    """
    The row after the last of each group of neighbouring rows, which are ``height`` in all.
    """
    return pl.concat([starts.slice(1), pl.Series([height], dtype=starts.dtype)])
