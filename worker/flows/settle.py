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

from worker.connectors.base import Observed, RecordChange, Result
from worker.core.errors import Fatal
from worker.core.reconcile.touch_records import opportunity_of
from worker.core.reconcile.values import canonical
from worker.flows.run import Run
from worker.store import dues, findings, outbox, touch_records
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
    if seen.values is None or (row.removes and seen.values.get("Id") != row.removes):
        if seen.values is None and row.makes(run.rules.write.touches.key_field):
            return row, []
        result = "done" if row.removes else "gone"
        return replace(row, changes=()), [
            Settled(row, change, result, change.old if row.removes else None) for change in row.changes
        ]
    if row.removes:
        return row, []
    vendor_id = seen.facts.get("Id")
    targets = {target.field: target for target in run.rules.write.targets[row.object].values()}
    still = []
    closed = []
    for change in row.changes:
        target = targets.get(change.field)
        holds = canonical(seen.values.get(change.field), target) if target else seen.values.get(change.field)
        if holds == change.new:
            closed.append(Settled(row, change, "done", change.old, vendor_id=vendor_id))
        elif holds == change.old:
            still.append(change)
        else:
            words = "somebody changed it since the plan"
            closed.append(Settled(row, change, "skipped", holds, message=words, vendor_id=vendor_id))
    return replace(row, changes=tuple(still)), closed


def change_of(row: Row) -> RecordChange:
    """
    What is sent of a row.
    """
    if row.removes:
        return RecordChange(row.record_id, {}, removes=row.removes)
    return RecordChange(row.record_id, {change.field: change.new for change in row.changes})


def settle_answers(run: Run, connection: Connection, rows: Sequence[Row], answers: Sequence[Result]) -> None:
    """
    Each row by its own answer: done and gone leave the outbox, what may pass is tried again, the rest waits for its
    record, or for a person.
    """
    ended: list[Row] = []
    settled: list[Settled] = []
    # What was refused together is tried again together: a pause for each row would make of each a call of its own.
    luck = 0.5 + secrets.randbelow(1000) / 2000
    touches = run.rules.write.touches
    for row, answer in zip(rows, answers, strict=True):
        match answer.verdict:
            case "gone" if row.object == touches.object and not row.removes:
                # It names a deal, a contact or a campaign that is gone. They are read again; sending it again would not
                # bring them back.
                _put_off(run, connection, row, "parked", answer, timedelta(0))
                settled += _told(row, answer, "parked")
                _read_whom_it_names(run, connection, row)
            case "done" | "gone":
                ended.append(row)
                settled += _told(row, answer, answer.verdict)
            case "unknown" | "retry" if row.attempts < MOST_ATTEMPTS:
                state = "unknown" if answer.verdict == "unknown" else "planned"
                _put_off(run, connection, row, state, answer, _pause(row.attempts, luck))
            case _:
                state = "refused" if answer.verdict in {"refused", "full"} else "parked"
                _put_off(run, connection, row, state, answer, timedelta(0))
                settled += _told(row, answer, state)
        run.count(f"records {answer.verdict}")
    _settle(run, connection, ended, settled)
    full = next((pair for pair in zip(rows, answers, strict=True) if pair[1].verdict == "full"), None)
    if full is not None:
        _tell_of_no_room(run, connection, *full)


def _tell_of_no_room(run: Run, connection: Connection, row: Row, answer: Result) -> None:
    touches = run.rules.write.touches
    waiting = outbox.hold_back(connection, row.object, touches.key_field, answer.code, answer.message)
    findings.note(
        connection,
        f"full:{row.object}",
        "HW-243",
        f"the organisation has no data storage left: {waiting:,} new records of {row.object} wait and are tried again "
        "once a day; everything else goes out",
        [
            "Setup > Storage Usage: delete or archive what takes it, or have more added; then: headwater apply",
            *(["Or set touch_records: {enabled: false} in fields.yaml"] if row.object == touches.object else ()),
        ],
    )


