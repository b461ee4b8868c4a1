"""
What a platform must be able to do: the protocols that flows are written against.

A ``Source`` is read, a ``Sink`` is written. Flows never name a platform; wiring hands them sources and sinks. A
cursor's inside is its connector's own business: flows store it and give it back. This module only describes; it does
nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

Place = Mapping[str, Any]


@dataclass(frozen=True)
class Stream:
    """
    One kind of record of one platform.

    ``name`` is ``<source>.<kind>`` ("salesforce.lead"), ``shape`` a key of ``core.records.SHAPES``. ``overlap`` is
    how far behind its watermark each window starts again. ``required`` streams stop the pull when they cannot be read
    at all; others degrade to a finding. ``object`` is the platform's own name of what it holds ("Lead"), by which hints
    name it; empty where there are no hints. ``is_swept`` streams can be counted: their cursors may name ``only``.
    """

    name: str
    shape: str
    overlap: timedelta
    required: bool = True
    is_swept: bool = False
    object: str = ""


@dataclass(frozen=True)
class ChangeHint:
    """
    Word that records of one object may have changed ("Lead", their ids, when): a reason to look and never data. Hints
    may be lost, doubled, late or wrong: polling finds everything without them, only later.
    """

    object: str
    ids: Sequence[str]
    at: datetime


@dataclass(frozen=True)
class Cursor:
    """
    Where a stream stands, as stored.

    ``watermark`` is the end of the last finished window (None before the first). ``lo`` and ``hi`` are the window that
    is being read, half open, whole seconds, frozen before its first page (None between windows; ``lo`` None means from
    the beginning). ``place`` is how far inside the window the last committed page came (None at its start): JSON that
    only the connector reads. ``token`` is what a token-driven stream continues from instead of a watermark.

    ``only`` set asks for a census instead of a window: every record there is, deleted ones that are still shown too,
    whatever its stamp, and of its columns ``record_id``, ``stamp_at``, ``is_deleted`` and those of the fields named
    (the platform's names) or worked out by the platform without moving a stamp. ``lo`` and ``hi`` are None then.
    """

    stream: str
    watermark: datetime | None = None
    lo: datetime | None = None
    hi: datetime | None = None
    place: Place | None = None
    token: str | None = None
    only: Sequence[str] | None = None


@dataclass(frozen=True)
class Page:
    """
    Some rows of one stream and the place after them: both are committed in one transaction.

    ``columns`` are the neutral columns of the stream's shape in the order of the rows; ``ours.X`` and ``extra.X`` go
    into those objects, ``attributes`` is JSON text. Rows come either as ``rows`` (text or None a value) or as ``csv``
    (chunks of RFC 4180 bytes without header, empty = null, same column order); ``count`` is how many the platform
    said there are, checked after the copy, None if it did not say. A stored row keeps what it has in columns that a
    page does not name. ``numbers`` are columns of ``ours`` and ``extra`` whose numbers the CSV may spell otherwise than
    rows do ("43.0" for "43").

    ``unseen`` are ids asked for that the platform neither shows nor calls deleted: hidden from us, perhaps for a time.
    ``doubtful`` are ids said to be deleted that may have come back since: those stored as live are to be read again.

    ``place`` and ``token`` replace the cursor's; ``last`` ends the window and moves the watermark to its ``hi``.
    ``again_after`` set means: nothing more now, come again in so long (a server-side job is not finished).
    """

    stream: str
    columns: Sequence[str] = ()
    rows: Iterable[Sequence[str | None]] = ()
    csv: Iterable[bytes] | None = None
    numbers: Collection[str] = ()
    count: int | None = None
    unseen: Sequence[str] = ()
    doubtful: Sequence[str] = ()
    place: Place | None = None
    token: str | None = None
    last: bool = False
    again_after: timedelta | None = None


@dataclass(frozen=True)
class Usage:
    """
    The organisation's own count of its API calls as last answered: used and allowed in its rolling day.
    """

    used: int
    allowed: int


class Source(Protocol):
    """
    A platform to read from.
    """

    @property
    def name(self) -> str:
        """
        Short, stable, the first half of its streams' names: "salesforce", "marketo".
        """

    @property
    def streams(self) -> Sequence[Stream]:
        """
        Every stream it can give.
        """

    def now(self) -> datetime:
        """
        The platform's present instant, aware UTC: our clock corrected by the last answer's Date header.

        May cost a token call before the first answer of this process, and none after it, also when that answer was
        trouble. Raises Retriable or Fatal as every call does.
        """

    def read(self, cursors: Sequence[Cursor], known: Mapping[str, Any]) -> Iterator[Page]:
        """
        Pages of every stream whose cursor is given, each window read to its end or to an ``again_after``.

        ``known`` is what ``learned`` returned at the end of an earlier run (descriptions of objects); it may be empty.
        A page's rows must be taken before the next page is asked for.
        Raises Retriable (all pages given so far stand), Fatal, never Skippable.
        """

    def read_records(self, stream: str, record_ids: Sequence[str], known: Mapping[str, Any]) -> Iterator[Page]:
        """
        The named records of one stream as they stand now, whatever their stamps. Pages carry no place.

        A record that is gone for good is given with ``record_id`` and ``is_deleted`` alone; one that is not shown, and
        not called deleted either, is ``unseen``.
        """

    def learned(self) -> Mapping[str, Any]:
        """
        JSON to remember for the next run (object descriptions with the time they were read). No call; also good after
        a ``read`` that raised.
        """

    def usage(self) -> Usage | None:
        """
        The platform's own count of calls, from its last answer; None where it does not say. No call.
        """

    def calls(self) -> int:
        """
        How many calls this process has sent so far, logins aside. No call.
        """


@dataclass(frozen=True)
class RecordChange:
    """
    What one record should be set to: field -> canonical text (None empties it). ``removes`` is the platform's id of a
    record that is to be deleted instead.

    Records of an object that we make ourselves are known by our own key: ``record_id`` is that key, and a record that
    is not there comes into being.
    """

    record_id: str
    values: Mapping[str, str | None]
    removes: str | None = None


Verdict = Literal["done", "retry", "parked", "gone", "refused", "full", "unknown"]


@dataclass(frozen=True)
class Result:
    """
    The platform's answer for one record, in the order sent.

    done: it holds the values now. retry: try again soon (a lock). parked: refused by a rule of theirs until the record
    changes. gone: deleted, merged or converted, resolve again. refused: configuration, a person must act. full: no
    further record fits in until a person makes room; those that are there can still be changed.
    unknown: it may or may not have happened, read before writing again.
    """

    record_id: str
    verdict: Verdict
    code: str | None = None
    message: str | None = None
    vendor_id: str | None = None  # the platform's id, where ``record_id`` is a key of ours


@dataclass(frozen=True)
class Observed:
    """
    One record's fields as they stand at this moment, canonical text; ``values`` is None when the record is gone.
    """

    record_id: str
    values: Mapping[str, str | None] | None
    facts: Mapping[str, str | None] = field(default_factory=dict)


class Sink(Protocol):
    """
    A platform to write to.
    """

    @property
    def name(self) -> str:
        """
        The same name its source has.
        """

    @property
    def batch_size(self) -> int:
        """
        How many records one write call carries at most.
        """

    def observe(self, object_name: str, record_ids: Sequence[str], fields: Sequence[str]) -> Sequence[Observed]:
        """
        The fields as they stand now, in the order asked, one call for up to 2,000 records.
        """

    def write(self, object_name: str, changes: Sequence[RecordChange]) -> Sequence[Result]:
        """
        Set the fields, at most ``batch_size`` records, one call; one result a change, same order.

        A call whose answer never came gives ``unknown`` for every row. Raises Retriable before anything was sent, Fatal
        when nothing can be sent at all.
        """

    def usage(self) -> Usage | None:
        """
        The platform's own count of calls, from its last answer.
        """

    def recall(self, known: Mapping[str, Any]) -> None:
        """
        Take over what the source of this platform has learned, which spares calls.
        """

    @property
    def bulk_above(self) -> int | None:
        """
        More records than this are handed over to a job of the platform's own; None where it has none.
        """

    def open_job(self, object_name: str, *, removes: bool = False) -> str | None:
        """
        A new job, empty: nothing is written by it yet. Its id there; None where the platform takes no job of this
        object, or none today. A job sets fields, or it deletes: ``removes``.
        """

    def hand_over(self, job: str, object_name: str, changes: Sequence[RecordChange]) -> Sequence[Result]:
        """
        Give a job its changes and let it run. Returns results of those alone that were refused here and not sent.

        Whether it came about is not told, and not by what is raised either: ``job_results`` knows.
        """

    def job_results(
        self, job: str, object_name: str, changes: Sequence[RecordChange], *, give_up: bool = False
    ) -> Sequence[Result] | None:
        """
        What became of the changes of a job, in the order asked; None while it runs.

        A job that was never let run is ended, and so is one that runs when ``give_up`` is set: records it has not
        looked at are ``retry``. A job that is gone gives ``unknown``. Raises as a read does.
        """

    def drop_job(self, job: str) -> None:
        """
        Tidy a job away whose results were kept. Never raises for a platform's sake.
        """
