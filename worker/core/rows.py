"""
A frame's rows as Python's own values, for what is decided or said row by row: words, and JSON; and such rows as a
frame's columns. A row costs a microsecond or two, and a single one no more than that. Called by ``engagement``, the
engage flow and the store.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from json import JSONEncoder
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple, TypeVar

import polars as pl

from worker.core.frames import INSTANT
from worker.core.instants import microseconds

Row = TypeVar("Row", bound=NamedTuple)
_AT_A_TIME: Final = 10_000  # rows that are Python's at once

# JSON of a value of any kind; of a text or null alone, ``quoted`` takes a tenth of the time.
as_json: Final = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def quoted(text: str | None) -> str:
    """
    A text, or null, as JSON.
    """
    return "null" if text is None else encode_basestring(text)


def rows_of(frame: pl.DataFrame, row: type[Row]) -> Iterator[Row]:
    """
    The frame's rows as tuples of a named kind, each field from the column of its name. Instants are microseconds since
    1970, at a tenth of the price of Python's own.
    """
    # What the kind's own constructor does besides takes as long as all the rest.
    made = partial(tuple.__new__, row)
    for part in frame.iter_slices(_AT_A_TIME):
        yield from map(made, zip(*(_values(part[name]) for name in row._fields), strict=True))


def _values(column: pl.Series) -> list[Any]:
    return (column.cast(pl.Int64) if column.dtype == INSTANT else column).to_list()


def series_of(
    schema: Mapping[str, pl.DataType | type[pl.DataType]], rows: Sequence[tuple[Any, ...]]
) -> list[pl.Series]:
    """
    The other way round: a column for each of the schema's, instants given as microseconds since 1970 or as Python's.
    """
    # Turned by hand: ``zip(*rows)`` makes an object a row, and the collector of garbage looks through all of them.
    columns = ([row[place] for row in rows] for place in range(len(rows[0]) if rows else len(schema)))
    return [_column(name, values, dtype) for (name, dtype), values in zip(schema.items(), columns, strict=True)]


def _column(name: str, values: Sequence[Any], dtype: Any) -> pl.Series:
    """
    The values as a column. Instants are counted first: polars takes longer to take an aware one in.
    """
    if dtype == INSTANT:
        counted = [microseconds(each) if isinstance(each, datetime) else each for each in values]
        return pl.Series(name, counted, dtype=pl.Int64).cast(INSTANT)
    return pl.Series(name, values, dtype=dtype)
