"""
Gives what is stored a batch at a time, and with the instants at which it happened and came to the store: what deciding
by other rules, or as of a past moment, starts from. Reads only. Called by the preview and as-of flows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Engine

from worker.core.frames import DEAL_PERSON, INSTANT
from worker.core.history import DEAL_CHANGE
from worker.core.timeline import Tick
from worker.store.bulk import Schema, cursor_of, fetch
from worker.store.decisions import opted_out_by

PERSON_FACTS: Final[Schema] = {
    "account_id": pl.Int64,
    "person_id": pl.Int64,
    "title": pl.String,
    "email": pl.String,
    "opted_out": pl.Boolean,
}
# Stored credits by channel; units are the deal's, null where it has no amount.
STORED_MONEY: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "clock": pl.String,
    "model": pl.String,
    "item": pl.String,
    "channel": pl.String,
    "units": pl.Int64,
}


def look_only(engine: Engine) -> Connection:
    """
    A connection that sees one moment of the store however long it looks, and can write nothing.
    """
    return engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def ids_after(connection: Connection, kind: str, last: int, limit: int) -> list[int]:
    """
    The next golden accounts or opportunities by id.
    """
    rows = cursor_of(connection).execute(
        f"SELECT id FROM {kind} WHERE id > %s AND NOT is_deleted ORDER BY id LIMIT %s", (last, limit)
    )
    return [number for (number,) in rows.fetchall()]


def waiting(connection: Connection, now: datetime) -> dict[str, int]:
    """
    How much is yet to be decided by the rules in force, by flow: records to resolve, accounts to engage (those whose
    flag is to be looked at by ``now`` among them), deals to attribute. Flows without any are absent.
    """
    row = (
        cursor_of(connection)
        .execute(
            """
            SELECT (SELECT count(*) FROM due WHERE flow = 'resolve')
                       + (SELECT coalesce(sum(cardinality(keys)), 0) FROM due_slice WHERE flow = 'resolve'),
                   (SELECT count(*) FROM (SELECT key FROM due WHERE flow = 'engage' AND kind = 'account'
                        UNION SELECT account_id::text FROM engagement WHERE review_at <= %s) e),
                   (SELECT count(*) FROM due WHERE flow = 'attribute' AND kind = 'opportunity')
            """,
            (now,),
        )
        .fetchone()
    )
    counts = zip(("resolve", "engage", "attribute"), map(int, row), strict=True)
    return {flow: count for flow, count in counts if count}


def channel_money(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    STORED_MONEY of these deals.
    """
    return fetch(
        connection,
        """
        SELECT c.opportunity_id, c.clock, m.key, c.item, t.channel, sum((m.value ->> 'units')::bigint)::bigint
        FROM credit c CROSS JOIN LATERAL jsonb_each(c.models) m LEFT JOIN touchpoint t ON t.touch_id = c.touch_id
        WHERE c.opportunity_id = ANY(%(ids)s) GROUP BY 1, 2, 3, 4, 5
        """,
        {"ids": list(opportunity_ids)},
        STORED_MONEY,
    )


def people_of(
    connection: Connection, account_ids: Sequence[int], *, opt_out_fields: Sequence[str], email_opt_out: bool
) -> pl.DataFrame:
    """
    PERSON_FACTS of these accounts' people.
    """
    return fetch(
        connection,
        f"""
        SELECT p.account_id, p.id, p.title, p.email, {opted_out_by(opt_out_fields, email_opt_out=email_opt_out)}
        FROM person p WHERE p.account_id = ANY(%(ids)s) AND NOT p.is_deleted ORDER BY 2
        """,
        {"ids": list(account_ids), "fields": list(opt_out_fields)},
        PERSON_FACTS,
    )


def salesforce_ids(connection: Connection, kind: str, golden_ids: Sequence[int]) -> dict[int, str]:
    """
    The first record behind each golden record, as people look it up.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT golden_id, min(record_id) FROM crosswalk
        WHERE kind = %s AND golden_id = ANY(%s) AND source = 'salesforce' GROUP BY 1
        """,
        (kind, list(golden_ids)),
    )
    return dict(rows.fetchall())


def ticks(connection: Connection) -> list[Tick]:
    """
    What the organisation's clock said when runs began by the database's, oldest first; runs are kept for 30 days.
    """
    rows = cursor_of(connection).execute("SELECT started_at, now_at FROM run ORDER BY started_at, id")
    return [Tick(*row) for row in rows.fetchall()]


