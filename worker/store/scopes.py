"""
Says which source records a request means: a record by id or e-mail, an account with its people, deals and roles. Called
by the commands that ask for a resync, and by ``why``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from worker.core.records import RESOLVED
from worker.store import tables
from worker.store.bulk import cursor_of


def find(connection: Connection, words: str) -> list[dict[str, Any]]:
    """
    The golden records that ``words`` may mean: a source record's id (15 or 18 characters), an e-mail address, a
    domain, or a name. Mappings of kind, id and name; exact ids first, then addresses, domains, names (at most 10).
    """
    cursor = cursor_of(connection)
    rows = cursor.execute(
        """
        SELECT DISTINCT kind, golden_id FROM crosswalk WHERE record_id = %(words)s
            OR (length(%(words)s) = 15 AND record_id LIKE %(words)s || '___')
        """
        if len(words) == 15
        else "SELECT DISTINCT kind, golden_id FROM crosswalk WHERE record_id = %(words)s",
        {"words": words},
    ).fetchall()
    if not rows:
        rows = cursor.execute(
            """
            SELECT 'person', id FROM person WHERE lower(email) = lower(%(words)s) AND NOT is_deleted
            UNION ALL SELECT 'account', id FROM account WHERE domain = lower(%(words)s) AND NOT is_deleted
            UNION ALL SELECT 'account', id FROM account WHERE lower(name) = lower(%(words)s) AND NOT is_deleted
            UNION ALL SELECT 'opportunity', id FROM opportunity WHERE lower(name) = lower(%(words)s) AND NOT is_deleted
            UNION ALL SELECT 'person', id FROM person
                WHERE lower(concat_ws(' ', first_name, last_name)) = lower(%(words)s) AND NOT is_deleted
            LIMIT 10
            """,
            {"words": words},
        ).fetchall()
    return [{"kind": kind, "id": number} for kind, number in dict.fromkeys(rows)]


def records_of(connection: Connection, kind: str, golden_id: int) -> dict[str, list[str]]:
    """
    The source records behind one golden record, by stream.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT stream, array_agg(record_id ORDER BY record_id) FROM crosswalk
        WHERE kind = %s AND golden_id = %s GROUP BY stream ORDER BY stream
        """,
        (kind, golden_id),
    )
    return dict(rows.fetchall())


def records_on_account(connection: Connection, account_id: int) -> dict[str, list[str]]:
    """
    Everything on one account, by stream: its own records, its people's, its deals' and their roles'.
    """
    rows = cursor_of(connection).execute(
        """
        WITH subject(kind, id) AS (
            SELECT 'account', %(id)s::bigint
            UNION ALL SELECT 'person', id FROM person WHERE account_id = %(id)s
            UNION ALL SELECT 'opportunity', id FROM opportunity WHERE account_id = %(id)s
        ), mine AS (
            SELECT c.stream, c.record_id FROM subject s JOIN crosswalk c ON c.kind = s.kind AND c.golden_id = s.id
        ), roles AS (
            SELECT r.stream, r.record_id FROM mine m JOIN source_role r ON r.opportunity_ref = m.record_id
        )
        SELECT stream, array_agg(DISTINCT record_id ORDER BY record_id)
        FROM (SELECT * FROM mine UNION ALL SELECT * FROM roles) a GROUP BY stream ORDER BY stream
        """,
        {"id": account_id},
    )
    return dict(rows.fetchall())


def older_than(connection: Connection, stream: str, shape: str, record_ids: Sequence[str], at: datetime) -> list[str]:
    """
    Those of the records that are not stored, or with an older stamp than ``at``.
    """
    rows = cursor_of(connection).execute(
        f"""
        SELECT k.record_id FROM unnest(%s::text[]) AS k(record_id)
        LEFT JOIN source_{shape} s ON s.stream = %s AND s.record_id = k.record_id
        WHERE s.stamp_at IS NULL OR s.stamp_at < %s
        """,
        (list(record_ids), stream, at),
    )
    return [record_id for (record_id,) in rows.fetchall()]


def stream_again(connection: Connection, shape: str, stream: str) -> None:
    """
    Have every stored record of a stream decided again, and compared with what it should hold.
    """
    flows = [flow for flow, shapes in (("resolve", RESOLVED), ("plan", tables.GOLDEN)) if shape in shapes]
    for flow in flows:
        cursor_of(connection).execute(
            f"""
            INSERT INTO due (flow, kind, key) SELECT %s, %s, stream || ':' || record_id FROM source_{shape}
            WHERE stream = %s ORDER BY 3 ON CONFLICT DO NOTHING
            """,
            (flow, shape, stream),
        )


def everything_again(connection: Connection) -> None:
    """
    Have every stored record decided again: the rules have changed.
    """
    cursor = cursor_of(connection)
    for shape in ("account", "opportunity", "person", "activity", "member"):
        cursor.execute(
            f"""
            INSERT INTO due (flow, kind, key) SELECT 'resolve', '{shape}', stream || ':' || record_id
            FROM source_{shape} ORDER BY 3 ON CONFLICT DO NOTHING
            """
        )
    # A person's touches are judged among each other by rules of their own, which may differ where no touch does.
    cursor.execute(
        """
        INSERT INTO due (flow, kind, key) SELECT 'resolve', 'person_touches', id::text FROM person
        ORDER BY 3 ON CONFLICT DO NOTHING
        """
    )
    for flow, kind in (("engage", "account"), ("attribute", "opportunity")):
        cursor.execute(
            f"INSERT INTO due (flow, kind, key) SELECT '{flow}', '{kind}', id::text FROM {kind} ORDER BY 3 ON CONFLICT DO NOTHING"
        )
