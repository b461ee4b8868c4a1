"""
What the control API does to the org: loading, deleting, converting, merging, late commits, schema, allowance.
"""

from pathlib import Path

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg


def test_loaded_records_keep_every_stamp_they_bring(client: Client, org: PracticeOrg) -> None:
    given = {
        "LastName": "Ray",
        "Company": "Ray Ltd",
        "CreatedDate": "2024-02-29T12:00:00Z",
        "LastModifiedDate": "2025-05-05T05:05:05Z",
        "SystemModstamp": "2025-06-06T06:06:06Z",
        "IsDeleted": True,
    }
    org.create("Lead", [given, {"LastName": "New", "Company": "C"}])
    rows = client.rows(
        "SELECT CreatedDate, LastModifiedDate, SystemModstamp, IsDeleted FROM Lead ORDER BY Id", everything=True
    )
    assert rows[0] == {
        "CreatedDate": "2024-02-29T12:00:00.000+0000",
        "LastModifiedDate": "2025-05-05T05:05:05.000+0000",
        "SystemModstamp": "2025-06-06T06:06:06.000+0000",
        "IsDeleted": True,
    }
    assert rows[1]["SystemModstamp"][:16] == "2026-11-18T09:30"
    assert client.call("GET", "limits").headers["Sforce-Limit-Info"] == "api-usage=2/100000"


def test_a_mistake_in_a_load_names_the_row_and_loads_nothing(client: Client, org: PracticeOrg) -> None:
    with pytest.raises(RuntimeError, match="row 2: Lead has no stored field 'Shoe__c'"):
        org.create("Lead", [{"LastName": "A", "Company": "C"}, {"LastName": "B", "Shoe__c": 1}])
    assert client.values("SELECT COUNT(Id) FROM Lead") == [0]


def test_a_touch_moves_the_system_stamp_alone(client: Client, org: PracticeOrg) -> None:
    old = {"CreatedDate": "2025-01-01T00:00:00Z", "SystemModstamp": "2025-01-01T00:00:00Z"}
    ids = org.create("Account", [{"Name": str(n), **old} for n in range(3)])
    org.control("POST", "clock", {"frozen": True})
    org.control("POST", "salesforce/touch", {"object": "Account", "ids": ids})
    rows = client.rows("SELECT SystemModstamp, LastModifiedDate FROM Account")
    assert {(row["SystemModstamp"][:10], row["LastModifiedDate"][:10]) for row in rows} == {
        ("2026-11-18", "2025-01-01")
    }
    assert len({row["SystemModstamp"] for row in rows}) == 1


def test_a_deleted_account_takes_its_people_and_deals_along_and_brings_them_back(
    client: Client, org: PracticeOrg
) -> None:
    account = org.create("Account", [{"Name": "Acme"}])[0]
    contact = org.create("Contact", [{"LastName": "Ng", "AccountId": account}])[0]
    deal = {"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-12-31", "AccountId": account}
    opportunity = org.create("Opportunity", [deal])[0]
    role = org.create("OpportunityContactRole", [{"OpportunityId": opportunity, "ContactId": contact}])[0]
    client.call("DELETE", f"sobjects/Account/{account}")
    for name in ("Account", "Contact", "Opportunity"):
        assert client.values(f"SELECT Id FROM {name}") == []
        assert client.values(f"SELECT IsDeleted FROM {name}", everything=True) == [True]
    assert client.values("SELECT Id FROM OpportunityContactRole", everything=True) == []
    org.advance(120)
    window = {"start": "2026-11-18T09:00:00+00:00", "end": "2026-11-18T10:00:00+00:00"}
    gone = client.call("GET", "sobjects/OpportunityContactRole/deleted/", params=window).json()
    assert [row["id"] for row in gone["deletedRecords"]] == [role]
    assert gone["earliestDateAvailable"].startswith("2026-11-03T")
    org.control("POST", "salesforce/undelete", {"object": "Account", "ids": [account]})
    assert client.values("SELECT Id FROM Contact") == [contact]
    assert client.values("SELECT StageName FROM Opportunity") == ["Prospecting"]
    after = client.call("GET", "sobjects/Account/deleted/", params=window).json()
    assert after["deletedRecords"] == []


