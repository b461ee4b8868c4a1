"""
What becomes of records in time: conversions of every kind, merges upon merges, the bin's two weeks, the deletion log,
archived activities, renamed picklist values, echoes.
"""

from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

DEAL = {"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-12-31"}


def convert(org: PracticeOrg, **conversion: Any) -> dict[str, Any]:
    body = {"conversions": [conversion]}
    result: dict[str, Any] = org.control("POST", "salesforce/convert", body)["results"][0]
    return result


def test_a_lead_may_join_a_deal_that_runs_already(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "Ray Ltd"}])[0]
    deal = org.create("Opportunity", [{**DEAL, "AccountId": account}])[0]
    lead = org.create("Lead", [{"LastName": "Ray", "Company": "Ray Ltd"}])[0]
    result = convert(org, leadId=lead, account={"Id": account}, opportunity={"Id": deal}, role={"Role": "Evaluator"})
    assert result["opportunityId"] == deal
    assert client.values("SELECT COUNT(Id) FROM Opportunity") == [1]
    rows = client.rows("SELECT ContactId, Role, IsPrimary FROM OpportunityContactRole")
    assert rows == [{"ContactId": result["contactId"], "Role": "Evaluator", "IsPrimary": False}]


def test_a_contact_that_was_there_takes_only_what_it_lacks(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "Ray Ltd"}])[0]
    old = "2025-01-01T00:00:00Z"
    known = {"LastName": "Ray", "Title": "CEO", "AccountId": account, "SystemModstamp": old, "LastModifiedDate": old}
    contact = org.create("Contact", [known])[0]
    lead = {"LastName": "Roy", "Company": "R", "Title": "VP", "Email": "ray@ray.example"}
    (lead_id,) = org.create("Lead", [lead])
    convert(org, leadId=lead_id, account={"Id": account}, contact={"Id": contact})
    row = client.rows("SELECT LastName, Title, Email, LastModifiedDate FROM Contact")[0]
    assert (row["LastName"], row["Title"], row["Email"]) == ("Ray", "CEO", "ray@ray.example")
    assert row["LastModifiedDate"][:10] == "2026-11-18"


def test_merges_make_chains_that_end_at_the_last_winner(client: Client, org: PracticeOrg) -> None:
    first, second, third = org.create("Contact", [{"LastName": name} for name in ("A", "B", "C")])
    (task,) = org.create("Task", [{"Subject": "Call", "WhoId": first, "Status": "Completed", "Priority": "Normal"}])
    for winner, loser in ((second, first), (third, second)):
        body = {"object": "Contact", "winner": winner, "losers": [loser], "fields": {"Title": "VP"}}
        org.control("POST", "salesforce/merge", body)
    links = {
        row["Id"]: row["MasterRecordId"]
        for row in client.rows("SELECT Id, MasterRecordId FROM Contact", everything=True)
    }
    assert links == {first: second, second: third, third: None}
    assert client.values(f"SELECT WhoId FROM Task WHERE Id = '{task}'") == [third]
    assert client.values("SELECT Title FROM Contact") == ["VP"]


def test_a_converted_lead_cannot_be_merged(org: PracticeOrg) -> None:
    lead, other = org.create("Lead", [{"LastName": name, "Company": "C"} for name in ("A", "B")])
    convert(org, leadId=lead)
    for winner, loser in ((lead, other), (other, lead)):
        with pytest.raises(RuntimeError, match="is converted"):
            org.control("POST", "salesforce/merge", {"object": "Lead", "winner": winner, "losers": [loser]})
    with pytest.raises(RuntimeError, match="with itself"):
        org.control("POST", "salesforce/merge", {"object": "Lead", "winner": other, "losers": [other]})


def test_the_bin_keeps_a_record_for_fifteen_days(org: PracticeOrg) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "C"}])
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": [lead]})
    org.advance(14.9 * 86_400)
    assert Client(org).values("SELECT Id FROM Lead", everything=True) == [lead]
    org.advance(0.2 * 86_400)
    assert Client(org).values("SELECT Id FROM Lead", everything=True) == []
    org.control("POST", "salesforce/settings", {"bin_days": 0})
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "C"}])
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": [lead]})
    org.advance(100 * 86_400)
    assert Client(org).values("SELECT Id FROM Lead", everything=True) == [lead]


def test_a_purge_leaves_the_day_of_the_deletion_in_the_log(client: Client, org: PracticeOrg) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "C"}])
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": [lead]})
    org.advance(600)
    org.control("POST", "salesforce/hard_delete", {"object": "Lead", "ids": [lead]})
    org.advance(600)
    window = {"start": "2026-11-18T09:00:00Z", "end": "2026-11-18T09:50:00Z"}
    (gone,) = client.call("GET", "sobjects/Lead/deleted", params=window).json()["deletedRecords"]
    assert (gone["id"], gone["deletedDate"][:16]) == (lead, "2026-11-18T09:30")


