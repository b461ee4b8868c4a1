"""
Remembers which stored records the platform does not show any more, without calling them deleted: sharing hides them, or
a permission was taken away. They are kept as last seen and decided on as before. Called by whoever reads records.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text


def doubt(connection: Connection, stream: str, shape: str, record_ids: Sequence[str]) -> None:
    """
    Have those of the records that are stored as live read again.
    """
    connection.execute(
        text(
            f"""
            INSERT INTO due (flow, kind, key)
            SELECT 'reread', stream, record_id FROM source_{shape}
            WHERE stream = :stream AND record_id = ANY(:ids) AND NOT coalesce(is_deleted, false)
            ORDER BY record_id COLLATE "C" ON CONFLICT DO NOTHING
            """
        ),
        {"stream": stream, "ids": list(record_ids)},
    )


def hide(connection: Connection, stream: str, shape: str, record_ids: Sequence[str]) -> int:
    """
    Mark those of the records that are stored and live. Returns how many were not marked before.
    """
    return connection.execute(
        text(
            f"""
            INSERT INTO hidden_record (stream, record_id)
            SELECT stream, record_id FROM source_{shape}
            WHERE stream = :stream AND record_id = ANY(:ids) AND NOT coalesce(is_deleted, false)
            ORDER BY record_id ON CONFLICT DO NOTHING
            """
        ),
        {"stream": stream, "ids": list(record_ids)},
    ).rowcount
