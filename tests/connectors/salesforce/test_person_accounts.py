"""
A human who is an account and a contact in one: read as both, written through the account.
"""

from collections.abc import Callable

import pytest

from tests.connectors.salesforce.test_writing import mark, writes
from tests.practice_org import PracticeOrg
from worker.connectors.base import RecordChange
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.doctor import examine
from worker.connectors.salesforce.persons import twin_of
from worker.connectors.salesforce.writer import SalesforceSink

pytestmark = pytest.mark.slow

SOURCE = "HW_Original_Source__c"
CYCLE = "HW_Cycle__c"


@pytest.fixture
def client(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> SalesforceClient:
    org.control("POST", "salesforce/features", {"person_accounts": True})
    return connect()


@pytest.fixture
def sink(client: SalesforceClient) -> SalesforceSink:
    return SalesforceSink(client)


def person(client: SalesforceClient, name: str) -> tuple[str, str]:
    """
    A person account; the ids of its contact and of itself.
    """
    account = str(client.tell("POST", "sobjects/Account", {"LastName": name})["id"])
    (row,) = client.query(f"SELECT PersonContactId FROM Account WHERE Id = '{account}'")["records"]
    return str(row["PersonContactId"]), account


def company_contact(org: PracticeOrg, name: str) -> str:
    (account,) = org.create("Account", [{"Name": f"{name} Inc"}])
    (contact,) = org.create("Contact", [{"LastName": name, "AccountId": account}])
    return contact


def test_a_persons_field_is_written_to_the_account_and_shows_on_the_contact(
    org: PracticeOrg, client: SalesforceClient, sink: SalesforceSink
) -> None:
    contact, account = person(client, "Ng")
    (result,) = sink.write("Contact", [RecordChange(contact, {SOURCE: "Webinar", CYCLE: "2"})])
    assert (result.record_id, result.verdict) == (contact, "done")
    (seen,) = sink.observe("Contact", [contact], [SOURCE, CYCLE])
    assert seen.values == {SOURCE: "Webinar", CYCLE: "2"}
    (row,) = client.query(f"SELECT HW_Original_Source__pc FROM Account WHERE Id = '{account}'")["records"]
    assert row["HW_Original_Source__pc"] == "Webinar"


def test_contacts_of_companies_and_persons_go_out_in_one_call_and_each_gets_its_own_answer(
    org: PracticeOrg, client: SalesforceClient, sink: SalesforceSink
) -> None:
    pairs = [(company_contact(org, f"Firm {number}"), person(client, f"Ng {number}")[0]) for number in range(4)]
    ids = [each for pair in pairs for each in pair]
    gone = ids[3]
    client.tell("DELETE", f"sobjects/Account/{account_of(client, gone)}", None)
    sink.observe("Contact", ids, [SOURCE])
    before = mark(org)
    changes = [RecordChange(each, {SOURCE: f"Source {number}"}) for number, each in enumerate(ids)]
    results = sink.write("Contact", changes)
    assert len(writes(org, before)) == 1
    assert [result.record_id for result in results] == ids
    assert [result.verdict for result in results] == ["gone" if each == gone else "done" for each in ids]
    held = [seen.values and seen.values[SOURCE] for seen in sink.observe("Contact", ids, [SOURCE])]
    assert held == [None if each == gone else f"Source {number}" for number, each in enumerate(ids)]


def account_of(client: SalesforceClient, contact: str) -> str:
    (row,) = client.query(f"SELECT AccountId FROM Contact WHERE Id = '{contact}'")["records"]
    return str(row["AccountId"])


def test_a_person_is_looked_up_where_nobody_has_looked_at_the_record_before(
    org: PracticeOrg, client: SalesforceClient, sink: SalesforceSink
) -> None:
    first, second = person(client, "Ng")[0], person(client, "Ek")[0]
    sink.observe("Contact", [first], [SOURCE])
    (result,) = sink.write("Contact", [RecordChange(second, {SOURCE: "Event"})])
    assert result.verdict == "done"


def test_a_field_that_the_account_does_not_show_refuses_the_person_alone(
    org: PracticeOrg, client: SalesforceClient, sink: SalesforceSink
) -> None:
    alone, company = person(client, "Ng")[0], company_contact(org, "Firm")
    org.control("POST", "salesforce/hide_fields", {"object": "Account", "fields": ["HW_Original_Source__pc"]})
    try:
        results = sink.write("Contact", [RecordChange(each, {SOURCE: "Event"}) for each in (alone, company)])
        doctor = examine(client, write_fields={"Contact": [SOURCE]})
    finally:
        org.control("POST", "salesforce/show_fields", {"object": "Account", "fields": ["HW_Original_Source__pc"]})
    assert [(result.verdict, result.code) for result in results] == [("refused", "HW-221"), ("done", None)]
    assert "HW_Original_Source__pc" in (results[0].message or "")
    (finding,) = [each for each in doctor if each.level == "error"]
    assert finding.code == "HW-209"
    assert "Account.HW_Original_Source__pc" in finding.message


def test_no_job_of_contacts_is_opened_where_some_may_be_persons(
    org: PracticeOrg, client: SalesforceClient, sink: SalesforceSink
) -> None:
    sink.observe("Contact", [company_contact(org, "Firm")], [SOURCE])
    assert sink.open_job("Contact") is None
    job = sink.open_job("Account")
    assert job is not None
    sink.drop_job(job)


def test_a_standard_field_has_no_twin_to_be_written() -> None:
    assert twin_of("HW_Cycle__c") == "HW_Cycle__pc"
    with pytest.raises(ValueError, match="Title is no custom field"):
        twin_of("Title")