def test_a_purged_record_is_known_to_the_deletion_log_only(client: Client, org: PracticeOrg) -> None:
    lead = org.create("Lead", [{"LastName": "Ray", "Company": "C"}])[0]
    org.control("POST", "salesforce/hard_delete", {"object": "Lead", "ids": [lead]})
    assert client.values("SELECT Id FROM Lead", everything=True) == []
    org.advance(60)
    window = {"start": "2026-11-18T09:00:00Z", "end": "2026-11-18T10:00:00Z"}
    assert client.call("GET", "sobjects/Lead/deleted", params=window).json()["deletedRecords"][0]["id"] == lead


def test_the_bin_is_emptied_of_what_is_old(client: Client, org: PracticeOrg) -> None:
    leads = org.create("Lead", [{"LastName": "Old", "Company": "C"}, {"LastName": "New", "Company": "C"}])
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": leads[:1]})
    org.advance(16 * 86_400)
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": leads[1:]})
    assert org.control("POST", "salesforce/empty_bin", {"older_than_days": 15}) == {"purged": 1}
    assert Client(org).values("SELECT LastName FROM Lead", everything=True) == ["New"]


def test_a_converted_lead_points_on_and_its_touches_follow(client: Client, org: PracticeOrg) -> None:
    campaign = org.create("Campaign", [{"Name": "Cost Control"}])[0]
    given = {"FirstName": "Ada", "LastName": "Ray", "Company": "Ray Ltd", "Email": "ada@ray.example", "City": "Oslo"}
    lead = org.create("Lead", [given])[0]
    member = org.create("CampaignMember", [{"CampaignId": campaign, "LeadId": lead, "Status": "Responded"}])[0]
    task = org.create("Task", [{"Subject": "Call", "WhoId": lead, "Status": "Completed", "Priority": "Normal"}])[0]
    org.advance(3600)
    opportunity = {"Name": "Ray deal", "StageName": "Qualification", "CloseDate": "2026-12-31"}
    body = {"conversions": [{"leadId": lead, "opportunity": opportunity, "role": {"Role": "Decision Maker"}}]}
    result = org.control("POST", "salesforce/convert", body)["results"][0]
    row = client.rows(
        "SELECT IsConverted, Status, ConvertedDate, ConvertedAccountId, ConvertedContactId, ConvertedOpportunityId, "
        "ConvertedContact.Email FROM Lead"
    )[0]
    assert row["ConvertedContact"]["Email"] == "ada@ray.example"
    del row["ConvertedContact"]
    assert row == {
        "IsConverted": True,
        "Status": "Closed - Converted",
        "ConvertedDate": "2026-11-18",
        "ConvertedAccountId": result["accountId"],
        "ConvertedContactId": result["contactId"],
        "ConvertedOpportunityId": result["opportunityId"],
    }
    assert client.rows("SELECT Id, LeadId, ContactId, HasResponded FROM CampaignMember") == [
        {"Id": member, "LeadId": lead, "ContactId": result["contactId"], "HasResponded": True}
    ]
    moved = client.rows("SELECT Id, WhoId, AccountId, SystemModstamp FROM Task")[0]
    assert (moved["Id"], moved["WhoId"], moved["AccountId"]) == (task, result["contactId"], result["accountId"])
    assert moved["SystemModstamp"][11:13] == "10"
    assert client.rows("SELECT ContactId, Role, IsPrimary FROM OpportunityContactRole") == [
        {"ContactId": result["contactId"], "Role": "Decision Maker", "IsPrimary": True}
    ]
    assert client.values("SELECT CampaignId FROM Opportunity") == [campaign]
    assert client.rows("SELECT Name, MailingCity, Account.Name FROM Contact")[0]["MailingCity"] == "Oslo"
    refused = client.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "VP"})
    assert refused.json()[0]["errorCode"] == "CANNOT_UPDATE_CONVERTED_LEAD"
    org.control("POST", "salesforce/settings", {"edit_converted_leads": True})
    assert client.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "VP"}).status_code == 204


