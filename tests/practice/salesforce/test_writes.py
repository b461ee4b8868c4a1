"""
Writing records one by one and in collections: stamps, checks, rules, and the shapes of results.
"""

from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg


def _error(answer: Any) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()[0]
    return error


def test_a_created_record_is_stamped_and_filled_as_the_org_does(client: Client, org: PracticeOrg) -> None:
    answer = client.call("POST", "sobjects/Lead/", json={"FirstName": "Ada", "LastName": "Ray", "Company": "Ray Ltd"})
    assert answer.status_code == 201
    assert answer.json() == {"id": answer.json()["id"], "success": True, "errors": []}
    me = client.values("SELECT Id FROM User WHERE Username = 'integration@practice.test'")[0]
    row = client.rows(
        "SELECT Name, Status, OwnerId, CreatedById, LastModifiedById, CreatedDate, SystemModstamp, IsConverted "
        "FROM Lead"
    )[0]
    stamp = "2026-11-18T09:30:00.000+0000"
    assert row["CreatedDate"][:16] == stamp[:16]
    assert row["SystemModstamp"].endswith(".000+0000")
    assert {
        key: row[key] for key in ("Name", "Status", "OwnerId", "CreatedById", "LastModifiedById", "IsConverted")
    } == {
        "Name": "Ada Ray",
        "Status": "Open - Not Contacted",
        "OwnerId": me,
        "CreatedById": me,
        "LastModifiedById": me,
        "IsConverted": False,
    }


def test_an_update_moves_both_stamps_and_names_its_writer(client: Client, org: PracticeOrg) -> None:
    org.control("POST", "clock", {"frozen": True})
    account = org.create("Account", [{"Name": "Acme", "CreatedDate": "2025-01-01T00:00:00Z"}])[0]
    org.advance(60)
    answer = client.call("PATCH", f"sobjects/Account/{account[:15]}/", json={"Rating": "Hot"})
    assert (answer.status_code, answer.content) == (204, b"")
    row = client.rows(
        "SELECT Rating, CreatedDate, LastModifiedDate, SystemModstamp, LastModifiedBy.Username FROM Account"
    )[0]
    assert row["Rating"] == "Hot"
    assert row["CreatedDate"] == "2025-01-01T00:00:00.000+0000"
    assert row["LastModifiedDate"] == row["SystemModstamp"] == "2026-11-18T09:31:00.000+0000"
    assert row["LastModifiedBy"]["Username"] == "integration@practice.test"


def test_the_same_record_reads_back_by_id_and_by_fields(client: Client, org: PracticeOrg) -> None:
    lead = org.create("Lead", [{"LastName": "Ray", "Company": "Ray Ltd", "City": "Oslo"}])[0]
    row = client.call("GET", f"sobjects/lead/{lead}", params={"fields": "Name,Address"}).json()
    assert row["attributes"] == {"type": "Lead", "url": f"/services/data/v60.0/sobjects/Lead/{lead}"}
    assert (row["Name"], row["Address"]["city"], row["Address"]["street"]) == ("Ray", "Oslo", None)
    assert client.call("GET", f"sobjects/Lead/{lead}").json()["Company"] == "Ray Ltd"


def test_a_deleted_record_answers_that_it_is_deleted(client: Client, org: PracticeOrg) -> None:
    lead = org.create("Lead", [{"LastName": "Ray", "Company": "Ray Ltd"}])[0]
    assert client.call("DELETE", f"sobjects/Lead/{lead}").status_code == 204
    for method in ("GET", "DELETE", "PATCH"):
        answer = client.call(method, f"sobjects/Lead/{lead}", json={"Title": "VP"} if method == "PATCH" else None)
        assert (answer.status_code, _error(answer)["errorCode"]) == (404, "ENTITY_IS_DELETED")
    missing = client.call("GET", "sobjects/Lead/00QHw0000000zzz")
    assert (missing.status_code, missing.json()) == (
        404,
        [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}],
    )


