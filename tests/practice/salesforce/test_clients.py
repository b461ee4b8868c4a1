"""
A client we did not write, unchanged: simple-salesforce over https with the practice authority.
"""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

from tests.practice_org import PracticeOrg


class ToPractice(HTTPAdapter):
    """
    Sends what is meant for Salesforce's hosts to the practice server, as those hosts' names demand.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        assert request.url is not None
        host = request.url.split("/")[2]
        request.url = request.url.replace(f"https://{host}", self.url, 1)
        request.headers["Host"] = host
        return super().send(request, *args, **kwargs)


@pytest.fixture
def salesforce(org: PracticeOrg) -> Iterator[Salesforce]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = org.ca_file
        form = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}
        token = session.post(f"{org.https_url}/services/oauth2/token", data=form, timeout=30).json()
        assert token["instance_url"] == org.https_url
        yield Salesforce(session_id=token["access_token"], instance_url=token["instance_url"], session=session)


def test_it_logs_in_by_jwt_and_by_client_credentials(org: PracticeOrg) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", ToPractice(org.url))
        by_key = Salesforce(
            username="integration@practice.test",
            consumer_key="headwater",
            privatekey_file=org.private_key_file,
            domain="login",
            session=session,
        )
        by_secret = Salesforce(
            consumer_key="headwater", consumer_secret="practice-secret", domain="acme.my", session=session
        )
        for each in (by_key, by_secret):
            assert each.query("SELECT COUNT() FROM Account")["totalSize"] == 0


def test_it_reads_pages_and_whole_results(org: PracticeOrg, salesforce: Salesforce) -> None:
    org.create("Contact", [{"LastName": f"L{n:04}"} for n in range(4100)])
    first = salesforce.query("SELECT Id, Name FROM Contact ORDER BY Name")
    assert (first["totalSize"], first["done"], len(first["records"])) == (4100, False, 2000)
    second = salesforce.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert second["records"][0]["Name"] == "L2000"
    assert len(list(salesforce.query_all_iter("SELECT Id FROM Contact"))) == 4100
    assert len(salesforce.query_all("SELECT Id FROM Contact", include_deleted=True)["records"]) == 4100


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


def test_it_describes(salesforce: Salesforce) -> None:
    names = {each["name"] for each in salesforce.describe()["sobjects"]}
    assert {"Lead", "Contact", "Account", "Opportunity", "CampaignMember", "Task", "Event", "User"} <= names
    fields = {each["name"]: each for each in salesforce.Lead.describe()["fields"]}
    assert (fields["Email"]["type"], fields["Email"]["length"], fields["Email"]["idLookup"]) == ("email", 80, True)
    assert salesforce.Lead.metadata()["objectDescribe"]["keyPrefix"] == "00Q"


def test_its_bulk_query_reads_all_pages(org: PracticeOrg, salesforce: Salesforce) -> None:
    ids = org.create("Contact", [{"LastName": f'L "{n}"'} for n in range(250)])
    pages = list(salesforce.bulk2.Contact.query("SELECT Id, LastName FROM Contact", max_records=100))
    rows = [row for page in pages for row in csv.DictReader(io.StringIO(page))]
    assert [row["Id"] for row in rows] == ids
    assert rows[7]["LastName"] == 'L "7"'


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


def test_it_sees_a_dead_session(org: PracticeOrg, salesforce: Salesforce) -> None:
    org.control("POST", "salesforce/expire_sessions")
    with pytest.raises(SalesforceExpiredSession):
        salesforce.query("SELECT Id FROM Lead")
