"""
Writes instants for people. Pure: what is exact stays exact in JSON, only pages and tables come here.
"""

from datetime import UTC, datetime


def to_the_minute(instant: datetime | str | None) -> str:
    """
    An instant as ``2026-11-22 13:52 UTC``; "-" for none.

    Takes an aware datetime or ISO text with a zone. Text that is no instant with a zone (a cursor that a platform made
    up, a plain date) comes back as it is, because anything else would be a guess.
    """
    if instant is None or instant == "":
        return "-"
    if isinstance(instant, str):
        try:
            moment = datetime.fromisoformat(instant)
        except ValueError:
            return instant
    else:
        moment = instant
    if moment.tzinfo is None:
        return str(instant)
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
