"""
Keeps what administrators say of a deal's sourcing team: who, when, why. A correction is a row of its own, and so is
giving the touches' answer back; nothing is ever changed.

A statement is tied to the deal's own record, so that it follows the deal wherever its golden record goes. Decides
nothing; ``core.attribution.sourcing`` does. Called by the attribution and as-of flows and by ``headwater
source-team``.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.sourcing import STATEMENT
from worker.store.bulk import cursor_of, fetch

# The locked period that a statement came too late for: it was locked already, and the deal's creation lies inside.
_SHUT: Final = """
    SELECT l.* FROM locked_period l WHERE l.locked_at <= v.said_at
        AND (o.created_at AT TIME ZONE %(zone)s)::date BETWEEN l.starts_on AND l.ends_on ORDER BY l.id LIMIT 1
"""


def said_of(connection: Connection, opportunity_ids: Sequence[int], zone: str) -> pl.DataFrame:
    """
    STATEMENT: what was said of these deals, the oldest first, by the database's clock. Statements about deals whose
    period had been locked by then are absent: nothing moves there.
    """
    return fetch(
        connection,
        f"""
        SELECT k.golden_id, v.id, v.team, v.channel, v.said_at
        FROM sourcing_override v
        JOIN crosswalk k ON k.kind = 'opportunity' AND k.source = v.source AND k.record_id = v.record_id
        JOIN opportunity o ON o.id = k.golden_id
        WHERE k.golden_id = ANY(%(ids)s) AND NOT EXISTS ({_SHUT}) ORDER BY v.id
        """,
        {"ids": list(opportunity_ids), "zone": zone},
        STATEMENT,
    )


def say(
    connection: Connection, opportunity_id: int, team: str | None, *, channel: str | None, reason: str, by: str
) -> int:
    """
    Keep that the deal's sourcing team is ``team``, or with None what its touches say. Returns the statement's number.
    """
    row = cursor_of(connection).execute(
        """
        INSERT INTO sourcing_override (source, record_id, team, channel, reason, said_by)
        SELECT source, record_id, %s, %s, %s, %s FROM crosswalk WHERE kind = 'opportunity' AND golden_id = %s
        ORDER BY source <> 'salesforce', record_id LIMIT 1 RETURNING id
        """,
        (team, channel, reason, by, opportunity_id),
    )
    number: int = row.fetchone()[0]
    return number


def told(connection: Connection, zone: str, opportunity_id: int | None = None) -> list[dict[str, Any]]:
    """
    Every statement, or those of one deal, the newest first. ``locked_reason``: of the lock that it came too late for,
    None where it counts; ``is_last``: it counts, and nothing newer that counts was said of the deal. ``decided_*`` is
    what was decided of the source last.
    """
    rows = cursor_of(connection).execute(
        f"""
        SELECT v.id, v.record_id, o.id, o.name, v.team, v.channel, v.reason, v.said_by, v.said_at,
               shut.reason, o.amount, o.currency, a.source_team, a.source_channel, a.source_offer, a.state
        FROM sourcing_override v
        LEFT JOIN crosswalk k ON k.kind = 'opportunity' AND k.source = v.source AND k.record_id = v.record_id
        LEFT JOIN opportunity o ON o.id = k.golden_id
        LEFT JOIN attribution a ON a.opportunity_id = o.id
        LEFT JOIN LATERAL ({_SHUT}) shut ON true
        WHERE %(id)s::bigint IS NULL OR k.golden_id = %(id)s ORDER BY v.id DESC
        """,
        {"zone": zone, "id": opportunity_id},
    )
    names = ("id", "record_id", "opportunity_id", "deal", "team", "channel", "reason", "said_by", "said_at",
             "locked_reason", "amount", "currency", "decided_team", "decided_channel", "decided_offer", "state")  # fmt: skip
    found, counted = [dict(zip(names, row, strict=True)) for row in rows.fetchall()], set()
    for each in found:
        deal, counts = each["opportunity_id"] or each["record_id"], each["locked_reason"] is None
        each["is_last"] = counts and deal not in counted
        counted |= {deal} if counts else set()
    return found
