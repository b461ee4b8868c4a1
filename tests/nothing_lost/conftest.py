"""
One practice org and one database for all histories.
"""

from collections.abc import Iterator

import pytest

from tests.nothing_lost.world import World
from tests.practice_org import REPOSITORY, PracticeOrg
from tests.service import fresh_database


@pytest.fixture(scope="package")
def world(server_url: str) -> Iterator[World]:
    package = REPOSITORY / "config" / "salesforce" / "force-app"
    with PracticeOrg(package=package) as org, fresh_database(server_url) as database_url:
        made = World(org, database_url)
        yield made
        made.close()
