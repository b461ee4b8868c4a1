"""
Salesforce as a source: which streams it gives, and how one cycle over all of them costs a single call.

Every stream's poll and every description that is due travel in one composite/batch call. First loads of large objects
go by Bulk, everything else by REST. One stream's trouble does not keep the others from being read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from worker.connectors.base import Cursor, Page, Stream, Usage
from worker.connectors.http import Passing
from worker.connectors.salesforce.bulk import MOST_FAILURES, BulkWindow, failures_of, is_job
from worker.connectors.salesforce.catalogue import Catalogue, Fields
from worker.connectors.salesforce.classify import ORG_WIDE, FieldGone
from worker.connectors.salesforce.client import Part, SalesforceClient
from worker.connectors.salesforce.mapping import OBJECTS, ObjectMap, Selection
from worker.connectors.salesforce.soql import quoted_id, select
from worker.connectors.salesforce.window import RestWindow
from worker.core.errors import Fatal, HeadwaterError

# The longest transaction Salesforce allows is ten minutes; its rows appear at its end with the stamps of its course.
OVERLAP: Final = timedelta(minutes=15)
# Ids in one query: its address must stay under 16,384 bytes.
_IDS_PER_QUERY: Final = 300


@dataclass(frozen=True)
class ReadLimits:
    """
    Objects are described again after ``describe_every``. A first load of more than ``bulk_above`` rows goes by Bulk,
    ``bulk_page`` rows a page.
    """

    describe_every: timedelta = timedelta(hours=1)
    bulk_above: int = 2_000
    bulk_page: int = 100_000


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


class SalesforceSource:
    """
    Reads one organisation.

    ``write_fields`` are the fields we write (read back as ``ours.X``), ``extra_fields`` further ones (``extra.X``),
    both object -> names. ``streams`` limits what is offered.
    """

    def __init__(
        self,
        client: SalesforceClient,
        *,
        write_fields: Fields | None = None,
        extra_fields: Fields | None = None,
        overlap: timedelta = OVERLAP,
        streams: Sequence[str] | None = None,
        limits: ReadLimits = DEFAULT_LIMITS,
    ) -> None:
        self._client = client
        self._catalogue = Catalogue(write_fields or {}, extra_fields or {}, limits.describe_every)
        names = list(OBJECTS) if streams is None else [_known(name).stream for name in streams]
        self._streams = tuple(
            Stream(name, OBJECTS[name].shape, overlap, required=OBJECTS[name].is_required) for name in names
        )
        self._limits = limits
        self._org_id: str | None = None
        self._unreadable: dict[str, str] = {}

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
        The organisation's present instant, rounded up to the second.
        """
        return self._client.now()

    def usage(self) -> Usage | None:
        """
        The organisation's calls of its rolling day.
        """
        return self._client.usage()

    def learned(self) -> Mapping[str, Any]:
        """
        JSON for the next run: ``org``, ``objects`` (descriptions, with each one's ``missing`` fields and why),
        ``appeared`` (fields that became visible, object -> names), ``unreadable`` (stream -> why).
        """
        return {"org": self._org_id, "unreadable": self._unreadable, **self._catalogue.learned()}

    def read(self, cursors: Sequence[Cursor], known: Mapping[str, Any]) -> Iterator[Page]:
        """
        Every stream's window to its end or to a job's wait. An idle cycle is one call.

        Raises at once what concerns the whole organisation, and at the end the first error of a single stream; a stream
        that is not required and that a person would have to act on is only noted in ``learned``.
        """
        self._recall(known)
        readings = [_Reading(_known(cursor.stream), _frozen(cursor)) for cursor in cursors]
        troubles: dict[str, HeadwaterError] = {}
        readings = self._prepared(readings, troubles)
        yield from self._start_jobs(readings, troubles)
        windows = self._poll(readings)
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
        The records as they stand; one that Salesforce does not show any more is given as deleted.
        """
        self._recall(known)
        source = _known(stream)
        if self._catalogue.is_unknown(source):
            self._describe([source])
        selection = self._catalogue.selection(source)
        ids = list(dict.fromkeys(record_ids))
        groups = [ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY)]
        queries = [
            select(selection.fields, source.object_name, [f"Id IN ({', '.join(quoted_id(each) for each in group)})"])
            for group in groups
        ]
        for group, part in zip(groups, self._client.batch([self._client.query_path(q) for q in queries]), strict=True):
            records = self._whole(part.result())
            yield _records_page(stream, selection, group, records)

    def census(self, cursor: Cursor, known: Mapping[str, Any]) -> Iterator[Page]:
        """
        The id, the stamp and the deletion of every record up to the cursor's ``hi``, to be held against what is stored.

        The cursor is one of its own (``lo`` None), kept as for ``read``: a large object's census is a job that is come
        back for. Pages are not to be saved as records: they have no other columns.
        """
        self._recall(known)
        source = _known(_frozen(cursor).stream)
        if self._catalogue.is_unknown(source):
            self._describe([source])
        selection = self._catalogue.census_selection(source)
        reading = _Reading(source, cursor)
        if self._is_first_load(reading):
            (part,) = self._client.batch([self._count_path(source)])
            reading.by_bulk = self._is_large(part)
        if reading.by_bulk:
            page = BulkWindow(self._client, selection, cursor, self._limits.bulk_page).start()
            reading.cursor = _at(cursor, page.place)
            yield page
        if is_job(reading.cursor):
            yield from BulkWindow(self._client, selection, reading.cursor, self._limits.bulk_page).pages()
        else:
            yield from RestWindow(self._client, selection, _rest(reading)).pages()

    def _recall(self, known: Mapping[str, Any]) -> None:
        self._org_id = self._client.org_id()
        before = known.get("org")
        if before is not None and self._org_id is not None and before[:15] != self._org_id[:15]:
            raise Fatal(
                "HW-217",
                f"this is another organisation ({self._org_id}) than the one read so far ({before})",
                actions=["Point this database at the organisation it belongs to, or use a new database."],
            )
        self._catalogue.recall(known)

    def _prepared(self, readings: list[_Reading], troubles: dict[str, HeadwaterError]) -> list[_Reading]:
        # One call at most: descriptions that are needed before anything else, and the counts of first loads.
        unknown = [reading.source for reading in readings if self._catalogue.is_unknown(reading.source)]
        first = [reading for reading in readings if self._is_first_load(reading)]
        parts = self._client.batch(
            [self._describe_path(source) for source in unknown]
            + [self._count_path(reading.source) for reading in first]
        )
        self._absorb(unknown, parts[: len(unknown)], troubles)
        for reading, part in zip(first, parts[len(unknown) :], strict=True):
            reading.by_bulk = self._is_large(part)
        for reading in readings:
            reading.by_bulk = reading.by_bulk or is_job(reading.cursor)
        return [reading for reading in readings if reading.source.stream not in troubles]

    def _is_first_load(self, reading: _Reading) -> bool:
        cursor = reading.cursor
        is_begun = is_job(cursor) or (cursor.place is not None and "failures" not in cursor.place)
        return cursor.lo is None and not is_begun and reading.source.has_bulk and failures_of(cursor) < MOST_FAILURES

    def _start_jobs(self, readings: Sequence[_Reading], troubles: dict[str, HeadwaterError]) -> Iterator[Page]:
        for reading in readings:
            if not reading.by_bulk or is_job(reading.cursor):
                continue
            try:
                page = self._bulk(reading).start()
            except FieldGone as error:
                self._note(reading.source, error, troubles)
            except HeadwaterError as error:
                if error.code in ORG_WIDE:
                    raise
                reading.by_bulk = False  # Bulk refuses some objects and some days: REST reads them all
            else:
                reading.cursor = _at(reading.cursor, page.place)
                yield page

    def _poll(self, readings: Sequence[_Reading]) -> dict[str, RestWindow]:
        # The first pages of all windows, and the descriptions that are due, in one call.
        now = datetime.now(UTC)
        windows = {
            reading.source.stream: RestWindow(self._client, self._catalogue.selection(reading.source), _rest(reading))
            for reading in readings
            if not reading.by_bulk
        }
        starting = [
            reading
            for reading in readings
            if reading.source.stream in windows and windows[reading.source.stream].is_at_start
        ]
        due = [reading.source for reading in readings if self._catalogue.is_due(reading.source, now)]
        parts = self._client.batch(
            [self._client.query_path(windows[reading.source.stream].query()) for reading in starting]
            + [self._describe_path(source) for source in due]
        )
        for reading, part in zip(starting, parts, strict=False):
            reading.answer = part
        self._absorb(due, parts[len(starting) :], {})
        return windows

    def _by_rest(self, reading: _Reading, window: RestWindow) -> Iterator[Page]:
        answer: Mapping[str, Any] | None = None
        try:
            answer = reading.answer.result() if reading.answer is not None else None
        except Passing:
            pass  # one part of the common call failed: this stream's query is asked again on its own
        except FieldGone:
            # A field has vanished since the object was described: look again, and ask for what is left.
            self._describe([reading.source])
            window = RestWindow(self._client, self._catalogue.selection(reading.source), _rest(reading))
        yield from window.pages(answer)

    def _bulk(self, reading: _Reading) -> BulkWindow:
        selection = self._catalogue.selection(reading.source)
        return BulkWindow(self._client, selection, reading.cursor, self._limits.bulk_page)

    def _describe(self, sources: Sequence[ObjectMap]) -> None:
        troubles: dict[str, HeadwaterError] = {}
        self._absorb(sources, self._client.batch([self._describe_path(source) for source in sources]), troubles)
        for error in troubles.values():
            raise error

    def _is_large(self, count: Part) -> bool:
        # A count that times out is a large one.
        return count.status >= 300 or int(count.body.get("totalSize", 0)) > self._limits.bulk_above

    def _count_path(self, source: ObjectMap) -> str:
        return self._client.query_path(f"SELECT COUNT() FROM {source.object_name}")

    def _describe_path(self, source: ObjectMap) -> str:
        return f"{self._client.path}/sobjects/{source.object_name}/describe"

    def _absorb(self, sources: Sequence[ObjectMap], parts: Sequence[Part], troubles: dict[str, HeadwaterError]) -> None:
        now = datetime.now(UTC)
        for source, part in zip(sources, parts, strict=True):
            try:
                self._catalogue.absorb(source, part.result(), now)
            except Passing as error:
                troubles[source.stream] = error  # a part's fault of the moment is its own stream's, not the org's
            except HeadwaterError as error:
                self._note(source, _cannot_read(source, error), troubles)

    def _note(self, source: ObjectMap, error: HeadwaterError, troubles: dict[str, HeadwaterError]) -> None:
        if error.code in ORG_WIDE:
            raise error
        self._unreadable[source.stream] = str(error)
        troubles[source.stream] = error

    def _raise_first(self, troubles: Mapping[str, HeadwaterError]) -> None:
        for stream, error in troubles.items():
            if OBJECTS[stream].is_required or not isinstance(error, Fatal):
                raise error

    def _whole(self, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        records = list(answer.get("records", ()))
        while not answer.get("done", True):
            answer = self._client.more(str(answer.get("nextRecordsUrl")))
            records += answer.get("records", ())
        return records


def _known(stream: str) -> ObjectMap:
    if stream not in OBJECTS:
        raise Fatal("HW-219", f"there is no stream {stream!r}", actions=[f"Use one of: {', '.join(sorted(OBJECTS))}"])
    return OBJECTS[stream]


def _frozen(cursor: Cursor) -> Cursor:
    if cursor.hi is None:
        raise Fatal("HW-901", f"the window of {cursor.stream} was not frozen before it was read")
    return cursor


def _at(cursor: Cursor, place: Mapping[str, Any] | None) -> Cursor:
    return Cursor(cursor.stream, cursor.watermark, cursor.lo, cursor.hi, place, cursor.token)


def _rest(reading: _Reading) -> Cursor:
    # What a failed job left behind is no place within a REST window.
    return _at(reading.cursor, None) if "failures" in (reading.cursor.place or {}) else reading.cursor


def _cannot_read(source: ObjectMap, error: HeadwaterError) -> HeadwaterError:
    if not isinstance(error, Fatal) or error.code in ORG_WIDE:
        return error
    return Fatal(
        "HW-208",
        f"the integration user cannot read {source.object_name}",
        vendor=error.vendor,
        actions=[f"Give its permission set Read and View All on {source.object_name}."],
    )


def _records_page(stream: str, selection: Selection, asked: Iterable[str], records: list[dict[str, Any]]) -> Page:
    columns = list(selection.columns)
    if "is_deleted" not in columns:
        columns.append("is_deleted")
    rows = [selection.record_row(record) for record in records]
    rows = [row if len(row) == len(columns) else [*row, "false"] for row in rows]
    found = {str(record["Id"])[:15] for record in records}
    where = {name: position for position, name in enumerate(columns)}
    for record_id in asked:
        if record_id[:15] not in found:
            gone: list[str | None] = [None] * len(columns)
            gone[where["record_id"]], gone[where["is_deleted"]] = record_id, "true"
            rows.append(gone)
    return Page(stream=stream, columns=columns, rows=rows, count=len(rows))