@pytest.mark.parametrize(
    ("record", "code", "words", "fields"),
    [
        ({"Company": "C"}, "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", ["LastName"]),
        ({"LastName": "R", "Company": ""}, "REQUIRED_FIELD_MISSING", "fields are missing: [Company]", ["Company"]),
        ({"Title": "x" * 129}, "STRING_TOO_LONG", f"too large: {'x' * 129} (max length=128)", ["Title"]),
        ({"Shoe__c": 1}, "INVALID_FIELD", "No such column 'Shoe__c' on sobject of type Lead", []),
        ({"Name": "X"}, "INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: Name.", ["Name"]),
        ({"SystemModstamp": "2026-01-01"}, "INVALID_FIELD_FOR_INSERT_UPDATE", "fields: SystemM", ["SystemModstamp"]),
        ({"DoNotCall": None}, "INVALID_TYPE_ON_FIELD_IN_RECORD", "value not of required type", ["DoNotCall"]),
        ({"NumberOfEmployees": "many"}, "JSON_PARSER_ERROR", "VALUE_STRING value many", []),
        ({"NumberOfEmployees": 2**31}, "NUMBER_OUTSIDE_VALID_RANGE", "outside of valid range", ["NumberOfEmployees"]),
        ({"AnnualRevenue": 1e19}, "NUMBER_OUTSIDE_VALID_RANGE", "outside of valid range", ["AnnualRevenue"]),
        ({"CleanStatus": "Shiny"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "field: Shiny", ["CleanStatus"]),
        ({"Email": "nobody"}, "INVALID_EMAIL_ADDRESS", "Email: invalid email address: nobody", ["Email"]),
        ({"OwnerId": "me"}, "MALFORMED_ID", "Owner ID: id value of incorrect type: me", ["OwnerId"]),
        ({"OwnerId": "005Hw0000000zzz"}, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["OwnerId"]),
        ({"OwnerId": "001Hw0000000zzz"}, "FIELD_INTEGRITY_EXCEPTION", "id value of incorrect type", ["OwnerId"]),
        ({"AnnualRevenue": True}, "JSON_PARSER_ERROR", "VALUE_STRING value true", []),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_in_salesforces_words(
    client: Client, record: dict[str, Any], code: str, words: str, fields: list[str]
) -> None:
    given = {"LastName": "Ray", "Company": "Ray Ltd", **record}
    if code == "REQUIRED_FIELD_MISSING":
        given = record
    answer = client.call("POST", "sobjects/Lead", json=given)
    assert answer.status_code == 400
    error = _error(answer)
    assert (error["errorCode"], error["fields"]) == (code, fields)
    assert words in error["message"]


def test_values_are_read_as_leniently_as_salesforce_reads_them(client: Client) -> None:
    given = {
        "LastName": "Ray",
        "Company": "Ray Ltd",
        "NumberOfEmployees": "10000",
        "AnnualRevenue": 12.5,
        "DoNotCall": "true",
        "Status": "Of our own",
        "Title": 7,
    }
    assert client.call("POST", "sobjects/Lead", json=given).status_code == 201
    soql = "SELECT NumberOfEmployees, AnnualRevenue, DoNotCall, Status, Title FROM Lead"
    assert client.rows(soql) == [
        {"NumberOfEmployees": 10000, "AnnualRevenue": 13.0, "DoNotCall": True, "Status": "Of our own", "Title": "7"}
    ]


def test_audit_fields_may_be_set_on_creation_unless_the_org_forbids_it(client: Client, org: PracticeOrg) -> None:
    given = {"LastName": "Ray", "Company": "Ray Ltd", "CreatedDate": "2024-02-29T12:00:00.000+0100"}
    assert client.call("POST", "sobjects/Lead", json=given).status_code == 201
    assert client.values("SELECT CreatedDate FROM Lead") == ["2024-02-29T11:00:00.000+0000"]
    org.control("POST", "salesforce/settings", {"audit_fields_settable": False})
    refused = client.call("POST", "sobjects/Lead", json=given)
    assert _error(refused)["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_an_upsert_creates_updates_and_lists_when_several_match(client: Client, org: PracticeOrg) -> None:
    field = {"name": "Key__c", "type": "string", "length": 20, "externalId": True}
    org.control("POST", "salesforce/fields", {"object": "Contact", "fields": [field]})
    made = client.call("PATCH", "sobjects/Contact/Key__c/a%2F1", json={"LastName": "Ng"})
    assert (made.status_code, made.json()["created"]) == (201, True)
    again = client.call("PATCH", "sobjects/Contact/key__c/A%2F1", json={"FirstName": "Bo"})
    assert (again.status_code, again.json()) == (200, {**made.json(), "created": False})
    assert client.rows("SELECT Name, Key__c FROM Contact") == [{"Name": "Bo Ng", "Key__c": "a/1"}]
    other = org.create("Contact", [{"LastName": "Twin", "Key__c": "a/1"}])[0]
    several = client.call("PATCH", "sobjects/Contact/Key__c/a%2F1", json={"FirstName": "Who"})
    root = "/services/data/v60.0/sobjects/Contact"
    assert several.status_code == 300
    assert sorted(several.json()) == sorted([f"{root}/{made.json()['id']}", f"{root}/{other}"])
    assert client.call("PATCH", "sobjects/Contact/Title/x", json={}).status_code == 404


def test_if_unmodified_since_protects_a_later_edit(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "Acme", "LastModifiedDate": "2026-11-17T00:00:00Z"}])[0]
    before = {"If-Unmodified-Since": "Mon, 16 Nov 2026 00:00:00 GMT"}
    after = {"If-Unmodified-Since": "Tue, 17 Nov 2026 00:00:00 GMT"}
    assert (
        client.call("PATCH", f"sobjects/Account/{account}", json={"Rating": "Hot"}, headers=before).status_code == 412
    )
    assert client.call("PATCH", f"sobjects/Account/{account}", json={"Rating": "Hot"}, headers=after).status_code == 204


def test_a_collection_answers_each_row_in_order_and_keeps_the_good_ones(client: Client, org: PracticeOrg) -> None:
    first, second = org.create("Account", [{"Name": "One"}, {"Name": "Two"}])
    kind = {"attributes": {"type": "Account"}}
    rows = [
        {**kind, "id": first, "Rating": "Hot"},
        {**kind, "Id": second, "TickerSymbol": "x" * 21},
        {**kind, "Rating": "Cold"},
        {**kind, "id": "001Hw0000000zzz", "Rating": "Cold"},
        {**kind, "id": second[:15], "Rating": "Warm"},
    ]
    answer = client.call("PATCH", "composite/sobjects", json={"allOrNone": False, "records": rows})
    assert answer.status_code == 200
    results = answer.json()
    assert results[0] == {"id": first, "success": True, "errors": []}
    assert "id" not in results[1]
    assert results[1]["errors"] == [
        {
            "statusCode": "STRING_TOO_LONG",
            "message": f"Ticker Symbol: data value too large: {'x' * 21} (max length=20)",
            "fields": ["TickerSymbol"],
        }
    ]
    assert [row["errors"][0]["statusCode"] for row in results[1:4]] == [
        "STRING_TOO_LONG",
        "MISSING_ARGUMENT",
        "INVALID_CROSS_REFERENCE_KEY",
    ]
    assert results[4] == {"id": second, "success": True, "errors": []}
    assert client.values("SELECT Rating FROM Account ORDER BY Name") == ["Hot", "Warm"]


def test_all_or_none_takes_the_good_rows_back(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "One"}])[0]
    kind = {"attributes": {"type": "Account"}, "id": account}
    rows = [{**kind, "Rating": "Hot"}, {**kind, "Nope": 1}]
    results = client.call("PATCH", "composite/sobjects", json={"allOrNone": True, "records": rows}).json()
    assert [row["errors"][0]["statusCode"] for row in results] == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_FIELD"]
    assert client.values("SELECT Rating FROM Account") == [None]


