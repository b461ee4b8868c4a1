"""
Building the queries a sync needs, from checked names and typed values only.

Nothing here is sent: strings in, strings out. Datetimes are whole seconds in UTC, since stamps have no finer ones.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from worker.core.errors import Fatal, Retriable

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,80}")
_SHORT_ID: Final = 15
_CHECK_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:?00)")


def checked_name(name: str) -> str:
    """
    The name of an object or field as given. Raises Fatal HW-209 for anything else.
    """
    if not _NAME.fullmatch(name):
        raise Fatal("HW-209", f"{name[:80]!r} is not the API name of a Salesforce object or field")
    return name


def is_record_id(text: str) -> bool:
    """
    Whether the text has the form of a record id, 15 or 18 characters.
    """
    return _ID.fullmatch(text) is not None


def full_id(record_id: str) -> str:
    """
    An id of 15 characters, which lives by its capitals, as the 18 that Salesforce's API gives; anything else as it is.
    """
    if len(record_id) != _SHORT_ID or not is_record_id(record_id):
        return record_id
    fives = (record_id[start : start + 5] for start in range(0, _SHORT_ID, 5))
    capitals = (sum(1 << place for place, char in enumerate(five) if char.isupper()) for five in fives)
    return record_id + "".join(_CHECK_DIGITS[number] for number in capitals)


def quoted_id(record_id: str) -> str:
    """
    A record id as a literal. Raises Fatal HW-209 for anything else.
    """
    if not is_record_id(record_id):
        raise Fatal("HW-209", f"{record_id[:40]!r} is not a Salesforce record id of 15 or 18 characters")
    return f"'{record_id}'"


def is_key(text: str) -> bool:
    """
    Whether the text has the form of a key of ours: letters, digits, ".", "_", ":" and "-", at most 80.
    """
    return _KEY.fullmatch(text) is not None


def quoted_key(key: str) -> str:
    """
    A key of ours as a literal. Raises Fatal HW-209 for anything else.
    """
    if not is_key(key):
        raise Fatal("HW-209", f"{key[:80]!r} is not a key of a record of ours")
    return f"'{key}'"


def instant(at: datetime) -> str:
    """
    An aware datetime as a literal, cut to the second.
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant_of(stamp: str) -> str:
    """
    A stamp as Salesforce answered it, as a literal. Raises Retriable HW-203 for another form.
    """
    found = _STAMP.fullmatch(stamp)
    if found is None:
        raise Retriable("HW-203", f"Salesforce answered {stamp[:40]!r} where an instant was expected")
    return found.group(1) + "Z"


def select(fields: Sequence[str], object_name: str, where: Sequence[str] = (), order: Sequence[str] = ()) -> str:
    """
    A query; the conditions are joined by AND.
    """
    text = f"SELECT {', '.join(checked_name(name) for name in fields)} FROM {checked_name(object_name)}"
    if where:
        text += f" WHERE {' AND '.join(where)}"
    if order:
        text += f" ORDER BY {', '.join(order)}"
    return text