def test_a_lead_may_be_converted_into_people_that_are_there_already(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "Ray Ltd"}])[0]
    contact = org.create("Contact", [{"LastName": "Ray", "AccountId": account}])[0]
    lead = org.create("Lead", [{"LastName": "Ray", "Company": "Ray"}])[0]
    conversion = {"leadId": lead, "at": "2025-07-01T08:00:00Z", "account": {"Id": account}, "contact": {"Id": contact}}
    result = org.control("POST", "salesforce/convert", {"conversions": [conversion]})["results"][0]
    assert result == {
        "leadId": lead,
        "accountId": account,
        "contactId": contact,
        "opportunityId": None,
        "roleId": None,
    }
    assert client.values("SELECT ConvertedDate FROM Lead") == ["2025-07-01"]
    with pytest.raises(RuntimeError, match="is converted already"):
        org.control("POST", "salesforce/convert", {"conversions": [conversion]})


def test_a_merge_leaves_the_loser_deleted_with_the_winners_id_and_moves_its_children(
    client: Client, org: PracticeOrg
) -> None:
    winner, loser = org.create("Contact", [{"LastName": "Ng"}, {"LastName": "Ng (old)"}])
    both, one = org.create("Campaign", [{"Name": "Both"}, {"Name": "One"}])
    org.create(
        "CampaignMember",
        [
            {"CampaignId": both, "ContactId": winner},
            {"CampaignId": both, "ContactId": loser},
            {"CampaignId": one, "ContactId": loser},
        ],
    )
    org.create("Task", [{"Subject": "Call", "WhoId": loser, "Status": "Completed", "Priority": "Normal"}])
    org.advance(60)
    org.control("POST", "salesforce/merge", {"object": "Contact", "winner": winner, "losers": [loser]})
    rows = client.rows("SELECT Id, MasterRecordId, SystemModstamp FROM Contact WHERE IsDeleted = true", everything=True)
    assert [(row["Id"], row["MasterRecordId"], row["SystemModstamp"][11:16]) for row in rows] == [
        (loser, winner, "09:31")
    ]
    members = client.rows("SELECT Campaign.Name, ContactId FROM CampaignMember ORDER BY Campaign.Name")
    assert [(row["Campaign"]["Name"], row["ContactId"]) for row in members] == [("Both", winner), ("One", winner)]
    assert client.values("SELECT WhoId FROM Task") == [winner]
    assert client.values(f"SELECT SystemModstamp FROM Contact WHERE Id = '{winner}'")[0][11:16] == "09:31"


def test_a_late_commit_shows_up_with_an_early_stamp(client: Client, org: PracticeOrg) -> None:
    body = {"object": "Lead", "create": [{"LastName": "Late", "Company": "C"}], "commit_after_seconds": 540}
    late = org.control("POST", "salesforce/late", body)["ids"]
    org.advance(500)
    assert client.values("SELECT Id FROM Lead") == []
    window = {"start": "2026-11-18T09:00:00Z", "end": "2026-11-18T10:00:00Z"}
    covered = client.call("GET", "sobjects/Lead/updated", params=window).json()["latestDateCovered"]
    assert covered[:16] == "2026-11-18T09:30"
    org.advance(60)
    rows = client.rows("SELECT Id, SystemModstamp FROM Lead")
    assert [(row["Id"], row["SystemModstamp"][:16]) for row in rows] == [(late[0], "2026-11-18T09:30")]


