"""
What Salesforce's error codes mean for us: the one table, for whole calls and for single records.

It is pure. The client uses it for calls that failed, the writer for records within a call that succeeded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from worker.connectors.base import Verdict
from worker.connectors.http import Ambiguous, Passing, whole_text
from worker.connectors.salesforce.hosts import DOOR
from worker.core.errors import Fatal, HeadwaterError, Retriable

# What is to be done about a code:
#   row       the record again in a moment, with jitter: a lock, or an innocent among the guilty
#   call      the whole call again in a moment: Salesforce's own trouble
#   later     not before a stated pause: limits, maintenance, queries that are too heavy just now
#   resume    the rest of a query is gone: go on behind the last record read
#   login     one new session may help
#   describe  a field or an object is not what it was: look again, ask for what is left, tell a person
#   resolve   the record is merged, converted or deleted: find out what became of it
#   park      a rule of theirs refuses this record: leave it until it changes
#   never     the same words will be refused again: a person or a new version of ours has to change something
#   full      no room for another record until an administrator of theirs makes some; all else works
#   page      nothing works until an administrator of theirs acts
Class = Literal["row", "call", "later", "resume", "login", "describe", "resolve", "park", "never", "full", "page"]

# Codes as documented and as seen by others' clients, read 2026-11.
CLASSES: Final[dict[str, Class]] = {
    "UNABLE_TO_LOCK_ROW": "row",
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": "row",
    "PROCESSING_HALTED": "row",
    "SERVER_UNAVAILABLE": "call",
    "UNKNOWN_EXCEPTION": "call",
    "REQUEST_LIMIT_EXCEEDED": "later",
    "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE": "later",
    "QUERY_TIMEOUT": "later",
    "REQUEST_RUNNING_TOO_LONG": "later",
    "OPERATION_TOO_LARGE": "later",
    "INVALID_QUERY_LOCATOR": "resume",
    "INVALID_LOCATOR": "resume",
    "INVALID_SESSION_ID": "login",
    "INVALID_AUTH_HEADER": "login",
    "INVALID_FIELD": "describe",
    "INVALID_TYPE": "describe",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "describe",
    "ENTITY_IS_DELETED": "resolve",
    "INVALID_CROSS_REFERENCE_KEY": "resolve",
    "MALFORMED_ID": "resolve",
    "NOT_FOUND": "resolve",
    "CANNOT_UPDATE_CONVERTED_LEAD": "resolve",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "park",
    "FIELD_FILTER_VALIDATION_EXCEPTION": "park",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "park",
    "CANNOT_EXECUTE_FLOW_TRIGGER": "park",
    "REQUIRED_FIELD_MISSING": "park",
    "ENTITY_IS_LOCKED": "park",
    "INSUFFICIENT_ACCESS_OR_READONLY": "park",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "park",
    "DUPLICATES_DETECTED": "park",
    "DUPLICATE_VALUE": "park",
    "DUPLICATE_EXTERNAL_ID": "never",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "never",
    "STRING_TOO_LONG": "never",
    "NUMBER_OUTSIDE_VALID_RANGE": "never",
    "JSON_PARSER_ERROR": "never",
    "INVALID_TYPE_ON_FIELD_IN_RECORD": "never",
    "FIELD_INTEGRITY_EXCEPTION": "never",
    "MALFORMED_QUERY": "never",
    "QUERY_TOO_COMPLICATED": "never",
    "EXCEEDED_ID_LIMIT": "never",
    "INVALID_REPLICATION_DATE": "never",
    "INSUFFICIENT_ACCESS": "never",
    "UNSUPPORTED_API_VERSION": "page",
    "API_DISABLED_FOR_ORG": "page",
    "API_CURRENTLY_DISABLED": "page",
    "FUNCTIONALITY_NOT_ENABLED": "never",
    "STORAGE_LIMIT_EXCEEDED": "full",
    "TXN_SECURITY_METERING_ERROR": "page",
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": "page",
}
# A code that nobody has told us of: a record with it is neither lost nor sent again and again, a call is not repeated.
UNKNOWN: Final[Class] = "park"

_VERDICTS: Final[dict[Class, Verdict]] = {
    "row": "retry",
    "call": "retry",
    "later": "retry",
    "resume": "retry",
    "login": "retry",
    "describe": "refused",
    "resolve": "gone",
    "park": "parked",
    "never": "refused",
    "full": "full",
    "page": "refused",
}

# Statuses without a word of Salesforce's own that pass by themselves; 420 and 406 come from its edge.
_PASSING_STATUSES: Final = frozenset({406, 420, 429, 500, 502, 503, 504})
# Of those, the ones given before the call was looked at: a write that got one was not made.
_UNTOUCHED_STATUSES: Final = frozenset({406, 420, 429})
_SHORT: Final = 400

# Codes of ours that concern the whole organisation: no further stream needs to be tried.
ORG_WIDE: Final = frozenset(
    {
        "HW-201", "HW-202", "HW-204", "HW-205", "HW-206", "HW-207", "HW-210", "HW-211", "HW-213", "HW-231", "HW-232",
    }
)  # fmt: skip


class SessionRefused(Fatal):
    """
    The session is not valid any more; one new login may help.
    """


class SessionBarred(Fatal):
    """
    The session is refused for what it is and not for its age: the next one would be refused in the same way.
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


