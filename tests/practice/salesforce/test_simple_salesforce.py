"""
A client we did not write, unchanged, doing all it can: simple-salesforce over https with the practice authority.

Logging in needs Salesforce's own host names, so it goes through the CONNECT port, as any proxied client does.
"""

import csv
import io
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from simple_salesforce import Salesforce, format_soql
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

from tests.practice_org import PracticeOrg

KEYS = {"consumer_key": "headwater", "consumer_secret": "practice-secret"}
INTEGRATION = "integration@practice.test"


@pytest.fixture
def proxied(org: PracticeOrg) -> Iterator[requests.Session]:
    """
    A session as whoever sits behind a company's proxy has it.
    """
    with requests.Session() as session:
        session.trust_env = False
        session.verify = org.ca_file
        session.proxies = {"https": org.proxy_url}
        yield session


@pytest.fixture
def salesforce(org: PracticeOrg) -> Iterator[Salesforce]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = org.ca_file
        form = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}
        token = session.post(f"{org.https_url}/services/oauth2/token", data=form, timeout=30).json()
        assert token["instance_url"] == org.https_url
        yield Salesforce(session_id=token["access_token"], instance_url=token["instance_url"], session=session)


# -- logging in


@pytest.mark.parametrize("domain", ["login", "test"])
def test_it_logs_in_by_a_signed_assertion(org: PracticeOrg, proxied: requests.Session, domain: str) -> None:
    wanted: dict[str, Any] = {"username": INTEGRATION, "consumer_key": "headwater", "domain": domain}
    by_file = Salesforce(**wanted, privatekey_file=org.private_key_file, session=proxied)
    by_text = Salesforce(**wanted, privatekey=Path(org.private_key_file).read_text(), session=proxied)
    by_own_domain = Salesforce(**wanted, privatekey_file=org.private_key_file, instance_url="acme.my", session=proxied)
    for each in (by_file, by_text, by_own_domain):
        assert each.auth_type == "jwt-bearer"
        assert each.query("SELECT COUNT() FROM Account")["totalSize"] == 0


def test_it_logs_in_by_client_credentials_on_the_orgs_own_domain(org: PracticeOrg, proxied: requests.Session) -> None:
    client = Salesforce(**KEYS, domain="acme.my", session=proxied)
    assert (client.auth_type, client.sf_instance) == ("client-credentials", "acme.my.salesforce.com")
    assert client.query("SELECT COUNT() FROM Account")["totalSize"] == 0


def test_it_logs_in_by_username_and_password_of_oauth(org: PracticeOrg, proxied: requests.Session) -> None:
    client = Salesforce(username=INTEGRATION, password="practice-password", **KEYS, session=proxied)
    assert client.query("SELECT COUNT() FROM Account")["totalSize"] == 0


@pytest.mark.parametrize("domain", ["login", "test", "acme.my"])
def test_it_logs_in_by_soap(org: PracticeOrg, proxied: requests.Session, domain: str) -> None:
    who = {"username": INTEGRATION, "password": "practice & password", "domain": domain}
    with_token = Salesforce(**who, security_token="token", session=proxied)
    organization = with_token.query("SELECT Id FROM Organization")["records"][0]["Id"]
    with_organization = Salesforce(**who, organizationId=organization, session=proxied)
    assert (with_token.auth_type, with_organization.auth_type) == ("password", "ipfilter")
    assert with_organization.query("SELECT COUNT() FROM Account")["totalSize"] == 0
    hosts = {"login": "practice.my.salesforce.com", "test": "practice--test.sandbox.my.salesforce.com"}
    assert with_token.sf_instance == hosts.get(domain, "acme.my.salesforce.com")


