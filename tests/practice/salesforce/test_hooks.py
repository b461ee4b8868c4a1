"""
What administrators put in a writer's way: conditions, duplicates, flows that copy, bad luck with locks, maintenance.
"""

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg


def test_a_condition_is_asked_of_the_record_as_it_would_be(client: Client, org: PracticeOrg) -> None:
    rule = {"object": "Lead", "where": "Title = null AND LeadSource = 'Web'", "message": "Web leads need a title"}
    org.control("POST", "salesforce/validation_rule", rule)
    web = {"LastName": "Ray", "Company": "C", "LeadSource": "Web"}
    refused = client.call("POST", "sobjects/Lead", json=web)
    assert refused.json() == [
        {"message": "Web leads need a title", "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "fields": []}
    ]
    made = client.call("POST", "sobjects/Lead", json={**web, "Title": "VP"}).json()["id"]
    assert client.call("PATCH", f"sobjects/Lead/{made}", json={"Title": None}).status_code == 400
    assert client.rows("SELECT Title FROM Lead") == [{"Title": "VP"}]
    assert client.call("PATCH", f"sobjects/Lead/{made}", json={"Title": None, "LeadSource": None}).status_code == 204


def test_a_condition_stops_a_small_update_of_a_record_that_is_bad_elsewhere(client: Client, org: PracticeOrg) -> None:
    (bad,) = org.create("Lead", [{"LastName": "Ray", "Company": "C", "LeadSource": "Web"}])
    rule = {"object": "Lead", "where": "Title = null", "field": "Title", "at_field": True, "message": "Title, please"}
    org.control("POST", "salesforce/validation_rule", rule)
    refused = client.call("PATCH", f"sobjects/Lead/{bad}", json={"Phone": "1"}).json()[0]
    assert (refused["errorCode"], refused["fields"]) == ("FIELD_CUSTOM_VALIDATION_EXCEPTION", ["Title"])


def test_a_condition_that_is_none_is_refused(org: PracticeOrg) -> None:
    with pytest.raises(RuntimeError, match="No such column 'Shoe__c'"):
        org.control("POST", "salesforce/validation_rule", {"object": "Lead", "where": "Shoe__c = 1"})


def test_a_duplicate_rule_names_the_records_it_found(client: Client, org: PracticeOrg) -> None:
    (known,) = org.create("Lead", [{"LastName": "Ray", "Company": "C", "Email": "ray@c.example"}])
    org.control("POST", "salesforce/duplicate_rule", {"object": "Lead", "field": "Email", "action": "alert"})
    again = {"LastName": "Roy", "Company": "C", "Email": "RAY@c.example"}
    (refused,) = client.call("POST", "sobjects/Lead", json=again).json()
    assert (refused["errorCode"], refused["message"]) == ("DUPLICATES_DETECTED", "Use one of these records?")
    (match,) = refused["duplicateResult"]["matchResults"]
    assert [each["record"]["Id"] for each in match["matchRecords"]] == [known]
    assert refused["duplicateResult"]["allowSave"] is True
    header = {"Sforce-Duplicate-Rule-Header": "allowSave=true; includeRecordDetails=false"}
    assert client.call("POST", "sobjects/Lead", json=again, headers=header).status_code == 201
    org.control("DELETE", "salesforce/duplicate_rule")
    org.control("POST", "salesforce/duplicate_rule", {"object": "Lead", "field": "Email", "action": "block"})
    assert client.call("POST", "sobjects/Lead", json=again, headers=header).status_code == 400


@pytest.mark.parametrize(("header", "owner_moves"), [({}, True), ({"Sforce-Auto-Assign": "FALSE"}, False)])
def test_an_innocent_update_reassigns_the_owner_unless_the_header_says_no(
    client: Client, org: PracticeOrg, header: dict[str, str], owner_moves: bool
) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "C"}])
    integration = client.values("SELECT Id FROM User WHERE Username = 'integration@practice.test'")[0]
    org.control("POST", "salesforce/assignment_rule", {"object": "Lead", "owner_id": integration})
    assert client.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "VP"}, headers=header).status_code == 204
    assert (client.values("SELECT OwnerId FROM Lead") == [integration]) is owner_moves


def test_a_flow_copies_and_overwrites_after_the_save(client: Client, org: PracticeOrg) -> None:
    flow = {"object": "Lead", "field": "Rating", "value": "Hot", "set": {"Rating": "Warm"}, "copy": {"Phone": "Title"}}
    org.control("POST", "salesforce/flow", flow)
    client.call("POST", "sobjects/Lead", json={"LastName": "Ray", "Company": "C", "Rating": "Hot", "Title": "VP"})
    assert client.rows("SELECT Rating, Phone FROM Lead") == [{"Rating": "Warm", "Phone": "VP"}]


def test_bad_luck_with_locks_is_seeded(client: Client, org: PracticeOrg) -> None:
    ids = org.create("Lead", [{"LastName": str(n), "Company": "C"} for n in range(200)])
    rows = [{"attributes": {"type": "Lead"}, "id": each, "Title": "VP"} for each in ids]

    def run() -> list[bool]:
        org.control("DELETE", "salesforce/locks")
        org.control("POST", "salesforce/locks", {"chance": 0.2, "seed": 7})
        answers = client.call("PATCH", "composite/sobjects", json={"records": rows}).json()
        codes = {each["errors"][0]["statusCode"] for each in answers if not each["success"]}
        assert codes == {"UNABLE_TO_LOCK_ROW"}
        return [each["success"] for each in answers]

    first = run()
    assert first == run()
    assert 20 <= first.count(False) <= 60


def test_a_full_org_takes_no_new_record_and_lets_old_ones_be_changed(client: Client, org: PracticeOrg) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "Ray Ltd"}])
    org.control("POST", "salesforce/settings", {"storage_full": True})
    refused = client.call("POST", "sobjects/Lead", json={"LastName": "May", "Company": "May Ltd"})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "STORAGE_LIMIT_EXCEEDED")
    assert client.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "VP"}).status_code == 204
    assert client.call("GET", "limits").json()["DataStorageMB"]["Remaining"] == 0
    org.control("POST", "salesforce/settings", {"storage_full": False})
    assert client.call("GET", "limits").json()["DataStorageMB"]["Remaining"] > 0


def test_rights_that_are_taken_are_described_and_kept_to(client: Client, org: PracticeOrg) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "Ray Ltd"}])
    org.control("POST", "salesforce/object_rights", {"object": "Lead", "deletable": False})
    assert client.call("GET", "sobjects/Lead/describe").json()["deletable"] is False
    refused = client.call("DELETE", f"sobjects/Lead/{lead}")
    assert refused.json()[0]["errorCode"] == "INSUFFICIENT_ACCESS_OR_READONLY"
    org.control("POST", "salesforce/object_rights", {"object": "Lead", "deletable": True})
    assert client.call("DELETE", f"sobjects/Lead/{lead}").status_code == 204


def test_a_read_only_org_refuses_writes_and_answers_queries(client: Client, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": "Ray", "Company": "C"}])
    org.control("POST", "salesforce/settings", {"read_only": True})
    refused = client.call("POST", "sobjects/Lead", json={"LastName": "A", "Company": "C"}).json()[0]
    assert refused["errorCode"] == "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE"
    assert client.values("SELECT LastName FROM Lead") == ["Ray"]
