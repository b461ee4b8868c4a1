"""
Instants as Marketo spells them, and back.

The platform keeps whole seconds. Inside this package an instant is an ``int`` of seconds since 1970, UTC; it becomes
text only at the door: ``2026-11-01T00:00:00Z`` in the lead database, ``2026-11-01T00:00:00Z+0000`` among the assets.
"""

import re
from datetime import UTC, datetime
from typing import Final

_TEXT: Final = re.compile(
    r"^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?\s*(Z|Z?[+-]\d{2}:?\d{2})?$",
)


def parse_instant(text: str) -> int:
    """
    Seconds since 1970 of an ISO 8601 date or instant; without a zone it is UTC. Raises ValueError.
    """
    match = _TEXT.match(text.strip())
    if match is None:
        raise ValueError(f"not an instant: {text!r}")
    year, month, day, hour, minute, second, zone = match.groups()
    moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
    return int(moment.timestamp()) - _offset_seconds(zone)


def _offset_seconds(zone: str | None) -> int:
    digits = (zone or "").lstrip("Z").replace(":", "")
    if not digits:
        return 0
    seconds = int(digits[1:3]) * 3600 + int(digits[3:5]) * 60
    return -seconds if digits[0] == "-" else seconds


def spell(instant: int) -> str:
    """
    ``2026-11-01T00:00:00Z``.
    """
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spell_asset(instant: int) -> str:
    """
    ``2026-11-01T00:00:00Z+0000``: how programs and other assets give the same instant.
    """
    return spell(instant) + "+0000"
