"""
What every test may ask for: a fresh PostgreSQL database, an empty Valkey, the folder of the real company.

Both servers are real. They start when the first test asks, once a run (shared among the workers of ``-n``), and leave
nothing behind, however the run ends.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from worker.embedded.databases import create_database, drop_database, ensure_template
from worker.embedded.home import Home
from worker.embedded.parts import EmbeddedParts, embedded, remove_abandoned

ROOT = Path(__file__).parent.parent
RUNS = ROOT / ".headwater" / "tests"
TEMPLATE = "headwater_migrated"
LEFT_OUT = ("no --olist folder", "no --recorded folder")
# Folders whose files take a minute and more, the longest first.
LONGEST = ("nothing_lost", "faults", "end_to_end")

# The blob brings a failing example back; a time limit an example would only measure how busy the machine is.
hypothesis.settings.register_profile("headwater", print_blob=True, derandomize=False, deadline=None)
hypothesis.settings.load_profile("headwater")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the full sizes of the scale tests")
    parser.addoption(
        "--histories", metavar="N", type=int, default=200, help="random histories of an org to live through"
    )
    parser.addoption("--history-seed", metavar="SEED", type=int, help="live through this one history again")
    parser.addoption("--olist", metavar="FOLDER", type=Path, help="the folder with the real company's two CSV files")
    parser.addoption("--recorded", metavar="FOLDER", type=Path, help="the folder with a real Salesforce org's answers")


def pytest_configure(config: pytest.Config) -> None:
    """
    Forget the servers of the person who runs the tests: no test may reach them by accident.
    """
    for name in list(os.environ):
        if name in {"DATABASE_URL", "REDIS_URL"} or name.startswith("PG"):
            del os.environ[name]
    for option in ("--olist", "--recorded"):
        folder = config.getoption(option)
        if folder is not None and not folder.is_dir():
            raise pytest.UsageError(f"{option}={folder} is no folder")

    if config.option.basetemp is None:
        keep_files_in_the_checkout(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Long files first, short ones last: the workers of ``-n`` take file by file in this order and so end together.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}

    def turn(item: pytest.Item) -> tuple[int, bool]:
        place = next((number for number, name in enumerate(LONGEST) if name in item.path.parts), len(LONGEST))
        return (place, item.path not in slow)

    items.sort(key=turn)


def keep_files_in_the_checkout(config: pytest.Config) -> None:
    """
    Give ``tmp_path`` a folder in the checkout that goes at the end, and remove those of runs that were killed.
    """
    remove_abandoned(RUNS)
    files = Home(RUNS / f"files-{uuid.uuid4().hex[:8]}")
    files.make()
    seat = files.enter()
    config.option.basetemp = files.path / "tmp"

    def remove() -> None:
        files.leave(seat)
        files.remove()

    config.add_cleanup(remove)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Say once, and not a test, what was left out for want of a folder.
    """
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for reason in LEFT_OUT:
        count = sum(reason in each for each in skipped)
        if count:
            terminalreporter.write_line(f"skipped: {reason} ({count} tests)")


@pytest.fixture(scope="session")
def parts() -> Iterator[EmbeddedParts]:
    """
    The PostgreSQL and the Valkey of this run.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    with embedded(RUNS / run[:12], durable=False, keep=False) as running:
        yield running


@pytest.fixture(scope="session")
def server_url(parts: EmbeddedParts) -> str:
    """
    The PostgreSQL server, with a migrated template on it.
    """
    from worker.store import migrate

    ensure_template(parts.database_url, TEMPLATE, migrate.upgrade)
    return parts.database_url


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """
    A database of this test's own, with all tables and no rows.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield create_database(server_url, name, template=TEMPLATE)
    drop_database(server_url, name)


@pytest.fixture
def empty_database_url(parts: EmbeddedParts) -> Iterator[str]:
    """
    A database of this test's own without any table.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield create_database(parts.database_url, name)
    drop_database(parts.database_url, name)


@pytest.fixture(scope="session")
def valkey_url(parts: EmbeddedParts, valkey_number: int) -> str:
    """
    This worker's own Valkey, for redis-py.
    """
    return parts.redis_url.replace("?db=0", f"?db={valkey_number}")


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """
    The same, emptied.
    """
    with redis.from_url(valkey_url) as client:
        client.flushdb()
    return valkey_url


@pytest.fixture
def broker_url(parts: EmbeddedParts, redis_url: str, valkey_number: int) -> str:
    """
    The same empty Valkey, for Celery.
    """
    return parts.broker_url.replace("?virtual_host=0", f"?virtual_host={valkey_number}")


@pytest.fixture(scope="session")
def valkey_number() -> int:
    """
    Each worker of ``-n`` has a Valkey database of its own, so that one does not empty another's.
    """
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.fixture(scope="session")
def olist_folder(request: pytest.FixtureRequest) -> Path:
    """
    The real company's folder, given with ``--olist``.
    """
    folder: Path | None = request.config.getoption("--olist")
    if folder is None:
        pytest.skip(LEFT_OUT[0])
    return folder
