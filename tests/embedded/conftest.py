"""
A home for servers that a test may kill, and ways to look at them.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from worker.embedded.home import Home
from worker.embedded.parts import remove_abandoned


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Path]:
    """
    A folder of homes; what a test left running there is gone a moment later.
    """
    folder = tmp_path / "homes"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        eventually(lambda path=path: not Home(path).kept())
    remove_abandoned(folder)


def eventually(happened: Callable[[], Any], seconds: float = 20) -> None:
    """
    Wait until something is so.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} seconds"
        time.sleep(0.05)


def is_gone(number: int) -> bool:
    """
    Whether a process has ended; one that only its parent has not yet asked about counts as ended.
    """
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def processes_of(home: Path) -> dict[str, int]:
    """
    The numbers of keeper, PostgreSQL and Valkey of a running home.
    """
    facts = Home(home).told("running.json")
    assert facts is not None
    children = {child.name(): child.pid for child in psutil.Process(facts["keeper"]).children()}
    return {"keeper": facts["keeper"], "postgres": children["postgres"], "valkey": children["valkey-server"]}


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    """
    Run one statement and commit it.
    """
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def answers(url: str) -> bool:
    """
    Whether the PostgreSQL at a URL answers.
    """
    try:
        return query(url, "SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False
