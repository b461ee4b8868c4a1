"""
Gives, for records that a plan looks at, what their fields hold and what was decided about them. Called by the plan
flow.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from worker.store.bulk import cursor_of

_DECISION: Final = {
    "account": """
        LEFT JOIN engagement d ON d.account_id = c.golden_id
    """,
    "opportunity": """
        LEFT JOIN attribution d ON d.opportunity_id = c.golden_id
    """,
    "person": """
        LEFT JOIN person d ON d.id = c.golden_id
    """,
}


def subjects(connection: Connection, kind: str, stream: str, record_ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """
    One mapping a live record of ``stream``: record_id, ours (field -> text), account_ref (the matched account's own
    record of the same source) and decision (the decision's row as a mapping, None where none was made).

    A converted lead is no subject: it takes no writing any more, and the contact that it became is written instead.
    """
    still = "AND s.converted_at IS NULL AND s.converted_contact_ref IS NULL" if kind == "person" else ""
    account = (
        """
        -- OFFSET 0 keeps the planner from walking all accounts in the order of their ids to find the first.
        (SELECT min(own.record_id) FROM (
            SELECT a.record_id FROM crosswalk a
            JOIN source_account sa ON sa.stream = a.stream AND sa.record_id = a.record_id
            WHERE a.kind = 'account' AND a.golden_id = d.account_id AND a.source = split_part(s.stream, '.', 1)
                AND NOT coalesce(sa.is_deleted, false) OFFSET 0) own)
        """
        if kind == "person"
        else "NULL"
    )
    rows = cursor_of(connection).execute(
        f"""
        SELECT s.record_id, coalesce(s.ours, '{{}}'), {account}, to_jsonb(d.*) - 'provenance' - 'detail'
        FROM unnest(%(ids)s::text[]) AS r(record_id)
        JOIN source_{kind} s ON s.stream = %(stream)s AND s.record_id = r.record_id
        JOIN crosswalk c ON c.kind = %(kind)s AND c.source = split_part(s.stream, '.', 1) AND c.record_id = s.record_id
        {_DECISION[kind]}
        WHERE NOT coalesce(s.is_deleted, false) {still} ORDER BY s.record_id
        """,
        {"ids": list(record_ids), "stream": stream, "kind": kind},
    )
    names = ("record_id", "ours", "account_ref", "decision")
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def stored_count(connection: Connection, kind: str, stream: str, enough: int) -> int:
    """
    How many records of a stream there are, counted no further than ``enough``.
    """
    number: int = (
        cursor_of(connection)
        .execute(f"SELECT count(*) FROM (SELECT 1 FROM source_{kind} WHERE stream = %s LIMIT %s) s", (stream, enough))
        .fetchone()[0]
    )
    return number
