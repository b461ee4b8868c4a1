"""
The status page and its JSON twin, over a real database and a real port.
"""

import socket
import threading
from collections.abc import Iterator

import pytest
import requests
import uvicorn
from sqlalchemy import create_engine, text

from worker.console import app as console


@pytest.fixture
def site() -> Iterator[str]:
    """
    Where the console is served, without trailing slash.
    """
    console.engine.cache_clear()
    server = uvicorn.Server(uvicorn.Config(console.app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def two_runs(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    The console on a database in which one run read three rows and another found nothing to do.
    """
    made = create_engine(database_url)
    with made.begin() as connection:
        for flow, tally in (("pull", '{"rows read": 3, "rows written": 0}'), ("engage", '{"accounts decided": 0}')):
            connection.execute(
                text(
                    """
                    INSERT INTO run (job_id, flow, lane, state, now_at, started_at, finished_at, tally)
                    VALUES (1, :flow, :flow, 'done', now(), now(), '2026-11-22T13:52:13.596789Z', :tally)
                    """
                ),
                {"flow": flow, "tally": tally},
            )
    made.dispose()
    monkeypatch.setenv("DATABASE_URL", database_url)
    yield
    console.engine().dispose()
    console.engine.cache_clear()


@pytest.mark.usefixtures("two_runs")
def test_the_page_shows_instants_to_the_minute_and_the_json_shows_them_exactly(site: str) -> None:
    page = requests.get(f"{site}/", timeout=10).text
    assert "2026-11-22 13:52 UTC" in page
    assert "596789" not in page
    ends = {lane["finished_at"] for lane in requests.get(f"{site}/status.json", timeout=10).json()["lanes"]}
    assert ends == {"2026-11-22T13:52:13.596789Z"}


@pytest.mark.usefixtures("two_runs")
def test_a_run_that_did_nothing_shows_a_dash(site: str) -> None:
    cells = requests.get(f"{site}/", timeout=10).text.split("<h2>Runs</h2>")[1].split("<h2>Writing</h2>")[0]
    lines = cells.split("<tr><td>")[1:]
    did = {line.split("</td>")[0]: line.rsplit("<td>", 1)[1].split("</td>")[0] for line in lines}
    assert did == {"engage": "-", "pull": "rows read: 3"}


def test_ready_says_no_while_there_is_no_database(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    answer = requests.get(f"{site}/ready", timeout=10)
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
