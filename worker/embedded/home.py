"""
The folder both servers live in, and who is using it: the lock, the living users, the keeper, and their notes.

Being alive is a lock on a file, held by the kernel for as long as the process lives: a ``kill -9`` lets go of it, a
restart of the machine too, so nothing here can be stale and no process number is ever trusted. Who starts and stops the
servers is decided in ``parts`` (a user) and ``keeper`` (the process the servers belong to); both ask here.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TextIO

from worker.core.errors import Fatal

PAUSE_SECONDS: Final = 0.05


class Home:
    """
    The folder of one pair of servers, usually ``.headwater`` in the checkout.

    ``lock`` is held while somebody starts, or the last one leaves. ``users/`` has one locked file a living user.
    ``keeper`` is locked by the living keeper. ``running.json`` says where the servers listen, ``failed.json`` why they
    do not, ``outside.json`` which folders beyond this one go at the end and whether this one stays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.users = self.path / "users"
        self.keeper = self.path / "keeper"
        self.log = self.path / "log"
        self.postgres = self.path / "postgres"
        self.valkey = self.path / "valkey"

    def make(self) -> None:
        """
        Make the folder, readable by its owner alone. HW-546 where that is not allowed.
        """
        try:
            for folder in (self.path, self.users, self.log):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise not_ours(self.path, error) from error

    @contextmanager
    def locked(self, seconds: float) -> Iterator[None]:
        """
        Hold the lock of this home. HW-548 where others hold it longer; ``FileNotFoundError`` where the folder is gone.
        """
        deadline = time.monotonic() + seconds
        while (file := lock_file(self.path / "lock")) is None:
            if time.monotonic() > deadline:
                raise Fatal(
                    "HW-548",
                    f"another command has been starting or stopping the servers in {self.path} for {seconds:.0f} s",
                    actions=[f"see its progress in {self.log}", "try again"],
                )
            time.sleep(PAUSE_SECONDS)
        with file:
            yield

    def enter(self) -> TextIO:
        """
        Register this process as a user until ``leave``, or until it dies. Needs the lock.
        """
        file = lock_file(self.users / f"{os.getpid()}-{time.monotonic_ns()}")
        if file is None:
            raise Fatal("HW-548", f"another process holds the place of this one in {self.users}", actions=["try again"])
        return file

    def leave(self, seat: TextIO) -> None:
        """
        Take this process off the list.
        """
        Path(seat.name).unlink(missing_ok=True)
        seat.close()

    def in_use(self) -> bool:
        """
        Whether any registered user is alive.
        """
        with suppress(FileNotFoundError):
            return any(is_held(file) for file in list(self.users.iterdir()))
        return False

    def kept(self) -> bool:
        """
        Whether a keeper is alive.
        """
        return is_held(self.keeper)

    def tell(self, name: str, facts: dict[str, Any]) -> None:
        """
        Leave a note for the others; it is there whole or not at all.
        """
        draft = self.path / f"{name}.{os.getpid()}.draft"
        draft.write_text(json.dumps(facts, indent=1))
        draft.replace(self.path / name)

    def told(self, name: str) -> dict[str, Any] | None:
        """
        The note of that name, or None.
        """
        try:
            facts = json.loads((self.path / name).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return facts if isinstance(facts, dict) else None

    def sweep(self, *, remove: bool = False) -> bool:
        """
        Remove what a dead keeper and dead users left: their notes, folders elsewhere, data that was not to be kept;
        with ``remove`` the whole folder. Needs the lock. False, and nothing is touched, where a keeper lives.
        """
        place = self.take_keepers_place()
        if place is None:
            return False
        with place:
            self._remove_leftovers()
            if remove:
                self.remove()
        return True

    def take_keepers_place(self) -> TextIO | None:
        """
        Lock the keeper's file, so that none starts meanwhile. None where a keeper lives.
        """
        while (place := lock_file(self.keeper)) is None:
            if self.kept():
                return None
        return place

    def _remove_leftovers(self) -> None:
        left = self.told("outside.json") or {}
        gone = [Path(folder) for folder in left.get("folders", [])]
        if not left.get("keep", True):
            gone += [self.postgres, self.valkey]
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
        for note in ("running.json", "failed.json", "outside.json"):
            (self.path / note).unlink(missing_ok=True)
        for file in list(self.users.iterdir()) if self.users.exists() else []:
            if not is_held(file):
                file.unlink(missing_ok=True)

    def remove(self) -> None:
        """
        Remove the whole folder.
        """
        shutil.rmtree(self.path, ignore_errors=True)


def lock_file(path: Path) -> TextIO | None:
    """
    Open and lock a file; None where another process holds it, or has just removed it.

    A lock is on the open file and not on its name, so the name is looked up again once the lock is held.
    """
    try:
        seat = open(path, "a+", opener=private)  # noqa: SIM115  it is handed to the caller open
    except PermissionError as error:
        raise not_ours(path, error) from error
    try:
        fcntl.flock(seat, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(seat.fileno()).st_ino:
            return seat
    except (BlockingIOError, FileNotFoundError):
        pass
    seat.close()
    return None


def private(path: str, flags: int) -> int:
    """
    Open a file that only its owner may read or write.
    """
    return os.open(path, flags, 0o600)


def is_held(path: Path) -> bool:
    """
    Whether a living process holds this file. Asking takes a shared lock for a moment, so two askers do not see each
    other.
    """
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except PermissionError as error:
        raise not_ours(path, error) from error
    return False


def not_ours(path: Path, error: OSError) -> Fatal:
    """
    What to tell a person who may not write where the servers' data lives.
    """
    return Fatal(
        "HW-546",
        f"{path} cannot be used for the data of PostgreSQL and Valkey",
        actions=[f'sudo chown -R "$(id -un)" {path}', "or set DATABASE_URL and REDIS_URL to servers of your own"],
        vendor=str(error),
    )
