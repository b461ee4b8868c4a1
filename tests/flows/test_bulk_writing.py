"""
What a number of writes costs in calls, and that many of them go out by one job, each effect once.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.service import Running
from worker.core.reconcile.diff import Change
from worker.flows.drain import drain, follow_up
from worker.store import outbox

pytestmark = pytest.mark.slow

WHY = "HW_Engaged_Why__c"
BULK_ABOVE = 2_000
INGEST = "/jobs/ingest"


@pytest.fixture(scope="module")
def writing(service: Running) -> Running:
    """
    A service that has read the org once and may write.
    """
    service.cycle()
    return service


def accounts(writing: Running, count: int, **fields: Any) -> list[str]:
    return writing.org.create("Account", [{"Name": f"Firm {number}", **fields} for number in range(count)])


def planned(writing: Running, object_name: str, field: str, new: str | None, record_ids: Sequence[str]) -> None:
    """
    An approved plan that sets one field of each record.
    """
    change = [Change(field, None, new, "engagement rules v1")]
    with writing.service.engine.begin() as connection:
        plan = outbox.open_plan(connection, writing.service.rules.version)
        rule_version = writing.service.rules.version
        outbox.put(connection, plan, object_name, rule_version, dict.fromkeys(record_ids, change))
        outbox.close_draft(connection, state="approved", why_held=None, counts={})
        follow_up(connection, writing.service)


def sent(writing: Running) -> list[dict[str, Any]]:
    """
    The calls of sending everything that waits.
    """
    mark = writing.mark()
    work_without_pauses(writing)
    assert writing.value("SELECT count(*) FROM bulk_job") == 0
    return writing.calls(mark)


def results(writing: Running, record_ids: Sequence[str]) -> Counter[str]:
    rows = writing.rows("SELECT result FROM written WHERE record_id = ANY(:ids)", ids=list(record_ids))
    return Counter(row["result"] for row in rows)


def held(writing: Running, record_ids: Sequence[str], field: str = WHY, object_name: str = "Account") -> set[Any]:
    rows = writing.colleague.query(f"SELECT Id, {field} FROM {object_name}")
    wanted = set(record_ids)
    return {row[field] for row in rows if row["Id"] in wanted}


@pytest.mark.parametrize("count", [1, 10, 200, 201, 1_000, BULK_ABOVE])
def test_writes_below_the_break_even_cost_a_call_for_200_and_one_to_read_them(writing: Running, count: int) -> None:
    ids = accounts(writing, count)
    planned(writing, "Account", WHY, "3 people", ids)
    calls = sent(writing)
    assert len(calls) == -(-count // 200) + 1, [call["path"] for call in calls]
    assert not [call for call in calls if INGEST in call["path"]]
    assert results(writing, ids) == {"done": count}
    assert held(writing, ids) == {"3 people"}


def test_more_go_out_by_one_job_for_fewer_calls(writing: Running) -> None:
    ids = accounts(writing, BULK_ABOVE + 500)
    planned(writing, "Account", WHY, "3 people", ids)
    calls = sent(writing)
    assert [call["rows"] for call in calls if call["method"] == "PUT"] == [len(ids)]
    assert not [call for call in calls if call["path"].endswith("composite/sobjects")]
    reads = [call for call in calls if INGEST not in call["path"]]
    assert len(reads) == 2, "two thousand records are read by one call"
    assert len(calls) < -(-len(ids) // 200) + 1
    assert results(writing, ids) == {"done": len(ids)}
    assert held(writing, ids) == {"3 people"}


def test_the_records_of_a_job_each_have_their_own_end(writing: Running) -> None:
    ids = accounts(writing, BULK_ABOVE + 100)
    ruled, locked, gone, other = ids[:40], ids[40:80], ids[80:90], ids[90:100]
    writing.org.control(
        "POST",
        "salesforce/update",
        {"object": "Account", "records": [{"Id": each, "Industry": "Banking"} for each in ruled]},
    )
    rule = {"object": "Account", "field": "Industry", "value": "Banking", "message": "Banks need a tier"}
    writing.org.control("POST", "salesforce/validation_rule", rule)
    writing.org.control("POST", "salesforce/locks", {"ids": locked, "times": len(locked)})
    writing.org.control("POST", "salesforce/delete", {"object": "Account", "ids": gone})
    writing.colleague.update("Account", [{"Id": each, WHY: "My own words"} for each in other])
    planned(writing, "Account", WHY, "3 people", ids)
    mark = writing.mark()
    work_without_pauses(writing)
    found = results(writing, ids)
    assert found == {"done": len(ids) - 60, "parked": 40, "gone": 10, "skipped": 10}
    assert held(writing, locked) == {"3 people"}
    assert held(writing, ruled) == {None}
    assert held(writing, other) == {"My own words"}
    again = [call for call in writing.calls(mark, "write") if call["path"].endswith("composite/sobjects")]
    assert sorted(record["id"] for record in json.loads(again[0]["body"])["records"]) == sorted(locked)
    parked = writing.rows("SELECT record_id, state, code FROM outbox")
    assert {(row["state"], row["code"]) for row in parked} == {("parked", "FIELD_CUSTOM_VALIDATION_EXCEPTION")}
    assert {row["record_id"] for row in parked} == set(ruled)
    with writing.service.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM outbox")


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        ({"reset": "before"}, {"method": "POST", "path_contains": INGEST}),
        ({"reset": "after"}, {"method": "POST", "path_contains": INGEST}),
        ({"reset": "before"}, {"method": "PUT"}),
        ({"reset": "after"}, {"method": "PUT"}),
        ({"reset": "before"}, {"method": "PATCH", "path_contains": INGEST}),
        ({"reset": "after"}, {"method": "PATCH", "path_contains": INGEST}),
        ({"status": 503, "body": ""}, {"method": "GET", "path_contains": INGEST, "times": 4}),
        ({"reset": "after"}, {"method": "DELETE"}),
    ],
    ids=lambda each: "-".join(str(value).strip("/") for value in each.values()),
)
def test_whatever_is_lost_around_a_job_no_record_is_sent_twice(
    writing: Running, fault: dict[str, Any], where: dict[str, Any]
) -> None:
    ids = accounts(writing, BULK_ABOVE + 1)
    planned(writing, "Account", WHY, "3 people", ids)
    writing.org.fault(fault, system="salesforce", **{"times": 1, **where})
    mark = writing.mark()
    work_without_pauses(writing)
    assert results(writing, ids) == {"done": len(ids)}
    assert held(writing, ids) == {"3 people"}
    assert writing.value("SELECT count(*) FROM bulk_job") == 0
    done: set[int | None] = {200} if fault.get("reset") == "before" else {200, None}
    assert records_told(writing.calls(mark), done) == len(ids)


def records_told(calls: Sequence[dict[str, Any]], done: set[int | None]) -> int:
    """
    How many records the org was told to change: by collections, and by jobs that it let run. ``done`` are the statuses
    of a call that came about, None where its answer was cut.
    """
    ran = {call["path"].rpartition("/")[2] for call in calls if _lets_run(call) and call["status"] in done}
    told = [call for call in calls if call["path"].endswith("composite/sobjects")]
    told += [call for call in calls if call["method"] == "PUT" and call["path"].split("/")[-2] in ran]
    return sum(call["rows"] for call in told)


def _lets_run(call: dict[str, Any]) -> bool:
    return call["method"] == "PATCH" and INGEST in call["path"] and "UploadComplete" in call["body"]


def work_without_pauses(writing: Running) -> None:
    """
    Work until the outbox is empty; whatever waits for its time has it at once.
    """
    for _ in range(100):
        while drain(writing.service):
            pass
        if not writing.value("SELECT count(*) FROM outbox WHERE state <> 'parked'"):
            return
        time.sleep(0.05)
        without_pauses(writing)
    raise AssertionError("the outbox does not get empty")


def without_pauses(writing: Running) -> None:
    with writing.service.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET not_before = NULL")
        connection.exec_driver_sql("UPDATE bulk_job SET not_before = NULL")
        connection.exec_driver_sql("UPDATE job SET run_at = now() WHERE state = 'ready'")
        follow_up(connection, writing.service)
