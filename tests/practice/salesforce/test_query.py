"""
Queries over REST: what comes back, in which shape, and what is refused.
"""

from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg


@pytest.fixture
def acme(org: PracticeOrg) -> str:
    account = org.create("Account", [{"Name": "Acme", "AnnualRevenue": 1_500_000, "NumberOfEmployees": 50}])[0]
    org.create("Account", [{"Name": "Äpfel & Söhne"}, {"Name": "100% Cotton"}])
    org.create(
        "Contact",
        [
            {"FirstName": "Bo", "LastName": "Ng", "Email": "bo@acme.example", "AccountId": account},
            {"LastName": "Ida", "AccountId": account},
            {"LastName": "Nobody"},
        ],
    )
    return account


def test_a_record_shows_attributes_parent_child_and_types(client: Client, acme: str) -> None:
    soql = (
        "SELECT Id, Name, AnnualRevenue, NumberOfEmployees, IsDeleted, CreatedDate, Owner.Name, Parent.Name, "
        "BillingAddress, (SELECT Email FROM Contacts ORDER BY LastName), (SELECT Id FROM Opportunities) "
        "FROM Account WHERE Name = 'acme'"
    )
    body = client.query(soql).json()
    root = "/services/data/v60.0/sobjects"
    owner = client.values("SELECT Id FROM User WHERE Username = 'admin@practice.test'")[0]
    contacts = client.values("SELECT Id FROM Contact WHERE AccountId != null ORDER BY LastName")
    assert body == {
        "totalSize": 1,
        "done": True,
        "records": [
            {
                "attributes": {"type": "Account", "url": f"{root}/Account/{acme}"},
                "Id": acme,
                "Name": "Acme",
                "AnnualRevenue": 1500000.0,
                "NumberOfEmployees": 50,
                "IsDeleted": False,
                "CreatedDate": "2026-11-18T09:30:00.000+0000",
                "Owner": {"attributes": {"type": "User", "url": f"{root}/User/{owner}"}, "Name": "Ada Administrator"},
                "Parent": None,
                "BillingAddress": None,
                "Contacts": {
                    "totalSize": 2,
                    "done": True,
                    "records": [
                        {"attributes": {"type": "Contact", "url": f"{root}/Contact/{contacts[0]}"}, "Email": None},
                        {
                            "attributes": {"type": "Contact", "url": f"{root}/Contact/{contacts[1]}"},
                            "Email": "bo@acme.example",
                        },
                    ],
                },
                "Opportunities": None,
            }
        ],
    }


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("Account.Name = 'ACME'", ["Bo Ng", "Ida"]),
        ("Account.Name != 'Acme'", ["Nobody"]),
        ("Account.Name NOT IN ('Acme')", ["Nobody"]),
        ("Email = null", ["Ida", "Nobody"]),
        ("Email = ''", ["Ida", "Nobody"]),
        ("NOT Email = 'bo@acme.example'", ["Ida", "Nobody"]),
        ("Email IN ('BO@ACME.EXAMPLE', null)", ["Bo Ng", "Ida", "Nobody"]),
        ("Name LIKE '%d_'", ["Ida", "Nobody"]),
        (r"Account.Name LIKE '100\%%'", []),
        ("AccountId IN (SELECT Id FROM Account WHERE AnnualRevenue > 1000000)", ["Bo Ng", "Ida"]),
        ("AccountId NOT IN (SELECT Id FROM Account)", ["Nobody"]),
        ("CreatedDate = TODAY AND HasOptedOutOfEmail = false", ["Bo Ng", "Ida", "Nobody"]),
        ("CreatedDate < 2026-11-18T09:30:00.999Z", []),
        ("CreatedDate <= 2026-11-18T10:30:00.999%2B01:00".replace("%2B", "+"), ["Bo Ng", "Ida", "Nobody"]),
        ("(LastName = 'Ng' OR LastName = 'Ida') AND AccountId != null", ["Bo Ng", "Ida"]),
        ("Owner.Profile.Name = 'System Administrator' AND LastName < 'J'", ["Ida"]),
    ],
)
def test_conditions_find_what_soql_would_find(client: Client, acme: str, condition: str, names: list[str]) -> None:
    assert client.values(f"SELECT Name FROM Contact WHERE {condition} ORDER BY Name") == names