def test_a_refused_soap_login_says_why(org: PracticeOrg, proxied: requests.Session) -> None:
    with pytest.raises(SalesforceAuthenticationFailed) as caught:
        Salesforce(username="stranger@practice.test", password="x", security_token="", session=proxied)
    words = "(code: INVALID_LOGIN): Invalid username, password, security token; or user locked out."
    assert str(caught.value).endswith(words)
    with pytest.raises(SalesforceAuthenticationFailed) as caught:
        Salesforce(username=INTEGRATION, password="x", security_token="", version="65.0", session=proxied)
    assert caught.value.code == "INVALID_OPERATION"


def test_a_refused_login_says_why(org: PracticeOrg, proxied: requests.Session) -> None:
    with pytest.raises(SalesforceAuthenticationFailed) as caught:
        Salesforce(consumer_key="headwater", consumer_secret="no", domain="acme.my", session=proxied)
    assert str(caught.value).endswith("(code: invalid_client): invalid client credentials")
    with pytest.raises(SalesforceAuthenticationFailed) as caught:
        Salesforce(username="stranger@practice.test", password="x", **KEYS, session=proxied)
    assert str(caught.value).endswith("(code: invalid_grant): authentication failure")


def test_it_logs_in_again_by_itself_when_the_session_has_ended(org: PracticeOrg, proxied: requests.Session) -> None:
    client = Salesforce(**KEYS, domain="acme.my", session=proxied)
    org.control("POST", "salesforce/expire_sessions")
    assert client.query("SELECT COUNT() FROM Account")["totalSize"] == 0
    assert sum(entry["kind"] == "token" for entry in org.journal("salesforce")) == 2


def test_without_a_login_it_sees_a_dead_session(org: PracticeOrg, salesforce: Salesforce) -> None:
    org.control("POST", "salesforce/expire_sessions")
    with pytest.raises(SalesforceExpiredSession):
        salesforce.query("SELECT Id FROM Lead")


# -- reading


def test_it_reads_pages_and_whole_results(org: PracticeOrg, salesforce: Salesforce) -> None:
    org.create("Contact", [{"LastName": f"L{n:04}"} for n in range(4100)])
    first = salesforce.query("SELECT Id, Name FROM Contact ORDER BY Name")
    assert (first["totalSize"], first["done"], len(first["records"])) == (4100, False, 2000)
    second = salesforce.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert second["records"][0]["Name"] == "L2000"
    third = salesforce.query_more(second["nextRecordsUrl"].rpartition("/")[2])
    assert (third["records"][0]["Name"], third["done"], len(third["records"])) == ("L4000", True, 100)
    assert len(list(salesforce.query_all_iter("SELECT Id FROM Contact"))) == 4100
    small = salesforce.query("SELECT Id FROM Contact", headers={"Sforce-Query-Options": "batchSize=200"})
    assert len(small["records"]) == 200


def test_it_sees_deleted_rows_when_it_asks_for_them(org: PracticeOrg, salesforce: Salesforce) -> None:
    gone = org.create("Contact", [{"LastName": "Here"}, {"LastName": "Gone"}])[1]
    salesforce.Contact.delete(gone)
    assert salesforce.query_all("SELECT Id FROM Contact")["totalSize"] == 1
    everything = salesforce.query_all("SELECT Id, IsDeleted FROM Contact", include_deleted=True)
    assert {row["Id"] for row in everything["records"] if row["IsDeleted"]} == {gone}


def test_its_quoting_of_values_finds_the_very_row(org: PracticeOrg, salesforce: Salesforce) -> None:
    names = ["O'Neil \\ Sons", 'say "hi"', "100%_sure", "two\nlines"]
    org.create("Account", [{"Name": name} for name in names])
    for name in names:
        found = salesforce.query(format_soql("SELECT Name FROM Account WHERE Name = {}", name))
        assert [row["Name"] for row in found["records"]] == [name]
    found = salesforce.query(format_soql("SELECT Name FROM Account WHERE Name IN {} ORDER BY Name", names[:2]))
    assert [row["Name"] for row in found["records"]] == sorted(names[:2])
    found = salesforce.query(format_soql("SELECT Name FROM Account WHERE Name LIKE '%{:like}%'", "%_"))
    assert [row["Name"] for row in found["records"]] == ["100%_sure"]
    lately = datetime(2026, 11, 18, tzinfo=UTC)
    assert salesforce.query(format_soql("SELECT Id FROM Account WHERE CreatedDate > {}", lately))["totalSize"] == 4


