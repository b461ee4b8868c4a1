"""
People, the deals they are on, and what sales did when they raised a hand.
"""

from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.frames import INSTANT
from worker.store.bulk import Schema, fetch
from worker.store.reports.horizon import COUNTS, PRESENT, Horizon

PERSON_ROW: Final[Schema] = {
    "person_id": pl.Int64,
    "person": pl.String,
    "account_id": pl.Int64,
    "account": pl.String,
    "country": pl.String,
    "entered_at": INSTANT,
    "original_source_at": INSTANT,
    "channel": pl.String,  # the original source
    "offer": pl.String,  # of the earliest act that earns credit
}


def people(connection: Connection, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    PERSON_ROW of everybody who is not deleted, by entry and id: entered at their creation in Salesforce or their first
    act, whichever came first.
    """
    return fetch(
        connection,
        """
        WITH first AS (
            SELECT DISTINCT ON (k.golden_id) k.golden_id, t.occurred_at, t.offer FROM touchpoint t
            JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
            WHERE t.earns_credit AND t.machine IS NULL AND t.occurred_at <= %(until)s AND t.seen_at <= %(seen_by)s
            ORDER BY k.golden_id, t.occurred_at, t.touch_id
        ), came AS (
            SELECT golden_id, min(since_at) AS at FROM crosswalk WHERE kind = 'person' GROUP BY golden_id
        )
        SELECT p.id, concat_ws(' ', p.first_name, p.last_name), a.id, a.name, p.country,
               least(p.created_at, first.occurred_at), p.original_source_at, p.original_source, first.offer
        FROM person p
        LEFT JOIN came ON came.golden_id = p.id
        LEFT JOIN account a ON a.id = p.account_id
        LEFT JOIN first ON first.golden_id = p.id
        WHERE NOT p.is_deleted AND coalesce(least(p.created_at, first.occurred_at) <= %(until)s, true)
            AND coalesce(came.at <= %(seen_by)s, true)
        ORDER BY 6 NULLS LAST, p.id
        """,
        horizon.bound,
        PERSON_ROW,
    )


def ties(connection: Connection, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    Who is on which deal, by a contact role or because their lead was converted into it, each once: person_id,
    opportunity_id.
    """
    return fetch(
        connection,
        """
        WITH tie AS (
            SELECT k.golden_id AS person_id, r.opportunity_ref FROM source_role r
            JOIN crosswalk k ON k.kind = 'person' AND k.record_id = r.contact_ref
                AND k.source = split_part(r.stream, '.', 1)
            LEFT JOIN source_opportunity gone ON gone.record_id = r.opportunity_ref AND gone.is_deleted
            WHERE (NOT coalesce(r.is_deleted, false) OR gone.stamp_at > %(until)s)
                AND coalesce(r.created_at <= %(until)s, true)
                AND coalesce(r.seen_at <= %(seen_by)s, true)
            UNION
            SELECT k.golden_id, s.converted_opportunity_ref FROM source_person s
            JOIN crosswalk k ON k.kind = 'person' AND k.record_id = s.record_id AND k.stream = s.stream
            WHERE s.converted_opportunity_ref IS NOT NULL AND NOT coalesce(s.is_deleted, false)
                AND coalesce(s.converted_at <= %(until)s, true)
        )
        SELECT DISTINCT tie.person_id, k.golden_id FROM tie
        JOIN crosswalk k ON k.kind = 'opportunity' AND k.record_id = tie.opportunity_ref ORDER BY 1, 2
        """,
        horizon.bound,
        {"person_id": pl.Int64, "opportunity_id": pl.Int64},
    )


HANDOVER_ROW: Final[Schema] = {
    "person_id": pl.Int64,
    "person": pl.String,
    "account": pl.String,
    "channel": pl.String,
    "asked": pl.String,  # what the person did
    "asked_at": INSTANT,
    "first_sales_touch_at": INSTANT,
    "attempts": pl.Int64,  # sales touches within 30 days
    "on_deal": pl.Boolean,  # on a deal created afterwards
}
HANDOVER_TYPES: Final = ("demo_request", "pricing_request", "contact_request")


def handovers(connection: Connection, since: datetime, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    HANDOVER_ROW: the first hand that each person raised (a demo, a price, a call) since then, and what sales did about
    it. By instant.
    """
    return fetch(
        connection,
        f"""
        WITH asked AS (
            SELECT DISTINCT ON (k.golden_id) k.golden_id AS person_id, t.channel, t.label, t.occurred_at
            FROM touchpoint t
            JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
            WHERE t.type = ANY(%(types)s) AND t.machine IS NULL AND t.occurred_at >= %(since)s
                AND t.occurred_at <= %(until)s AND t.seen_at <= %(seen_by)s
            ORDER BY k.golden_id, t.occurred_at, t.touch_id
        )
        SELECT p.id, concat_ws(' ', p.first_name, p.last_name), a.name, q.channel, q.label, q.occurred_at, s.first_at,
               coalesce(s.attempts, 0), EXISTS (
                   SELECT 1 FROM crosswalk k
                   JOIN source_role r ON r.contact_ref = k.record_id AND NOT coalesce(r.is_deleted, false)
                       AND coalesce(r.created_at <= %(until)s, true) AND coalesce(r.seen_at <= %(seen_by)s, true)
                   JOIN crosswalk ko ON ko.kind = 'opportunity' AND ko.record_id = r.opportunity_ref
                   JOIN opportunity o ON o.id = ko.golden_id AND NOT o.is_deleted AND o.created_at >= q.occurred_at
                       AND o.created_at <= %(until)s
                   WHERE k.kind = 'person' AND k.golden_id = p.id)
        FROM asked q
        JOIN person p ON p.id = q.person_id AND NOT p.is_deleted
        LEFT JOIN account a ON a.id = p.account_id
        LEFT JOIN LATERAL (
            SELECT min(t.occurred_at) AS first_at,
                   count(*) FILTER (WHERE t.occurred_at < q.occurred_at + interval '30 days') AS attempts
            FROM crosswalk k JOIN touchpoint t ON t.source = k.source AND t.person_ref = k.record_id
            WHERE k.kind = 'person' AND k.golden_id = p.id AND t.team = 'sales' AND t.earns_credit IS NOT NULL
                AND t.type IN ('meeting', 'call', 'sales_email') AND t.occurred_at >= q.occurred_at
                AND {COUNTS}) s ON true
        ORDER BY q.occurred_at, p.id
        """,
        {"types": list(HANDOVER_TYPES), "since": since, **horizon.bound},
        HANDOVER_ROW,
    )
