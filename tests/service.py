"""
The service in this process, on a database of its own and a practice org: what every test of the whole loop starts from.

``running`` builds it. ``Running`` runs cycles, approves plans, reads the org back through the org's own API as another
integration would, and tells which requests a cycle sent and which rows it touched.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
import requests
from sqlalchemy import create_engine, text

from config.settings import load_settings
from tests.practice_org import PracticeOrg
from worker.cli.sync import Cycle, run_cycle, work_until_quiet
from worker.embedded.databases import create_database, drop_database
from worker.flows.drain import follow_up
from worker.flows.run import Service
from worker.store import outbox, views
from worker.wiring import build

PACKAGE = Path(__file__).resolve().parent.parent / "config" / "salesforce"
TEMPLATE = "headwater_migrated"  # tests/conftest.py makes it
API = "/services/data/v64.0"
# More than the fifteen minutes that every window of Salesforce overlaps the one before.
PAST_THE_OVERLAP = 20 * 60
COUNTERS = ("seq_tup_read", "idx_tup_fetch", "n_tup_ins", "n_tup_upd", "n_tup_del")
# Where the service notes that it ran; everything else is what it knows.
MACHINERY = frozenset(
    {
        "due", "due_slice", "job", "run", "schedule", "cursor", "source_state", "api_use", "api_level", "finding",
        "setting", "sweep", "census",
    }
)  # fmt: skip


class Colleague:
    """
    Another integration of the same org, with a login of its own: whatever it sees, anybody would see.
    """

    def __init__(self, org: PracticeOrg) -> None:
        self._org = org
        self._session = requests.Session()
        self._session.trust_env = False

    def query(self, soql: str) -> list[dict[str, Any]]:
        """
        Every row of a query, page after page, as plain mappings.
        """
        rows: list[dict[str, Any]] = []
        page = self._call("GET", f"{API}/query", params={"q": soql})
        rows += page["records"]
        while not page["done"]:
            page = self._call("GET", page["nextRecordsUrl"])
            rows += page["records"]
        return [{name: value for name, value in row.items() if name != "attributes"} for row in rows]

    def update(self, sobject: str, records: Sequence[Mapping[str, Any]]) -> None:
        """
        PATCH records, 200 a call; every one of them has to succeed.
        """
        for start in range(0, len(records), 200):
            batch = [{"attributes": {"type": sobject}, **record} for record in records[start : start + 200]]
            answers = self._call("PATCH", f"{API}/composite/sobjects", json={"allOrNone": False, "records": batch})
            assert all(answer["success"] for answer in answers), answers

    def jobs(self) -> list[dict[str, Any]]:
        """
        The Bulk query jobs of the last week, anybody's.
        """
        found: list[dict[str, Any]] = self._call("GET", f"{API}/jobs/query")["records"]
        return found

    def create(self, sobject: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """
        POST up to 200 records, as anybody's integration makes them; the new ids in order.
        """
        batch = [{"attributes": {"type": sobject}, **record} for record in records]
        answers = self._call("POST", f"{API}/composite/sobjects", json={"allOrNone": True, "records": batch})
        assert all(answer["success"] for answer in answers), answers
        return [answer["id"] for answer in answers]

    def _log_in(self) -> None:
        form = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}
        answer = self._session.post(f"{self._org.url}/services/oauth2/token", data=form, timeout=30)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _call(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self._org.url}{path}"
        answer = self._session.request(method, url, timeout=120, **options)
        if answer.status_code == 401:  # no session yet, or the practice clock has run past its end
            self._log_in()
            answer = self._session.request(method, url, timeout=120, **options)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()


@dataclass
class Running:
    """
    A service, the practice org it looks at, and its database.
    """

    org: PracticeOrg
    service: Service
    database_url: str
    redis_url: str
    colleague: Colleague = field(init=False)

    def __post_init__(self) -> None:
        self.colleague = Colleague(self.org)

    def cycle(self) -> Cycle:
        """
        One whole cycle; it must not fail.
        """
        cycle = self.try_cycle()
        assert not cycle.failed, cycle.failed
        return cycle

    def try_cycle(self) -> Cycle:
        """
        One whole cycle, whatever becomes of it.
        """
        return run_cycle(self.service)

    def approve(self) -> list[int]:
        """
        Approve every plan that waits, and send them; the plans' ids.
        """
        with self.service.engine.begin() as connection:
            plans = outbox.approve(connection, by="a test")
            follow_up(connection, self.service)
        work_until_quiet(self.service)
        return plans

    def advance(self, seconds: float) -> None:
        """
        Move the practice clock and let the service hear of it, as it does by any answer: one cycle.
        """
        self.org.advance(seconds)
        self.cycle()

    def settle(self) -> None:
        """
        Bring everything to rest: nothing left to write, our own writes read back, and nothing of it within the overlap.
        """
        for _ in range(5):
            mark = self.mark()
            self.cycle()
            self.approve()
            if not self.calls(mark, "write"):
                break
        else:
            raise AssertionError("five cycles one after another wrote something")
        self.advance(PAST_THE_OVERLAP)
        self.cycle()

    def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """
        What the store holds, as plain mappings.
        """
        with self.service.engine.connect() as connection:
            return views.rows(connection, statement, **values)

    def value(self, statement: str, **values: object) -> Any:
        """
        The one value of a statement that gives one.
        """
        (row,) = self.rows(statement, **values)
        (found,) = row.values()
        return found

    def status(self) -> dict[str, Any]:
        """
        What ``headwater status --json`` gives.
        """
        with self.service.engine.connect() as connection:
            return views.status(connection)

    def why(self, kind: str, record_id: str) -> dict[str, Any]:
        """
        What ``headwater why --json`` gives for a source record.
        """
        with self.service.engine.connect() as connection:
            return views.why(connection, kind, self.golden_id(kind, record_id))

    def golden_id(self, kind: str, record_id: str) -> int:
        """
        The golden record that a source record stands for.
        """
        statement = "SELECT golden_id FROM crosswalk WHERE kind = :kind AND record_id = :record_id"
        return int(self.value(statement, kind=kind, record_id=record_id))

    def mark(self) -> int:
        """
        Where the journal stands; ``calls`` lists what came after.
        """
        number: int = self.org.control("GET", "journal")["next"]
        return number

    def calls(self, after: int, *kinds: str, system: str = "salesforce") -> list[dict[str, Any]]:
        """
        The requests after a mark, logins aside, of these kinds (read, write, other) or of all.
        """
        entries = [entry for entry in self.org.journal(system, after) if entry["kind"] != "token"]
        return [entry for entry in entries if not kinds or entry["kind"] in kinds]

    def counters(self) -> dict[str, dict[str, int]]:
        """
        PostgreSQL's own counts of rows read and written by table, everything done so far included.

        A session hands its counts over when it ends at the latest, so the service's sessions are ended first.
        """
        self.service.engine.dispose()
        engine = create_engine(self.database_url)
        try:
            with engine.connect() as connection:
                _wait_for_the_others(connection)
                cells = ", ".join(f"coalesce({name}, 0) AS {name}" for name in COUNTERS)
                found = connection.execute(text(f"SELECT relname, {cells} FROM pg_stat_user_tables")).mappings()
                return {str(row["relname"]): {name: int(row[name]) for name in COUNTERS} for row in found}
        finally:
            engine.dispose()


def _wait_for_the_others(connection: Any) -> None:
    others = text(
        """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        """
    )
    deadline = time.monotonic() + 10
    while connection.execute(others).scalar_one():
        connection.rollback()
        assert time.monotonic() < deadline, "a session of the service did not end"
        time.sleep(0.02)
    connection.rollback()


def moved(before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """
    What was counted between two ``counters``: table -> count -> number, zeros left out.
    """
    found = {
        table: {name: counts[name] - before[table][name] for name in COUNTERS if counts[name] != before[table][name]}
        for table, counts in after.items()
    }
    return {table: counts for table, counts in found.items() if counts}


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """
    A database with all tables and no rows, for as long as one needs it.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield create_database(server_url, name, template=TEMPLATE)
    drop_database(server_url, name)


@contextmanager
def running(org: PracticeOrg, database_url: str, redis_url: str, rules: Path | None = None) -> Iterator[Running]:
    """
    The service on these parts, with the shipped rules unless others are given.
    """
    given: dict[str, object] = {"database_url": database_url, "redis_url": redis_url, **settings_of(org)}
    if rules is not None:
        given["rules"] = rules
    service = build(load_settings(**given))
    try:
        yield Running(org, service, database_url, redis_url)
    finally:
        service.engine.dispose()
        with redis.from_url(redis_url) as client:
            client.flushdb()


def settings_of(org: PracticeOrg) -> dict[str, object]:
    """
    The org's settings under the names that ``load_settings`` takes.
    """
    return {name.lower(): value for name, value in org.env().items()}


@contextmanager
def practice_org(clock: datetime | None = None) -> Iterator[PracticeOrg]:
    """
    A practice org with Headwater's fields, empty, for as long as one needs it. ``clock``: where its clock starts,
    instead of at the present.
    """
    with PracticeOrg(package=PACKAGE, clock=clock and clock.isoformat()) as org:
        yield org
