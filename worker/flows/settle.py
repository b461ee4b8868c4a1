"""
Carries answers into the store: what a record holds already, what was answered of what was sent, and what is tried again
when. Called by apply and handover, one transaction a set of answers.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from worker.connectors.base import Observed, Result
from worker.core.errors import Fatal
from worker.core.reconcile.values import canonical
from worker.flows.run import Run
from worker.store import dues, findings, outbox
from worker.store.outbox import Row, Settled

# A lock is gone in seconds; everything else that may pass gets minutes.
LOCK_PAUSE: Final = timedelta(seconds=10)
MOST_ATTEMPTS: Final = 8


def leave_what_differs(run: Run, rows: Sequence[Row], observed: Sequence[Observed]) -> list[Row]:
    """
    Settle what needs no writing, and return the rows of which something does, with only that.
    """
    still: list[Row] = []
    ended: list[Row] = []
    narrowed: list[Row] = []
    settled: list[Settled] = []
    for row, seen in zip(rows, observed, strict=True):
        left, closed = compare(run, row, seen)
        settled += closed
        if not left.changes:
            ended.append(row)
            continue
        still.append(left)
        if closed:
            narrowed.append(left)
    with run.transaction() as connection:
        _settle(run, connection, ended, settled)
        outbox.narrow(connection, narrowed)
    return still


def compare(run: Run, row: Row, seen: Observed) -> tuple[Row, list[Settled]]:
    """
    The row with what of it is still to be written, given what its record holds now, and what is settled without
    writing: fields that hold the value already (our own earlier write arrived), fields that somebody changed since the
    plan, records that are gone.
    """
    if seen.values is None:
        return replace(row, changes=()), [Settled(row, change, "gone", None) for change in row.changes]
    targets = {target.field: target for target in run.rules.write.targets[row.object].values()}
    still = []
    closed = []
    for change in row.changes:
        target = targets.get(change.field)
        holds = canonical(seen.values.get(change.field), target) if target else seen.values.get(change.field)
        if holds == change.new:
            closed.append(Settled(row, change, "done", change.old))
        elif holds == change.old:
            still.append(change)
        else:
            closed.append(Settled(row, change, "skipped", holds, message="somebody changed it since the plan"))
    return replace(row, changes=tuple(still)), closed


def settle_answers(run: Run, connection: Connection, rows: Sequence[Row], answers: Sequence[Result]) -> None:
    """
    Each row by its own answer: done and gone leave the outbox, what may pass is tried again, the rest waits for its
    record, or for a person.
    """
    ended: list[Row] = []
    settled: list[Settled] = []
    # What was refused together is tried again together: a pause for each row would make of each a call of its own.
    luck = 0.5 + secrets.randbelow(1000) / 2000
    for row, answer in zip(rows, answers, strict=True):
        match answer.verdict:
            case "done" | "gone":
                ended.append(row)
                settled += _told(row, answer, answer.verdict)
            case "unknown" | "retry" if row.attempts < MOST_ATTEMPTS:
                state = "unknown" if answer.verdict == "unknown" else "planned"
                _put_off(run, connection, row, state, answer, _pause(row.attempts, luck))
            case _:
                state = "refused" if answer.verdict == "refused" else "parked"
                _put_off(run, connection, row, state, answer, timedelta(0))
                settled += _told(row, answer, state)
        run.count(f"records {answer.verdict}")
    _settle(run, connection, ended, settled)


def refuse(run: Run, rows: Sequence[Row], error: Fatal) -> None:
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


def _told(row: Row, answer: Result, result: str) -> list[Settled]:
    return [Settled(row, change, result, change.old, answer.code, answer.message) for change in row.changes]


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
        dues.note(connection, "reread", rules.streams[object_name], record_ids)
    run.count("fields settled", len(settled))


def _put_off(run: Run, connection: Connection, row: Row, state: str, answer: Result, after: timedelta) -> None:
    again = outbox.put_off(connection, row, state=state, code=answer.code, message=answer.message, after=after)
    if again:
        _plan_again(run, connection, [(row.object, row.record_id)])


def _plan_again(run: Run, connection: Connection, records: Sequence[tuple[str, str]]) -> None:
    rules = run.rules.write
    for object_name, record_id in records:
        dues.note(connection, "plan", rules.kinds[object_name], [f"{rules.streams[object_name]}:{record_id}"])


def _pause(attempts: int, luck: float) -> timedelta:
    return timedelta(seconds=min(300.0, LOCK_PAUSE.total_seconds() * 2**attempts * luck))
