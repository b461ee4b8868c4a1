"""
Tells the present instant by the organisation's clock, to those who look at the store without a run.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection

from worker.store import cursors


def now_of(connection: Connection) -> datetime:
    """
    Our clock, corrected by what the organisation's last answer said.
    """
    return datetime.now(UTC) + cursors.clock_offset(connection, "salesforce")
