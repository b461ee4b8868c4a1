"""
What Salesforce's words mean: for a whole call, and for one record.
"""

from datetime import timedelta
from typing import Any

import pytest

from worker.connectors.http import Ambiguous, Passing
from worker.connectors.salesforce.classify import (
    CLASSES,
    ORG_WIDE,
    CallRefused,
    FieldGone,
    LocatorLost,
    SessionBarred,
    SessionRefused,
    call_error,
    class_of,
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
    assert isinstance(error, SessionBarred)
    assert not isinstance(error, SessionRefused)


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


# Every code that Salesforce is known to answer with, what is to be done about it, what becomes of a record that has it,
# and what a whole call that fails with it raises.
KNOWN: list[tuple[str, str, str, type[Exception], str]] = [
    ("UNABLE_TO_LOCK_ROW", "row", "retry", Passing, "HW-202"),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "row", "retry", Passing, "HW-202"),
    ("PROCESSING_HALTED", "row", "retry", Passing, "HW-202"),
    ("SERVER_UNAVAILABLE", "call", "retry", Passing, "HW-202"),
    ("UNKNOWN_EXCEPTION", "call", "retry", Passing, "HW-202"),
    ("REQUEST_LIMIT_EXCEEDED", "later", "retry", Retriable, "HW-206"),
    ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "later", "retry", Retriable, "HW-213"),
    ("QUERY_TIMEOUT", "later", "retry", Retriable, "HW-214"),
    ("REQUEST_RUNNING_TOO_LONG", "later", "retry", Retriable, "HW-214"),
    ("OPERATION_TOO_LARGE", "later", "retry", Retriable, "HW-214"),
    ("INVALID_QUERY_LOCATOR", "resume", "retry", LocatorLost, "HW-212"),
    ("INVALID_LOCATOR", "resume", "retry", LocatorLost, "HW-212"),
    ("INVALID_SESSION_ID", "login", "retry", SessionRefused, "HW-205"),
    ("INVALID_AUTH_HEADER", "login", "retry", SessionRefused, "HW-205"),
    ("INVALID_FIELD", "describe", "refused", FieldGone, "HW-209"),
    ("INVALID_TYPE", "describe", "refused", FieldGone, "HW-209"),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", "describe", "refused", FieldGone, "HW-209"),
    ("ENTITY_IS_DELETED", "resolve", "gone", CallRefused, "HW-208"),
    ("INVALID_CROSS_REFERENCE_KEY", "resolve", "gone", CallRefused, "HW-208"),
    ("MALFORMED_ID", "resolve", "gone", CallRefused, "HW-208"),
    ("NOT_FOUND", "resolve", "gone", CallRefused, "HW-208"),
    ("CANNOT_UPDATE_CONVERTED_LEAD", "resolve", "gone", CallRefused, "HW-208"),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "park", "parked", CallRefused, "HW-208"),
    ("FIELD_FILTER_VALIDATION_EXCEPTION", "park", "parked", CallRefused, "HW-208"),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "park", "parked", CallRefused, "HW-208"),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", "park", "parked", CallRefused, "HW-208"),
    ("REQUIRED_FIELD_MISSING", "park", "parked", CallRefused, "HW-208"),
    ("ENTITY_IS_LOCKED", "park", "parked", CallRefused, "HW-208"),
    ("INSUFFICIENT_ACCESS_OR_READONLY", "park", "parked", CallRefused, "HW-208"),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "park", "parked", CallRefused, "HW-208"),
    ("DUPLICATES_DETECTED", "park", "parked", CallRefused, "HW-208"),
    ("DUPLICATE_VALUE", "park", "parked", CallRefused, "HW-208"),
    ("DUPLICATE_EXTERNAL_ID", "never", "refused", CallRefused, "HW-208"),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "never", "refused", CallRefused, "HW-208"),
    ("STRING_TOO_LONG", "never", "refused", CallRefused, "HW-208"),
    ("NUMBER_OUTSIDE_VALID_RANGE", "never", "refused", CallRefused, "HW-208"),
    ("JSON_PARSER_ERROR", "never", "refused", CallRefused, "HW-208"),
    ("INVALID_TYPE_ON_FIELD_IN_RECORD", "never", "refused", CallRefused, "HW-208"),
    ("FIELD_INTEGRITY_EXCEPTION", "never", "refused", CallRefused, "HW-208"),
    ("MALFORMED_QUERY", "never", "refused", CallRefused, "HW-208"),
    ("QUERY_TOO_COMPLICATED", "never", "refused", CallRefused, "HW-208"),
    ("EXCEEDED_ID_LIMIT", "never", "refused", CallRefused, "HW-208"),
    ("INVALID_REPLICATION_DATE", "never", "refused", CallRefused, "HW-208"),
    ("INSUFFICIENT_ACCESS", "never", "refused", CallRefused, "HW-208"),
    ("FUNCTIONALITY_NOT_ENABLED", "never", "refused", CallRefused, "HW-208"),
    ("UNSUPPORTED_API_VERSION", "page", "refused", Fatal, "HW-210"),
    ("API_DISABLED_FOR_ORG", "page", "refused", Fatal, "HW-211"),
    ("API_CURRENTLY_DISABLED", "page", "refused", Fatal, "HW-211"),
    ("STORAGE_LIMIT_EXCEEDED", "full", "full", CallRefused, "HW-208"),
    ("TXN_SECURITY_METERING_ERROR", "page", "refused", Fatal, "HW-211"),
    ("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "page", "refused", Fatal, "HW-211"),
]


