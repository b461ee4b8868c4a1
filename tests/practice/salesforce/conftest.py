"""
One practice server for all tests of the Salesforce org; every test finds the org as new.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.practice_org import PracticeOrg

VERSION = "v60.0"


class Client:
    """
    A logged-in client without any convenience: what it sends is what is tested.
    """

    def __init__(self, org: PracticeOrg) -> None:
        self.org = org
        self.base = f"{org.url}/services/data/{VERSION}"
        self.session = requests.Session()
        self.session.trust_env = False
        form = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}
        answer = self.session.post(f"{org.url}/services/oauth2/token", data=form, timeout=30)
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        url = f"{self.org.url}{path}" if path.startswith("/services") else f"{self.base}/{path}"
        return self.session.request(method, url, timeout=60, **options)

    def query(self, soql: str, *, everything: bool = False, **headers: str) -> requests.Response:
        path = "queryAll" if everything else "query"
        return self.call("GET", path, params={"q": soql}, headers=headers)

    def rows(self, soql: str, *, everything: bool = False) -> list[dict[str, Any]]:
        answer = self.query(soql, everything=everything)
        assert answer.status_code == 200, answer.text
        return [{key: value for key, value in row.items() if key != "attributes"} for row in answer.json()["records"]]

    def values(self, soql: str, *, everything: bool = False) -> list[Any]:
        return [next(iter(row.values())) for row in self.rows(soql, everything=everything)]


@pytest.fixture(scope="session")
def server() -> Iterator[PracticeOrg]:
    with PracticeOrg() as running:
        yield running


@pytest.fixture
def org(server: PracticeOrg) -> PracticeOrg:
    server.control("POST", "clock", {"frozen": False, "now": "2026-11-18T09:30:00Z"})
    server.control("POST", "salesforce/reset")
    server.control("DELETE", "faults")
    server.control("DELETE", "journal")
    return server


@pytest.fixture
def client(org: PracticeOrg) -> Client:
    return Client(org)