def test_a_bad_query_is_malformed(salesforce: Salesforce) -> None:
    with pytest.raises(SalesforceMalformedRequest) as caught:
        salesforce.query("SELECT Nonsense__c FROM Lead")
    assert caught.value.content[0]["errorCode"] == "INVALID_FIELD"


def test_it_describes(salesforce: Salesforce) -> None:
    names = {each["name"] for each in salesforce.describe()["sobjects"]}
    assert {"Lead", "Contact", "Account", "Opportunity", "CampaignMember", "Task", "Event", "User"} <= names
    fields = {each["name"]: each for each in salesforce.Lead.describe()["fields"]}
    assert (fields["Email"]["type"], fields["Email"]["length"], fields["Email"]["idLookup"]) == ("email", 80, True)
    assert salesforce.Lead.metadata()["objectDescribe"]["keyPrefix"] == "00Q"


def test_its_replication_calls_and_limits(org: PracticeOrg, salesforce: Salesforce) -> None:
    keep, gone = org.create("Account", [{"Name": "A"}, {"Name": "B"}])
    salesforce.Account.delete(gone)
    start = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
    org.advance(120)
    updated = salesforce.Account.updated(start, start + timedelta(hours=1))
    deleted = salesforce.Account.deleted(start, start + timedelta(hours=1))
    assert updated["ids"] == [keep]
    assert [row["id"] for row in deleted["deletedRecords"]] == [gone]
    assert salesforce.limits()["DailyApiRequests"]["Max"] == 100_000
    assert salesforce.api_usage["api-usage"].total == 100_000


def test_it_searches(org: PracticeOrg, salesforce: Salesforce) -> None:
    ids = org.create("Contact", [{"LastName": "Ng"}, {"LastName": "Ray", "Description": "knows Ng"}])
    found = salesforce.search("FIND {Ng} IN NAME FIELDS RETURNING Contact(Id, LastName)")
    assert [row["LastName"] for row in found["searchRecords"]] == ["Ng"]
    assert {row["Id"] for row in salesforce.quick_search("ng")["searchRecords"]} == set(ids)


def test_it_tells_whether_the_org_is_a_sandbox(org: PracticeOrg, salesforce: Salesforce) -> None:
    held = salesforce.query("SELECT IsSandbox FROM Organization")["records"][0]["IsSandbox"]
    assert salesforce.is_sandbox() is held


def test_it_asks_who_it_is(salesforce: Salesforce) -> None:
    assert salesforce.oauth2("userinfo")["preferred_username"] == INTEGRATION


# -- writing


def test_it_creates_updates_upserts_and_deletes(org: PracticeOrg, salesforce: Salesforce) -> None:
    made = salesforce.Account.create({"Name": "Acme"})
    assert made["success"] is True
    assert salesforce.Account.update(made["id"], {"Rating": "Hot"}) == 204
    assert salesforce.Account.get(made["id"])["Rating"] == "Hot"
    assert salesforce.Contact.upsert("Email/bo@acme.example", {"LastName": "Ng"}) == 201
    assert salesforce.Contact.upsert("Email/bo@acme.example", {"FirstName": "Bo"}) == 200
    assert salesforce.Contact.get_by_custom_id("Email", "bo@acme.example")["Name"] == "Bo Ng"
    assert salesforce.Account.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Account.get(made["id"])
    with pytest.raises(SalesforceMalformedRequest) as caught:
        salesforce.Account.create({"Name": "x" * 256})
    assert caught.value.content[0]["errorCode"] == "STRING_TOO_LONG"


