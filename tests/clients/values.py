"""
When a client's value is the org's value: told apart from the accidents of transport, types and time formats.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d\S*)?")


def differing_field(seen: Mapping[str, Any], held: Mapping[str, Any]) -> str | None:
    """
    The first of the fields seen whose value is not the one held, in words; None where all are the same.
    """
    for name, value in seen.items():
        if plain(value) != plain(held[name]):
            return f"{name}: saw {value!r}, the org holds {held[name]!r}"
    return None


def plain(value: Any) -> Any:
    """
    Moments as moments (a date is its midnight), numbers as numbers, empty text as none.
    """
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return Decimal(str(value)).normalize()
    if value == "":
        return None
    if isinstance(value, str) and MOMENT.fullmatch(value):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value