def test_a_collection_is_at_most_200_rows_in_10_runs(client: Client) -> None:
    def rows(*names: str) -> dict[str, Any]:
        return {
            "records": [{"attributes": {"type": name}, "LastName": "x", "Name": "x", "Company": "x"} for name in names]
        }

    too_many = client.call("POST", "composite/sobjects", json=rows(*["Lead"] * 201))
    assert (too_many.status_code, _error(too_many)["errorCode"]) == (400, "EXCEEDED_ID_LIMIT")
    mixed = client.call("POST", "composite/sobjects", json=rows(*["Account", "Contact"] * 6))
    assert mixed.status_code == 400
    assert client.values("SELECT COUNT(Id) FROM Account") == [0]


def test_collections_create_upsert_read_and_delete(client: Client, org: PracticeOrg) -> None:
    kind = {"attributes": {"type": "Contact"}}
    rows = [{**kind, "LastName": "Ng", "Email": "ng@x.example"}, {**kind, "LastName": "Oh", "Email": "oh@x.example"}]
    made = client.call("POST", "composite/sobjects", json={"records": rows}).json()
    upserted = client.call(
        "PATCH",
        "composite/sobjects/Contact/Email",
        json={"records": [{**rows[0], "FirstName": "Bo"}, {**kind, "LastName": "Po", "Email": "po@x.example"}]},
    ).json()
    assert [row["created"] for row in upserted] == [False, True]
    assert upserted[0]["id"] == made[0]["id"]
    by_id = client.call(
        "PATCH", "composite/sobjects/Contact/Id", json={"records": [{**kind, "Id": None, "LastName": "New"}]}
    ).json()
    assert by_id[0]["created"] is True
    wanted = [made[1]["id"], "003Hw0000000zzz", made[0]["id"][:15]]
    read = client.call("POST", "composite/sobjects/Contact", json={"ids": wanted, "fields": ["Name"]}).json()
    assert [row and row["Name"] for row in read] == ["Oh", None, "Bo Ng"]
    ids = ",".join(row["id"] for row in made)
    gone = client.call("DELETE", f"composite/sobjects?ids={ids}&allOrNone=false").json()
    assert [row["success"] for row in gone] == [True, True]
    again = client.call("DELETE", f"composite/sobjects?ids={ids}").json()
    assert [row["errors"][0]["statusCode"] for row in again] == ["ENTITY_IS_DELETED"] * 2


