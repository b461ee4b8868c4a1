"""
Users see what their permissions let them: profiles, permission sets, field-level security, sharing.
"""

from typing import Any

import pytest
import requests

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

RESTRICTED = "restricted@practice.test"
ADMIN = "admin@practice.test"


def log_in(org: PracticeOrg, username: str) -> Client:
    """
    A client of that user, by password.
    """
    form = {
        "grant_type": "password",
        "client_id": "headwater",
        "client_secret": "practice-secret",
        "username": username,
        "password": "any",
    }
    answer = requests.post(f"{org.url}/services/oauth2/token", data=form, timeout=30)
    assert answer.status_code == 200, answer.text
    client = Client(org)
    client.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return client


@pytest.fixture
def restricted(org: PracticeOrg) -> Client:
    return log_in(org, RESTRICTED)


def _user(client: Client, username: str) -> str:
    found: str = client.values(f"SELECT Id FROM User WHERE Username = '{username}'")[0]
    return found


def _grant(client: Client, username: str, **powers: Any) -> str:
    made = client.call("POST", "sobjects/PermissionSet", json={"Name": "Extra", "Label": "Extra", **powers}).json()
    row = {"PermissionSetId": made["id"], "AssigneeId": _user(client, username)}
    assert client.call("POST", "sobjects/PermissionSetAssignment", json=row).status_code == 201
    set_id: str = made["id"]
    return set_id


def test_a_private_lead_is_seen_by_its_owner_and_by_whoever_sees_all(
    org: PracticeOrg, client: Client, restricted: Client
) -> None:
    mine = restricted.call("POST", "sobjects/Lead", json={"LastName": "Mine", "Company": "C"}).json()["id"]
    org.create("Lead", [{"LastName": "Theirs", "Company": "C"}])
    assert restricted.values("SELECT Name FROM Lead") == ["Mine"]
    assert sorted(client.values("SELECT Name FROM Lead")) == ["Mine", "Theirs"]
    assert restricted.values("SELECT COUNT(Id) FROM Lead") == [1]
    assert restricted.call("GET", f"sobjects/Lead/{mine}").status_code == 200


def test_a_change_of_owner_takes_a_record_away_without_a_stamp_the_user_could_see(
    org: PracticeOrg, client: Client, restricted: Client
) -> None:
    lead = restricted.call("POST", "sobjects/Lead", json={"LastName": "Mine", "Company": "C"}).json()["id"]
    org.advance(60)
    body = {"OwnerId": _user(client, ADMIN)}
    assert client.call("PATCH", f"sobjects/Lead/{lead}", json=body).status_code == 204
    assert restricted.rows("SELECT Id FROM Lead", everything=True) == []
    window = {"start": "2026-11-18T09:00:00Z", "end": "2026-11-18T10:00:00Z"}
    assert restricted.call("GET", "sobjects/Lead/updated", params=window).json()["ids"] == []
    assert restricted.call("GET", f"sobjects/Lead/{lead}").status_code == 404
    assert restricted.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "CFO"}).status_code == 404
    collection = {"records": [{"attributes": {"type": "Lead"}, "id": lead, "Title": "CFO"}]}
    refused = restricted.call("PATCH", "composite/sobjects", json=collection).json()[0]["errors"][0]
    assert refused["statusCode"] == "INVALID_CROSS_REFERENCE_KEY"
    assert client.call("GET", "sobjects/Lead/updated", params=window).json()["ids"] == [lead]


def test_contacts_roles_and_tasks_follow_their_parents(org: PracticeOrg, client: Client, restricted: Client) -> None:
    user = _user(client, RESTRICTED)
    own, other = org.create("Account", [{"Name": "Own", "OwnerId": user}, {"Name": "Other"}])
    for account in (own, other):
        contact = org.create("Contact", [{"LastName": "C", "AccountId": account}])[0]
        deal = {"Name": "D", "AccountId": account, "StageName": "Prospecting", "CloseDate": "2026-12-01"}
        opportunity = org.create("Opportunity", [{**deal, "OwnerId": user if account == own else None}])[0]
        org.create("OpportunityContactRole", [{"OpportunityId": opportunity, "ContactId": contact}])
        org.create("Task", [{"Subject": "T", "WhatId": account, "WhoId": contact}])
    for name in ("Account", "Contact", "Opportunity", "OpportunityContactRole", "Task"):
        assert restricted.values(f"SELECT COUNT(Id) FROM {name}") == [1], name
        assert client.values(f"SELECT COUNT(Id) FROM {name}") == [2], name


def test_the_parent_of_a_shared_record_can_be_hidden_and_is_null_then(
    org: PracticeOrg, client: Client, restricted: Client
) -> None:
    account = org.create("Account", [{"Name": "Theirs"}])[0]
    case = restricted.call("POST", "sobjects/Case", json={"Subject": "Help"}).json()["id"]
    org.control("POST", "salesforce/update", {"object": "Case", "records": [{"Id": case, "AccountId": account}]})
    # Whoever owns a case sees its account; a campaign's parent is seen by all.
    assert restricted.rows("SELECT Account.Name FROM Case")[0]["Account"]["Name"] == "Theirs"
    lead = org.create("Lead", [{"LastName": "Private", "Company": "C"}])[0]
    campaign = org.create("Campaign", [{"Name": "Fair"}])[0]
    org.create("CampaignMember", [{"CampaignId": campaign, "LeadId": lead, "Status": "Sent"}])
    row = restricted.rows("SELECT Lead.Company, Campaign.Name FROM CampaignMember")[0]
    assert (row["Lead"], row["Campaign"]["Name"]) == (None, "Fair")


