"""
Sends what approved plans put into the outbox: reads first, writes what still differs, settles every record by its own
answer. It decides only to skip what a person has changed since.

A record is marked as on its way before its call and settled after it, each in a transaction. A record that was on its
way when its worker died is read again before anything is written, so that no effect happens twice.
"""

import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from worker.connectors.base import Observed, RecordChange, Result, Sink
from worker.core.errors import Fatal, HeadwaterError
from worker.core.reconcile.diff import Change
from worker.core.reconcile.values import canonical
from worker.flows.budget import leave_the_floor
from worker.flows.run import Run
from worker.store import dues, findings, outbox
from worker.store.outbox import Row, Settled

# One call reads this many records; a write call carries fewer.
READ_BATCH: Final = 2_000
# A lock is gone in seconds; everything else that may pass gets minutes.
LOCK_PAUSE: Final = timedelta(seconds=10)
MOST_ATTEMPTS: Final = 8
# The code by which a sink says that a field is not there for us.
FIELD_GONE: Final = "HW-209"


def apply(run: Run) -> None:
    """
    Send every row whose turn it is, object by object.
    """
    sink = run.sinks[run.job.scope.get("sink", "salesforce")]
    with run.transaction() as connection:
        run.count("found on their way", outbox.lost_track(connection))
    while not run.wants_stop():
        leave_the_floor(run, sink.name)
        with run.transaction() as connection:
            rows = outbox.ready(connection, READ_BATCH)
        if not rows:
            break
        _send(run, sink, rows)
    with run.transaction() as connection:
        outbox.finish_plans(connection)
        waits = outbox.seconds_to_next(connection)
    if waits is not None:
        run.come_again = timedelta(seconds=waits)


def _send(run: Run, sink: Sink, rows: Sequence[Row]) -> None:
    object_name = rows[0].object
    fields = sorted({change.field for row in rows for change in row.changes})
    try:
        observed = sink.observe(object_name, [row.record_id for row in rows], fields)
    except Fatal as error:
        if error.code != FIELD_GONE:
            raise
        _refuse(run, rows, error)
        return
    still: list[tuple[Row, list[Change]]] = []
    settled: list[Settled] = []
    for row, seen in zip(rows, observed, strict=True):
        open_changes, closed = compare(run, row, seen)
        settled += closed
        if open_changes:
            still.append((row, open_changes))
    waiting = {row.record_id for row, _ in still}
    with run.transaction() as connection:
        _settle(run, connection, [row for row in rows if row.record_id not in waiting], settled)
    for chunk in _chunks(still, sink.batch_size):
        with run.transaction() as connection:
            outbox.mark(connection, [row for row, _ in chunk], "sending")
        try:
            answers = sink.write(
                object_name,
                [
                    RecordChange(row.record_id, {change.field: change.new for change in changes})
                    for row, changes in chunk
                ],
            )
        except HeadwaterError:
            # A sink raises before anything was sent; an answer that never came is told row by row.
            with run.transaction() as connection:
                outbox.mark(connection, [row for row, _ in chunk], "planned")
            raise
        _settle_answers(run, chunk, answers)


def _refuse(run: Run, rows: Sequence[Row], error: Fatal) -> None:
    """
    A field of one object is gone: its records wait until it is there again, and the other objects go on.
    """
    answer = Result("", "refused", error.code, str(error.vendor or error.message))
    with run.transaction() as connection:
        for row in rows:
            _put_off(run, connection, row, "refused", answer, timedelta(0))
        findings.note(
            connection, f"write:{rows[0].object}", error.code, f"{rows[0].object}: {error.message}", error.actions
        )
    run.count("records refused", len(rows))


