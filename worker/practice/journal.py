"""
What the practice orgs were asked: one entry a request, so that a test can count calls and read the headers sent.

It keeps requests, never answers (beyond their status). The server's outermost layer writes it; the control API reads
it. The oldest entries are forgotten when their bodies together pass ``BODY_BUDGET`` characters.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

BODY_LIMIT = 200_000  # characters kept of one request body
BODY_BUDGET = 200_000_000  # characters kept of all bodies together
ENTRY_LIMIT = 200_000

Kind = Literal["token", "read", "write", "other"]


@dataclass(frozen=True)
class Entry:
    """
    One request. ``at`` is the practice clock in ISO form, ``headers`` have lower-case names, ``rows`` is how many
    records were read or written (None where that has no meaning), ``query`` is the raw query string, ``caller`` the
    name of the user whose session the request came with (None without a valid one).
    """

    at: str
    system: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str | None
    status: int | None
    rows: int | None
    kind: Kind
    caller: str | None = None
    seq: int = 0


class Journal:
    """
    The list of entries, numbered from 1. Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._last = 0
        self._body_size = 0

    def record(self, entry: Entry) -> int:
        """
        Append ``entry`` with the next number, which is returned. The body is cut at ``BODY_LIMIT``.
        """
        with self._lock:
            self._last += 1
            body = entry.body[:BODY_LIMIT] if entry.body is not None else None
            self._entries.append(Entry(**{**vars(entry), "seq": self._last, "body": body}))
            self._body_size += len(body or "")
            while self._body_size > BODY_BUDGET or len(self._entries) > ENTRY_LIMIT:
                self._body_size -= len(self._entries.popleft().body or "")
            return self._last

    def entries(self, system: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """
        Entries numbered above ``after``, oldest first, of one system or of all.
        """
        with self._lock:
            return [asdict(e) for e in self._entries if e.seq > after and system in (None, e.system)]

    @property
    def last(self) -> int:
        """
        The number of the newest entry ever recorded, 0 at the start. Clearing does not reset it.
        """
        return self._last

    def clear(self) -> None:
        """
        Forget all entries; numbering goes on.
        """
        with self._lock:
            self._entries.clear()
            self._body_size = 0