@pytest.mark.parametrize(("code", "what", "verdict", "kind", "ours"), KNOWN)
def test_each_known_code_has_one_class_for_records_and_calls_alike(
    code: str, what: str, verdict: str, kind: type[Exception], ours: str
) -> None:
    assert (class_of(code), verdict_of(code)) == (what, verdict)
    error = call_error(400, said(code, "words"), is_harmless=True)
    assert type(error) is kind
    assert (error.code, error.vendor) == (ours, f"{code}: words")


def test_the_table_of_this_test_is_the_whole_table() -> None:
    assert {code: what for code, what, *_ in KNOWN} == CLASSES


@pytest.mark.parametrize("code", ["SOMETHING_SALESFORCE_INVENTS_NEXT_YEAR", None])
def test_an_unknown_code_loses_nothing_and_hammers_at_nothing(code: str | None) -> None:
    assert verdict_of(code) == "parked"
    assert type(call_error(400, said(code or ""), is_harmless=True)) is CallRefused
    assert type(call_error(500, said(code or ""), is_harmless=True)) is Passing


@pytest.mark.parametrize("code", ["API_DISABLED_FOR_ORG", "INVALID_SESSION_ID", "REQUEST_LIMIT_EXCEEDED"])
def test_what_concerns_everybody_ends_the_whole_cycle(code: str) -> None:
    assert call_error(403, said(code), is_harmless=True).code in ORG_WIDE


def test_what_a_person_has_to_act_on_says_what_to_do() -> None:
    for code, what, *_ in KNOWN:
        if what in ("login", "describe", "page"):
            error = call_error(400, said(code), is_harmless=True)
            assert error.actions, code


def test_a_lock_is_a_write_that_was_not_made() -> None:
    assert type(call_error(400, said("UNABLE_TO_LOCK_ROW"), is_harmless=False)) is Passing
    assert type(call_error(500, said("UNKNOWN_EXCEPTION"), is_harmless=False)) is Ambiguous


def test_both_spellings_of_a_code_are_read() -> None:
    assert vendor_error([{"statusCode": "A", "message": "m", "fields": ["X__c"]}]).code == "A"
    assert vendor_error([{"errorCode": "B"}]).code == "B"
    assert vendor_error({"exceptionCode": "C", "exceptionMessage": "m"}).code == "C"
    assert vendor_error({"error": "invalid_grant", "error_description": "user hasn't approved this consumer"}).code == (
        "invalid_grant"
    )


def test_a_page_of_html_is_never_quoted() -> None:
    assert "secret" not in vendor_error("<html>secret</html>").words
