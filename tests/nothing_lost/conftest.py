"""
One practice org and one database for all histories.
"""

from collections.abc import Iterator

import pytest

from tests.nothing_lost.world import World
from tests.practice_org import PracticeOrg
from tests.service import fresh_database


@pytest.fixture(scope="package")
def world(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with PracticeOrg() as org, fresh_database(server_url) as database_url:
        made = World(org, database_url, tmp_path_factory.mktemp("org"))
        yield made
        made.close()