def test_an_id_matches_in_fifteen_and_eighteen_characters(client: Client, acme: str) -> None:
    assert client.values(f"SELECT Name FROM Contact WHERE AccountId = '{acme[:15]}' ORDER BY Name") == ["Bo Ng", "Ida"]


def test_names_of_objects_fields_and_words_may_be_in_any_case(client: Client, acme: str) -> None:
    rows = client.rows("sElEcT iD, aNNualrevenue fRoM ACCOUNT wHeRe naME = 'Acme'")
    assert rows == [{"Id": acme, "AnnualRevenue": 1500000.0}]


def test_nulls_come_first_unless_said_otherwise(client: Client, acme: str) -> None:
    order = "SELECT NumberOfEmployees FROM Account ORDER BY NumberOfEmployees"
    assert client.values(order) == [None, None, 50]
    assert client.values(f"{order} DESC NULLS LAST") == [50, None, None]


def test_count_and_aggregates(client: Client, acme: str) -> None:
    assert client.query("SELECT COUNT() FROM Contact").json() == {"totalSize": 3, "done": True, "records": []}
    body = client.query(
        "SELECT Account.Name who, COUNT(Id), MAX(Email) last FROM Contact GROUP BY Account.Name HAVING COUNT(Id) > 1"
    ).json()
    assert body["records"] == [
        {"attributes": {"type": "AggregateResult"}, "who": "Acme", "expr0": 2, "last": "bo@acme.example"}
    ]
    assert client.rows("SELECT SUM(AnnualRevenue), MIN(SystemModstamp) m FROM Account") == [
        {"expr0": 1500000.0, "m": "2026-11-18T09:30:00.000+0000"}
    ]
    assert client.rows(
        "SELECT CALENDAR_YEAR(CreatedDate) y, COUNT(Id) n FROM Contact GROUP BY CALENDAR_YEAR(CreatedDate)"
    ) == [{"y": 2026, "n": 3}]


def test_polymorphic_parents_are_names(client: Client, org: PracticeOrg) -> None:
    lead = org.create("Lead", [{"LastName": "Ray", "Company": "Ray Ltd", "Email": "ray@ray.example"}])[0]
    queue = org.create("Group", [{"Name": "Inbound", "Type": "Queue"}])[0]
    org.create(
        "Task", [{"Subject": "Call", "WhoId": lead, "OwnerId": queue, "Status": "Completed", "Priority": "High"}]
    )
    row = client.rows(
        "SELECT Who.Name, Who.Type, Who.Email, Owner.Name, What.Name, IsClosed, IsHighPriority FROM Task"
    )[0]
    url = f"/services/data/v60.0/sobjects/Lead/{lead}"
    assert row["Who"] == {
        "attributes": {"type": "Name", "url": url},
        "Name": "Ray",
        "Type": "Lead",
        "Email": "ray@ray.example",
    }
    assert row["Owner"]["Name"] == "Inbound"
    assert row["What"] is None
    assert row["IsClosed"] is row["IsHighPriority"] is True
    assert client.values("SELECT Id FROM Task WHERE Who.Type = 'Lead' AND Owner.Type = 'Group'") != []


