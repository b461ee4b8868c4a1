"""
Runs the Procfile's processes on one machine: starts them, passes their lines on, starts again what dies, gives up on
what dies at once again and again, stops all.

Each process is a group of its own and is ended by the kernel when this one dies, so nothing is left running. Called by
``up`` and ``demo``.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from worker.core.errors import Fatal

PROCFILE = Path(__file__).resolve().parents[2] / "Procfile"
STOP_SECONDS = 20.0
RESTART_SECONDS = 1.0
# A process that does not live this long never got to work; so many of those in a row, and it will not.
QUICK_SECONDS = 20.0
QUICK_DEATHS = 5
LAST_LINES = 8
_PR_SET_PDEATHSIG = 1


def procfile_lines(path: Path = PROCFILE) -> dict[str, str]:
    """
    The Procfile's commands by name, in its order.
    """
    lines = (line.partition(":") for line in path.read_text().splitlines() if line.strip() and line[0] != "#")
    return {name.strip(): command.strip() for name, _, command in lines}


@dataclass
class _Process:
    name: str
    command: str
    popen: subprocess.Popen[str]
    quick_deaths: int
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    started_at: float = field(default_factory=time.monotonic)
    listener: threading.Thread | None = None


class Processes:
    """
    Processes that run together. ``echo`` gets each line a process says, with the process's name.
    """

    def __init__(self, environment: Mapping[str, str], echo: Callable[[str, str], None]) -> None:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        self._environment = {**os.environ, **environment, "PATH": path, "PYTHONUNBUFFERED": "1"}
        self._echo = echo
        self._running: dict[str, _Process] = {}
        self._stopping = False

    def start(self, name: str, command: str) -> None:
        """
        Start one command, as a shell would.
        """
        self._start(name, command, quick_deaths=0)

    def _start(self, name: str, command: str, *, quick_deaths: int) -> None:
        popen = subprocess.Popen(  # noqa: S602 - the Procfile's own lines, with their ${PORT:-8080}
            f"exec {command}",
            shell=True,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, before any thread exists in the child
        )
        process = self._running[name] = _Process(name, command, popen, quick_deaths)
        assert popen.stdout is not None  # noqa: S101 - asked for above
        process.listener = threading.Thread(target=self._listen, args=(process, popen.stdout), daemon=True)
        process.listener.start()

    def _listen(self, process: _Process, lines: IO[str]) -> None:
        for line in lines:
            process.last_lines.append(line.rstrip("\n"))
            self._echo(process.name, line.rstrip("\n"))

    def keep_alive(self) -> None:
        """
        Start again whatever has ended; one that ends at once waits a moment. Raises Fatal HW-579 with a process's last
        lines where it has ended at once too often in a row.
        """
        for process in list(self._running.values()):
            if self._stopping or process.popen.poll() is None:
                continue
            lived = time.monotonic() - process.started_at
            quick_deaths = process.quick_deaths + 1 if lived < QUICK_SECONDS else 0
            if quick_deaths >= QUICK_DEATHS:
                raise _hopeless(process)
            self._echo(process.name, f"ended with {process.popen.returncode}; starting it again")
            if lived < RESTART_SECONDS:
                time.sleep(RESTART_SECONDS)
            self._start(process.name, process.command, quick_deaths=quick_deaths)

    def stop(self) -> None:
        """
        Ask all to end, and after a while make them.
        """
        self._stopping = True
        for process in self._running.values():
            _signal(process.popen, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            try:
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process.popen, signal.SIGKILL)
                process.popen.wait()
        self._running.clear()


def _hopeless(process: _Process) -> Fatal:
    if process.listener is not None:
        process.listener.join(1.0)  # what it said at the end may still be on its way
    return Fatal(
        "HW-579",
        f"{process.name} ended {QUICK_DEATHS} times in a row, each within {QUICK_SECONDS:.0f} s of its start "
        f"(the last time with {process.popen.returncode}); everything is stopped",
        actions=["headwater doctor", f"the command that fails:  {process.command}"],
        vendor="\n  ".join(process.last_lines) or "it said nothing",
    )


def _signal(popen: subprocess.Popen[str], number: int) -> None:
    if popen.poll() is None:
        # SIGTERM to the parent alone lets it end its children in order; SIGKILL has to reach them all.
        if number == signal.SIGKILL:
            os.killpg(popen.pid, number)
        else:
            popen.send_signal(number)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_for(answers: Callable[[], bool], seconds: float, alive: Callable[[], None]) -> bool:
    """
    Ask again and again until it answers yes; False when the time ran out first.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answers():
            return True
        alive()
        time.sleep(0.25)
    return False


def stop_on_signals(numbers: Sequence[int] = (signal.SIGTERM, signal.SIGINT)) -> threading.Event:
    """
    An event that is set when this process is asked to stop.
    """
    asked = threading.Event()
    for number in numbers:
        signal.signal(number, lambda _number, _frame: asked.set())
    return asked
