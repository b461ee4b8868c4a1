"""
One practice subscription as a real process for the tests of a file, and clients of it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.practice_org import PracticeOrg
from worker.connectors.http import HttpOptions
from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.streams import MarketoSource

CLICKS, FORMS, PROGRESS, VISITS = 11, 2, 104, 1


class Subscription:
    """
    A practice server, and sources of it that begin at this test's own start.
    """

    def __init__(self, org: PracticeOrg) -> None:
        self.org = org
        self.client = self.connect()
        self.start_at = self.client.now() - timedelta(seconds=2)

    def connect(self) -> MarketoClient:
        options = HttpOptions(attempts=3, pause_seconds=0.01)
        return MarketoClient(self.org.url, "headwater", "practice-secret", options=options)

    def source(self, *types: int, **options: Any) -> MarketoSource:
        wanted = types or (CLICKS, FORMS, PROGRESS, VISITS)
        return MarketoSource(self.connect(), start_at=self.start_at, activity_types=wanted, **options)

    def people(self, *records: dict[str, Any]) -> list[str]:
        return [str(each) for each in self.org.control("POST", "marketo/people", {"records": list(records)})["ids"]]

    def activities(self, *records: dict[str, Any]) -> list[str]:
        answer = self.org.control("POST", "marketo/activities", {"records": list(records)})
        return [str(each) for each in answer["ids"]]

    def now_text(self, **ago: float) -> str:
        clock = datetime.fromisoformat(self.org.control("GET", "clock")["now"])
        return (clock - timedelta(**ago)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def running() -> Iterator[PracticeOrg]:
    with PracticeOrg() as org:
        yield org


@pytest.fixture
def marketo(running: PracticeOrg) -> Iterator[Subscription]:
    # A day and an hour lie between tests: each begins behind all that others did.
    running.advance(90_000)
    yield Subscription(running)
    running.control("DELETE", "faults")
    running.control("DELETE", "marketo/errors")
    running.control("POST", "marketo/numbering", {"activity_ids": "unique"})
