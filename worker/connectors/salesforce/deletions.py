"""
Deletions that no query shows are asked of Salesforce's log of deletions: at every poll for contact roles and campaign
members, which pass no recycle bin, once an hour for all others (a bin is emptied, deleting for good passes it by).

The question travels with a window's poll, so it costs no call. What cannot be asked is lost alone and said in
``learned``: how far the log was read is remembered, and the next question begins there. A row told as deleted comes
with its id alone: the log knows no stamps, and what is stored of the record stays. Streams and records call it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from worker.connectors.base import Cursor, Page
from worker.connectors.http import Passing
from worker.connectors.salesforce.catalogue import Catalogue
from worker.connectors.salesforce.classify import CallRefused
from worker.connectors.salesforce.client import Part, SalesforceClient
from worker.connectors.salesforce.hosts import DOOR
from worker.connectors.salesforce.mapping import ObjectMap
from worker.connectors.salesforce.soql import instant, instant_of, is_record_id
from worker.core.errors import HeadwaterError

COLUMNS: Final = ("record_id", "is_deleted")
# Objects without a bin whose rows people remove day by day, and on which credit depends: asked for at every poll.
_OFTEN: Final = frozenset({"salesforce.opportunity_contact_role", "salesforce.campaign_member"})
_CYCLE: Final = timedelta(minutes=5)
# All others: what is in the bin a query shows too.
_SELDOM: Final = timedelta(hours=1)
# The log reaches so far back (read 2026-11); a minute is left for the way there.
_REACH: Final = timedelta(days=15) - timedelta(minutes=1)
_MINUTE: Final = timedelta(minutes=1)
# A window ends at the organisation's present second rounded up: what is deleted right after the question, and before
# that end, is in no answer yet. Asking for a minute twice costs nothing.
_MARGIN: Final = _MINUTE
_PAGE_ROWS: Final = 2_000


@dataclass(frozen=True)
class Question:
    """
    One stream's part of the log, ``start`` to ``end`` in whole minutes, and ``until``, how much of it has happened.
    """

    stream: str
    object_name: str
    start: datetime
    end: datetime
    until: datetime

    @property
    def path(self) -> str:
        """
        What follows the version in its address.
        """
        times = urlencode({"start": _with_offset(self.start), "end": _with_offset(self.end)})
        return f"sobjects/{self.object_name}/deleted?{times}"


class Deletions:
    """
    How far the log was read of each stream, and where it is silent. The catalogue says which objects have a bin.
    """

    def __init__(self, catalogue: Catalogue, objects: Mapping[str, ObjectMap]) -> None:
        self._catalogue = catalogue
        self._objects = objects
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

    def overdue(self, question: Question, now: datetime) -> float:
        """
        How long ago the log was read, in terms of how often it should be.
        """
        read_to = self._read_to.get(question.stream)
        since = question.start if read_to is None else datetime.fromisoformat(read_to)
        return abs(now - since) / (_CYCLE if question.stream in _OFTEN else _SELDOM)

    def question(self, cursor: Cursor, now: datetime) -> Question | None:
        """
        What to ask for a window; None for a first load, for objects whose log was read lately, and for those that
        nobody can delete.
        """
        if cursor.hi is None or not self._is_due(cursor.stream, now):
            return None
        if cursor.lo is None:
            self._gaps.pop(cursor.stream, None)
            return None
        read_to = self._read_to.get(cursor.stream)
        begin = cursor.lo if read_to is None else min(cursor.lo, datetime.fromisoformat(read_to) - _MARGIN)
        # Seconds are ignored: the window's last minute is asked for whole, or left to the next window.
        end = _minute(cursor.hi + (_MINUTE if self._is_end_ahead else timedelta(0)))
        start = min(_minute(begin), end - 2 * _MINUTE)
        earliest = _minute(now - _REACH) + _MINUTE
        if start < earliest:
            self._note_gap(cursor.stream, start, earliest)
            start = earliest
        if start >= end - _MINUTE:
            return None
        return Question(cursor.stream, self._objects[cursor.stream].object_name, start, end, min(cursor.hi, end))

    def told(self, question: Question, part: Part) -> "Told | None":
        """
        What an answer holds; None where the question was refused or the answer is none.
        """
        try:
            answer = part.result()
            ids = tuple(_deleted(answer))
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
        comes_back = self._catalogue.has(self._objects[question.stream], "undeletable")
        return Told(question.stream, ids, until, is_certain=not comes_back)

    def settle(self, told: "Told") -> None:
        """
        What was told is kept: the next question begins where this answer ended.
        """
        self._read_to[told.stream] = told.until.isoformat()

    def of(self, client: SalesforceClient, source: ObjectMap) -> frozenset[str]:
        """
        The ids, 15 characters, of all records that the log calls deleted, as far back as it reaches; a call. None where
        the object has no log, or it is refused.
        """
        if not self._catalogue.has(source, "replicateable"):
            return frozenset()
        now = client.now()
        start, end = _minute(now - _REACH) + _MINUTE, _minute(now + (_MINUTE if self._is_end_ahead else timedelta(0)))
        try:
            answer = client.ask_object(Question(source.stream, source.object_name, start, end, now).path)
        except CallRefused:
            return frozenset()
        return frozenset(record_id[:15] for record_id in _deleted(answer))

    def _is_due(self, stream: str, now: datetime) -> bool:
        source = self._objects[stream]
        if not (self._catalogue.has(source, "replicateable") and self._catalogue.has(source, "deletable")):
            return False
        read_to = self._read_to.get(stream)
        return stream in _OFTEN or read_to is None or abs(now - datetime.fromisoformat(read_to)) >= _SELDOM

    def _note_gap(self, stream: str, start: datetime, end: datetime) -> None:
        name = self._objects[stream].object_name
        self._gaps[stream] = (
            f"deletions of {name} between {instant(start)} and {instant(end)} are not told by Salesforce any more"
        )


@dataclass(frozen=True)
class Told:
    """
    The deleted rows of one stream, and up to where the log is complete. It is certain of objects without a bin; from a
    bin a record may have come back.
    """

    stream: str
    ids: Sequence[str]
    until: datetime
    is_certain: bool

    def pages(self) -> Iterator[Page]:
        """
        The rows with the columns they have, the last page marked as such; no page where there is no row.
        """
        if self.ids and not self.is_certain:
            yield Page(stream=self.stream, doubtful=self.ids, last=True)
            return
        rows = [[record_id, "true"] for record_id in self.ids]
        for start in range(0, len(rows), _PAGE_ROWS):
            some: Sequence[Sequence[str | None]] = rows[start : start + _PAGE_ROWS]
            is_last = start + _PAGE_ROWS >= len(rows)
            yield Page(stream=self.stream, columns=COLUMNS, rows=some, count=len(some), last=is_last)


def _deleted(answer: Mapping[str, Any]) -> Iterator[str]:
    records = answer.get("deletedRecords")
    if not isinstance(records, list) or not all(_is_deletion(record) for record in records):
        raise Passing(DOOR.garbled, "Salesforce answered a look at its deletions with something else")
    yield from dict.fromkeys(record["id"] for record in records)


def _is_deletion(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("deletedDate"), str)
        and isinstance(record.get("id"), str)
        and is_record_id(record["id"])
    )


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(instant_of(text)) if isinstance(text, str) else None


def _minute(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _with_offset(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+00:00")
