"""
Runs the Procfile's processes on one machine: starts them, passes their lines on, starts again what dies, stops all.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PROCFILE = Path(__file__).resolve().parents[2] / "Procfile"
STOP_SECONDS = 20.0
RESTART_SECONDS = 1.0
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
    started_at: float = field(default_factory=time.monotonic)


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
        self._running[name] = _Process(name, command, popen)
        assert popen.stdout is not None  # noqa: S101 - asked for above
        threading.Thread(target=self._listen, args=(name, popen.stdout), daemon=True).start()

    def _listen(self, name: str, lines: IO[str]) -> None:
        for line in lines:
            self._echo(name, line.rstrip("\n"))

    def keep_alive(self) -> None:
        """
        Start again whatever has ended; one that ends at once waits a moment.
        """
        for process in list(self._running.values()):
            if self._stopping or process.popen.poll() is None:
                continue
            self._echo(process.name, f"ended with {process.popen.returncode}; starting it again")
            if time.monotonic() - process.started_at < RESTART_SECONDS:
                time.sleep(RESTART_SECONDS)
            self.start(process.name, process.command)

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
