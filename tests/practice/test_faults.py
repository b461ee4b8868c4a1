"""
Each kind of fault that can be ordered, met by a client, and the lot that decides which request is struck.
"""

import http.client
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg
from worker.practice.clock import parse_moment
from worker.practice.disturbances import KINDS
from worker.practice.faults import Faults

NOW = parse_moment("2026-11-18T09:30:00Z")


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeOrg]:
    with PracticeOrg(clock="2026-11-18T09:30:00Z") as running:
        yield running


@pytest.fixture
def org(server: PracticeOrg) -> PracticeOrg:
    server.control("DELETE", "faults")
    server.control("DELETE", "journal")
    return server


@pytest.fixture
def client(org: PracticeOrg) -> Client:
    return Client(org)


def order(org: PracticeOrg, kind: str, **where: Any) -> None:
    org.control("POST", "faults", {"kind": kind, "times": 1, **where})


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("session_unusable", 401, "This session is not valid for use with the REST API"),
        ("server_error", 500, "UNKNOWN_EXCEPTION"),
        ("server_error_page", 500, "<html>"),
        ("bad_gateway", 502, "<html>"),
        ("unavailable", 503, "SERVER_UNAVAILABLE"),
        ("maintenance", 503, "<html>"),
        ("gateway_timeout", 504, "<html>"),
        ("setting_up", 420, "setting things up"),
        ("not_acceptable", 406, ""),
        ("too_many_requests", 429, ""),
        ("html", 200, "<html>"),
        ("empty", 200, ""),
        ("daily_limit", 403, "TotalRequests Limit exceeded."),
        ("concurrent_limit", 403, "ConcurrentRequests"),
        ("query_timeout", 400, "QUERY_TIMEOUT"),
    ],
)
def test_a_kind_is_met_once_and_the_next_call_is_well(
    client: Client, org: PracticeOrg, kind: str, status: int, body: str
) -> None:
    order(org, kind)
    struck = client.query("SELECT Id FROM Lead")
    assert struck.status_code == status
    assert body in struck.text
    assert "Retry-After" not in struck.headers
    assert client.query("SELECT Id FROM Lead").json()["totalSize"] == 0


def test_an_expired_session_is_refused_by_each_api_in_its_own_form(org: PracticeOrg) -> None:
    client = Client(org)
    order(org, "session_expired")
    for _ in range(2):
        assert client.call("GET", "limits").json()[0]["errorCode"] == "INVALID_SESSION_ID"
    client = Client(org)
    order(org, "session_expired")
    old = client.call("GET", "/services/async/59.0/job/750000000000000", headers={"Content-Type": "application/json"})
    assert old.json() == {"exceptionCode": "InvalidSessionId", "exceptionMessage": "Invalid session id"}


def test_a_cursor_dies_at_its_second_page(client: Client, org: PracticeOrg) -> None:
    org.create("Account", [{"Name": str(n)} for n in range(2_500)])
    order(org, "dead_cursor")
    first = client.query("SELECT Id FROM Account").json()
    dead = client.call("GET", first["nextRecordsUrl"])
    assert (dead.status_code, dead.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


@pytest.mark.parametrize("kind", ["token_refused", "token_denied", "token_error"])
def test_a_login_fails(org: PracticeOrg, kind: str) -> None:
    order(org, kind, times=2)
    form = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}
    seen = [requests.post(f"{org.url}/services/oauth2/token", data=form, timeout=10).status_code for _ in range(3)]
    assert seen == [500, 500, 200] if kind == "token_error" else [400, 400, 200]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("cut_body", requests.exceptions.ChunkedEncodingError),
        ("broken_chunk", requests.exceptions.ChunkedEncodingError),
        ("reset_before", requests.exceptions.ConnectionError),
        ("reset_after", requests.exceptions.ConnectionError),
    ],
)
def test_a_connection_breaks(client: Client, org: PracticeOrg, kind: str, error: type[Exception]) -> None:
    order(org, kind)
    with pytest.raises(error):
        client.call("GET", "sobjects/Lead/describe")
    assert client.call("GET", "sobjects/Lead/describe").status_code == 200


