"""
Remembers the golden records, which source records each one stands for, and how to reach everything a change may touch.

Every question is asked for a set of subjects and answered through indexes, so that it costs what the set costs and not
what the store holds. Called by the resolve flow.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection

from worker.core.frames import INSTANT
from worker.core.records import ENVELOPE, SHAPES
from worker.store import tables
from worker.store.bulk import NOW, Schema, cursor_of, fetch, upsert

_POLARS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "text": pl.String,
    "timestamptz": INSTANT,
    "date": pl.Date,
    "boolean": pl.Boolean,
    "numeric": pl.Decimal(38, 6),
    "jsonb": pl.String,
}

# The kinds that have golden records, and so fields of ours.
GOLDEN_KINDS: Final = frozenset(tables.GOLDEN)

REF: Final[Schema] = {"stream": pl.String, "record_id": pl.String}
# More records than one person has; matching joins nobody by a key of so many.
MOST_HOLDERS: Final = 50

CROSSWALK: Final[Schema] = {
    "stream": pl.String,
    "record_id": pl.String,
    "golden_id": pl.Int64,
    "rule": pl.String,
}


def shape_schema(shape: str) -> dict[str, pl.DataType | type[pl.DataType]]:
    """
    The schema of ``records`` of a shape.
    """
    return {name: _POLARS[kind] for name, kind in (ENVELOPE | SHAPES[shape]).items()}


def split_keys(keys: Iterable[str]) -> pl.DataFrame:
    """
    "<stream>:<record id>" keys as a frame of stream and record_id, sorted.
    """
    return (
        pl.DataFrame({"key": list(keys)}, schema={"key": pl.String})
        .select(pl.col("key").str.splitn(":", 2).struct.rename_fields(["stream", "record_id"]))
        .unnest("key")
        .sort("stream", "record_id")
    )


def records(connection: Connection, shape: str, refs: pl.DataFrame) -> pl.DataFrame:
    """
    The source records named by ``refs`` (REF) as they are stored, one row each, ordered by stream and id.
    """
    names = list(ENVELOPE | SHAPES[shape])
    cells = ", ".join(
        f"s.{name}::text" if (ENVELOPE | SHAPES[shape])[name] == "jsonb" else f"s.{name}" for name in names
    )
    statement = f"""
        SELECT {cells} FROM unnest(%(streams)s::text[], %(ids)s::text[]) AS r(stream, record_id)
        JOIN source_{shape} s USING (stream, record_id) ORDER BY s.stream, s.record_id
    """
    return fetch(connection, statement, _bound(refs), shape_schema(shape))


def save_keys(connection: Connection, kind: str, refs: pl.DataFrame, keys: pl.DataFrame) -> None:
    """
    Have exactly these identity keys for the records of ``refs``; unchanged ones are not touched.
    """
    cursor_of(connection).execute(
        """
        WITH wanted AS MATERIALIZED (
            SELECT * FROM unnest(%(key_streams)s::text[], %(key_ids)s::text[], %(keys)s::text[])
                AS k(stream, record_id, key)
        ), gone AS (
            DELETE FROM identity_key i USING unnest(%(streams)s::text[], %(ids)s::text[]) AS r(stream, record_id)
            WHERE i.kind = %(kind)s AND i.stream = r.stream AND i.record_id = r.record_id AND NOT EXISTS (
                SELECT 1 FROM wanted w WHERE w.stream = i.stream AND w.record_id = i.record_id AND w.key = i.key)
        )
        INSERT INTO identity_key (kind, stream, record_id, key)
        SELECT %(kind)s, stream, record_id, key FROM wanted ON CONFLICT DO NOTHING
        """,
        _bound(refs)
        | {
            "kind": kind,
            "key_streams": keys["stream"].to_list(),
            "key_ids": keys["record_id"].to_list(),
            "keys": keys["key"].to_list(),
        },
    )


def closure(connection: Connection, kind: str, refs: pl.DataFrame) -> pl.DataFrame:
    """
    Every record that ``refs`` may share a golden record with: reached over shared keys and over today's crosswalk, as
    far as it goes. REF rows, sorted, those of ``refs`` included. A key that very many records hold names nobody (a
    shared mailbox) and is not followed.
    """
    statement = """
        WITH RECURSIVE reached(stream, record_id) AS (
            SELECT * FROM unnest(%(streams)s::text[], %(ids)s::text[])
            UNION
            SELECT n.stream, n.record_id FROM reached r CROSS JOIN LATERAL (
                SELECT other.stream, other.record_id FROM identity_key own
                JOIN identity_key other ON other.kind = own.kind AND other.key = own.key
                WHERE own.kind = %(kind)s AND own.stream = r.stream AND own.record_id = r.record_id
                    AND (SELECT count(*) FROM (SELECT 1 FROM identity_key held
                         WHERE held.kind = own.kind AND held.key = own.key LIMIT %(most)s + 1) h) <= %(most)s
                UNION ALL
                SELECT other.stream, other.record_id FROM crosswalk own
                JOIN crosswalk other ON other.kind = own.kind AND other.golden_id = own.golden_id
                WHERE own.kind = %(kind)s AND own.source = split_part(r.stream, '.', 1) AND own.record_id = r.record_id
            ) n
        )
        SELECT stream, record_id FROM reached ORDER BY stream, record_id
    """
    return fetch(connection, statement, _bound(refs) | {"kind": kind, "most": MOST_HOLDERS}, REF)


def crosswalk_of(connection: Connection, kind: str, refs: pl.DataFrame) -> pl.DataFrame:
    """
    Today's golden records of the source records ``refs``: CROSSWALK rows; those that have none are absent.
    """
    statement = """
        SELECT c.stream, c.record_id, c.golden_id, c.rule
        FROM unnest(%(streams)s::text[], %(ids)s::text[]) AS r(stream, record_id)
        JOIN crosswalk c ON c.kind = %(kind)s AND c.source = split_part(r.stream, '.', 1) AND c.record_id = r.record_id
        ORDER BY c.stream, c.record_id
    """
    return fetch(connection, statement, _bound(refs) | {"kind": kind}, CROSSWALK)


def new_ids(connection: Connection, kind: str, count: int) -> list[int]:
    """
    Numbers for golden records that do not exist yet.
    """
    if not count:
        return []
    rows = cursor_of(connection).execute(
        "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", (kind, count)
    )
    return [number for (number,) in rows.fetchall()]


def save_crosswalk(connection: Connection, kind: str, members: pl.DataFrame) -> list[str]:
    """
    Point source records at golden records (stream, record_id, golden_id, rule); returns the record ids that moved.
    """
    rows = members.select(
        pl.lit(kind).alias("kind"),
        pl.col("stream").str.split(".").list.first().alias("source"),
        "record_id",
        "stream",
        "golden_id",
        "rule",
    )
    moved = upsert(connection, tables.crosswalk, rows, ("kind", "source", "record_id"), noted={"since_at": NOW})
    return [record_id for _, _, record_id in moved]


def save_golden(connection: Connection, kind: str, rows: pl.DataFrame) -> list[int]:
    """
    Write golden records by id; returns the ids of those that were new or changed.
    """
    return [number for (number,) in upsert(connection, tables.GOLDEN[kind], rows, ("id",), noted={"updated_at": NOW})]


def drop_golden(connection: Connection, kind: str, redirects: pl.DataFrame) -> None:
    """
    Retire golden records whose source records went over to others: ``redirects`` holds old_id and new_id.
    """
    if redirects.is_empty():
        return
    values = {
        "kind": kind,
        "old": redirects["old_id"].to_list(),
        "new": redirects["new_id"].to_list(),
    }
    cursor = cursor_of(connection)
    cursor.execute(
        """
        INSERT INTO redirect (kind, old_id, new_id)
        SELECT %(kind)s, * FROM unnest(%(old)s::bigint[], %(new)s::bigint[])
        ON CONFLICT (kind, old_id) DO UPDATE SET new_id = EXCLUDED.new_id, at = now()
        """,
        values,
    )
    cursor.execute(f"DELETE FROM {tables.GOLDEN[kind].name} WHERE id = ANY(%(old)s)", values)


def golden_ids(connection: Connection, kind: str, source: str, record_ids: Sequence[str]) -> dict[str, int]:
    """
    Golden ids by the record id of one source; unknown ones are absent.
    """
    rows = cursor_of(connection).execute(
        "SELECT record_id, golden_id FROM crosswalk WHERE kind = %s AND source = %s AND record_id = ANY(%s)",
        (kind, source, list(record_ids)),
    )
    return dict(rows.fetchall())


def _bound(refs: pl.DataFrame) -> dict[str, Any]:
    return {"streams": refs["stream"].to_list(), "ids": refs["record_id"].to_list()}
