"""
What runs, and who writes, where we write: an org with automation of its own, and one that does not let us look.
"""

from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.connectors.salesforce.test_doctor import WRITTEN
from tests.practice_org import PracticeOrg
from worker.connectors.salesforce.automation import examine_writes
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.findings import Finding

pytestmark = pytest.mark.slow

Connect = Callable[[], SalesforceClient]


@pytest.fixture(autouse=True)
def _as_it_was(org: PracticeOrg) -> Iterator[None]:
    yield
    org.control("DELETE", "salesforce/duplicate_rule")


def about(findings: Sequence[Finding], *words: str) -> Finding:
    (found,) = [each for each in findings if all(word in each.message for word in words)]
    return found


def test_an_org_without_automation_is_told_so_object_by_object(org: PracticeOrg, connect: Connect) -> None:
    findings = examine_writes(connect(), WRITTEN)
    assert {each.level for each in findings} == {"ok"}
    for name in WRITTEN:
        told = [each.message for each in findings if each.message.startswith(f"{name}: no active")]
        assert len(told) == 4, told


def test_what_runs_on_our_writes_is_listed_by_name(org: PracticeOrg, connect: Connect) -> None:
    org.control("POST", "salesforce/flow", {"object": "Account", "set": {"Rating": "Warm"}, "name": "Stamp_Rating"})
    trigger = {"object": "Opportunity", "set": {"NextStep": "Call"}, "name": "NextSteps", "apex": True}
    org.control("POST", "salesforce/flow", trigger)
    rule = {"object": "Lead", "field": "Title", "value": "CEO", "message": "Name the company", "name": "No_CEO"}
    org.control("POST", "salesforce/validation_rule", {**rule, "at_field": True})
    org.control("POST", "salesforce/duplicate_rule", {"object": "Contact", "field": "Email", "name": "Same_Email"})
    findings = examine_writes(connect(), WRITTEN)
    flow = about(findings, "Account: active flows")
    assert flow.message.endswith("(1): Stamp_Rating (after save)")
    assert (flow.level, flow.code) == ("warning", "HW-239")
    assert "Headwater_Exempt" in flow.actions[0]
    assert about(findings, "Opportunity: active Apex triggers").message.endswith("(1): NextSteps (after update)")
    assert about(findings, "Lead: active validation rules").message.endswith("No_CEO on Title: Name the company")
    assert about(findings, "Contact: active duplicate rules").message.endswith("(1): Same_Email")
    assert len([each for each in findings if each.level == "warning"]) == 4


def test_objects_that_we_do_not_write_are_nobodys_business(org: PracticeOrg, connect: Connect) -> None:
    org.control("POST", "salesforce/flow", {"object": "Campaign", "set": {"Status": "Planned"}, "name": "Other"})
    assert {each.level for each in examine_writes(connect(), WRITTEN)} == {"ok"}


def test_a_long_list_is_cut_and_counted(org: PracticeOrg, connect: Connect) -> None:
    for number in range(11):
        org.control(
            "POST", "salesforce/flow", {"object": "Account", "set": {"Rating": "Warm"}, "name": f"Flow_{number:02d}"}
        )
    told = about(examine_writes(connect(), WRITTEN), "Account: active flows").message
    assert "(11): Flow_00" in told
    assert told.endswith("; and 3 more")


def test_everything_is_asked_in_three_calls_and_nothing_is_written(org: PracticeOrg, connect: Connect) -> None:
    client = connect()
    client.ask("GET", "limits")
    before = org.control("GET", "journal")["next"]
    examine_writes(client, WRITTEN)
    calls = org.journal("salesforce", before)
    assert len(calls) == 3
    assert "write" not in {entry["kind"] for entry in calls}


