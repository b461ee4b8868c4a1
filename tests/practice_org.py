"""
A practice server as a real process on free ports, for any test that needs a Salesforce org or a marketing platform.

``PracticeOrg`` is a context manager. The process watches its standard input, so it ends with the test run however that
ends.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

START_SECONDS = 60.0
REPOSITORY = Path(__file__).resolve().parent.parent


class PracticeOrg:
    """
    Starts ``python -m worker.practice`` and talks to its control API.

    ``url`` and ``https_url`` are the base addresses, ``proxy_url`` is the CONNECT port, ``ca_file`` whom to trust,
    ``private_key_file`` signs JWT logins. ``package`` is a Salesforce source folder whose fields the org shall have;
    ``data`` keeps its state; ``files`` are the paths of a state, seed or faults file, by the option's name.
    """

    def __init__(
        self,
        *,
        package: Path | None = None,
        data: Path | None = None,
        clock: str | None = None,
        organization: int | None = None,
        **files: Path,
    ) -> None:
        self._options: list[str] = []
        given = {"package": package, "data": data, "clock": clock, "organization": organization, **files}
        for name, value in given.items():
            if value is not None:
                self._options += [f"--{name}", str(value)]
        self._process: subprocess.Popen[str] | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        self.endpoints: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """
        Start the process and wait until it listens.
        """
        command = [sys.executable, "-m", "worker.practice", "--stop-with-stdin"]
        for port in ("http", "https", "proxy"):
            command += [f"--{port}-port", "0"]
        self._process = subprocess.Popen(
            [*command, *self._options],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError("the practice server ended before it listened; its words are on standard error")
        self.endpoints = json.loads(line)

    def stop(self) -> None:
        """
        End the process surely: its input is closed, then it is terminated, then killed.
        """
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
        self._session.close()

    @property
    def url(self) -> str:
        return self.endpoints["http_url"]

    @property
    def https_url(self) -> str:
        return self.endpoints["https_url"]

    @property
    def proxy_url(self) -> str:
        return self.endpoints["proxy_url"]

    @property
    def ca_file(self) -> str:
        return self.endpoints["ca_file"]

    @property
    def private_key_file(self) -> str:
        return self.endpoints["private_key_file"]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def env(self) -> dict[str, str]:
        """
        The settings that point Headwater at this server.
        """
        from worker.practice.server import Endpoints

        return Endpoints(**self.endpoints).environment()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """
        One control call; ``path`` without the leading ``/__practice__/``. Raises with the server's words on a mistake.
        """
        answer = self._session.request(method, f"{self.url}/__practice__/{path}", json=body, timeout=300)
        if answer.status_code >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def create(self, sobject: str, records: Sequence[dict[str, Any]]) -> list[str]:
        """
        Privileged insert into the Salesforce org; the new ids in order.
        """
        ids: list[str] = self.control("POST", "salesforce/create", {"object": sobject, "records": list(records)})["ids"]
        return ids

    def journal(self, system: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """
        The journal's entries, oldest first.
        """
        query = f"journal?after={after}" + (f"&system={system}" if system else "")
        entries: list[dict[str, Any]] = self.control("GET", query)["entries"]
        return entries

    def advance(self, seconds: float) -> None:
        """
        Move the practice clock.
        """
        self.control("POST", "clock", {"advance_seconds": seconds})

    def fault(self, action: dict[str, Any], **where: Any) -> int:
        """
        Order a disturbance; ``where`` takes system, method, path_contains, times, skip.
        """
        number: int = self.control("POST", "faults", {"action": action, **where})["id"]
        return number

    def wait_for_gate(self, name: str, seconds: float = 30.0) -> None:
        """
        Return once a request is held at gate ``name``.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.control("GET", "gates")["gates"].get(name):
                return
            time.sleep(0.02)
        raise AssertionError(f"nobody came to gate {name} within {seconds} s")

    def open_gate(self, name: str) -> None:
        """
        Let the held answers go.
        """
        self.control("POST", f"gates/{name}/open")
