"""
A frame's rows as Python's own values, and back.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl
import pytest

from worker.core.frames import INSTANT, Schema
from worker.core.rows import as_json, quoted, rows_of, series_of

SCHEMA: Schema = {"name": pl.String, "at": INSTANT, "count": pl.Int32}
BASEL = datetime(2026, 11, 18, 12, 30, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Visit(NamedTuple):
    """
    A row with its columns in another order than the frame's.
    """

    at: int | None
    name: str | None


def test_rows_have_names_and_instants_are_microseconds() -> None:
    frame = pl.DataFrame({"name": ["Ada", None], "at": [BASEL, None], "count": [1, 2]}, schema=SCHEMA)
    first, second = rows_of(frame, Visit)
    assert first == Visit(at=(BASEL - EPOCH) // timedelta(microseconds=1), name="Ada")
    assert second == Visit(at=None, name=None)


def test_many_rows_come_in_their_order() -> None:
    count = 25_001
    frame = pl.DataFrame({"name": [str(number) for number in range(count)], "at": [BASEL] * count})
    assert [row.name for row in rows_of(frame.cast({"at": INSTANT}), Visit)] == frame["name"].to_list()


def test_rows_become_columns_again() -> None:
    rows = [("Ada", (BASEL - EPOCH) // timedelta(microseconds=1), 1), (None, None, None)]
    made = pl.DataFrame(series_of(SCHEMA, rows))
    assert made.schema == SCHEMA
    assert made.rows() == [("Ada", BASEL, 1), (None, None, None)]
    assert pl.DataFrame(series_of(SCHEMA, [])).schema == SCHEMA


@pytest.mark.parametrize("text", ["", "plain", 'say "no"', "back\\slash", "line\nfeed", "\x01", "Zürich 🏔", None])
def test_a_text_is_spelled_as_json_spells_it(text: str | None) -> None:
    assert json.loads(quoted(text)) == text
    assert as_json(text) == quoted(text)
