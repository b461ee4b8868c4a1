"""
One practice org and one database for the tests of a file: each makes records of its own, under names of its own.
"""

from collections.abc import Iterator

import pytest

from tests.practice_org import PracticeOrg
from tests.service import Running, fresh_database, practice_org, running


@pytest.fixture(scope="module")
def org() -> Iterator[PracticeOrg]:
    with practice_org() as started:
        yield started


@pytest.fixture(scope="module")
def service(org: PracticeOrg, server_url: str, valkey_url: str) -> Iterator[Running]:
    with fresh_database(server_url) as database_url, running(org, database_url, valkey_url) as built:
        yield built


@pytest.fixture(autouse=True)
def undisturbed(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Whatever a test disturbed in the org is over with it.
    """
    yield
    if "org" in request.fixturenames:
        org: PracticeOrg = request.getfixturevalue("org")
        org.control("DELETE", "faults")
        org.control("DELETE", "salesforce/validation_rule")
