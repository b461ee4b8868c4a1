"""
What was done, over time: touches that may earn credit, acts before an instant, acts by month.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.frames import INSTANT
from worker.store.bulk import Schema, fetch
from worker.store.reports.horizon import COUNTS, PRESENT, Horizon


def touches_by_day(connection: Connection, since: datetime, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    Eligible touches since then: touch_id, occurred_at, type, team, channel, campaign, person_id, account_id. By instant.
    """
    return fetch(
        connection,
        f"""
        SELECT t.touch_id, t.occurred_at, t.type, t.team, t.channel, t.campaign, k.golden_id, p.account_id
        FROM touchpoint t
        LEFT JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
        LEFT JOIN person p ON p.id = k.golden_id
        WHERE t.earns_credit AND t.occurred_at >= %(since)s AND {COUNTS}
        ORDER BY t.occurred_at, t.touch_id
        """,
        {"since": since, **horizon.bound},
        {
            "touch_id": pl.String,
            "occurred_at": INSTANT,
            "type": pl.String,
            "team": pl.String,
            "channel": pl.String,
            "campaign": pl.String,
            "person_id": pl.Int64,
            "account_id": pl.Int64,
        },
    )


BEFORE_ROW: Final[Schema] = {
    "account_id": pl.Int64,
    "acts": pl.Int64,  # of types that are worth points
    "people": pl.Int64,  # who did them
    "active_days": pl.Int64,  # days (UTC) with one
    "marketing_touches": pl.Int64,  # that may earn credit
    "high_value_pages": pl.Int64,
    "content": pl.Int64,
    "webinars": pl.Int64,
    "events": pl.Int64,
    "requests": pl.Int64,
    "sales_touches": pl.Int64,
}


def acts_before(
    connection: Connection,
    until: pl.DataFrame,
    days: int,
    types: Mapping[str, Sequence[str]],
    horizon: Horizon = PRESENT,
) -> pl.DataFrame:
    """
    BEFORE_ROW: what happened at these accounts within so many days before an instant of each (``until``: account_id,
    until_at), by their people or by nobody known; accounts without anything are left out. ``types`` names the acts
    that are worth points, those that are ``requests`` and those of ``sales``. By account.
    """
    return fetch(
        connection,
        f"""
        WITH span AS (
            SELECT account_id, until_at, until_at - %(days)s * interval '1 day' AS since_at
            FROM unnest(%(accounts)s::bigint[], %(instants)s::timestamptz[]) AS s(account_id, until_at)
        ), act AS (
            SELECT s.account_id, p.id AS person_id, t.*
            FROM span s
            JOIN person p ON p.account_id = s.account_id AND NOT p.is_deleted
            JOIN crosswalk k ON k.kind = 'person' AND k.golden_id = p.id
            JOIN touchpoint t ON t.source = k.source AND t.person_ref = k.record_id
                AND t.occurred_at >= s.since_at AND t.occurred_at < s.until_at
            WHERE {COUNTS}
            UNION ALL
            SELECT s.account_id, NULL, t.*
            FROM span s
            JOIN crosswalk k ON k.kind = 'account' AND k.golden_id = s.account_id
            JOIN touchpoint t ON t.source = k.source AND t.account_ref = k.record_id AND t.person_ref IS NULL
                AND t.occurred_at >= s.since_at AND t.occurred_at < s.until_at
            WHERE {COUNTS}
        )
        SELECT account_id, count(*) FILTER (WHERE is_worth), count(DISTINCT person_id) FILTER (WHERE is_worth),
               count(DISTINCT (occurred_at AT TIME ZONE 'UTC')::date) FILTER (WHERE is_worth),
               count(*) FILTER (WHERE earns_credit AND team = 'marketing'),
               count(*) FILTER (WHERE type = 'high_value_page'), count(*) FILTER (WHERE type = 'content'),
               count(*) FILTER (WHERE type = 'webinar_attended'), count(*) FILTER (WHERE type = 'event_attended'),
               count(*) FILTER (WHERE type = ANY(%(requests)s)), count(*) FILTER (WHERE type = ANY(%(sales)s))
        FROM act CROSS JOIN LATERAL (SELECT type = ANY(%(worth)s) AS is_worth) w
        GROUP BY account_id ORDER BY account_id
        """,
        {
            "accounts": until["account_id"].to_list(),
            "instants": until["until_at"].to_list(),
            "days": days,
            **{name: list(types[name]) for name in ("worth", "requests", "sales")},
            **horizon.bound,
        },
        BEFORE_ROW,
    )


def acts_by_month(connection: Connection, types: Sequence[str], horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    How many acts of these types are kept of each month (UTC): month_at, acts. By month.
    """
    return fetch(
        connection,
        """
        SELECT date_trunc('month', occurred_at, 'UTC'), count(*) FROM touchpoint
        WHERE type = ANY(%(types)s) AND occurred_at <= %(until)s AND seen_at <= %(seen_by)s GROUP BY 1 ORDER BY 1
        """,
        {"types": list(types), **horizon.bound},
        {"month_at": INSTANT, "acts": pl.Int64},
    )
