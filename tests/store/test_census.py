"""
What a platform counted is held against what is stored, as sets: which records differ, and what the proof says.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from worker.store import census, cursors, dues, presence
from worker.store.staging import receive_rows, refresh, save_rows

LEAD = "salesforce.lead"
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
OVERLAP = timedelta(minutes=15)


def at(minutes: int) -> str:
    """
    So many minutes before noon.
    """
    return (NOON - timedelta(minutes=minutes)).isoformat()


@pytest.fixture(autouse=True)
def read_once(connection: Connection) -> None:
    cursors.open_windows(connection, {LEAD: OVERLAP}, NOON)
    cursors.advance(connection, LEAD, place=None, token=None, last=True)


def store(connection: Connection, *rows: tuple[str, str, str]) -> None:
    columns = ("record_id", "stamp_at", "is_deleted", "company")
    save_rows(connection, LEAD, "person", columns, [(*row, "Alder") for row in rows])


def count(connection: Connection, *rows: tuple[str, str, str]) -> dict[str, Any]:
    """
    A sweep whose census holds these rows, up to its comparison; the counts of what differs.
    """
    census.ask(connection, [LEAD])
    census.begin(connection, [LEAD], NOON)
    census.keep(connection, receive_rows(LEAD, "person", census.COLUMNS, rows))
    settled_at = census.settled_at(connection, LEAD, NOON, OVERLAP)
    assert settled_at == NOON - OVERLAP
    census.compare(connection, LEAD, "person", settled_at)
    found: dict[str, Any] = census.under_way(connection, [LEAD])[LEAD]["place"]
    return found


def due(connection: Connection) -> list[str]:
    return dues.peek(connection, "sweep", LEAD, 100)


def test_equal_sets_differ_in_nothing(connection: Connection) -> None:
    rows = [("a", at(60), "false"), ("b", at(50), "true")]
    store(connection, *rows)
    place = count(connection, *rows)
    assert place["found"] == {"missing": 0, "stale": 0, "gone": 0, "returned": 0}
    proof = census.prove(connection, LEAD, "person", place, OVERLAP)
    assert (proof["there"], proof["here"], proof["left"]) == (1, 1, 0)
    assert proof["up_to"] == "2026-11-18T11:45:00Z"


def test_each_kind_of_difference_is_counted_by_itself(connection: Connection) -> None:
    store(
        connection,
        ("older", at(90), "false"),
        ("revived", at(80), "true"),
        ("gone", at(70), "false"),
        ("hidden", at(70), "false"),
        ("back", at(70), "false"),
        ("purged", at(70), "true"),
    )
    presence.hide(connection, LEAD, "person", ["hidden", "back"])
    place = count(
        connection,
        ("new", at(60), "false"),
        ("older", at(60), "false"),
        ("revived", at(80), "false"),
        ("back", at(70), "false"),
    )
    assert place["found"] == {"missing": 1, "stale": 2, "gone": 1, "returned": 1}
    assert due(connection) == ["back", "gone", "new", "older", "revived"]


@pytest.mark.parametrize("minutes", [14, 1])
def test_what_has_not_settled_is_left_to_the_next_window(connection: Connection, minutes: int) -> None:
    store(connection, ("just read", at(minutes), "false"), ("edited since", at(minutes), "false"))
    place = count(connection, ("just made", at(minutes), "false"), ("edited since", at(60), "false"))
    assert not any(place["found"].values())
    assert due(connection) == []


def test_the_proof_says_how_many_still_differ(connection: Connection) -> None:
    store(connection, ("a", at(60), "false"))
    place = count(connection, ("a", at(60), "false"), ("b", at(60), "false"))
    proof = census.prove(connection, LEAD, "person", place, OVERLAP)
    assert (proof["there"], proof["here"], proof["missing"], proof["left"]) == (2, 1, 1, 1)
    assert connection.execute(text("SELECT count(*) FROM census")).scalar() == 0


def test_what_was_read_behind_the_census_stands_in_its_place(connection: Connection) -> None:
    store(connection, ("a", at(60), "false"), ("b", at(60), "false"))
    place = count(connection)
    assert place["found"]["gone"] == 2
    shown = receive_rows(LEAD, "person", census.COLUMNS, [("a", at(60), "false")])
    census.amend(connection, shown, unseen=["b"])
    presence.hide(connection, LEAD, "person", ["b"])
    proof = census.prove(connection, LEAD, "person", place, OVERLAP)
    assert (proof["there"], proof["here"], proof["left"], proof["hidden"]) == (1, 1, 0, 1)


def test_an_id_that_was_counted_twice_counts_once_and_in_its_later_state(connection: Connection) -> None:
    store(connection, ("a", at(50), "false"))
    place = count(connection, ("a", at(60), "false"), ("a", at(50), "false"))
    assert not any(place["found"].values())


def test_a_stream_that_was_never_read_is_not_swept(connection: Connection) -> None:
    census.ask(connection, ["salesforce.task"])
    assert census.sources_due(connection) == []
    census.begin(connection, ["salesforce.task"], NOON)
    assert census.under_way(connection, ["salesforce.task"]) == {}


def test_a_field_that_is_wanted_on_the_way_begins_a_sweep_anew(connection: Connection) -> None:
    count(connection, ("a", at(60), "false"))
    census.ask(connection, [LEAD])
    assert census.under_way(connection, [LEAD])[LEAD]["is_counted"]
    census.ask(connection, [LEAD], ["Tier__c"])
    assert census.under_way(connection, [LEAD]) == {}
    census.begin(connection, [LEAD], NOON)
    assert census.under_way(connection, [LEAD])[LEAD]["fields"] == ["Tier__c"]
    assert connection.execute(text("SELECT count(*) FROM census")).scalar() == 0


def test_values_are_refreshed_in_known_records_of_that_version_alone(connection: Connection) -> None:
    columns = ("record_id", "stamp_at", "is_deleted", "extra.Tier__c", "extra.Rating")
    save_rows(
        connection,
        LEAD,
        "person",
        columns,
        [("a", at(60), "false", "Gold", "Hot"), ("newer", at(10), "false", "Gold", "Hot")],
    )
    narrow = ("record_id", "stamp_at", "is_deleted", "extra.Tier__c")
    page = [
        ("a", at(60), "true", "Silver"),
        ("newer", at(60), "false", "Silver"),
        ("unknown", at(60), "false", "Silver"),
    ]
    saved = refresh(connection, receive_rows(LEAD, "person", narrow, page))
    assert (saved.read, saved.written, saved.changed) == (3, 1, 1)
    rows = connection.execute(text("SELECT record_id, is_deleted, extra FROM source_person ORDER BY record_id"))
    assert [tuple(row) for row in rows] == [
        ("a", False, {"Tier__c": "Silver", "Rating": "Hot"}),
        ("newer", False, {"Tier__c": "Gold", "Rating": "Hot"}),
    ]


def test_a_page_that_brings_a_hidden_record_shows_it_again(connection: Connection) -> None:
    store(connection, ("a", at(60), "false"), ("gone", at(60), "true"))
    assert presence.hide(connection, LEAD, "person", ["a", "gone", "nobody"]) == 1
    assert presence.hide(connection, LEAD, "person", ["a"]) == 0
    store(connection, ("a", at(50), "false"))
    assert connection.execute(text("SELECT count(*) FROM hidden_record")).scalar() == 0


def test_a_deletion_that_comes_with_an_id_alone_keeps_what_is_known(connection: Connection) -> None:
    store(connection, ("a", at(60), "false"))
    save_rows(connection, LEAD, "person", ("record_id", "is_deleted"), [("a", "true"), ("nobody", "true")])
    rows = connection.execute(text("SELECT record_id, is_deleted, company FROM source_person"))
    assert [tuple(row) for row in rows] == [("a", True, "Alder")]


def test_only_records_stored_as_live_are_doubted(connection: Connection) -> None:
    store(connection, ("live", at(60), "false"), ("dead", at(60), "true"))
    presence.doubt(connection, LEAD, "person", ["live", "dead", "nobody"])
    assert dues.peek(connection, "reread", LEAD, 10) == ["live"]


def test_what_changed_too_lately_to_be_compared_is_counted_and_swept_again_soon(connection: Connection) -> None:
    rows = [("a", at(60), "false"), ("b", at(14), "false"), ("c", at(3), "false"), ("d", at(2), "true")]
    store(connection, *rows[:2])
    proof = census.prove(connection, LEAD, "person", count(connection, *rows), OVERLAP)
    assert (proof["there"], proof["here"], proof["missing"]) == (1, 1, 0)
    assert (proof["unsettled_there"], proof["unsettled_here"]) == (2, 1)
    again_at = census.lines(connection)[0]["proof"]["again_at"]
    assert datetime.fromisoformat(again_at) == NOON - timedelta(minutes=2) + OVERLAP + timedelta(minutes=10)
    assert due(connection) == []


def clock_says(connection: Connection, now: datetime) -> None:
    """
    Have the platform's clock say this.
    """
    offset = (now - datetime.now(UTC)).total_seconds()
    cursors.save_source_state(connection, "salesforce", clock_offset_seconds=offset)


def test_the_second_sweep_comes_when_the_rest_has_settled_and_then_no_more_than_daily(connection: Connection) -> None:
    rows = [("a", at(60), "false"), ("b", at(3), "false")]
    store(connection, *rows)
    census.prove(connection, LEAD, "person", count(connection, *rows), OVERLAP)
    clock_says(connection, NOON + timedelta(minutes=10))
    assert census.sources_due(connection) == []
    later = NOON + timedelta(minutes=23)
    clock_says(connection, later)
    assert census.sources_due(connection) == ["salesforce"]
    census.begin(connection, [LEAD], later)
    assert list(census.under_way(connection, [LEAD])) == [LEAD]
    assert "again_at" not in census.lines(connection)[0]["proof"]
    census.keep(connection, receive_rows(LEAD, "person", census.COLUMNS, rows))
    census.compare(connection, LEAD, "person", NOON - OVERLAP)
    place = census.under_way(connection, [LEAD])[LEAD]["place"]
    census.prove(connection, LEAD, "person", place, OVERLAP)
    assert census.lines(connection)[0]["proof"]["unsettled_here"] == 1
    assert "again_at" not in census.lines(connection)[0]["proof"]
    assert census.sources_due(connection) == []
