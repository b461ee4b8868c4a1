"""
Remembers what a person should know and act on, one row a subject, until it is no longer so. Shown by ``status``.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from worker.store.bulk import cursor_of


def note(connection: Connection, key: str, code: str, message: str, actions: Sequence[str] = ()) -> None:
    """
    Have the finding ``key`` stand; the first time it was seen is kept.
    """
    connection.execute(
        text(
            """
            INSERT INTO finding (key, code, message, actions) VALUES (:key, :code, :message, CAST(:actions AS jsonb))
            ON CONFLICT (key) DO UPDATE SET code = :code, message = :message, actions = CAST(:actions AS jsonb)
            """
        ),
        {"key": key, "code": code, "message": message, "actions": json.dumps(list(actions))},
    )


def clear(connection: Connection, *keys: str) -> int:
    """
    These findings are over. Returns how many of them stood.
    """
    gone: int = cursor_of(connection).execute("DELETE FROM finding WHERE key = ANY(%s)", (list(keys),)).rowcount
    return gone


def standing(connection: Connection) -> list[dict[str, Any]]:
    """
    Every finding that stands, oldest first.
    """
    rows = connection.execute(text("SELECT key, code, message, actions, since_at FROM finding ORDER BY since_at, key"))
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it
