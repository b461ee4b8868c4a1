"""
The service's own processes for tests that kill them: each worker and each beat is a group of its own, started with the
Procfile's command and logging into a file.

The kernel ends a group's first process with this one, so nothing outlives a test run that is itself killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from worker.cli.processes import procfile_lines

REPOSITORY = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Group:
    """
    One process of the Procfile with its children.
    """

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: int) -> None:
        """
        To every process of the group at once.
        """
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """
        ``kill -9`` of the whole group, and wait until all of it is gone.
        """
        self.signal(signal.SIGKILL)
        self.popen.wait(10)
        deadline = time.monotonic() + 10
        while members(self.pid):
            assert time.monotonic() < deadline, f"processes of {self.name} outlived kill -9: {members(self.pid)}"
            time.sleep(0.005)

    def said(self, words: str) -> int:
        """
        How often it has said so.
        """
        return self.log.read_text(errors="replace").count(words)


def members(group: int) -> list[int]:
    """
    The processes of a group that are not dead, its zombies left out.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] not in {"Z", "X"}:
                    found.append(int(entry.name))
    return found


def pid_of(job: Mapping[str, Any]) -> int:
    """
    The process that holds a job, by the job's ``owner``.
    """
    return int(job["owner"].rpartition(":")[2])


def is_alive(pid: int) -> bool:
    """
    Whether a process is there and no zombie.
    """
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


@dataclass
class Crew:
    """
    Workers and beats on one environment. ``killed`` counts what was killed with ``kill -9``.
    """

    environment: Mapping[str, str]
    folder: Path
    groups: list[Group] = field(default_factory=list)
    killed: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for group in self.groups:
            if group.is_alive:
                group.signal(signal.SIGKILL)
        for group in self.groups:
            group.popen.wait(10)

    def start(self, name: str) -> Group:
        """
        Start the Procfile's ``worker`` or ``beat`` and come back at once.
        """
        log = self.folder / f"{name}-{len(self.groups)}.log"
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        with log.open("wb") as out:
            popen = subprocess.Popen(  # noqa: S602 - the Procfile's own lines
                f"exec {procfile_lines()[name]}",
                shell=True,
                cwd=REPOSITORY,
                env={**os.environ, **self.environment, "PATH": path, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call
            )
        group = Group(name, popen, log)
        self.groups.append(group)
        return group

    def alive(self, name: str = "worker") -> list[Group]:
        return [group for group in self.groups if group.name == name and group.is_alive]

    def group_of(self, pid: int) -> Group:
        """
        The group a process belongs to.
        """
        number = os.getpgid(pid)
        return next(group for group in self.groups if group.pid == number and group.is_alive)

    def owner(self, job: Mapping[str, Any]) -> Group | None:
        """
        The living group whose process holds a job, by the job's ``owner``.
        """
        try:
            return self.group_of(pid_of(job))
        except (ProcessLookupError, StopIteration):
            return None

    def kill(self, group: Group, *, replace: bool = True) -> None:
        """
        ``kill -9`` a group; another is started in its place at once, as a supervisor would.
        """
        group.kill()
        self.killed += 1
        if replace:
            self.start(group.name)

    def kill_child(self, pid: int) -> None:
        """
        ``kill -9`` one process of a group, whose parent starts another.
        """
        os.kill(pid, signal.SIGKILL)
        self.killed += 1
        deadline = time.monotonic() + 10
        while is_alive(pid):
            assert time.monotonic() < deadline, f"process {pid} outlived kill -9"
            time.sleep(0.01)

    def lines(self, most: int = 60) -> Iterator[str]:
        """
        The last lines that each group wrote.
        """
        for group in self.groups:
            state = "running" if group.is_alive else f"ended with {group.popen.returncode}"
            yield f"--- {group.log.name} (pid {group.pid}, {state})"
            # What is no event is Celery's picture of itself.
            lines = group.log.read_text(errors="replace").splitlines()
            yield from [line for line in lines if line.startswith("{")][-most:]