def test_a_record_hidden_by_sharing_is_nowhere_and_comes_back_as_it_was(client: Client, org: PracticeOrg) -> None:
    seen, hidden = org.create("Lead", [{"LastName": "Seen", "Company": "C"}, {"LastName": "Hidden", "Company": "C"}])
    org.control("POST", "salesforce/hide_records", {"ids": [hidden]})
    org.advance(120)
    window = {"start": "2026-11-18T09:00:00Z", "end": "2026-11-18T10:00:00Z"}
    assert client.values("SELECT Id FROM Lead") == client.values("SELECT Id FROM Lead", everything=True) == [seen]
    assert client.call("GET", "sobjects/Lead/updated", params=window).json()["ids"] == [seen]
    assert client.call("GET", "sobjects/Lead/deleted", params=window).json()["deletedRecords"] == []
    assert client.call("GET", f"sobjects/Lead/{hidden}").status_code == 404
    row = {"attributes": {"type": "Lead"}, "id": hidden, "Title": "VP"}
    result = client.call("PATCH", "composite/sobjects", json={"records": [row]}).json()[0]
    assert result["errors"][0]["statusCode"] == "INVALID_CROSS_REFERENCE_KEY"
    org.control("POST", "salesforce/show_records", {"ids": [hidden]})
    assert client.rows("SELECT Title, SystemModstamp FROM Lead WHERE LastName = 'Hidden'")[0]["Title"] is None


def test_history_that_is_loaded_replaces_what_the_org_wrote_itself(client: Client, org: PracticeOrg) -> None:
    deal = {"Name": "D", "StageName": "Closed Won", "CloseDate": "2025-03-01", "CreatedDate": "2025-01-01T00:00:00Z"}
    loaded, other = org.create("Opportunity", [deal, deal])
    steps = [("Prospecting", "2025-01-01T00:00:00Z"), ("Closed Won", "2025-03-01T15:00:00Z")]
    org.create(
        "OpportunityHistory",
        [{"OpportunityId": loaded, "StageName": stage, "CreatedDate": at, "SystemModstamp": at} for stage, at in steps],
    )
    soql = "SELECT StageName FROM OpportunityHistory WHERE OpportunityId = '{}' ORDER BY CreatedDate"
    assert client.values(soql.format(loaded)) == ["Prospecting", "Closed Won"]
    assert client.values(soql.format(other)) == ["Closed Won"]


def test_a_custom_object_can_be_made_and_used(client: Client, org: PracticeOrg) -> None:
    deal = org.create("Opportunity", [{"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-12-31"}])[0]
    fields = [
        {"name": "Deal__c", "type": "MasterDetail", "referenceTo": "Opportunity", "relationshipName": "Touches"},
        {"name": "Share__c", "type": "Percent", "precision": 7, "scale": 4},
    ]
    made = org.control("POST", "salesforce/objects", {"name": "Touch__c", "label": "Touch", "fields": fields})
    assert made["keyPrefix"].startswith("a0")
    answer = client.call("POST", "sobjects/Touch__c", json={"Deal__c": deal, "Share__c": 33.33335})
    assert answer.json()["id"].startswith(made["keyPrefix"])
    row = client.rows("SELECT Share__c, Deal__r.Name FROM Touch__c")[0]
    assert (row["Share__c"], row["Deal__r"]["Name"]) == (33.3334, "D")
    assert (
        len(client.rows("SELECT (SELECT Share__c FROM Touches__r) FROM Opportunity")[0]["Touches__r"]["records"]) == 1
    )
    client.call("DELETE", f"sobjects/Opportunity/{deal}")
    assert client.values("SELECT IsDeleted FROM Touch__c", everything=True) == [True]