def test_a_broken_chunked_answer_announces_no_length(client: Client, org: PracticeOrg) -> None:
    order(org, "broken_chunk")
    answer = client.call("GET", "sobjects/Lead/describe", stream=True)
    assert "Content-Length" not in answer.headers
    assert answer.headers["Transfer-Encoding"] == "chunked"


def test_a_kept_connection_is_reset_while_idle(org: PracticeOrg) -> None:
    # A socket of its own: a pool would notice the reset and open another one.
    address = urlsplit(org.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    order(org, "idle_reset", path_contains="/services/data")
    connection.request("GET", "/services/data")
    assert connection.getresponse().read().startswith(b"[")
    time.sleep(0.5)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):  # noqa: PT012 - either step may meet it
        connection.request("GET", "/services/data")
        connection.getresponse()


def test_an_answer_trickles(client: Client, org: PracticeOrg) -> None:
    org.control("POST", "faults", {"action": {"trickle_seconds": 0.3}, "times": 1, "path_contains": "/services/data"})
    began = time.monotonic()
    assert client.call("GET", "sobjects").json()["encoding"] == "UTF-8"
    assert time.monotonic() - began >= 0.3
    assert client.call("GET", "sobjects").status_code == 200


def test_a_tls_handshake_is_refused(org: PracticeOrg) -> None:
    order(org, "tls_refused")
    with requests.Session() as session:
        session.trust_env = False
        session.verify = org.ca_file
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{org.https_url}/services/data", timeout=10)
        assert session.get(f"{org.https_url}/services/data", timeout=10).status_code == 200


def test_every_kind_is_described_over_the_control_api(org: PracticeOrg) -> None:
    assert set(org.control("GET", "faults/kinds")) == set(KINDS)


def test_chance_is_seeded() -> None:
    def run(seed: int) -> list[int | None]:
        faults = Faults()
        faults.order({"kinds": ["unavailable", "bad_gateway"], "chance": 0.3, "seed": seed})
        found = [faults.find("salesforce", "GET", "/services/data/v60.0/limits", NOW) for _ in range(500)]
        return [None if action is None else int(action["status"]) for action in found]

    first = run(7)
    assert first == run(7) != run(8)
    assert 100 < sum(each is not None for each in first) < 200
    assert {502, 503} <= set(first)


def test_a_fault_keeps_its_hours() -> None:
    faults = Faults()
    faults.order({"kind": "unavailable", "since": "2026-11-18T10:00:00Z", "until": "2026-11-18T11:00:00Z"})
    path = "/services/data/v60.0/limits"
    struck = [
        faults.find("salesforce", "GET", path, parse_moment(f"2026-11-18T{hour}:00:00Z")) is not None
        for hour in ("09", "10", "11")
    ]
    assert struck == [False, True, False]


def test_skip_and_times_count_matching_requests_only() -> None:
    faults = Faults()
    faults.order({"action": {"status": 500}, "path_contains": "/query", "skip": 1, "times": 1})
    paths = ["/limits", "/query", "/query", "/query"]
    assert [faults.find("salesforce", "GET", path, NOW) is not None for path in paths] == [False, False, True, False]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "nothing"}, "there is no kind 'nothing'"),
        ({}, "either an action, or a kind, or kinds"),
        ({"kind": "html", "action": {"status": 500}}, "either an action, or a kind, or kinds"),
        ({"kind": "html", "often": 3}, r"got also \['often'\]"),
        ({"kind": "html", "chance": 2}, "a share between 0 and 1"),
        ({"action": {"explode": True}}, "a fault's action needs one of"),
        ({"kinds": ["tls_refused", "html"]}, "ordered by itself"),
    ],
)
def test_a_mistaken_order_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Faults().order(given)


def test_the_journal_names_who_called(client: Client, org: PracticeOrg) -> None:
    client.call("GET", "limits")
    client.session.headers["Authorization"] = "Bearer nothing"
    client.call("GET", "limits")
    entries = [each for each in org.journal() if each["path"].endswith("/limits")]
    assert [(each["caller"], each["status"]) for each in entries] == [("integration@practice.test", 200), (None, 401)]
