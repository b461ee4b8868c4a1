"""
Accounts, and the turns of their flags.
"""

from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.frames import INSTANT
from worker.store.bulk import Schema, fetch
from worker.store.reports.horizon import PRESENT, Horizon

# The class of an account's size, {0} being the account.
SIZE: Final = """
    CASE WHEN {0}.employees IS NULL THEN NULL WHEN {0}.employees < 50 THEN '1-49' WHEN {0}.employees < 250 THEN '50-249'
         WHEN {0}.employees < 1000 THEN '250-999' ELSE '1000+' END
"""
ACCOUNT_ROW: Final[Schema] = {
    "account_id": pl.Int64,
    "account": pl.String,
    "type": pl.String,
    "industry": pl.String,
    "size": pl.String,
    "country": pl.String,
    "tier": pl.String,
    "fit_band": pl.String,
    "stage": pl.String,  # buying stage
    "band": pl.String,
    "in_profile": pl.Boolean,  # the ideal customer profile
    "is_listed": pl.Boolean,  # on a target list
    "engaged": pl.Boolean,
    "qualified": pl.Boolean,
    "points": pl.Float64,
    "people_count": pl.Int64,
    "since_at": INSTANT,
    "until_at": INSTANT,
    "entered_at": INSTANT,  # when it came onto a target list; else its creation
    "first_engaged_at": INSTANT,
}


def accounts(connection: Connection, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    ACCOUNT_ROW of every account that is not deleted, by entry and id. Entry, lists and the first flag lie within the
    horizon; the flag and where the account stands are the stored ones.
    """
    return fetch(
        connection,
        f"""
        SELECT a.id, a.name, a.type, a.industry, {SIZE.format("a")}, a.country, s.tier, s.fit_band, s.stage,
               coalesce(e.band, 'None'), coalesce(s.in_profile, false), coalesce(l.is_listed, false),
               coalesce(e.engaged, false), coalesce(s.qualified, false), coalesce(e.points_milli, 0) / 1000.0,
               coalesce(e.people_count, 0), e.since_at, e.until_at, entry.at,
               least(CASE WHEN e.since_at <= %(until)s THEN e.since_at END, h.first_engaged_at)
        FROM account a
        LEFT JOIN engagement e ON e.account_id = a.id
        LEFT JOIN account_standing s ON s.account_id = a.id
        LEFT JOIN (SELECT account_id, min(entered_at) AS entered_at,
                       bool_or(left_at IS NULL OR left_at > %(until)s) AS is_listed
                   FROM list_membership WHERE entered_at <= %(until)s GROUP BY account_id) l ON l.account_id = a.id
        LEFT JOIN (SELECT account_id, min(at) AS first_engaged_at FROM engagement_change
                   WHERE engaged AND at <= %(until)s GROUP BY account_id) h ON h.account_id = a.id
        LEFT JOIN (SELECT k.golden_id, min(s.created_at) AS created_at, min(k.since_at) AS came_at FROM crosswalk k
                   JOIN source_account s ON s.record_id = k.record_id AND s.stream = k.stream
                   WHERE k.kind = 'account' GROUP BY k.golden_id) b ON b.golden_id = a.id
        CROSS JOIN LATERAL (SELECT coalesce(l.entered_at, b.created_at) AS at) entry
        WHERE NOT a.is_deleted AND coalesce(b.created_at <= %(until)s, true) AND coalesce(b.came_at <= %(seen_by)s, true)
        ORDER BY entry.at NULLS LAST, a.id
        """,
        horizon.bound,
        ACCOUNT_ROW,
    )


def engagement_turns(connection: Connection, since: datetime, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    When accounts were decided to be engaged or no longer so since then: account_id, account, at, engaged. By instant.
    """
    return fetch(
        connection,
        """
        SELECT c.account_id, a.name, c.at, c.engaged FROM engagement_change c JOIN account a ON a.id = c.account_id
        WHERE c.at >= %(since)s AND c.at <= %(until)s ORDER BY c.at, c.id
        """,
        {"since": since, **horizon.bound},
        {"account_id": pl.Int64, "account": pl.String, "at": INSTANT, "engaged": pl.Boolean},
    )
