"""
What comes with a status of success and is no answer: trouble of the moment, whatever was asked. Text that is no text.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.connectors.reader import rows_of
from tests.connectors.salesforce.stand_in import QUICK, Reply, StandIn, client_of, json_reply, page, stand_in
from worker.connectors.base import Cursor, Page, RecordChange
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.streams import ReadLimits, SalesforceSource
from worker.connectors.salesforce.writer import SalesforceSink
from worker.core.errors import Fatal, HeadwaterError, Retriable

OBJECT = "OpportunityContactRole"
ROLE = "salesforce.opportunity_contact_role"
WINDOW = Cursor(ROLE, lo=datetime(2026, 11, 18, 9, 0, 0, tzinfo=UTC), hi=datetime(2026, 11, 18, 10, 0, 0, tzinfo=UTC))
RECORD = {"Id": "00K000000000001AAA", "SystemModstamp": "2026-11-18T09:30:00.000+0000"}
NONE: dict[str, str | bytes] = {
    "null": "null",
    "a number": "5",
    "true": "true",
    "text": '"text"',
    "nothing": "",
    "html": "<html>",
    "deep": "[" * 100_000 + "]" * 100_000,
    "deep in an object": '{"results":' * 100_000 + "1" + "}" * 100_000,
    "a number too long": '{"results": ' + "9" * 5_000 + "}",
    "a number too large": '{"results": 1e99999999999999999999}',
    "no UTF-8": b"\xff\xfe\x00",
}
CALLS: dict[str, Callable[[SalesforceClient], Any]] = {
    "batch": lambda client: client.batch(["/services/data/v64.0/limits"]),
    "query": lambda client: client.query("SELECT Id FROM Lead"),
    "more": lambda client: client.more("/services/data/v64.0/query/0r8xx3QLbN4GTIrAYQ-2000"),
    "describe": lambda client: client.ask_object("sobjects/Lead/describe"),
}


@pytest.fixture
def org() -> Iterator[StandIn]:
    with stand_in() as standing:
        standing.describes(OBJECT)
        yield standing


def raw(body: str | bytes) -> Reply:
    return 200, {"Content-Type": "application/json;charset=UTF-8"}, body


def answering(org: StandIn, body: str | bytes) -> None:
    for method in ("GET", "POST", "PATCH"):
        org.on(f"{method} ", raw(body))
    org.raw_batch = raw(body)


@pytest.mark.parametrize("body", NONE.values(), ids=NONE)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_answer_that_is_none_is_asked_for_again_and_then_named(
    org: StandIn, call: Callable[[SalesforceClient], Any], body: str | bytes
) -> None:
    answering(org, body)
    with pytest.raises(Retriable) as caught:
        call(client_of())
    assert caught.value.code == "HW-203"
    assert len(org.seen) == 1 + QUICK.attempts


@pytest.mark.parametrize("body", NONE.values(), ids=NONE)
def test_a_poll_that_answers_with_nothing_keeps_what_was_known(org: StandIn, body: str | bytes) -> None:
    org.on("GET queryAll", json_reply(page([])))
    reading = SalesforceSource(client_of())
    list(reading.read([WINDOW], {}))
    known = reading.learned()
    answering(org, body)
    again = SalesforceSource(client_of())
    with pytest.raises(Retriable) as caught:
        list(again.read([WINDOW], known))
    assert caught.value.code == "HW-203"
    seen = len(org.seen)
    assert again.learned() == known
    assert again.now() > WINDOW.lo  # type: ignore[operator]  # the window has a beginning
    assert again.usage() is None
    assert len(org.seen) == seen


@pytest.mark.parametrize(
    "results",
    [[None], [{}], [{"statusCode": "200", "result": {}}], [{"statusCode": None}], [5], {}],
    ids=["null", "no status", "status in words", "status null", "a number", "no list"],
)
def test_parts_of_a_batch_that_are_none_are_asked_for_again(org: StandIn, results: Any) -> None:
    org.raw_batch = json_reply({"results": results})
    with pytest.raises(Retriable) as caught:
        client_of().batch(["/services/data/v64.0/limits"])
    assert caught.value.code == "HW-203"
    assert len(org.calls("POST", "composite/batch")) == QUICK.attempts


@pytest.mark.parametrize("body", [None, [], 5, {"fields": None}, {"fields": [None]}, {"fields": [{"name": 5}]}])
def test_a_description_that_is_none_is_waited_for(org: StandIn, body: Any) -> None:
    org.on(f"GET sobjects/{OBJECT}/describe", json_reply(body))
    org.on("GET queryAll", json_reply(page([])))
    with pytest.raises(Retriable) as caught:
        list(SalesforceSource(client_of()).read([WINDOW], {}))
    assert caught.value.code == "HW-203"


@pytest.mark.parametrize("body", ["null", "[]", "{}", '{"id": 5}', '{"id": "../limits"}'])
def test_a_job_without_a_name_is_replaced_by_rest(org: StandIn, body: str) -> None:
    org.on(
        "GET queryAll",
        lambda soql: json_reply({"totalSize": 5_000, "done": True, "records": []} if "COUNT()" in soql else page([])),
    )
    org.on("POST jobs/query", raw(body))
    given = list(SalesforceSource(client_of()).read([replace(WINDOW, lo=None)], {}))
    assert [each.last for each in given] == [False, True]
    assert len(org.calls("GET", "jobs/query")) == 1, "whether it was made is looked up, so that it can be ended"


@pytest.mark.parametrize("body", NONE.values(), ids=NONE)
def test_a_write_that_is_answered_with_nothing_may_have_happened(org: StandIn, body: str | bytes) -> None:
    known = {"objects": {"Lead": {"fields": {"Title": {"type": "string"}}}}}
    org.on("PATCH composite/sobjects", raw(body))
    sink = SalesforceSink(client_of(), known=known)
    (result,) = sink.write("Lead", [RecordChange("00Q000000000001AAA", {"Title": "VP"})])
    assert (result.verdict, result.code) == ("unknown", "HW-203")
    assert len(org.calls("PATCH", "composite/sobjects")) == 1


@pytest.mark.parametrize("body", ["null", "5", "[]", "[null, null]", '{"a": 1}'])
def test_a_look_at_records_that_is_answered_with_nothing_is_made_another_time(org: StandIn, body: str) -> None:
    known = {"objects": {"Lead": {"fields": {"Title": {"type": "string"}}}}}
    org.on("POST composite/sobjects/Lead", raw(body))
    with pytest.raises(Retriable) as caught:
        SalesforceSink(client_of(), known=known).observe("Lead", ["00Q000000000001AAA"], ["Title"])
    assert caught.value.code == "HW-203"


@pytest.mark.parametrize(
    "body", ["null", "[]", "[" * 100_000, '{"access_token": "a\\nb", "instance_url": "https://acme.my.salesforce.com"}']
)
def test_a_login_that_is_answered_with_nothing_is_no_crash(org: StandIn, body: str) -> None:
    org.login = lambda _: raw(body)
    with pytest.raises(HeadwaterError) as caught:
        SalesforceSource(client_of()).now()
    assert caught.value.code == "HW-203"


def test_a_failure_before_the_organisation_is_known_gives_back_what_was_given(org: StandIn) -> None:
    org.on("GET queryAll", json_reply(page([])))
    first = SalesforceSource(client_of())
    list(first.read([WINDOW], {}))
    known = {**first.learned(), "org": "00D000000000099AAA", "appeared": {OBJECT: ["Role"]}}
    reading = SalesforceSource(client_of())
    with pytest.raises(Fatal) as caught:
        list(reading.read([WINDOW], known))
    assert caught.value.code == "HW-217"
    assert reading.learned() == {**known, "appeared": {}}


def test_after_an_answer_without_a_date_the_time_costs_no_call_either(org: StandIn) -> None:
    reading = SalesforceSource(client_of())
    reading.now()
    org.refused_tokens = {"T1", "T2", "T3"}
    with pytest.raises(HeadwaterError):
        list(reading.read([WINDOW], {}))
    seen = len(org.seen)
    reading.now()
    assert len(org.seen) == seen


# Text


def given_role(org: StandIn, body: str) -> Page:
    org.on("GET queryAll", raw(body))
    (end,) = [each for each in SalesforceSource(client_of()).read([WINDOW], {}) if each.last]
    return end


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("VP \\ud83d", "VP \ufffd"),
        ("\\uDE00 VP", "\ufffd VP"),
        ("\\ude00\\ud83d", "\ufffd\ufffd"),
        ("VP \\ud83d\\ude00", "VP \U0001f600"),
        ("VP \\\\ud83d", "VP \\ud83d"),
        ("V\\u0000P", "VP"),
        ("\U0001f600", "\U0001f600"),
    ],
    ids=["first half", "second half", "halves in the wrong order", "whole pair", "only looks so", "NUL", "as itself"],
)
def test_half_a_surrogate_pair_becomes_a_replacement_character(org: StandIn, written: str, kept: str) -> None:
    record = f'{{"Id": "{RECORD["Id"]}", "SystemModstamp": "{RECORD["SystemModstamp"]}", "Role": "{written}"}}'
    (row,) = rows_of(given_role(org, f'{{"totalSize": 1, "done": true, "records": [{record}]}}'))
    assert row["role"] == kept


HEADER = b'"Id","CreatedDate","IsDeleted","OpportunityId","ContactId","Role","IsPrimary","SystemModstamp"\n'


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (b"caf\xe9", "caf\ufffd"),
        (b"VP \xed\xa0\xbd", "VP \ufffd\ufffd\ufffd"),
        (b"VP \xf0\x9f", "VP \ufffd"),
        ("caf\u00e9 \U0001f600".encode(), "caf\u00e9 \U0001f600"),
        (b"V\x00P\xff", "VP\ufffd"),
    ],
    ids=["Latin-1", "half a pair", "cut character", "clean", "NUL too"],
)
@pytest.mark.parametrize("piece", [1, 7, 128 * 1024])
def test_bytes_that_are_no_text_become_replacement_characters(
    org: StandIn, monkeypatch: pytest.MonkeyPatch, written: bytes, kept: str, piece: int
) -> None:
    monkeypatch.setattr("worker.connectors.http.CHUNK_BYTES", piece)
    line = b'"00K1","","false","006A","003A","' + written + b'","true","2026-11-18T09:30:00.000Z"\n'
    org.on("GET queryAll", json_reply({"totalSize": 5_000, "done": True, "records": []}))
    org.on("POST jobs/query", json_reply({"id": "750A"}))
    org.on("GET jobs/query/750A", json_reply({"id": "750A", "state": "JobComplete", "numberRecordsProcessed": 1}))
    headers = {"Content-Type": "text/csv", "Sforce-NumberOfRecords": "1", "Sforce-Locator": "null"}
    org.on("GET jobs/query/750A/results", (200, headers, HEADER + line))
    pages = SalesforceSource(client_of(), limits=ReadLimits(bulk_above=1)).read([replace(WINDOW, lo=None)], {})
    (content,) = (b"".join(each.csv) for each in pages if each.csv is not None)
    (cells,) = csv.reader(io.StringIO(content.decode("utf-8")))
    assert cells[5] == kept


@pytest.mark.parametrize("count", ["many", "-1", "9" * 5_000])
def test_a_result_whose_count_is_none_is_made_again(org: StandIn, count: str) -> None:
    org.on("GET queryAll", json_reply({"totalSize": 5_000, "done": True, "records": []}))
    org.on("POST jobs/query", json_reply({"id": "750A"}))
    org.on("GET jobs/query/750A", json_reply({"id": "750A", "state": "JobComplete", "numberRecordsProcessed": 1}))
    org.on("GET jobs/query/750A/results", (200, {"Sforce-NumberOfRecords": count}, HEADER))
    given = list(SalesforceSource(client_of()).read([replace(WINDOW, lo=None)], {}))
    assert given[-1].place == {"failures": 1}
