"""
Keeps where accounts stand (fit, intent, stage, in-market, qualified), which target lists they are in with the history,
what was learnt, and what sales said of a flag. Gives the history that learning and backtests look at.

Called by the engage and learn flows and by the commands that show it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection

from worker.core.engagement.in_market import PAST_ACCOUNT, PAST_ACT, PAST_DEAL
from worker.store import tables
from worker.store.bulk import Schema, cursor_of, fetch, upsert

# What a change of is history by itself; ``was_<name>`` is what account_facts gave.
WATCHED: Final = ("stage", "fit_band", "tier", "in_profile", "qualified")
NOTHING: Final = frozenset({None, "Target", "false"})

PAST_FACTS: Final[Schema] = {
    **PAST_ACCOUNT,
    "name": pl.String,
    "type": pl.String,
    "domain": pl.String,
    "annual_revenue": pl.Float64,
    "industry": pl.String,
    "country": pl.String,
    "city": pl.String,
    "extra": pl.String,
}


def deals_of(connection: Connection, account_ids: Sequence[int], renewal_types: Sequence[str]) -> pl.DataFrame:
    """
    PAST_DEAL of these accounts with ``is_renewal``: deals of types that earn no credit are no openings, but tell who
    stayed and who left.
    """
    return fetch(
        connection,
        """
        SELECT account_id, (created_at AT TIME ZONE 'UTC')::date, (closed_at AT TIME ZONE 'UTC')::date, outcome,
               coalesce(type = ANY(%(types)s), false)
        FROM opportunity WHERE account_id = ANY(%(ids)s) AND NOT is_deleted AND created_at IS NOT NULL
        ORDER BY account_id, created_at, id
        """,
        {"ids": list(account_ids), "types": list(renewal_types)},
        {**PAST_DEAL, "is_renewal": pl.Boolean},
    )


def save_standings(connection: Connection, standings: pl.DataFrame, *, rule_version: int, now: datetime) -> int:
    """
    Keep STANDING rows; those like the last are not written. What turned is noted in the history. Returns how many were
    written.
    """
    moved = upsert(
        connection,
        tables.account_standing,
        standings,
        ("account_id",),
        added={"rule_version": ("%s::integer", rule_version)},
        noted={"decided_at": now},
        was=WATCHED,
    )
    turned = _turned(moved, standings)
    if turned:
        cursor_of(connection).executemany(
            """
            INSERT INTO standing_change (account_id, at, what, old, new, rule_version)
            VALUES (%s, %s, %s, %s, %s, %s)
            """,
            [(account, now, what, old, new, rule_version) for account, what, old, new in turned],
        )
    return len(moved)


def _turned(moved: Sequence[tuple[Any, ...]], standings: pl.DataFrame) -> list[tuple[int, str, str | None, str | None]]:
    """
    account, what, old and new of everything watched that is not as before. From nothing to nothing is no turn.
    ``moved`` are the accounts written, each with what was watched before.
    """
    if not moved:
        return []
    columns = (standings[name].to_list() for name in ("account_id", *WATCHED))
    now = {account: new for account, *new in zip(*columns, strict=True)}
    turns = [
        (account, what, _told(old), _told(new))
        for account, *was in moved
        for what, old, new in zip(WATCHED, was, now[account], strict=True)
        if old != new
    ]
    return [turn for turn in turns if not {turn[2], turn[3]} <= NOTHING]


def _told(value: str | bool | None) -> str | None:
    return str(value).lower() if isinstance(value, bool) else value


def save_memberships(
    connection: Connection, facts: pl.DataFrame, memberships: pl.DataFrame, *, rule_version: int, now: datetime
) -> tuple[int, int]:
    """
    Have the lists hold exactly ``memberships`` (account_id, list) of the accounts in ``facts``. Returns how many came
    and left.
    """
    if memberships.is_empty() and facts["was_lists"].null_count() == facts.height:
        return 0, 0
    was = facts.select("account_id", list="was_lists").explode("list").drop_nulls()
    came = memberships.join(was, on=["account_id", "list"], how="anti")
    left = was.join(memberships, on=["account_id", "list"], how="anti")
    cursor = cursor_of(connection)
    if came.height:
        cursor.execute(
            """
            INSERT INTO list_membership (list, account_id, entered_at, rule_version)
            SELECT list, account_id, %s, %s FROM unnest(%s::text[], %s::bigint[]) AS m(list, account_id)
            ON CONFLICT DO NOTHING
            """,
            (now, rule_version, came["list"].to_list(), came["account_id"].to_list()),
        )
    if left.height:
        cursor.execute(
            """
            UPDATE list_membership l SET left_at = %s
            FROM unnest(%s::text[], %s::bigint[]) AS m(list, account_id)
            WHERE l.list = m.list AND l.account_id = m.account_id AND l.left_at IS NULL
            """,
            (now, left["list"].to_list(), left["account_id"].to_list()),
        )
    return came.height, left.height


def save_learnt(
    connection: Connection, kind: str, model: str | None, told: str, *, rule_version: int, now: datetime
) -> None:
    """
    Keep what was learnt (JSON, or None where the history is too short) and the sentence about it.
    """
    cursor_of(connection).execute(
        """
        INSERT INTO learnt (kind, model, told, rule_version, learnt_at) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (kind) DO UPDATE SET model = EXCLUDED.model, told = EXCLUDED.told,
            rule_version = EXCLUDED.rule_version, learnt_at = EXCLUDED.learnt_at
        """,
        (kind, model, told, rule_version, now),
    )


def learnt(connection: Connection) -> dict[str, Mapping[str, Any]]:
    """
    What was learnt last, by kind: model (JSON text or None), told, learnt_at, rule_version.
    """
    rows = (
        cursor_of(connection).execute("SELECT kind, model::text, told, learnt_at, rule_version FROM learnt").fetchall()
    )
    return {
        kind: {"model": model, "told": told, "learnt_at": at, "rule_version": version}
        for kind, model, told, at, version in rows
    }


def past_accounts(connection: Connection, most: int) -> pl.DataFrame:
    """
    PAST_FACTS of at most ``most`` accounts: all of them, or a part that depends on their ids alone.
    """
    return fetch(
        connection,
        """
        SELECT a.id, a.employees::bigint,
               coalesce((a.created_at AT TIME ZONE 'UTC')::date, DATE '1970-01-01'), a.name, a.type, a.domain,
               a.annual_revenue::float8, a.industry, a.country, a.city, r.extra
        FROM (SELECT * FROM account WHERE NOT is_deleted ORDER BY hashint8(id), id LIMIT %(most)s) a
        LEFT JOIN LATERAL (
            SELECT (array_agg(sa.extra::text ORDER BY sa.created_at) FILTER (WHERE sa.extra IS NOT NULL))[1] AS extra
            FROM crosswalk c JOIN source_account sa ON sa.record_id = c.record_id AND sa.stream = c.stream
            WHERE c.golden_id = a.id AND c.kind = 'account') r ON true
        ORDER BY a.id
        """,
        {"most": most},
        PAST_FACTS,
    )


def past_acts(connection: Connection, account_ids: Sequence[int], since: date) -> pl.DataFrame:
    """
    PAST_ACT of these accounts from ``since`` on, with the title in the place of the level. Machines' acts and doubles
    are left out.
    """
    schema = {name: dtype for name, dtype in PAST_ACT.items() if name != "level"} | {"title": pl.String}
    return fetch(
        connection,
        """
        SELECT p.account_id, p.id, (t.occurred_at AT TIME ZONE 'UTC')::date, t.type, p.title
        FROM person p
        JOIN crosswalk c ON c.kind = 'person' AND c.golden_id = p.id
        JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
        WHERE p.account_id = ANY(%(ids)s) AND NOT p.is_deleted AND t.occurred_at >= %(since)s
            AND t.machine IS NULL AND t.duplicate_of IS NULL
        UNION ALL
        SELECT c.golden_id, NULL, (t.occurred_at AT TIME ZONE 'UTC')::date, t.type, NULL
        FROM crosswalk c
        JOIN touchpoint t ON t.source = c.source AND t.account_ref = c.record_id AND t.person_ref IS NULL
        WHERE c.kind = 'account' AND c.golden_id = ANY(%(ids)s) AND t.occurred_at >= %(since)s
            AND t.machine IS NULL AND t.duplicate_of IS NULL
        """,
        {"ids": list(account_ids), "since": since},
        schema,
    )


def everybody_again(connection: Connection) -> None:
    """
    Have every account that did anything, or stands anywhere, decided again: something new was learnt.
    """
    cursor_of(connection).execute(
        """
        INSERT INTO due (flow, kind, key) SELECT 'engage', 'account', id::text FROM account WHERE NOT is_deleted
        ORDER BY 3 ON CONFLICT DO NOTHING
        """
    )


def say(connection: Connection, account_id: int, verdict: str, said_by: str | None) -> None:
    """
    Keep what sales said of an account's flag, with the rules that made it.
    """
    cursor_of(connection).execute(
        """
        INSERT INTO verdict (account_id, at, verdict, said_by, rule_version)
        SELECT %(id)s, now(), %(verdict)s, %(by)s, (SELECT rule_version FROM engagement WHERE account_id = %(id)s)
        """,
        {"id": account_id, "verdict": verdict, "by": said_by},
    )


def precision_by_version(connection: Connection) -> list[dict[str, Any]]:
    """
    rule_version, flagged (turns to engaged), ripe (of them, at least 90 days ago), opened (of these, those whose account
    opened an opportunity within 90 days), wrong and not_interested (what sales said of flags of that version).
    """
    rows = cursor_of(connection).execute(
        """
        WITH turn AS (
            SELECT c.rule_version, c.at <= now() - interval '90 days' AS is_ripe,
                   EXISTS (SELECT 1 FROM opportunity o WHERE o.account_id = c.account_id AND NOT o.is_deleted
                       AND o.created_at > c.at AND o.created_at <= c.at + interval '90 days') AS opened
            FROM engagement_change c WHERE c.engaged
        ), said AS (
            SELECT rule_version, count(*) FILTER (WHERE verdict = 'wrong') AS wrong,
                   count(*) FILTER (WHERE verdict = 'not interested') AS not_interested
            FROM verdict GROUP BY rule_version
        )
        SELECT t.rule_version, count(*), count(*) FILTER (WHERE is_ripe), count(*) FILTER (WHERE is_ripe AND opened),
               coalesce(max(s.wrong), 0), coalesce(max(s.not_interested), 0)
        FROM turn t LEFT JOIN said s USING (rule_version) GROUP BY t.rule_version ORDER BY t.rule_version
        """
    )
    names = ("rule_version", "flagged", "ripe", "opened", "wrong", "not_interested")
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
