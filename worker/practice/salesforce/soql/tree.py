"""
The parsed form of a SOQL query. Every node that can be complained about keeps its offset in the source (``at``).
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Direction = Literal["ASC", "DESC"]


@dataclass(frozen=True)
class Path:
    """
    A field, possibly of a parent: ``("Owner", "Name")``.
    """

    parts: tuple[str, ...]
    at: int

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class Call:
    """
    A function over a field: an aggregate, a date function, toLabel ... ``argument`` None is ``COUNT()``.
    """

    function: str
    argument: "Path | None"
    at: int


@dataclass(frozen=True)
class Column:
    """
    One selected value and its alias, if it was given one.
    """

    value: Path | Call
    alias: str | None = None


@dataclass(frozen=True)
class FieldGroup:
    """
    ``FIELDS(ALL)``, ``FIELDS(STANDARD)`` or ``FIELDS(CUSTOM)``.
    """

    group: str
    at: int


@dataclass(frozen=True)
class TypeOf:
    """
    ``TYPEOF relationship WHEN object THEN fields ... ELSE fields END``; ``otherwise`` is None without an ELSE.
    """

    relationship: str
    cases: "tuple[tuple[str, tuple[Path, ...]], ...]"
    otherwise: "tuple[Path, ...] | None"
    at: int


@dataclass(frozen=True)
class Constant:
    """
    A value: ``kind`` is string, number, currency, date, datetime, boolean, null or word (a date literal).

    ``count`` is n of ``LAST_N_DAYS:n``; ``pattern`` is a string's form for LIKE.
    """

    kind: str
    text: str
    at: int
    count: int | None = None
    pattern: str = ""


@dataclass(frozen=True)
class Comparison:
    """
    ``value operator literal``; the operator is one of = != < <= > >= LIKE.
    """

    value: Path | Call
    operator: str
    literal: Constant


@dataclass(frozen=True)
class Membership:
    """
    ``value [NOT] IN (...)`` or INCLUDES/EXCLUDES: against literals or a subquery.
    """

    value: Path | Call
    operator: str
    literals: tuple[Constant, ...] = ()
    query: "Query | None" = None


@dataclass(frozen=True)
class Not:
    """
    NOT condition.
    """

    condition: "Condition"


@dataclass(frozen=True)
class Junction:
    """
    Conditions joined by AND or by OR.
    """

    operator: str
    conditions: "tuple[Condition, ...]"


Condition: TypeAlias = "Comparison | Membership | Not | Junction"


@dataclass(frozen=True)
class Ordering:
    """
    One ORDER BY item; ``nulls`` is FIRST, LAST or None when not said.
    """

    value: Path | Call
    direction: Direction
    nulls: str | None


@dataclass(frozen=True)
class Query:
    """
    One SELECT. ``source`` is the whole text, for frames. In a subquery of the SELECT list ``sobject`` is the name of
    the child relationship.
    """

    source: str
    select: "tuple[Column | FieldGroup | TypeOf | Query, ...]"
    sobject: str
    sobject_at: int
    alias: str | None = None
    where: "Condition | None" = None
    group_by: tuple[Path | Call, ...] = ()
    having: "Condition | None" = None
    order_by: tuple[Ordering, ...] = ()
    limit: int | None = None
    limit_at: int = 0
    offset: int | None = None
    scope: str | None = None
    all_rows: bool = False
    all_rows_at: int = 0
    at: int = field(default=0)
