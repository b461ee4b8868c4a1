"""
Proves that nothing is missing: counts what each platform says there is, holds it against the store, reads again what
differs, and leaves a line a stream. It is the only cure for what no cursor can see: commits that came too late, records
deleted for good, hidden or shown again, values that are worked out without moving a stamp, fields that became visible.

Comparing is the store's; what a record has become is told by reading it, in the way every record is read. Called by
drain, once a day and whenever a field has appeared.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection

from worker.connectors.base import Cursor, Page, Source, Stream
from worker.core.errors import HeadwaterError, LeaseLost
from worker.flows.budget import leave_the_floor
from worker.flows.pull import count_saved, keep_what_it_told, save_page
from worker.flows.run import Run
from worker.store import census, cursors, dues, findings, presence, staging

# Records that differ are read again so many at a time: one call.
AT_ONCE: Final = 2_000


def sweep(run: Run) -> None:
    """
    Sweep every stream of the source in the job's scope that is due, or go on where a sweep was left.
    """
    source = run.sources[run.job.scope["source"]]
    leave_the_floor(run, source.name)
    streams = {stream.name: stream for stream in source.streams if stream.is_swept}
    began = source.calls()
    with run.transaction() as connection:
        known = cursors.source_state(connection, source.name)["known"]
        census.begin(connection, list(streams), source.now())
    trouble: HeadwaterError | None = None
    try:
        _take_census(run, source, streams, known)
    except LeaseLost:
        raise
    except HeadwaterError as error:
        trouble = error  # of a stream, or of the day: what is counted can be settled all the same
    began = _account(run, source, streams, began)
    for name, state in _under_way(run, streams).items():
        if state["is_counted"] and trouble is None:
            began = _settle(run, source, streams[name], state["place"], known, began)
            if run.wants_stop():
                break
    keep_what_it_told(run, source)
    if trouble is not None:
        raise trouble


def _take_census(run: Run, source: Source, streams: Mapping[str, Stream], known: Mapping[str, Any]) -> None:
    states = {name: state for name, state in _under_way(run, streams).items() if not state["is_counted"]}
    places = [Cursor(name, place=state["place"], only=state["fields"]) for name, state in states.items()]
    unread = set(states)
    waits: list[timedelta] = []
    for page in source.read(places, known):
        with run.transaction() as connection:
            _keep(run, connection, streams[page.stream], page)
            if page.last:
                _compare(connection, streams[page.stream], states[page.stream])
            else:
                census.advance(connection, page.stream, page.place)
        if page.last or page.again_after is not None:
            unread.discard(page.stream)
        if page.again_after is not None:
            waits.append(page.again_after)
        if run.wants_stop():
            run.come_again = timedelta(0)
            return
    if waits:
        run.come_again = min(waits)
    reasons = source.learned().get("unreadable", {})
    for name in unread:
        with run.transaction() as connection:
            census.give_up(connection, name, reasons.get(name))


def _keep(run: Run, connection: Connection, stream: Stream, page: Page) -> None:
    """
    Ids, stamps and deletions into the census; whatever else the page has is put into the records it belongs to.
    """
    if not page.columns:
        return
    if page.csv is not None:
        came = staging.receive_csv(
            connection, stream.name, stream.shape, page.columns, page.csv, page.count, numbers=page.numbers
        )
    else:
        came = staging.receive_rows(stream.name, stream.shape, page.columns, page.rows)
    census.keep(connection, came)
    run.count("records counted", came.count)
    if not set(page.columns) <= set(census.COLUMNS):
        count_saved(run, staging.refresh(connection, came))


def _compare(connection: Connection, stream: Stream, state: Mapping[str, Any]) -> None:
    settled_at = census.settled_at(connection, stream.name, state["began_at"], stream.overlap)
    if settled_at is None:
        census.postpone(connection, stream.name)
    else:
        census.compare(connection, stream.name, stream.shape, settled_at)


def _settle(
    run: Run, source: Source, stream: Stream, place: Mapping[str, Any], known: Mapping[str, Any], began: int
) -> int:
    """
    Read again what differs, and leave the proof; a stop is looked for between two calls. Returns the count of calls.
    """
    while True:
        with run.transaction() as connection:
            record_ids = dues.peek(connection, "sweep", stream.name, AT_ONCE)
        if not record_ids:
            break
        for page in source.read_records(stream.name, record_ids, known):
            with run.transaction() as connection:
                save_page(run, connection, stream, page)
                run.count("records hidden", presence.hide(connection, stream.name, stream.shape, page.unseen))
                came = staging.receive_rows(stream.name, stream.shape, page.columns, page.rows)
                census.amend(connection, came, page.unseen)
        with run.transaction() as connection:
            dues.drop(connection, "sweep", stream.name, record_ids)
        began = _account(run, source, {stream.name: stream}, began)
        if run.wants_stop():
            return began
    with run.transaction() as connection:
        proof = census.prove(connection, stream.name, stream.shape, place, stream.overlap)
        _say(connection, stream.name, proof)
    for what in ("missing", "stale", "gone", "returned"):
        run.count(f"records {what}", proof[what])
    return began


def _say(connection: Connection, stream: str, proof: Mapping[str, Any]) -> None:
    """
    A gap is a finding until a sweep finds none, also when it was made good; so are records that are hidden from us.
    """
    kind = stream.split(".", 1)[1]
    gap = proof["missing"] + proof["stale"]
    if gap or proof["left"]:
        words = (
            f"{stream}: of {proof['there']:,} records up to {proof['up_to']}, {proof['missing']:,} were missing here "
            f"and {proof['stale']:,} were out of date; "
            + ("all were read again" if not proof["left"] else f"{proof['left']:,} still differ")
        )
        cure = [f"headwater resync object {kind}"] if proof["left"] else ["headwater status"]
        findings.note(connection, f"sweep:{stream}", "HW-224", words, cure)
    else:
        findings.clear(connection, f"sweep:{stream}")
    if proof["hidden"]:
        words = f"{stream}: {proof['hidden']:,} records are hidden from the integration user and kept as last seen"
        findings.note(connection, f"kept:{stream}", "HW-225", words, ["headwater doctor"])
    else:
        findings.clear(connection, f"kept:{stream}")


def _under_way(run: Run, streams: Mapping[str, Stream]) -> dict[str, dict[str, Any]]:
    with run.transaction() as connection:
        return census.under_way(connection, list(streams))


def _account(run: Run, source: Source, streams: Mapping[str, Stream], began: int) -> int:
    """
    Put the calls since ``began`` on the account of the sweeps under way; the count of calls now.
    """
    now = source.calls()
    with run.transaction() as connection:
        census.count_calls(connection, list(census.under_way(connection, list(streams))), now - began)
    return now
