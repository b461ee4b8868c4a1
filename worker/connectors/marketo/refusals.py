"""
What Marketo's error codes mean for us: the one table. Errors come inside answers of HTTP status 200.

It is pure; the client uses it. Codes and what to do about them are Adobe's, read 2026-11.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from worker.connectors.http import Door, Passing
from worker.core.errors import Fatal, HeadwaterError, Retriable

DOOR: Final = Door("Marketo", address="HW-301", unreachable="HW-302", garbled="HW-303", certificate="HW-313")

TOKEN_CODES: Final = frozenset({"600", "601", "602"})
NO_DATA: Final = "702"
UNKNOWN_FIELD: Final = "1006"
_PASSING: Final = frozenset({"502", "604", "608", "611", "713", "719"})
_NOT_ENTITLED: Final = frozenset({"603", "616", "703", "1008", "1018"})
_PERMANENT: Final = frozenset(
    {"413", "414", "605", "609", "610", "612", "701", "704", "1001", "1002", "1003", "1004", "1006", "1011", "1013"}
)
# One hundred calls in twenty seconds, ten at once; the day's quota begins again at midnight US Central.
_RATE_PAUSE: Final = timedelta(seconds=20)
_CONCURRENCY_PAUSE: Final = timedelta(seconds=5)
_CENTRAL: Final = ZoneInfo("America/Chicago")
_SHORT: Final = 400

# Codes of ours that concern the whole subscription: no further stream needs to be tried.
SUBSCRIPTION_WIDE: Final = frozenset({"HW-301", "HW-302", "HW-303", "HW-304", "HW-306", "HW-307", "HW-308", "HW-312"})


class CallRefused(Fatal):
    """
    A call that will be refused in the same way again; ``vendor_code`` is Marketo's.
    """

    def __init__(self, vendor_code: str, words: str) -> None:
        super().__init__("HW-309", f"Marketo refused a call (code {vendor_code})", vendor=words)
        self.vendor_code = vendor_code


def refusal(error: Any, now: datetime) -> HeadwaterError:
    """
    The error for one entry of an answer's ``errors``; ``now`` is the platform's present instant.
    """
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    message = str(error.get("message", "")) if isinstance(error, dict) else str(error)
    words = f"{code}: {message}"[:_SHORT]
    if code in TOKEN_CODES:
        after = timedelta(minutes=5)
        return Retriable("HW-312", "Marketo does not accept the access token, not even a new one", after=after)
    if code in _PASSING or code == "614":
        return Passing("HW-302", "Marketo is not available", vendor=words)
    if code == "606":
        return Retriable("HW-306", "Marketo's limit of 100 calls in 20 s is reached", after=_RATE_PAUSE, vendor=words)
    if code == "615":
        message = "too many calls to Marketo at once"
        return Retriable("HW-308", message, after=_CONCURRENCY_PAUSE, vendor=words)
    if code == "607":
        return Retriable("HW-307", "Marketo's calls of the day are used up", after=until_reset(now), vendor=words)
    if code in _NOT_ENTITLED:
        return Fatal(
            "HW-305",
            "the API user may not do this, or the subscription does not include it",
            vendor=words,
            actions=["Give the API user's role the read-only permissions for people, activities and assets."],
        )
    if code in _PERMANENT:
        return CallRefused(code, words)
    return Fatal("HW-311", "Marketo refused a call with a code we do not know", vendor=words)


def until_reset(now: datetime) -> timedelta:
    """
    How long until the next midnight US Central.
    """
    local = now.astimezone(_CENTRAL)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.astimezone(now.tzinfo) - now + timedelta(minutes=1)