def test_composite_parts_use_what_earlier_ones_answered(client: Client) -> None:
    root = "/services/data/v60.0"
    parts = [
        {"method": "POST", "url": f"{root}/sobjects/Account", "referenceId": "acme", "body": {"Name": "Acme"}},
        {
            "method": "POST",
            "url": f"{root}/sobjects/Contact",
            "referenceId": "bo",
            "body": {"LastName": "Ng", "AccountId": "@{acme.id}"},
        },
        {
            "method": "GET",
            "url": f"{root}/query?q=SELECT+Id+FROM+Contact+WHERE+AccountId='@{{acme.id}}'",
            "referenceId": "seen",
        },
    ]
    body = client.call("POST", "composite", json={"allOrNone": True, "compositeRequest": parts}).json()
    answers = {part["referenceId"]: part for part in body["compositeResponse"]}
    assert [answers[name]["httpStatusCode"] for name in ("acme", "bo", "seen")] == [201, 201, 200]
    assert answers["seen"]["body"]["records"][0]["Id"] == answers["bo"]["body"]["id"]
    assert answers["seen"]["httpHeaders"] == {}


def test_a_failed_part_of_an_all_or_none_composite_takes_the_others_back(client: Client) -> None:
    root = "/services/data/v60.0"
    parts = [
        {"method": "POST", "url": f"{root}/sobjects/Account", "referenceId": "a", "body": {"Name": "Acme"}},
        {"method": "POST", "url": f"{root}/sobjects/Contact", "referenceId": "b", "body": {"FirstName": "Bo"}},
        {"method": "GET", "url": f"{root}/limits", "referenceId": "c"},
    ]
    body = client.call("POST", "composite", json={"allOrNone": True, "compositeRequest": parts}).json()
    codes = [part["body"][0]["errorCode"] for part in body["compositeResponse"]]
    assert codes == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]
    assert client.values("SELECT COUNT(Id) FROM Account") == [0]
    body = client.call("POST", "composite", json={"allOrNone": False, "compositeRequest": parts}).json()
    assert [part["httpStatusCode"] for part in body["compositeResponse"]] == [201, 400, 200]


def test_a_batch_of_25_reads_is_one_call_and_one_more_is_refused(client: Client, org: PracticeOrg) -> None:
    part = {"method": "GET", "url": "/services/data/v60.0/query?q=SELECT Id FROM Account WHERE Name = 'a'"}
    before = int(client.call("GET", "limits").headers["Sforce-Limit-Info"].split("=")[1].split("/")[0])
    broken = {"method": "GET", "url": "v60.0/query?q=SELECT+Nope+FROM+Account"}
    answer = client.call("POST", "composite/batch", json={"batchRequests": [*[part] * 24, broken]})
    body = answer.json()
    assert body["hasErrors"] is True
    assert [result["statusCode"] for result in body["results"]] == [200] * 24 + [400]
    assert body["results"][0]["result"] == {"totalSize": 0, "done": True, "records": []}
    assert body["results"][24]["result"][0]["errorCode"] == "INVALID_FIELD"
    assert answer.headers["Sforce-Limit-Info"] == f"api-usage={before + 1}/100000"
    assert org.journal("salesforce")[-1]["kind"] == "read"
    assert client.call("POST", "composite/batch", json={"batchRequests": [part] * 26}).status_code == 400


