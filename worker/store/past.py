"""
Gives what is stored a batch at a time, and with the instants at which it happened and came to the store: what deciding
by other rules, or as of a past moment, starts from. Reads only. Called by the preview and as-of flows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection, Engine

from worker.core.attribution.adjust import LOCKED
from worker.core.frames import DEAL_PERSON, INSTANT
from worker.core.history import DEAL_CHANGE
from worker.core.rules import Rules
from worker.core.timeline import Tick
from worker.store.bulk import Schema, cursor_of, fetch
from worker.store.decisions import opted_out_by
from worker.store.reports import Horizon

PERSON_FACTS: Final[Schema] = {
    "account_id": pl.Int64,
    "person_id": pl.Int64,
    "title": pl.String,
    "email": pl.String,
    "opted_out": pl.Boolean,
}
# What had last been decided of an account: memory for a decision, and when its flag last turned.
REMEMBERED: Final[Schema] = {
    "account_id": pl.Int64,
    "was_engaged": pl.Boolean,
    "engaged_since_at": INSTANT,
    "was_band": pl.String,
    "alerted_at": INSTANT,
    "was_qualified": pl.Boolean,
    "qualified_since_at": INSTANT,
    "turned_at": INSTANT,
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
    LEFT JOIN source_opportunity gone ON gone.record_id = d.record_id AND gone.stream = d.stream AND gone.is_deleted
    WHERE d.kind = 'opportunity' AND d.golden_id = ANY(%(ids)s)
"""