def class_of(code: str | None) -> Class:
    """
    What is to be done about a code of Salesforce's.
    """
    return CLASSES.get(code or "", UNKNOWN)


def verdict_of(code: str | None) -> Verdict:
    """
    What a record's error code means for that record.
    """
    return _VERDICTS[class_of(code)]


def call_error(status: int, content: Any, *, is_harmless: bool) -> HeadwaterError:
    """
    The error of a call that failed as a whole; ``is_harmless`` as in ``http.translated``.
    """
    error = vendor_error(content)
    if status == 401 or class_of(error.code) == "login":
        return _session_error(error)
    told = _TOLD.get(class_of(error.code))
    if told is not None:
        return told(error)
    if 300 <= status < 400:
        return Fatal(DOOR.address, f"Salesforce sent us elsewhere (status {status}), which is never followed")
    if status == 410:
        return _page(VendorError("UNSUPPORTED_API_VERSION", error.message))
    if status in _PASSING_STATUSES or class_of(error.code) in ("call", "row"):
        message = f"Salesforce is not available (status {status})"
        kind = Passing if is_harmless or _was_not_made(status, error) else Ambiguous
        return kind(DOOR.unreachable, message, vendor=error.words)
    return CallRefused(status, error.words)


def _was_not_made(status: int, error: VendorError) -> bool:
    return status in _UNTOUCHED_STATUSES or class_of(error.code) == "row"


def _session_error(error: VendorError) -> HeadwaterError:
    # Two refusals carry the code of an expired session and are none: a new login would be refused in the same way.
    if "not valid for use with" in error.message or "not attached to Agent" in error.message:
        return SessionBarred(
            "HW-205",
            "Salesforce takes the login and does not let its session use the REST API",
            vendor=error.words,
            actions=[
                "Give the integration user the permission API Enabled, and the app the OAuth scope api.",
                "headwater doctor",
            ],
        )
    return SessionRefused(
        "HW-205",
        "Salesforce does not accept the session, not even a new one",
        vendor=error.words,
        actions=[
            "Look at the integration user's login history in Setup: its status says what refused the session.",
            "Setup > Session Settings: do not lock sessions to the address they were opened from, or allow ours.",
        ],
    )


def _later(error: VendorError) -> HeadwaterError:
    if error.code == "REQUEST_LIMIT_EXCEEDED":
        return _limit_error(error)
    if error.code == "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE":
        message = "Salesforce is under maintenance and read only"
        return Retriable("HW-213", message, after=timedelta(minutes=10), vendor=error.words)
    return Retriable(
        "HW-214",
        "a query was too large for Salesforce",
        after=timedelta(minutes=5),
        vendor=error.words,
        actions=["Give the integration user View All on the object: large shared objects are slow without."],
    )


def _limit_error(error: VendorError) -> HeadwaterError:
    # One code, two meanings: too many calls over 20 s at this moment, or no calls left of the rolling day.
    if "oncurrent" in error.message:
        return Retriable(
            "HW-207", "too many long calls at once in this org", after=timedelta(seconds=20), vendor=error.words
        )
    return Retriable(
        "HW-206",
        "the organisation's API calls of the last 24 hours are used up",
        after=timedelta(minutes=15),
        vendor=error.words,
        actions=["headwater status", "Setup > Company Information > API Requests, Last 24 Hours: who uses them"],
    )


def _page(error: VendorError) -> HeadwaterError:
    if error.code == "UNSUPPORTED_API_VERSION":
        return Fatal(
            "HW-210",
            "this version of the Salesforce API is retired",
            vendor=error.words,
            actions=['Set  api_version: "64.0"  under  salesforce:  in service.yaml'],
        )
    return Fatal(
        "HW-211",
        "this organisation does not let us use its API",
        vendor=error.words,
        actions=["Ask a Salesforce administrator: the words above say what has to change."],
    )


def _resume(error: VendorError) -> HeadwaterError:
    return LocatorLost("HW-212", "Salesforce has dropped the rest of a query", vendor=error.words)


def _describe(error: VendorError) -> HeadwaterError:
    return FieldGone(
        "HW-209",
        "a field or object is not visible to the integration user, or not open to it",
        vendor=error.words,
        actions=["headwater doctor"],
    )


# The classes that are one error whatever the status.
_TOLD: Final[dict[Class, Callable[[VendorError], HeadwaterError]]] = {
    "later": _later,
    "page": _page,
    "resume": _resume,
    "describe": _describe,
}
