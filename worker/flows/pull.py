"""
Carries source records from one platform into staging: windows frozen first, then page by page, each page's rows and the
place after them in one transaction. Which records changed is noted by the store; what they mean is ``resolve``'s.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from worker.connectors.base import Cursor, Page, Source, Stream
from worker.core.errors import HeadwaterError, LeaseLost, Retriable
from worker.flows.budget import leave_the_floor
from worker.flows.run import Run
from worker.flows.touch_records import write_where_open
from worker.store import bulk, census, cursors, findings, matching, presence, staging, touch_records

# So many rows change what the planner should know of the tables.
MANY = 1_000


def pull(run: Run) -> None:
    """
    Read every stream of the source that the job's scope names, to the end of its window.

    The scope may name ``streams`` to read from the beginning again.
    """
    source = run.sources[run.job.scope["source"]]
    leave_the_floor(run, source.name)
    overlaps = {stream.name: stream.overlap for stream in source.streams}
    hi = _whole_seconds_up(source.now())
    with run.transaction() as connection:
        known = cursors.source_state(connection, source.name)["known"]
        cursors.open_windows(connection, overlaps, hi)
        stored = cursors.load(connection, list(overlaps))
    _read_pages(run, source, [_cursor(name, stored[name]) for name in overlaps], known)


def _read_pages(run: Run, source: Source, places: Sequence[Cursor], known: Mapping[str, Any]) -> None:
    shapes = {stream.name: stream for stream in source.streams}
    waits: list[timedelta] = []
    try:
        for page in source.read(places, known):
            with run.transaction() as connection:
                save_page(run, connection, shapes[page.stream], page)
                cursors.advance(connection, page.stream, place=page.place, token=page.token, last=page.last)
            if page.again_after is not None:
                waits.append(page.again_after)
            if run.wants_stop():
                waits.append(timedelta(0))
                break
    except LeaseLost:
        raise
    except HeadwaterError:
        # What it told until then is true all the same: how many calls are left, what the objects look like.
        keep_what_it_told(run, source)
        raise
    keep_what_it_told(run, source)
    if run.tally["rows written"] >= MANY:
        with run.transaction() as connection:
            bulk.analyze(connection, *sorted({f"source_{stream.shape}" for stream in source.streams}), "due")
    if waits:
        run.come_again = min(waits)


def save_page(run: Run, connection: Connection, stream: Stream, page: Page) -> None:
    """
    Keep a page's rows and count them.
    """
    if page.csv is not None:
        saved = staging.save_csv(
            connection,
            stream.name,
            stream.shape,
            page.columns,
            page.csv,
            expected_count=page.count,
            numbers=page.numbers,
        )
    else:
        saved = staging.save_rows(connection, stream.name, stream.shape, page.columns, page.rows)
        if page.count is not None and saved.read != page.count:
            raise Retriable("HW-216", f"a page of {stream.name} was cut: {saved.read:,} rows of {page.count:,}")
    if page.doubtful:
        presence.doubt(connection, stream.name, stream.shape, page.doubtful)
    count_saved(run, saved)


def count_saved(run: Run, saved: staging.Saved) -> None:
    """
    Put what became of a page on the tally.
    """
    run.count("rows read", saved.read)
    run.count("rows written", saved.written)
    run.count("records changed", saved.changed)
    run.count("quarantined", saved.quarantined)


def keep_what_it_told(run: Run, source: Source) -> None:
    """
    Keep what a source said about itself in its last answers, whatever became of the reading.
    """
    usage = source.usage()
    learned = source.learned()
    with run.transaction() as connection:
        for stream, fields in learned.get("appeared", {}).items():
            _fill_in(run, connection, stream, fields)
        _say_what_is_not_seen(connection, source, learned)
        touches = run.rules.write.touches
        if touches.enabled and touches.stream in {stream.name for stream in source.streams}:
            write_where_open(connection, touches, learned)
        cursors.save_source_state(
            connection,
            source.name,
            clock_offset_seconds=(source.now() - datetime.now(UTC)).total_seconds(),
            known=learned,
            usage=(usage.used, usage.allowed) if usage else None,
        )


def _say_what_is_not_seen(connection: Connection, source: Source, learned: Mapping[str, Any]) -> None:
    """
    Streams that the integration user may not read, and deletions that came too long ago to be told, are findings.
    """
    over: list[str] = []
    for object_name, facts in learned.get("objects", {}).items():
        missing = sorted(facts.get("missing", {}))
        if missing:
            words = (
                f"{object_name}: {len(missing)} fields are not visible to the integration user: {', '.join(missing)}"
            )
            findings.note(connection, f"fields:{object_name}", "HW-209", words, ["headwater doctor"])
        else:
            over.append(f"fields:{object_name}")
    hidden: Mapping[str, str] = learned.get("unreadable", {})
    gaps: Mapping[str, str] = learned.get("deletions", {}).get("gaps", {})
    for stream in source.streams:
        for kind, code, told in (("hidden", "HW-209", hidden), ("gap", "HW-223", gaps)):
            key = f"{kind}:{stream.name}"
            if stream.name in told:
                cure = (
                    "headwater doctor" if kind == "hidden" else f"headwater resync object {stream.name.split('.')[1]}"
                )
                findings.note(connection, key, code, f"{stream.name}: {told[stream.name]}", [cure])
            else:
                over.append(key)
    findings.clear(connection, *over)


def _fill_in(run: Run, connection: Connection, stream: str, fields: Sequence[str]) -> None:
    """
    Fields have become visible: no stamp moves for that, so these columns of all records are read by a sweep.
    """
    census.ask(connection, [stream], fields)
    for object_name, written in run.rules.write.streams.items():
        if written == stream:
            matching.note_stream_for_plan(connection, run.rules.write.kinds[object_name], stream)
    touches = run.rules.write.touches
    if touches.enabled and stream == touches.stream:
        touch_records.note_all_deals(connection, touches.parent_stream)


def _cursor(stream: str, stored: Mapping[str, Any]) -> Cursor:
    return Cursor(
        stream=stream,
        watermark=stored["watermark"],
        lo=stored["lo"],
        hi=stored["hi"],
        place=stored["place"],
        token=stored["token"],
    )


def _whole_seconds_up(at: datetime) -> datetime:
    return datetime.fromtimestamp(math.ceil(at.timestamp()), UTC)