def test_an_assignment_rule_takes_the_owner_away_unless_the_header_says_false(client: Client, org: PracticeOrg) -> None:
    person = {"Username": "sam@practice.test", "LastName": "Sales", "Email": "sam@practice.test", "Alias": "sam"}
    sam = org.create("User", [person])[0]
    lead, safe = org.create("Lead", [{"LastName": "A", "Company": "C"}, {"LastName": "B", "Company": "C"}])
    org.control("POST", "salesforce/assignment_rule", {"object": "Lead", "owner_id": sam})
    client.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "VP"})
    row = {"attributes": {"type": "Lead"}, "id": safe, "Title": "VP"}
    client.call("PATCH", "composite/sobjects", json={"records": [row]}, headers={"Sforce-Auto-Assign": "FALSE"})
    owners = {row["LastName"]: row["OwnerId"] == sam for row in client.rows("SELECT LastName, OwnerId FROM Lead")}
    assert owners == {"A": True, "B": False}
    client.call("PATCH", "composite/sobjects", json={"records": [row]})
    assert client.values(f"SELECT OwnerId FROM Lead WHERE Id = '{safe}'") == [sam]


def test_a_validation_rule_fires_on_an_update_of_another_field(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "Acme", "Industry": "Other"}])[0]
    rule = {"object": "Account", "field": "Industry", "value": "Other", "message": "Choose a real industry."}
    org.control("POST", "salesforce/validation_rule", rule)
    refused = client.call("PATCH", f"sobjects/Account/{account}", json={"Rating": "Hot"})
    assert _error(refused) == {
        "message": "Choose a real industry.",
        "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "fields": [],
    }
    assert client.call("PATCH", f"sobjects/Account/{account}", json={"Industry": "Energy"}).status_code == 204


def test_an_alerting_duplicate_rule_gives_way_and_a_blocking_one_does_not(client: Client, org: PracticeOrg) -> None:
    org.create("Contact", [{"LastName": "Ng", "Email": "ng@x.example"}])
    org.control("POST", "salesforce/duplicate_rule", {"object": "Contact", "field": "Email", "action": "alert"})
    record = {"LastName": "Ng II", "Email": "NG@x.example"}
    refused = _error(client.call("POST", "sobjects/Contact", json=record))
    assert (refused["errorCode"], refused["message"]) == ("DUPLICATES_DETECTED", "Use one of these records?")
    allow = {"Sforce-Duplicate-Rule-Header": "allowSave=true; runAsCurrentUser=true"}
    assert client.call("POST", "sobjects/Contact", json=record, headers=allow).status_code == 201
    org.control("POST", "salesforce/duplicate_rule", {"object": "Contact", "field": "Email", "action": "block"})
    assert client.call("POST", "sobjects/Contact", json=record, headers=allow).status_code == 400


def test_a_locked_row_is_refused_for_as_long_as_it_is_locked(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "Acme"}])[0]
    contact = org.create("Contact", [{"LastName": "Ng", "AccountId": account}])[0]
    org.control("POST", "salesforce/locks", {"ids": [account], "seconds": 10})
    row = {"attributes": {"type": "Contact"}, "id": contact, "Title": "VP"}
    result = client.call("PATCH", "composite/sobjects", json={"records": [row]}).json()[0]
    assert result["errors"] == [
        {
            "statusCode": "UNABLE_TO_LOCK_ROW",
            "message": f"unable to obtain exclusive access to this record or 1 records: {account}",
            "fields": [],
        }
    ]
    org.advance(11)
    assert client.call("PATCH", "composite/sobjects", json={"records": [row]}).json()[0]["success"] is True
    org.control("POST", "salesforce/locks", {"ids": [contact], "times": 1})
    assert client.call("PATCH", "composite/sobjects", json={"records": [row]}).json()[0]["success"] is False
    assert client.call("PATCH", "composite/sobjects", json={"records": [row]}).json()[0]["success"] is True


def test_a_flow_rewrites_another_field_after_the_save(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "Acme"}])[0]
    org.control(
        "POST", "salesforce/flow", {"object": "Account", "field": "Rating", "value": "Hot", "set": {"Site": "HQ"}}
    )
    client.call("PATCH", f"sobjects/Account/{account}", json={"Rating": "Hot"})
    assert client.values("SELECT Site FROM Account") == ["HQ"]


