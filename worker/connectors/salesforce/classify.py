"""
What Salesforce's error codes mean for us: the one table for whole calls and for single records.

It is pure. The client uses it for calls that failed, the writer for records within a call that succeeded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from worker.connectors.base import Verdict
from worker.connectors.http import Ambiguous, Passing, whole_text
from worker.connectors.salesforce.hosts import DOOR
from worker.core.errors import Fatal, HeadwaterError, Retriable

# One record's verdict by Salesforce's status code (codes as documented and as seen by others' clients, read 2026-11).
# A code that is not here parks the record: it is neither lost nor sent again and again.
VERDICTS: Final[dict[str, Verdict]] = {
    "UNABLE_TO_LOCK_ROW": "retry",
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": "retry",
    "PROCESSING_HALTED": "retry",
    "SERVER_UNAVAILABLE": "retry",
    "REQUEST_LIMIT_EXCEEDED": "retry",
    "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE": "retry",
    "UNKNOWN_EXCEPTION": "retry",
    "TXN_SECURITY_METERING_ERROR": "retry",
    "ENTITY_IS_DELETED": "gone",
    "INVALID_CROSS_REFERENCE_KEY": "gone",
    "MALFORMED_ID": "gone",
    "NOT_FOUND": "gone",
    "CANNOT_UPDATE_CONVERTED_LEAD": "gone",
    "INVALID_FIELD": "refused",
    "INVALID_TYPE": "refused",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "refused",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "refused",
    "STRING_TOO_LONG": "refused",
    "NUMBER_OUTSIDE_VALID_RANGE": "refused",
    "JSON_PARSER_ERROR": "refused",
    "INVALID_TYPE_ON_FIELD_IN_RECORD": "refused",
    "FIELD_INTEGRITY_EXCEPTION": "refused",
    "DUPLICATE_EXTERNAL_ID": "refused",
    "INSUFFICIENT_ACCESS": "refused",
    "API_DISABLED_FOR_ORG": "refused",
    "API_CURRENTLY_DISABLED": "refused",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "parked",
    "FIELD_FILTER_VALIDATION_EXCEPTION": "parked",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "parked",
    "CANNOT_EXECUTE_FLOW_TRIGGER": "parked",
    "REQUIRED_FIELD_MISSING": "parked",
    "INSUFFICIENT_ACCESS_OR_READONLY": "parked",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "parked",
    "DUPLICATES_DETECTED": "parked",
    "DUPLICATE_VALUE": "parked",
}

# Statuses without a word of Salesforce's own that pass by themselves; 420 and 406 come from its edge.
_PASSING_STATUSES: Final = frozenset({406, 420, 429, 500, 502, 503, 504})
# Of those, the ones given before the call was looked at: a write that got one was not made.
_UNTOUCHED_STATUSES: Final = frozenset({406, 420, 429})
_PASSING_CODES: Final = frozenset({"SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION", "UNABLE_TO_LOCK_ROW"})
_SHORT: Final = 400

# Codes of ours that concern the whole organisation: no further stream needs to be tried.
ORG_WIDE: Final = frozenset({"HW-201", "HW-202", "HW-204", "HW-205", "HW-206", "HW-207", "HW-210", "HW-211", "HW-213"})


class SessionRefused(Fatal):
    """
    The session is not valid any more; one new login may help.
    """


class LocatorLost(Retriable):
    """
    A query's next pages are gone; the window goes on from the last record read.
    """


class CallRefused(Fatal):
    """
    A call refused for a reason that has no class of its own; ``status`` is the answer's.
    """

    def __init__(self, status: int, vendor: str) -> None:
        super().__init__("HW-208", f"Salesforce refused a call (status {status})", vendor=vendor)
        self.status = status


class FieldGone(Fatal):
    """
    A query or a write names a field or an object that is not visible to us (any more).
    """


@dataclass(frozen=True)
class VendorError:
    """
    Salesforce's own words: code, message, and the fields it names.
    """

    code: str | None
    message: str
    fields: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """
        Code and message in one line, cut.
        """
        text = f"{self.code}: {self.message}" if self.code else self.message
        return whole_text(re.sub(r"\s+", " ", text.replace("\0", "")).strip()[:_SHORT])


def vendor_error(content: Any) -> VendorError:
    """
    The first error in the body of a failed call, or in a record's ``errors``: a list, an object, or text.
    """
    first = content[0] if isinstance(content, list) and content else content
    if isinstance(first, dict):
        code = first.get("errorCode") or first.get("statusCode") or first.get("exceptionCode") or first.get("error")
        message = first.get("message") or first.get("exceptionMessage") or first.get("error_description") or ""
        fields = first.get("fields")
        names = tuple(str(field) for field in fields) if isinstance(fields, list) else ()
        return VendorError(str(code) if code else None, str(message), names)
    # A page in HTML says nothing that helps, and may say a lot.
    return VendorError(None, "an answer without a code of Salesforce's")


def verdict_of(code: str | None) -> Verdict:
    """
    What a record's error code means for that record.
    """
    return VERDICTS.get(code or "", "parked")


def call_error(status: int, content: Any, *, is_harmless: bool) -> HeadwaterError:
    """
    The error of a call that failed as a whole; ``is_harmless`` as in ``http.translated``.
    """
    error = vendor_error(content)
    if status == 401 or error.code == "INVALID_SESSION_ID":
        return _session_error(error)
    if error.code in _KNOWN:
        return _KNOWN[error.code](error)
    if 300 <= status < 400:
        return Fatal(DOOR.address, f"Salesforce sent us elsewhere (status {status}), which is never followed")
    if status == 410:
        return _retired(error)
    if status in _PASSING_STATUSES or error.code in _PASSING_CODES:
        message = f"Salesforce is not available (status {status})"
        kind = Passing if is_harmless or status in _UNTOUCHED_STATUSES else Ambiguous
        return kind(DOOR.unreachable, message, vendor=error.words)
    return CallRefused(status, error.words)


def _session_error(error: VendorError) -> HeadwaterError:
    # Two refusals carry the code of an expired session and are none: a new login would be refused in the same way.
    if "not valid for use with" in error.message or "not attached to Agent" in error.message:
        return Fatal("HW-205", "the session may not use the REST API", vendor=error.words)
    return SessionRefused(
        "HW-205",
        "Salesforce does not accept the session, not even a new one",
        vendor=error.words,
        actions=["Look at the integration user's login history and its session settings in Setup."],
    )


def _limit_error(error: VendorError) -> HeadwaterError:
    if "oncurrent" in error.message:
        return Retriable(
            "HW-207", "too many long calls at once in this org", after=timedelta(seconds=20), vendor=error.words
        )
    return Retriable(
        "HW-206",
        "the organisation's API calls of the last 24 hours are used up",
        after=timedelta(minutes=15),
        vendor=error.words,
    )


def _disabled(error: VendorError) -> HeadwaterError:
    return Fatal("HW-211", "this organisation does not let us use its API", vendor=error.words)


def _retired(error: VendorError) -> HeadwaterError:
    return Fatal("HW-210", "this version of the Salesforce API is retired", vendor=error.words)


def _maintenance(error: VendorError) -> HeadwaterError:
    message = "Salesforce is under maintenance and read only"
    return Retriable("HW-213", message, after=timedelta(minutes=10), vendor=error.words)


def _locator_lost(error: VendorError) -> HeadwaterError:
    return LocatorLost("HW-212", "Salesforce has dropped the rest of a query", vendor=error.words)


def _too_large(error: VendorError) -> HeadwaterError:
    return Retriable(
        "HW-214",
        "a query was too large for Salesforce",
        after=timedelta(minutes=5),
        vendor=error.words,
        actions=["Give the integration user View All on the object: large shared objects are slow without."],
    )


def _field_gone(error: VendorError) -> HeadwaterError:
    return FieldGone("HW-209", "a field or object is not visible to the integration user", vendor=error.words)


_KNOWN: Final[dict[str | None, Callable[[VendorError], HeadwaterError]]] = {
    "REQUEST_LIMIT_EXCEEDED": _limit_error,
    "API_DISABLED_FOR_ORG": _disabled,
    "API_CURRENTLY_DISABLED": _disabled,
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": _disabled,
    "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE": _maintenance,
    "INVALID_QUERY_LOCATOR": _locator_lost,
    "INVALID_LOCATOR": _locator_lost,
    "QUERY_TIMEOUT": _too_large,
    "OPERATION_TOO_LARGE": _too_large,
    "INVALID_FIELD": _field_gone,
    "INVALID_TYPE": _field_gone,
    "UNSUPPORTED_API_VERSION": _retired,
}
