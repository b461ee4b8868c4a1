"""
The plan by which a compiled query's rows become records: a tree of nodes, and the statement in pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.practice.salesforce.schema import Child, Field, SObject
from worker.practice.salesforce.soql.tree import Query
from worker.practice.salesforce.values import Converter


@dataclass(frozen=True)
class Leaf:
    """
    A value in a record: column ``index``, shown under ``key``.
    """

    key: str
    index: int
    convert: Converter | None
    field: Field


@dataclass(frozen=True)
class Compound:
    """
    An address: its parts, ``(key, column index)``; null when all of them are.
    """

    key: str
    parts: tuple[tuple[str, int], ...]
    field: Field


@dataclass
class Parent:
    """
    A nested parent record. ``id_index`` is the column of its Id; ``type`` is None where the id decides it.
    """

    key: str
    id_index: int
    type: str | None
    nodes: "list[Node]" = field(default_factory=list)


@dataclass
class TypeSelect:
    """
    TYPEOF: a nested parent record whose fields depend on what it is. ``cases`` is by object, ``otherwise`` for the
    rest; ``id_index`` is the column of its Id.
    """

    key: str
    id_index: int
    cases: "dict[str, list[Node]]" = field(default_factory=dict)
    otherwise: "list[Node] | None" = None


@dataclass(frozen=True)
class ChildSelect:
    """
    A child subquery: which records (``child``), and its own tree.
    """

    key: str
    child: Child
    query: Query


Node = Leaf | Compound | Parent | TypeSelect | ChildSelect


@dataclass
class Compiled:
    """
    A statement in pieces and the plan of its records. Column 0 is the record's Id unless ``aggregate``.
    """

    sobject: SObject
    columns: list[str]
    nodes: list[Node]
    source: str
    where: str
    grouping: str
    order: str
    parameters: list[object]
    limit: int | None
    offset: int
    aggregate: bool
    count_only: bool

    @property
    def limits(self) -> str:
        """
        The LIMIT clause, empty if there is none.
        """
        if self.limit is None and not self.offset:
            return ""
        return f" LIMIT {-1 if self.limit is None else self.limit} OFFSET {self.offset}"

    def statement(self, columns: Sequence[str] | None = None) -> str:
        """
        The whole statement, over ``columns`` instead of its own if given.
        """
        chosen = ", ".join(self.columns if columns is None else columns)
        return f"SELECT {chosen} {self.source}{self.where}{self.grouping}{self.order}{self.limits}"
