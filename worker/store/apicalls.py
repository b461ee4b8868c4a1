"""
Remembers how many API calls were used, hour by hour: ours by purpose, everybody's as the platform answers it. Hours are
those of the platform's clock. Called by flows' budget and by upkeep.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

_HOUR = """
    date_trunc('hour', clock_timestamp() + make_interval(secs => coalesce((
        SELECT clock_offset_seconds::float8 FROM source_state WHERE source = :source), 0)), 'UTC')
"""

_NOTE = text(
    f"""
    WITH use AS (
        INSERT INTO api_use (source, hour_at, purpose, calls) VALUES (:source, {_HOUR}, :purpose, :calls)
        ON CONFLICT (source, hour_at, purpose) DO UPDATE SET calls = api_use.calls + EXCLUDED.calls),
    level AS (
        INSERT INTO api_level (source, hour_at, used, allowed)
        SELECT :source, {_HOUR}, CAST(:used AS bigint), CAST(:allowed AS bigint)
        WHERE CAST(:used AS bigint) IS NOT NULL
        ON CONFLICT (source, hour_at) DO UPDATE SET used = EXCLUDED.used, allowed = EXCLUDED.allowed)
    UPDATE source_state SET calls_used = CAST(:used AS bigint), calls_allowed = CAST(:allowed AS bigint),
        answered_at = clock_timestamp()
    WHERE source = :source AND CAST(:used AS bigint) IS NOT NULL
    """
)


def note(connection: Connection, source: str, purpose: str, calls: int, usage: tuple[int, int] | None) -> None:
    """
    Add calls of ours to this hour, and keep everybody's use as last answered (used, allowed), where it was.
    """
    connection.execute(
        _NOTE,
        {
            "source": source,
            "purpose": purpose,
            "calls": calls,
            "used": usage[0] if usage else None,
            "allowed": usage[1] if usage else None,
        },
    )


def ours(connection: Connection, source: str, since: datetime) -> dict[datetime, dict[str, int]]:
    """
    Our calls of the hours that began at ``since`` or later: hour -> purpose -> calls.
    """
    rows = connection.execute(
        text("SELECT hour_at, purpose, calls FROM api_use WHERE source = :source AND hour_at >= :since"),
        {"source": source, "since": since},
    )
    found: dict[datetime, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.hour_at, {})[row.purpose] = row.calls
    return found


def levels(connection: Connection, source: str, since: datetime) -> dict[datetime, int]:
    """
    Everybody's use as last answered in each hour that began at ``since`` or later.
    """
    rows = connection.execute(
        text("SELECT hour_at, used FROM api_level WHERE source = :source AND hour_at >= :since"),
        {"source": source, "since": since},
    )
    return {row.hour_at: row.used for row in rows}


def counted_sources(connection: Connection) -> list[str]:
    """
    The sources that have said how many calls they allow.
    """
    rows = connection.execute(text("SELECT source FROM source_state WHERE calls_allowed IS NOT NULL ORDER BY source"))
    return list(rows.scalars())


def trim(connection: Connection, days: int) -> int:
    """
    Forget hours that are longer ago; how many rows that were.
    """
    values: dict[str, Any] = {"days": days}
    gone = 0
    for table in ("api_use", "api_level"):
        statement = text(f"DELETE FROM {table} WHERE hour_at < now() - make_interval(days => :days)")
        gone += connection.execute(statement, values).rowcount
    return gone
