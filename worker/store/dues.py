"""
Remembers which subjects each flow has still to look at: rows of (flow, kind, key), noted by whoever changed something
in the transaction that changed it, taken by the flow in the transaction that acts on it.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from worker.store.bulk import cursor_of

# How many subjects one row of ``due_slice`` names at most.
SLICE = 1_000


def note(connection: Connection, flow: str, kind: str, keys: Iterable[object]) -> None:
    """
    Have ``flow`` look at these subjects; noting one twice is once. Everybody notes in the order of the keys, so that
    two who note the same ones wait for each other and do not lock each other out.
    """
    values = sorted({str(key) for key in keys})
    if values:
        cursor_of(connection).execute(
            """
            INSERT INTO due (flow, kind, key)
            SELECT %(flow)s, %(kind)s, key FROM unnest(CAST(%(keys)s AS text[])) AS k(key) ORDER BY key COLLATE "C"
            ON CONFLICT DO NOTHING
            """,
            {"flow": flow, "kind": kind, "keys": values},
        )


def take(connection: Connection, flow: str, kind: str, limit: int) -> list[str]:
    """
    Take up to ``limit`` subjects; they come back if the transaction does not commit.

    Subjects that a large page noted a thousand at a time are taken after the others, whole slices at a time.
    """
    rows = cursor_of(connection).execute(
        """
        WITH single AS (
            DELETE FROM due WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM due WHERE flow = %(flow)s AND kind = %(kind)s ORDER BY key LIMIT %(limit)s
                FOR UPDATE SKIP LOCKED))
            RETURNING key
        ), slice AS (
            DELETE FROM due_slice WHERE id = ANY(ARRAY(
                SELECT id FROM due_slice WHERE flow = %(flow)s AND kind = %(kind)s ORDER BY id
                LIMIT (SELECT CASE count(*) WHEN 0 THEN greatest(1, %(limit)s / %(slice)s)
                              ELSE (%(limit)s - count(*)) / %(slice)s END FROM single)
                FOR UPDATE SKIP LOCKED))
            RETURNING keys
        )
        SELECT key FROM single UNION SELECT unnest(keys) FROM slice
        """,
        {"flow": flow, "kind": kind, "limit": limit, "slice": SLICE},
    )
    return sorted(key for (key,) in rows)


def kinds_waiting(connection: Connection, flow: str) -> set[str]:
    """
    The kinds of subjects that wait for a flow. A loose index scan, as in ``waiting``.
    """
    rows = cursor_of(connection).execute(
        """
        WITH RECURSIVE kinds AS (
            (SELECT kind FROM due WHERE flow = %(flow)s ORDER BY kind LIMIT 1)
            UNION ALL
            SELECT (SELECT kind FROM due WHERE flow = %(flow)s AND kind > kinds.kind ORDER BY kind LIMIT 1) FROM kinds
            WHERE kinds.kind IS NOT NULL)
        SELECT kind FROM kinds WHERE kind IS NOT NULL
        UNION SELECT kind FROM due_slice WHERE flow = %(flow)s
        """,
        {"flow": flow},
    )
    return {kind for (kind,) in rows}


def unpack(connection: Connection, flow: str, kind: str) -> None:
    """
    Have every subject of a kind wait by itself, so that few can be taken at a time.
    """
    cursor_of(connection).execute(
        """
        WITH slices AS (DELETE FROM due_slice WHERE flow = %(flow)s AND kind = %(kind)s RETURNING keys)
        INSERT INTO due (flow, kind, key)
        SELECT DISTINCT %(flow)s, %(kind)s, key FROM slices CROSS JOIN LATERAL unnest(keys) AS k(key) ORDER BY 3
        ON CONFLICT DO NOTHING
        """,
        {"flow": flow, "kind": kind},
    )


def peek(connection: Connection, flow: str, kind: str, limit: int) -> list[str]:
    """
    Up to ``limit`` subjects that wait, left where they are; ``drop`` takes them out once they were seen to.
    """
    rows = cursor_of(connection).execute(
        "SELECT key FROM due WHERE flow = %(flow)s AND kind = %(kind)s ORDER BY key LIMIT %(limit)s",
        {"flow": flow, "kind": kind, "limit": limit},
    )
    return [key for (key,) in rows]


def drop(connection: Connection, flow: str, kind: str, keys: Sequence[str]) -> None:
    """
    Take these subjects out.
    """
    cursor_of(connection).execute(
        "DELETE FROM due WHERE flow = %(flow)s AND kind = %(kind)s AND key = ANY(%(keys)s)",
        {"flow": flow, "kind": kind, "keys": list(keys)},
    )


def take_of(connection: Connection, flow: str, kind: str, stream: str, limit: int) -> list[str]:
    """
    Take up to ``limit`` subjects that are records of one stream; returns their record ids.
    """
    prefix = f"{stream}:"
    rows = cursor_of(connection).execute(
        """
        DELETE FROM due WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM due WHERE flow = %(flow)s AND kind = %(kind)s AND key >= %(low)s AND key < %(high)s
            LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
        RETURNING key
        """,
        {"flow": flow, "kind": kind, "low": prefix, "high": f"{stream};", "limit": limit},
    )
    return sorted(key.removeprefix(prefix) for (key,) in rows)


def drop_others(connection: Connection, flow: str, streams: Sequence[str]) -> int:
    """
    Forget what waits for a flow but is no record of ``streams``: it has nothing to do with them. Returns how many.
    """
    gone: int = (
        cursor_of(connection)
        .execute(
            "DELETE FROM due WHERE flow = %(flow)s AND split_part(key, ':', 1) <> ALL(%(streams)s)",
            {"flow": flow, "streams": list(streams)},
        )
        .rowcount
    )
    return gone


def waiting(connection: Connection) -> list[str]:
    """
    The flows that have subjects waiting.
    """
    # A loose index scan: as quick with a million rows waiting as with one.
    rows = cursor_of(connection).execute(
        """
        WITH RECURSIVE flows AS (
            (SELECT flow FROM due ORDER BY flow LIMIT 1)
            UNION ALL
            SELECT (SELECT flow FROM due WHERE flow > flows.flow ORDER BY flow LIMIT 1) FROM flows
            WHERE flows.flow IS NOT NULL)
        SELECT flow FROM flows WHERE flow IS NOT NULL
        UNION SELECT flow FROM due_slice
        """
    )
    return [flow for (flow,) in rows]


def count(connection: Connection, flow: str) -> int:
    """
    How many subjects wait for a flow.
    """
    waiting_count: int = (
        cursor_of(connection)
        .execute(
            """
            SELECT (SELECT count(*) FROM due WHERE flow = %(flow)s)
                + (SELECT coalesce(sum(cardinality(keys)), 0) FROM due_slice WHERE flow = %(flow)s)
            """,
            {"flow": flow},
        )
        .fetchone()[0]
    )
    return waiting_count
