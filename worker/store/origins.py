"""
Keeps each person's original source. Called by the originate flow.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from worker.store.bulk import cursor_of


def set_original_source(connection: Connection, person_ids: Sequence[int]) -> list[int]:
    """
    Give these persons the channel of their earliest creditable act as original source, where they have none yet and
    have such an act. Returns those that were given one.
    """
    rows = cursor_of(connection).execute(
        """
        UPDATE person p SET original_source = first.channel, original_source_at = first.occurred_at, updated_at = now()
        FROM (
            SELECT DISTINCT ON (c.golden_id) c.golden_id, t.channel, t.occurred_at FROM crosswalk c
            JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
            WHERE c.kind = 'person' AND c.golden_id = ANY(%s) AND t.earns_credit AND t.machine IS NULL
            ORDER BY c.golden_id, t.occurred_at, t.touch_id
        ) first
        WHERE p.id = first.golden_id AND p.original_source IS NULL RETURNING p.id
        """,
        (list(person_ids),),
    )
    return [number for (number,) in rows.fetchall()]


def keep_the_earlier(connection: Connection, redirects: Mapping[int, int]) -> None:
    """
    When persons become one, the earlier original source stays: ``redirects`` is retired id -> survivor. Called before
    the retired ones go.
    """
    cursor_of(connection).execute(
        """
        UPDATE person n SET original_source = o.original_source, original_source_at = o.original_source_at
        FROM (
            SELECT DISTINCT ON (r.new_id) r.new_id, p.original_source, p.original_source_at
            FROM unnest(%s::bigint[], %s::bigint[]) AS r(old_id, new_id) JOIN person p ON p.id = r.old_id
            WHERE p.original_source IS NOT NULL ORDER BY r.new_id, p.original_source_at
        ) o
        WHERE n.id = o.new_id AND (n.original_source IS NULL OR o.original_source_at < n.original_source_at)
        """,
        (list(redirects), list(redirects.values())),
    )
