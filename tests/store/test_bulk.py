"""
A frame is written by its key: only rows that differ are touched, few rows or many.
"""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from sqlalchemy import Connection, text

from worker.store import tables
from worker.store.bulk import MOST_BOUND_ROWS, NOW, cursor_of, fetch, replace, upsert

SCHEMA = {"kind": pl.String, "source": pl.String, "record_id": pl.String, "stream": pl.String, "golden_id": pl.Int64}
KEY = ("kind", "source", "record_id")
SIZES = (3, MOST_BOUND_ROWS + 1)


def crosswalk(count: int, moved: int | None = None) -> pl.DataFrame:
    """
    ``count`` persons' records, of which number ``moved`` stands for somebody else.
    """
    rows = [
        ("person", "salesforce", f"00Q{number:06}", "salesforce.lead", 1 if number == moved else number)
        for number in range(2, count + 2)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(rule=pl.lit("own id"))


@pytest.mark.parametrize("count", SIZES)
def test_only_rows_that_differ_are_written(connection: Connection, count: int) -> None:
    assert len(upsert(connection, tables.crosswalk, crosswalk(count), KEY, noted={"since_at": NOW})) == count
    before = {row.record_id: row.ctid for row in connection.execute(text("SELECT record_id, ctid FROM crosswalk"))}
    assert upsert(connection, tables.crosswalk, crosswalk(count), KEY, noted={"since_at": NOW}) == []
    moved = upsert(connection, tables.crosswalk, crosswalk(count, moved=3), KEY, noted={"since_at": NOW})
    assert moved == [("person", "salesforce", "00Q000003")]
    after = {row.record_id: row.ctid for row in connection.execute(text("SELECT record_id, ctid FROM crosswalk"))}
    assert {record_id for record_id in after if after[record_id] != before[record_id]} == {"00Q000003"}


@pytest.mark.parametrize("count", SIZES)
def test_rows_that_are_written_tell_what_they_held_before(connection: Connection, count: int) -> None:
    new = upsert(connection, tables.crosswalk, crosswalk(count), KEY, was=("golden_id", "rule"))
    assert {row[3:] for row in new} == {(None, None)}
    moved = upsert(connection, tables.crosswalk, crosswalk(count, moved=3), KEY, was=("golden_id", "rule"))
    assert moved == [("person", "salesforce", "00Q000003", 3, "own id")]


@pytest.mark.parametrize("count", SIZES)
def test_every_kind_of_value_comes_back_as_it_went_in(connection: Connection, count: int) -> None:
    at = datetime(2026, 11, 18, 9, 30, 1, 123456, tzinfo=UTC)
    text_ = 'a "quoted", line\nand\\ Größe \t'
    frame = pl.DataFrame(
        {
            "id": list(range(1, count + 1)),
            "name": [text_] * count,
            "amount": [Decimal("84000.010000")] * count,
            "is_closed": [None] * count,
            "closed_at": [at] * count,
            "is_deleted": [False] * count,
        },
        schema_overrides={"amount": pl.Decimal(38, 6), "is_closed": pl.Boolean, "closed_at": pl.Datetime("us", "UTC")},
    )
    upsert(connection, tables.opportunity, frame, ("id",))
    read = fetch(
        connection,
        "SELECT id, name, amount, is_closed, closed_at, is_deleted FROM opportunity ORDER BY id",
        {},
        frame.schema,
    )
    assert read.equals(frame)
    assert upsert(connection, tables.opportunity, frame, ("id",)) == []


def test_an_empty_text_and_none_are_two_things(connection: Connection) -> None:
    for count in SIZES:
        frame = crosswalk(count).with_columns(rule=pl.lit(""))
        upsert(connection, tables.crosswalk, frame, KEY)
        assert connection.execute(text("SELECT DISTINCT rule FROM crosswalk")).scalars().all() == [""]


def test_an_empty_frame_writes_nothing(connection: Connection) -> None:
    assert upsert(connection, tables.crosswalk, crosswalk(0), KEY) == []


def test_an_owners_rows_are_replaced_and_nobody_elses(connection: Connection) -> None:
    def credits(owner: int, *items: str) -> pl.DataFrame:
        rows = [(owner, "revenue", item, "", '{"w": {"share": "1/1", "units": 5}}') for item in items]
        columns = ("opportunity_id", "clock", "item", "positions", "models")
        return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String) | {"opportunity_id": pl.Int64}, orient="row")

    def kept(frame: pl.DataFrame, *owners: int) -> None:
        noted = ("INSERT INTO rules_in_force (number) VALUES (%s)", (len(owners),))
        replace(connection, tables.credit, frame, owner="opportunity_id", owners=owners, along=noted)

    kept(pl.concat([credits(1, "touch", "pending"), credits(2, "touch")]), 1, 2)
    kept(credits(1, "unassigned"), 1)
    cursor = cursor_of(connection)
    found = cursor.execute("SELECT opportunity_id, item FROM credit ORDER BY 1, 2").fetchall()
    assert found == [(1, "unassigned"), (2, "touch")]
    kept(credits(1, *["pending"] * (MOST_BOUND_ROWS + 1)), 1)
    assert cursor.execute("SELECT count(*) FROM credit").fetchone() == (MOST_BOUND_ROWS + 2,)
    kept(credits(1).clear(), 1)
    assert cursor.execute("SELECT count(*) FROM credit WHERE opportunity_id = 1").fetchone() == (0,)
    # What is to be written along with it was, each time.
    assert cursor.execute("SELECT number FROM rules_in_force ORDER BY id").fetchall() == [(2,), (1,), (1,), (1,)]