def test_an_upsert_that_fits_two_rows_lists_them(org: PracticeOrg, salesforce: Salesforce) -> None:
    twins = org.create("Contact", [{"LastName": "Ng", "Email": "bo@acme.example"} for _ in range(2)])
    with pytest.raises(SalesforceMoreThanOneRecord) as caught:
        salesforce.Contact.upsert("Email/bo@acme.example", {"FirstName": "Bo"})
    assert sorted(url.rpartition("/")[2] for url in caught.value.content) == sorted(twins)


def test_its_headers_reach_the_org(org: PracticeOrg, salesforce: Salesforce) -> None:
    lead = salesforce.Lead.create({"LastName": "Ng", "Company": "Acme"}, headers={"Sforce-Auto-Assign": "FALSE"})["id"]
    raw = salesforce.Lead.update(lead, {"Title": "CFO"}, raw_response=True, headers={"Sforce-Auto-Assign": "FALSE"})
    assert raw.status_code == 204
    writes = [entry for entry in org.journal("salesforce") if entry["kind"] == "write"]
    assert [entry["headers"]["sforce-auto-assign"] for entry in writes] == ["FALSE", "FALSE"]


def test_the_rest_of_rest_is_open_to_it(org: PracticeOrg, salesforce: Salesforce) -> None:
    assert "Lead" in {each["name"] for each in salesforce.restful("sobjects")["sobjects"]}
    parts = [
        {"method": "POST", "url": "/services/data/v59.0/sobjects/Account", "referenceId": "a", "body": {"Name": "A"}}
    ]
    made = salesforce.restful("composite", method="POST", json={"compositeRequest": parts})
    assert made["compositeResponse"][0]["httpStatusCode"] == 201
    ids = [made["compositeResponse"][0]["body"]["id"]]
    assert salesforce.restful("limits/recordCount", {"sObjects": "Account"})["sObjects"][0]["count"] == 1
    assert salesforce.restful(f"sobjects/Account/{ids[0]}", method="PATCH", json={"Rating": "Hot"}) is None
    rows = salesforce.restful("composite/sobjects/Account", method="POST", json={"ids": ids, "fields": ["Rating"]})
    assert rows[0]["Rating"] == "Hot"


@pytest.mark.parametrize("call", ["apex", "layout", "attachment"])
def test_what_the_org_has_not_is_not_found_in_an_orgs_own_words(salesforce: Salesforce, call: str) -> None:
    calls = {
        "apex": lambda: salesforce.apexecute("Nothing/here", method="POST", data={}),
        "layout": lambda: salesforce.Lead.describe_layout("012000000000000AAA"),
        "attachment": lambda: salesforce.Attachment.create({"Name": "a.txt", "Body": "aGVsbG8="}),
    }
    with pytest.raises(SalesforceResourceNotFound) as caught:
        calls[call]()
    assert caught.value.content[0]["errorCode"] == "NOT_FOUND"


# -- Bulk 1.0


def test_its_old_bulk_helper_writes_in_batches_and_reads_lazily(org: PracticeOrg, salesforce: Salesforce) -> None:
    org.control("POST", "salesforce/settings", {"bulk_seconds": 0})  # the helper looks again after 5 s
    contacts = salesforce.bulk.Contact
    people = [{"LastName": f"L{n:02}", "Email": f"p{n}@acme.example"} for n in range(25)]
    made = contacts.insert(people, batch_size=10)
    assert [each["success"] for each in made] == [True] * 25
    changed = contacts.update([{"Id": each["id"], "Title": "CFO"} for each in made[:5]], use_serial=True)
    assert [each["created"] for each in changed] == [False] * 5
    upserts = [{"Email": "p7@acme.example", "LastName": "Seven"}, {"Email": "new@acme.example", "LastName": "New"}]
    assert [each["created"] for each in contacts.upsert(upserts, "Email")] == [False, True]
    assert all(each["success"] for each in contacts.delete([{"Id": made[0]["id"]}]))
    assert all(each["success"] for each in contacts.hard_delete([{"Id": made[1]["id"]}]))
    alive = contacts.query("SELECT Id, LastName, Title FROM Contact ORDER BY LastName")
    assert len(alive) == 24
    assert sum(row["Title"] == "CFO" for row in alive) == 3
    pages = contacts.query_all("SELECT Id, IsDeleted FROM Contact", lazy_operation=True)
    assert {row["Id"] for page in pages for row in page if row["IsDeleted"]} == {made[0]["id"]}


