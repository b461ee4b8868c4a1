"""
Scenes for the tests that disturb real processes, and the end state of a run that nobody disturbed.
"""

import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, create_engine

from config.settings import load_settings
from tests.conftest import TEMPLATE
from tests.faults.crew import Crew
from tests.faults.end_state import State, end_state
from tests.faults.scene import LEASE_SECONDS, STRUCK, TICK_SECONDS, Scene
from tests.faults.small_company import SEED, small_company
from tests.practice_org import REPOSITORY, PracticeOrg
from worker.cli.sync import work_until_quiet
from worker.embedded.databases import create_database, drop_database
from worker.flows.drain import follow_up, start_cycle
from worker.practice.company.fill import fill
from worker.store import outbox
from worker.wiring import build

# Nothing here may straddle midnight: engagement counts in days.
MIDNIGHT_MARGIN = timedelta(minutes=15)


@pytest.fixture(scope="session")
def moment() -> datetime:
    """
    When the company's past ends. The same for every scene of a run, so that all of them are the same company.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    return now - timedelta(minutes=1)


@contextmanager
def filled_organisation(moment: datetime) -> Iterator[PracticeOrg]:
    """
    A practice organisation of its own with the small company in it. Pages are small, so that there are many.
    """
    with PracticeOrg(package=REPOSITORY / "config" / "salesforce") as org:
        fill(small_company(SEED, moment), org.url)
        org.control("POST", "salesforce/settings", {"small_pages": True})
        org.control("POST", "marketo/limits", {"rate": False, "concurrency": False})
        org.control("DELETE", "journal")
        yield org


def emptied(url: str) -> str:
    """
    The same Valkey database without a key.
    """
    with redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="session")
def undisturbed(server_url: str, valkey_url: str, moment: datetime) -> State:
    """
    What a run in this process comes to: no worker, no broker message, no fault.
    """
    name = f"faults_{uuid.uuid4().hex[:12]}"
    with filled_organisation(moment) as org:
        url = create_database(server_url, name, template=TEMPLATE)
        given = {variable.lower(): value for variable, value in org.env().items()}
        service = build(load_settings(database_url=url, redis_url=valkey_url, **given))
        for approved in (False, True, True):
            with service.engine.begin() as connection:
                if approved:
                    outbox.approve(connection, by="the test")
                start_cycle(connection, service)
                follow_up(connection, service)
            work_until_quiet(service)
        state = end_state(service.engine, org)
        service.engine.dispose()
        drop_database(server_url, name)
    assert sum(len(rows) for name, rows in state.items() if name.startswith("org.")) > 2_000
    return state


Opened = Callable[..., Scene]


@pytest.fixture
def open_scene(
    server_url: str, valkey_url: str, moment: datetime, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Opened]:
    """
    Opens a scene: a filled organisation, an empty store, no process yet. PostgreSQL (``own_parts``) and Valkey
    (``redis_url``) may be others than the run's.
    """
    with ExitStack() as stack:

        def opened(own_parts: Any = None, redis_url: str | None = None) -> Scene:
            name = f"faults_{uuid.uuid4().hex[:12]}"
            base = server_url if own_parts is None else own_parts.database_url
            url = create_database(base, name, template=TEMPLATE)
            if own_parts is None:
                stack.callback(drop_database, base, name)
            org = stack.enter_context(filled_organisation(moment))
            engine: Engine = create_engine(url, pool_pre_ping=True)
            stack.callback(engine.dispose)
            environment = {
                **org.env(),
                "DATABASE_URL": url,
                "REDIS_URL": redis_url or emptied(valkey_url),
                "HEADWATER_LEASE_SECONDS": str(LEASE_SECONDS),
                "HEADWATER_TICK_SECONDS": str(TICK_SECONDS),
                "HEADWATER_LOG": "json",
            }
            scene = Scene(org, engine, stack.enter_context(Crew(environment, tmp_path)))
            request.node.scene = scene
            return scene

        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Say how many kills there were in which window.
    """
    if STRUCK:
        told = ", ".join(f"{count} {window}" for window, count in STRUCK.items())
        terminalreporter.write_line(f"kill -9 of a worker: {told}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """
    A failed test of this folder comes with the service's own story.
    """
    report = yield
    scene = getattr(item, "scene", None)
    if call.when == "call" and scene is not None:
        text = scene.story() if report.failed else "\n".join(scene.notes)
        report.sections.append(("the service", text))
    return report