def compare(run: Run, row: Row, seen: Observed) -> tuple[list[Change], list[Settled]]:
    """
    What of a row is still to be written, given what its record holds now, and what is settled without writing: fields
    that hold the value already (our own earlier write arrived), fields that somebody changed since the plan, records
    that are gone.
    """
    if seen.values is None:
        return [], [Settled(row, change, "gone", None) for change in row.changes]
    targets = {target.field: target for target in run.rules.write.targets[row.object].values()}
    still: list[Change] = []
    closed: list[Settled] = []
    for change in row.changes:
        target = targets.get(change.field)
        holds = canonical(seen.values.get(change.field), target) if target else seen.values.get(change.field)
        if holds == change.new:
            closed.append(Settled(row, change, "done", change.old))
        elif holds == change.old:
            still.append(change)
        else:
            closed.append(Settled(row, change, "skipped", holds, message="somebody changed it since the plan"))
    return still, closed


def _settle_answers(run: Run, chunk: Sequence[tuple[Row, list[Change]]], answers: Sequence[Result]) -> None:
    done: list[Row] = []
    settled: list[Settled] = []
    with run.transaction() as connection:
        for (row, changes), answer in zip(chunk, answers, strict=True):
            match answer.verdict:
                case "done" | "gone":
                    done.append(row)
                    settled += [
                        Settled(row, change, answer.verdict, change.old, answer.code, answer.message)
                        for change in changes
                    ]
                case "unknown" | "retry" if row.attempts < MOST_ATTEMPTS:
                    state = "unknown" if answer.verdict == "unknown" else "planned"
                    _put_off(run, connection, row, state, answer, _jittered(row.attempts))
                case _:
                    state = "refused" if answer.verdict == "refused" else "parked"
                    _put_off(run, connection, row, state, answer, timedelta(0))
                    settled += [
                        Settled(row, change, state, change.old, answer.code, answer.message) for change in changes
                    ]
            run.count(f"records {answer.verdict}")
        _settle(run, connection, done, settled)


def _settle(run: Run, connection: Connection, rows: Sequence[Row], settled: Sequence[Settled]) -> None:
    """
    In one transaction: the outcome of each field is kept, rows leave the outbox, the store knows what the records hold.
    """
    outbox.log(connection, settled, run_id=run.run_id, now=run.now)
    rules = run.rules.write
    _plan_again(run, connection, outbox.remove(connection, rows))
    if any(each.result == "done" for each in settled):
        findings.clear(connection, f"write:{settled[0].row.object}")
    holds: dict[str, dict[str, dict[str, str | None]]] = {}
    gone: dict[str, list[str]] = {}
    for each in settled:
        if each.result == "gone":
            gone.setdefault(each.row.object, []).append(each.row.record_id)
        elif each.result in {"done", "skipped"}:
            value = each.change.new if each.result == "done" else each.before
            holds.setdefault(each.row.object, {}).setdefault(each.row.record_id, {})[each.change.field] = value
    for object_name, values in holds.items():
        outbox.now_holds(connection, rules.kinds[object_name], rules.streams[object_name], values)
    for object_name, record_ids in gone.items():
        stream = rules.streams[object_name]
        dues.note(connection, "reread", stream, record_ids)
    run.count("fields settled", len(settled))


def _put_off(run: Run, connection: Connection, row: Row, state: str, answer: Result, after: timedelta) -> None:
    again = outbox.put_off(connection, row, state=state, code=answer.code, message=answer.message, after=after)
    if again:
        _plan_again(run, connection, [(row.object, row.record_id)])


def _plan_again(run: Run, connection: Connection, records: Sequence[tuple[str, str]]) -> None:
    rules = run.rules.write
    for object_name, record_id in records:
        dues.note(connection, "plan", rules.kinds[object_name], [f"{rules.streams[object_name]}:{record_id}"])


def _jittered(attempts: int) -> timedelta:
    longest = LOCK_PAUSE.total_seconds() * 2**attempts
    return timedelta(seconds=min(300.0, longest * (0.5 + secrets.randbelow(1000) / 2000)))


def _chunks(rows: Sequence[tuple[Row, list[Change]]], size: int) -> Iterator[Sequence[tuple[Row, list[Change]]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
