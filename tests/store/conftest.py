"""
A fresh PostgreSQL database for every test, and as many connections to it as a test needs.
"""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine

from worker.store.session import connect


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = connect(database_url)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """
    One connection in one transaction.
    """
    with engine.begin() as opened:
        yield opened


@pytest.fixture
def opened(engine: Engine) -> Iterator[Callable[[], Connection]]:
    """
    Further connections, each in a transaction of its own that is given up at the end.
    """
    connections: list[Connection] = []

    def another() -> Connection:
        connections.append(engine.connect())
        connections[-1].begin()
        return connections[-1]

    yield another
    for each in connections:
        each.close()