def test_public_defaults_share_everything(org: PracticeOrg, client: Client, restricted: Client) -> None:
    org.create("Lead", [{"LastName": "Theirs", "Company": "C"}])
    row = {"Id": client.values("SELECT Id FROM Organization")[0], "DefaultLeadAccess": "ReadEditTransfer"}
    org.control("POST", "salesforce/update", {"object": "Organization", "records": [row]})
    assert restricted.values("SELECT Name FROM Lead") == ["Theirs"]


def test_view_all_data_and_view_all_of_one_object_are_granted_by_a_permission_set(
    org: PracticeOrg, client: Client, restricted: Client
) -> None:
    org.create("Lead", [{"LastName": "L", "Company": "C"}])
    org.create("Account", [{"Name": "A"}])
    set_id = _grant(client, RESTRICTED)
    view = {"ParentId": set_id, "SobjectType": "Lead", "PermissionsRead": True, "PermissionsViewAllRecords": True}
    assert client.call("POST", "sobjects/ObjectPermissions", json=view).status_code == 201
    assert (restricted.values("SELECT COUNT(Id) FROM Lead"), restricted.values("SELECT COUNT(Id) FROM Account")) == (
        [1],
        [0],
    )
    client.call("PATCH", f"sobjects/PermissionSet/{set_id}", json={"PermissionsViewAllData": True})
    assert restricted.values("SELECT COUNT(Id) FROM Account") == [1]
    where = f"AssigneeId = '{_user(client, RESTRICTED)}' AND PermissionSet.PermissionsViewAllData = true"
    assert client.values(f"SELECT COUNT(Id) FROM PermissionSetAssignment WHERE {where}") == [1]


def test_bulk_jobs_read_and_write_what_their_user_sees(org: PracticeOrg, restricted: Client) -> None:
    mine = restricted.call("POST", "sobjects/Lead", json={"LastName": "Mine", "Company": "C"}).json()["id"]
    theirs = org.create("Lead", [{"LastName": "Theirs", "Company": "C"}])[0]
    org.control("POST", "salesforce/settings", {"bulk_seconds": 0})
    job = restricted.call("POST", "jobs/query", json={"operation": "query", "query": "SELECT Id FROM Lead"}).json()
    path = f"jobs/query/{job['id']}"
    while restricted.call("GET", path).json()["state"] != "JobComplete":
        pass
    assert restricted.call("GET", f"{path}/results").text.split() == ['"Id"', f'"{mine}"']
    refused = restricted.call("POST", "jobs/ingest", json={"operation": "hardDelete", "object": "Lead"})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "FEATURENOTENABLED")
    assert theirs


def test_fields_taken_from_users_are_left_to_administrators(org: PracticeOrg, client: Client) -> None:
    admin = log_in(org, ADMIN)
    org.control("POST", "salesforce/hide_fields", {"object": "Lead", "fields": ["Rating"]})
    names = [
        {each["name"] for each in each_client.call("GET", "sobjects/Lead/describe").json()["fields"]}
        for each_client in (client, admin)
    ]
    assert ["Rating" in each for each in names] == [False, True]
    assert client.query("SELECT Rating FROM Lead").status_code == 400
    assert admin.query("SELECT Rating FROM Lead").status_code == 200


def test_a_user_without_api_access_is_told_so(org: PracticeOrg, client: Client, restricted: Client) -> None:
    set_id = client.values("SELECT Id FROM PermissionSet WHERE Profile.Name = 'Restricted Integration'")[0]
    row = {"Id": set_id, "PermissionsApiEnabled": False}
    org.control("POST", "salesforce/update", {"object": "PermissionSet", "records": [row]})
    answer = restricted.call("GET", "limits")
    words = [{"message": "API is disabled for this User", "errorCode": "API_CURRENTLY_DISABLED"}]
    assert (answer.status_code, answer.json()) == (403, words)


def test_a_granted_field_makes_the_describe_new_to_whoever_asks_if_it_is(client: Client) -> None:
    body = {"FullName": "Lead.Fit__c", "Metadata": {"type": "Text", "label": "Fit", "length": 9}}
    assert client.call("POST", "tooling/sobjects/CustomField", json=body).status_code == 201
    seen = client.call("GET", "sobjects/Lead/describe").headers["Last-Modified"]
    since = {"If-Modified-Since": seen}
    assert client.call("GET", "sobjects/Lead/describe", headers=since).status_code == 304
    set_id = _grant(client, "integration@practice.test")
    row = {"ParentId": set_id, "SobjectType": "Lead", "Field": "Lead.Fit__c", "PermissionsRead": True}
    assert client.call("POST", "sobjects/FieldPermissions", json=row).status_code == 201
    again = client.call("GET", "sobjects/Lead/describe", headers=since)
    assert again.status_code == 200
    assert "Fit__c" in {each["name"] for each in again.json()["fields"]}
    since = {"If-Modified-Since": again.headers["Last-Modified"]}
    assert client.call("GET", "sobjects/Lead/describe", headers=since).status_code == 304


def test_a_user_switched_off_loses_the_open_session(org: PracticeOrg, client: Client, restricted: Client) -> None:
    row = {"Id": _user(client, RESTRICTED), "IsActive": False}
    org.control("POST", "salesforce/update", {"object": "User", "records": [row]})
    assert restricted.call("GET", "limits").json()[0]["errorCode"] == "INVALID_SESSION_ID"
    assert client.call("GET", "limits").status_code == 200
