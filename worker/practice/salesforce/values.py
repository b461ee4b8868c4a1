"""
Values on their way in and out: what a field accepts, how it is stored, how JSON and CSV show it.

Stored form: text as is (empty is null), booleans 0/1, dates ``YYYY-MM-DD``, datetimes ``YYYY-MM-DDTHH:MM:SS`` in UTC at
whole seconds, numbers rounded to the field's scale. Pure; ``records.py`` adds the checks that need other records.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from worker.practice.salesforce.errors import RowError
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.schema import TEXT_TYPES, Field

STORED_DATETIME = "%Y-%m-%dT%H:%M:%S"
INT_LIMIT = 2**31
PRINTF_ARGUMENTS = 100  # SQLite's functions take 127 arguments
_EMAIL = re.compile(r"[^@\s,;()<>\[\]\"]+@[^@\s,;()<>\[\]\"]+\.[^@\s,;()<>\[\]\".]{2,}\Z")
# The forms clients send most, read without making a datetime of them.
_PLAIN_DATETIME = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3])(?::[0-5]\d){2}")
_UTC_ENDINGS = frozenset({"", "Z", "+00:00", "+0000", ".000Z", ".000+0000", ".000+00:00"})

Converter = Callable[[Any], Any]


def stamp(moment: datetime) -> str:
    """
    The stored form of an aware moment: UTC, cut to the second.
    """
    return moment.astimezone(UTC).strftime(STORED_DATETIME)


def parse_datetime(text: str) -> str | None:
    """
    The stored form of a datetime in any ISO form with or without offset (none means UTC), or None if it is none.
    """
    if text[19:] in _UTC_ENDINGS and _PLAIN_DATETIME.match(text):
        return text[:19]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if len(text) <= 10:
        return None
    return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def parse_date(text: str) -> str | None:
    """
    The stored form of a date (a datetime's date part is taken, as Salesforce does), or None.
    """
    try:
        return date.fromisoformat(text[:10]).isoformat() if len(text) == 10 or text[10:11] == "T" else None
    except ValueError:
        return None


def show_datetime(stored: str | None) -> str | None:
    """
    A stored datetime as REST shows it: ``2026-11-18T09:30:00.000+0000``.
    """
    return None if stored is None else f"{stored}.000+0000"


def store(field: Field, value: Any) -> Any:
    """
    ``value`` (from JSON, or text from CSV) as ``field`` stores it. Raises ``RowError`` as Salesforce refuses it.
    """
    if value == "" and field.type != "boolean":
        value = None
    if value is None:
        if field.type == "boolean":
            raise RowError(
                "INVALID_TYPE_ON_FIELD_IN_RECORD", f"{field.label}: value not of required type: ", [field.name]
            )
        return None
    if field.type in TEXT_TYPES:
        return _store_text(field, value)
    match field.type:
        case "boolean":
            return _store_boolean(field, value)
        case "reference" | "id":
            made = to18(value) if isinstance(value, str) else None
            if made is None:
                raise RowError("MALFORMED_ID", f"{field.label}: id value of incorrect type: {value}", [field.name])
            return made
        case "date" | "datetime":
            made = (parse_date if field.type == "date" else parse_datetime)(value) if isinstance(value, str) else None
            if made is None:
                raise _cannot_read(field, value)
            return made
        case "int" | "double" | "currency" | "percent":
            return _store_number(field, value)
        case "time":
            return str(value)
    raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", f"{field.label}: cannot be written", [field.name])


def _store_text(field: Field, value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise _cannot_read(field, value)
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if len(text) > field.length > 0:
        raise RowError(
            "STRING_TOO_LONG", f"{field.label}: data value too large: {text} (max length={field.length})", [field.name]
        )
    if field.type == "email" and not _EMAIL.match(text):
        raise RowError("INVALID_EMAIL_ADDRESS", f"{field.label}: invalid email address: {text}", [field.name])
    if field.restricted and field.values:
        chosen = text.split(";") if field.type == "multipicklist" else [text]
        for one in chosen:
            if one not in field.values:
                raise RowError(
                    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                    f"{field.label}: bad value for restricted picklist field: {one}",
                    [field.name],
                )
    # An org keeps addresses in lower case, however they were written.
    return text.lower() if field.type == "email" else text


def _store_boolean(field: Field, value: Any) -> int:
    if value in {True, False}:
        return int(value)
    if isinstance(value, str) and value.lower() in {"true", "false", "1", "0"}:
        return int(value.lower() in {"true", "1"})
    raise _cannot_read(field, value)


def _store_number(field: Field, value: Any) -> float | int:
    if isinstance(value, float) and field.type != "int" and value == round(value, field.scale) and _fits(field, value):
        return value
    number = _decimal(value)
    if number is None:
        raise _cannot_read(field, value)
    if field.type == "int":
        rounded = int(number.to_integral_value(ROUND_HALF_UP))
        if not -INT_LIMIT <= rounded < INT_LIMIT:
            raise _outside(field, value)
        return rounded
    if not _fits(field, number):
        raise _outside(field, value)
    return float(number.quantize(Decimal(1).scaleb(-field.scale), ROUND_HALF_UP)) if field.precision else float(number)


def _fits(field: Field, number: float | Decimal) -> bool:
    return not field.precision or abs(number) < 10 ** (field.precision - field.scale)


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _outside(field: Field, value: Any) -> RowError:
    message = f"{field.label}: value outside of valid range on numeric field: {value}"
    return RowError("NUMBER_OUTSIDE_VALID_RANGE", message, [field.name])


def _cannot_read(field: Field, value: Any) -> RowError:
    shown = str(value).lower() if isinstance(value, bool) else value
    kind = {"int": "integer", "currency": "double", "percent": "double"}.get(field.type, field.type)
    words = (
        f"Cannot deserialize instance of {kind} from VALUE_STRING value {shown} or request may be missing a required"
    )
    return RowError("JSON_PARSER_ERROR", f"{words} field")


def json_converter(field: Field) -> Converter | None:
    """
    How a stored value becomes JSON, or None where it already is.
    """
    match field.type:
        case "boolean":
            return lambda stored: None if stored is None else bool(stored)
        case "datetime":
            return show_datetime
        case "int":
            return lambda stored: None if stored is None else int(stored)
        case "double" | "currency" | "percent":
            return lambda stored: None if stored is None else float(stored)
    return None


def csv_value(field: Field, column: str) -> str:
    """
    SQL for a column's text in the Bulk API's forms, null as the empty text.
    """
    match field.type:
        case "boolean":
            return f"CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE '' END"
        case "datetime":
            return f"IFNULL({column} || '.000Z', '')"
    return f"IFNULL({column}, '')"


def csv_row(values: Sequence[str], separator: str, line_ending: str) -> str:
    """
    SQL that renders a row of ``csv_value`` expressions as bytes: every cell quoted, quotes doubled, the line ended.
    """
    parts = []
    for start in range(0, len(values), PRINTF_ARGUMENTS):
        chunk = values[start : start + PRINTF_ARGUMENTS]
        cells = separator.join(['"%w"'] * len(chunk))
        parts.append(f"PRINTF('{cells}', {', '.join(chunk)})")
    end = " || ".join(f"CHAR({ord(char)})" for char in line_ending)
    rendered = f" || '{separator}' || ".join(parts)
    return f"CAST({rendered} || {end} AS BLOB)"
