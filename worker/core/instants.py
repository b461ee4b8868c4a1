"""
Writes instants: to the minute for people, on pages and in tables; to the second where no more is known; in microseconds
as frames keep them. Pure. What is exact stays exact in JSON and does not come here; how a platform wants its instants
is that platform's connector's.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


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


def to_the_second(instant: datetime) -> str:
    """
    An aware instant as ``2026-11-22T13:52:07Z``; what there is of a second is cut off.
    """
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def microseconds(at: datetime) -> int:
    """
    An aware instant as polars keeps it: microseconds since 1970.
    """
    return (at - _EPOCH) // _MICROSECOND
