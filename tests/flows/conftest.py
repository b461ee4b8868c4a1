"""
One practice org and one database for the tests of a file: each makes records of its own, under names of its own. A
file whose tests have to know all that is there, or move the clock, has ``service`` give ``own_service``.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
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

    The clock starts in the middle of a week: a test that looks back half an hour is to find itself on the same day and
    in the same week, whenever it runs.
    """
    with (
        practice_org(_midweek(datetime.now(UTC))) as org,
        fresh_database(server_url) as database_url,
        running(org, database_url, valkey_url, own_rules) as built,
    ):
        yield built


def _midweek(moment: datetime) -> datetime:
    """
    The next Wednesday's noon in New York, or an hour later.
    """
    days = (2 - moment.weekday()) % 7 or 7
    return datetime.combine(moment.date() + timedelta(days=days), time(17), UTC)


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
