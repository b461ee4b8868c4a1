"""
Salesforce as a source: which streams it gives, and how one cycle over all of them costs a single call.

Every stream's poll and every description that is due travel in one composite/batch call. First loads of large objects
go by Bulk, everything else by REST. One stream's trouble does not keep the others from being read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from worker.connectors.base import Cursor, Page, Stream, Usage
from worker.connectors.http import Ambiguous, Passing
from worker.connectors.salesforce.bulk import MOST_FAILURES, BulkWindow, announced_at, failures_of, is_job
from worker.connectors.salesforce.catalogue import Catalogue, Fields
from worker.connectors.salesforce.classify import ORG_WIDE, FieldGone
from worker.connectors.salesforce.client import BATCH_CALLS, Part, SalesforceClient
from worker.connectors.salesforce.deletions import Deletions, Question, Told
from worker.connectors.salesforce.lookup import Lookup, cannot_read
from worker.connectors.salesforce.mapping import OBJECTS, ObjectMap, Selection
from worker.connectors.salesforce.orphans import end_orphans
from worker.connectors.salesforce.records import pages_of_records
from worker.connectors.salesforce.soql import full_id
from worker.connectors.salesforce.window import RestWindow
from worker.core.errors import Fatal, HeadwaterError

# What administrators set up is looked at so often: it changes a few times a year.
SETTINGS_EVERY: Final = timedelta(hours=1)
# The longest transaction Salesforce allows is ten minutes; its rows appear at its end with the stamps of its course.
OVERLAP: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class ReadLimits:
    """
    Objects are described again after ``describe_every``. A first load of more than ``bulk_above`` rows goes by Bulk,
    ``bulk_page`` rows a page: few large ones, because each is a call and a way there and back. A day without a time
    begins in ``zone``.
    """

    describe_every: timedelta = timedelta(hours=1)
    bulk_above: int = 2_000
    bulk_page: int = 250_000
    zone: str = "UTC"


DEFAULT_LIMITS: Final = ReadLimits()


@dataclass
class _Reading:
    """
    One stream in one cycle: its cursor, and what has come of it so far.
    """

    source: ObjectMap
    cursor: Cursor
    answer: Part | None = None
    by_bulk: bool = False
    told: Told | None = None

    @property
    def is_census(self) -> bool:
        """
        Whether all records are counted, whatever their stamps.
        """
        return self.cursor.only is not None


class SalesforceSource:
    """
    Reads one organisation.

    ``write_fields`` are the fields we write (read back as ``ours.X``), ``extra_fields`` further ones (``extra.X``),
    both object -> names. ``activities`` are custom objects beside the standard ones: those
    whose rows are acts, and the one that is ours. ``streams`` limits what is offered.
    """

    def __init__(
        self,
        client: SalesforceClient,
        *,
        write_fields: Fields | None = None,
        extra_fields: Fields | None = None,
        activities: Sequence[ObjectMap] = (),
        overlap: timedelta = OVERLAP,
        streams: Sequence[str] | None = None,
        limits: ReadLimits = DEFAULT_LIMITS,
    ) -> None:
        self._client = client
        self._catalogue = Catalogue(write_fields or {}, extra_fields or {}, limits.describe_every, limits.zone)
        self._objects = OBJECTS | {each.stream: each for each in activities}
        offered = [self._known(name) for name in (self._objects if streams is None else streams)]
        self._streams = tuple(
            Stream(
                each.stream,
                each.shape,
                overlap,
                required=each.is_required,
                is_swept=True,
                object=each.object_name,
            )
            for each in offered
        )
        self._limits = limits
        self._lookup = Lookup(client, self._catalogue, limits.bulk_above)
        self._deletions = Deletions(self._catalogue, self._objects)
        self._unreadable: dict[str, str] = {}
        self._kept: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """
        "salesforce".
        """
        return "salesforce"

    @property
    def streams(self) -> Sequence[Stream]:
        """
        What it offers, in the order in which records lean on one another.
        """
        return self._streams

    def now(self) -> datetime:
        """
        The organisation's present instant, rounded up to the second. A call (the login) only before any answer.
        """
        return self._client.now()

    def usage(self) -> Usage | None:
        """
        The organisation's calls of its rolling day.
        """
        return self._client.usage()

    def calls(self) -> int:
        """
        The calls of this process so far, logins aside.
        """
        return self._client.calls_made

    def learned(self) -> Mapping[str, Any]:
        """
        JSON for the next run: ``org``, ``objects`` (descriptions, with each one's ``missing`` fields and why),
        ``appeared`` (fields that became visible or have another type, stream -> names), ``unreadable`` (stream -> why),
        ``deletions`` (as ``Deletions.learned``). No call, also after a read that failed; one that failed before it knew
        its organisation gives back what it was given.
        """
        if self._kept is not None:
            return {**self._kept, "appeared": {}}
        return {
            "org": self._lookup.org_id,
            "unreadable": self._unreadable,
            "deletions": self._deletions.learned(),
            **self._catalogue.learned(),
        }

    def read(self, cursors: Sequence[Cursor], known: Mapping[str, Any]) -> Iterator[Page]:
        """
        Every stream's window (or census) to its end or to a job's wait. An idle cycle is one call.

        Raises at once what concerns the whole organisation, and at the end the first error of a single stream; a stream
        that is not required and that a person would have to act on is only noted in ``learned``.
        """
        self._recall(known)
        readings = [_Reading(self._known(cursor.stream), _frozen(cursor)) for cursor in cursors]
        troubles: dict[str, HeadwaterError] = {}
        resting = [reading.source for reading in readings if not self._has_its_turn(reading)]
        readings = self._prepared([each for each in readings if each.source not in resting], troubles)
        absent = [reading.source for reading in readings if self._catalogue.is_absent(reading.source)]
        readings = [reading for reading in readings if reading.source not in absent]
        yield from self._without(absent, is_census=any(cursor.only is not None for cursor in cursors))
        yield from self._start_jobs(readings, troubles)
        windows = self._poll(readings, [*resting, *absent])
        for reading in readings:
            if reading.source.stream in troubles:
                continue
            try:
                if reading.by_bulk:
                    yield from self._bulk(reading).pages()
                else:
                    yield from self._by_rest(reading, windows[reading.source.stream])
            except HeadwaterError as error:
                self._note(reading.source, error, troubles)
            else:
                self._unreadable.pop(reading.source.stream, None)
        self._raise_first(troubles)

    def read_records(self, stream: str, record_ids: Sequence[str], known: Mapping[str, Any]) -> Iterator[Page]:
        """
        The records as they stand; of those that Salesforce does not show any more, which are deleted and which unseen.
        """
        self._recall(known)
        source = self._known(stream)
        self._lookup.make_known(source)
        if self._catalogue.is_absent(source):
            raise cannot_read(source)
        record_ids = [full_id(record_id) for record_id in record_ids]
        selection = self._catalogue.selection(source)
        yield from pages_of_records(
            self._client, selection, record_ids, lambda: self._deletions.of(self._client, source)
        )

    def _recall(self, known: Mapping[str, Any]) -> None:
        self._kept = known
        self._lookup.recall(known)
        self._kept = None
        self._deletions.recall(known)

    def _has_its_turn(self, reading: _Reading) -> bool:
        # What has never been read is; a window that is left waits, and grows with the next one.
        read_to = reading.cursor.watermark
        if not reading.source.is_setting or reading.is_census or read_to is None:
            return True
        return abs(self._client.now() - read_to) >= SETTINGS_EVERY

    def _without(self, absent: Sequence[ObjectMap], *, is_census: bool) -> Iterator[Page]:
        # Nothing to read is an answer; nothing to count is not: a census of nobody would call every record gone.
        for source in absent:
            if not source.is_optional:
                self._unreadable[source.stream] = str(cannot_read(source))
            elif not is_census:
                yield Page(stream=source.stream, last=True)

    def _prepared(self, readings: list[_Reading], troubles: dict[str, HeadwaterError]) -> list[_Reading]:
        # One call at most: descriptions that are needed before anything else, and the counts of first loads.
        unknown = [reading.source for reading in readings if self._catalogue.is_unknown(reading.source)]
        first = [reading for reading in readings if self._is_first_load(reading)]
        parts = self._client.batch(
            [self._lookup.describe_path(source) for source in unknown]
            + [self._lookup.count_path(reading.source) for reading in first]
        )
        for stream, error in self._lookup.absorb(unknown, parts[: len(unknown)]).items():
            self._leave_out(stream, error, troubles)
        for reading, part in zip(first, parts[len(unknown) :], strict=True):
            reading.by_bulk = self._lookup.is_large(part)
        for reading in readings:
            reading.by_bulk = reading.by_bulk or is_job(reading.cursor)
        return [reading for reading in readings if reading.source.stream not in troubles]

    def _is_first_load(self, reading: _Reading) -> bool:
        cursor = reading.cursor
        is_begun = is_job(cursor) or (cursor.place is not None and "failures" not in cursor.place)
        is_open = not is_begun and failures_of(cursor) < MOST_FAILURES
        return (
            cursor.lo is None and is_open and reading.source.has_bulk and not self._catalogue.is_absent(reading.source)
        )

    def _start_jobs(self, readings: Sequence[_Reading], troubles: dict[str, HeadwaterError]) -> Iterator[Page]:
        for reading in readings:
            if (since := announced_at(reading.cursor)) is not None:
                end_orphans(self._client, reading.source.object_name, since)
            if not reading.by_bulk or is_job(reading.cursor):
                continue
            announced = self._bulk(reading).announced()
            reading.cursor = _at(reading.cursor, announced.place)
            yield announced
            try:
                page = self._start_job(reading)
            except FieldGone as error:
                self._note(reading.source, error, troubles)
            except HeadwaterError as error:
                if error.code in ORG_WIDE:
                    raise  # the next run finds that a job was announced
                if isinstance(error, Ambiguous) and (since := announced_at(reading.cursor)) is not None:
                    end_orphans(self._client, reading.source.object_name, since)
                reading.by_bulk = False  # Bulk refuses some objects and some days: REST reads them all
            else:
                reading.cursor = _at(reading.cursor, page.place)
                yield page

    def _start_job(self, reading: _Reading) -> Page:
        try:
            return self._bulk(reading).start()
        except FieldGone:
            self._lookup.describe([reading.source])
        return self._bulk(reading).start()

    def _poll(self, readings: Sequence[_Reading], unread: Sequence[ObjectMap]) -> dict[str, RestWindow]:
        # The first pages of all windows, the log of deletions, and the descriptions that are due, in one call: those
        # for which it has no room are due the next time too; whatever is overdue by most of its own pace comes first.
        now = self._client.now()
        windows = {
            reading.source.stream: RestWindow(self._client, self._selection(reading), _rest(reading))
            for reading in readings
            if not reading.by_bulk
        }
        starting = [
            reading
            for reading in readings
            if reading.source.stream in windows and windows[reading.source.stream].is_at_start
        ]
        known = [*(reading.source for reading in readings), *unread]
        questions, due = self._with_room(
            BATCH_CALLS - len(starting) % BATCH_CALLS,
            self._questions([reading for reading in readings if reading.source.stream in windows], now),
            [source for source in known if self._catalogue.is_due(source, now)],
            now,
        )
        parts = iter(
            self._client.batch(
                [self._client.query_path(windows[reading.source.stream].query()) for reading in starting]
                + [f"{self._client.path}/{question.path}" for _, question in questions]
                + [self._lookup.describe_path(source) for source in due]
            )
        )
        for reading, part in zip(starting, parts, strict=False):
            reading.answer = part
        for (reading, question), part in zip(questions, parts, strict=False):
            reading.told = self._deletions.told(question, part)
        self._lookup.absorb(due, parts)
        return windows

    def _questions(self, readings: Iterable[_Reading], now: datetime) -> list[tuple[_Reading, Question]]:
        asked = [
            (reading, self._deletions.question(reading.cursor, now)) for reading in readings if not reading.is_census
        ]
        return [(reading, question) for reading, question in asked if question is not None]

    def _with_room(
        self, room: int, questions: Sequence[tuple[_Reading, Question]], due: Sequence[ObjectMap], now: datetime
    ) -> tuple[list[tuple[_Reading, Question]], list[ObjectMap]]:
        waited: list[tuple[float, int]] = []
        for number, (_, question) in enumerate(questions):
            waited.append((self._deletions.overdue(question, now), number))
        for number, source in enumerate(due, start=len(questions)):
            waited.append((self._catalogue.overdue(source, now), number))
        chosen = sorted(number for _, number in sorted(waited, reverse=True)[:room])
        return (
            [questions[number] for number in chosen if number < len(questions)],
            [due[number - len(questions)] for number in chosen if number >= len(questions)],
        )

    def _by_rest(self, reading: _Reading, window: RestWindow) -> Iterator[Page]:
        answer: Mapping[str, Any] | None = None
        try:
            answer = reading.answer.result() if reading.answer is not None else None
        except Passing:
            pass  # one part of the common call failed: this stream's query is asked again on its own
        except FieldGone:
            # A field has vanished since the object was described: look again, and ask for what is left.
            self._lookup.describe([reading.source])
            window = RestWindow(self._client, self._selection(reading), _rest(reading))
        if reading.told is None:
            yield from window.pages(answer)
        else:
            yield from _with_deletions(window.pages(answer), reading.told)
            self._deletions.settle(reading.told)

    def _bulk(self, reading: _Reading) -> BulkWindow:
        return BulkWindow(self._client, self._selection(reading), reading.cursor, self._limits.bulk_page)

    def _selection(self, reading: _Reading) -> Selection:
        if reading.cursor.only is None:
            return self._catalogue.selection(reading.source)
        return self._catalogue.census_selection(reading.source, reading.cursor.only)

    def _note(self, source: ObjectMap, error: HeadwaterError, troubles: dict[str, HeadwaterError]) -> None:
        if error.code in ORG_WIDE:
            raise error
        self._leave_out(source.stream, error, troubles)

    def _leave_out(self, stream: str, error: HeadwaterError, troubles: dict[str, HeadwaterError]) -> None:
        self._unreadable[stream] = str(error)
        troubles[stream] = error

    def _known(self, stream: str) -> ObjectMap:
        if stream not in self._objects:
            names = ", ".join(sorted(self._objects))
            raise Fatal("HW-219", f"there is no stream {stream!r}", actions=[f"Use one of: {names}"])
        return self._objects[stream]

    def _raise_first(self, troubles: Mapping[str, HeadwaterError]) -> None:
        for stream, error in troubles.items():
            if self._objects[stream].is_required or not isinstance(error, Fatal):
                raise error


def _with_deletions(pages: Iterable[Page], told: Told) -> Iterator[Page]:
    # The deleted rows come behind all others, so that a change of the same second does not bring one back, and the
    # window ends with them: until then it is read from its beginning again.
    gone = list(told.pages())
    for page in pages:
        if not page.last or not gone:
            yield page
        else:
            if page.count:
                yield replace(page, last=False, place=None)
            yield from gone


def _frozen(cursor: Cursor) -> Cursor:
    if cursor.hi is None and cursor.only is None:
        raise Fatal("HW-901", f"the window of {cursor.stream} was not frozen before it was read")
    return cursor


def _at(cursor: Cursor, place: Mapping[str, Any] | None) -> Cursor:
    return replace(cursor, place=place)


def _rest(reading: _Reading) -> Cursor:
    # What a failed job left behind is no place within a REST window.
    return _at(reading.cursor, None) if "failures" in (reading.cursor.place or {}) else reading.cursor