@pytest.mark.parametrize(
    ("soql", "code", "place", "words"),
    [
        ("SELECT Id FROM XYZZY", "INVALID_TYPE", 16, "sObject type 'XYZZY' is not supported."),
        ("SELECT Foo__c FROM Lead", "INVALID_FIELD", 8, "No such column 'Foo__c' on entity 'Lead'."),
        ("SELECT Boss.Name FROM Lead", "INVALID_FIELD", 8, "Didn't understand relationship 'Boss' in field path."),
        (
            "SELECT (SELECT Id FROM Cats) FROM Lead",
            "INVALID_TYPE",
            24,
            "Didn't understand relationship 'Cats' in FROM part",
        ),
        ("SELECT Id FROM Lead WHERE Description = 'x'", "INVALID_FIELD", 27, "field 'Description' can not be filtered"),
        ("SELECT Id FROM Lead ORDER BY Description", "MALFORMED_QUERY", 30, "field 'Description' can not be sorted"),
        ("SELECT Id FROM Lead WHERE CreatedDate > '2026-01-01'", "INVALID_FIELD", 41, "must be of type dateTime"),
        ("SELECT Id FROM Lead WHERE CreatedDate > 2026-01-01", "INVALID_FIELD", 41, "must be of type dateTime"),
        ("SELECT Id FROM Lead WHERE Name = 5", "INVALID_FIELD", 34, "must be of type string"),
        ("SELECT Id FROM Lead WHERE IsConverted = 'true'", "INVALID_FIELD", 41, "must be of type boolean"),
        ("SELECT Id FROM Lead WHERE OwnerId = 'me'", "INVALID_QUERY_FILTER_OPERATOR", 37, "invalid ID field: me"),
        ("SELECT Name, COUNT(Id) FROM Lead", "MALFORMED_QUERY", 8, "Field must be grouped or aggregated: Name"),
        ("SELECT Id, id FROM Lead", "MALFORMED_QUERY", 12, "duplicate field selected: id"),
        ("SELECT FIELDS(ALL) FROM Lead", "MALFORMED_QUERY", 8, "LIMIT of at most 200"),
        ("SELECT MAX(IsConverted) FROM Lead", "MALFORMED_QUERY", 8, "does not support aggregate operator MAX"),
        ("SELECT Id FROM Lead WHERE Id IN (SELECT Name FROM Contact)", "MALFORMED_QUERY", 41, "must have an ID type"),
    ],
)
def test_refusals_have_the_code_the_frame_and_the_words(
    client: Client, soql: str, code: str, place: int, words: str
) -> None:
    answer = client.query(soql)
    assert answer.status_code == 400
    error = answer.json()[0]
    assert error["errorCode"] == code
    assert f"ERROR at Row:1:Column:{place}\n" in error["message"]
    assert words in error["message"]


def test_the_frame_of_an_unknown_object_is_as_recorded_from_a_real_org(client: Client) -> None:
    message = client.query("select count() from XYZZY").json()[0]["message"]
    assert message == (
        "\nselect count() from XYZZY\n                    ^\nERROR at Row:1:Column:21\n"
        "sObject type 'XYZZY' is not supported. If you are attempting to use a custom object, be sure to append the "
        "'__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
    )


def test_a_long_result_comes_in_pages_that_later_writes_do_not_shift(client: Client, org: PracticeOrg) -> None:
    ids = org.create("Lead", [{"LastName": f"L{n:04}", "Company": "C"} for n in range(2500)])
    first = client.query(
        "SELECT Id, LastName FROM Lead ORDER BY LastName", **{"Sforce-Query-Options": "batchSize=1000"}
    )
    body = first.json()
    assert (body["totalSize"], body["done"], len(body["records"])) == (2500, False, 1000)
    org.create("Lead", [{"LastName": "L0000a", "Company": "C"}])
    org.control("POST", "salesforce/hard_delete", {"object": "Lead", "ids": [ids[1500]]})
    seen = [row["Id"] for row in body["records"]]
    while not body["done"]:
        body = client.call("GET", body["nextRecordsUrl"]).json()
        assert body["totalSize"] == 2500
        seen += [row["Id"] for row in body["records"]]
    assert seen == ids[:1500] + ids[1501:]


