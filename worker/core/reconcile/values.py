"""
One canonical text for every value of a field, so that two spellings of the same value are never a change.
"""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from worker.core.reconcile.rules import Target


def canonical(value: object, target: Target) -> str | None:
    """
    ``value`` as the field keeps it: cut to its length, rounded to its digits, dates and instants in one form, a
    checkbox "true" or "false" (an empty one is false), everything else None where empty.
    """
    if target.kind == "Checkbox":
        return "true" if str(value).lower() == "true" else "false"
    if value is None or value == "":
        return None
    match target.kind:
        case "Number" | "Percent" | "Currency":
            return _number(value, target.scale or 0)
        case "Date":
            return value.date().isoformat() if isinstance(value, datetime) else _date(value)
        case "DateTime":
            return _instant(value)
        case _:
            text = str(value).replace("\0", "").strip()
            return (text[: target.length].rstrip() if target.length else text) or None


def _number(value: object, scale: int) -> str:
    try:
        rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-scale))
    except InvalidOperation:
        return str(value)
    if not rounded:
        return "0"
    text = format(rounded, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _date(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)[:10]


def _instant(value: object) -> str:
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("+0000", "+00:00"))
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
