"""
Campaigns, with what they cost and whom they touched.
"""

from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.frames import INSTANT
from worker.core.funnel.totals import MONEY
from worker.store.bulk import Schema, fetch
from worker.store.reports.horizon import COUNTS, PRESENT, Horizon

CAMPAIGN_ROW: Final[Schema] = {
    "campaign": pl.String,
    "channel": pl.String,
    "type": pl.String,
    "status": pl.String,
    "start_on": pl.Date,
    "end_on": pl.Date,
    "cost": MONEY,
    "currency": pl.String,
    "people": pl.Int64,
    "accounts": pl.Int64,
    "touches": pl.Int64,
    "first_touch_at": INSTANT,
}


def campaigns(connection: Connection, home_currency: str, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    CAMPAIGN_ROW: every campaign that somebody was touched by or that costs something, once for a program and the
    campaign it is linked with; people, accounts and touches are those that may earn credit. By name.
    """
    return fetch(
        connection,
        f"""
        WITH touched AS (
            SELECT t.campaign, min(t.channel) AS channel, count(*) AS touches, count(DISTINCT k.golden_id) AS people,
                   count(DISTINCT p.account_id) AS accounts, min(t.occurred_at) AS first_touch_at
            FROM touchpoint t
            LEFT JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
            LEFT JOIN person p ON p.id = k.golden_id
            WHERE t.campaign IS NOT NULL AND t.earns_credit AND {COUNTS}
            GROUP BY t.campaign
        ), told AS (
            SELECT name, min(type) AS type, min(status) AS status, min(start_on) AS start_on, max(end_on) AS end_on,
                   max(cost) AS cost, min(currency) AS currency
            FROM source_campaign WHERE NOT coalesce(is_deleted, false) AND name IS NOT NULL
                AND coalesce(created_at <= %(until)s, true) GROUP BY name
        )
        SELECT coalesce(t.campaign, c.name), t.channel, c.type, c.status, c.start_on, c.end_on, c.cost,
               coalesce(c.currency, %(home)s), coalesce(t.people, 0), coalesce(t.accounts, 0), coalesce(t.touches, 0),
               t.first_touch_at
        FROM touched t FULL JOIN told c ON c.name = t.campaign
        WHERE t.campaign IS NOT NULL OR c.cost > 0 ORDER BY 1
        """,
        {"home": home_currency, **horizon.bound},
        CAMPAIGN_ROW,
    )