def versions(connection: Connection) -> list[tuple[datetime, int]]:
    """
    Which rules were in force from when by the database's clock, oldest first.
    """
    rows = cursor_of(connection).execute("SELECT since_at, number FROM rules_in_force ORDER BY since_at, id")
    return rows.fetchall()  # type: ignore[no-any-return]


def deal_changes(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    DEAL_CHANGE of these deals with ``seen_at`` by the database's clock, in the order in which they happened.
    """
    return fetch(
        connection,
        """
        SELECT c.golden_id, h.created_at, h.stage, h.amount, replace((trim_scale(h.amount))::text, '.', ''),
               scale(trim_scale(h.amount)), h.close_on, coalesce(h.seen_at, h.created_at)
        FROM crosswalk c JOIN source_stage_change h ON h.opportunity_ref = c.record_id
        WHERE c.kind = 'opportunity' AND c.golden_id = ANY(%(ids)s) AND h.created_at IS NOT NULL
            AND NOT coalesce(h.is_deleted, false) ORDER BY 1, 2, h.record_id
        """,
        {"ids": list(opportunity_ids)},
        {**DEAL_CHANGE, "seen_at": INSTANT},
    )


_ROLES: Final = """
    FROM crosswalk d
    JOIN source_role r ON r.opportunity_ref = d.record_id
    JOIN crosswalk c ON c.kind = 'person' AND c.source = d.source AND c.record_id = r.contact_ref
    JOIN person p ON p.id = c.golden_id AND NOT p.is_deleted
    WHERE d.kind = 'opportunity' AND d.golden_id = ANY(%(ids)s)
"""


def role_holders(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    Who stands on these deals by contact role: DEAL_PERSON with ``occurred_at`` and ``seen_at`` of the role.
    """
    return fetch(
        connection,
        f"""
        SELECT d.golden_id, c.golden_id, coalesce(r.role, ''), coalesce(r.is_primary, false), p.created_at,
               r.created_at, coalesce(r.seen_at, r.created_at)
        {_ROLES} AND NOT coalesce(r.is_deleted, false) ORDER BY 1, 2, 3
        """,
        {"ids": list(opportunity_ids)},
        {**DEAL_PERSON, "occurred_at": INSTANT, "seen_at": INSTANT},
    )


def roles_gone(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    How many contact roles of these deals were taken away: opportunity_id, roles_gone; deals without any are absent.
    """
    return fetch(
        connection,
        f"SELECT d.golden_id, count(*) {_ROLES} AND r.is_deleted GROUP BY 1 ORDER BY 1",
        {"ids": list(opportunity_ids)},
        {"opportunity_id": pl.Int64, "roles_gone": pl.Int64},
    )


def account_people(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    DEAL_PERSON of everybody of these deals' accounts, without a role.
    """
    return fetch(
        connection,
        """
        SELECT o.id, p.id, NULL, false, p.created_at FROM opportunity o JOIN person p ON p.account_id = o.account_id
        WHERE o.id = ANY(%(ids)s) AND NOT p.is_deleted ORDER BY 1, 2
        """,
        {"ids": list(opportunity_ids)},
        DEAL_PERSON,
    )


def remembered(connection: Connection, account_id: int, at: datetime) -> dict[str, Any]:
    """
    What had last been decided of an account at an instant of the organisation's clock: was_engaged, engaged_since_at,
    was_band, alerted_at, was_qualified, qualified_since_at; and turned_at, when the flag last turned.
    """
    cursor = cursor_of(connection)
    turn = cursor.execute(
        "SELECT engaged, at, band FROM engagement_change WHERE account_id = %s AND at <= %s ORDER BY at DESC, id DESC LIMIT 1",
        (account_id, at),
    ).fetchone()
    alert = cursor.execute(
        "SELECT max(at) FROM engagement_change WHERE account_id = %s AND at <= %s AND alert", (account_id, at)
    ).fetchone()
    qualified = cursor.execute(
        """
        SELECT new = 'true', at FROM standing_change WHERE account_id = %s AND at <= %s AND what = 'qualified'
        ORDER BY at DESC, id DESC LIMIT 1
        """,
        (account_id, at),
    ).fetchone()
    was, is_qualified = bool(turn and turn[0]), bool(qualified and qualified[0])
    return {
        "was_engaged": was,
        "engaged_since_at": turn[1] if was else None,
        "was_band": turn[2] if turn else "None",
        "alerted_at": alert[0],
        "was_qualified": is_qualified,
        "qualified_since_at": qualified[1] if is_qualified else None,
        "turned_at": turn[1] if turn else None,
    }