def test_the_allowance_counts_and_ends(client: Client, org: PracticeOrg) -> None:
    org.control("POST", "salesforce/limits", {"used": 9, "allowed": 10})
    last = client.call("GET", "limits")
    assert last.headers["Sforce-Limit-Info"] == "api-usage=10/10"
    assert last.json()["DailyApiRequests"] == {"Max": 10, "Remaining": 0}
    refused = client.call("GET", "limits")
    assert (refused.status_code, refused.json()) == (
        403,
        [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}],
    )
    org.advance(86_401)
    assert Client(org).call("GET", "limits").headers["Sforce-Limit-Info"] == "api-usage=1/10"


def test_the_package_of_a_source_folder_gives_the_org_its_fields(tmp_path: Path) -> None:
    _write_package(tmp_path)
    with PracticeOrg(package=tmp_path) as org:
        client = Client(org)
        fields = {each["name"]: each for each in client.call("GET", "sobjects/Account/describe").json()["fields"]}
        why = fields["HW_Engaged_Why__c"]
        assert (why["type"], why["length"], why["custom"], why["updateable"]) == ("string", 255, True, True)
        touch = {each["name"]: each for each in client.call("GET", "sobjects/HW_Touch__c/describe").json()["fields"]}
        assert (touch["HW_Key__c"]["externalId"], touch["HW_Key__c"]["unique"]) == (True, True)
        assert touch["Opportunity__c"]["referenceTo"] == ["Opportunity"]
        assert "OwnerId" not in touch
        deal = org.create("Opportunity", [{"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-12-31"}])[0]
        made = client.call("PATCH", "sobjects/HW_Touch__c/HW_Key__c/k-1", json={"Opportunity__c": deal})
        assert made.status_code == 201
        assert client.values("SELECT Name FROM HW_Touch__c") == ["T-0001"]


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    from worker.practice.salesforce.package import install_package
    from worker.practice.salesforce.schema import Schema
    from worker.practice.salesforce.standard import standard_objects

    _write_package(tmp_path)
    field = tmp_path / "main/objects/Account/fields/HW_Odd__c.field-meta.xml"
    field.write_text(_field("HW_Odd__c", "<type>Odd</type>"))
    with pytest.raises(ValueError, match=r"HW_Odd__c\.field-meta\.xml: HW_Odd__c: 'Odd' is no field type"):
        install_package(Schema(standard_objects()), tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        install_package(Schema(standard_objects()), tmp_path / "nowhere")


def _field(name: str, inside: str) -> str:
    namespace = "http://soap.sforce.com/2006/04/metadata"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><CustomField xmlns="{namespace}"><fullName>{name}</fullName>'
        f"<label>{name}</label>{inside}</CustomField>"
    )


def _write_package(folder: Path) -> None:
    account = folder / "main/objects/Account/fields"
    touch = folder / "main/objects/HW_Touch__c/fields"
    account.mkdir(parents=True)
    touch.mkdir(parents=True)
    why = "<type>Text</type><length>255</length>"
    (account / "HW_Engaged_Why__c.field-meta.xml").write_text(_field("HW_Engaged_Why__c", why))
    key = "<type>Text</type><length>80</length><externalId>true</externalId><unique>true</unique>"
    (touch / "HW_Key__c.field-meta.xml").write_text(_field("HW_Key__c", key))
    master = (
        "<type>MasterDetail</type><referenceTo>Opportunity</referenceTo><relationshipName>HW_Touches</relationshipName>"
    )
    (touch / "Opportunity__c.field-meta.xml").write_text(_field("Opportunity__c", master))
    namespace = "http://soap.sforce.com/2006/04/metadata"
    (touch.parent / "HW_Touch__c.object-meta.xml").write_text(
        f'<CustomObject xmlns="{namespace}"><label>Touch</label><pluralLabel>Touches</pluralLabel><nameField>'
        "<label>Number</label><type>AutoNumber</type><displayFormat>T-{0000}</displayFormat></nameField>"
        "<sharingModel>ControlledByParent</sharingModel></CustomObject>"
    )
