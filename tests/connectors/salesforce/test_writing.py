"""
Writing to a practice org, as a real process over TLS: verdicts, types, lost answers, and what a write never does.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.practice_org import PracticeOrg
from worker.connectors.base import RecordChange
from worker.connectors.http import Passing
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.streams import SalesforceSource
from worker.connectors.salesforce.writer import SalesforceSink
from worker.core.errors import Fatal, Retriable

pytestmark = pytest.mark.slow

WHY = "HW_Engaged_Why__c"
ENGAGED = "HW_Engaged__c"


@pytest.fixture
def sink(connect: Callable[[], SalesforceClient]) -> SalesforceSink:
    return SalesforceSink(connect())


def accounts(org: PracticeOrg, count: int, **values: Any) -> list[str]:
    return org.create("Account", [{"Name": f"Acme {number}", **values} for number in range(count)])


def writes(org: PracticeOrg, after: int) -> list[dict[str, Any]]:
    return [entry for entry in org.journal("salesforce", after) if entry["method"] == "PATCH"]


def mark(org: PracticeOrg) -> int:
    number: int = org.control("GET", "journal")["next"]
    return number


def test_values_are_held_in_the_types_of_their_fields(org: PracticeOrg, sink: SalesforceSink) -> None:
    (account,) = accounts(org, 1)
    (deal,) = org.create("Opportunity", [{"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-12-31"}])
    (lead,) = org.create("Lead", [{"LastName": "Doe", "Company": "Acme"}])
    wanted: dict[str, tuple[str, dict[str, str | None]]] = {
        "Account": (account, {ENGAGED: "true", "HW_Engaged_Since__c": "2026-11-18", WHY: 'Said "yes", 2 × & more'}),
        "Opportunity": (deal, {"HW_Marketing_Share__c": "62.5", "HW_Influenced__c": "false"}),
        "Lead": (lead, {"HW_Cycle__c": "2", "HW_Lifecycle_Since__c": "2026-11-18T09:30:00.000Z"}),
    }
    for object_name, (record_id, values) in wanted.items():
        (result,) = sink.write(object_name, [RecordChange(record_id, values)])
        assert result.verdict == "done", result
        (seen,) = sink.observe(object_name, [record_id], list(values))
        assert seen.values == values


def test_an_emptied_field_is_empty_and_a_checkbox_false(org: PracticeOrg, sink: SalesforceSink) -> None:
    (account,) = accounts(org, 1, **{WHY: "3 people", ENGAGED: True})
    sink.write("Account", [RecordChange(account, {WHY: None, ENGAGED: None})])
    (seen,) = sink.observe("Account", [account], [WHY, ENGAGED])
    assert seen.values == {WHY: None, ENGAGED: "false"}


def test_assignment_rules_are_off_on_every_write_also_after_a_new_login(org: PracticeOrg, sink: SalesforceSink) -> None:
    (account,) = accounts(org, 1)
    sink.write("Account", [RecordChange(account, {WHY: "one"})])
    before = mark(org)
    org.control("POST", "salesforce/expire_sessions")
    sink.write("Account", [RecordChange(account, {WHY: "two"})])
    seen = writes(org, before)
    assert [entry["status"] for entry in seen] == [401, 200]
    for entry in seen:
        assert entry["headers"]["sforce-auto-assign"] == "FALSE"
        assert entry["headers"]["sforce-duplicate-rule-header"] == "allowSave=true"
        assert entry["headers"]["sforce-call-options"] == "client=headwater"


def test_a_lead_keeps_its_owner_when_we_write(org: PracticeOrg, sink: SalesforceSink) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Doe", "Company": "Acme"}])
    (queue_user,) = org.create(
        "User", [{"Username": "queue@practice.test", "LastName": "Queue", "Email": "q@practice.test", "Alias": "queue"}]
    )
    org.control("POST", "salesforce/assignment_rule", {"object": "Lead", "owner_id": queue_user})
    (before,) = sink.observe("Lead", [lead], ["OwnerId"])
    sink.write("Lead", [RecordChange(lead, {"HW_Cycle__c": "1"})])
    (after,) = sink.observe("Lead", [lead], ["OwnerId"])
    assert before.values == after.values
    org.control("POST", "salesforce/assignment_rule", {"object": "Lead", "owner_id": None})


def test_each_record_has_its_own_verdict_in_the_order_sent(org: PracticeOrg, sink: SalesforceSink) -> None:
    fine, ruled, locked, deleted = accounts(org, 4)
    org.control("POST", "salesforce/update", {"object": "Account", "records": [{"Id": ruled, "Industry": "Banking"}]})
    rule = {"object": "Account", "field": "Industry", "value": "Banking", "message": "Banks need a tier"}
    org.control("POST", "salesforce/validation_rule", rule)
    org.control("POST", "salesforce/locks", {"ids": [locked]})
    org.control("POST", "salesforce/delete", {"object": "Account", "ids": [deleted]})
    ids = [ruled, fine, deleted, locked]
    results = sink.write("Account", [RecordChange(each, {WHY: "3 people"}) for each in ids])
    assert [result.record_id for result in results] == ids
    assert [result.verdict for result in results] == ["parked", "done", "gone", "retry"]
    assert results[0].code == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    assert "Banks need a tier" in (results[0].message or "")
    (seen,) = sink.observe("Account", [fine], [WHY])
    assert seen.values == {WHY: "3 people"}


def test_a_converted_lead_is_gone(org: PracticeOrg, sink: SalesforceSink) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Doe", "Company": "Acme"}])
    conversion: dict[str, Any] = {"leadId": lead, "account": {}, "contact": {}, "opportunity": None}
    made = org.control("POST", "salesforce/convert", {"conversions": [conversion]})["results"][0]
    (result,) = sink.write("Lead", [RecordChange(lead, {"HW_Cycle__c": "2"})])
    assert result.verdict == "gone"
    (seen,) = sink.observe("Lead", [lead], ["HW_Cycle__c"])
    assert (seen.facts["IsConverted"], seen.facts["ConvertedContactId"]) == ("true", made["contactId"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({WHY: "x" * 300}, "STRING_TOO_LONG"),
        ({ENGAGED: "yes"}, "HW-221"),
        ({"NumberOfEmployees": "many"}, "HW-221"),
        ({"NumberOfEmployees": "NaN"}, "HW-221"),
        ({"AnnualRevenue": "1234567890123456.78"}, "HW-221"),
    ],
)
def test_a_value_its_field_cannot_take_is_refused(
    org: PracticeOrg, sink: SalesforceSink, changes: dict[str, str | None], code: str
) -> None:
    wrong, fine = accounts(org, 2)
    results = sink.write("Account", [RecordChange(wrong, changes), RecordChange(fine, {WHY: "3 people"})])
    assert (results[0].verdict, results[0].code) == ("refused", code)
    assert results[1].verdict == "done"


def test_an_id_that_is_none_is_refused_and_not_sent(org: PracticeOrg, sink: SalesforceSink) -> None:
    before = mark(org)
    (result,) = sink.write("Account", [RecordChange("../Lead", {WHY: "x"})])
    assert result.verdict == "refused"
    assert writes(org, before) == []


def test_a_field_that_does_not_exist_stops_the_write_before_it_is_sent(org: PracticeOrg, sink: SalesforceSink) -> None:
    (account,) = accounts(org, 1)
    before = mark(org)
    with pytest.raises(Fatal) as caught:
        sink.write("Account", [RecordChange(account, {"HW_Nowhere__c": "x"})])
    assert caught.value.code == "HW-209"
    assert "HW_Nowhere__c" in caught.value.message
    assert writes(org, before) == []


def test_a_lost_answer_is_unknown_and_reading_tells(org: PracticeOrg, sink: SalesforceSink) -> None:
    ids = accounts(org, 3)
    sink.write("Account", [RecordChange(ids[0], {WHY: "before"})])
    org.fault({"reset": "after"}, system="salesforce", method="PATCH", times=1)
    before = mark(org)
    results = sink.write("Account", [RecordChange(each, {WHY: "after"}) for each in ids])
    assert [result.verdict for result in results] == ["unknown"] * 3
    assert len(writes(org, before)) == 1
    assert [seen.values for seen in sink.observe("Account", ids, [WHY])] == [{WHY: "after"}] * 3


def test_a_call_cut_before_it_was_done_is_unknown_too_and_nothing_happened(
    org: PracticeOrg, sink: SalesforceSink
) -> None:
    (account,) = accounts(org, 1)
    sink.write("Account", [RecordChange(account, {WHY: "before"})])
    org.fault({"reset": "before"}, system="salesforce", method="PATCH", times=1)
    (result,) = sink.write("Account", [RecordChange(account, {WHY: "after"})])
    assert result.verdict == "unknown"
    assert sink.observe("Account", [account], [WHY])[0].values == {WHY: "before"}


@pytest.mark.parametrize(
    "action",
    [
        {"cut_body_at": 40},
        {"status": 502, "body": "<html>bad gateway</html>", "content_type": "text/html"},
        {"status": 200, "body": "<html>login</html>", "content_type": "text/html"},
        {"status": 200, "body": "[]", "content_type": "application/json"},
        {"status": 200, "body": '{"ok":true}', "content_type": "application/json"},
        {
            "status": 200,
            "body": '[{"id":"001000000000000AAA","success":true,"errors":[]}]',
            "content_type": "application/json",
        },
    ],
    ids=["cut", "502", "html", "fewer results", "no list", "another record's result"],
)
def test_an_answer_that_cannot_be_trusted_is_unknown(
    org: PracticeOrg, sink: SalesforceSink, action: dict[str, Any]
) -> None:
    (account,) = accounts(org, 1)
    org.fault(action, system="salesforce", method="PATCH", times=1)
    (result,) = sink.write("Account", [RecordChange(account, {WHY: "x"})])
    assert result.verdict == "unknown"


def test_a_used_up_day_is_raised_because_nothing_was_written(org: PracticeOrg, sink: SalesforceSink) -> None:
    (account,) = accounts(org, 1)
    sink.write("Account", [RecordChange(account, {WHY: "before"})])
    org.control("POST", "salesforce/limits", {"used": 100_000, "allowed": 100_000})
    try:
        with pytest.raises(Retriable) as caught:
            sink.write("Account", [RecordChange(account, {WHY: "after"})])
    finally:
        org.control("POST", "salesforce/limits", {"used": 0})
    assert caught.value.code == "HW-206"
    assert sink.observe("Account", [account], [WHY])[0].values == {WHY: "before"}


def test_too_many_requests_is_raised_because_nothing_was_written(org: PracticeOrg, sink: SalesforceSink) -> None:
    (account,) = accounts(org, 1)
    org.fault({"status": 429, "body": ""}, system="salesforce", method="PATCH", times=1)
    with pytest.raises(Passing):
        sink.write("Account", [RecordChange(account, {WHY: "x"})])


def test_two_thousand_records_are_looked_at_in_one_call_and_missing_ones_are_gone(
    org: PracticeOrg, sink: SalesforceSink
) -> None:
    ids = accounts(org, 1_998)
    (deleted,) = accounts(org, 1)
    org.control("POST", "salesforce/delete", {"object": "Account", "ids": [deleted]})
    sink.observe("Account", ids[:1], [WHY])
    before = mark(org)
    asked = [deleted, *ids, "001000000000000AAA"]
    seen = sink.observe("Account", asked, [WHY])
    assert [each.record_id for each in seen] == asked
    assert (seen[0].values, seen[-1].values) == (None, None)
    assert all(each.values == {WHY: None} for each in seen[1:-1])
    assert len(org.journal("salesforce", before)) == 1


def test_a_full_batch_is_one_call_and_one_more_record_is_refused(org: PracticeOrg, sink: SalesforceSink) -> None:
    ids = accounts(org, sink.batch_size + 1)
    changes = [RecordChange(each, {WHY: "x"}) for each in ids]
    before = mark(org)
    results = sink.write("Account", changes[:-1])
    assert {result.verdict for result in results} == {"done"}
    assert len(writes(org, before)) == 1
    with pytest.raises(Fatal):
        sink.write("Account", changes)


def test_what_the_source_learned_spares_the_sink_a_call(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    client = connect()
    source = SalesforceSource(client, write_fields={"Account": [WHY]}, streams=["salesforce.account"])
    (account,) = accounts(org, 1)
    list(source.read_records("salesforce.account", [account], {}))
    sink = SalesforceSink(client, known=source.learned())
    before = mark(org)
    sink.write("Account", [RecordChange(account, {WHY: "x"})])
    assert len(org.journal("salesforce", before)) == 1
