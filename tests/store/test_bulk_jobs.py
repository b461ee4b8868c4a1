"""
Records that ride in a job of the platform's: kept before the job runs, asked for after a crash, never sent beside it.
"""

from datetime import timedelta

from sqlalchemy import Connection, text

from worker.core.reconcile.diff import Change
from worker.store import bulk_jobs, outbox
from worker.store.outbox import Row

BAND = "HW_Engagement_Band__c"
WHY = "HW_Engaged_Why__c"
BOTH = [Change(BAND, None, "High", "rules v3"), Change(WHY, None, "3 people", "rules v3")]


def approved(connection: Connection, object_name: str, *record_ids: str) -> list[Row]:
    plan = outbox.open_plan(connection, 3)
    outbox.put(connection, plan, object_name, 3, dict.fromkeys(record_ids, BOTH))
    outbox.close_draft(connection, state="approved", why_held=None, counts={})
    return outbox.ready(connection, object_name, 100)


def states(connection: Connection) -> dict[str, str]:
    return dict(connection.execute(text("SELECT record_id, state FROM outbox ORDER BY 1")).all())


def test_a_crash_leaves_the_rows_in_their_job_and_takes_no_others_for_theirs(connection: Connection) -> None:
    rows = approved(connection, "Account", "alder", "birch", "cedar")
    outbox.mark(connection, rows[2:], "sending")
    job = bulk_jobs.begin(connection, "salesforce", "Account", "750A", rows[:2])
    assert outbox.lost_track(connection) == 1
    assert states(connection) == {"alder": "sending", "birch": "sending", "cedar": "unknown"}
    assert [row.record_id for row in bulk_jobs.rows(connection, job)] == ["alder", "birch"]
    assert [each.vendor_id for each in bulk_jobs.due(connection, "salesforce")] == ["750A"]


def test_rows_ride_with_what_is_left_of_their_changes(connection: Connection) -> None:
    (row,) = approved(connection, "Account", "alder")
    left = Row(**{**vars(row), "changes": row.changes[1:]})
    job = bulk_jobs.begin(connection, "salesforce", "Account", "750A", [left])
    assert [change.field for change in bulk_jobs.rows(connection, job)[0].changes] == [WHY]


def test_an_object_with_a_job_under_way_has_no_other_writer_and_the_next_object_has_its_turn(
    connection: Connection,
) -> None:
    rows = approved(connection, "Account", "alder")
    approved(connection, "Lead", "larch")
    job = bulk_jobs.begin(connection, "salesforce", "Account", "750A", rows)
    approved(connection, "Account", "birch")
    assert outbox.next_object(connection, 10) == ("Lead", 1)
    bulk_jobs.end(connection, job)
    assert outbox.next_object(connection, 10) == ("Account", 2)
    assert states(connection)["alder"] == "unknown"


def test_the_turn_of_a_job_comes_when_it_was_told_to(connection: Connection) -> None:
    rows = approved(connection, "Account", "alder")
    job = bulk_jobs.begin(connection, "salesforce", "Account", "750A", rows)
    bulk_jobs.ask_again(connection, job, timedelta(seconds=30))
    assert bulk_jobs.due(connection, "salesforce") == []
    seconds = outbox.seconds_to_next(connection)
    assert seconds is not None
    assert 25 < seconds <= 30


def test_a_row_that_is_put_off_has_left_its_job(connection: Connection) -> None:
    rows = approved(connection, "Account", "alder", "birch")
    job = bulk_jobs.begin(connection, "salesforce", "Account", "750A", rows)
    for row in rows[:1]:
        outbox.put_off(connection, row, state="planned", code="LOCK", message="a lock", after=timedelta(0))
    assert [row.record_id for row in bulk_jobs.rows(connection, job)] == ["birch"]
    assert states(connection) == {"alder": "planned", "birch": "sending"}
