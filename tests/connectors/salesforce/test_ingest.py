"""
Writing many records by a Bulk job of a practice org: what every record became of is read from the job, whatever was
lost on the way.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.connectors.salesforce.test_writing import ENGAGED, WHY, accounts, mark
from tests.practice_org import PracticeOrg
from worker.connectors.base import RecordChange, Result
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.ingest import as_csv
from worker.connectors.salesforce.writer import SalesforceSink
from worker.core.errors import Retriable

pytestmark = pytest.mark.slow

INGEST = "jobs/ingest"


@pytest.fixture
def sink(connect: Callable[[], SalesforceClient]) -> SalesforceSink:
    return SalesforceSink(connect())


def handed_over(sink: SalesforceSink, changes: Sequence[RecordChange], object_name: str = "Account") -> str:
    job = sink.open_job(object_name)
    assert job is not None
    assert sink.hand_over(job, object_name, changes) == []
    return job


def named(ids: Sequence[str]) -> list[RecordChange]:
    return [RecordChange(each, {}) for each in ids]


def ended(
    sink: SalesforceSink, job: str, sent: Sequence[str] | Sequence[RecordChange], object_name: str = "Account"
) -> Sequence[Result]:
    """
    The results, asked for until the job has ended.
    """
    changes = [each if isinstance(each, RecordChange) else RecordChange(each, {}) for each in sent]
    for _ in range(200):
        results = sink.job_results(job, object_name, changes)
        if results is not None:
            return results
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def test_a_job_says_done_of_every_record_without_its_results_being_read(org: PracticeOrg, sink: SalesforceSink) -> None:
    ids = accounts(org, 450, **{WHY: "before", ENGAGED: True})
    before = mark(org)
    changes = [RecordChange(each, {WHY: 'Said "yes",\n2 × & more', ENGAGED: "false"}) for each in ids]
    job = handed_over(sink, changes)
    assert {result.verdict for result in ended(sink, job, ids)} == {"done"}
    sink.drop_job(job)
    calls = [call for call in org.journal("salesforce", before) if call["kind"] != "token"]
    asked = [(call["method"], call["path"].rpartition(INGEST)[2]) for call in calls]
    writes = [(method, path) for method, path in asked if method != "GET"]
    assert writes == [("POST", ""), ("PUT", f"/{job}/batches"), ("PATCH", f"/{job}"), ("DELETE", f"/{job}")]
    assert {path for method, path in asked if method == "GET" and INGEST in path} <= {f"/{job}"}
    assert {str(seen.values) for seen in sink.observe("Account", ids, [WHY, ENGAGED])} == {
        str({WHY: 'Said "yes",\n2 × & more', ENGAGED: "false"})
    }


def test_an_emptied_field_is_empty_and_one_that_is_not_named_stays(org: PracticeOrg, sink: SalesforceSink) -> None:
    emptied, kept = accounts(org, 2, **{WHY: "3 people", ENGAGED: True})
    changes = [RecordChange(emptied, {WHY: None, ENGAGED: None}), RecordChange(kept, {ENGAGED: "false"})]
    job = handed_over(sink, changes)
    assert [result.verdict for result in ended(sink, job, [emptied, kept])] == ["done", "done"]
    seen = sink.observe("Account", [emptied, kept], [WHY, ENGAGED])
    assert [each.values for each in seen] == [{WHY: None, ENGAGED: "false"}, {WHY: "3 people", ENGAGED: "false"}]


def test_an_empty_field_is_a_word_of_its_own_and_an_unnamed_one_nothing() -> None:
    text = as_csv([{"Id": "001A", WHY: "#N/A"}, {"Id": "001B", ENGAGED: "true"}]).decode()
    assert text == f'"Id","{WHY}","{ENGAGED}"\n"001A","#N/A",""\n"001B","","true"\n'


def test_both_ways_of_writing_leave_the_same_values(org: PracticeOrg, sink: SalesforceSink) -> None:
    values: dict[str, str | None] = {
        "HW_Marketing_Share__c": "62.5",
        "HW_Influenced__c": "true",
        "HW_Source_Offer__c": " Cost, Control; #1 ",
        "HW_Source_Team__c": None,
    }
    deal = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-12-31", "HW_Source_Team__c": "Sales"}
    ids = org.create("Opportunity", [deal, deal])
    sink.write("Opportunity", [RecordChange(ids[0], values)])
    job = handed_over(sink, [RecordChange(ids[1], values)], "Opportunity")
    ended(sink, job, ids[1:])
    one, other = sink.observe("Opportunity", ids, list(values))
    assert one.values == other.values


def test_each_record_has_its_own_verdict_whatever_the_order_of_the_results(
    org: PracticeOrg, sink: SalesforceSink
) -> None:
    fine, ruled, locked, deleted = accounts(org, 4)
    org.control("POST", "salesforce/update", {"object": "Account", "records": [{"Id": ruled, "Industry": "Banking"}]})
    rule = {"object": "Account", "field": "Industry", "value": "Banking", "message": "Banks need: a tier"}
    org.control("POST", "salesforce/validation_rule", rule)
    org.control("POST", "salesforce/locks", {"ids": [locked]})
    org.control("POST", "salesforce/delete", {"object": "Account", "ids": [deleted]})
    ids = [ruled, fine, deleted, locked]
    results = ended(sink, handed_over(sink, [RecordChange(each, {WHY: "3 people"}) for each in ids]), ids)
    assert [result.record_id for result in results] == ids
    assert [result.verdict for result in results] == ["parked", "done", "gone", "retry"]
    assert results[0].code == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    assert results[0].message == "Banks need: a tier"


def test_assignment_rules_are_off_in_a_job_too(org: PracticeOrg, sink: SalesforceSink) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Doe", "Company": "Acme"}])
    (other,) = org.create(
        "User", [{"Username": "q2@practice.test", "LastName": "Queue", "Email": "q2@practice.test", "Alias": "queue2"}]
    )
    org.control("POST", "salesforce/assignment_rule", {"object": "Lead", "owner_id": other})
    (before,) = sink.observe("Lead", [lead], ["OwnerId"])
    ended(sink, handed_over(sink, [RecordChange(lead, {"HW_Cycle__c": "1"})], "Lead"), [lead])
    assert sink.observe("Lead", [lead], ["OwnerId"])[0].values == before.values
    org.control("POST", "salesforce/assignment_rule", {"object": "Lead", "owner_id": None})


@pytest.mark.parametrize("lost", ["PUT", "PATCH"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_on_the_way_into_a_job_is_cleared_up_by_asking_it(
    org: PracticeOrg, sink: SalesforceSink, lost: str, when: str
) -> None:
    ids = accounts(org, 3)
    org.fault({"reset": when}, system="salesforce", method=lost, path_contains=INGEST, times=1)
    job = handed_over(sink, [RecordChange(each, {WHY: "after"}) for each in ids])
    verdicts = {result.verdict for result in ended(sink, job, ids)}
    held = {seen.values[WHY] for seen in sink.observe("Account", ids, [WHY]) if seen.values}
    came_about = (lost, when) == ("PATCH", "after")
    assert (verdicts, held) == ({"done"}, {"after"}) if came_about else ({"retry"}, {None})
    # A job that was not let run can never run any more: its records may be sent in another way.
    time.sleep(0.5)
    again = {seen.values[WHY] for seen in sink.observe("Account", ids, [WHY]) if seen.values}
    assert again == held


def test_a_session_that_expires_within_a_job_is_renewed(org: PracticeOrg, sink: SalesforceSink) -> None:
    ids = accounts(org, 3)
    job = sink.open_job("Account")
    assert job is not None
    org.control("POST", "salesforce/expire_sessions")
    sink.hand_over(job, "Account", [RecordChange(each, {WHY: "3 people"}) for each in ids])
    org.control("POST", "salesforce/expire_sessions")
    assert {result.verdict for result in ended(sink, job, ids)} == {"done"}


def test_a_job_that_is_gone_leaves_its_records_to_be_read(org: PracticeOrg, sink: SalesforceSink) -> None:
    ids = accounts(org, 2)
    job = handed_over(sink, [RecordChange(each, {WHY: "3 people"}) for each in ids])
    ended(sink, job, ids)
    sink.drop_job(job)
    assert [result.verdict for result in sink.job_results(job, "Account", named(ids)) or ()] == ["unknown", "unknown"]


def test_a_job_that_is_given_up_is_ended_and_its_records_go_out_otherwise(
    org: PracticeOrg, sink: SalesforceSink
) -> None:
    ids = accounts(org, 2)
    org.control("POST", "salesforce/settings", {"bulk_seconds": 20.0})
    job = handed_over(sink, [RecordChange(each, {WHY: "3 people"}) for each in ids])
    assert sink.job_results(job, "Account", named(ids)) is None
    assert [result.verdict for result in sink.job_results(job, "Account", named(ids), give_up=True) or ()] == [
        "retry",
        "retry",
    ]
    assert {seen.values[WHY] for seen in sink.observe("Account", ids, [WHY]) if seen.values} == {None}


def test_a_value_that_a_job_cannot_carry_is_refused_and_the_others_go(org: PracticeOrg, sink: SalesforceSink) -> None:
    wrong, word, fine = accounts(org, 3)
    changes: list[tuple[str, dict[str, str | None]]] = [
        (wrong, {ENGAGED: "yes"}),
        (word, {WHY: "#N/A"}),
        (fine, {WHY: "3 people"}),
    ]
    job = sink.open_job("Account")
    assert job is not None
    refused = sink.hand_over(job, "Account", [RecordChange(*each) for each in changes])
    assert [(result.record_id, result.verdict, result.code) for result in refused] == [
        (wrong, "refused", "HW-221"),
        (word, "refused", "HW-221"),
    ]
    assert [result.verdict for result in ended(sink, job, [fine])] == ["done"]


@pytest.mark.parametrize(
    "action",
    [
        {"status": 200, "body": "<html>login</html>", "content_type": "text/html"},
        {"status": 200, "body": '"sf__Id","sf__Created"\n"x"\n', "content_type": "text/csv"},
        {"status": 200, "body": '"a","b"\n"x","y"\n', "content_type": "text/csv"},
    ],
    ids=["html", "a line cut", "other columns"],
)
def test_results_that_cannot_be_trusted_are_asked_for_again(
    org: PracticeOrg, sink: SalesforceSink, action: dict[str, Any]
) -> None:
    fine, locked = accounts(org, 2)
    org.control("POST", "salesforce/locks", {"ids": [locked]})
    job = handed_over(sink, [RecordChange(each, {WHY: "3 people"}) for each in (fine, locked)])
    org.fault(action, system="salesforce", path_contains="/successfulResults", times=1)
    with pytest.raises(Retriable):
        ended(sink, job, [fine, locked])
    assert [result.verdict for result in ended(sink, job, [fine, locked])] == ["done", "retry"]


def test_an_object_that_bulk_does_not_take_gets_no_job(org: PracticeOrg, sink: SalesforceSink) -> None:
    words = [{"errorCode": "INVALIDENTITY", "message": "Entity 'Account' is not supported by the Bulk API."}]

    org.fault(
        {"status": 400, "body": json.dumps(words), "content_type": "application/json"},
        system="salesforce",
        method="POST",
        path_contains=INGEST,
        times=1,
    )
    assert sink.open_job("Account") is None


TOUCH = "HW_Touch__c"
KEY = "HW_Key__c"


@pytest.fixture
def keyed(connect: Callable[[], SalesforceClient]) -> SalesforceSink:
    return SalesforceSink(connect(), keys={TOUCH: KEY})


def a_deal(org: PracticeOrg) -> str:
    (deal,) = org.create("Opportunity", [{"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-12-31"}])
    return deal


def touches(deal: str, count: int, **values: str | None) -> list[RecordChange]:
    given = {"HW_Opportunity__c": deal, "HW_Channel__c": "Webinar"} | values
    return [RecordChange(f"{deal}:{n}", {KEY: f"{deal}:{n}", **given}) for n in range(count)]


def beneath(sink: SalesforceSink, changes: Sequence[RecordChange], field: str = "HW_Channel__c") -> list[Any]:
    seen = sink.observe(TOUCH, [change.record_id for change in changes], [field])
    return [each.values and each.values[field] for each in seen]


def test_a_job_makes_records_by_our_key_and_says_their_ids(org: PracticeOrg, keyed: SalesforceSink) -> None:
    changes = touches(a_deal(org), 300)
    results = ended(keyed, handed_over(keyed, changes, TOUCH), changes, TOUCH)
    assert [(result.record_id, result.verdict) for result in results] == [(each.record_id, "done") for each in changes]
    assert len({result.vendor_id for result in results}) == 300
    facts = keyed.observe(TOUCH, [each.record_id for each in changes], [KEY])
    assert [each.facts["Id"] for each in facts] == [result.vendor_id for result in results]


def test_a_job_that_is_sent_twice_makes_each_record_once(org: PracticeOrg, keyed: SalesforceSink) -> None:
    deal = a_deal(org)
    changes = touches(deal, 20)
    first = ended(keyed, handed_over(keyed, changes, TOUCH), changes, TOUCH)
    emptied = [RecordChange(each.record_id, {KEY: each.record_id, "HW_Channel__c": None}) for each in changes]
    again = ended(keyed, handed_over(keyed, emptied, TOUCH), emptied, TOUCH)
    assert [result.vendor_id for result in first] == [result.vendor_id for result in again]
    assert beneath(keyed, changes) == [None] * 20


def test_a_job_deletes_records_and_one_that_is_gone_already_is_done(org: PracticeOrg, keyed: SalesforceSink) -> None:
    changes = touches(a_deal(org), 5)
    made = ended(keyed, handed_over(keyed, changes, TOUCH), changes, TOUCH)
    org.control("POST", "salesforce/delete", {"object": TOUCH, "ids": [made[3].vendor_id]})
    removals = [RecordChange(result.record_id, {}, removes=result.vendor_id) for result in made[1:]]
    job = keyed.open_job(TOUCH, removes=True)
    assert job is not None
    assert keyed.hand_over(job, TOUCH, removals) == []
    results = ended(keyed, job, removals, TOUCH)
    assert [(result.record_id, result.verdict) for result in results] == [
        (each.record_id, "done") for each in changes[1:]
    ]
    assert beneath(keyed, changes) == ["Webinar", None, None, None, None]


def test_what_a_job_was_refused_is_told_by_our_key(org: PracticeOrg, keyed: SalesforceSink) -> None:
    fine, gone = touches(a_deal(org), 1), touches(a_deal(org), 1)
    org.control("POST", "salesforce/delete", {"object": "Opportunity", "ids": [gone[0].record_id.partition(":")[0]]})
    changes = [*gone, *fine]
    results = ended(keyed, handed_over(keyed, changes, TOUCH), changes, TOUCH)
    assert [(result.record_id, result.verdict) for result in results] == [
        (gone[0].record_id, "gone"),
        (fine[0].record_id, "done"),
    ]
