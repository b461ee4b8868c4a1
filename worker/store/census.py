"""
Holds what a platform says there is against what is stored: which streams a sweep is due for, the census it takes page
by page, the comparison, and the proof it leaves behind.

Only what has settled is compared: rows that changed within the overlap of the stream's windows are the next pull's. Sets
are compared by the database; no list of ids comes to this process but those of the records to be read again. Called by
the sweep flow, and by whoever wants one.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import sql
from sqlalchemy import Connection, text

from worker.core.instants import to_the_second
from worker.store import staging
from worker.store.bulk import cursor_of

# What a census has of a record; further columns of its pages are values to be refreshed.
COLUMNS: Final = ("record_id", "stamp_at", "is_deleted")
# A window has ended behind what was unsettled by then, whenever it changed within a cycle.
_SETTLED_SURELY: Final = timedelta(minutes=10)
# Whether a stream has its turn: the day's, or that of what a first sweep could not yet compare.
_IS_DUE: Final = """
    (is_due OR (proof->>'again_at')::timestamptz <= now() + make_interval(secs => coalesce((
        SELECT clock_offset_seconds::float8 FROM source_state WHERE source = split_part(sweep.stream, '.', 1)), 0)))
"""


def ask(connection: Connection, streams: Sequence[str], fields: Sequence[str] = ()) -> None:
    """
    Have streams swept, and the values of ``fields`` (the platform's names) filled in along the way.

    One that is being swept begins anew where there are fields: what was read so far came without them.
    """
    connection.execute(
        text(
            """
            INSERT INTO sweep (stream, fields) SELECT stream, CAST(:fields AS text[])
            FROM unnest(CAST(:streams AS text[])) AS s(stream) ORDER BY stream
            ON CONFLICT (stream) DO UPDATE SET is_due = true,
                began_at = CASE WHEN cardinality(EXCLUDED.fields) = 0 THEN sweep.began_at END,
                fields = ARRAY(SELECT DISTINCT f FROM unnest(sweep.fields || EXCLUDED.fields) AS u(f) ORDER BY f)
            """
        ),
        {"streams": list(streams), "fields": list(fields)},
    )


def sources_due(connection: Connection) -> list[str]:
    """
    The sources with a stream to be swept: not while one of theirs is being read from the beginning, so that there is
    something to hold the census against, and a first load has all calls to itself. What cannot be read is not waited for.
    """
    rows = connection.execute(
        text(
            f"""
            SELECT DISTINCT source FROM sweep JOIN cursor USING (stream)
            CROSS JOIN LATERAL (SELECT split_part(stream, '.', 1) AS source) s
            WHERE {_IS_DUE} AND watermark IS NOT NULL AND NOT EXISTS (
                SELECT FROM cursor c LEFT JOIN source_state t ON t.source = s.source
                WHERE split_part(c.stream, '.', 1) = s.source AND c.watermark IS NULL
                    AND NOT coalesce(t.known->'unreadable' ? c.stream, false))
            ORDER BY 1
            """
        )
    )
    return [row.source for row in rows]


def begin(connection: Connection, streams: Sequence[str], at: datetime) -> None:
    """
    Begin the census of those of ``streams`` that are due and not begun. ``at`` is by the platform's clock.
    """
    connection.execute(
        text(
            f"""
            WITH begun AS (
                UPDATE sweep SET began_at = :at, place = NULL, is_counted = false, calls = 0, error = NULL,
                    is_due = true, proof = proof - 'again_at'
                FROM cursor WHERE sweep.stream = ANY(:streams) AND {_IS_DUE} AND began_at IS NULL
                    AND cursor.stream = sweep.stream AND cursor.watermark IS NOT NULL
                RETURNING sweep.stream)
            DELETE FROM census USING begun WHERE census.stream = begun.stream
            """
        ),
        {"at": at, "streams": list(streams)},
    )


def under_way(connection: Connection, streams: Sequence[str]) -> dict[str, dict[str, Any]]:
    """
    The streams that are being swept: stream -> began_at, place, is_counted, fields.
    """
    rows = connection.execute(
        text(
            """
            SELECT stream, began_at, place, is_counted, fields FROM sweep
            WHERE stream = ANY(:streams) AND is_due AND began_at IS NOT NULL ORDER BY stream
            """
        ),
        {"streams": list(streams)},
    )
    return {row.stream: dict(row._mapping) for row in rows}  # noqa: SLF001 - SQLAlchemy's public name for it


def keep(connection: Connection, page: staging.Received) -> None:
    """
    Keep the ids, stamps and deletions of a page.
    """
    cells = {name: sql.SQL("page.{}").format(sql.Identifier(name)) for name in COLUMNS if name in page.columns}
    cursor_of(connection).execute(
        sql.SQL(
            """
            INSERT INTO census (stream, record_id, stamp_at, is_deleted)
            SELECT {stream}, {record_id}, {stamp_at}::timestamptz, coalesce({is_deleted}::boolean, false)
            FROM {relation}
            """
        ).format(
            stream=sql.Literal(page.stream),
            record_id=cells["record_id"],
            stamp_at=cells.get("stamp_at", sql.NULL),
            is_deleted=cells.get("is_deleted", sql.NULL),
            relation=page.relation,
        ),
        page.values or None,
    )


def amend(connection: Connection, page: staging.Received, unseen: Sequence[str]) -> None:
    """
    Put what was read of single records behind the census in its place; ``unseen`` ones are not there.
    """
    cursor = cursor_of(connection)
    cursor.execute("DELETE FROM census WHERE stream = %s AND record_id = ANY(%s)", (page.stream, list(unseen)))
    statement = sql.SQL("DELETE FROM census WHERE stream = {} AND record_id IN (SELECT page.record_id FROM {})")
    cursor.execute(statement.format(sql.Literal(page.stream), page.relation), page.values or None)
    keep(connection, page)


def advance(connection: Connection, stream: str, place: Mapping[str, Any] | None) -> None:
    """
    Move to the place after a page, in the page's own transaction.
    """
    connection.execute(
        text("UPDATE sweep SET place = CAST(:place AS jsonb) WHERE stream = :stream"),
        {"stream": stream, "place": None if place is None else json.dumps(place)},
    )


def count_calls(connection: Connection, streams: Sequence[str], calls: int) -> None:
    """
    Put calls on the account of the sweep, shared among its streams as evenly as whole numbers go.
    """
    share, rest = divmod(calls, max(1, len(streams)))
    for number, stream in enumerate(streams):
        connection.execute(
            text("UPDATE sweep SET calls = calls + :calls WHERE stream = :stream"),
            {"stream": stream, "calls": share + (number < rest)},
        )


# Pairs of a stored record and its place in the census; only settled ones are compared. A census may hold an id twice
# where its query was begun again behind a lost cursor: the later state counts. A stored row without stamp was only ever
# called deleted.
_PAIRS: Final = """
    WITH seen AS (
        SELECT DISTINCT ON (record_id) record_id, stamp_at, is_deleted FROM census
        WHERE stream = %(stream)s ORDER BY record_id, stamp_at DESC NULLS LAST
    ), pair AS (
        SELECT coalesce(c.record_id, t.record_id) AS record_id, c.record_id IS NOT NULL AS is_there,
            t.record_id IS NOT NULL AS is_here, h.record_id IS NOT NULL AS is_hidden,
            coalesce(c.is_deleted, true) AS dead_there, coalesce(t.is_deleted, t.record_id IS NULL) AS dead_here,
            c.stamp_at IS DISTINCT FROM t.stamp_at AND c.stamp_at IS NOT NULL AS has_moved,
            greatest(c.stamp_at, t.stamp_at) AS moved_at,
            coalesce(greatest(c.stamp_at, t.stamp_at) < %(settled_at)s, true) AS is_settled
        FROM seen c
        FULL JOIN (SELECT * FROM source_{shape} WHERE stream = %(stream)s) t ON t.record_id = c.record_id
        LEFT JOIN hidden_record h ON h.stream = %(stream)s AND h.record_id = t.record_id
    ), kinds AS (
        SELECT *, CASE
            WHEN NOT is_settled THEN NULL
            WHEN is_there AND NOT is_here THEN 'missing'
            WHEN is_there AND is_hidden THEN 'returned'
            WHEN is_there AND (has_moved OR dead_there <> dead_here) THEN 'stale'
            WHEN NOT is_there AND NOT dead_here AND NOT is_hidden THEN 'gone' END AS kind
        FROM pair)
"""


def compare(connection: Connection, stream: str, shape: str, settled_at: datetime) -> None:
    """
    The census is whole: note the differences and keep their counts as the place (``found``, ``settled_at``).
    """
    found = _note_differences(connection, stream, shape, settled_at)
    place = {"found": found, "settled_at": settled_at.isoformat()}
    connection.execute(
        text("UPDATE sweep SET is_counted = true, place = CAST(:place AS jsonb) WHERE stream = :stream"),
        {"stream": stream, "place": json.dumps(place)},
    )


def _note_differences(connection: Connection, stream: str, shape: str, settled_at: datetime) -> dict[str, int]:
    """
    Have every record that differs read again (due for ``sweep``). Returns counts: ``missing`` here, ``stale`` (other
    stamp or deletion), ``gone`` from there, ``returned`` from being hidden.
    """
    found = (
        cursor_of(connection)
        .execute(
            _PAIRS.format(shape=shape)
            + """
            , noted AS (
                INSERT INTO due (flow, kind, key) SELECT 'sweep', %(stream)s, record_id FROM kinds
                WHERE kind IS NOT NULL ORDER BY record_id COLLATE "C" ON CONFLICT DO NOTHING)
            SELECT kind, count(*) FROM kinds WHERE kind IS NOT NULL GROUP BY kind
            """,
            {"stream": stream, "settled_at": settled_at},
        )
        .fetchall()
    )
    return dict.fromkeys(("missing", "stale", "gone", "returned"), 0) | dict(found)


def prove(
    connection: Connection, stream: str, shape: str, place: Mapping[str, Any], overlap: timedelta
) -> dict[str, Any]:
    """
    ``place`` is as ``compare`` left it. Compare once more and keep the proof: ``up_to`` (everything that changed before
    it was compared), ``there`` and ``here`` (live records), what was ``found`` and how many of that are ``left``,
    ``unsettled_there`` and ``unsettled_here`` (live records that changed too late to be compared), how many stored
    records are ``hidden``, ``calls``. The census is dropped.

    A stream's first proof says ``again_at`` where some are unsettled: right after a first load that may be all there is.
    """
    cursor = cursor_of(connection)
    there, here, left, new_there, new_here, moved_at = cursor.execute(
        _PAIRS.format(shape=shape)
        + """
        SELECT count(*) FILTER (WHERE is_settled AND is_there AND NOT dead_there),
               count(*) FILTER (WHERE is_settled AND is_here AND NOT dead_here AND NOT is_hidden),
               count(*) FILTER (WHERE kind IS NOT NULL),
               count(*) FILTER (WHERE NOT is_settled AND is_there AND NOT dead_there),
               count(*) FILTER (WHERE NOT is_settled AND is_here AND NOT dead_here AND NOT is_hidden),
               max(moved_at) FILTER (WHERE NOT is_settled)
        FROM kinds
        """,
        {"stream": stream, "settled_at": place["settled_at"]},
    ).fetchone() or (0, 0, 0, 0, 0, None)
    (hidden,) = cursor.execute("SELECT count(*) FROM hidden_record WHERE stream = %s", (stream,)).fetchone() or (0,)
    proof = {
        "up_to": place["settled_at"].replace("+00:00", "Z"),
        "there": there,
        "here": here,
        **place["found"],
        "left": left,
        "unsettled_there": new_there,
        "unsettled_here": new_here,
        "hidden": hidden,
    }
    again = {} if moved_at is None else {"again_at": to_the_second(moved_at + overlap + _SETTLED_SURELY)}
    connection.execute(
        text(
            """
            UPDATE sweep SET is_due = false, fields = '{}', place = NULL, is_counted = false, began_at = NULL,
                proof = CAST(:proof AS jsonb) || jsonb_build_object('calls', calls)
                    || CASE WHEN proof IS NULL THEN CAST(:again AS jsonb) ELSE '{}' END WHERE stream = :stream
            """
        ),
        {"stream": stream, "proof": json.dumps(proof), "again": json.dumps(again)},
    )
    connection.execute(text("DELETE FROM census WHERE stream = :stream"), {"stream": stream})
    return proof


def postpone(connection: Connection, stream: str) -> None:
    """
    The stream is being read from the beginning again: it is swept when that is done.
    """
    connection.execute(
        text("UPDATE sweep SET began_at = NULL, place = NULL WHERE stream = :stream"), {"stream": stream}
    )
    connection.execute(text("DELETE FROM census WHERE stream = :stream"), {"stream": stream})


def give_up(connection: Connection, stream: str, error: str | None) -> None:
    """
    The stream cannot be swept now; the next day it is tried again. Its last proof stands, with its date. Without an
    error there is nothing to count: the organisation has no such object.
    """
    if error is None:
        connection.execute(text("DELETE FROM sweep WHERE stream = :stream"), {"stream": stream})
    else:
        connection.execute(
            text(
                "UPDATE sweep SET is_due = false, began_at = NULL, place = NULL, error = :error WHERE stream = :stream"
            ),
            {"stream": stream, "error": error},
        )
    connection.execute(text("DELETE FROM census WHERE stream = :stream"), {"stream": stream})


def settled_at(connection: Connection, stream: str, began_at: datetime, overlap: timedelta) -> datetime | None:
    """
    Up to when a census that began at ``began_at`` can be held against the store: what was stamped later may have been
    committed late, or read after the census was taken. None while the stream is being read from the beginning again.
    """
    watermark: datetime | None = connection.execute(
        text("SELECT watermark FROM cursor WHERE stream = :stream"), {"stream": stream}
    ).scalar()
    return None if watermark is None else min(watermark, began_at) - overlap


def lines(connection: Connection) -> list[dict[str, Any]]:
    """
    The proofs, by stream: stream, is_due, began_at, error, and ``proof`` as ``prove`` gives it (None before the first).
    """
    rows = connection.execute(text("SELECT stream, is_due, began_at, error, proof FROM sweep ORDER BY stream"))
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it
