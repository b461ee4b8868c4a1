"""
The command line on a real database, a real broker and a practice org; every command runs as a person would run it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.practice_org import PracticeOrg
from tests.service import Running, fresh_database, practice_org, running
from worker.cli.main import main


@dataclass(frozen=True)
class Said:
    """
    How a command ended and what it said: ``out`` is its answer, ``err`` everything beside it.
    """

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """
        The answer as JSON, which has to be all there is on standard output.
        """
        return json.loads(self.out)


class Terminal:
    """
    Runs commands through the entry point, with the environment that the test was given.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def export(self, **names: str | Path) -> None:
        for name, value in names.items():
            self._monkeypatch.setenv(name, str(value))

    def unset(self, *names: str) -> None:
        for name in names:
            self._monkeypatch.delenv(name, raising=False)

    def __call__(self, *words: str) -> Said:
        self._capfd.readouterr()
        self._monkeypatch.setattr("sys.argv", ["headwater", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = self._capfd.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, told.out, told.err)


@pytest.fixture(scope="module")
def org() -> Iterator[PracticeOrg]:
    with practice_org() as started:
        yield started


@pytest.fixture(scope="module")
def service(org: PracticeOrg, server_url: str, valkey_url: str) -> Iterator[Running]:
    with fresh_database(server_url) as database_url, running(org, database_url, valkey_url) as built:
        yield built


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    """
    Commands in an environment in which nothing is set but a home of its own.
    """
    terminal = Terminal(monkeypatch, capfd)
    terminal.export(HEADWATER_HOME=tmp_path / "home")
    return terminal


@pytest.fixture
def headwater(bare: Terminal, service: Running) -> Terminal:
    """
    Commands on the module's service.
    """
    bare.export(DATABASE_URL=service.database_url, REDIS_URL=service.redis_url, **service.org.env())
    return bare
