"""
Remembers plans and what is to be written: one outbox row a record, a newer generation in the place of an older one, and
one row a field in ``written`` for everything that was ever answered, with what stood before. Called by plan and apply.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from worker.core.errors import Fatal
from worker.core.reconcile.diff import Change
from worker.store.bulk import cursor_of

# States of an outbox row: planned (waits for its plan's approval or its turn), sending (on its way), unknown (sent, the
# answer never came: read before writing again), parked (refused until the record changes), refused (configuration).
IN_FLIGHT: Final = ("sending", "unknown")


@dataclass(frozen=True)
class Row:
    """
    One record to write: its changes as planned, and how often it was tried.
    """

    object: str
    record_id: str
    generation: int
    plan_id: int
    state: str
    changes: tuple[Change, ...]
    rule_version: int
    attempts: int

    def makes(self, key_field: str) -> bool:
        """
        Whether the record is to come into being: its key is set from nothing.
        """
        return any(change.field == key_field and change.old is None for change in self.changes)

    @property
    def removes(self) -> str | None:
        """
        The platform's id of the record that is to be deleted; None where it is to be set.
        """
        return next((change.old for change in self.changes if change.field == "Id" and change.new is None), None)


@dataclass(frozen=True)
class Settled:
    """
    What became of one field of a row: done, skipped (a person changed it since), parked, gone or refused.
    """

    row: Row
    change: Change
    result: str
    before: str | None
    code: str | None = None
    message: str | None = None
    vendor_id: str | None = None  # the platform's id, where the row is known by a key of ours


def open_plan(connection: Connection, rule_version: int) -> int:
    """
    The plan that is being drawn up now; there is at most one.
    """
    cursor = cursor_of(connection)
    found = cursor.execute("SELECT id FROM plan WHERE state = 'drafting' ORDER BY id LIMIT 1").fetchone()
    if found is None:
        found = cursor.execute(
            "INSERT INTO plan (state, rule_version) VALUES ('drafting', %s) RETURNING id", (rule_version,)
        ).fetchone()
    number: int = found[0]
    return number


def in_flight(connection: Connection, object_name: str, record_ids: Sequence[str]) -> set[str]:
    """
    Which of these records have a write on its way whose outcome is not known yet; they are noted to be looked at again
    once it is.
    """
    rows = cursor_of(connection).execute(
        """
        UPDATE outbox SET decided_again = true WHERE object = %s AND record_id = ANY(%s) AND state = ANY(%s)
        RETURNING record_id
        """,
        (object_name, list(record_ids), list(IN_FLIGHT)),
    )
    return {record_id for (record_id,) in rows.fetchall()}


def put(
    connection: Connection, plan_id: int, object_name: str, rule_version: int, changes: Mapping[str, Sequence[Change]]
) -> tuple[int, int]:
    """
    Have the outbox hold these changes by record; a record without any leaves it. Rows that say the same stay as they
    are. Returns how many rows are new or other than before, and how many left.
    """
    cursor = cursor_of(connection)
    emptied = [record_id for record_id, wanted in changes.items() if not wanted]
    left = cursor.execute(
        "DELETE FROM outbox WHERE object = %s AND record_id = ANY(%s) AND NOT state = ANY(%s)",
        (object_name, emptied, list(IN_FLIGHT)),
    ).rowcount
    filled = {record_id: wanted for record_id, wanted in changes.items() if wanted}
    rows = cursor.execute(
        """
        INSERT INTO outbox (object, record_id, generation, plan_id, state, changes)
        SELECT %(object)s, record_id, 1, %(plan)s, 'planned', changes
        FROM unnest(%(ids)s::text[], %(changes)s::jsonb[]) AS w(record_id, changes)
        ON CONFLICT (object, record_id) DO UPDATE SET generation = outbox.generation + 1,
            -- What a person has yet to approve stays in the plan that waits, whatever is decided again of it.
            plan_id = CASE WHEN EXISTS (SELECT 1 FROM plan p WHERE p.id = outbox.plan_id AND p.state IN ('planned',
            'held')) THEN outbox.plan_id ELSE EXCLUDED.plan_id END, state = 'planned', changes = EXCLUDED.changes,
            attempts = 0, not_before = NULL, code = NULL, message = NULL, decided_again = false WHERE NOT outbox.state
            = ANY(%(in_flight)s) AND (outbox.changes <> EXCLUDED.changes OR outbox.state <> 'planned') RETURNING
            record_id
        """,
        {
            "object": object_name,
            "plan": plan_id,
            "ids": list(filled),
            "changes": [json.dumps(changes_as_json(wanted, rule_version)) for wanted in filled.values()],
            "in_flight": list(IN_FLIGHT),
        },
    )
    return len(rows.fetchall()), left


def close_draft(connection: Connection, *, state: str, why_held: str | None, counts: Mapping[str, Any]) -> int | None:
    """
    End the drafting of the oldest plan: it becomes planned, held or approved; one without rows is dropped. Returns its
    id.
    """
    cursor = cursor_of(connection)
    found = cursor.execute("SELECT id FROM plan WHERE state = 'drafting' ORDER BY id LIMIT 1").fetchone()
    if found is None:
        return None
    plan_id: int = found[0]
    if cursor.execute("SELECT 1 FROM outbox WHERE plan_id = %s LIMIT 1", (plan_id,)).fetchone() is None:
        cursor.execute("DELETE FROM plan WHERE id = %s", (plan_id,))
        return None
    cursor.execute(
        """
        UPDATE plan SET state = %s, why_held = %s, counts = %s,
            approved_at = CASE WHEN %s = 'approved' THEN now() END,
            approved_by = CASE WHEN %s = 'approved' THEN 'the write guard' END
        WHERE id = %s
        """,
        (state, why_held, json.dumps(counts), state, state, plan_id),
    )
    return plan_id


def set_apart(connection: Connection, object_name: str) -> None:
    """
    Give what the plan being drawn up has of an object a plan of its own, newer and drafted too.
    """
    cursor_of(connection).execute(
        """
        WITH drafted AS (SELECT id, rule_version FROM plan WHERE state = 'drafting' ORDER BY id LIMIT 1),
        own AS (INSERT INTO plan (state, rule_version) SELECT 'drafting', rule_version FROM drafted RETURNING id)
        UPDATE outbox o SET plan_id = own.id FROM own, drafted d WHERE o.plan_id = d.id AND o.object = %s
        """,
        (object_name,),
    )


def hold_back(connection: Connection, object_name: str, key_field: str, code: str | None, message: str | None) -> int:
    """
    Refuse, without sending, what would make further records of an object, and leave what changes or deletes some to
    have its turn. Returns how many rows of the object wait for that reason.
    """
    cursor = cursor_of(connection)
    cursor.execute(
        """
        UPDATE outbox SET state = 'refused', code = %s, message = %s
        WHERE object = %s AND state = 'planned' AND changes @> %s
        """,
        (code, message, object_name, json.dumps([{"field": key_field, "old": None}])),
    )
    number: int = cursor.execute(
        "SELECT count(*) FROM outbox WHERE object = %s AND state = 'refused' AND code IS NOT DISTINCT FROM %s",
        (object_name, code),
    ).fetchone()[0]
    return number


def draft_sizes(connection: Connection) -> dict[str, dict[str, int]]:
    """
    Of what is being drawn up: by object, records to change and checkboxes to turn.
    """
    rows = connection.execute(
        text(
            """
            SELECT o.object, count(*) AS records, coalesce(sum(f.flips), 0) AS flips,
                coalesce(sum(f.fields), 0) AS fields
            FROM outbox o JOIN plan p ON p.id = o.plan_id AND p.state = 'drafting'
            CROSS JOIN LATERAL (
                SELECT count(*) AS fields,
                    count(*) FILTER (WHERE c->>'new' IN ('true', 'false') AND c->>'old' IN ('true', 'false')) AS flips
                FROM jsonb_array_elements(o.changes) c) f
            GROUP BY o.object
            """
        )
    )
    return {
        row.object: {"records": int(row.records), "flips": int(row.flips), "fields": int(row.fields)} for row in rows
    }


def writes_approved(connection: Connection) -> bool:
    """
    Whether a first plan was ever approved: before that nothing is written.
    """
    return connection.execute(text("SELECT 1 FROM setting WHERE key = 'writes_approved'")).first() is not None


def waiting_plans(connection: Connection) -> tuple[list[int], int]:
    """
    The plans that wait for a person, and a number that changes with every row of theirs: what was shown is what this
    says.
    """
    row = connection.execute(
        text(
            """
            SELECT coalesce(array_agg(DISTINCT p.id), '{}') AS plans,
                coalesce(sum(hashtextextended(o.object || o.record_id, o.generation) % 1000000007), 0) AS content
            FROM plan p JOIN outbox o ON o.plan_id = p.id WHERE p.state IN ('planned', 'held')
            """
        )
    ).one()
    return sorted(row.plans), int(row.content)


def approve(connection: Connection, by: str, shown: tuple[Sequence[int], int] | None = None) -> list[int]:
    """
    Approve every plan that waits, and turn writing on for good; rows that were refused or parked get another try.
    Returns the plans' ids.

    ``shown`` is what ``waiting_plans`` said when the person was asked: where something has changed since, nothing is
    approved and Fatal HW-125 says so.
    """
    if shown is not None and waiting_plans(connection) != (sorted(shown[0]), shown[1]):
        raise Fatal(
            "HW-125",
            "the plan has changed since it was shown, and was not approved",
            actions=["headwater plan", "headwater apply"],
        )
    rows = connection.execute(
        text(
            """
            UPDATE plan SET state = 'approved', approved_at = now(), approved_by = :by
            WHERE state IN ('planned', 'held') RETURNING id
            """
        ),
        {"by": by},
    )
    ids = sorted(row.id for row in rows)
    try_again(connection, older_than=timedelta(0))
    connection.execute(
        text(
            """
            INSERT INTO setting (key, value)
            VALUES ('writes_approved', jsonb_build_object('by', CAST(:by AS text), 'at', now()))
            ON CONFLICT (key) DO NOTHING
            """
        ),
        {"by": by},
    )
    return ids


def try_again(connection: Connection, older_than: timedelta) -> int:
    """
    Give rows that were refused or parked so long ago another try. Returns how many.
    """
    return connection.execute(
        text(
            """
            UPDATE outbox SET state = 'planned', attempts = 0, not_before = NULL
            WHERE state IN ('refused', 'parked')
                AND (sent_at IS NULL OR sent_at <= clock_timestamp() - make_interval(secs => :age))
            """
        ),
        {"age": older_than.total_seconds()},
    ).rowcount


def fought_over(
    connection: Connection, object_name: str, record_ids: Sequence[str], since: datetime
) -> set[tuple[str, str, str | None]]:
    """
    The (record id, field, value) that we have written twice since then: somebody's automation undoes them each time.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT w.record_id, w.field, w.after FROM unnest(%s::text[]) AS r(record_id)
        JOIN written w ON w.object = %s AND w.record_id = r.record_id
        WHERE w.result = 'done' AND w.at > %s GROUP BY 1, 2, 3 HAVING count(*) >= 2
        """,
        (list(record_ids), object_name, since),
    )
    return set(rows.fetchall())


def lost_track(connection: Connection) -> int:
    """
    Rows left ``sending`` by a holder that is gone: whether they arrived is unknown. Returns how many.
    """
    number: int = (
        cursor_of(connection)
        .execute("UPDATE outbox SET state = 'unknown' WHERE state = 'sending' AND bulk_job_id IS NULL")
        .rowcount
    )
    return number


def next_object(connection: Connection, enough: int) -> tuple[str, int] | None:
    """
    The object whose rows have their turn, and how many there are of it, counted no further than ``enough``. An object
    of which a job is under way waits: two writers would be in each other's way.
    """
    row = (
        cursor_of(connection)
        .execute(
            """
            WITH turn AS (
                SELECT o.object FROM outbox o JOIN plan p ON p.id = o.plan_id AND p.state = 'approved'
                WHERE o.state IN ('planned', 'unknown')
                    AND (o.not_before IS NULL OR o.not_before <= clock_timestamp())
                    AND NOT EXISTS (SELECT 1 FROM bulk_job b WHERE b.object = o.object)
                ORDER BY o.object LIMIT 1
            )
            SELECT t.object, (SELECT count(*) FROM (
                SELECT 1 FROM outbox o JOIN plan p ON p.id = o.plan_id AND p.state = 'approved'
                WHERE o.object = t.object AND o.state IN ('planned', 'unknown')
                    AND (o.not_before IS NULL OR o.not_before <= clock_timestamp()) LIMIT %s) r)
            FROM turn t
            """,
            (enough,),
        )
        .fetchone()
    )
    return None if row is None else (row[0], row[1])


def ready(connection: Connection, object_name: str, limit: int) -> list[Row]:
    """
    Rows of one object, of approved plans, whose turn it is; those of one account side by side.
    """
    cursor = cursor_of(connection)
    rows = cursor.execute(
        """
        SELECT o.object, o.record_id, o.generation, o.plan_id, o.state, o.changes, o.attempts
        FROM outbox o JOIN plan p ON p.id = o.plan_id AND p.state = 'approved'
        -- A record beneath a deal is known by a key that begins with the deal's id; writing it locks the deal.
        LEFT JOIN source_opportunity d ON d.stream = 'salesforce.opportunity' AND d.record_id = CASE o.object
            WHEN 'Opportunity' THEN o.record_id WHEN 'HW_Touch__c' THEN split_part(o.record_id, ':', 1) END
        LEFT JOIN source_person s ON o.object = 'Contact' AND s.stream = 'salesforce.contact' AND s.record_id =
        o.record_id WHERE o.object = %s AND o.state IN ('planned', 'unknown') AND (o.not_before IS NULL OR
        o.not_before <= clock_timestamp()) ORDER BY coalesce(d.account_ref, s.account_ref), o.record_id LIMIT %s FOR
        UPDATE OF o
        """,
        (object_name, limit),
    )
    return [row_of(*found) for found in rows.fetchall()]


def row_of(
    object_name: str, record_id: str, generation: int, plan_id: int, state: str, changes: Any, attempts: int
) -> Row:
    """
    A row of the table, its columns in this order, with its changes as planned.
    """
    version = changes[0]["rule_version"]
    planned = tuple(Change(each["field"], each["old"], each["new"], each["reason"]) for each in changes)
    return Row(object_name, record_id, generation, plan_id, state, planned, version, attempts)


def changes_as_json(changes: Sequence[Change], rule_version: int) -> list[dict[str, Any]]:
    """
    Changes as the outbox keeps them.
    """
    return [asdict(change) | {"rule_version": rule_version} for change in changes]


def narrow(connection: Connection, rows: Sequence[Row]) -> None:
    """
    Keep of each row only the changes it has here: the others are settled.
    """
    cursor_of(connection).execute(
        """
        UPDATE outbox o SET changes = w.changes
        FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::jsonb[]) AS w(object, record_id, generation, changes)
        WHERE o.object = w.object AND o.record_id = w.record_id AND o.generation = w.generation
        """,
        (*_keys(rows), [json.dumps(changes_as_json(row.changes, row.rule_version)) for row in rows]),
    )


def mark(connection: Connection, rows: Sequence[Row], state: str) -> None:
    """
    Note that rows are ``sending``, or that their answer is ``unknown``.
    """
    cursor_of(connection).execute(
        """
        UPDATE outbox o SET state = %s, sent_at = clock_timestamp(), attempts = attempts + 1
        FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS w(object, record_id, generation)
        WHERE o.object = w.object AND o.record_id = w.record_id AND o.generation = w.generation
        """,
        (state, *_keys(rows)),
    )


def put_off(
    connection: Connection, row: Row, *, state: str, code: str | None, message: str | None, after: timedelta
) -> bool:
    """
    Keep a row for later: planned or unknown for a while, parked or refused until something changes. Whether a row that
    rests now was decided again while it was on its way. Rows that one transaction puts off alike are due again together,
    so that what went out in one job does not trickle out in several.
    """
    found = (
        cursor_of(connection)
        .execute(
            """
            UPDATE outbox SET state = %(state)s, code = %(code)s, message = %(message)s, bulk_job_id = NULL,
                not_before = now() + make_interval(secs => %(after)s)
            WHERE object = %(object)s AND record_id = %(record_id)s AND generation = %(generation)s
            RETURNING decided_again AND state IN ('parked', 'refused')
            """,
            {
                "state": state,
                "code": code,
                "message": message,
                "after": after.total_seconds(),
                "object": row.object,
                "record_id": row.record_id,
                "generation": row.generation,
            },
        )
        .fetchone()
    )
    return bool(found and found[0])


def remove(connection: Connection, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """
    Take rows out of the outbox: everything they asked for is settled. Returns the (object, record id) of those that
    were decided again while they were on their way.
    """
    gone = cursor_of(connection).execute(
        """
        DELETE FROM outbox o USING unnest(%s::text[], %s::text[], %s::bigint[]) AS w(object, record_id, generation)
        WHERE o.object = w.object AND o.record_id = w.record_id AND o.generation = w.generation
        RETURNING o.object, o.record_id, o.decided_again
        """,
        _keys(rows),
    )
    return [(object_name, record_id) for object_name, record_id, decided_again in gone.fetchall() if decided_again]


def log(connection: Connection, settled: Sequence[Settled], *, run_id: int, now: datetime) -> None:
    """
    Keep what became of each field for good: before-image, result and the vendor's answer.
    """
    columns = list(
        zip(
            *(
                (
                    each.row.object,
                    each.row.record_id,
                    each.change.field,
                    each.before,
                    each.change.new,
                    each.change.reason,
                    each.row.rule_version,
                    each.row.plan_id,
                    each.result,
                    each.code,
                    each.message,
                )
                for each in settled
            ),
            strict=True,
        )
    )
    if not columns:
        return
    cursor_of(connection).execute(
        """
        INSERT INTO written (run_id, at, object, record_id, field, before, after, reason, rule_version, plan_id, result,
            code, message)
        SELECT %s, %s, w.* FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::int[], %s::bigint[], %s::text[], %s::text[], %s::text[]) AS w
        """,
        (run_id, now, *(list(column) for column in columns)),
    )


def now_holds(connection: Connection, shape: str, stream: str, values: Mapping[str, Mapping[str, str | None]]) -> None:
    """
    Note on the source records what their fields hold since we wrote them (field -> text, None = empty), so that reading
    our own write back is no news.
    """
    cursor_of(connection).execute(
        f"""
        UPDATE source_{shape} s SET ours = jsonb_strip_nulls(s.ours || w.ours)
        FROM unnest(%s::text[], %s::jsonb[]) AS w(record_id, ours)
        WHERE s.stream = %s AND s.record_id = w.record_id
        """,
        (list(values), [json.dumps(fields) for fields in values.values()], stream),
    )


def finish_plans(connection: Connection) -> None:
    """
    Plans of which nothing is left to send are done.
    """
    connection.execute(
        text(
            """
            UPDATE plan SET state = 'done' WHERE state = 'approved'
                AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.plan_id = plan.id)
            """
        )
    )


def seconds_to_next(connection: Connection) -> float | None:
    """
    How long until a row of an approved plan has its turn; None when none waits. Rows on their way count: if nobody is
    sending them any more, the next holder reads what became of them.
    """
    seconds = connection.execute(
        text(
            """
            SELECT min(extract(epoch FROM coalesce(b.not_before, o.not_before, clock_timestamp()) - clock_timestamp()))
            FROM outbox o JOIN plan p ON p.id = o.plan_id AND p.state = 'approved'
            -- Rows of an object that a job is under way of have their turn after it.
            LEFT JOIN bulk_job b ON b.object = o.object
            WHERE o.state IN ('planned', 'unknown', 'sending')
            """
        )
    ).scalar()
    return None if seconds is None else max(0.0, float(seconds))


def _keys(rows: Sequence[Row]) -> tuple[list[str], list[str], list[int]]:
    return [row.object for row in rows], [row.record_id for row in rows], [row.generation for row in rows]