def test_a_log_cut_short_says_since_when_it_is_whole(client: Client, org: PracticeOrg) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "C"}])
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": [lead]})
    org.advance(3600)
    window = {"start": "2026-11-18T09:00:00Z", "end": "2026-11-18T10:29:00Z"}
    assert (
        client.call("GET", "sobjects/Lead/deleted", params=window).json()["earliestDateAvailable"][:10] == "2026-11-03"
    )
    org.control("POST", "salesforce/purge_deletion_log")
    cut = client.call("GET", "sobjects/Lead/deleted", params=window).json()
    assert (cut["deletedRecords"], cut["earliestDateAvailable"][:13]) == ([], "2026-11-18T10")


def test_archived_activities_are_left_to_query_all_and_keep_their_stamp(client: Client, org: PracticeOrg) -> None:
    done = {"Subject": "Call", "Status": "Completed", "Priority": "Normal"}
    old, new = org.create("Task", [{**done, "ActivityDate": "2025-01-01"}, {**done, "ActivityDate": "2026-11-01"}])
    before = client.rows("SELECT Id, SystemModstamp FROM Task ORDER BY Id")
    org.advance(60)
    assert org.control("POST", "salesforce/archive", {}) == {"archived": 1}
    assert client.values("SELECT Id FROM Task") == [new]
    assert client.values("SELECT Id FROM Task WHERE IsArchived = true", everything=True) == [old]
    assert client.rows("SELECT Id, SystemModstamp FROM Task ORDER BY Id", everything=True) == before


def test_a_renamed_value_touches_every_record_that_has_it(client: Client, org: PracticeOrg) -> None:
    old = {"SystemModstamp": "2025-01-01T00:00:00Z", "LastModifiedDate": "2025-01-01T00:00:00Z"}
    org.create("Opportunity", [{**DEAL, **old}, {**DEAL, **old, "StageName": "Qualification"}])
    renaming = {"object": "Opportunity", "field": "StageName", "from": "Prospecting", "to": "Discovery"}
    assert org.control("POST", "salesforce/rename_value", renaming) == {"touched": 1}
    rows = client.rows("SELECT StageName, SystemModstamp, LastModifiedDate FROM Opportunity ORDER BY Id")
    assert [row["StageName"] for row in rows] == ["Discovery", "Qualification"]
    assert [row["SystemModstamp"][:4] for row in rows] == ["2026", "2025"]
    assert {row["LastModifiedDate"][:4] for row in rows} == {"2025"}
    assert client.values("SELECT IsClosed FROM OpportunityStage WHERE MasterLabel = 'Discovery'") == [False]
    fields = client.call("GET", "sobjects/Opportunity/describe").json()["fields"]
    stage = next(each for each in fields if each["name"] == "StageName")
    assert "Discovery" in [each["value"] for each in stage["picklistValues"]]
    with pytest.raises(RuntimeError, match="must have 'Prospecting'"):
        org.control("POST", "salesforce/rename_value", renaming)


def test_an_echo_names_the_writer_and_moves_both_stamps(client: Client, org: PracticeOrg) -> None:
    old = {"SystemModstamp": "2025-01-01T00:00:00Z", "LastModifiedDate": "2025-01-01T00:00:00Z"}
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "C", **old}])
    client.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "VP"})
    (row,) = client.rows("SELECT LastModifiedBy.Username, LastModifiedDate, SystemModstamp FROM Lead")
    assert row["LastModifiedBy"]["Username"] == "integration@practice.test"
    assert row["LastModifiedDate"] == row["SystemModstamp"] > "2026"


def test_a_new_task_moves_the_day_of_whom_it_is_about(client: Client, org: PracticeOrg) -> None:
    old = {"SystemModstamp": "2025-01-01T00:00:00Z", "LastModifiedDate": "2025-01-01T00:00:00Z"}
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "C", **old}])
    task = {"Subject": "Call", "WhoId": lead, "ActivityDate": "2026-11-17", "Status": "Completed"}
    assert client.call("POST", "sobjects/Task", json=task).status_code == 201
    (row,) = client.rows("SELECT LastActivityDate, SystemModstamp, LastModifiedDate FROM Lead")
    assert (row["LastActivityDate"], row["SystemModstamp"][:4], row["LastModifiedDate"][:4]) == (
        "2026-11-17",
        "2026",
        "2025",
    )
