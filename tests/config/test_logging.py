"""
The log: nothing personal and no secret gets out, and no text can pass for a line of its own.
"""

import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.logging import configure_logging
from config.redaction import HIDDEN, MAX_TEXT, redacted, scrubbed


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(fmt: Literal["console", "json"], level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(fmt, level, stream)
    return stream


def test_a_line_for_people_is_keys_and_values() -> None:
    stream = lines("console")
    structlog.get_logger("worker.flows.pull").info("page saved", stream="salesforce.lead", rows=300, late=True)
    text = stream.getvalue()
    assert text.startswith("timestamp=2")
    assert 'level=info event="page saved" stream=salesforce.lead rows=300 late logger=worker.flows.pull\n' in text


def test_a_line_for_machines_is_json() -> None:
    stream = lines("json")
    structlog.get_logger("worker").warning(
        "held", object="Account", percent=Decimal("6.1"), watermark=date(2026, 11, 22)
    )
    line = json.loads(stream.getvalue())
    assert line["event"] == "held"
    assert (line["level"], line["object"], line["watermark"]) == ("warning", "Account", "2026-11-22")
    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC


def test_lines_of_other_libraries_go_the_same_way() -> None:
    stream = lines("json")
    logging.getLogger("celery.worker").error("task for %s failed", "ann@acme.com")
    logging.getLogger("urllib3.connectionpool").info("GET /services/data?q=SELECT+Email")
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert line["event"] == f"task for {HIDDEN} failed"
    assert line["logger"] == "celery.worker"


def test_the_level_decides_what_is_written() -> None:
    stream = lines("console", "warning")
    structlog.get_logger("worker").info("nothing")
    assert stream.getvalue() == ""


def test_setting_up_twice_writes_every_line_once() -> None:
    lines("console")
    stream = lines("console")
    structlog.get_logger("worker").info("once")
    assert stream.getvalue().count("event=once") == 1


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_no_text_passes_for_a_line_of_its_own(fmt: Literal["console", "json"]) -> None:
    stream = lines(fmt)
    structlog.get_logger("worker").info(
        "read\ntimestamp=now level=info event=forged", reason="x\r\ny\x85z\u2028w", **{"a b\nc": "d"}
    )
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_a_traceback_is_written_scrubbed_and_indented(fmt: Literal["console", "json"]) -> None:
    stream = lines(fmt)

    def look_up() -> None:
        raise ValueError("no such person: ann@acme.com\nevent=forged")

    try:
        look_up()
    except ValueError:
        structlog.get_logger("worker").exception("failed", record_id="00Q5g00000ABCDEFGH")
    text = stream.getvalue()
    assert "ValueError" in text
    assert "00Q5g00000ABCDEFGH" in text
    assert "ann@acme.com" not in text
    assert not any(line.startswith("event=forged") for line in text.splitlines())


@pytest.mark.parametrize(
    "secret",
    [
        "ann.o'hara+news@mail.acme.co.uk",
        "ann%40acme.com",
        "müller@österreich.example",
        "+49 30 1234567",
        "+4930123456789",
        "(555) 123-4567",
        "555-123-4567",
        "555.123.4567",
        "030 / 123 456",
        "03012345678",
        "Bearer 00Dxx0000001gPL!AR8AQ.abc",
        "00Dxx0000001gPL!AR8AQF.abc_d",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIzTVZHOSJ9.c2lnbmF0dXJl",
        "cdf01657-110d-4155-99a7-f986b2ff13a0:int",
        "client_secret=abc123",
        '"access_token": "abc123"',
        "password=abc123&x=1",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ cut off",
    ],
)
def test_addresses_numbers_and_keys_are_scrubbed_from_any_text(secret: str) -> None:
    text = scrubbed(f"Salesforce said: {secret} was refused")
    assert HIDDEN in text
    for part in (secret, "acme.co", "123-4567", "1234567", "abc123", "MIIEvQ", "AR8AQ", "f986b2ff13a0"):
        assert part not in text
    assert text.startswith("Salesforce said: ")


def test_user_and_password_go_from_an_address_and_the_host_stays() -> None:
    assert scrubbed("postgresql://ann:pw@db.acme.com/head") == f"postgresql://{HIDDEN}@db.acme.com/head"


@pytest.mark.parametrize(
    "fact",
    [
        "00Q5g00000ABCDEFGH",
        "salesforce.lead",
        "2026-11-22T12:33:44.123456Z",
        "2026-11-22 12:33:44+00:00",
        "2026-11-22",
        "config/rules/engagement.yaml:4",
        "HW_Engaged__c",
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "127.0.0.1",
        "took 12345 ms for 1200000 rows",
        "64.0",
        "a" * 64,
        "8812",
        "102988",
        "https://login.salesforce.com/services/oauth2",
    ],
)
def test_facts_stay_as_they_are(fact: str) -> None:
    assert scrubbed(fact) == fact


def test_text_under_an_unknown_key_is_hidden_and_numbers_pass() -> None:
    assert redacted({"company": "Acme", "name": "Ann", "rows": 3, "share": Decimal("0.5"), "record_id": "003A"}) == {
        "company": HIDDEN,
        "name": HIDDEN,
        "rows": 3,
        "share": Decimal("0.5"),
        "record_id": "003A",
    }


def test_keys_of_secrets_and_people_are_hidden_whatever_they_end_in() -> None:
    for key in (
        "access_token",
        "token_id",
        "email_code",
        "client_secret_version",
        "phone",
        "Authorization",
        "session_id",
    ):
        assert redacted({key: "x"}) == {key: HIDDEN}, key
    assert redacted({"mobile_phone": 4930123456})["mobile_phone"] == HIDDEN
    assert redacted({"token_at": "2026-11-22", "email_count": 3}) == {"token_at": "2026-11-22", "email_count": 3}


def test_what_is_nested_is_redacted_too() -> None:
    assert redacted({"state": {"stream": "x", "email": "a@b.cc", "fields": ["Phone", "a@b.cc"]}}) == {
        "state": {"stream": "x", "email": HIDDEN, "fields": ["Phone", HIDDEN]}
    }


@pytest.mark.parametrize("text", ["x", "+1", "1 ", "a@", "@a.", "0", "token=", "00D", "eyJa.", "-----BEGIN A", "://"])
def test_no_text_holds_the_log_up(text: str) -> None:
    started = time.monotonic()
    scrubbed(text * MAX_TEXT)
    assert time.monotonic() - started < 0.5


def test_a_payload_is_cut_and_unknown_things_are_hidden() -> None:
    assert len(scrubbed("x" * 100_000)) == MAX_TEXT + 3
    assert redacted({"state": object(), "error": ValueError("no a@b.cc"), "file": Path("config/x.yaml")}) == {
        "state": HIDDEN,
        "error": f"no {HIDDEN}",
        "file": "config/x.yaml",
    }


@given(st.text(max_size=300))
def test_scrubbing_takes_any_text_and_leaves_one_line_without_an_address(text: str) -> None:
    plain = scrubbed(text + " ann@acme.com")
    assert "ann@acme.com" not in plain
    assert "\r" not in plain
