"""
How far one looks, and as of when the present is.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from worker.store.bulk import cursor_of


class Horizon(NamedTuple):
    """
    How far one looks: at what happened by ``until`` (the organisation's clock) and had come by ``seen_by`` (the
    database's). None is no bound.
    """

    until: datetime | None = None
    seen_by: datetime | None = None

    @property
    def bound(self) -> dict[str, datetime | str]:
        """
        The same as values for a statement.
        """
        return {"until": self.until or "infinity", "seen_by": self.seen_by or "infinity"}


PRESENT: Final = Horizon()
# Whether touch ``t`` counts within a horizon: one whose double lies beyond it stands for itself.
COUNTS: Final = """t.machine IS NULL AND t.occurred_at <= %(until)s AND t.seen_at <= %(seen_by)s
    AND (t.duplicate_of IS NULL OR EXISTS (SELECT 1 FROM touchpoint f WHERE f.touch_id = t.duplicate_of
         AND (f.occurred_at > %(until)s OR f.seen_at > %(seen_by)s)))"""


def standing_of(connection: Connection) -> dict[str, Any]:
    """
    ``at``: the last decision's instant, ``rules``: the version of the rules in force; both None before there is any.
    """
    row = (
        cursor_of(connection)
        .execute(
            """
            SELECT greatest((SELECT max(decided_at) FROM attribution), (SELECT max(decided_at) FROM engagement)),
                   (SELECT max(rule_version) FROM attribution)
            """
        )
        .fetchone()
    )
    at, version = row or (None, None)
    return {"at": at, "rules": version}
