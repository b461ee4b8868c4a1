"""
What data lack before numbers mean much.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.store.bulk import Schema, fetch

GAP_ROW: Final[Schema] = {
    "check": pl.String,
    "of": pl.String,
    "record_id": pl.String,
    "what": pl.String,
    "is_gap": pl.Boolean,
}

# What data must have before numbers mean much: name -> what is looked at, and the rows (id, words, whether it lacks it).
_CHECKS: Final[Mapping[str, tuple[str, str]]] = {
    "deals without a contact role": (
        "deals",
        """
        SELECT k.record_id, o.name, NOT EXISTS (SELECT 1 FROM source_role r
            WHERE r.opportunity_ref = k.record_id AND NOT coalesce(r.is_deleted, false))
        FROM opportunity o JOIN crosswalk k ON k.kind = 'opportunity' AND k.golden_id = o.id WHERE NOT o.is_deleted
        """,
    ),
    "deals without an amount": (
        "deals",
        """
        SELECT k.record_id, o.name, o.amount IS NULL
        FROM opportunity o JOIN crosswalk k ON k.kind = 'opportunity' AND k.golden_id = o.id WHERE NOT o.is_deleted
        """,
    ),
    "deals without an account": (
        "deals",
        """
        SELECT k.record_id, o.name, o.account_id IS NULL
        FROM opportunity o JOIN crosswalk k ON k.kind = 'opportunity' AND k.golden_id = o.id WHERE NOT o.is_deleted
        """,
    ),
    "leads without an account": (
        "open leads",
        """
        SELECT s.record_id, coalesce(p.company, p.email), p.account_id IS NULL FROM source_person s
        JOIN crosswalk k ON k.kind = 'person' AND k.record_id = s.record_id AND k.stream = s.stream
        JOIN person p ON p.id = k.golden_id
        WHERE s.stream = 'salesforce.lead' AND s.converted_at IS NULL AND NOT coalesce(s.is_deleted, false)
        """,
    ),
    "people without an e-mail address": (
        "people",
        """
        SELECT k.record_id, concat_ws(' ', p.first_name, p.last_name), p.email IS NULL FROM person p
        JOIN LATERAL (SELECT min(record_id) AS record_id FROM crosswalk WHERE kind = 'person' AND golden_id = p.id) k ON true
        WHERE NOT p.is_deleted
        """,
    ),
    "campaigns without a type": (
        "campaigns",
        """
        SELECT record_id, name, type IS NULL FROM source_campaign
        WHERE stream = 'salesforce.campaign' AND NOT coalesce(is_deleted, false)
        """,
    ),
    "campaigns whose members were never moved on": (
        "campaigns with members",
        """
        SELECT c.record_id, c.name, NOT bool_or(coalesce(m.has_responded OR m.status <> first.name, false))
        FROM source_campaign c
        JOIN source_member m ON m.campaign_ref = c.record_id AND NOT coalesce(m.is_deleted, false)
        LEFT JOIN source_member_status first
            ON first.campaign_ref = c.record_id AND first.is_default AND NOT coalesce(first.is_deleted, false)
        WHERE c.stream = 'salesforce.campaign' AND NOT coalesce(c.is_deleted, false) GROUP BY c.record_id, c.name
        """,
    ),
    "campaigns without a status that is a response": (
        "campaigns with members",
        """
        SELECT c.record_id, c.name, NOT bool_or(coalesce(s.has_responded, false)) FROM source_campaign c
        JOIN source_member_status s ON s.campaign_ref = c.record_id AND NOT coalesce(s.is_deleted, false)
        WHERE c.stream = 'salesforce.campaign' AND NOT coalesce(c.is_deleted, false)
            AND EXISTS (SELECT FROM source_member m
                WHERE m.campaign_ref = c.record_id AND NOT coalesce(m.is_deleted, false))
        GROUP BY c.record_id, c.name
        """,
    ),
    "touches in channel Other": (
        "touches that may earn credit",
        """
        SELECT touch_id, label, channel = 'Other' FROM touchpoint
        WHERE earns_credit AND machine IS NULL AND duplicate_of IS NULL
        """,
    ),
}


def gaps(connection: Connection) -> pl.DataFrame:
    """
    GAP_ROW: everything that was looked at, one row a thing and check, and whether it lacks what the check asks for. In
    the order of the checks, then ids.
    """
    return pl.concat(
        fetch(
            connection,
            f"SELECT '{check}', '{of}', r.* FROM ({statement}) r ORDER BY 3",
            {},
            GAP_ROW,
        )
        for check, (of, statement) in _CHECKS.items()
    )
