"""
The session's bounds, against a real server on loopback that misbehaves.
"""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import requests
import responses
import time_machine

from worker.connectors.http import (
    Ambiguous,
    Door,
    HttpOptions,
    HttpSession,
    Passing,
    asked_pause,
    repeated,
    translated,
)
from worker.core.errors import Fatal, Retriable

DOOR = Door("Somewhere", address="HW-1", unreachable="HW-2", garbled="HW-3", certificate="HW-4")


class Misbehaving(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.seen.append(self.path)
        getattr(self, self.path.strip("/"))()

    do_POST = do_GET  # noqa: N815 - http.server looks the method up by this name

    def fine(self) -> None:
        self._head(200, {"Content-Length": "2"})
        self.wfile.write(b"{}")

    def html(self) -> None:
        body = b"<html>maintenance</html>"
        self._head(200, {"Content-Length": str(len(body)), "Content-Type": "text/html"})
        self.wfile.write(body)

    def redirect(self) -> None:
        self._head(302, {"Location": "/fine", "Content-Length": "0"})

    def bomb(self) -> None:
        body = gzip.compress(b"\0" * 5_000_000)
        self._head(200, {"Content-Length": str(len(body)), "Content-Encoding": "gzip"})
        self.wfile.write(body)

    def drip(self) -> None:
        self._head(200, {"Content-Length": "1000"})
        with_patience = 200
        for _ in range(with_patience):
            try:
                self.wfile.write(b"x")
            except OSError:
                return
            time.sleep(0.02)

    def cut(self) -> None:
        self._head(200, {"Content-Length": "100"})
        self.wfile.write(b"only this")
        self.close_connection = True

    def reset(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def an_hour_ahead(self) -> None:
        self._head(200, {"Content-Length": "0", "Date": format_datetime(datetime.now(UTC) + timedelta(hours=1), True)})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def address() -> Iterator[str]:
    Misbehaving.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def session() -> HttpSession:
    options = HttpOptions(total_seconds=0.5, read_seconds=2.0, max_body_bytes=100_000, attempts=3, pause_seconds=0.01)
    return HttpSession(DOOR, options, lambda host, _: host == "127.0.0.1")


def test_a_redirect_is_not_followed(session: HttpSession, address: str) -> None:
    assert session.get(f"{address}/redirect").status_code == 302
    assert Misbehaving.seen == ["/redirect"]


def test_a_caller_cannot_switch_redirects_on(session: HttpSession, address: str) -> None:
    assert session.get(f"{address}/redirect", allow_redirects=True).status_code == 302


@pytest.mark.parametrize("path", ["bomb", "drip", "cut", "reset"])
def test_a_read_that_fails_half_way_may_be_repeated(session: HttpSession, address: str, path: str) -> None:
    began = time.monotonic()
    with pytest.raises(Passing) as caught, translated(DOOR, is_harmless=True):
        session.get(f"{address}/{path}")
    assert caught.value.code == "HW-2"
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("path", ["drip", "cut", "reset"])
def test_a_write_whose_answer_is_lost_is_ambiguous(session: HttpSession, address: str, path: str) -> None:
    with pytest.raises(Ambiguous), translated(DOOR, is_harmless=False):
        session.post(f"{address}/{path}", data=b"")


def test_a_write_that_found_nobody_listening_was_certainly_not_made(session: HttpSession) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(Passing), translated(DOOR, is_harmless=False):
        session.post(f"http://127.0.0.1:{port}/")


def test_html_where_json_was_expected_is_garbled(session: HttpSession, address: str) -> None:
    with pytest.raises(Passing) as caught, translated(DOOR, is_harmless=True):
        session.get(f"{address}/html").json()
    assert caught.value.code == "HW-3"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://example.com/",
        "https://user:word@127.0.0.1/",
        "https://127.0.0.1@example.com/",
        "http://127.0.0.1.example.com/",
    ],
)
def test_only_allowed_hosts_are_called(session: HttpSession, url: str) -> None:
    with pytest.raises(Fatal) as caught:
        session.get(url)
    assert caught.value.code == "HW-1"


def test_plain_http_is_for_loopback_even_where_the_host_is_allowed() -> None:
    session = HttpSession(DOOR, HttpOptions(), lambda *_: True)
    with pytest.raises(Fatal):
        session.get("http://example.com/")
    with pytest.raises(Fatal):
        session.speak_http_to("example.com")


def test_an_https_address_on_loopback_can_be_spoken_to_by_http(session: HttpSession, address: str) -> None:
    netloc = address.removeprefix("http://")
    session.speak_http_to(netloc)
    assert session.get(f"https://{netloc}/fine").json() == {}


def test_the_platforms_now_is_never_behind_its_date_header(session: HttpSession, address: str) -> None:
    session.get(f"{address}/an_hour_ahead")
    ahead = session.platform_now() - datetime.now(UTC)
    assert timedelta(hours=1) <= ahead <= timedelta(hours=1, seconds=2.5)
    assert session.platform_now().microsecond == 0


@responses.activate
def test_a_second_cut_off_a_date_header_never_puts_us_behind(session: HttpSession) -> None:
    noon = datetime(2026, 11, 18, 12, 0, 0, tzinfo=UTC)
    responses.get("https://127.0.0.1/", headers={"Date": format_datetime(noon, usegmt=True)})
    with time_machine.travel(noon + timedelta(seconds=0.95), tick=False):
        session.get("https://127.0.0.1/")
    truth = noon + timedelta(seconds=1.9)
    with time_machine.travel(truth, tick=False):
        assert truth < session.platform_now() <= truth + timedelta(seconds=2)


def test_the_environment_is_left_out(session: HttpSession, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert session.get(f"{address}/fine").status_code == 200


def test_a_silent_platform_is_not_asked_again_when_asking_took_too_long_already() -> None:
    asked = []

    def call() -> None:
        asked.append(time.monotonic())
        time.sleep(0.05)
        raise Passing("HW-2", "silence")

    with pytest.raises(Passing):
        repeated(call, HttpOptions(attempts=50, pause_seconds=0.001, repeat_seconds=0.12))
    assert 2 <= len(asked) <= 4


def test_a_passing_fault_is_repeated_and_then_given_up() -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        raise Passing("HW-2", "not now")

    with pytest.raises(Passing):
        repeated(call, HttpOptions(attempts=3, pause_seconds=0.001))
    assert len(calls) == 3


def test_a_limit_is_not_hammered_at() -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        raise Retriable("HW-2", "come later")

    with pytest.raises(Retriable):
        repeated(call, HttpOptions(attempts=3, pause_seconds=0.001))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [("0", 0), ("5", 5), ("3600", 3600), ("99999999", 3600), ("soon", None), ("-1", None), ("", None), ("٣", None)],
)
def test_a_retry_after_is_honoured_within_reason(stated: str, seconds: int | None) -> None:
    pause = asked_pause(requests.structures.CaseInsensitiveDict({"Retry-After": stated}))
    assert pause == (None if seconds is None else timedelta(seconds=seconds))
