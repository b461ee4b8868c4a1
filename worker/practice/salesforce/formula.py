"""
Formula and roll-up fields: values computed when a record is read, which therefore change without moving any stamp.

A formula is translated to the SQL expression of a ``Field``; ``{t}`` in it is the record's table alias. Known are
fields (of parents too: ``Account.Owner.Name``), numbers, texts, ``+ - * / &``, comparisons, ``&& ||``, and the
functions of ``FUNCTIONS``. What depends on the present moment (TODAY, NOW) and arithmetic with dates is refused.
Called by control calls.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from worker.practice.salesforce.schema import NUMBER_TYPES, TEXT_TYPES, Field, Schema, SObject

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?P<sign><=|>=|<>|!=|==|&&|\|\||[-+*/&=<>(),]))"
)
NUMBER, TEXT, BOOLEAN, OTHER = "number", "text", "boolean", "other"
COMPARISONS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
# Name -> (least and most arguments, SQL over the arguments' places, kind; None: the kind of the last argument).
FUNCTIONS: dict[str, tuple[int, int, str, str | None]] = {
    "IF": (3, 3, "(CASE WHEN {0} THEN {1} ELSE {2} END)", None),
    "NOT": (1, 1, "(NOT IFNULL({0}, 0))", BOOLEAN),
    "ISBLANK": (1, 1, "({0} IS NULL)", BOOLEAN),
    "ISPICKVAL": (2, 2, "(IFNULL({0}, '') = {1})", BOOLEAN),
    "BLANKVALUE": (2, 2, "IFNULL({0}, {1})", None),
    "TEXT": (1, 1, "CAST({0} AS TEXT)", TEXT),
    "VALUE": (1, 1, "CAST({0} AS REAL)", NUMBER),
    "ROUND": (2, 2, "ROUND({0}, {1})", NUMBER),
    "ABS": (1, 1, "ABS({0})", NUMBER),
    "LEN": (1, 1, "LENGTH({0})", NUMBER),
    "LEFT": (2, 2, "SUBSTR({0}, 1, {1})", TEXT),
    "UPPER": (1, 1, "UPPER({0})", TEXT),
    "LOWER": (1, 1, "LOWER({0})", TEXT),
    "CONTAINS": (2, 2, "(INSTR({0}, {1}) > 0)", BOOLEAN),
    "BEGINS": (2, 2, "(INSTR({0}, {1}) = 1)", BOOLEAN),
}
JOINED = {"AND": " AND ", "OR": " OR "}
ROLLUPS = frozenset({"COUNT", "SUM", "MIN", "MAX"})


@dataclass(frozen=True)
class Term:
    """
    A piece of a formula in SQL, and what kind of value it is.
    """

    sql: str
    kind: str


def formula_expression(schema: Schema, sobject: SObject, field: Field, text: str) -> str:
    """
    The SQL expression of a formula field of ``field``'s type. Raises ``ValueError`` for what is not understood.
    """
    found = _Parser(schema, sobject, text).whole()
    if field.type == "boolean":
        return f"IFNULL({found.sql}, 0)"
    if field.type in NUMBER_TYPES:
        return f"ROUND({found.sql}, {field.scale})"
    return found.sql


def rollup_expression(schema: Schema, parent: SObject, function: str, child: str, field: str | None) -> str:
    """
    The SQL expression of a roll-up over the undeleted ``child`` records: ``Child.Lookup__c`` names them, ``field`` is
    what is added up. Raises ``ValueError``.
    """
    name, _, link = child.partition(".")
    owner = schema.get(name)
    reference = owner.get(link) if owner is not None else None
    if owner is None or reference is None or parent.name not in reference.reference_to:
        raise ValueError(f"{child!r} is no field of an object that points at {parent.name}")
    if function not in ROLLUPS or (function == "COUNT") != (field is None):
        raise ValueError("a roll-up is a COUNT, or a SUM, MIN or MAX of a field")
    summed = owner.get(field) if field is not None else None
    if field is not None and (summed is None or not summed.stored):
        raise ValueError(f"{name} has no stored field {field!r}")
    value = f'{function}(c."{summed.name}")' if summed is not None else "COUNT(*)"
    alive = " AND c.IsDeleted = 0" if owner.soft_deletes else ""
    empty = "0" if function in {"COUNT", "SUM"} else "NULL"
    return f'IFNULL((SELECT {value} FROM "{owner.name}" c WHERE c."{reference.name}" = {{t}}.Id{alive}), {empty})'


class _Parser:
    def __init__(self, schema: Schema, sobject: SObject, text: str) -> None:
        self.schema, self.sobject, self.text = schema, sobject, text
        self.tokens = self._tokens()
        self.place = 0

    def _tokens(self) -> list[tuple[str, str]]:
        found, at, text = [], 0, self.text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"formula: not understood at {text[at : at + 20].strip()!r}")
            found.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()
        return found

    def whole(self) -> Term:
        found = self.either()
        if self.place < len(self.tokens):
            raise ValueError(f"formula: unexpected {self.tokens[self.place][1]!r}")
        return found

    def take(self, *wanted: str) -> str | None:
        if self.place < len(self.tokens) and self.tokens[self.place][0] == "sign":
            sign = self.tokens[self.place][1]
            if sign in wanted:
                self.place += 1
                return sign
        return None

    def need(self, sign: str) -> None:
        if self.take(sign) is None:
            raise ValueError(f"formula: {sign!r} is missing")

    def either(self) -> Term:
        left = self.both()
        while self.take("||"):
            left = Term(f"({left.sql} OR {self.both().sql})", BOOLEAN)
        return left

    def both(self) -> Term:
        left = self.comparison()
        while self.take("&&"):
            left = Term(f"({left.sql} AND {self.comparison().sql})", BOOLEAN)
        return left

    def comparison(self) -> Term:
        left = self.sum()
        sign = self.take(*COMPARISONS)
        return left if sign is None else Term(f"({left.sql} {COMPARISONS[sign]} {self.sum().sql})", BOOLEAN)

    def sum(self) -> Term:
        left = self.product()
        while sign := self.take("+", "-", "&"):
            right = self.product()
            if sign == "&" or (sign == "+" and TEXT in {left.kind, right.kind}):
                left = Term(f"(IFNULL({left.sql}, '') || IFNULL({right.sql}, ''))", TEXT)
            else:
                left = self.calculated(left, sign, right)
        return left

    def product(self) -> Term:
        left = self.atom()
        while sign := self.take("*", "/"):
            right = self.atom()
            left = self.calculated(left, sign, right)
        return left

    def calculated(self, left: Term, sign: str, right: Term) -> Term:
        for side in (left, right):
            if side.kind != NUMBER:
                raise ValueError(f"formula: {sign} takes numbers")
        return Term(f"(CAST({left.sql} AS REAL) {sign} {right.sql})", NUMBER)

    def atom(self) -> Term:
        if self.take("("):
            inner = self.either()
            self.need(")")
            return inner
        if self.take("-"):
            return Term(f"(-{self.atom().sql})", NUMBER)
        if self.place >= len(self.tokens) or self.tokens[self.place][0] == "sign":
            raise ValueError("formula: a value is missing")
        kind, text = self.tokens[self.place]
        self.place += 1
        if kind == "number":
            return Term(text, NUMBER)
        if kind == "text":
            plain = re.sub(r"\\(.)", r"\1", text[1:-1]).replace("'", "''").replace("{", "{{").replace("}", "}}")
            return Term(f"'{plain}'", TEXT)
        if self.take("("):
            return self.called(text.upper())
        if text.upper() in {"TRUE", "FALSE", "NULL"}:
            return Term({"TRUE": "1", "FALSE": "0", "NULL": "NULL"}[text.upper()], BOOLEAN)
        return self.path(self.sobject, text.split("."), "{t}", 1)

    def called(self, name: str) -> Term:
        arguments: list[Term] = []
        while not self.take(")"):
            if arguments:
                self.need(",")
            arguments.append(self.either())
        if name in JOINED and arguments:
            return Term(f"({JOINED[name].join(each.sql for each in arguments)})", BOOLEAN)
        if name not in FUNCTIONS:
            known = ", ".join(sorted([*FUNCTIONS, *JOINED]))
            raise ValueError(f"formula: {name} is not computed by a practice org; it knows {known}")
        least, most, pattern, kind = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            raise ValueError(f"formula: {name} takes {least} arguments, not {len(arguments)}")
        made = pattern
        for place, argument in enumerate(arguments):
            made = made.replace(f"{{{place}}}", argument.sql)
        return Term(made, kind or arguments[-1].kind)

    def path(self, sobject: SObject, parts: Sequence[str], alias: str, depth: int) -> Term:
        """
        A field, of the record or of a parent it points at.
        """
        if len(parts) == 1:
            field = sobject.get(parts[0])
            if field is None or (not field.stored and field.expression is None):
                raise ValueError(f"formula: {sobject.name} has no field {parts[0]}")
            sql = f'{alias}."{field.name}"' if field.stored else f"({str(field.expression).replace('{t}', alias)})"
            return Term(sql, _kind(field))
        wanted = parts[0].lower()
        link = next((each for each in sobject.fields.values() if (each.relationship or "").lower() == wanted), None)
        target = self.schema.get(link.reference_to[0]) if link is not None else None
        if link is None or target is None or len(link.reference_to) > 1:
            raise ValueError(f"formula: {parts[0]} leads from {sobject.name} to no one object")
        inner = self.path(target, parts[1:], f"f{depth}", depth + 1)
        found = f'(SELECT {inner.sql} FROM "{target.name}" f{depth} WHERE f{depth}.Id = {alias}."{link.name}")'
        return Term(found, inner.kind)


def _kind(field: Field) -> str:
    if field.type in NUMBER_TYPES or field.type == "int":
        return NUMBER
    if field.type == "boolean":
        return BOOLEAN
    return TEXT if field.type in TEXT_TYPES or field.type in {"id", "reference"} else OTHER
