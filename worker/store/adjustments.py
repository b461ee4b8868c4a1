"""
Settled credits: as stored, in which periods they are locked, what was adjusted, and by which exchange rates.

Decides nothing; ``core.attribution.adjust`` does. Called by the attribution flow and ``headwater periods``.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.adjust import ADJUSTMENT, LOCKED
from worker.core.attribution.conversion import RATE
from worker.core.frames import INSTANT, Schema
from worker.store import tables
from worker.store.bulk import append, cursor_of, fetch
from worker.store.decisions import DEAL_COLUMNS, DEAL_FACTS

# Credits as stored: all models of an item in one JSON object.
STORED: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "clock": pl.String,
    "item": pl.String,
    "touch_id": pl.String,
    "occurred_at": INSTANT,
    "positions": pl.String,
    "models": pl.String,
}

# Which period a deal belongs to, and as what its credits were stored; state and digest are null where they never were.
# ``has_statement``: an administrator said something of its sourcing team. ``any_locked``: some period is.
SETTLED_AS: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "created_at": INSTANT,
    "close_on": pl.Date,
    "state": pl.String,
    "rule_version": pl.Int64,
    "digest": pl.String,
    "has_statement": pl.Boolean,
    "any_locked": pl.Boolean,
}
_SETTLED_COLUMNS: Final = """
    o.close_on, a.state, a.rule_version, d.digest,
    (SELECT count(v.id) > 0 FROM crosswalk k
     JOIN sourcing_override v ON v.record_id = k.record_id AND v.source = k.source
     WHERE k.kind = 'opportunity' AND k.golden_id = o.id),
    EXISTS (SELECT FROM locked_period)
    """
_SETTLED_TABLES: Final = """
    LEFT JOIN attribution a ON a.opportunity_id = o.id
    LEFT JOIN credit_digest d ON d.opportunity_id = o.id
    """
DEAL_TO_DECIDE: Final[Schema] = {**DEAL_FACTS, **SETTLED_AS}


def stored_credits(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    STORED of these deals.
    """
    return fetch(
        connection,
        """
        SELECT opportunity_id, clock, item, touch_id, occurred_at, positions, models::text
        FROM credit WHERE opportunity_id = ANY(%(ids)s) ORDER BY 1, 2, 5, 4
        """,
        {"ids": list(opportunity_ids)},
        STORED,
    )


def settled_as(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    SETTLED_AS of these deals, ordered by id.
    """
    return fetch(
        connection,
        f"""
        SELECT o.id, o.created_at, {_SETTLED_COLUMNS} FROM opportunity o {_SETTLED_TABLES}
        WHERE o.id = ANY(%(ids)s) ORDER BY o.id
        """,
        {"ids": list(opportunity_ids)},
        SETTLED_AS,
    )


def deals_to_decide(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    DEAL_TO_DECIDE of these deals, ordered by id: DEAL_FACTS and SETTLED_AS.
    """
    return fetch(
        connection,
        f"SELECT {DEAL_COLUMNS}, {_SETTLED_COLUMNS} FROM opportunity o {_SETTLED_TABLES} "
        "WHERE o.id = ANY(%(ids)s) ORDER BY o.id",
        {"ids": list(opportunity_ids)},
        DEAL_TO_DECIDE,
    )


def sources(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    What was decided of the creation of these deals, as stored: ``opportunity_id``, ``source_team``, ``source_channel``,
    ``source_offer``, ``assisted``, ``overridden`` and the ``override_id`` in it.
    """
    return fetch(
        connection,
        """
        SELECT opportunity_id, source_team, source_channel, source_offer, assisted, overridden::text,
               (overridden->>'id')::bigint
        FROM attribution WHERE opportunity_id = ANY(%(ids)s)
        """,
        {"ids": list(opportunity_ids)},
        {
            "opportunity_id": pl.Int64,
            "source_team": pl.String,
            "source_channel": pl.String,
            "source_offer": pl.String,
            "assisted": pl.Boolean,
            "overridden": pl.String,
            "override_id": pl.Int64,
        },
    )


def locked_periods(connection: Connection) -> pl.DataFrame:
    """
    LOCKED: the days in which no credit moves.
    """
    return fetch(connection, "SELECT starts_on, ends_on FROM locked_period ORDER BY 1, 2", {}, LOCKED)


def booked(connection: Connection, opportunity_ids: Sequence[int]) -> pl.DataFrame:
    """
    ADJUSTMENT: what was booked on these deals so far, in the order in which it was.
    """
    return fetch(
        connection,
        """
        SELECT opportunity_id, clock, model, item, touch_id, share_before, share_after, units_delta, kind, cause,
               adjusted_on
        FROM adjustment WHERE kind = 'booked' AND opportunity_id = ANY(%(ids)s) ORDER BY id
        """,
        {"ids": list(opportunity_ids)},
        ADJUSTMENT,
    )


def save(connection: Connection, adjustments: pl.DataFrame, now: datetime, rule_version: int) -> None:
    """
    Keep these adjustments beside the earlier ones.
    """
    stamped = adjustments.with_columns(adjusted_at=pl.lit(now).cast(INSTANT), rule_version=pl.lit(rule_version))
    append(connection, tables.adjustment, stamped)


def lock(connection: Connection, starts_on: date, ends_on: date, reason: str, by: str | None) -> int:
    """
    Lock these days, both counted. Returns the lock's number.
    """
    row = cursor_of(connection).execute(
        "INSERT INTO locked_period (starts_on, ends_on, reason, locked_by) VALUES (%s, %s, %s, %s) RETURNING id",
        (starts_on, ends_on, reason, by),
    )
    number: int = row.fetchone()[0]
    return number


def locks(connection: Connection) -> list[dict[str, Any]]:
    """
    Every lock, by its first day, with ``adjusted_deals``: how many deals inside have had something booked on them.
    """
    cursor = cursor_of(connection).execute(
        """
        SELECT l.id, l.starts_on, l.ends_on, l.reason, l.locked_by, l.locked_at, count(DISTINCT a.opportunity_id)
        FROM locked_period l
        LEFT JOIN (adjustment a JOIN opportunity o ON o.id = a.opportunity_id)
            ON a.kind = 'booked' AND a.adjusted_at >= l.locked_at
            AND CASE a.clock WHEN 'pipeline' THEN o.created_at::date ELSE coalesce(o.close_on, o.created_at::date) END
                BETWEEN l.starts_on AND l.ends_on
        GROUP BY l.id ORDER BY l.starts_on, l.id
        """
    )
    names = ("id", "starts_on", "ends_on", "reason", "locked_by", "locked_at", "adjusted_deals")
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def rates(connection: Connection) -> pl.DataFrame:
    """
    RATE: what one unit of the corporate currency is in each other one, dated and undated.
    """
    return fetch(
        connection,
        """
        SELECT record_id, currency, rate::text, start_on, until_on FROM source_currency_rate
        WHERE NOT coalesce(is_deleted, false) AND currency IS NOT NULL AND rate > 0
        ORDER BY currency, start_on, record_id
        """,
        {},
        RATE,
    )
