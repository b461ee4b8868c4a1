"""
Gives the facts that engagement and attribution decide by, for a set of accounts or deals, and keeps what was decided.
Called by the engage and attribute flows.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection

from worker.core.frames import DEAL_PERSON, ENGAGEMENT_ACCOUNT, INSTANT, TOUCH
from worker.store import tables
from worker.store.bulk import NOW, Schema, cursor_of, fetch, replace, upsert

REVIEW: Final = timedelta(days=7)

ACCOUNT_FACTS: Final[Schema] = {
    **ENGAGEMENT_ACCOUNT,
    "domain": pl.String,
    "decided_at": INSTANT,
    "alerted_at": INSTANT,
    "annual_revenue": pl.Float64,
    "industry": pl.String,
    "country": pl.String,
    "city": pl.String,
    "was_qualified": pl.Boolean,
    "qualified_since_at": INSTANT,
    "was_stage": pl.String,
    "was_fit_band": pl.String,
    "was_tier": pl.String,
    "was_in_profile": pl.Boolean,
    "record_ids": pl.List(pl.String),
    "extra": pl.String,  # JSON of the customer's own fields, of its oldest record that has any
    "was_lists": pl.List(pl.String),
}
ACT_FACTS: Final[Schema] = {
    "account_id": pl.Int64,
    "person_id": pl.Int64,
    "act_id": pl.String,
    "occurred_at": INSTANT,
    "type": pl.String,
    "label": pl.String,
    "title": pl.String,
    "email": pl.String,
    "opted_out": pl.Boolean,  # of being tracked
    "is_new": pl.Boolean,  # it came to the store after the account's last decision
}
DEAL_FACTS: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "account_id": pl.Int64,
    "name": pl.String,
    "currency": pl.String,
    "amount": pl.Decimal(38, 6),
    "amount_units": pl.String,  # the amount without its point, as text: exact at any size
    "amount_scale": pl.Int32,  # how many digits the amount has after its point
    "created_at": INSTANT,
    "closed_at": INSTANT,
    "outcome": pl.String,
    "type": pl.String,
    "record_type_ref": pl.String,
    "record_type": pl.String,  # its API name, where the platform has told it
    "stage": pl.String,
    "is_deleted": pl.Boolean,
}
# DEAL_FACTS of ``opportunity o``.
DEAL_COLUMNS: Final = """
    o.id, o.account_id, o.name, o.currency, o.amount, replace((trim_scale(o.amount))::text, '.', ''),
    scale(trim_scale(o.amount)), o.created_at, o.closed_at, o.outcome, o.type, o.record_type_ref,
    (SELECT l.api_name FROM source_label l WHERE l.record_id = o.record_type_ref), o.stage, o.is_deleted
    """


def account_facts(connection: Connection, account_ids: Sequence[int], *, with_records: bool) -> pl.DataFrame:
    """
    ACCOUNT_FACTS of these accounts with what was decided about them last, ordered by id. Without ``with_records``
    their own ids and fields are left empty: they are read only where rules look at them.
    """
    records = (
        """
        LEFT JOIN LATERAL (
            SELECT array_agg(c.record_id ORDER BY c.record_id) AS ids,
                   (array_agg(sa.extra::text ORDER BY sa.created_at) FILTER (WHERE sa.extra IS NOT NULL))[1] AS extra
            FROM crosswalk c JOIN source_account sa ON sa.record_id = c.record_id AND sa.stream = c.stream
            WHERE c.golden_id = a.id AND c.kind = 'account') r ON true
        """
        if with_records
        else "CROSS JOIN (SELECT NULL::text[] AS ids, NULL::text AS extra) r"
    )
    return fetch(
        connection,
        f"""
        SELECT a.id, a.name, a.employees::bigint, a.type, coalesce(e.engaged, false), e.since_at,
               coalesce(e.band, 'None'), a.domain, e.decided_at, e.alerted_at, a.annual_revenue::float8, a.industry,
               a.country, a.city, s.qualified, s.qualified_since_at, s.stage, s.fit_band, s.tier, s.in_profile, r.ids,
               r.extra,
               (SELECT array_agg(m.list ORDER BY m.list) FROM list_membership m
                WHERE m.account_id = a.id AND m.left_at IS NULL)
        FROM account a
        LEFT JOIN engagement e ON e.account_id = a.id
        LEFT JOIN account_standing s ON s.account_id = a.id
        {records}
        WHERE a.id = ANY(%(ids)s) AND NOT a.is_deleted ORDER BY a.id
        """,
        {"ids": list(account_ids)},
        ACCOUNT_FACTS,
    )


def act_facts(
    connection: Connection,
    account_ids: Sequence[int],
    since: datetime,
    *,
    opt_out_fields: Sequence[str] = (),
    email_opt_out: bool = False,
) -> pl.DataFrame:
    """
    ACT_FACTS: what people of these accounts, or the accounts themselves, did from ``since`` on. Machines' acts and
    doubles are left out. People opted out of being tracked where one of their records says so in one of
    ``opt_out_fields``, and, if ``email_opt_out``, where they want no mails.
    """
    opted_out = opted_out_by(opt_out_fields, email_opt_out=email_opt_out)
    return fetch(
        connection,
        f"""
        SELECT p.account_id, p.id, t.touch_id, t.occurred_at, t.type, t.label, p.title, p.email, {opted_out},
               e.saved_at IS NULL OR t.seen_at > e.saved_at
        FROM person p
        JOIN crosswalk c ON c.kind = 'person' AND c.golden_id = p.id
        JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
        LEFT JOIN engagement e ON e.account_id = p.account_id
        WHERE p.account_id = ANY(%(ids)s) AND NOT p.is_deleted AND t.occurred_at >= %(since)s
            AND t.machine IS NULL AND t.duplicate_of IS NULL
        UNION ALL
        SELECT c.golden_id, NULL, t.touch_id, t.occurred_at, t.type, t.label, NULL, NULL, false,
               e.saved_at IS NULL OR t.seen_at > e.saved_at
        FROM crosswalk c
        JOIN touchpoint t ON t.source = c.source AND t.account_ref = c.record_id AND t.person_ref IS NULL
        LEFT JOIN engagement e ON e.account_id = c.golden_id
        WHERE c.kind = 'account' AND c.golden_id = ANY(%(ids)s) AND t.occurred_at >= %(since)s
            AND t.machine IS NULL AND t.duplicate_of IS NULL
        ORDER BY 1, 4, 3
        """,
        {"ids": list(account_ids), "since": since, "fields": list(opt_out_fields)},
        ACT_FACTS,
    )


def opted_out_by(opt_out_fields: Sequence[str], *, email_opt_out: bool) -> str:
    """
    SQL that says whether person ``p`` opted out of being tracked; it binds ``%(fields)s``, the names of the fields.
    """
    opted_out = "coalesce(p.opted_out, false)" if email_opt_out else "false"
    if opt_out_fields:
        opted_out += """
            OR EXISTS (SELECT 1 FROM crosswalk oc
                JOIN source_person sp ON sp.record_id = oc.record_id AND sp.stream = oc.stream
                CROSS JOIN unnest(%(fields)s::text[]) AS f(name)
                WHERE oc.golden_id = p.id AND oc.kind = 'person' AND lower(sp.extra ->> f.name) IN ('true', '1', 'yes'))
            """
    return opted_out


def accounts_to_review(connection: Connection, now: datetime, limit: int) -> list[int]:
    """
    Accounts whose flag was said to lapse by ``now``, or whose activity was last weighed a week ago.
    """
    rows = cursor_of(connection).execute(
        "SELECT account_id FROM engagement WHERE review_at <= %s ORDER BY review_at, account_id LIMIT %s", (now, limit)
    )
    return [number for (number,) in rows.fetchall()]


def save_flags(connection: Connection, flags: pl.DataFrame, *, rule_version: int, now: datetime) -> list[int]:
    """
    Keep flags (FLAG); a decision like the last one is not written. Turns are noted in the history. Returns the accounts
    whose decision changed.
    """
    # A stage, a spike and a chance fade by themselves: whoever did anything lately is looked at again within a week.
    week = (now + REVIEW).replace(hour=0, minute=0, second=0, microsecond=0)
    review = """
        least(CASE WHEN r.engaged OR r.points_milli > 0 THEN %s::timestamptz END, CASE WHEN r.engaged THEN r.until_at END)
        """
    moved = upsert(
        connection,
        tables.engagement,
        flags,
        ("account_id",),
        added={"rule_version": ("%s::integer", rule_version), "review_at": (review, week)},
        noted={"decided_at": now, "saved_at": NOW},
        was=("engaged",),
    )
    engaged = dict(zip(flags["account_id"], flags["engaged"], strict=True))
    turned = [number for number, was in moved if engaged[number] != bool(was)]
    if turned:
        cursor_of(connection).execute(
            """
            INSERT INTO engagement_change (account_id, at, engaged, band, why, rule_version, alert)
            SELECT account_id, %(now)s, engaged, band, why, rule_version, coalesce(alerted_at = %(now)s, false)
            FROM engagement WHERE account_id = ANY(%(ids)s)
            """,
            {"now": now, "ids": turned},
        )
    return [number for number, _ in moved]


def note_rechecks(connection: Connection, account_ids: Sequence[int], now: datetime) -> None:
    """
    Note that these accounts were decided again though nobody had done anything there: their points have aged to now.
    """
    if account_ids:
        cursor_of(connection).execute(
            "INSERT INTO recheck (account_id, at) SELECT unnest(%s::bigint[]), %s ON CONFLICT DO NOTHING",
            (list(account_ids), now),
        )


def drop_engagement(connection: Connection, account_ids: Sequence[int]) -> None:
    """
    Forget what was decided about accounts that are gone.
    """
    if account_ids:
        cursor = cursor_of(connection)
        for table in ("engagement", "account_standing", "list_membership"):
            cursor.execute(f"DELETE FROM {table} WHERE account_id = ANY(%s)", (list(account_ids),))


def deal_facts(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    DEAL_FACTS of these deals, ordered by id.
    """
    return fetch(
        connection,
        f"SELECT {DEAL_COLUMNS} FROM opportunity o WHERE o.id = ANY(%(ids)s) ORDER BY o.id",
        {"ids": list(opportunity_ids)},
        DEAL_FACTS,
    )


