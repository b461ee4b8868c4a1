"""
One practice org and one database for the tests of a file: each makes records of its own, under names of its own. A
file whose tests have to know all that is there, or move the clock, has ``service`` give ``own_service``.
"""

from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture
def own_rules() -> Path | None:
    """
    The folder of rules by which ``own_service`` begins; none: the shipped ones.
    """
    return None


@pytest.fixture
def own_service(server_url: str, valkey_url: str, own_rules: Path | None) -> Iterator[Running]:
    """
    An org of each test's own, with a clock of its own, and a service of that org alone.
    """
    with (
        practice_org() as org,
        fresh_database(server_url) as database_url,
        running(org, database_url, valkey_url, own_rules) as built,
    ):
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
