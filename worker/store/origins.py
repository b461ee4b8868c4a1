"""
Keeps each person's original source. Called by the originate flow.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from worker.store.bulk import cursor_of


def set_original_source(connection: Connection, person_ids: Sequence[int]) -> list[int]:
    """
    Give these persons the channel of their earliest creditable act as original source, where they have none yet and
    have such an act. Returns those that were given one.
    """
    rows = cursor_of(connection).execute(
        """
        UPDATE person p SET original_source = first.channel, updated_at = now()
        FROM (
            SELECT DISTINCT ON (c.golden_id) c.golden_id, t.channel FROM crosswalk c
            JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
            WHERE c.kind = 'person' AND c.golden_id = ANY(%s) AND t.earns_credit AND t.machine IS NULL
            ORDER BY c.golden_id, t.occurred_at, t.touch_id
        ) first
        WHERE p.id = first.golden_id AND p.original_source IS NULL RETURNING p.id
        """,
        (list(person_ids),),
    )
    return [number for (number,) in rows.fetchall()]