def closed_between(connection: Connection, since: datetime, until: datetime) -> list[int]:
    """
    The deals that were won or lost from ``since`` on and before ``until``, ordered by id.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT id FROM opportunity
        WHERE outcome IN ('won', 'lost') AND closed_at >= %s AND closed_at < %s AND created_at IS NOT NULL
            AND NOT is_deleted ORDER BY id
        """,
        (since, until),
    )
    return [number for (number,) in rows.fetchall()]


def deal_people(connection: Connection, opportunity_ids: Sequence[int], *, always_account: bool) -> pl.DataFrame:
    """
    DEAL_PERSON of these deals: those with a contact role (a blank role is ""), and the account's people (role null)
    where a deal has none, or always if asked.
    """
    return fetch(
        connection,
        """
        WITH deal AS (
            SELECT o.id, o.account_id, c.record_id, c.source FROM opportunity o
            JOIN crosswalk c ON c.kind = 'opportunity' AND c.golden_id = o.id
            WHERE o.id = ANY(%(ids)s)
        ), holder AS (
            SELECT d.id AS opportunity_id, c.golden_id AS person_id, min(coalesce(r.role, '')) AS role,
                   bool_or(coalesce(r.is_primary, false)) AS is_primary
            FROM deal d
            JOIN source_role r ON r.opportunity_ref = d.record_id AND NOT coalesce(r.is_deleted, false)
            JOIN crosswalk c ON c.kind = 'person' AND c.source = d.source AND c.record_id = r.contact_ref
            GROUP BY 1, 2
        ), stander AS (
            SELECT opportunity_id, person_id, role, is_primary FROM holder
            UNION ALL
            SELECT DISTINCT d.id, p.id, NULL, false FROM deal d JOIN person p ON p.account_id = d.account_id
            WHERE NOT p.is_deleted AND (%(always)s OR NOT EXISTS (SELECT 1 FROM holder h WHERE h.opportunity_id = d.id))
                AND NOT EXISTS (SELECT 1 FROM holder h WHERE h.opportunity_id = d.id AND h.person_id = p.id)
        )
        SELECT s.opportunity_id, s.person_id, s.role, s.is_primary, p.created_at
        FROM stander s JOIN person p ON p.id = s.person_id AND NOT p.is_deleted ORDER BY 1, 2
        """,
        {"ids": list(opportunity_ids), "always": always_account},
        DEAL_PERSON,
    )


