"""
What Salesforce's words mean: for a whole call, and for one record.
"""

from datetime import timedelta
from typing import Any

import pytest

from worker.connectors.http import Ambiguous, Passing
from worker.connectors.salesforce.classify import (
    FieldGone,
    LocatorLost,
    SessionRefused,
    call_error,
    vendor_error,
    verdict_of,
)
from worker.core.errors import Fatal, Retriable


def said(code: str, message: str = "") -> list[dict[str, Any]]:
    return [{"errorCode": code, "message": message}]


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, said("INVALID_SESSION_ID", "Session expired or invalid"), SessionRefused, "HW-205"),
        (401, None, SessionRefused, "HW-205"),
        (403, said("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), Retriable, "HW-206"),
        (403, said("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded."), Retriable, "HW-207"),
        (403, said("API_DISABLED_FOR_ORG"), Fatal, "HW-211"),
        (400, said("INVALID_QUERY_LOCATOR"), LocatorLost, "HW-212"),
        (400, said("QUERY_TIMEOUT"), Retriable, "HW-214"),
        (400, said("INVALID_FIELD", "No such column 'X__c'"), FieldGone, "HW-209"),
        (400, said("MALFORMED_QUERY"), Fatal, "HW-208"),
        (302, "", Fatal, "HW-201"),
        (410, None, Fatal, "HW-210"),
        (503, said("SERVER_UNAVAILABLE"), Passing, "HW-202"),
        (502, "<html>", Passing, "HW-202"),
        (500, said("UNKNOWN_EXCEPTION", "An unexpected error occurred. ErrorId: 1"), Passing, "HW-202"),
        (420, "", Passing, "HW-202"),
        (406, "", Passing, "HW-202"),
    ],
)
def test_a_failed_call_is_named_for_what_to_do(status: int, body: Any, kind: type[Exception], code: str) -> None:
    error = call_error(status, body, is_harmless=True)
    assert isinstance(error, kind)
    assert error.code == code


@pytest.mark.parametrize(
    "message", ["This session is not valid for use with the REST API", "Connected app is not attached to Agent"]
)
def test_two_refusals_look_like_an_expired_session_and_ask_for_no_login(message: str) -> None:
    error = call_error(401, said("INVALID_SESSION_ID", message), is_harmless=True)
    assert not isinstance(error, SessionRefused)
    assert isinstance(error, Fatal)


def test_a_day_without_calls_is_waited_out_longer_than_a_crowded_second() -> None:
    total = call_error(403, said("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), is_harmless=True)
    crowd = call_error(403, said("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded."), is_harmless=True)
    assert isinstance(total, Retriable)
    assert isinstance(crowd, Retriable)
    assert total.after >= timedelta(minutes=15)
    assert crowd.after <= timedelta(minutes=1)


@pytest.mark.parametrize(("status", "kind"), [(500, Ambiguous), (502, Ambiguous), (503, Ambiguous), (429, Passing)])
def test_a_write_that_ended_in_a_server_error_may_have_happened(status: int, kind: type[Exception]) -> None:
    assert type(call_error(status, None, is_harmless=False)) is kind


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("UNABLE_TO_LOCK_ROW", "retry"),
        ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "retry"),
        ("ENTITY_IS_DELETED", "gone"),
        ("CANNOT_UPDATE_CONVERTED_LEAD", "gone"),
        ("INVALID_CROSS_REFERENCE_KEY", "gone"),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "parked"),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "parked"),
        ("DUPLICATES_DETECTED", "parked"),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "parked"),
        ("INVALID_FIELD_FOR_INSERT_UPDATE", "refused"),
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "refused"),
        ("STRING_TOO_LONG", "refused"),
        ("SOMETHING_SALESFORCE_INVENTS_NEXT_YEAR", "parked"),
        (None, "parked"),
    ],
)
def test_a_records_error_has_one_verdict(code: str | None, verdict: str) -> None:
    assert verdict_of(code) == verdict


def test_both_spellings_of_a_code_are_read() -> None:
    assert vendor_error([{"statusCode": "A", "message": "m", "fields": ["X__c"]}]).code == "A"
    assert vendor_error([{"errorCode": "B"}]).code == "B"
    assert vendor_error({"exceptionCode": "C", "exceptionMessage": "m"}).code == "C"
    assert vendor_error({"error": "invalid_grant", "error_description": "user hasn't approved this consumer"}).code == (
        "invalid_grant"
    )


def test_a_page_of_html_is_never_quoted() -> None:
    assert "secret" not in vendor_error("<html>secret</html>").words
