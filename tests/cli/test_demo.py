"""
What the demo and ``up`` refuse before anything is started, and what they do with a process that cannot live.
"""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from tests.cli.conftest import Terminal
from worker.cli.processes import QUICK_DEATHS, Processes, wait_for
from worker.cli.running import free_port, only_one
from worker.core.errors import Fatal
from worker.store import marks

DEMO_URL = "https://localhost:41001"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as somebody_else:
        yield int(somebody_else.getsockname()[1])


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    yield made
    made.dispose()


@pytest.mark.parametrize("words", [("demo",), ("demo", "--fresh", "--once"), ("up",)])
def test_beside_a_running_demo_a_second_service_is_refused_and_touches_nothing(
    bare: Terminal, tmp_path: Path, words: tuple[str, ...]
) -> None:
    home = tmp_path / "home"
    with only_one(home, "make demo", "http://127.0.0.1:8080"):
        company = home / "practice-demo" / "company-loaded"
        company.parent.mkdir()
        company.write_text("2026\n")
        said = bare(*words, "--json")
        assert company.read_text() == "2026\n"
    assert said.code == 1
    assert said.data["name"] == "HW-577"
    assert "`make demo`" in said.data["message"]
    assert "http://127.0.0.1:8080" in said.data["message"]
    assert any("kill " in action for action in said.data["actions"])
    assert not (home / "postgres").exists()


def test_a_home_is_free_again_once_its_service_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with only_one(tmp_path, "make demo", "http://127.0.0.1:8080"):
            pass


@pytest.mark.parametrize("command", ["demo", "up"])
def test_a_port_that_is_taken_is_said_before_anything_is_started(
    bare: Terminal, tmp_path: Path, taken_port: int, command: str
) -> None:
    bare.export(PORT=str(taken_port))
    said = bare(command, "--json")
    assert said.code == 1
    assert said.data["name"] == "HW-578"
    assert str(taken_port) in said.data["message"]
    assert not (tmp_path / "home" / "postgres").exists()
    (action,) = said.data["actions"]
    proposed = int(action.split()[0].removeprefix("PORT="))
    assert free_port("127.0.0.1", proposed, "make demo") == proposed


def test_port_0_becomes_a_port_that_can_be_named() -> None:
    assert free_port("127.0.0.1", 0, "make demo") > 0


def test_a_process_that_ends_at_once_again_and_again_is_given_up_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.cli.processes.RESTART_SECONDS", 0.01)
    said: list[str] = []
    processes = Processes({}, lambda _name, line: said.append(line))
    processes.start("web", f"{sys.executable} -c \"print('no room at the inn'); raise SystemExit(3)\"")
    try:
        with pytest.raises(Fatal, match="HW-579") as given_up:
            wait_for(lambda: False, 60, processes.keep_alive)
    finally:
        processes.stop()
    assert "no room at the inn" in str(given_up.value.vendor)
    assert "with 3" in given_up.value.message
    assert said.count("ended with 3; starting it again") == QUICK_DEATHS - 1


def test_the_demos_store_takes_no_other_organisation(engine: Engine) -> None:
    with engine.begin() as connection:
        marks.mark_made_up(connection)
        marks.expect_no_other(connection, DEMO_URL, DEMO_URL)
        for stranger in ("https://acme.my.salesforce.com", "https://localhost:8343"):
            with pytest.raises(Fatal, match="HW-113"):
                marks.expect_no_other(connection, stranger, DEMO_URL)
        with pytest.raises(Fatal, match="HW-113"):
            marks.expect_no_other(connection, DEMO_URL, None)


def test_a_store_without_the_mark_takes_any_organisation(engine: Engine) -> None:
    with engine.begin() as connection:
        marks.expect_no_other(connection, "https://acme.my.salesforce.com", None)


def test_sync_on_the_demos_store_says_whose_it_is(
    bare: Terminal, engine: Engine, database_url: str, redis_url: str
) -> None:
    with engine.begin() as connection:
        marks.mark_made_up(connection)
    bare.export(DATABASE_URL=database_url, REDIS_URL=redis_url)
    said = bare("sync", "--json")
    assert said.code == 2
    assert "belongs to the demo" in said.data["message"]
    assert any(action.startswith("make demo") for action in said.data["actions"])
    assert not any("doctor" in action for action in said.data["actions"])


def test_sync_into_the_demos_store_from_a_practice_org_of_ones_own_is_refused(
    bare: Terminal, engine: Engine, database_url: str, redis_url: str
) -> None:
    with engine.begin() as connection:
        marks.mark_made_up(connection)
    bare.export(
        DATABASE_URL=database_url,
        REDIS_URL=redis_url,
        SALESFORCE_LOGIN_URL="https://localhost:8343",
        SALESFORCE_CLIENT_ID="headwater",
        SALESFORCE_CLIENT_SECRET="practice-secret",
    )
    assert bare("sync", "--json").data["name"] == "HW-113"
    assert bare("status", "--json").code == 0
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM run")).scalar() == 0
