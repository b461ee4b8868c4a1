"""
A page of text values goes in; rows come to stand, what changed is noted, and what cannot be held is put aside.
"""

from collections.abc import Collection
from typing import Any

import pytest
from sqlalchemy import Connection, text

from worker.core.errors import Retriable
from worker.store import dues
from worker.store.staging import Saved, save_csv, save_rows

LEADS = "salesforce.lead"
COLUMNS = (
    "record_id",
    "stamp_at",
    "created_at",
    "email",
    "employees",
    "opted_out",
    "ours.HW_Screened__c",
    "extra.Rating",
)
MORNING, NOON, EVENING = "2026-11-18T09:00:00Z", "2026-11-18T12:00:00Z", "2026-11-18T20:00:00Z"
Cells = tuple[str | None, ...]


def lead(record_id: str | None, stamp_at: str | None = NOON, **values: str | None) -> Cells:
    known = {"email": "ada@alder.example", "employees": "12", "opted_out": "false", "created_at": MORNING} | values
    order = ("created_at", "email", "employees", "opted_out", "screened", "rating")
    return (record_id, stamp_at, *(known.get(name) for name in order))


def save(connection: Connection, *rows: Cells) -> Saved:
    return save_rows(connection, LEADS, "person", COLUMNS, rows)


def stored(connection: Connection, cells: str = "record_id, email, employees::int") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(f"SELECT {cells} FROM source_person ORDER BY record_id"))]


def noted(connection: Connection) -> dict[str, list[str]]:
    found = {}
    for flow in ("resolve", "plan"):
        keys = dues.take(connection, flow, "person", 100)
        found[flow] = [key.removeprefix(f"{LEADS}:") for key in keys]
    return found


def quarantined(connection: Connection) -> list[tuple[Any, ...]]:
    statement = "SELECT record_id, code, whose, message, payload, attempts FROM quarantine ORDER BY record_id"
    return [tuple(row) for row in connection.execute(text(statement))]


def test_new_rows_are_kept_and_noted(connection: Connection) -> None:
    assert save(connection, lead("a"), lead("b", employees=None)) == Saved(read=2, written=2, changed=2)
    assert stored(connection) == [("a", "ada@alder.example", 12), ("b", "ada@alder.example", None)]
    assert noted(connection) == {"resolve": ["a", "b"], "plan": []}


def test_a_row_read_again_costs_no_write_and_is_no_news(connection: Connection) -> None:
    save(connection, lead("a", screened="Junk", rating="Hot"))
    noted(connection)
    before = connection.execute(text("SELECT ctid, xmin FROM source_person")).all()
    assert save(connection, lead("a", screened="Junk", rating="Hot")) == Saved(read=1)
    assert connection.execute(text("SELECT ctid, xmin FROM source_person")).all() == before
    assert noted(connection) == {"resolve": [], "plan": []}


def test_only_what_changed_is_written_and_noted(connection: Connection) -> None:
    save(connection, lead("a"), lead("b"), lead("c"))
    noted(connection)
    assert save(connection, lead("a"), lead("b", EVENING, email="ben@alder.example"), lead("c")) == Saved(3, 1, 1)
    assert noted(connection) == {"resolve": ["b"], "plan": []}


def test_our_own_write_coming_back_is_noted_for_the_plan_alone(connection: Connection) -> None:
    save(connection, lead("a"))
    noted(connection)
    assert save(connection, lead("a", EVENING, screened="Junk")) == Saved(1, 1, 0)
    assert noted(connection) == {"resolve": [], "plan": ["a"]}


def test_a_stamp_that_moved_by_itself_is_kept_and_noted_nowhere(connection: Connection) -> None:
    save(connection, lead("a"))
    noted(connection)
    assert save(connection, lead("a", EVENING)) == Saved(1, 1, 0)
    assert noted(connection) == {"resolve": [], "plan": []}


def test_an_older_row_never_replaces_a_newer(connection: Connection) -> None:
    save(connection, lead("a", NOON, email="new@alder.example"))
    assert save(connection, lead("a", MORNING, email="old@alder.example")).written == 0
    assert stored(connection, "email") == [("new@alder.example",)]


def test_of_a_record_that_stands_twice_on_a_page_the_newest_is_kept(connection: Connection) -> None:
    save(connection, lead("a", NOON, email="new@alder.example"), lead("a", MORNING, email="old@alder.example"))
    assert stored(connection, "email") == [("new@alder.example",)]


def test_an_emptied_value_is_emptied_here_too(connection: Connection) -> None:
    save(connection, lead("a", screened="Junk", rating="Hot"))
    save(connection, lead("a", EVENING, email=None))
    assert stored(connection, "email, ours, extra") == [(None, {}, {})]


def test_the_same_id_of_another_stream_is_another_record(connection: Connection) -> None:
    save(connection, lead("7"))
    save_rows(connection, "marketo.person", "person", ("record_id", "email"), [("7", "x@y.example")])
    assert len(stored(connection)) == 2


