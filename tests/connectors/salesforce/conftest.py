"""
One practice org as a real process for the tests of a file, and clients of it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.practice_org import PracticeOrg
from worker.connectors.http import HttpOptions
from worker.connectors.salesforce.client import Credentials, SalesforceClient

PACKAGE = Path(__file__).resolve().parents[3] / "config" / "salesforce" / "force-app"
Connect = Callable[[], SalesforceClient]


@pytest.fixture(scope="module")
def running() -> Iterator[PracticeOrg]:
    with PracticeOrg(package=PACKAGE) as org:
        yield org


@pytest.fixture
def org(running: PracticeOrg) -> Iterator[PracticeOrg]:
    # An hour lies between tests, so that no window of one holds what another made.
    running.advance(3600)
    settings = running.control("GET", "salesforce/settings")
    yield running
    running.control("POST", "salesforce/settings", settings)
    running.control("DELETE", "faults")
    for what in ("validation_rule", "flow", "locks"):
        running.control("DELETE", f"salesforce/{what}")


@pytest.fixture
def connect(org: PracticeOrg) -> Connect:
    def client() -> SalesforceClient:
        credentials = Credentials(
            org.https_url,
            "headwater",
            username="integration@practice.test",
            private_key=Path(org.private_key_file).read_text(),
        )
        return SalesforceClient(credentials, options=HttpOptions(ca_file=org.ca_file, attempts=3, pause_seconds=0.01))

    return client
