"""
Decides whether a service may start here: one a home, and on a port that is free. Called by ``up`` and ``demo`` before
they start anything.

Being there is a lock on a file that the kernel holds for as long as the process lives, so nothing here can be stale.
"""

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worker.core.errors import Fatal
from worker.core.instants import to_the_minute
from worker.embedded.home import Home, lock_file

LOCK = "service"
# How far above the port that is taken a free one is looked for, to name it.
LOOK_PORTS = 100


@contextmanager
def only_one(home: Path, command: str, page: str) -> Iterator[None]:
    """
    Be the one service of this home for the length of a ``with``. ``command`` is what a person typed.

    Raises Fatal HW-577 where another lives, HW-546 where the folder cannot be used.
    """
    folder = Home(home)
    folder.make()
    path = folder.path / LOCK
    seat = lock_file(path)
    if seat is None:
        raise _taken(folder.path, _note(path), command)
    with seat:
        seat.truncate(0)
        seat.write(
            json.dumps({"pid": os.getpid(), "command": command, "since": datetime.now(UTC).isoformat(), "page": page})
        )
        seat.flush()
        yield
        # The file stays and empties: a name that comes and goes would let two processes lock two files.
        seat.truncate(0)


def _note(path: Path) -> dict[str, Any]:
    """
    What the holder wrote of itself; empty where it has not yet.
    """
    with suppress(OSError, ValueError):
        note = json.loads(path.read_text())
        if isinstance(note, dict):
            return note
    return {}


def _taken(home: Path, note: dict[str, Any], command: str) -> Fatal:
    beside = f"HEADWATER_HOME={home}-2 PORT={next_free_port('127.0.0.1', 8081)} {command}   # another one beside it"
    if not note:
        return Fatal("HW-577", f"another service is just starting in {home}", actions=["try again", beside])
    return Fatal(
        "HW-577",
        f"`{note['command']}` is running in {home} already: process {note['pid']}, since "
        f"{to_the_minute(note['since'])}, its page is {note['page']}",
        actions=[f"end it first: Ctrl-C in its window, or  kill {note['pid']}", beside],
    )


def free_port(bind: str, port: int, command: str) -> int:
    """
    The port itself where it can be listened on, a free one where it is 0. Raises Fatal HW-578 with a port that is free.
    """
    try:
        return _try(bind, port)
    except OSError as error:
        free = next_free_port(bind, max(port, 1_024) + 1)
        is_taken = error.errno == errno.EADDRINUSE
        raise Fatal(
            "HW-578",
            f"port {port} on {bind} is taken by another program"
            if is_taken
            else f"the page cannot be served on {bind}, port {port}",
            actions=[f"PORT={free} {command}"],
            vendor="" if is_taken else str(error.strerror),
        ) from error


def next_free_port(bind: str, port: int) -> int:
    """
    The first port from ``port`` on that can be listened on.
    """
    for candidate in range(port, min(port + LOOK_PORTS, 65_536)):
        with suppress(OSError):
            return _try(bind, candidate)
    return port


def _try(bind: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # As the web server itself does it: connections of a service that has just ended are no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bind, port))
        listener.listen(1)
        return int(listener.getsockname()[1])
