"""
Plans and what is to be sent: nothing before a person approved, one row a record, everything answered kept for good.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from worker.core.reconcile.diff import Change
from worker.store import outbox
from worker.store.outbox import Settled
from worker.store.staging import save_rows

NOW = datetime(2026, 11, 18, 9, tzinfo=UTC)
BAND = "HW_Engagement_Band__c"


def change(new: str | None, old: str | None = None, field: str = BAND) -> Change:
    return Change(field, old, new, "engagement rules v3")


def drawn(connection: Connection, state: str = "planned", **changes: list[Change]) -> int:
    """
    A plan for accounts named by keyword, closed in ``state``.
    """
    plan = outbox.open_plan(connection, 3)
    outbox.put(connection, plan, "Account", 3, changes)
    outbox.close_draft(connection, state=state, why_held=None, counts={})
    return plan


def rows(connection: Connection) -> dict[str, Any]:
    found = connection.execute(text("SELECT record_id, state, generation, changes FROM outbox ORDER BY record_id"))
    return {row.record_id: (row.state, row.generation, row.changes[0]["new"]) for row in found}


def ready(connection: Connection) -> list[str]:
    found = outbox.next_object(connection, 100)
    return [row.record_id for row in outbox.ready(connection, found[0], 100)] if found else []


def test_nothing_is_ready_before_a_plan_was_approved(connection: Connection) -> None:
    plan = drawn(connection, alder=[change("High")])
    assert ready(connection) == []
    assert outbox.seconds_to_next(connection) is None
    assert not outbox.writes_approved(connection)
    assert outbox.approve(connection, "ada") == [plan]
    assert outbox.writes_approved(connection)
    assert ready(connection) == ["alder"]


def test_a_record_stands_once_and_what_is_decided_later_takes_its_place(connection: Connection) -> None:
    drawn(connection, alder=[change("Low")], birch=[change("Low")])
    drawn(connection, alder=[change("High")])
    assert rows(connection) == {"alder": ("planned", 2, "High"), "birch": ("planned", 1, "Low")}


def test_the_same_again_leaves_the_row_as_it_is(connection: Connection) -> None:
    drawn(connection, alder=[change("Low")])
    plan = outbox.open_plan(connection, 3)
    assert outbox.put(connection, plan, "Account", 3, {"alder": [change("Low")]}) == (0, 0)
    assert rows(connection)["alder"][1] == 1


def test_a_record_that_wants_nothing_any_more_leaves(connection: Connection) -> None:
    drawn(connection, alder=[change("Low")])
    plan = outbox.open_plan(connection, 3)
    assert outbox.put(connection, plan, "Account", 3, {"alder": []}) == (0, 1)
    assert rows(connection) == {}


def test_a_plan_without_rows_is_no_plan(connection: Connection) -> None:
    outbox.open_plan(connection, 3)
    assert outbox.close_draft(connection, state="approved", why_held=None, counts={}) is None
    assert connection.execute(text("SELECT count(*) FROM plan")).scalar_one() == 0


@pytest.mark.parametrize("state", ["sending", "unknown"])
def test_a_row_on_its_way_is_neither_replaced_nor_removed(connection: Connection, state: str) -> None:
    drawn(connection, "approved", alder=[change("Low")], birch=[change("Low")])
    outbox.mark(connection, outbox.ready(connection, "Account", 100), state)
    plan = outbox.open_plan(connection, 3)
    outbox.put(connection, plan, "Account", 3, {"alder": [change("High")], "birch": []})
    assert rows(connection) == {"alder": (state, 1, "Low"), "birch": (state, 1, "Low")}
    assert outbox.in_flight(connection, "Account", ["alder", "cedar"]) == {"alder"}


def test_a_row_whose_holder_died_is_unknown_and_ready_to_be_read_again(connection: Connection) -> None:
    drawn(connection, "approved", alder=[change("Low")])
    outbox.mark(connection, outbox.ready(connection, "Account", 100), "sending")
    assert ready(connection) == []
    assert outbox.lost_track(connection) == 1
    (row,) = outbox.ready(connection, "Account", 100)
    assert (row.state, row.attempts) == ("unknown", 1)


def test_a_row_that_is_put_off_waits_its_time(connection: Connection) -> None:
    drawn(connection, "approved", alder=[change("Low")])
    found = outbox.ready(connection, "Account", 100)
    later = timedelta(minutes=5)
    outbox.put_off(connection, found[0], state="planned", code="UNABLE_TO_LOCK_ROW", message="locked", after=later)
    assert ready(connection) == []
    waits = outbox.seconds_to_next(connection)
    assert waits is not None
    assert 290 < waits <= 300


def test_rows_that_one_transaction_puts_off_are_due_together(connection: Connection) -> None:
    drawn(connection, "approved", alder=[change("Low")], birch=[change("High")])
    rows, later = outbox.ready(connection, "Account", 100), timedelta(seconds=5)
    for row in rows:
        outbox.put_off(connection, row, state="planned", code="LOCK", message="a lock", after=later)
    dues = connection.execute(text("SELECT not_before, count(*) FROM outbox GROUP BY not_before")).all()
    assert [count for _, count in dues] == [len(rows)] == [2]


def test_a_parked_row_waits_until_its_record_changes(connection: Connection) -> None:
    drawn(connection, "approved", alder=[change("Low")])
    found = outbox.ready(connection, "Account", 100)
    outbox.put_off(connection, found[0], state="parked", code="X", message="no", after=timedelta(0))
    assert ready(connection) == []
    assert outbox.seconds_to_next(connection) is None
    drawn(connection, "approved", alder=[change("Low")])
    assert ready(connection) == ["alder"]


def test_rows_of_a_held_plan_wait_while_those_of_an_approved_one_go(connection: Connection) -> None:
    drawn(connection, "approved", alder=[change("Low")])
    drawn(connection, "held", birch=[change("Low")])
    assert ready(connection) == ["alder"]


def test_everything_that_was_answered_is_kept_with_what_stood_before(connection: Connection) -> None:
    drawn(connection, "approved", alder=[change("High", "Low")])
    (row,) = outbox.ready(connection, "Account", 100)
    settled = [Settled(row, row.changes[0], "skipped", "Medium", message="somebody changed it since the plan")]
    outbox.log(connection, settled, run_id=5, now=NOW)
    outbox.remove(connection, [row])
    outbox.finish_plans(connection)
    kept = connection.execute(text("SELECT before, after, result, reason, rule_version, run_id FROM written")).one()
    assert tuple(kept) == ("Medium", "High", "skipped", "engagement rules v3", 3, 5)
    assert connection.execute(text("SELECT state FROM plan")).scalar_one() == "done"


def test_flags_that_turn_are_counted_apart_from_records(connection: Connection) -> None:
    flag = "HW_Engaged__c"
    plan = outbox.open_plan(connection, 3)
    changes = {
        "alder": [change("true", "false", flag), change("High")],
        "birch": [change("High", "Low")],
    }
    outbox.put(connection, plan, "Account", 3, changes)
    assert outbox.draft_sizes(connection) == {"Account": {"records": 2, "flips": 1, "fields": 3}}


def test_what_we_wrote_is_noted_on_the_record_so_that_its_echo_is_no_news(connection: Connection) -> None:
    insert = "INSERT INTO source_account (stream, record_id, ours) VALUES ('salesforce.account', 'alder', :ours)"
    connection.execute(text(insert), {"ours": '{"HW_Engaged_Why__c": "3 people", "HW_Engagement_Band__c": "Low"}'})
    holds = {"alder": {BAND: "High", "HW_Engaged_Why__c": None}}
    outbox.now_holds(connection, "account", "salesforce.account", holds)
    assert connection.execute(text("SELECT ours FROM source_account")).scalar_one() == {BAND: "High"}


def touch(connection: Connection, **changes: list[Change]) -> None:
    plan = outbox.open_plan(connection, 3)
    outbox.put(connection, plan, "HW_Touch__c", 3, changes)


def test_the_records_of_an_object_are_set_apart_in_a_plan_that_waits_for_itself(connection: Connection) -> None:
    plan = outbox.open_plan(connection, 3)
    outbox.put(connection, plan, "Account", 3, {"alder": [change("High")]})
    touch(connection, birch=[change("birch", field="HW_Key__c")])
    outbox.set_apart(connection, "HW_Touch__c")
    first = outbox.close_draft(connection, state="approved", why_held=None, counts={})
    second = outbox.close_draft(connection, state="held", why_held="many", counts={})
    assert first == plan
    assert second is not None
    assert second > plan
    plans = connection.execute(text("SELECT record_id, plan_id FROM outbox ORDER BY 1")).all()
    assert [tuple(row) for row in plans] == [("alder", first), ("birch", second)]
    assert ready(connection) == ["alder"]


def test_where_there_is_no_room_new_records_are_held_back_and_nothing_else(connection: Connection) -> None:
    touch(
        connection,
        alder=[change("alder", field="HW_Key__c"), change("High")],
        birch=[change("Low", "High")],
        cedar=[change(None, "a00", field="Id"), change(None, "cedar", field="HW_Key__c")],
        damson=[change("damson", field="HW_Key__c")],
    )
    outbox.close_draft(connection, state="approved", why_held=None, counts={})
    assert outbox.hold_back(connection, "HW_Touch__c", "HW_Key__c", "FULL", "storage limit exceeded") == 2
    assert ready(connection) == ["birch", "cedar"]
    assert outbox.try_again(connection, timedelta(0)) == 2
    assert ready(connection) == ["alder", "birch", "cedar", "damson"]


def test_records_of_one_account_stand_side_by_side(connection: Connection) -> None:
    accounts = {"003a": "001b", "003b": "001a", "003c": "001b", "003d": "001a"}
    columns = ("record_id", "account_ref")
    save_rows(connection, "salesforce.contact", "person", columns, list(accounts.items()))
    plan = outbox.open_plan(connection, 3)
    outbox.put(connection, plan, "Contact", 3, {contact: [change("Webinar")] for contact in accounts})
    outbox.close_draft(connection, state="approved", why_held=None, counts={})
    assert [accounts[each] for each in ready(connection)] == ["001a", "001a", "001b", "001b"]