def test_the_eleventh_open_cursor_drops_the_first(client: Client, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": str(n), "Company": "C"} for n in range(201)])
    options = {"Sforce-Query-Options": "batchSize=200"}
    places = [client.query("SELECT Id FROM Lead", **options).json()["nextRecordsUrl"] for _ in range(11)]
    refused = client.call("GET", places[0])
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")
    assert client.call("GET", places[1]).json()["done"] is True
    org.advance(3 * 86_400)
    fresh = Client(org)
    assert fresh.call("GET", places[2]).json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_deleted_and_archived_records_show_in_query_all_only(client: Client, org: PracticeOrg) -> None:
    kept, gone = org.create("Lead", [{"LastName": "Kept", "Company": "C"}, {"LastName": "Gone", "Company": "C"}])
    old = {"Subject": "Old", "ActivityDate": "2025-01-07", "Status": "Completed", "WhoId": kept}
    org.create("Task", [old, {**old, "Subject": "New", "ActivityDate": "2026-11-01"}])
    client.call("DELETE", f"sobjects/Lead/{gone}")
    assert org.control("POST", "salesforce/archive", {}) == {"archived": 1}
    assert client.values("SELECT LastName FROM Lead") == ["Kept"]
    assert client.rows("SELECT LastName, IsDeleted FROM Lead ORDER BY LastName", everything=True) == [
        {"LastName": "Gone", "IsDeleted": True},
        {"LastName": "Kept", "IsDeleted": False},
    ]
    assert client.values("SELECT Subject FROM Task") == ["New"]
    assert client.rows("SELECT Subject, IsArchived FROM Task ORDER BY Subject", everything=True) == [
        {"Subject": "New", "IsArchived": False},
        {"Subject": "Old", "IsArchived": True},
    ]


def test_a_hidden_field_is_gone_from_describe_and_refused_in_queries(client: Client, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": "Ray", "Company": "Ray Ltd", "Title": "VP"}])
    org.control("POST", "salesforce/hide_fields", {"object": "Lead", "fields": ["title"]})
    names = [field["name"] for field in client.call("GET", "sobjects/Lead/describe").json()["fields"]]
    assert "Title" not in names
    assert client.query("SELECT Title FROM Lead").json()[0]["errorCode"] == "INVALID_FIELD"
    lead = client.values("SELECT Id FROM Lead")[0]
    refused = client.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "CEO"})
    assert refused.json()[0]["errorCode"] == "INVALID_FIELD"
    org.control("POST", "salesforce/show_fields", {"object": "Lead", "fields": ["Title"]})
    assert client.values("SELECT Title FROM Lead") == ["VP"]


def test_date_words_run_by_the_users_own_midnight(client: Client, org: PracticeOrg) -> None:
    # 09:30 UTC on the 18th is 01:30 in Los Angeles, whose day began at 08:00 UTC.
    rows = [("Before", "2026-11-18T07:59:59Z"), ("After", "2026-11-18T08:00:00Z"), ("Old", "2026-10-19T12:00:00Z")]
    org.create("Lead", [{"LastName": name, "Company": "C", "CreatedDate": at} for name, at in rows])

    def found(condition: str) -> list[Any]:
        return client.values(f"SELECT LastName FROM Lead WHERE CreatedDate {condition} ORDER BY CreatedDate")

    assert found("= TODAY") == ["After"]
    assert found("= YESTERDAY") == ["Before"]
    assert found("< TODAY") == ["Old", "Before"]
    assert found("> YESTERDAY") == ["After"]
    assert found("= LAST_N_DAYS:30") == ["Old", "Before", "After"]
    assert found("= LAST_MONTH") == ["Old"]
    assert found("!= THIS_MONTH") == ["Old"]
    assert found("= N_DAYS_AGO:1") == ["Before"]
    assert found("= THIS_QUARTER") == ["Old", "Before", "After"]