def test_its_old_bulk_helper_names_the_operation_and_the_failed_row(org: PracticeOrg, salesforce: Salesforce) -> None:
    org.control("POST", "salesforce/settings", {"bulk_seconds": 0})
    rows = [{"LastName": "Good"}, {"LastName": "x" * 81}]
    outcome = salesforce.bulk.submit_dml("Contact", "insert", rows, include_detailed_results=True)
    assert [(each["success"], bool(each["errors"])) for each in outcome] == [(True, False), (False, True)]
    assert outcome[1]["errors"][0]["statusCode"] == "STRING_TOO_LONG"


# -- Bulk 2.0


def test_its_bulk_query_reads_all_pages(org: PracticeOrg, salesforce: Salesforce) -> None:
    ids = org.create("Contact", [{"LastName": f'L "{n}"'} for n in range(250)])
    pages = list(salesforce.bulk2.Contact.query("SELECT Id, LastName FROM Contact", max_records=100, wait=0))
    rows = [row for page in pages for row in csv.DictReader(io.StringIO(page))]
    assert [row["Id"] for row in rows] == ids
    assert rows[7]["LastName"] == 'L "7"'


def test_its_bulk_query_sees_deleted_rows_and_downloads_files(
    org: PracticeOrg, salesforce: Salesforce, tmp_path: Path
) -> None:
    gone = org.create("Contact", [{"LastName": f"L{n}"} for n in range(25)])[-1]
    salesforce.Contact.delete(gone)
    pages = list(salesforce.bulk2.Contact.query_all("SELECT Id FROM Contact", wait=0))
    assert gone in {row["Id"] for page in pages for row in csv.DictReader(io.StringIO(page))}
    files = salesforce.bulk2.Contact.download("SELECT Id FROM Contact", str(tmp_path), max_records=10, wait=0)
    assert [each["number_of_records"] for each in files] == [10, 10, 4]
    rows = [row for each in files for row in csv.DictReader(Path(each["file"]).read_text().splitlines())]
    assert len({row["Id"] for row in rows} - {gone}) == 24


