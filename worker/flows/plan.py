"""
Compares what records should hold with what they hold, and puts the difference into the outbox. Touches no network.

The changes of one run are one plan. Until a first plan was approved everything waits for a person; after that a plan
goes out by itself unless the write guard holds it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from worker.core.reconcile import desired
from worker.core.reconcile.diff import Change, Wanted, diff
from worker.core.reconcile.guard import PlanSize, why_held
from worker.core.reconcile.rules import WriteRules, fitted
from worker.flows.run import Run
from worker.store import cursors, dues, findings, outbox, planning

# A plan looks at this many records at a time: row by row is quick enough here and keeps memory flat.
BATCH = 5_000


def plan(run: Run) -> None:
    """
    Take every due record, then close the plan: planned, held, or approved.
    """
    is_full = True
    while is_full and not run.wants_stop():
        with run.transaction() as connection:
            is_full = _take_batch(run, connection)
    with run.transaction() as connection:
        dues.drop_others(connection, "plan", list(run.rules.write.streams.values()))
        _close(run, connection)


def _take_batch(run: Run, connection: Connection) -> bool:
    """
    Compare up to BATCH due records of all objects together. Returns whether there may be more.
    """
    left = BATCH
    for object_name, kind in run.rules.write.kinds.items():
        keys = dues.take_of(connection, "plan", kind, run.rules.write.streams[object_name], left)
        if keys:
            _compare(run, connection, object_name, kind, keys)
        left -= len(keys)
        if left == 0:
            return True
    return False


def _compare(run: Run, connection: Connection, object_name: str, kind: str, record_ids: list[str]) -> None:
    rules = run.rules.write
    busy = outbox.in_flight(connection, object_name, record_ids)
    described = _described(run, connection, object_name)
    targets = fitted(
        rules.targets[object_name], {name: int(facts.get("length", 0)) for name, facts in described.items()}
    )
    readable = frozenset(described)
    changes: dict[str, Sequence[Change]] = {
        subject["record_id"]: diff(_wanted(kind, subject), subject["ours"], targets, readable)
        for subject in planning.subjects(connection, kind, rules.streams[object_name], record_ids)
        if subject["record_id"] not in busy
    }
    changes = _without_fights(run, connection, object_name, changes)
    # Records that take no writing any more (deleted, converted) leave the outbox.
    changes |= {record_id: [] for record_id in record_ids if record_id not in changes and record_id not in busy}
    plan_id = outbox.open_plan(connection, run.rules.version)
    fresh, left = outbox.put(connection, plan_id, object_name, run.rules.version, changes)
    run.count("records compared", len(record_ids))
    run.count("records to write", fresh)
    run.count("no longer to write", left)


def _without_fights(
    run: Run, connection: Connection, object_name: str, changes: Mapping[str, Sequence[Change]]
) -> dict[str, Sequence[Change]]:
    """
    Leave out values that were written twice within a day and undone each time: writing them once more would be undone
    again, and the record would never rest. A finding says so.
    """
    wanted = [record_id for record_id, planned in changes.items() if planned]
    fought = outbox.fought_over(connection, object_name, wanted, run.now - timedelta(days=1)) if wanted else set()
    if not fought:
        return dict(changes)
    fields = sorted({field for _, field, _ in fought})
    findings.note(
        connection,
        f"fight:{object_name}",
        "HW-222",
        f"{object_name}: {', '.join(fields)}: {len(fought):,} values were written twice within a day and changed back",
        ["headwater doctor   (look for flows and triggers on these fields)"],
    )
    return {
        record_id: [change for change in planned if (record_id, change.field, change.new) not in fought]
        for record_id, planned in changes.items()
    }


def _wanted(kind: str, subject: Mapping[str, Any]) -> list[Wanted]:
    decision = subject["decision"]
    if decision is None:
        return []
    match kind:
        case "account":
            return desired.for_account(decision)
        case "opportunity":
            return desired.for_opportunity(decision)
        case _:
            return desired.for_person(decision, subject["account_ref"])


def _described(run: Run, connection: Connection, object_name: str) -> dict[str, Mapping[str, Any]]:
    """
    The fields of ours that the organisation shows and lets us change, and what they are, as its source last learned.
    """
    stream = run.rules.write.streams[object_name]
    known = cursors.source_state(connection, stream.split(".")[0])["known"]
    fields = known.get("objects", {}).get(object_name, {}).get("fields", {})
    return {name: facts for name, facts in fields.items() if facts.get("updateable")}


def _stored(connection: Connection, object_name: str, records_count: int, rules: WriteRules) -> int:
    """
    How many records the object has, as far as the guard has to know: up to where the plan would pass.
    """
    if records_count <= rules.guard_floor_records:
        return records_count
    enough = math.ceil(records_count * 100 / rules.guard_percent)
    return planning.stored_count(connection, rules.kinds[object_name], rules.streams[object_name], enough)


def _close(run: Run, connection: Connection) -> None:
    rules = run.rules.write
    drafted = outbox.draft_sizes(connection)
    sizes = {
        name: PlanSize(size["records"], size["flips"], _stored(connection, name, size["records"], rules))
        for name, size in drafted.items()
    }
    reason = why_held(sizes, rules)
    approved = outbox.writes_approved(connection)
    state = "planned" if not approved else "held" if reason else "approved"
    plan_id = outbox.close_draft(connection, state=state, why_held=reason if approved else None, counts=drafted)
    if plan_id is not None:
        run.count(f"plans {state}")
