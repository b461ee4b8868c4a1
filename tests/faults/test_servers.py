"""
Valkey comes back with nothing, again and again, and PostgreSQL is cut off at once: the work goes on where it was.

These tests have servers of their own, so that they disturb nobody else's.
"""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import sleep

import pytest
import redis
from sqlalchemy.exc import OperationalError

from tests.conftest import RUNS, TEMPLATE
from tests.faults.end_state import State, records_sent
from tests.faults.scene import Scene
from worker.embedded.binaries import find_valkey
from worker.embedded.databases import ensure_template
from worker.embedded.parts import EmbeddedParts, embedded
from worker.store import migrate

Opened = Callable[..., Scene]
BACK_SECONDS = 30.0
FALLS = 10
SEEDS = (11,)


class OwnValkey:
    """
    A Valkey on a socket that can be killed and comes back without a key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}?db=0"

    def start(self) -> None:
        """
        Start it and wait until it answers.
        """
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
        }
        command = [str(find_valkey()), *(word for name, value in options.items() for word in (f"--{name}", value))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + BACK_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.01)

    def kill(self) -> int:
        """
        ``kill -9``; how many keys it had.
        """
        assert self._process is not None
        with redis.from_url(self.url) as client:
            keys = int(client.dbsize())
        self._process.kill()
        self._process.wait(10)
        return keys

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def _answers(self) -> bool:
        with suppress(redis.RedisError), redis.from_url(self.url) as client:
            return bool(client.ping())
        return False


@pytest.fixture
def own_valkey() -> Iterator[OwnValkey]:
    # The path of a socket has 107 characters at most, which the folders of tests may pass.
    with TemporaryDirectory(prefix="headwater-") as folder:
        valkey = OwnValkey(Path(folder))
        valkey.start()
        yield valkey
        valkey.end()


@pytest.fixture(scope="module")
def own_parts() -> Iterator[EmbeddedParts]:
    """
    A PostgreSQL that may be cut off.
    """
    with embedded(RUNS / f"faults-{uuid.uuid4().hex[:8]}", durable=False, keep=False) as running:
        ensure_template(running.database_url, TEMPLATE, migrate.upgrade)
        yield running


@pytest.mark.parametrize("seed", SEEDS)
def test_valkey_losing_its_data_and_postgresql_cut_off_lose_and_double_nothing(
    open_scene: Opened, own_parts: EmbeddedParts, own_valkey: OwnValkey, undisturbed: State, seed: int
) -> None:
    random = Random(seed)
    scene = open_scene(own_parts, own_valkey.url)
    scene.note(f"seed {seed}")
    worker, beat = scene.crew.start("worker"), scene.crew.start("beat")
    scene.until(lambda: leased(scene, "pull:salesforce"), "the first pull runs")
    lose_valkey(scene, own_valkey, random)
    scene.until(lambda: leased(scene, "resolve"), "people are resolved")
    cut_postgresql_off(scene)
    scene.until_planned()
    with scene.gate("answer", method="PATCH"):
        scene.approve()
        scene.org.wait_for_gate("answer")
        lose_valkey(scene, own_valkey, random)
        # The answer comes while there is no database to settle it in.
        cut_postgresql_off(scene, lambda: scene.org.open_gate("answer"))
        assert scene.outbox_states()["sending"] == 200
    for _ in range(FALLS - 2):
        # While rings are under way and being answered: a worker must not go deaf over a message it cannot acknowledge.
        scene.make_cycle_due()
        sleep(random.uniform(0.0, 0.6))
        lose_valkey(scene, own_valkey, random)
    scene.expect(undisturbed)
    assert records_sent(scene.org.journal("salesforce")) == scene.one("SELECT count(DISTINCT record_id) FROM written")
    assert worker.is_alive, "the worker did not survive"
    assert beat.is_alive, "the beat did not survive"


def leased(scene: Scene, lane: str) -> bool:
    running: bool = scene.one("SELECT EXISTS (SELECT 1 FROM job WHERE lane = :lane AND state = 'leased')", lane=lane)
    return running


def lose_valkey(scene: Scene, valkey: OwnValkey, random: Random) -> None:
    """
    Valkey is killed, is away for a moment, and is back with nothing.
    """
    keys = valkey.kill()
    away = random.choice((0.0, 0.05, 0.3))
    sleep(away)
    valkey.start()
    scene.note(f"Valkey killed with {keys} keys, away for {away:g} s, back with none")


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
