"""
One PostgreSQL in a folder: makes the data, starts the server on a socket, tells when it is ready, stops it.

Belongs to ``keeper``, which is the only one to call it and holds the home's ``keeper`` file, so any server found on the
data at start is a leftover.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.core.errors import Fatal
from worker.embedded import identity
from worker.embedded.binaries import find_postgres
from worker.embedded.home import PAUSE_SECONDS, Home

USER: Final = "headwater"
DATABASE: Final = "headwater"
READY_SECONDS: Final = 120  # recovery after a fall reads the log since the last checkpoint, at most 1 GB of it
FAST_STOP_SECONDS: Final = 30
SMALL_SHARED_MEMORY_BYTES: Final = 256 * 1024 * 1024  # a container gets 64 MB, and a parallel query may ask for more

SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # a statement and its details hold people's data, which stays out of the log
    "log_error_verbosity": "terse",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "password_encryption": "scram-sha-256",
}
VOLATILE: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer:
    """
    The server of one home. ``durable`` keeps what is committed through a fall of the machine; without it, it is faster.
    """

    name = "PostgreSQL"

    def __init__(self, home: Home, sockets: Path, *, durable: bool, outside: Callable[[Path], None]) -> None:
        self.home = home
        self.sockets = sockets
        self.durable = durable
        self.outside = outside
        self.log = home.log / "postgres.log"
        self.child: subprocess.Popen[bytes] | None = None
        self.identity = identity.DIRECT
        self.bin = Path()

    def prepare(self) -> None:
        """
        Find the programs and whom to run them as, and make the data where there is none.
        """
        data = self.home.postgres
        version = data / "PG_VERSION"
        written_by = int(version.read_text()) if version.exists() else None
        programs = find_postgres(written_by)
        if written_by is None:
            data.mkdir(mode=0o700, exist_ok=True)
        elif os.geteuid() not in {0, data.stat().st_uid}:
            raise Fatal(
                "HW-546",
                f"the data of PostgreSQL in {data} belongs to another user (number {data.stat().st_uid})",
                actions=[f'sudo chown -R "$(id -un)" {self.home.path}', "or run the command as that user"],
            )
        self.identity, self.bin = identity.choose(programs, data, self.outside)
        identity.own(self.sockets, self.identity.owner)
        if written_by is None:
            self.make_data(programs.major)

    def make_data(self, major: int) -> None:
        """
        Make the data in a folder beside, so that a start broken off leaves nothing half made, and our database in it.
        """
        draft = self.home.path / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        identity.own(draft, self.identity.owner)
        place = self.identity.place(draft)
        # The provider inside PostgreSQL, since 17, folds the case of all letters and is the same on every machine.
        locale = (
            ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else ["--locale=C"]
        )
        options = [
            "--auth=trust",
            "--encoding=UTF8",
            "--no-instructions",
            *locale,
            *([] if self.durable else ["--no-sync"]),
        ]
        made = self.identity.run([str(self.bin / "initdb"), "-D", place, "-U", USER, *options], draft)
        if made.returncode == 0:
            single = [str(self.bin / "postgres"), "--single", "-D", place, "postgres"]
            made = self.identity.run(single, draft, text=f"CREATE DATABASE {DATABASE}\n")
        if made.returncode != 0:
            raise Fatal(
                "HW-543",
                f"PostgreSQL could not make its data in {self.home.postgres}",
                actions=["see whether the disk is full: df -h", f"see {self.log}"],
                vendor=(made.stderr or made.stdout).strip()[-600:],
            )
        self.home.postgres.rmdir()
        draft.rename(self.home.postgres)

    def start(self) -> None:
        """
        Start the server and wait until it answers. HW-543 where it does not.
        """
        self.end_leftover()
        settings = SETTINGS | ({} if self.durable else VOLATILE) | {"unix_socket_directories": str(self.sockets)}
        shared_memory = Path("/dev/shm")  # noqa: S108  PostgreSQL's own place, only asked for its size
        if shared_memory.exists() and shutil.disk_usage(shared_memory).total < SMALL_SHARED_MEMORY_BYTES:
            settings["max_parallel_workers_per_gather"] = "0"
        command = [str(self.bin / "postgres"), "-D", self.identity.place(self.home.postgres)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        begin = self.log.stat().st_size if self.log.exists() else 0
        self.child = self.identity.start(command, self.home.postgres, self.log, ends_with=signal.SIGINT)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise Fatal(
                    "HW-543",
                    "PostgreSQL did not start",
                    actions=[f"see {self.log}"],
                    vendor=words_since(self.log, begin),
                )
            time.sleep(PAUSE_SECONDS)

    def is_ready(self) -> bool:
        """
        Whether the server accepts connections: the eighth line of its own note says so.
        """
        lines = self.note()
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def note(self) -> list[str]:
        """
        The lines of ``postmaster.pid``, none where it is not there.
        """
        try:
            return (self.home.postgres / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def end_leftover(self) -> None:
        """
        End a server that outlived its keeper, and remove a note that only looks like one.

        PostgreSQL refuses to start where the number in the note is a living process, be it another program that got the
        number after a restart of the machine.
        """
        lines = self.note()
        if not lines or not lines[0].strip().isdigit():
            return
        number = int(lines[0])
        deadline = time.monotonic() + FAST_STOP_SECONDS
        for kind in (signal.SIGINT, signal.SIGQUIT):
            with suppress(ProcessLookupError, PermissionError):
                while self.works_here(number) and time.monotonic() < deadline:
                    os.kill(number, kind)
                    time.sleep(PAUSE_SECONDS)
            deadline = time.monotonic() + 5
        if not self.works_here(number):
            (self.home.postgres / "postmaster.pid").unlink(missing_ok=True)

    def works_here(self, number: int) -> bool:
        """
        Whether a process is a PostgreSQL on our data: a server's current folder is its data.
        """
        try:
            return Path(f"/proc/{number}/cwd").readlink() == self.home.postgres
        except OSError:
            return not Path("/proc/self").exists() and is_alive(number)

    def has_fallen(self) -> bool:
        """
        Whether the server ended although nobody stopped it.
        """
        return self.child is not None and self.child.poll() is not None

    def stop(self) -> None:
        """
        Stop the server: sessions are cut, what is committed is kept.
        """
        if self.child is None:
            return
        for kind, seconds in ((signal.SIGINT, FAST_STOP_SECONDS), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            if self.child.poll() is None:
                self.child.send_signal(kind)
                with suppress(subprocess.TimeoutExpired):
                    self.child.wait(seconds)
        self.child = None


def is_alive(number: int) -> bool:
    """
    Whether a process of that number is there and ours to signal.
    """
    try:
        os.kill(number, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def words_since(log: Path, begin: int) -> str:
    """
    The last words of a server since a place in its log.
    """
    with suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace").strip()[-600:]
    return ""