def touches_of(connection: Connection, person_ids: Sequence[int]) -> pl.DataFrame:
    """
    TOUCH: every act of these persons that stands (no machine's, no double), ordered by touch id.
    """
    return fetch(
        connection,
        """
        SELECT t.touch_id, c.golden_id, t.occurred_at, t.type, t.team, t.channel, t.offer, t.campaign
        FROM crosswalk c JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
        WHERE c.kind = 'person' AND c.golden_id = ANY(%(ids)s) AND t.machine IS NULL AND t.duplicate_of IS NULL
        ORDER BY t.touch_id
        """,
        {"ids": list(person_ids)},
        TOUCH,
    )


def stage_entries(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    opportunity_id, stage, entered_at: the stage history of these deals.
    """
    return fetch(
        connection,
        """
        SELECT c.golden_id, h.stage, h.created_at FROM crosswalk c
        JOIN source_stage_change h ON h.opportunity_ref = c.record_id
        WHERE c.kind = 'opportunity' AND c.golden_id = ANY(%(ids)s) AND h.created_at IS NOT NULL ORDER BY 1, 3, 2
        """,
        {"ids": list(opportunity_ids)},
        {"opportunity_id": pl.Int64, "stage": pl.String, "entered_at": INSTANT},
    )


def save_attribution(connection: Connection, attributions: pl.DataFrame, now: datetime) -> list[int]:
    """
    Keep what was decided, one row a deal. Decisions that equal the last ones are not written. Returns the deals whose
    attribution changed.
    """
    changed = upsert(connection, tables.attribution, attributions, ("opportunity_id",), noted={"decided_at": now})
    return [number for (number,) in changed]


def save_credits(connection: Connection, digests: Mapping[int, str | None], credits: pl.DataFrame) -> None:
    """
    Have the store hold exactly these credits of the deals in ``digests``, and note what they came out as.
    """
    noted = """
        INSERT INTO credit_digest (opportunity_id, digest) SELECT * FROM unnest(%s::bigint[], %s::text[])
        ON CONFLICT (opportunity_id) DO UPDATE SET digest = EXCLUDED.digest
        """
    deals = list(digests)
    replace(
        connection,
        tables.credit,
        credits,
        owner="opportunity_id",
        owners=deals,
        along=(noted, (deals, list(digests.values()))),
    )


def drop_attribution(connection: Connection, opportunity_ids: Sequence[int]) -> None:
    """
    Forget what was decided about deals that are gone.
    """
    if opportunity_ids:
        cursor = cursor_of(connection)
        for table in ("attribution", "credit", "credit_digest", "adjustment"):
            cursor.execute(f"DELETE FROM {table} WHERE opportunity_id = ANY(%s)", (list(opportunity_ids),))


def register_rules(connection: Connection, digest: str, rules: dict[str, Any]) -> int:
    """
    The number of the rules with this content; a new one where the store has never seen them.
    """
    found = rules_number(connection, digest)
    if found is not None:
        return found
    number: int = (
        cursor_of(connection)
        .execute(
            """
            INSERT INTO rule_version (digest, rules) VALUES (%s, %s)
            ON CONFLICT (digest) DO UPDATE SET digest = EXCLUDED.digest RETURNING number
            """,
            (digest, json.dumps(rules, default=str)),
        )
        .fetchone()[0]
    )
    return number


def rules_in_force(connection: Connection) -> int | None:
    """
    The number of the rules by which everything is decided now; None before any were.
    """
    found = cursor_of(connection).execute("SELECT value FROM setting WHERE key = 'rules_in_force'").fetchone()
    return found[0] if found else None


def put_in_force(connection: Connection, number: int) -> bool:
    """
    Have these rules in force from now on. Whether others were before.
    """
    before = rules_in_force(connection)
    cursor_of(connection).execute(
        """
        INSERT INTO setting (key, value) VALUES ('rules_in_force', to_jsonb(%s::int))
        ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, updated_at = now() WHERE setting.value <> EXCLUDED.value
        """,
        (number,),
    )
    if before != number:
        cursor_of(connection).execute("INSERT INTO rules_in_force (number) VALUES (%s)", (number,))
    return before is not None and before != number


def rules_number(connection: Connection, digest: str) -> int | None:
    """
    The number of the rules with this content; None where the store has never seen them.
    """
    found = cursor_of(connection).execute("SELECT number FROM rule_version WHERE digest = %s", (digest,)).fetchone()
    return found[0] if found else None


def kept_rules(connection: Connection, number: int) -> dict[str, Any]:
    """
    The content of a version of the rules, by section; empty where there is none of this number.
    """
    found = cursor_of(connection).execute("SELECT rules FROM rule_version WHERE number = %s", (number,)).fetchone()
    return found[0] if found else {}
