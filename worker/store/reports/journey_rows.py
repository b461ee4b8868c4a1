"""
The journey of one deal.
"""

import json
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.deals import MINOR_DIGITS
from worker.core.frames import INSTANT
from worker.core.funnel.totals import MONEY
from worker.store.bulk import Schema, fetch
from worker.store.reports.deal_rows import DIGITS, SHARE, UNITS

# How long before its creation a deal's journey begins.
JOURNEY_DAYS: Final = 540
JOURNEY_ROW: Final[Schema] = {
    "at": INSTANT,
    "event": pl.String,  # touch, deal created, stage, deal won, deal lost; pending or unassigned stand at the end
    "what": pl.String,
    "person": pl.String,
    "team": pl.String,
    "channel": pl.String,
    "offer": pl.String,
    "campaign": pl.String,
    "positions": pl.String,
    "pipeline_share": pl.Float64,
    "pipeline": MONEY,
    "revenue_share": pl.Float64,
    "revenue": MONEY,
}


def journey(connection: Connection, opportunity_id: int, model: str, home_currency: str) -> pl.DataFrame:
    """
    JOURNEY_ROW: every act, eligible or not, of the people on one deal up to its close (of the account's people where
    nobody has a role), its milestones between them, and what nobody gets. In order of time.
    """
    return fetch(
        connection,
        f"""
        WITH deal AS (
            SELECT o.*, {DIGITS} AS digits FROM opportunity o WHERE o.id = %(id)s
        ), ref AS (
            SELECT record_id FROM crosswalk WHERE kind = 'opportunity' AND golden_id = %(id)s
        ), role AS (
            SELECT k.golden_id AS person_id FROM ref JOIN source_role r ON r.opportunity_ref = ref.record_id
                AND NOT coalesce(r.is_deleted, false)
            JOIN crosswalk k ON k.kind = 'person' AND k.record_id = r.contact_ref
        ), member AS (
            SELECT person_id FROM role
            UNION SELECT p.id FROM deal d JOIN person p ON p.account_id = d.account_id AND NOT p.is_deleted
            WHERE NOT EXISTS (SELECT 1 FROM role)
        ), share AS (
            SELECT c.item, c.touch_id, c.positions, c.clock,
                {SHARE} AS share, {UNITS} * 10::numeric ^ -d.digits AS amount
            FROM credit c JOIN deal d ON d.id = c.opportunity_id
        ), touched AS (
            SELECT t.touch_id, t.occurred_at, t.label, concat_ws(' ', p.first_name, p.last_name) AS person, t.team,
                t.channel, t.offer, t.campaign, t.type
            FROM member m JOIN person p ON p.id = m.person_id
            JOIN crosswalk k ON k.kind = 'person' AND k.golden_id = m.person_id
            JOIN touchpoint t ON t.source = k.source AND t.person_ref = k.record_id
            CROSS JOIN deal d
            WHERE t.machine IS NULL AND t.duplicate_of IS NULL AND t.type NOT LIKE 'email%%'
                AND t.occurred_at >= d.created_at - interval '{JOURNEY_DAYS} days'
                AND t.occurred_at <= coalesce(d.closed_at, 'infinity')
        ), event AS (
            SELECT t.occurred_at AS at, 'touch' AS event, t.label AS what, t.person, t.team, t.channel, t.offer,
                t.campaign, coalesce(r.positions, p.positions) AS positions, p.share AS pipeline_share,
                p.amount AS pipeline, r.share AS revenue_share, r.amount AS revenue, 1 AS place
            FROM touched t
            LEFT JOIN share p ON p.touch_id = t.touch_id AND p.clock = 'pipeline'
            LEFT JOIN share r ON r.touch_id = t.touch_id AND r.clock = 'revenue'
            UNION ALL
            SELECT d.created_at, 'deal created', d.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2
            FROM deal d
            UNION ALL
            SELECT s.created_at, 'stage', s.stage, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 3
            FROM ref JOIN source_stage_change s ON s.opportunity_ref = ref.record_id
            UNION ALL
            SELECT d.closed_at, 'deal ' || d.outcome, d.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 4
            FROM deal d WHERE d.closed_at IS NOT NULL
            UNION ALL
            SELECT NULL, s.item, CASE s.item WHEN 'pending' THEN 'Pending' ELSE 'No marketing touch' END, NULL, NULL,
                NULL, NULL, NULL, NULL, max(s.share) FILTER (WHERE s.clock = 'pipeline'),
                max(s.amount) FILTER (WHERE s.clock = 'pipeline'), max(s.share) FILTER (WHERE s.clock = 'revenue'),
                max(s.amount) FILTER (WHERE s.clock = 'revenue'), 5
            FROM share s WHERE s.touch_id IS NULL AND s.share IS NOT NULL GROUP BY s.item
        )
        SELECT at, event, what, person, team, channel, offer, campaign, positions, pipeline_share, pipeline,
               revenue_share, revenue
        FROM event ORDER BY at NULLS LAST, place, what
        """,
        {"id": opportunity_id, "model": model, "home": home_currency, "minor": json.dumps(MINOR_DIGITS)},
        JOURNEY_ROW,
    )