def _read_whom_it_names(run: Run, connection: Connection, row: Row) -> None:
    touches = run.rules.write.touches
    source = touches.parent_stream.partition(".")[0]
    dues.note(connection, "reread", touches.parent_stream, [opportunity_of(row.record_id)])
    targets = run.rules.write.targets[row.object]
    for ours in ("contact", "campaign"):
        named = {change.new for change in row.changes if ours in targets and change.field == targets[ours].field}
        dues.note(connection, "reread", f"{source}.{ours}", sorted(each for each in named if each))


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
    return [
        Settled(row, change, result, change.old, answer.code, answer.message, answer.vendor_id)
        for change in row.changes
    ]


def _settle(run: Run, connection: Connection, rows: Sequence[Row], settled: Sequence[Settled]) -> None:
    """
    In one transaction: the outcome of each field is kept, rows leave the outbox, the store knows what the records hold.
    """
    outbox.log(connection, settled, run_id=run.run_id, now=run.now)
    rules = run.rules.write
    _plan_again(run, connection, outbox.remove(connection, rows))
    done = [each for each in settled if each.result == "done"]
    if done:
        findings.clear(connection, f"write:{done[0].row.object}")
        if any(each.row.makes(rules.touches.key_field) for each in done):
            findings.clear(connection, f"full:{done[0].row.object}")
    of_touches = [each for each in settled if each.row.object == rules.touches.object]
    _settle_touches(run, connection, of_touches)
    holds: dict[str, dict[str, dict[str, str | None]]] = {}
    gone: dict[str, list[str]] = {}
    for each in settled if not of_touches else [each for each in settled if each.row.object != rules.touches.object]:
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


def _settle_touches(run: Run, connection: Connection, settled: Sequence[Settled]) -> None:
    """
    The same for touch records, which the store knows by our key. Where one is gone that should be there, or its deal
    is, the deal is read again and its records are compared once more.
    """
    rules = run.rules.write.touches
    holds: dict[str, dict[str, str | None]] = {}
    made: dict[str, str] = {}
    gone: set[str] = set()
    again: set[str] = set()
    for each in settled:
        key = each.row.record_id
        if each.result == "gone" or (each.result == "done" and each.row.removes):
            gone.add(key)
        elif each.result in {"done", "skipped"}:
            value = each.change.new if each.result == "done" else each.before
            holds.setdefault(key, {})[each.change.field] = value
            if each.vendor_id and each.row.makes(rules.key_field):
                made[key] = each.vendor_id
        if each.result == "gone":
            again.add(opportunity_of(key))
    if holds or gone:
        touch_records.now_hold(connection, rules.stream, holds, made, sorted(gone))
    if again:
        dues.note(connection, "reread", rules.parent_stream, sorted(again))
        dues.note(connection, "plan", "touch_record", [f"{rules.parent_stream}:{ref}" for ref in sorted(again)])


def _put_off(run: Run, connection: Connection, row: Row, state: str, answer: Result, after: timedelta) -> None:
    again = outbox.put_off(connection, row, state=state, code=answer.code, message=answer.message, after=after)
    if again:
        _plan_again(run, connection, [(row.object, row.record_id)])


def _plan_again(run: Run, connection: Connection, records: Sequence[tuple[str, str]]) -> None:
    rules = run.rules.write
    for object_name, record_id in records:
        if object_name == rules.touches.object:
            deal = f"{rules.touches.parent_stream}:{opportunity_of(record_id)}"
            dues.note(connection, "plan", "touch_record", [deal])
            continue
        dues.note(connection, "plan", rules.kinds[object_name], [f"{rules.streams[object_name]}:{record_id}"])


def _pause(attempts: int, luck: float) -> timedelta:
    return timedelta(seconds=min(300.0, LOCK_PAUSE.total_seconds() * 2**attempts * luck))
