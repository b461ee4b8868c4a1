"""
Valkey comes back with nothing, PostgreSQL is cut off at once: the work goes on where it was, by itself.

These tests have servers of their own, so that they disturb nobody else's.
"""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis
from sqlalchemy.exc import OperationalError

from tests.conftest import RUNS, TEMPLATE
from tests.faults.end_state import State, records_sent
from tests.faults.scene import Scene
from worker.embedded.databases import ensure_template
from worker.embedded.parts import EmbeddedParts, embedded
from worker.store import migrate

Opened = Callable[..., Scene]
BACK_SECONDS = 30.0


@pytest.fixture(scope="module")
def own_parts() -> Iterator[EmbeddedParts]:
    """
    A PostgreSQL and a Valkey that may be killed.
    """
    with embedded(RUNS / f"faults-{uuid.uuid4().hex[:8]}", durable=False, keep=False) as running:
        ensure_template(running.database_url, TEMPLATE, migrate.upgrade)
        yield running


def test_valkey_losing_its_data_and_postgresql_cut_off_lose_and_double_nothing(
    open_scene: Opened, own_parts: EmbeddedParts, undisturbed: State
) -> None:
    scene = open_scene(own_parts)
    # The servers of tests may forget the last half second; that a committed word is kept is what this is about.
    with scene.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {scene.engine.url.database} SET synchronous_commit = on")
    scene.crew.start("worker")
    scene.crew.start("beat")
    scene.until(lambda: leased(scene, "pull:salesforce"), "the first pull runs")
    lose_valkey(scene)
    scene.until(lambda: leased(scene, "resolve"), "people are resolved")
    cut_postgresql_off(scene)
    scene.until_planned()
    with scene.gate("answer", method="PATCH"):
        scene.approve()
        scene.org.wait_for_gate("answer")
        lose_valkey(scene)
        # The answer comes while there is no database to settle it in.
        cut_postgresql_off(scene, lambda: scene.org.open_gate("answer"))
        assert scene.outbox_states()["sending"] == 200
    scene.until_sent()
    lose_valkey(scene)
    scene.expect(undisturbed)
    assert records_sent(scene.org.journal("salesforce")) == scene.one("SELECT count(DISTINCT record_id) FROM written")
    assert len(scene.crew.alive("worker")) == len(scene.crew.alive("beat")) == 1, "a process did not survive"


def leased(scene: Scene, lane: str) -> bool:
    running: bool = scene.one("SELECT EXISTS (SELECT 1 FROM job WHERE lane = :lane AND state = 'leased')", lane=lane)
    return running


def lose_valkey(scene: Scene) -> None:
    """
    ``kill -9`` of Valkey; wait until another one is there, and see that it is empty.
    """
    url = scene.crew.environment["REDIS_URL"]
    with redis.from_url(url) as client:
        client.set("before the fall", 1)
        keys, pid = client.dbsize(), int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        with suppress(redis.RedisError), redis.from_url(url) as client:
            return int(client.info("server")["process_id"]) != pid and not client.exists("before the fall")
        return False

    scene.until(back, "Valkey is back", BACK_SECONDS)
    scene.note(f"Valkey {pid} killed with {keys} keys, another one is there with none of them")


def cut_postgresql_off(scene: Scene, meanwhile: Callable[[], object] = lambda: None) -> None:
    """
    End PostgreSQL without a goodbye: every session is cut at once, and the next start recovers from the log.
    """
    began = scene.one("SELECT pg_postmaster_start_time()")
    pid = int(scene.one("SELECT pg_read_file('postmaster.pid')").splitlines()[0])
    running = [row["lane"] for row in scene.rows("SELECT lane FROM job WHERE state = 'leased' ORDER BY id")]
    os.kill(pid, signal.SIGQUIT)
    meanwhile()
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        with suppress(OperationalError):
            if scene.one("SELECT pg_postmaster_start_time()") != began:
                break
        assert time.monotonic() < deadline, "PostgreSQL did not come back"
        time.sleep(0.02)
    scene.note(f"PostgreSQL {pid} cut off while {', '.join(running)} ran, and back")
