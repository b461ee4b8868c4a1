"""
Marketo's wire, for what no practice server does: a log that stands still, long addresses, foreign hosts.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests import PreparedRequest

from tests.connectors.reader import Reader
from worker.connectors.http import HttpOptions
from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.refusals import until_reset
from worker.connectors.marketo.streams import MarketoSource
from worker.core.errors import Fatal, Retriable

HOST = "https://123-abc-456.mktorest.com"
Answers = Callable[[PreparedRequest], dict[str, Any]]


class Wire:
    """
    Answers every read with what ``reply`` says, or with ``body`` where there is one, and keeps the requests.
    """

    def __init__(self) -> None:
        self.seen: list[PreparedRequest] = []
        self.reply: Answers = lambda _: {"success": True}
        self.body: str | None = None
        self.token_body = json.dumps({"access_token": "T1:int", "token_type": "bearer", "expires_in": 3599})

    def answer(self, request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        self.seen.append(request)
        if "/identity/" in str(request.url):
            return 200, {}, self.token_body
        return 200, {}, json.dumps(self.reply(request)) if self.body is None else self.body

    def reads(self) -> list[PreparedRequest]:
        return [each for each in self.seen if "/identity/" not in str(each.url)]


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST"):
            mock.add_callback(method, re.compile(r"https?://.*"), callback=wire.answer)
        yield wire


def client() -> MarketoClient:
    return MarketoClient(HOST, "headwater", "practice-secret", options=HttpOptions(attempts=2, pause_seconds=0.001))


def source() -> MarketoSource:
    return MarketoSource(client(), start_at=datetime(2026, 1, 1, tzinfo=UTC), activity_types=[11])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://123-abc-456.mktorest.com",
        "https://evil.example",
        "https://123-abc-456.mktorest.com.evil.example",
        "https://123-abc-456.mktorest.com@evil.example",
        "https://user:word@123-abc-456.mktorest.com",
        "https://123-abc-456.mktorest.com/rest",
        "https://123-abc-456.mktorest.com?x=1",
        "https://123-abc-456.mktorest.com:8443",
        "https://mktorest.com",
        "https://abc.mktorest.com",
        "https://10.0.0.1",
        "http://169.254.169.254",
    ],
)
def test_the_secret_is_never_sent_elsewhere(url: str) -> None:
    with pytest.raises(Fatal) as caught:
        MarketoClient(url, "headwater", "practice-secret")
    assert caught.value.code == "HW-301"


def test_the_secret_travels_in_the_body_and_the_token_in_a_header(wire: Wire) -> None:
    client().get("/rest/v1/leads.json", {})
    identity, read = wire.seen
    assert "practice-secret" not in str(identity.url)
    assert "client_secret=practice-secret" in str(identity.body)
    assert read.headers["Authorization"] == "Bearer T1:int"
    assert "access_token" not in str(read.url)


def test_a_long_address_becomes_a_post_that_says_get(wire: Wire) -> None:
    ids = ",".join(str(10_000_000 + number) for number in range(900))
    client().get("/rest/v1/leads.json", {"filterType": "id", "filterValues": ids})
    (read,) = wire.reads()
    assert read.method == "POST"
    assert parse_qs(urlsplit(str(read.url)).query) == {"_method": ["GET"]}
    assert parse_qs(str(read.body))["filterValues"] == [ids]


def test_a_log_that_stands_still_is_not_read_for_ever(wire: Wire) -> None:
    wire.reply = lambda _: {"success": True, "nextPageToken": "SAME", "moreResult": True}
    with pytest.raises(Retriable) as caught:
        Reader("marketo.activity").read(source())
    assert caught.value.code == "HW-310"
    assert len(wire.reads()) <= 3


def test_an_answer_without_a_token_loses_no_place(wire: Wire) -> None:
    wire.reply = lambda request: (
        {"success": True, "nextPageToken": "A"} if "pagingtoken" in str(request.url) else {"success": True}
    )
    reader = Reader("marketo.activity")
    with pytest.raises(Retriable) as caught:
        reader.read(source())
    assert caught.value.code == "HW-303"
    assert reader.cursors["marketo.activity"].token is None


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "5",
        "[]",
        '"text"',
        DEEP,
        '{"success": true, "result": 5}',
        '{"success": true, "result": [null]}',
        '{"success": true, "result": {"id": 1}}',
        '{"success": false, "errors": 5}',
        '{"success": true, "result": [{"id": ' + "9" * 5_000 + "}]}",
        "",
        "\ufeff",
    ],
    ids=[
        "null",
        "number",
        "list",
        "text",
        "deep",
        "result-5",
        "result-of-nulls",
        "result-an-object",
        "errors-5",
        "long-number",
        "nothing",
        "mark",
    ],
)
def test_an_answer_that_is_none_is_trouble_of_the_moment(wire: Wire, body: str) -> None:
    wire.body = body
    with pytest.raises(Retriable) as caught:
        Reader("marketo.activity").read(source())
    assert caught.value.code == "HW-303"
    assert len(wire.reads()) == 2


@pytest.mark.parametrize("body", ["null", DEEP, '{"access_token": "a\\nb"}', '{"access_token": "caf\u00e9"}'])
def test_a_login_that_answers_with_nothing_is_trouble_of_the_moment(wire: Wire, body: str) -> None:
    wire.token_body = body
    with pytest.raises(Retriable) as caught:
        source().now()
    assert caught.value.code == "HW-303"


def test_odd_entries_of_an_activity_cost_themselves_only(wire: Wire) -> None:
    activity = {
        "marketoGUID": "1",
        "leadId": 7,
        "activityTypeId": 11,
        "activityDate": "2026-11-18T09:30:00Z",
        "attributes": [None, 5, {"name": "Link", "value": "https://acme.com"}],
    }
    wire.reply = lambda _: {"success": True, "nextPageToken": "A", "result": [activity]}
    reader = Reader("marketo.activity")
    reader.read(source())
    assert reader.rows["marketo.activity"]["1"]["attributes"] == '{"Link": "https://acme.com"}'


def test_half_a_surrogate_pair_becomes_a_replacement_character(wire: Wire) -> None:
    wire.body = (
        '{"success": true, "nextPageToken": "A", "result": [{"marketoGUID": "1", "leadId": 7, "activityTypeId": 11, '
        '"activityDate": "2026-11-18T09:30:00Z", "primaryAttributeValue": "VP \\ud83d", '
        '"attributes": [{"name": "\\uDE00", "value": "\\ud83d\\ude00"}]}]}'
    )
    reader = Reader("marketo.activity")
    reader.read(source())
    row = reader.rows["marketo.activity"]["1"]
    assert (row["asset"], row["attributes"]) == ("VP \ufffd", '{"\ufffd": "\U0001f600"}')


def test_after_an_answer_the_time_costs_no_call_whatever_became_of_the_read(wire: Wire) -> None:
    reading = source()
    wire.body = "null"
    with pytest.raises(Retriable):
        Reader("marketo.activity").read(reading)
    before = len(wire.seen)
    reading.now()
    assert (reading.usage(), reading.learned()["programs"]) == (None, {"costs": {}})
    assert len(wire.seen) == before


def test_a_token_that_marketo_has_forgotten_is_replaced_by_a_fresh_one(wire: Wire) -> None:
    forgotten = {"success": False, "errors": [{"code": "1003", "message": "Invalid nextPageToken"}]}
    asked: list[str] = []
    forgets: list[bool] = []

    def reply(request: PreparedRequest) -> dict[str, Any]:
        query = parse_qs(urlsplit(str(request.url)).query)
        if "pagingtoken" in str(request.url):
            asked.append(query["sinceDatetime"][0])
            return {"success": True, "nextPageToken": f"FRESH{len(asked)}"}
        if query["nextPageToken"] == ["FRESH1"] and len(asked) == 1:
            return forgotten if forgets else {"success": True, "nextPageToken": "FRESH1"}
        return {"success": True, "nextPageToken": "FRESH2"}

    wire.reply = reply
    reader = Reader("marketo.activity")
    reader.read(source())
    watermark = reader.cursors["marketo.activity"].watermark
    assert watermark is not None
    forgets.append(True)
    reader.read(source())
    again = datetime.fromisoformat(asked[1])
    assert watermark - again >= timedelta(days=1) - timedelta(seconds=1)


def test_the_days_quota_begins_again_at_midnight_in_the_middle_of_the_united_states() -> None:
    assert until_reset(datetime(2026, 7, 1, 4, 0, tzinfo=UTC)) == timedelta(hours=1, minutes=1)
    assert until_reset(datetime(2026, 12, 1, 4, 0, tzinfo=UTC)) == timedelta(hours=2, minutes=1)
    # The night the clocks go back has an hour more.
    assert until_reset(datetime(2026, 11, 1, 5, 30, tzinfo=UTC)) == timedelta(hours=24, minutes=31)
