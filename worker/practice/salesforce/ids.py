"""
Salesforce record ids: 15 case-sensitive characters, or 18 with a suffix that spells the case out.

Pure functions but for ``IdMaker``, which counts. New ids grow in ASCII order, so that sorting by Id is sorting by
creation, as keyset paging expects.
"""

import re
import threading
from collections.abc import Mapping

SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
INSTANCE = "Hw0"  # two characters of instance, one reserved, as real ids have

_FORM = re.compile(r"[0-9A-Za-z]{15}([0-9A-Za-z]{3})?\Z")


def to18(text: str) -> str | None:
    """
    The 18-character form of a 15- or 18-character id, or None if ``text`` is not an id.

    The suffix of an 18-character id is made again from its first 15, as an org does not trust it either.
    """
    if not _FORM.match(text):
        return None
    head = text[:15]
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, char in enumerate(head[start : start + 5]) if "A" <= char <= "Z")
        suffix += SUFFIX[bits]
    return head + suffix


def numbered_id(prefix: str, number: int) -> str:
    """
    The 18-character id number ``number`` (from 1) of the object with the three-character key prefix.
    """
    tail = ""
    for _ in range(9):
        number, digit = divmod(number, 62)
        tail = DIGITS[digit] + tail
    made = to18(prefix + INSTANCE + tail)
    if made is None:
        raise ValueError(f"{prefix!r} is no key prefix")
    return made


class IdMaker:
    """
    Hands out ids per key prefix, after those in ``last``. Safe to use from any thread.
    """

    def __init__(self, last: dict[str, int] | None = None) -> None:
        self._last: dict[str, int] = dict(last or {})
        self._lock = threading.Lock()

    def dump(self) -> dict[str, int]:
        """
        The last number handed out of each prefix.
        """
        with self._lock:
            return dict(self._last)

    def load(self, last: Mapping[str, int]) -> None:
        """
        Go on after these numbers.
        """
        with self._lock:
            self._last = dict(last)

    def take(self, prefix: str, count: int = 1) -> list[str]:
        """
        The next ``count`` ids of ``prefix``.
        """
        with self._lock:
            start = self._last.get(prefix, 0)
            self._last[prefix] = start + count
        return [numbered_id(prefix, start + step) for step in range(1, count + 1)]