def test_a_narrow_window_of_stamps_is_half_open_and_in_order(client: Client, org: PracticeOrg) -> None:
    stamps = [
        f"2026-{month:02}-{day:02}T10:00:{second:02}Z"
        for month in range(1, 11)
        for day in range(1, 29)
        for second in range(60)
    ]
    org.create("Lead", [{"LastName": "L", "Company": "C", "SystemModstamp": stamp} for stamp in stamps])
    soql = (
        "SELECT Id, SystemModstamp FROM Lead WHERE SystemModstamp >= 2026-03-07T10:00:10Z "
        "AND SystemModstamp < 2026-03-07T10:00:20Z ORDER BY SystemModstamp, Id"
    )
    assert [row["SystemModstamp"][17:19] for row in client.rows(soql, everything=True)] == [
        str(n) for n in range(10, 20)
    ]


# -- what few queries need


def test_typeof_gives_each_record_the_fields_of_what_it_is_about(client: Client, org: PracticeOrg) -> None:
    account = org.create("Account", [{"Name": "Acme", "Phone": "1"}])[0]
    campaign = org.create("Campaign", [{"Name": "Fair"}])[0]
    deal = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-12-01", "Amount": 5}
    opportunity = org.create("Opportunity", [deal])[0]
    subjects = {"a": account, "b": opportunity, "c": campaign, "d": None}
    org.create("Task", [{"Subject": subject, "WhatId": what} for subject, what in subjects.items()])
    soql = (
        "SELECT Subject, TYPEOF What WHEN Account THEN Phone WHEN Opportunity THEN Amount, StageName ELSE Name END "
        "FROM Task ORDER BY Subject"
    )
    whats = [row["What"] for row in client.rows(soql)]
    assert [None if what is None else what["attributes"]["type"] for what in whats] == [
        "Account", "Opportunity", "Campaign", None,
    ]  # fmt: skip
    assert [{k: v for k, v in (what or {}).items() if k != "attributes"} for what in whats] == [
        {"Phone": "1"}, {"Amount": 5.0, "StageName": "Prospecting"}, {"Name": "Fair"}, {},
    ]  # fmt: skip
    plain = client.query("SELECT TYPEOF Account WHEN Account THEN Name END FROM Contact").json()[0]
    assert plain["errorCode"] == "MALFORMED_QUERY"


def test_a_scope_narrows_to_what_is_mine_or_a_queues(client: Client, org: PracticeOrg) -> None:
    user = client.values("SELECT Id FROM User WHERE Username = 'integration@practice.test'")[0]
    queue = org.create("Group", [{"Name": "Inbound", "Type": "Queue"}])[0]
    owners = {"Mine": user, "Waiting": queue, "Theirs": None}
    org.create(
        "Lead", [{"LastName": name, "Company": "C", "OwnerId": owner} for name, owner in owners.items() if owner]
    )
    org.create("Lead", [{"LastName": "Theirs", "Company": "C"}])
    found = {
        scope: sorted(client.values(f"SELECT Name FROM Lead USING SCOPE {scope}"))
        for scope in ("everything", "mine", "queue_owned", "user_owned")
    }
    assert found == {
        "everything": ["Mine", "Theirs", "Waiting"],
        "mine": ["Mine"],
        "queue_owned": ["Waiting"],
        "user_owned": ["Mine", "Theirs"],
    }
    assert client.query("SELECT Id FROM Account USING SCOPE queue_owned").json()[0]["errorCode"] == "MALFORMED_QUERY"
    assert client.query("SELECT Id FROM Lead USING SCOPE team").status_code == 400


