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
from worker.flows.touch_records import NOT_WRITTEN, differences
from worker.store import cursors, dues, findings, outbox, planning, touch_records

# A plan looks at this many records at a time: row by row is quick enough here and keeps memory flat.
BATCH = 5_000


def plan(run: Run) -> None:
    """
    Take every due record, and with the last of them close the plan: planned, held, or approved.
    """
    is_over = False
    while not is_over:
        with run.transaction() as connection:
            is_full = _take_batch(run, connection)
            is_over = not is_full or run.wants_stop()
            if is_over:
                touches = run.rules.write.touches
                if not touches.enabled:
                    touch_records.forget(connection, touches.object)
                    findings.clear(connection, NOT_WRITTEN, f"full:{touches.object}")
                read_back = [touches.stream] if touches.enabled else []
                dues.drop_others(connection, "plan", [*run.rules.write.streams.values(), *read_back])
                _close(run, connection)


def _take_batch(run: Run, connection: Connection) -> bool:
    """
    Compare up to BATCH due records of all objects together. Returns whether there may be more.
    """
    left = BATCH
    known: dict[str, Mapping[str, Any]] = {}
    for object_name, kind in run.rules.write.kinds.items():
        stream = run.rules.write.streams[object_name]
        keys = dues.take_of(connection, "plan", kind, stream, left)
        if keys:
            source = stream.split(".")[0]
            known[source] = known.get(source) or cursors.source_state(connection, source)["known"]
            _compare(run, connection, object_name, keys, _described(known[source], object_name))
        left -= len(keys)
        if left == 0:
            return True
    if run.rules.write.touches.enabled:
        left -= _compare_touches(run, connection, left)
    return left == 0


def _compare_touches(run: Run, connection: Connection, limit: int) -> int:
    """
    Compare the touch records of up to ``limit`` due deals. Returns how many were taken.
    """
    object_name = run.rules.write.touches.object
    taken, differing = differences(run, connection, limit)
    if differing:
        busy = outbox.in_flight(connection, object_name, list(differing))
        changes = _without_fights(
            run, connection, object_name, {key: each for key, each in differing.items() if key not in busy}
        )
        plan_id = outbox.open_plan(connection, run.rules.version)
        fresh, left = outbox.put(connection, plan_id, object_name, run.rules.version, changes)
        run.count("records compared", len(differing))
        run.count("records to write", fresh)
        run.count("no longer to write", left)
    return taken


def _compare(
    run: Run,
    connection: Connection,
    object_name: str,
    record_ids: list[str],
    described: Mapping[str, Mapping[str, Any]],
) -> None:
    rules = run.rules.write
    kind = rules.kinds[object_name]
    busy = outbox.in_flight(connection, object_name, record_ids)
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
    names_record = {"Id", run.rules.write.touches.key_field} if object_name == run.rules.write.touches.object else set()
    findings.note(
        connection,
        f"fight:{object_name}",
        "HW-222",
        f"{object_name}: {', '.join(fields)}: {len(fought):,} values were written twice within a day and changed back",
        ["headwater doctor   (look for flows and triggers on these fields)"],
    )
    left: dict[str, Sequence[Change]] = {}
    for record_id, planned in changes.items():
        quiet = [change for change in planned if (record_id, change.field, change.new) not in fought]
        # A record is made or deleted as a whole: the half of it would make another record, or none.
        left[record_id] = quiet if quiet == planned or not names_record & {each.field for each in planned} else []
    return left


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


def _described(known: Mapping[str, Any], object_name: str) -> dict[str, Mapping[str, Any]]:
    """
    The fields of ours that the organisation shows and lets us change, and what they are, as its source last learned.
    """
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
    """
    End the drafting. The records beneath deals are a plan of their own: where it is held, everything else goes out.
    """
    rules = run.rules.write
    drafted = outbox.draft_sizes(connection)
    own = drafted.pop(rules.touches.object, None)
    if own is not None and drafted:
        outbox.set_apart(connection, rules.touches.object)
    if drafted or own is None:
        sizes = {
            name: PlanSize(size["records"], size["flips"], _stored(connection, name, size["records"], rules))
            for name, size in drafted.items()
        }
        _close_one(run, connection, drafted, sizes)
    if own is not None:
        # Measured in deals: each new one brings several records, and the first has none to be measured against.
        deals = touch_records.planned_deals(connection, rules.touches.object)
        size = PlanSize(
            deals,
            0,
            _stored(connection, "Opportunity", deals, rules),
            is_first=not touch_records.has_any(connection, rules.touches.stream),
        )
        _close_one(run, connection, {rules.touches.object: own}, {f"Opportunity (by {rules.touches.object})": size})


def _close_one(
    run: Run, connection: Connection, counts: Mapping[str, Mapping[str, int]], sizes: Mapping[str, PlanSize]
) -> None:
    reason = why_held(sizes, run.rules.write)
    approved = outbox.writes_approved(connection)
    state = "planned" if not approved else "held" if reason else "approved"
    plan_id = outbox.close_draft(connection, state=state, why_held=reason if approved else None, counts=counts)
    if plan_id is not None:
        run.count(f"plans {state}")
