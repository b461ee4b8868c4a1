"""
Remembers which subjects each flow has still to look at: rows of (flow, kind, key), noted by whoever changed something
in the transaction that changed it, taken by the flow in the transaction that acts on it.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

# How many subjects one row of ``due_slice`` names at most.
SLICE = 1_000


def note(connection: Connection, flow: str, kind: str, keys: Iterable[object]) -> None:
    """
    Have ``flow`` look at these subjects; noting one twice is once. Everybody notes in the order of the keys, so that
    two who note the same ones wait for each other and do not lock each other out.
    """
    values = sorted({str(key) for key in keys})
    if values:
        connection.execute(
            text(
                """
                INSERT INTO due (flow, kind, key)
                SELECT :flow, :kind, key FROM unnest(CAST(:keys AS text[])) AS k(key) ORDER BY key COLLATE "C"
                ON CONFLICT DO NOTHING
                """
            ),
            {"flow": flow, "kind": kind, "keys": values},
        )


def take(connection: Connection, flow: str, kind: str, limit: int) -> list[str]:
    """
    Take up to ``limit`` subjects; they come back if the transaction does not commit.

    Subjects that a large page noted a thousand at a time are taken after the others, whole slices at a time.
    """
    single = _take_single(connection, flow, kind, limit)
    slices = (limit - len(single)) // SLICE if single else max(1, limit // SLICE)
    if slices < 1:
        return single
    rows = connection.execute(
        text(
            """
            DELETE FROM due_slice WHERE id = ANY(ARRAY(
                SELECT id FROM due_slice WHERE flow = :flow AND kind = :kind ORDER BY id LIMIT :slices
                FOR UPDATE SKIP LOCKED))
            RETURNING keys
            """
        ),
        {"flow": flow, "kind": kind, "slices": slices},
    )
    return sorted({*single, *(key for (keys,) in rows for key in keys)})


def _take_single(connection: Connection, flow: str, kind: str, limit: int) -> list[str]:
    rows = connection.execute(
        text(
            """
            DELETE FROM due WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM due WHERE flow = :flow AND kind = :kind ORDER BY key LIMIT :limit
                FOR UPDATE SKIP LOCKED))
            RETURNING key
            """
        ),
        {"flow": flow, "kind": kind, "limit": limit},
    )
    return sorted(row.key for row in rows)


def kinds_waiting(connection: Connection, flow: str) -> set[str]:
    """
    The kinds of subjects that wait for a flow. A loose index scan, as in ``waiting``.
    """
    rows = connection.execute(
        text(
            """
            WITH RECURSIVE kinds AS (
                (SELECT kind FROM due WHERE flow = :flow ORDER BY kind LIMIT 1)
                UNION ALL
                SELECT (SELECT kind FROM due WHERE flow = :flow AND kind > kinds.kind ORDER BY kind LIMIT 1) FROM kinds
                WHERE kinds.kind IS NOT NULL)
            SELECT kind FROM kinds WHERE kind IS NOT NULL
            UNION SELECT kind FROM due_slice WHERE flow = :flow
            """
        ),
        {"flow": flow},
    )
    return {row.kind for row in rows}


def unpack(connection: Connection, flow: str, kind: str) -> None:
    """
    Have every subject of a kind wait by itself, so that few can be taken at a time.
    """
    connection.execute(
        text(
            """
            WITH slices AS (DELETE FROM due_slice WHERE flow = :flow AND kind = :kind RETURNING keys)
            INSERT INTO due (flow, kind, key)
            SELECT DISTINCT :flow, :kind, key FROM slices CROSS JOIN LATERAL unnest(keys) AS k(key) ORDER BY 3
            ON CONFLICT DO NOTHING
            """
        ),
        {"flow": flow, "kind": kind},
    )


def peek(connection: Connection, flow: str, kind: str, limit: int) -> list[str]:
    """
    Up to ``limit`` subjects that wait, left where they are; ``drop`` takes them out once they were seen to.
    """
    rows = connection.execute(
        text("SELECT key FROM due WHERE flow = :flow AND kind = :kind ORDER BY key LIMIT :limit"),
        {"flow": flow, "kind": kind, "limit": limit},
    )
    return [row.key for row in rows]


def drop(connection: Connection, flow: str, kind: str, keys: Sequence[str]) -> None:
    """
    Take these subjects out.
    """
    connection.execute(
        text("DELETE FROM due WHERE flow = :flow AND kind = :kind AND key = ANY(:keys)"),
        {"flow": flow, "kind": kind, "keys": list(keys)},
    )


def take_of(connection: Connection, flow: str, kind: str, stream: str, limit: int) -> list[str]:
    """
    Take up to ``limit`` subjects that are records of one stream; returns their record ids.
    """
    prefix = f"{stream}:"
    rows = connection.execute(
        text(
            """
            DELETE FROM due WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM due WHERE flow = :flow AND kind = :kind AND key >= :low AND key < :high
                LIMIT :limit FOR UPDATE SKIP LOCKED))
            RETURNING key
            """
        ),
        {"flow": flow, "kind": kind, "low": prefix, "high": f"{stream};", "limit": limit},
    )
    return sorted(row.key.removeprefix(prefix) for row in rows)


def drop_others(connection: Connection, flow: str, streams: Sequence[str]) -> int:
    """
    Forget what waits for a flow but is no record of ``streams``: it has nothing to do with them. Returns how many.
    """
    return connection.execute(
        text("DELETE FROM due WHERE flow = :flow AND split_part(key, ':', 1) <> ALL(:streams)"),
        {"flow": flow, "streams": list(streams)},
    ).rowcount


def waiting(connection: Connection) -> list[str]:
    """
    The flows that have subjects waiting.
    """
    # A loose index scan: as quick with a million rows waiting as with one.
    rows = connection.execute(
        text(
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
    )
    return [row.flow for row in rows]


def count(connection: Connection, flow: str) -> int:
    """
    How many subjects wait for a flow.
    """
    waiting_count: int = connection.execute(
        text(
            """
            SELECT (SELECT count(*) FROM due WHERE flow = :flow)
                + (SELECT coalesce(sum(cardinality(keys)), 0) FROM due_slice WHERE flow = :flow)
            """
        ),
        {"flow": flow},
    ).scalar_one()
    return waiting_count
