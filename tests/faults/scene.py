"""
One organisation, one store and the service's processes on them: where the tests of this folder play.

A scene waits with a bound for what it is told to wait for, and tells everything it knows when that does not come.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from tests.faults.crew import Crew, Group
from tests.faults.end_state import State, differences, doubled_effects, end_state
from tests.practice_org import PracticeOrg
from worker.store import outbox

PATIENCE_SECONDS: Final = 90.0
LEASE_SECONDS: Final = 2.0
TICK_SECONDS: Final = 0.25
# How many kills there were in which window, over all tests of a run.
STRUCK: Final[Counter[str]] = Counter()


@dataclass
class Scene:
    """
    ``notes`` are what the test saw, a line each, with the seconds since the scene was opened. ``cycles`` is how many
    cycles were made due beside the first.
    """

    org: PracticeOrg
    engine: Engine
    crew: Crew
    notes: list[str] = field(default_factory=list)
    cycles: int = 0
    opened_at: float = field(default_factory=time.monotonic)

    # ------------------------------------------------------------------------------------------------ looking

    def one(self, statement: str, **values: Any) -> Any:
        """
        A statement's only value.
        """
        with self.engine.connect() as connection:
            return connection.execute(text(statement), values).scalar_one()

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(text(statement), values)]

    def until(self, holds: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """
        Ask again and again until the answer is yes, and return it.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = holds()
            if answer:
                return answer
            time.sleep(0.05)
        raise AssertionError(f"{what}: not within {seconds:g} s")

    def outbox_states(self) -> dict[str, int]:
        return {row["state"]: row["n"] for row in self.rows("SELECT state, count(*) AS n FROM outbox GROUP BY 1")}

    def holder(self, lane: str) -> Group:
        """
        The worker group that holds the leased job of a lane.
        """
        (job,) = self.rows("SELECT owner FROM job WHERE lane = :lane AND state = 'leased'", lane=lane)
        group = self.crew.owner(job)
        assert group is not None, f"{job['owner']}, which holds {lane}, is none of the workers"
        return group

    def blocked_by(self, connection: Connection) -> list[str]:
        """
        The statements of the service's sessions that wait for a lock which this connection holds.
        """
        mine = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        rows = self.rows(
            """
            SELECT query FROM pg_stat_activity
            WHERE application_name = 'headwater' AND wait_event_type = 'Lock' AND :mine = ANY(pg_blocking_pids(pid))
            """,
            mine=mine,
        )
        return [" ".join(row["query"].split()) for row in rows]

    @contextmanager
    def holding(self, statement: str) -> Iterator[Connection]:
        """
        A transaction of the test's that holds the locks of a statement until it is left.
        """
        with self.engine.connect() as connection:
            connection.exec_driver_sql("SET LOCAL application_name = 'the test'")
            connection.exec_driver_sql(statement)
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def gate(self, name: str, **where: Any) -> Iterator[None]:
        """
        Answers that match are held from now until the end, each until it is let go.
        """
        self.org.fault({"gate": name}, **where)
        try:
            yield
        finally:
            self.org.control("DELETE", "faults")
            self.org.open_gate(name)

    # -------------------------------------------------------------------------------------------------- doing

    def make_cycle_due(self) -> None:
        """
        Have the next tick start a cycle, and wait until one has.
        """
        self.cycles += 1
        with self.engine.begin() as connection:
            connection.execute(text("UPDATE schedule SET next_run = clock_timestamp() - interval '1 second'"))
        self.until(
            lambda: self.one("SELECT min(next_run) > clock_timestamp() FROM schedule"), "a tick starts the cycle"
        )

    def until_planned(self) -> None:
        """
        Wait until everything was read, everything decided, and the first plan waits for a person.
        """
        self.until(self.is_planned, "the first plan waits")
        self.note("everything is read and decided, the first plan waits")

    def is_planned(self) -> bool:
        planned: bool = self.one(_PLANNED)
        return planned

    def is_held(self) -> bool:
        """
        Whether everything is decided, and plans wait that the write guard holds.
        """
        held: bool = self.one(_HELD)
        return held

    def approve(self) -> None:
        """
        Approve the plan, as ``headwater apply`` does, and have a cycle start.
        """
        with self.engine.begin() as connection:
            assert outbox.approve(connection, by="the test")
        self.make_cycle_due()

    def until_sent(self) -> None:
        """
        Wait until the outbox is empty and nothing is left to do.
        """
        self.until(self.is_sent, "everything is sent and settled")

    def is_sent(self) -> bool:
        """
        Whether the outbox is empty and nothing is left to do.
        """
        quiet: bool = self.one(_QUIET)
        return quiet

    def finish(self) -> State:
        """
        One more cycle, which reads our own writes back, and then what it all came to.
        """
        self.until_sent()
        self.note("everything is sent and settled")
        self.make_cycle_due()
        self.until_sent()
        self.note("our own writes are read back")
        return end_state(self.engine, self.org)

    def expect(self, expected: State) -> None:
        """
        The end state is the undisturbed run's, and no effect happened twice.
        """
        found = self.finish()
        wrong = differences(expected, found)
        assert not wrong, "the end state is another than that of the undisturbed run:\n" + "\n".join(wrong)
        doubled = doubled_effects(self.org.journal("salesforce"))
        assert not doubled, f"{len(doubled)} effects happened twice:\n" + "\n".join(doubled[:10])

    # ------------------------------------------------------------------------------------------------ telling

    def note(self, words: str) -> None:
        self.notes.append(f"{time.monotonic() - self.opened_at:5.1f} s  {words}")

    def kill(self, group: Group, window: str, *, child: int | None = None) -> None:
        """
        ``kill -9`` inside a window, and count it: of a worker's whole group, or of one child of it, as the kernel does
        when memory runs out.
        """
        if child is None:
            self.crew.kill(group)
        else:
            self.crew.kill_child(child)
        STRUCK[window] += 1

    def story(self) -> str:
        """
        Everything somebody needs who looks for why a test failed.
        """
        parts = ["what the test saw:", *self.notes]
        for name, statement in _SHOWN.items():
            try:
                parts += ["", f"{name}:", *(str(row) for row in self.rows(statement))]
            except Exception as error:  # noqa: BLE001 - a store that is down must not hide the rest
                parts += ["", f"{name}: cannot be read ({type(error).__name__})"]
        return "\n".join([*parts, "", *self.crew.lines()])


