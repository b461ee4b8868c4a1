"""
Gives the organisation's fiscal calendar as it tells it itself: its first month, how a year is named, the years that it
has laid out by the day. Called by whoever reports by periods.
"""

from sqlalchemy import Connection

from worker.core.funnel.calendar import Calendar, custom_spans
from worker.store.bulk import cursor_of


def calendar_of(connection: Connection, zone: str) -> Calendar:
    """
    The fiscal calendar; the plain year where the organisation has not told one. ``zone`` is its time zone.
    """
    cursor = cursor_of(connection)
    row = cursor.execute(
        """
        SELECT fiscal_year_month::int, coalesce(year_named_by_start, false) FROM source_organization
        WHERE fiscal_year_month BETWEEN 1 AND 12 LIMIT 1
        """
    ).fetchone()
    first_month, is_named_by_start = row or (1, False)
    names = ("type", "start_on", "end_on", "name")
    periods = cursor.execute(
        """
        SELECT type, start_on, end_on, name FROM source_period
        WHERE type IN ('Year', 'Quarter') AND NOT coalesce(is_deleted, false) ORDER BY start_on, record_id
        """
    ).fetchall()
    told = [dict(zip(names, each, strict=True)) for each in periods]
    custom = custom_spans(told, first_month, is_named_by_start=is_named_by_start)
    return Calendar(zone, first_month, is_named_by_start, tuple(custom))