def test_whoever_else_may_edit_our_fields_is_named(org: PracticeOrg, connect: Connect) -> None:
    (granted,) = org.create("PermissionSet", [{"Name": "Marketing_Ops", "Label": "Marketing Ops", "IsCustom": True}])
    rows = [
        {"ParentId": granted, "SobjectType": "Account", "Field": f"Account.{field}", "PermissionsEdit": edit}
        for field, edit in (("HW_Engaged__c", True), ("HW_Engaged_Why__c", True), ("HW_Engaged_Since__c", False))
    ]
    (api_only,) = org.create("PermissionSet", [{"Name": "Api", "Label": "Api", "PermissionsApiUserOnly": True}])
    bot, former, person = org.create("User", [
        {"Username": f"{name}@practice.test", "LastName": name, "Alias": name, "Email": f"{name}@practice.test",
         "IsActive": name != "former"} for name in ("syncbot", "former", "person")
    ])  # fmt: skip
    org.create("FieldPermissions", rows)
    nobody = about(examine_writes(connect(), WRITTEN), "nobody else was given Edit")
    assert nobody.level == "ok", "a set that nobody has lets nobody write"
    pairs = [(granted, bot), (granted, former), (granted, person), (api_only, bot), (api_only, former)]
    org.create("PermissionSetAssignment", [{"PermissionSetId": has, "AssigneeId": who} for has, who in pairs])
    try:
        findings = examine_writes(connect(), WRITTEN)
    finally:
        org.control("POST", "salesforce/hard_delete", {"object": "PermissionSet", "ids": [granted, api_only]})
    found = about(findings, "others may edit")
    assert found.message == "others may edit fields that we write: Marketing Ops (2 fields, 2 users)"
    assert (found.level, found.code) == ("warning", "HW-240")
    program = about(findings, "API Only")
    assert program.message == (
        "other integrations (API Only users) may edit fields that we write: syncbot (through Marketing Ops)"
    )
    assert (program.level, program.code) == ("warning", "HW-240")


def test_who_changed_records_last_after_we_wrote_them_is_named(org: PracticeOrg, connect: Connect) -> None:
    client = connect()
    ours, theirs = org.create("Account", [{"Name": "Ridge"}, {"Name": "Vale"}])
    client.tell("PATCH", f"sobjects/Account/{ours}", {"HW_Engaged__c": True})
    changed = {"Account": [ours, theirs, "no id"], "Lead": [], "Nowhere__c": [theirs]}
    found = about(examine_writes(client, WRITTEN, changed), "changed after we wrote it")
    assert found.message.startswith("Account: of 3 records whose value of ours was changed after we wrote it")
    assert found.message.endswith("(System Administrator) 1"), found.message
    assert (found.level, found.code) == ("warning", "HW-240")


def test_whoever_changed_our_fields_is_named_where_their_history_is_tracked(org: PracticeOrg, connect: Connect) -> None:
    client = connect()
    (account,) = org.create("Account", [{"Name": "Ridge"}])
    ours = client.user_id()
    change = {"AccountId": account, "Field": "HW_Engaged__c", "DataType": "Boolean"}
    kept = org.create("AccountHistory", [change, change, {**change, "CreatedById": ours}, {**change, "Field": "Name"}])
    try:
        found = about(examine_writes(client, WRITTEN), "others changed fields")
    finally:
        org.control("POST", "salesforce/hard_delete", {"object": "AccountHistory", "ids": kept})
    assert found.message.startswith(
        "Account: others changed fields that we write in the last 30 days: HW_Engaged__c by "
    )
    assert "(System Administrator), 2 times" in found.message
    assert (found.level, found.code) == ("warning", "HW-240")


def test_what_the_user_may_not_look_at_is_said_and_the_rest_goes_on(org: PracticeOrg, connect: Connect) -> None:
    body = '[{"errorCode": "INVALID_TYPE", "message": "sObject type \'ValidationRule\' is not supported."}]'
    refusal = {"status": 400, "body": body, "content_type": "application/json"}
    org.fault(refusal, system="salesforce", path_contains="ValidationRule")
    findings = examine_writes(connect(), WRITTEN)
    hidden = about(findings, "the validation rules cannot be seen")
    assert (hidden.level, hidden.code) == ("warning", "HW-239")
    assert "View Setup and Configuration" in hidden.actions[0]
    assert about(findings, "Account: no active Apex triggers").level == "ok"


def test_without_a_field_to_write_there_is_nothing_to_ask(org: PracticeOrg, connect: Connect) -> None:
    client = connect()
    (found,) = examine_writes(client, {})
    assert found.level == "ok"