def test_a_value_that_its_column_cannot_hold_puts_its_row_aside_and_the_rest_goes_on(connection: Connection) -> None:
    saved = save(connection, lead("a"), lead("b", employees="a dozen", opted_out="perhaps"), lead("c"))
    assert saved == Saved(read=3, written=2, changed=2, quarantined=1)
    assert [row[0] for row in stored(connection)] == ["a", "c"]
    assert quarantined(connection) == [
        (
            "b",
            "HW-401",
            "theirs",
            "these columns hold what their type cannot: employees, opted_out",
            {"employees": "a dozen", "opted_out": "perhaps"},
            1,
        )
    ]
    assert noted(connection)["resolve"] == ["a", "c"]


def test_a_row_that_fails_again_is_counted_and_one_that_is_good_again_leaves(connection: Connection) -> None:
    save(connection, lead("b", employees="a dozen"))
    save(connection, lead("b", employees="many"))
    assert [(row[4], row[5]) for row in quarantined(connection)] == [({"employees": "many"}, 2)]
    save(connection, lead("b", employees="12"))
    assert quarantined(connection) == []
    assert stored(connection) == [("b", "ada@alder.example", 12)]


def test_what_was_stored_of_a_record_stays_while_it_is_in_quarantine(connection: Connection) -> None:
    save(connection, lead("a", employees="12"))
    save(connection, lead("a", EVENING, employees="a dozen"))
    assert stored(connection) == [("a", "ada@alder.example", 12)]
    assert len(quarantined(connection)) == 1


def test_a_record_without_an_id_is_put_aside(connection: Connection) -> None:
    assert save(connection, lead(None), lead("a")).quarantined == 1
    assert quarantined(connection)[0][:2] == ("(no id)", "HW-401")


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-30T00:00:00Z",
        "yesterday-ish",
        "",
        "0000-00-00T00:00:00Z",
        # PostgreSQL holds these, and nothing that reads them does.
        "99999-01-01T00:00:00Z",
        "infinity",
        "0044-03-15 BC",
    ],
)
def test_a_day_that_is_none_is_put_aside(connection: Connection, value: str) -> None:
    saved = save(connection, lead("a", created_at=value), lead("b"))
    assert (saved.quarantined, saved.written) == (1, 1)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e40", "1,000"])
def test_a_number_that_is_none_is_put_aside(connection: Connection, value: str) -> None:
    saved = save(connection, lead("a", employees=value), lead("b"))
    assert (saved.quarantined, saved.written) == (1, 1)


def csv(*rows: Cells) -> list[bytes]:
    lines = [",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    return [f"{line}\n".encode() for line in lines]


def save_file(
    connection: Connection, *rows: Cells, expected: int | None = None, numbers: Collection[str] = ()
) -> Saved:
    return save_csv(connection, LEADS, "person", COLUMNS, csv(*rows), expected_count=expected, numbers=numbers)


def test_a_file_is_saved_as_rows_are(connection: Connection) -> None:
    tricky = 'A, "quoted"\nname; Größe'
    assert save_file(connection, lead("a", rating=tricky), lead("b"), expected=2) == Saved(2, 2, 2)
    assert stored(connection, "record_id, extra->>'Rating'") == [("a", tricky), ("b", None)]
    assert save_file(connection, lead("a", rating=tricky), lead("b")) == Saved(read=2)


def test_a_number_that_a_file_spells_with_a_needless_zero_is_the_number_that_rows_hold(connection: Connection) -> None:
    spelled = [lead("a", rating="43.0"), lead("b", rating="-0.50"), lead("c", rating="1E+2"), lead("d", rating="n/a")]
    save_file(connection, *spelled, numbers=["extra.Rating"])
    assert stored(connection, "extra->>'Rating'") == [("43",), ("-0.5",), ("100",), ("n/a",)]
    assert save(connection, lead("a", rating="43"), lead("c", rating="100")) == Saved(read=2)


def test_a_text_that_looks_like_a_number_stays_as_it_is(connection: Connection) -> None:
    save_file(connection, lead("a", rating="43.0"))
    assert stored(connection, "extra->>'Rating'") == [("43.0",)]


def test_a_files_bad_row_is_put_aside_too(connection: Connection) -> None:
    assert save_file(connection, lead("a"), lead("b", employees="x"), lead("c")) == Saved(3, 2, 2, 1)
    assert [row[0] for row in quarantined(connection)] == ["b"]


def test_a_file_with_a_record_twice_keeps_the_newest(connection: Connection) -> None:
    saved = save_file(connection, lead("a", MORNING, email="old@a.example"), lead("a", EVENING, email="new@a.example"))
    assert saved.quarantined == 0
    assert stored(connection, "email") == [("new@a.example",)]


def test_a_cut_file_is_asked_for_again_and_nothing_of_it_stays(connection: Connection) -> None:
    with pytest.raises(Retriable, match="2 rows came of the 3"), connection.begin_nested():
        save_file(connection, lead("a"), lead("b"), expected=3)
    assert stored(connection) == []


def test_an_empty_page_is_nothing(connection: Connection) -> None:
    assert save(connection) == Saved()
    assert save_file(connection) == Saved()
