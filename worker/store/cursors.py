"""
Remembers where each stream stands and what its source has told about itself. Called by pull and resync.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text


def load(connection: Connection, streams: Sequence[str]) -> dict[str, dict[str, Any]]:
    """
    The cursors of ``streams`` as mappings of watermark, lo, hi, place and token; streams without one are absent.
    """
    rows = connection.execute(
        text("SELECT stream, watermark, lo, hi, place, token FROM cursor WHERE stream = ANY(:streams)"),
        {"streams": list(streams)},
    )
    return {row.stream: dict(row._mapping) for row in rows}  # noqa: SLF001 - SQLAlchemy's public name for it


def open_windows(connection: Connection, overlaps: Mapping[str, timedelta], hi: datetime) -> None:
    """
    Freeze a window for every stream that has none: from its watermark less its overlap (from the beginning where it
    has no watermark) to ``hi``, whole seconds, half open. A window never ends before it starts.
    """
    connection.execute(
        text(
            """
            INSERT INTO cursor (stream, hi)
            SELECT stream, :hi FROM unnest(CAST(:streams AS text[])) AS s(stream)
            ON CONFLICT (stream) DO NOTHING
            """
        ),
        {"streams": list(overlaps), "hi": hi},
    )
    connection.execute(
        text(
            """
            UPDATE cursor SET hi = greatest(CAST(:hi AS timestamptz), watermark),
                lo = watermark - make_interval(secs => s.overlap), place = NULL
            FROM unnest(CAST(:streams AS text[]), CAST(:overlaps AS float8[])) AS s(stream, overlap)
            WHERE cursor.stream = s.stream AND cursor.hi IS NULL
            """
        ),
        {
            "hi": hi,
            "streams": list(overlaps),
            "overlaps": [overlap.total_seconds() for overlap in overlaps.values()],
        },
    )


def advance(
    connection: Connection, stream: str, *, place: Mapping[str, Any] | None, token: str | None, last: bool
) -> None:
    """
    Move a stream to the place after a page, in the page's own transaction; the window's last page moves the watermark
    to the window's end and closes the window.
    """
    connection.execute(
        text(
            """
            UPDATE cursor SET place = CAST(:place AS jsonb), token = coalesce(:token, token),
                watermark = CASE WHEN :last THEN hi ELSE watermark END,
                first_loaded_at = CASE WHEN :last THEN coalesce(first_loaded_at, now()) ELSE first_loaded_at END,
                lo = CASE WHEN :last THEN NULL ELSE lo END, hi = CASE WHEN :last THEN NULL ELSE hi END,
                updated_at = now()
            WHERE stream = :stream
            """
        ),
        {
            "stream": stream,
            "place": None if place is None or last else json.dumps(place),
            "token": token,
            "last": last,
        },
    )


def forget(connection: Connection, streams: Sequence[str]) -> None:
    """
    Have the streams read from the beginning again. That they were read once stays known: what is decided goes on.
    """
    connection.execute(
        text(
            """
            UPDATE cursor SET watermark = NULL, lo = NULL, hi = NULL, place = NULL, token = NULL
            WHERE stream = ANY(:streams)
            """
        ),
        {"streams": list(streams)},
    )


def source_state(connection: Connection, source: str) -> dict[str, Any]:
    """
    What a source last told about itself: clock_offset_seconds (0 before its first answer), known, calls_used,
    calls_allowed, answered_at.
    """
    row = connection.execute(
        text(
            """
            SELECT clock_offset_seconds, known, calls_used, calls_allowed, answered_at
            FROM source_state WHERE source = :source
            """
        ),
        {"source": source},
    ).first()
    if row is None:
        return {"clock_offset_seconds": 0, "known": {}, "calls_used": None, "calls_allowed": None, "answered_at": None}
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def clock_offset(connection: Connection, source: str) -> timedelta:
    """
    By how much a source's clock was ahead of ours at its last answer; nothing before its first.
    """
    seconds = connection.execute(
        text("SELECT clock_offset_seconds FROM source_state WHERE source = :source"), {"source": source}
    ).scalar()
    return timedelta(seconds=float(seconds or 0))


def save_source_state(
    connection: Connection,
    source: str,
    *,
    clock_offset_seconds: float,
    known: Mapping[str, Any] | None = None,
    usage: tuple[int, int] | None = None,
) -> None:
    """
    Keep what a source told about itself in its last answers; ``known`` None leaves what was known.
    """
    connection.execute(
        text(
            """
            INSERT INTO source_state (source, clock_offset_seconds, known, calls_used, calls_allowed, answered_at)
            VALUES (:source, :offset, coalesce(CAST(:known AS jsonb), '{}'), :used, :allowed, now())
            ON CONFLICT (source) DO UPDATE SET clock_offset_seconds = :offset, answered_at = now(),
                known = coalesce(CAST(:known AS jsonb), source_state.known),
                calls_used = coalesce(:used, source_state.calls_used),
                calls_allowed = coalesce(:allowed, source_state.calls_allowed)
            """
        ),
        {
            "source": source,
            "offset": clock_offset_seconds,
            "known": None if known is None else json.dumps(known),
            "used": usage[0] if usage else None,
            "allowed": usage[1] if usage else None,
        },
    )


def expect(connection: Connection, streams: Sequence[str]) -> None:
    """
    Note which streams there are to read; nothing is planned before each of them was read once.
    """
    connection.execute(
        text(
            """
            INSERT INTO setting (key, value) VALUES ('streams', to_jsonb(CAST(:streams AS text[])))
            ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, updated_at = now()
            WHERE setting.value <> EXCLUDED.value
            """
        ),
        {"streams": sorted(streams)},
    )


def everything_read_once(connection: Connection) -> bool:
    """
    Whether each expected stream was read to the end of a window at least once. Streams that a source may not read (it
    says so itself) are not waited for.
    """
    missing: int = connection.execute(
        text(
            """
            SELECT count(*) FROM setting s CROSS JOIN LATERAL jsonb_array_elements_text(s.value) AS e(stream)
            WHERE s.key = 'streams' AND NOT EXISTS (
                    SELECT 1 FROM cursor c WHERE c.stream = e.stream AND c.first_loaded_at IS NOT NULL)
                AND NOT EXISTS (
                    SELECT 1 FROM source_state t
                    WHERE t.source = split_part(e.stream, '.', 1) AND t.known->'unreadable' ? e.stream)
            """
        )
    ).scalar_one()
    return missing == 0
