"""
Remembers what was put aside so that the rest could go on. Pages put rows here themselves (``staging``); this is for
subjects that a flow could not deal with.
"""

from sqlalchemy import Connection, text


def put(connection: Connection, stream: str, record_id: str, message: str) -> None:
    """
    Put one record aside as our own fault (HW-902). It comes back when it changes, or with ``headwater resync``.
    """
    connection.execute(
        text(
            """
            INSERT INTO quarantine (stream, record_id, code, whose, message)
            VALUES (:stream, :record_id, 'HW-902', 'ours', :message)
            ON CONFLICT (stream, record_id) DO UPDATE SET attempts = quarantine.attempts + 1, last_seen_at = now(),
                code = 'HW-902', whose = 'ours', message = EXCLUDED.message
            """
        ),
        {"stream": stream, "record_id": record_id, "message": message},
    )
