"""
The door to the embedded PostgreSQL and Valkey: come in, get their addresses, leave.

Whoever comes in first has the servers started, the last to leave waits until they are stopped. Any number of processes
may be in at once. Called by the command line and the tests.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self, TextIO
from urllib.parse import quote

import worker
from worker.core.errors import Fatal
from worker.embedded.home import PAUSE_SECONDS, Home
from worker.embedded.postgres import DATABASE, USER
from worker.embedded.valkey import SOCKET

STARTS_ALLOWED: Final = 3
WAIT_SECONDS: Final = 180  # making the data, or recovery after a fall of the machine, on a slow disk


class EmbeddedParts:
    """
    A place among the users of the servers in one folder.

    ``durable`` keeps what is committed through a fall of the machine; without it the servers are faster. With ``keep``
    the folder stays for the next time, without it the whole folder is removed when the last user has left or died. Who
    starts the servers decides both.
    """

    def __init__(self, home: Path, *, durable: bool = True, keep: bool = True) -> None:
        self.home = Home(home)
        self.durable = durable
        self.keep = keep
        self._seat: TextIO | None = None
        self._process = 0
        self._child: int | None = None
        self._sockets = ""

    def start(self) -> Self:
        """
        Come in. ``Fatal`` HW-540 to HW-548 where the servers cannot be had.
        """
        if self._seat is not None:
            return self
        self._sockets = ""
        while self._seat is None:
            self.home.make()
            with suppress(FileNotFoundError), self.home.locked(WAIT_SECONDS):
                self._seat = self.home.enter()
                self._process = os.getpid()
                try:
                    self._sockets = self._find_servers()
                except BaseException:
                    self._leave_under_lock()
                    raise
        return self

    def stop(self) -> None:
        """
        Leave, and as the last one wait until the servers are stopped. Harmless when repeated, or in a forked child.
        """
        seat, self._seat = self._seat, None
        if seat is None or os.getpid() != self._process:
            return
        self.home.leave(seat)
        deadline = time.monotonic() + WAIT_SECONDS
        while self.home.kept() and not self.home.in_use() and time.monotonic() < deadline:
            self._reap()
            time.sleep(PAUSE_SECONDS)
        self._reap()
        if not self.home.kept() and not self.home.in_use():
            with suppress(FileNotFoundError), self.home.locked(WAIT_SECONDS):
                if not self.home.in_use():
                    self._tidy()

    def check(self) -> None:
        """
        Raise HW-547 (or what the keeper left) where the servers are gone for good.
        """
        running = self.home.told("running.json") or {}
        if self._seat is None or not self.home.kept() or running.get("sockets") != self._sockets:
            raise failure(self.home) or Fatal(
                "HW-547",
                "the embedded PostgreSQL and Valkey were stopped",
                actions=[f"see {self.home.log}", "start the command again"],
            )

    @property
    def database_url(self) -> str:
        """
        Our database, for SQLAlchemy and psycopg 3.
        """
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """
        Another database of the same server.
        """
        return f"postgresql+psycopg://{USER}@/{database}?host={quote(self._sockets)}"

    @property
    def redis_url(self) -> str:
        """
        The Valkey, for redis-py.
        """
        return f"unix://{quote(self._sockets)}/{SOCKET}?db=0"

    @property
    def broker_url(self) -> str:
        """
        The same Valkey for Celery, whose transport has a scheme of its own for sockets.
        """
        return f"redis+socket://{quote(self._sockets)}/{SOCKET}?virtual_host=0"

    def environment(self) -> dict[str, str]:
        """
        What to add to the environment of a process that shall use these servers.
        """
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_keeper(self) -> int:
        """
        Start the keeper in a session of its own, so that a Ctrl-C meant for us does not reach it.
        """
        command = [sys.executable, "-m", "worker.embedded.keeper", str(self.home.path)]
        command += [] if self.durable else ["--volatile"]
        command += [] if self.keep else ["--ephemeral"]
        passed = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        environment = passed | {
            "PYTHONPATH": str(Path(worker.__file__).parent.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        words = str(self.home.log / "keeper.log")
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            sys.executable,
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, words, append, 0o600),
                (os.POSIX_SPAWN_OPEN, 2, words, append, 0o600),
            ],
            setsid=True,
        )

    def _find_servers(self) -> str:
        """
        The folder the servers listen in, once a keeper runs them. A keeper met while it was leaving is waited for.
        """
        for _ in range(STARTS_ALLOWED):
            if self.home.sweep():
                self._child = self._start_keeper()
            if folder := self._wait():
                return folder
        raise Fatal(
            "HW-547",
            "the keeper of PostgreSQL and Valkey ended before they ran",
            actions=[f"see {self.home.log / 'keeper.log'}", "start the command again"],
        )

    def _wait(self) -> str:
        """
        Wait until a keeper says in which folder the servers listen; empty where it ended without a word.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            if facts := self.home.told("running.json"):
                return str(facts["sockets"])
            gone = self._reap() and not self.home.kept()
            if error := failure(self.home):
                raise error
            if gone:
                return ""
            time.sleep(PAUSE_SECONDS)
        raise Fatal(
            "HW-548",
            f"PostgreSQL and Valkey were not ready within {WAIT_SECONDS} seconds",
            actions=[f"see {self.home.log}", "start the command again"],
        )

    def _reap(self) -> bool:
        """
        Whether our child, the keeper, has ended (True too where the keeper is another's child).
        """
        if self._child is not None:
            with suppress(ChildProcessError):
                if os.waitpid(self._child, os.WNOHANG) == (0, 0):
                    return False
            self._child = None
        return True

    def _leave_under_lock(self) -> None:
        """
        Undo a start that failed, while the lock is held.
        """
        seat, self._seat = self._seat, None
        if seat is not None:
            self.home.leave(seat)
        deadline = time.monotonic() + PAUSE_SECONDS * 40
        while self.home.kept() and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
        if self._reap() and not self.home.in_use():
            self._tidy()

    def _tidy(self) -> None:
        """
        Remove what a keeper that was killed left behind, and a folder that is not to stay. Under the lock.
        """
        self.home.sweep(remove=not self.keep)


@contextmanager
def embedded(home: Path, *, durable: bool = True, keep: bool = True) -> Iterator[EmbeddedParts]:
    """
    Be a user of the servers in ``home`` for the length of a ``with``. The options are those of ``EmbeddedParts``.
    """
    parts = EmbeddedParts(home, durable=durable, keep=keep)
    parts.start()
    try:
        yield parts
    finally:
        parts.stop()


def remove_abandoned(folder: Path) -> None:
    """
    Remove each home in a folder whose users and keeper have all died and that nobody came back to.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        home = Home(path)
        with suppress(FileNotFoundError):
            if not home.kept() and not home.in_use():
                with home.locked(1):
                    if not home.in_use():
                        home.sweep(remove=True)


def failure(home: Home) -> Fatal | None:
    """
    What the keeper left of its last error, as an error.
    """
    facts = home.told("failed.json")
    if facts is None:
        return None
    return Fatal(facts["code"], facts["message"], actions=facts["actions"], vendor=facts["vendor"])