def role_holders(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    Who stands on these deals by contact role: DEAL_PERSON with ``occurred_at`` and ``seen_at`` of the role, and
    ``gone_at``: a deleted deal takes its roles along. When a role was taken from a deal that stands is not known; such
    roles are absent.
    """
    return fetch(
        connection,
        f"""
        SELECT d.golden_id, c.golden_id, coalesce(r.role, ''), coalesce(r.is_primary, false), p.created_at,
               r.created_at, coalesce(r.seen_at, r.created_at), CASE WHEN r.is_deleted THEN gone.stamp_at END
        {_ROLES} AND (NOT coalesce(r.is_deleted, false) OR gone.stamp_at IS NOT NULL) ORDER BY 1, 2, 3
        """,
        {"ids": list(opportunity_ids)},
        {**DEAL_PERSON, "occurred_at": INSTANT, "seen_at": INSTANT, "gone_at": INSTANT},
    )


def roles_gone(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    How many contact roles were taken from these deals, nobody knows when: opportunity_id, roles_gone; deals without any
    are absent.
    """
    return fetch(
        connection,
        f"SELECT d.golden_id, count(*) {_ROLES} AND r.is_deleted AND gone.stamp_at IS NULL GROUP BY 1 ORDER BY 1",
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


def remembered(connection: Connection, account_ids: Sequence[int], at: datetime) -> pl.DataFrame:
    """
    REMEMBERED of these accounts at an instant of the organisation's clock, ordered by id.
    """
    return fetch(
        connection,
        """
        SELECT i.id, coalesce(turn.engaged, false), CASE WHEN turn.engaged THEN turn.at END,
               coalesce(turn.band, 'None'), (SELECT max(c.at) FROM engagement_change c
                   WHERE c.account_id = i.id AND c.at <= %(at)s AND c.alert),
               coalesce(q.new = 'true', false), CASE WHEN q.new = 'true' THEN q.at END, turn.at
        FROM unnest(%(ids)s::bigint[]) AS i(id)
        LEFT JOIN LATERAL (SELECT c.engaged, c.at, c.band FROM engagement_change c
            WHERE c.account_id = i.id AND c.at <= %(at)s ORDER BY c.at DESC, c.id DESC LIMIT 1) turn ON true
        LEFT JOIN LATERAL (SELECT c.new, c.at FROM standing_change c
            WHERE c.account_id = i.id AND c.at <= %(at)s AND c.what = 'qualified'
            ORDER BY c.at DESC, c.id DESC LIMIT 1) q ON true
        ORDER BY i.id
        """,
        {"ids": list(account_ids), "at": at},
        REMEMBERED,
    )


def decided_at(connection: Connection) -> pl.DataFrame:
    """
    account_id and decided_at: when what is stored of each account's flag and standing came to be so, by the
    organisation's clock; accounts about which nothing was decided are absent.
    """
    return fetch(
        connection,
        """
        SELECT e.account_id, greatest(e.decided_at, s.decided_at) FROM engagement e
        LEFT JOIN account_standing s ON s.account_id = e.account_id ORDER BY 1
        """,
        {},
        {"account_id": pl.Int64, "decided_at": INSTANT},
    )


def standing_then(connection: Connection, at: datetime) -> pl.DataFrame:
    """
    account_id, what and value: what stood before the first change after an instant; what did not change since is absent.
    """
    return fetch(
        connection,
        """
        SELECT DISTINCT ON (account_id, what) account_id, what, old FROM standing_change WHERE at > %(at)s
        ORDER BY account_id, what, at, id
        """,
        {"at": at},
        {"account_id": pl.Int64, "what": pl.String, "value": pl.String},
    )


def turns_of(connection: Connection, account_ids: Sequence[int], at: datetime) -> pl.DataFrame:
    """
    account_id and at of everything that was noted about these accounts up to an instant: turns of the flag, changes of
    the standing, comings and goings in lists, decisions without an act.
    """
    return fetch(
        connection,
        """
        SELECT account_id, at FROM engagement_change WHERE account_id = ANY(%(ids)s) AND at <= %(at)s
        UNION SELECT account_id, at FROM standing_change WHERE account_id = ANY(%(ids)s) AND at <= %(at)s
        UNION SELECT account_id, entered_at FROM list_membership WHERE account_id = ANY(%(ids)s) AND entered_at <= %(at)s
        UNION SELECT account_id, left_at FROM list_membership WHERE account_id = ANY(%(ids)s) AND left_at <= %(at)s
        UNION SELECT account_id, at FROM recheck WHERE account_id = ANY(%(ids)s) AND at <= %(at)s
        ORDER BY 1, 2
        """,
        {"ids": list(account_ids), "at": at},
        {"account_id": pl.Int64, "at": INSTANT},
    )


def with_news(connection: Connection, horizon: Horizon) -> list[int]:
    """
    The accounts at which something that happened within the horizon came to be known only beyond it.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT p.account_id FROM touchpoint t
        JOIN crosswalk c ON c.kind = 'person' AND c.source = t.source AND c.record_id = t.person_ref
        JOIN person p ON p.id = c.golden_id AND p.account_id IS NOT NULL
        WHERE t.occurred_at <= %(until)s AND t.seen_at > %(seen_by)s
        UNION
        SELECT c.golden_id FROM touchpoint t
        JOIN crosswalk c ON c.kind = 'account' AND c.source = t.source AND c.record_id = t.account_ref
        WHERE t.person_ref IS NULL AND t.occurred_at <= %(until)s AND t.seen_at > %(seen_by)s ORDER BY 1
        """,
        horizon.bound,
    )
    return [number for (number,) in rows.fetchall()]


def deals_since(connection: Connection, horizon: Horizon, by: datetime, rules: Rules) -> pl.DataFrame:
    """
    opportunity_id and is_moved of every deal that was there: whether anything of it that is dated lies beyond the
    horizon; an administrator spoke of it, or locked its period, after ``by`` (the database's clock); other rules than
    these decided what is stored; or a model of theirs was learnt anew since. A deal is there from its creation, and from its first arrival where arrivals are bounded, until it
    is deleted.
    """
    return fetch(
        connection,
        """
        WITH news AS (
            SELECT DISTINCT c.golden_id AS person_id FROM touchpoint t
            JOIN crosswalk c ON c.kind = 'person' AND c.source = t.source AND c.record_id = t.person_ref
            WHERE t.occurred_at > %(until)s OR t.seen_at > %(seen_by)s
        ), ref AS (
            SELECT golden_id, record_id, source FROM crosswalk WHERE kind = 'opportunity'
        ), moved AS (
            SELECT ref.golden_id FROM ref JOIN source_stage_change h ON h.opportunity_ref = ref.record_id
            WHERE h.created_at > %(until)s OR h.seen_at > %(seen_by)s
            UNION
            SELECT ref.golden_id FROM ref JOIN source_role r ON r.opportunity_ref = ref.record_id
            WHERE r.created_at > %(until)s OR r.seen_at > %(seen_by)s
            UNION
            SELECT ref.golden_id FROM news n
            JOIN crosswalk c ON c.kind = 'person' AND c.golden_id = n.person_id
            JOIN source_role r ON r.contact_ref = c.record_id
            JOIN ref ON ref.record_id = r.opportunity_ref
            UNION
            SELECT ref.golden_id FROM sourcing_override v JOIN ref USING (record_id, source)
            WHERE v.said_at > %(by)s
            UNION
            SELECT o.id FROM news n JOIN person p ON p.id = n.person_id JOIN opportunity o ON o.account_id = p.account_id
        ), came AS (
            SELECT ref.golden_id, coalesce(min(h.seen_at), min(k.since_at)) AS at
            FROM ref JOIN crosswalk k ON k.kind = 'opportunity' AND k.golden_id = ref.golden_id
            LEFT JOIN source_stage_change h ON h.opportunity_ref = ref.record_id GROUP BY ref.golden_id
        ), gone AS (
            SELECT ref.golden_id, max(s.stamp_at) AS at FROM ref
            JOIN source_opportunity s ON s.record_id = ref.record_id AND s.is_deleted GROUP BY ref.golden_id
        )
        SELECT o.id, o.is_deleted OR coalesce(o.closed_at > %(until)s, false) OR m.golden_id IS NOT NULL
               OR coalesce(a.rule_version <> %(version)s, false)
               OR (%(learns)s AND EXISTS (SELECT 1 FROM learning WHERE weights IS NOT NULL AND learnt_at > %(until)s))
               OR EXISTS (SELECT 1 FROM locked_period l WHERE l.locked_at > %(by)s
                   AND ((o.created_at AT TIME ZONE %(zone)s)::date BETWEEN l.starts_on AND l.ends_on
                        OR o.close_on BETWEEN l.starts_on AND l.ends_on))
        FROM opportunity o
        LEFT JOIN attribution a ON a.opportunity_id = o.id
        LEFT JOIN moved m ON m.golden_id = o.id
        LEFT JOIN came ON came.golden_id = o.id
        LEFT JOIN gone ON gone.golden_id = o.id
        WHERE coalesce(o.created_at <= %(until)s, true) AND coalesce(came.at <= %(seen_by)s, true)
            AND (NOT o.is_deleted OR gone.at > %(until)s)
        ORDER BY o.id
        """,
        {
            **horizon.bound,
            "by": by,
            "version": rules.version,
            "zone": rules.zone,
            "learns": any(model.learn for model in rules.attribution.models),
        },
        {"opportunity_id": pl.Int64, "is_moved": pl.Boolean},
    )


def close_days(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    opportunity_id and close_on of these deals as they stand now.
    """
    return _today(
        connection, "opportunity", "close_on", opportunity_ids, {"opportunity_id": pl.Int64, "close_on": pl.Date}
    )


def locked_by(connection: Connection, seen_by: datetime) -> pl.DataFrame:
    """
    LOCKED: the days that were locked by an instant of the database's clock.
    """
    statement = "SELECT starts_on, ends_on FROM locked_period WHERE locked_at <= %(by)s ORDER BY 1, 2"
    return fetch(connection, statement, {"by": seen_by}, LOCKED)


def people_named(connection: Connection, person_ids: Sequence[int]) -> pl.DataFrame:
    """
    person_id and person: what these people are called.
    """
    name = "nullif(concat_ws(' ', first_name, last_name), '')"
    return _today(connection, "person", name, person_ids, {"person_id": pl.Int64, "person": pl.String})


def deals_named(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    opportunity_id and deal: what these deals are called.
    """
    return _today(connection, "opportunity", "name", opportunity_ids, {"opportunity_id": pl.Int64, "deal": pl.String})


def _today(connection: Connection, kind: str, cell: str, ids: Sequence[int], schema: Schema) -> pl.DataFrame:
    """
    What of golden records has no past: their ids and one cell, by id.
    """
    statement = f"SELECT id, {cell} FROM {kind} WHERE id = ANY(%(ids)s) ORDER BY id"
    return fetch(connection, statement, {"ids": list(ids)}, schema)


def deleted_since(connection: Connection, at: datetime) -> dict[str, int]:
    """
    How many accounts and people were deleted after an instant, by kind; those without any are absent.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT kind, count(*) FROM (
            SELECT 'account' AS kind FROM account g WHERE g.is_deleted AND EXISTS (SELECT 1 FROM crosswalk k
                JOIN source_account s ON s.record_id = k.record_id AND s.stream = k.stream
                WHERE k.kind = 'account' AND k.golden_id = g.id AND s.stamp_at > %(at)s)
            UNION ALL
            SELECT 'person' FROM person g WHERE g.is_deleted AND EXISTS (SELECT 1 FROM crosswalk k
                JOIN source_person s ON s.record_id = k.record_id AND s.stream = k.stream
                WHERE k.kind = 'person' AND k.golden_id = g.id AND s.stamp_at > %(at)s)) d
        GROUP BY kind ORDER BY kind
        """,
        {"at": at},
    )
    return dict(rows.fetchall())