def test_all_rows_is_refused_by_rest_unless_the_org_is_told_otherwise(client: Client, org: PracticeOrg) -> None:
    lead = org.create("Lead", [{"LastName": "Gone", "Company": "C"}])
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": lead})
    refused = client.query("SELECT Id FROM Lead ALL ROWS").json()[0]
    assert (refused["errorCode"], "ALL ROWS not allowed" in refused["message"]) == ("MALFORMED_QUERY", True)
    org.control("POST", "salesforce/settings", {"all_rows": True})
    assert client.values("SELECT Name FROM Lead ALL ROWS") == ["Gone"]


def test_to_label_shows_the_words_of_a_picklist(client: Client, org: PracticeOrg) -> None:
    org.create("Account", [{"Name": "Acme", "CleanStatus": "Matched"}])
    assert client.rows("SELECT toLabel(CleanStatus) FROM Account") == [{"CleanStatus": "In Sync"}]


def test_a_cursor_shows_values_as_they_are_or_as_they_were(client: Client, org: PracticeOrg) -> None:
    ids = org.create("Lead", [{"LastName": "Old", "Company": "C"} for _ in range(450)])
    change = {"object": "Lead", "records": [{"Id": each, "LastName": "New"} for each in ids]}
    seen = []
    for kept in (False, True):
        org.control("POST", "salesforce/settings", {"cursor_snapshots": kept})
        first = client.query("SELECT LastName FROM Lead", **{"Sforce-Query-Options": "batchSize=200"}).json()
        org.control("POST", "salesforce/update", change)
        second = client.call("GET", first["nextRecordsUrl"]).json()
        seen.append({row["LastName"] for row in second["records"]})
        back = {"object": "Lead", "records": [{"Id": each, "LastName": "Old"} for each in ids]}
        org.control("POST", "salesforce/update", back)
    assert seen == [{"New"}, {"Old"}]


def test_pages_are_sometimes_smaller_than_asked_for_and_nothing_is_lost(client: Client, org: PracticeOrg) -> None:
    ids = org.create("Lead", [{"LastName": "L", "Company": "C"} for _ in range(1000)])
    org.control("POST", "salesforce/settings", {"small_pages": True})
    page = client.query("SELECT Id FROM Lead", **{"Sforce-Query-Options": "batchSize=300"}).json()
    sizes, found = [], []
    while True:
        sizes.append(len(page["records"]))
        found += [row["Id"] for row in page["records"]]
        if page["done"]:
            break
        page = client.call("GET", page["nextRecordsUrl"]).json()
    assert found == ids
    assert (max(sizes), min(sizes[:-1])) == (300, 100)


def test_a_query_that_costs_too_much_times_out_and_a_narrower_one_does_not(client: Client, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": f"L{number}", "Company": "C"} for number in range(100)])
    org.control("POST", "salesforce/settings", {"query_cost_limit": 150})
    answer = client.query("SELECT Id, Name, Company FROM Lead")
    words = [{"message": "Your query request was running for too long.", "errorCode": "QUERY_TIMEOUT"}]
    assert (answer.status_code, answer.json()) == (400, words)
    assert client.query("SELECT Id FROM Lead").status_code == 200
    assert client.query("SELECT Id, Name, Company FROM Lead WHERE Name LIKE 'L1%'").status_code == 200


def test_an_address_too_long_is_414_and_headers_too_long_are_431(client: Client) -> None:
    assert client.query(f"SELECT Id FROM Lead WHERE Name = '{'x' * 17_000}'").status_code == 414
    assert client.query("SELECT Id FROM Lead", **{"X-Long": "x" * 17_000}).status_code == 431


def test_a_string_and_a_query_have_their_lengths(client: Client) -> None:
    assert client.query(f"SELECT Id FROM Lead WHERE Name = '{'x' * 4001}'").json()[0]["errorCode"] == "MALFORMED_QUERY"
    job = {"operation": "query", "query": f"SELECT Id FROM Lead WHERE Name IN ({','.join(['0'] * 60_000)})"}
    refused = client.call("POST", "jobs/query", json=job).json()[0]
    assert "cannot be longer than 100000 characters" in refused["message"]
