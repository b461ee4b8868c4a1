"""
Deals, and who gets what of them.
"""

import json
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.deals import MINOR_DIGITS
from worker.core.frames import INSTANT
from worker.core.funnel.totals import MONEY
from worker.store.bulk import Schema, fetch
from worker.store.reports.account_rows import SIZE

NOT_CREDITED: Final = "Not credited"
# What nobody gets of a deal, as a channel.
NOBODYS: Final = {"pending": "Pending", "unassigned": "No marketing touch"}
# What one item ``c`` of a deal ``o`` gets under a model, and how many digits the deal's whole units have after the point.
SHARE: Final = """split_part(c.models->%(model)s->>'share', '/', 1)::float8
    / coalesce(nullif(split_part(c.models->%(model)s->>'share', '/', 2), ''), '1')::float8"""
UNITS: Final = "(c.models->%(model)s->>'units')::numeric"
DIGITS: Final = """greatest(coalesce((%(minor)s::jsonb->>coalesce(o.currency, %(home)s))::int, 2),
    scale(trim_scale(o.amount)))"""

DEAL_ROW: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "account_id": pl.Int64,
    "record_id": pl.String,
    "deal": pl.String,
    "account": pl.String,
    "type": pl.String,
    "size": pl.String,
    "industry": pl.String,
    "country": pl.String,
    "stage": pl.String,
    "outcome": pl.String,
    "created_at": INSTANT,
    "closed_at": INSTANT,
    "closes_at": INSTANT,  # noon of CloseDate, else the close
    "currency": pl.String,
    "amount": MONEY,
    "team": pl.String,  # null where nothing opened it
    "channel": pl.String,
    "offer": pl.String,
    "influenced": pl.Boolean,
    "assisted": pl.Boolean,
    "basis": pl.String,
    "state": pl.String,
    "remark": pl.String,
    "why": pl.String,
    "set_by_hand": pl.Boolean,  # the team, by an administrator
}


def deals(connection: Connection, home_currency: str, zone: str, *, with_deleted: bool = False) -> pl.DataFrame:
    """
    DEAL_ROW of every deal, by creation and id; those that are deleted only if asked for. ``state`` is *Not credited*
    where rules leave it out.
    """
    return fetch(
        connection,
        f"""
        SELECT o.id, o.account_id, c.record_id, o.name, a.name, o.type, {SIZE.format("a")}, a.industry, a.country,
               o.stage, o.outcome, o.created_at, o.closed_at, coalesce((o.close_on + time '12:00') AT TIME ZONE %(zone)s, o.closed_at),
               coalesce(o.currency, %(home)s), o.amount, d.source_team, d.source_channel,
               d.source_offer, coalesce(d.influenced, false), coalesce(d.assisted, false), d.basis, d.state, d.remark, d.why,
               d.overridden IS NOT NULL
        FROM opportunity o
        LEFT JOIN account a ON a.id = o.account_id
        LEFT JOIN attribution d ON d.opportunity_id = o.id
        LEFT JOIN LATERAL (SELECT min(record_id) AS record_id FROM crosswalk
            WHERE kind = 'opportunity' AND golden_id = o.id) c ON true
        WHERE NOT o.is_deleted OR %(deleted)s ORDER BY o.created_at NULLS LAST, o.id
        """,
        {"home": home_currency, "zone": zone, "deleted": with_deleted},
        DEAL_ROW,
    )


CREDIT_ROW: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "deal": pl.String,
    "outcome": pl.String,
    "currency": pl.String,
    "created_at": INSTANT,
    "closed_at": INSTANT,
    "counted_at": INSTANT,  # what puts it into a period: the deal's creation, for revenue its CloseDate
    "clock": pl.String,
    "item": pl.String,
    "touch_id": pl.String,
    "occurred_at": INSTANT,
    "positions": pl.String,
    "type": pl.String,
    "team": pl.String,
    "channel": pl.String,
    "offer": pl.String,
    "campaign": pl.String,
    "person": pl.String,
    "share": pl.Float64,
    "amount": MONEY,  # null where the deal has none
}


def credits(connection: Connection, model: str, home_currency: str, zone: str) -> pl.DataFrame:
    """
    CREDIT_ROW: who gets what of each credited deal under one model, on both clocks; what nobody gets has the channel
    *Pending* or *No marketing touch*. By deal, clock and instant.
    """
    return fetch(
        connection,
        f"""
        SELECT o.id, o.name, o.outcome, coalesce(o.currency, %(home)s), o.created_at, o.closed_at,
               CASE c.clock WHEN 'pipeline' THEN o.created_at
                    ELSE coalesce((o.close_on + time '12:00') AT TIME ZONE %(zone)s, o.closed_at) END, c.clock, c.item,
               c.touch_id, c.occurred_at, c.positions, t.type, t.team,
               CASE c.item WHEN 'pending' THEN 'Pending' WHEN 'unassigned' THEN 'No marketing touch'
                    ELSE coalesce(t.channel, 'Other') END,
               t.offer, t.campaign, nullif(concat_ws(' ', p.first_name, p.last_name), ''),
               {SHARE}, {UNITS} * 10::numeric ^ -{DIGITS}
        FROM credit c
        JOIN opportunity o ON o.id = c.opportunity_id AND NOT o.is_deleted
        LEFT JOIN touchpoint t ON t.touch_id = c.touch_id
        LEFT JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
        LEFT JOIN person p ON p.id = k.golden_id
        WHERE c.models ? %(model)s
        ORDER BY o.id, c.clock, c.occurred_at NULLS LAST, c.touch_id, c.item
        """,
        {"model": model, "home": home_currency, "zone": zone, "minor": json.dumps(MINOR_DIGITS)},
        CREDIT_ROW,
    )
