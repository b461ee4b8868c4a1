"""
A practice Marketo served on loopback inside the test's own process, with a frozen clock.
"""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from worker.practice import control
from worker.practice.clock import Clock
from worker.practice.identity import CLIENT_ID, CLIENT_SECRET
from worker.practice.marketo.routes import routes
from worker.practice.middleware import PracticeMiddleware
from worker.practice.state import PracticeState

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Practice:
    """
    A client that speaks to the server as a connector would, and a second voice for the control calls.
    """

    def __init__(self, url: str, state: PracticeState) -> None:
        self.url = url
        self.state = state
        self.session = requests.Session()
        self.token: str | None = None

    def control(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        answer = self.session.request(method, f"{self.url}/__practice__/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def sign_in(self, secret: str = CLIENT_SECRET) -> requests.Response:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": secret}
        answer = self.session.post(f"{self.url}/identity/oauth/token", data=form)
        self.token = answer.json().get("access_token", self.token)
        return answer

    def get(self, path: str, **parameters: Any) -> Any:
        if self.token is None:
            self.sign_in()
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.session.get(f"{self.url}/rest/{path}", params=parameters, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, **parameters: Any) -> str:
        answer = self.get(path, **parameters)
        assert answer["success"] is False
        return str(answer["errors"][0]["code"])

    def people(self, *records: dict[str, Any]) -> list[int]:
        return list(self.control("marketo/people", {"records": list(records)})["ids"])

    def activities(self, *records: dict[str, Any]) -> list[int]:
        return list(self.control("marketo/activities", {"records": list(records)})["ids"])

    def token_since(self, since: str) -> str:
        return str(self.get("v1/activities/pagingtoken.json", sinceDatetime=since)["nextPageToken"])

    def read_all(self, token: str, types: str) -> tuple[list[dict[str, Any]], str]:
        rows: list[dict[str, Any]] = []
        more = True
        while more:
            page = self.get("v1/activities.json", nextPageToken=token, activityTypeIds=types)
            rows += page.get("result", [])
            token, more = page["nextPageToken"], page["moreResult"]
        return rows, token


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[Practice]:
    state = PracticeState(data=tmp_path, clock=Clock(NOON))
    state.clock.freeze()
    state.clock.set(NOON)
    app = Starlette(
        routes=[*control.routes(state), *routes(state)], middleware=[Middleware(PracticeMiddleware, state=state)]
    )
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", date_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Practice(f"http://127.0.0.1:{port}", state)
    server.should_exit = True
    thread.join(timeout=10)
    state.marketo.close()