_OPEN_WORK: Final = """
    EXISTS (SELECT 1 FROM due)
    OR EXISTS (SELECT 1 FROM job WHERE state = 'leased' OR (state = 'ready' AND run_at < now() + interval '30 seconds'))
"""
_PLANNED: Final = f"""
    SELECT count(*) = 27 AND NOT ({_OPEN_WORK}) AND EXISTS (SELECT 1 FROM plan WHERE state = 'planned')
    FROM cursor WHERE first_loaded_at IS NOT NULL
"""
_HELD: Final = f"SELECT NOT ({_OPEN_WORK}) AND EXISTS (SELECT 1 FROM plan WHERE state = 'held')"
_QUIET: Final = f"SELECT NOT ({_OPEN_WORK}) AND NOT EXISTS (SELECT 1 FROM outbox)"
_SHOWN: Final = {
    "open jobs": """
        SELECT id, flow, lane, state, owner, token, attempts, run_at - now() AS starts_in, until - now() AS lease_left
        FROM job WHERE state IN ('ready', 'leased') ORDER BY id
    """,
    "failed jobs": "SELECT id, lane, error_code, error FROM job WHERE state = 'failed' ORDER BY id DESC LIMIT 10",
    "runs": """
        SELECT id, job_id AS job, lane, state, started_at::time AS began, finished_at - started_at AS took, tally,
            error_code
        FROM run ORDER BY id DESC LIMIT 25
    """,
    "outbox": """
        SELECT object, state, plan_id, count(*) AS rows, max(attempts) AS most_attempts, min(code) AS code,
            min(message) AS message
        FROM outbox GROUP BY 1, 2, 3
    """,
    "plans": "SELECT id, state, why_held, counts FROM plan ORDER BY id DESC LIMIT 5",
    "written": "SELECT object, result, count(*), min(message) AS message FROM written GROUP BY 1, 2 ORDER BY 1, 2",
    "due": "SELECT flow, kind, count(*) FROM due GROUP BY 1, 2",
    "cursors": "SELECT stream, place, first_loaded_at IS NOT NULL AS loaded, hi FROM cursor ORDER BY 1",
    "findings": "SELECT key, code, message FROM finding",
}