def test_its_bulk_ingest_inserts_updates_upserts_and_deletes(
    org: PracticeOrg, salesforce: Salesforce, tmp_path: Path
) -> None:
    contacts = salesforce.bulk2.Contact
    people = [{"LastName": f"L{n}", "Email": f"p{n}@acme.example", "Description": 'two\nlines, "x"'} for n in range(40)]
    (inserted,) = contacts.insert(records=people, wait=0)
    assert (inserted["numberRecordsProcessed"], inserted["numberRecordsFailed"]) == (40, 0)
    ids = [row["sf__Id"] for row in csv.DictReader(io.StringIO(contacts.get_successful_records(inserted["job_id"])))]
    assert salesforce.query("SELECT Id FROM Contact WHERE LastName LIKE 'L%'")["totalSize"] == 40
    assert salesforce.query("SELECT Description FROM Contact LIMIT 1")["records"][0]["Description"] == 'two\nlines, "x"'

    file = tmp_path / "titles.csv"
    file.write_text("Id,Title,Email\n" + "".join(f"{each},CFO,#N/A\n" for each in ids[:10]))
    (updated,) = contacts.update(csv_file=str(file), wait=0)
    assert updated["numberRecordsFailed"] == 0
    assert salesforce.query("SELECT Id FROM Contact WHERE Title = 'CFO' AND Email = null")["totalSize"] == 10

    known = salesforce.query("SELECT Email FROM Contact WHERE Email != null LIMIT 1")["records"][0]["Email"]
    upserts = [{"Email": known, "LastName": "Known"}, {"Email": "new@acme.example", "LastName": "New"}]
    (upserted,) = contacts.upsert(records=upserts, external_id_field="Email", wait=0)
    outcome = contacts.get_all_ingest_records(upserted["job_id"])
    assert {row["LastName"]: row["sf__Created"] for row in outcome["successfulRecords"]} == {
        "Known": "false",
        "New": "true",
    }

    (deleted,) = contacts.delete(records=[{"Id": each} for each in ids[:5]], wait=0)
    assert deleted["numberRecordsProcessed"] == 5
    (erased,) = contacts.hard_delete(records=[{"Id": each} for each in ids[5:8]], wait=0)
    assert erased["numberRecordsProcessed"] == 3
    assert salesforce.query("SELECT Id FROM Contact")["totalSize"] == 33
    assert salesforce.query_all("SELECT Id FROM Contact", include_deleted=True)["totalSize"] == 38


def test_its_bulk_ingest_tells_which_rows_failed_and_why(
    org: PracticeOrg, salesforce: Salesforce, tmp_path: Path
) -> None:
    rows = [{"LastName": "Good", "Title": "CFO"}, {"LastName": "x" * 81, "Title": "CEO"}]
    (job,) = salesforce.bulk2.Contact.insert(records=rows, wait=0)
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (2, 1)
    (failed,) = csv.DictReader(io.StringIO(salesforce.bulk2.Contact.get_failed_records(job["job_id"])))
    assert failed["sf__Error"].startswith("STRING_TOO_LONG:")
    assert failed["Title"] == "CEO"
    file = tmp_path / "failed.csv"
    salesforce.bulk2.Contact.get_failed_records(job["job_id"], file=str(file))
    assert list(csv.DictReader(file.read_text().splitlines())) == [failed]
    unprocessed = salesforce.bulk2.Contact.get_unprocessed_records(job["job_id"])
    assert list(csv.DictReader(io.StringIO(unprocessed))) == []


# -- Tooling and metadata


def test_it_makes_a_field_by_tooling_that_nobody_sees_yet(salesforce: Salesforce) -> None:
    made = salesforce.toolingexecute(
        "sobjects/CustomField",
        method="POST",
        data={"FullName": "Lead.Fit__c", "Metadata": {"type": "Number", "label": "Fit", "precision": 5, "scale": 2}},
    )
    assert made["success"] is True
    found = salesforce.toolingexecute("query", params={"q": "SELECT Id, DeveloperName FROM CustomField"})
    assert [(row["Id"], row["DeveloperName"]) for row in found["records"]] == [(made["id"], "Fit")]
    assert "Fit__c" not in {field["name"] for field in salesforce.Lead.describe()["fields"]}


