"""
The process both servers belong to: starts them, brings a fallen one back, stops them when the last user has left.

A user starts it (``parts``); it outlives that user as long as another is there. It watches the users' locks, so one
that was killed counts as gone. Should it be killed itself, the kernel ends the servers with it.
Run as ``python -m worker.embedded.keeper HOME``.
"""

import argparse
import logging
import os
import shutil
import signal
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

from worker.core.errors import Fatal, HeadwaterError
from worker.embedded.home import PAUSE_SECONDS, Home, lock_file
from worker.embedded.postgres import PostgresServer
from worker.embedded.valkey import ValkeyServer

LOOK_SECONDS: Final = 0.2
FALLS_ALLOWED: Final = 5
FALLS_WITHIN_SECONDS: Final = 60
LOG_BYTES: Final = 20 * 1024 * 1024

log = logging.getLogger("headwater.keeper")


class Keeper:
    """
    Holds the home's ``keeper`` file from birth to death.
    """

    def __init__(self, home: Home, *, durable: bool, keep: bool) -> None:
        self.home = home
        self.keep = keep
        self.folders: list[Path] = []
        self.asked_to_stop = False
        self.falls: deque[float] = deque(maxlen=FALLS_ALLOWED + 1)
        self.sockets = Path(tempfile.mkdtemp(prefix="headwater-", dir=socket_base()))
        self.outside(self.sockets)
        self.postgres = PostgresServer(home, self.sockets, durable=durable, outside=self.outside)
        self.valkey = ValkeyServer(home, self.sockets, durable=durable)

    def outside(self, folder: Path) -> None:
        """
        Write down a folder beyond the home, so that the next one removes it should this process be killed.
        """
        self.folders.append(folder)
        self.home.tell("outside.json", {"folders": [str(each) for each in self.folders], "keep": self.keep})

    def start(self) -> None:
        """
        Start both servers and tell the users where.
        """
        for server in (self.valkey, self.postgres):
            server.prepare()
            server.start()
        facts = {"sockets": str(self.sockets), "identity": self.postgres.identity.name, "keeper": os.getpid()}
        self.home.tell("running.json", facts)
        log.info("both servers run, PostgreSQL as %s", self.postgres.identity.name)

    def watch(self, file: TextIO) -> None:
        """
        Look after the servers until the last user has left, somebody asks to stop, or the folder was removed.
        """
        next_look_at_logs = time.monotonic()
        while not self.asked_to_stop and self.is_same(file):
            if not self.home.in_use() and self.close_up():
                return
            for server in (self.postgres, self.valkey):
                if server.has_fallen():
                    self.bring_back(server)
            if time.monotonic() > next_look_at_logs:
                self.shorten_logs()
                next_look_at_logs = time.monotonic() + 60
            time.sleep(LOOK_SECONDS)
        self.stop()

    def close_up(self) -> bool:
        """
        Stop, under the home's lock so that nobody comes in meanwhile. False where somebody is just coming in.
        """
        try:
            lock = lock_file(self.home.path / "lock")
        except FileNotFoundError:
            return False
        if lock is None:
            return False
        with lock:
            if self.home.in_use():
                return False
            self.stop()
            if not self.keep:
                self.home.remove()
            return True

    def bring_back(self, server: PostgresServer | ValkeyServer) -> None:
        """
        Start a fallen server again. HW-547 where it falls too often.
        """
        self.falls.append(time.monotonic())
        log.warning("%s has fallen; starting it again", server.name)
        if len(self.falls) > FALLS_ALLOWED and self.falls[-1] - self.falls[0] < FALLS_WITHIN_SECONDS:
            raise Fatal(
                "HW-547",
                f"{server.name} fell {FALLS_ALLOWED + 1} times within {FALLS_WITHIN_SECONDS} seconds",
                actions=[f"see {server.log}", "start the command again"],
            )
        time.sleep(LOOK_SECONDS)  # the sessions of a fallen PostgreSQL need a moment to see that it is gone
        try:
            server.start()
        except Fatal as error:
            log.warning("%s", error)

    def is_same(self, file: TextIO) -> bool:
        """
        Whether the folder is still the one this keeper was started for.
        """
        try:
            return self.home.keeper.stat().st_ino == os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def shorten_logs(self) -> None:
        """
        Keep one older piece of each log. The servers append, so cutting the file under them is safe.
        """
        for path in self.home.log.glob("*.log"):
            if path.stat().st_size > LOG_BYTES:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)

    def stop(self) -> None:
        """
        Stop both servers and remove what lies beyond the home.
        """
        (self.home.path / "running.json").unlink(missing_ok=True)
        self.valkey.stop()
        self.postgres.stop()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        (self.home.path / "outside.json").unlink(missing_ok=True)
        log.info("both servers are stopped")


def socket_base() -> str:
    """
    A folder with a short name everybody may pass: the path of a socket has 107 characters at most.
    """
    return "/tmp" if os.access("/tmp", os.W_OK) else tempfile.gettempdir()  # noqa: S108  a closed folder is made in it


def hold(home: Home, seconds: float = 5) -> TextIO | None:
    """
    Take the keeper's file, or None where another keeper has it.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if file := lock_file(home.keeper):
            return file
        time.sleep(PAUSE_SECONDS)
    return None


def keep(home: Home, file: TextIO, *, durable: bool, keep_data: bool) -> int:
    """
    The keeper's whole life; what went wrong is left in ``failed.json``.
    """
    keeper = Keeper(home, durable=durable, keep=keep_data)

    def ask_to_stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature signal.signal asks for
        keeper.asked_to_stop = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    try:
        keeper.start()
        keeper.watch(file)
    except Exception as error:
        log.exception("the keeper gives up")
        if not isinstance(error, HeadwaterError):
            error = Fatal(
                "HW-547", "the keeper of PostgreSQL and Valkey ended", vendor=f"{type(error).__name__}: {error}"
            )
        facts = {"code": error.code, "message": error.message, "actions": error.actions, "vendor": error.vendor}
        keeper.stop()
        with suppress(FileNotFoundError):
            home.tell("failed.json", facts)
        return 1
    return 0


def main() -> None:
    """
    Read the command line, and end without letting go of the file before the process is gone.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--volatile", action="store_true")
    parser.add_argument("--ephemeral", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    home = Home(options.home)
    # A keeper that had to wait for another's end finds its notes: those are for a user to clear, who then starts anew.
    if (file := hold(home)) and home.told("running.json") is None and home.told("outside.json") is None:
        code = keep(home, file, durable=not options.volatile, keep_data=not options.ephemeral)
        logging.shutdown()
        os._exit(code)


if __name__ == "__main__":
    main()
