"""
Reading that lags behind writing, by the practice clock.
"""

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg


@pytest.fixture
def lagging(org: PracticeOrg) -> PracticeOrg:
    org.create("Lead", [{"LastName": "Old", "Company": "C", "Title": "VP"}])
    org.control("POST", "clock", {"frozen": True})
    org.control("POST", "salesforce/settings", {"read_lag_seconds": 3})
    return org


def test_a_write_shows_up_when_the_lag_is_over(client: Client, lagging: PracticeOrg) -> None:
    made = client.call("POST", "sobjects/Lead", json={"LastName": "New", "Company": "C"}).json()["id"]
    assert client.values("SELECT LastName FROM Lead") == ["Old"]
    assert client.call("GET", f"sobjects/Lead/{made}").status_code == 404
    lagging.advance(2)
    assert client.values("SELECT LastName FROM Lead") == ["Old"]
    lagging.advance(1)
    assert client.values("SELECT LastName FROM Lead ORDER BY Id") == ["Old", "New"]


def test_a_change_shows_the_old_value_and_not_a_hole(client: Client, lagging: PracticeOrg) -> None:
    (lead,) = client.values("SELECT Id FROM Lead")
    for title in ("CEO", "CFO"):
        assert client.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": title}).status_code == 204
        lagging.advance(2)
    assert client.values("SELECT Title FROM Lead") == ["CEO"]
    lagging.advance(1)
    assert client.values("SELECT Title FROM Lead") == ["CFO"]


def test_writers_see_everything_at_once(client: Client, lagging: PracticeOrg) -> None:
    made = client.call("POST", "sobjects/Lead", json={"LastName": "New", "Company": "C"}).json()["id"]
    assert client.call("PATCH", f"sobjects/Lead/{made}", json={"Title": "VP"}).status_code == 204
    assert client.call("DELETE", f"sobjects/Lead/{made}").status_code == 204
    again = client.call("DELETE", f"sobjects/Lead/{made}")
    assert again.json()[0]["errorCode"] == "ENTITY_IS_DELETED"


def test_a_bulk_job_lags_too(client: Client, lagging: PracticeOrg) -> None:
    client.call("POST", "sobjects/Lead", json={"LastName": "New", "Company": "C"})
    lagging.control("POST", "salesforce/settings", {"bulk_seconds": 0})
    body = {"operation": "query", "query": "SELECT LastName FROM Lead"}
    job = client.call("POST", "jobs/query", json=body).json()["id"]
    while client.call("GET", f"jobs/query/{job}").json()["state"] != "JobComplete":
        pass
    assert client.call("GET", f"jobs/query/{job}/results").text.splitlines() == ['"LastName"', '"Old"']


def test_without_the_lag_nothing_is_held_back(client: Client, lagging: PracticeOrg) -> None:
    client.call("POST", "sobjects/Lead", json={"LastName": "New", "Company": "C"})
    lagging.control("POST", "salesforce/settings", {"read_lag_seconds": 0})
    assert client.values("SELECT COUNT(Id) FROM Lead") == [2]
