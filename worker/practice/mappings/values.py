"""
The templates of a mapping file: finding their placeholders and filling them from a row.

Pure. ``language`` checks what ``placeholders`` finds, ``load`` calls ``fill``.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_REFERENCE: Final = re.compile(r"^id:([^./?|]+)(?:\.([^/?|]+))?(?:/([^?|]+))?(\?)?$")

# A row's values by column: text, number, boolean, aware instant, or None where the cell is empty.
Row = Mapping[str, Any]


class Placeholder(NamedTuple):
    """
    ``{column|filter}``, or ``{id:step.part/column?}`` with ``step`` set (``column`` empty: by the step's own key).
    """

    column: str
    filter: str | None = None
    step: str | None = None
    part: str | None = None
    optional: bool = False


# Looks up a reference for a row; None where there is nothing. Raises Unmatched if there must be something.
Lookup = Callable[[Placeholder, Row], Any]


class Unmatched(Exception):
    """
    A reference that must be there is not; the row cannot be used and the message says why.
    """


def placeholders(text: str) -> list[Placeholder]:
    """
    The placeholders of a text in order. Raises ValueError for one that cannot be read.
    """
    return [_placeholder(match.group(1)) for match in _PLACEHOLDER.finditer(text)]


def _placeholder(inside: str) -> Placeholder:
    if inside.startswith("id:"):
        match = _REFERENCE.match(inside)
        if match is None:
            raise ValueError(f"cannot read {{{inside}}}; a reference is {{id:step.part/column?}}")
        step, part, column, optional = match.groups()
        return Placeholder(column or "", None, step, part, optional is not None)
    column, _, name = inside.partition("|")
    if name and name not in FILTERS:
        raise ValueError(f"no filter {name!r}; there are: {', '.join(FILTERS)}")
    if not column:
        raise ValueError("an empty {}")
    return Placeholder(column, name or None)


def fill(template: Any, row: Row, look_up: Lookup) -> Any:
    """
    A template with everything filled in, JSON-ready; parts without value are left out of mappings.
    """
    if isinstance(template, dict):
        if "if" in template:
            chosen = "then" if fill(template["if"], row, look_up) not in (None, "") else "else"
            return fill(template.get(chosen), row, look_up)
        filled = {name: fill(value, row, look_up) for name, value in template.items()}
        return {name: value for name, value in filled.items() if value is not None}
    if isinstance(template, list):
        return [fill(value, row, look_up) for value in template]
    return _fill_text(template, row, look_up) if isinstance(template, str) else template


def _fill_text(text: str, row: Row, look_up: Lookup) -> Any:
    found = list(_PLACEHOLDER.finditer(text))
    if len(found) == 1 and found[0].group(0) == text:
        value = _value(_placeholder(found[0].group(1)), row, look_up)
        return spell_instant(value) if isinstance(value, datetime) else value
    return _PLACEHOLDER.sub(lambda match: _spell(_value(_placeholder(match.group(1)), row, look_up)), text)


def _value(placeholder: Placeholder, row: Row, look_up: Lookup) -> Any:
    if placeholder.step is not None:
        return look_up(placeholder, row)
    value = row[placeholder.column]
    return FILTERS[placeholder.filter](value) if placeholder.filter and value is not None else value


def _spell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return spell_instant(value) if isinstance(value, datetime) else str(value)


def spell_instant(instant: datetime) -> str:
    """
    ``2026-11-01T00:00:00Z``.
    """
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(value: Any) -> str:
    return value.astimezone(UTC).date().isoformat() if isinstance(value, datetime) else str(value)


FILTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "url": lambda value: quote(_spell(value), safe=""),
    "date": _day,
    "lower": lambda value: _spell(value).lower(),
}