@pytest.fixture
def metadata(org: PracticeOrg, salesforce: Salesforce, monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    Its metadata calls go through a library with a session of its own, which takes the authority from the environment.
    """
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", org.ca_file)
    return salesforce.mdapi


def test_it_makes_reads_changes_and_removes_a_field_by_metadata(metadata: Any) -> None:
    field = metadata.CustomField
    field.create([field(fullName="Lead.Fit__c", label="Fit", type="Number", precision=5, scale=2)])
    read = field.read(["Lead.Fit__c"])
    assert (read.fullName, read.type, read.precision, read.scale) == ("Lead.Fit__c", "Number", 5, 2)
    read.label = "Fitness"
    field.update([read])
    assert field.read(["Lead.Fit__c"]).label == "Fitness"
    field.upsert([field(fullName="Lead.Why__c", label="Why", type="Text", length=80)])
    field.rename("Lead.Why__c", "Lead.Reason__c")
    assert field.read(["Lead.Reason__c"]).length == 80
    field.delete(["Lead.Fit__c", "Lead.Reason__c"])
    assert field.read(["Lead.Fit__c"]).fullName is None
    with pytest.raises(Exception, match=r"Lead\.Fit__c"):
        field.delete(["Lead.Fit__c"])


def test_a_permission_set_made_by_metadata_shows_the_field(salesforce: Salesforce, metadata: Any) -> None:
    field, grant = metadata.CustomField, metadata.PermissionSet
    field.create([field(fullName="Lead.Fit__c", label="Fit", type="Checkbox", defaultValue="false")])
    access = {"field": "Lead.Fit__c", "readable": True, "editable": True}
    grant.create([grant(fullName="Fitters", label="Fitters", fieldPermissions=[access])])
    assert "Fit__c" not in {each["name"] for each in salesforce.Lead.describe()["fields"]}
    found = salesforce.query("SELECT Id FROM PermissionSet WHERE Name = 'Fitters'")["records"][0]["Id"]
    user = salesforce.query(format_soql("SELECT Id FROM User WHERE Username = {}", INTEGRATION))["records"][0]["Id"]
    salesforce.PermissionSetAssignment.create({"AssigneeId": user, "PermissionSetId": found})
    assert "Fit__c" in {each["name"] for each in salesforce.Lead.describe()["fields"]}
    lead = salesforce.Lead.create({"LastName": "Ng", "Company": "Acme", "Fit__c": True})
    assert salesforce.Lead.get(lead["id"])["Fit__c"] is True


def test_it_lists_and_describes_metadata(metadata: Any) -> None:
    field = metadata.CustomField
    field.create([field(fullName="Lead.Fit__c", label="Fit", type="Text", length=9)])
    kinds = {each.xmlName: each for each in metadata.describe_metadata().metadataObjects}
    assert "CustomField" in kinds["CustomObject"].childXmlNames
    assert field.describe().apiCreatable is True
    query = metadata._client.get_type("ns0:ListMetadataQuery")(type="CustomField")
    assert "Lead.Fit__c" in {each.fullName for each in metadata.list_metadata([query])}


PACKAGE = """<?xml version="1.0" encoding="UTF-8"?>
<Package xmlns="http://soap.sforce.com/2006/04/metadata">
  <types><members>Lead.Fit__c</members><name>CustomField</name></types><version>59.0</version>
</Package>"""
LEAD = """<?xml version="1.0" encoding="UTF-8"?>
<CustomObject xmlns="http://soap.sforce.com/2006/04/metadata">
  <fields><fullName>Fit__c</fullName><label>Fit</label><type>{type}</type><length>9</length></fields>
</CustomObject>"""


@pytest.mark.parametrize(("kind", "state", "count"), [("Text", "Succeeded", 1), ("Nonsense", "Failed", 0)])
def test_it_deploys_a_package_and_follows_its_state(
    metadata: Any, salesforce: Salesforce, kind: str, state: str, count: int
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("package.xml", PACKAGE)
        package.writestr("objects/Lead.object", LEAD.format(type=kind))
    started = salesforce.deploy(archive, sandbox=False)
    assert started["state"] == "Queued"
    deadline = time.monotonic() + 20
    status = salesforce.checkDeployStatus(started["asyncId"])
    while status["state"] not in {"Succeeded", "Failed"} and time.monotonic() < deadline:
        time.sleep(0.1)
        status = salesforce.checkDeployStatus(started["asyncId"])
    assert status["state"] == state
    assert int(status["deployment_detail"]["deployed_count"]) == count
    assert len(status["deployment_detail"]["errors"]) == 1 - count
    held = metadata.CustomField.read(["Lead.Fit__c"]).fullName
    assert held == ("Lead.Fit__c" if count else None)
