"""
Deletions that no query shows: rows of objects that have no recycle bin are asked of Salesforce's log of deletions.

The question travels with a window's poll, so it costs no call. What cannot be asked is lost alone and said in
``learned``: how far the log was read is remembered, and the next question begins there. Streams calls it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from worker.connectors.base import Cursor, Page
from worker.connectors.http import Passing
from worker.connectors.salesforce.classify import CallRefused
from worker.connectors.salesforce.client import Part
from worker.connectors.salesforce.hosts import DOOR
from worker.connectors.salesforce.mapping import OBJECTS
from worker.connectors.salesforce.soql import instant, instant_of, is_record_id
from worker.core.errors import HeadwaterError

COLUMNS: Final = ("record_id", "is_deleted", "stamp_at")
# Objects whose deleted rows are gone at once, also for queryAll.
_WITHOUT_BIN: Final = frozenset({"salesforce.opportunity_contact_role", "salesforce.campaign_member"})
# The log reaches so far back (read 2026-11); a minute is left for the way there.
_REACH: Final = timedelta(days=15) - timedelta(minutes=1)
_MINUTE: Final = timedelta(minutes=1)
_PAGE_ROWS: Final = 2_000


@dataclass(frozen=True)
class Question:
    """
    One stream's part of the log, ``start`` to ``end`` in whole minutes, and ``until``, how much of it has happened.
    """

    stream: str
    start: datetime
    end: datetime
    until: datetime

    @property
    def path(self) -> str:
        """
        What follows the version in its address.
        """
        times = urlencode({"start": _with_offset(self.start), "end": _with_offset(self.end)})
        return f"sobjects/{OBJECTS[self.stream].object_name}/deleted?{times}"


class Deletions:
    """
    How far the log was read of each stream, and where it is silent.
    """

    def __init__(self) -> None:
        self._read_to: dict[str, str] = {}
        self._gaps: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._is_end_ahead = True

    def recall(self, known: Mapping[str, Any]) -> None:
        """
        Take over what ``learned`` gave at the end of an earlier run.
        """
        told = known.get("deletions")
        if isinstance(told, dict):
            self._read_to = dict(told.get("read_to") or {})
            self._gaps = dict(told.get("gaps") or {})
            self._refused = dict(told.get("refused") or {})

    def learned(self) -> dict[str, Any]:
        """
        ``read_to`` stream -> instant; ``gaps`` stream -> which deletions were never told, until it is read from the
        beginning again; ``refused`` stream -> why it could not be asked the last time.
        """
        return {"read_to": self._read_to, "gaps": self._gaps, "refused": self._refused}

    def question(self, cursor: Cursor, now: datetime) -> Question | None:
        """
        What to ask for a window; None for a first load, and for objects whose deletions a query shows.
        """
        if cursor.stream not in _WITHOUT_BIN or cursor.hi is None:
            return None
        if cursor.lo is None:
            self._gaps.pop(cursor.stream, None)
            return None
        read_to = self._read_to.get(cursor.stream)
        begin = cursor.lo if read_to is None else min(cursor.lo, datetime.fromisoformat(read_to))
        # Seconds are ignored: the window's last minute is asked for whole, or left to the next window.
        end = _minute(cursor.hi + (_MINUTE if self._is_end_ahead else timedelta(0)))
        start = min(_minute(begin), end - 2 * _MINUTE)
        earliest = _minute(now - _REACH) + _MINUTE
        if start < earliest:
            self._note_gap(cursor.stream, start, earliest)
            start = earliest
        return Question(cursor.stream, start, end, min(cursor.hi, end)) if start < end - _MINUTE else None

    def told(self, question: Question, part: Part) -> "Told | None":
        """
        What an answer holds; None where the question was refused or the answer is none.
        """
        try:
            answer = part.result()
            stamps = _stamps(answer)
            earliest, covered = _moment(answer.get("earliestDateAvailable")), _moment(answer.get("latestDateCovered"))
        except HeadwaterError as error:
            if isinstance(error, CallRefused) and error.status == 400:
                self._is_end_ahead = False  # perhaps this organisation takes no end that is still to come
            self._refused[question.stream] = str(error)
            return None
        self._refused.pop(question.stream, None)
        if earliest is not None and earliest > question.start:
            self._note_gap(question.stream, question.start, earliest)
        until = question.until if covered is None else min(question.until, covered)
        return Told(question.stream, stamps, until)

    def settle(self, told: "Told") -> None:
        """
        What was told is kept: the next question begins where this answer ended.
        """
        self._read_to[told.stream] = told.until.isoformat()

    def _note_gap(self, stream: str, start: datetime, end: datetime) -> None:
        name = OBJECTS[stream].object_name
        self._gaps[stream] = (
            f"deletions of {name} between {instant(start)} and {instant(end)} are not told by Salesforce any more"
        )


@dataclass(frozen=True)
class Told:
    """
    The deleted rows of one stream, id -> stamp, and up to where the log is complete.
    """

    stream: str
    stamps: Mapping[str, str]
    until: datetime

    def pages(self) -> Iterator[Page]:
        """
        The rows with the columns they have, the last page marked as such; no page where there is no row.
        """
        rows = [[record_id, "true", stamp] for record_id, stamp in self.stamps.items()]
        for start in range(0, len(rows), _PAGE_ROWS):
            some: Sequence[Sequence[str | None]] = rows[start : start + _PAGE_ROWS]
            is_last = start + _PAGE_ROWS >= len(rows)
            yield Page(stream=self.stream, columns=COLUMNS, rows=some, count=len(some), last=is_last)


def _stamps(answer: Mapping[str, Any]) -> dict[str, str]:
    records = answer.get("deletedRecords")
    if not isinstance(records, list) or not all(_is_deletion(record) for record in records):
        raise Passing(DOOR.garbled, "Salesforce answered a look at its deletions with something else")
    dated = sorted((instant_of(record["deletedDate"]), record["id"]) for record in records)
    return {record_id: _stamp(at) for at, record_id in dated}


def _is_deletion(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("deletedDate"), str)
        and isinstance(record.get("id"), str)
        and is_record_id(record["id"])
    )


def _stamp(at: str) -> str:
    # A date cut to the minute would lie before a change of that minute, and the deletion would not count.
    end = "59Z" if at.endswith(":00Z") else at[-3:]
    return f"{at[:-3]}{end[:-1]}.000Z"


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(instant_of(text)) if isinstance(text, str) else None


def _minute(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _with_offset(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+00:00")