def test_a_unique_external_id_is_refused_twice(client: Client, org: PracticeOrg) -> None:
    field = {"name": "Key__c", "type": "Text", "length": 80, "externalId": True, "unique": True}
    org.control("POST", "salesforce/fields", {"object": "Account", "fields": [field]})
    first = client.call("POST", "sobjects/Account", json={"Name": "A", "Key__c": "k"}).json()["id"]
    refused = _error(client.call("POST", "sobjects/Account", json={"Name": "B", "Key__c": "K"}))
    assert refused["errorCode"] == "DUPLICATE_VALUE"
    assert refused["message"] == f"duplicate value found: Key__c duplicates value on record with id: {first[:15]}"


def test_deals_keep_their_history_their_stage_and_their_roles(client: Client, org: PracticeOrg) -> None:
    contact = org.create("Contact", [{"LastName": "Ng"}])[0]
    deal = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-12-31", "Amount": 200, "ContactId": contact}
    made = client.call("POST", "sobjects/Opportunity", json=deal).json()["id"]
    org.advance(3600)
    fresh = Client(org)
    fresh.call("PATCH", f"sobjects/Opportunity/{made}", json={"StageName": "Closed Won"})
    fresh.call("PATCH", f"sobjects/Opportunity/{made}", json={"NextStep": "Invoice"})
    row = fresh.rows("SELECT IsClosed, IsWon, Probability, ExpectedRevenue, ForecastCategory, Fiscal FROM Opportunity")[
        0
    ]
    assert row == {
        "IsClosed": True,
        "IsWon": True,
        "Probability": 100.0,
        "ExpectedRevenue": 200.0,
        "ForecastCategory": "Closed",
        "Fiscal": "2026 4",
    }
    history = fresh.rows("SELECT StageName, Amount, CreatedDate FROM OpportunityHistory ORDER BY CreatedDate")
    assert [(step["StageName"], step["CreatedDate"][11:13]) for step in history] == [
        ("Prospecting", "09"),
        ("Closed Won", "10"),
    ]
    assert fresh.rows("SELECT ContactId, IsPrimary FROM OpportunityContactRole") == [
        {"ContactId": contact, "IsPrimary": True}
    ]
    refused = fresh.call("POST", "sobjects/OpportunityHistory", json={"OpportunityId": made})
    assert refused.status_code == 400


def test_only_one_contact_role_stays_primary(client: Client, org: PracticeOrg) -> None:
    deal = org.create("Opportunity", [{"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-12-31"}])[0]
    contacts = org.create("Contact", [{"LastName": "A"}, {"LastName": "B"}])
    for each in contacts:
        role = {"OpportunityId": deal, "ContactId": each, "IsPrimary": True}
        assert client.call("POST", "sobjects/OpportunityContactRole", json=role).status_code == 201
    assert client.values("SELECT ContactId FROM OpportunityContactRole WHERE IsPrimary = true") == [contacts[1]]


def test_a_member_responds_when_the_status_of_its_campaign_says_so(client: Client, org: PracticeOrg) -> None:
    campaign = org.create("Campaign", [{"Name": "Cost Control", "Type": "Webinar"}])[0]
    attended = {"CampaignId": campaign, "Label": "Attended", "HasResponded": True}
    assert client.call("POST", "sobjects/CampaignMemberStatus", json=attended).status_code == 201
    lead = org.create("Lead", [{"LastName": "Ray", "Company": "Ray Ltd", "Email": "ray@ray.example"}])[0]
    member = client.call(
        "POST", "sobjects/CampaignMember", json={"CampaignId": campaign, "LeadId": lead, "Status": "Sent"}
    )
    soql = "SELECT HasResponded, FirstRespondedDate, Email, CompanyOrAccount, Type FROM CampaignMember"
    assert client.rows(soql) == [
        {
            "HasResponded": False,
            "FirstRespondedDate": None,
            "Email": "ray@ray.example",
            "CompanyOrAccount": "Ray Ltd",
            "Type": "Lead",
        }
    ]
    client.call("PATCH", f"sobjects/CampaignMember/{member.json()['id']}", json={"Status": "Attended"})
    row = client.rows(soql)[0]
    assert (row["HasResponded"], row["FirstRespondedDate"]) == (True, "2026-11-18")
    assert client.rows("SELECT NumberOfLeads, NumberOfResponses FROM Campaign") == [
        {"NumberOfLeads": 1, "NumberOfResponses": 1}
    ]
    twice = client.call("POST", "sobjects/CampaignMember", json={"CampaignId": campaign, "LeadId": lead})
    assert _error(twice)["message"] == "Already a campaign member."
