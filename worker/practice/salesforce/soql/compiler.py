"""
A SOQL tree to one parameterised SQLite statement and the plan by which its rows become records.

Resolves names against the schema as the calling user sees it, checks types, and refuses with Salesforce's codes and
caret frames. Parents become LEFT JOINs, polymorphic parents one join a target; child subqueries are left to
``query.py``, which runs them per page. Null compares as in SOQL: ``!=`` and NOT IN keep nulls, ``<`` and ``>`` do not.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from worker.practice.salesforce.currencies import rate_sql, target_rate_sql
from worker.practice.salesforce.errors import ApiError
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.schema import COMPOUND_TYPES, NUMBER_TYPES, TEXT_TYPES, Field, SObject
from worker.practice.salesforce.soql.asker import Asker
from worker.practice.salesforce.soql.parser import AGGREGATES, DATE_FUNCTIONS, FORMATTERS
from worker.practice.salesforce.soql.plan import ChildSelect, Compiled, Compound, Leaf, Node, Parent, TypeSelect
from worker.practice.salesforce.soql.tokens import frame
from worker.practice.salesforce.soql.tree import (
    Call,
    Column,
    Comparison,
    Condition,
    Constant,
    FieldGroup,
    Junction,
    Membership,
    Not,
    Path,
    Query,
    TypeOf,
)
from worker.practice.salesforce.values import json_converter, parse_datetime

OFFSET_LIMIT = 2000
PARENT_LEVELS = 5
FIELDS_LIMIT = 200
PARENTS_LIMIT = 55
CHILDREN_LIMIT = 20
LITERAL_LIMIT = 4000  # characters
SCOPES = {
    "everything": "",
    "mine": "{t}.OwnerId = '{user}'",
    "queue_owned": "{t}.OwnerId IN (SELECT g.Id FROM \"Group\" g WHERE g.Type = 'Queue')",
    "user_owned": '{t}.OwnerId IN (SELECT u.Id FROM "User" u)',
}
ACTIVITIES = frozenset({"Task", "Event"})
# What a polymorphic parent shows of itself: the fields of Salesforce's Name object that exist here.
NAME_FIELDS = frozenset({
    "id", "name", "firstname", "lastname", "email", "phone", "title", "alias", "username", "isactive", "type",
    "profileid", "userroleid",
})  # fmt: skip
_REFERENCE_WSDL = "Please reference your WSDL or the describe call for the appropriate names."


@dataclass(frozen=True)
class _Join:
    """
    A parent reached by a relationship: its objects with their table aliases, and the SQL of its Id.
    """

    targets: tuple[tuple[SObject, str], ...]
    id_sql: str


@dataclass(frozen=True)
class _Value:
    """
    A field as SQL, of a record of ``owner`` in the table ``alias``.
    """

    field: Field
    sql: str
    owner: SObject
    alias: str = ""


def compile_query(asker: Asker, query: Query, *, all_rows: bool) -> Compiled:
    """
    Compile a parsed query. ``all_rows`` is queryAll: deleted and archived records too.
    """
    sobject = asker.schema.get(query.sobject)
    if sobject is None or (sobject.tooling and not asker.tooling):
        words = (
            f"sObject type '{query.sobject}' is not supported. If you are attempting to use a custom object, be sure "
            f"to append the '__c' after the entity name. {_REFERENCE_WSDL}"
        )
        raise ApiError(400, "INVALID_TYPE", frame(query.source, query.sobject_at, words))
    return _Compiler(asker, query, sobject, all_rows=all_rows or query.all_rows).compile()


def compile_children(asker: Asker, node: ChildSelect, parents: Sequence[str], *, all_rows: bool) -> Compiled:
    """
    Compile a child subquery for the given parents; the last column is the parent's id. Its LIMIT is per parent and is
    left to the caller.
    """
    query = replace(node.query, limit=None, offset=None)
    compiler = _Compiler(asker, query, asker.schema[node.child.sobject], all_rows=all_rows)
    made = compiler.compile()
    key = f't."{node.child.field.name}"'
    if node.child.person:
        key = f'(SELECT a.Id FROM "Account" a WHERE a.PersonContactId = {key})'
    marks = ", ".join("?" * len(parents))
    made.where += f"{' AND' if made.where else ' WHERE'} {key} IN ({marks})"
    made.parameters += parents
    made.columns.append(key)
    return made


class _Compiler:
    def __init__(
        self,
        asker: Asker,
        query: Query,
        sobject: SObject,
        *,
        all_rows: bool,
        aliases: "Iterator[int] | None" = None,
    ) -> None:
        self.asker = asker
        self.schema = asker.schema
        self.query = query
        self.sobject = sobject
        self.all_rows = all_rows
        self.aliases = aliases if aliases is not None else itertools.count(1)
        self.base = "t" if aliases is None else f"s{next(self.aliases)}"
        self.joins: dict[tuple[str, ...], _Join] = {}
        self.join_sql: list[str] = []
        self.parameters: list[object] = []
        self.columns: list[str] = []
        self.named: dict[str, str] = {}
        self.in_having = False

    # -- the whole

    def compile(self) -> Compiled:
        query = self.query
        self.check_limits()
        aggregate = bool(query.group_by) or any(
            isinstance(item, Column) and isinstance(item.value, Call) and item.value.function in AGGREGATES
            for item in query.select
        )
        count_only = len(query.select) == 1 and query.select[0] == Column(Call("count", None, self._first_at()))
        if aggregate:
            nodes = [] if count_only else self.aggregates()
            if count_only:
                self.columns = ["COUNT(*)"]
        else:
            self.column_index(f'{self.base}."Id"')
            nodes = self.record_nodes()
        where = self.where()
        grouping = self.grouping()
        order = self.ordering(aggregate=aggregate)
        return Compiled(
            sobject=self.sobject,
            columns=self.columns,
            nodes=nodes,
            source=self.source_sql(),
            where=f" WHERE {where}" if where else "",
            grouping=grouping,
            order=order,
            parameters=self.parameters,
            limit=query.limit,
            offset=query.offset or 0,
            aggregate=aggregate,
            count_only=count_only,
        )

    def membership_sql(self) -> str:
        """
        The subquery of a semi-join: one id column, nulls left out.
        """
        items = self.query.select
        if len(items) != 1 or not isinstance(items[0], Column) or not isinstance(items[0].value, Path):
            raise self.complaint("MALFORMED_QUERY", self.query.at, "the inner select must select exactly one field")
        value = self.resolve(items[0].value)
        if value.field.type not in {"id", "reference"}:
            words = f"The inner select field '{value.field.name}' must have an ID type"
            raise self.complaint("MALFORMED_QUERY", items[0].value.at, words)
        where = self.where()
        not_null = f"{value.sql} IS NOT NULL"
        return f"SELECT {value.sql} {self.source_sql()} WHERE {f'({where}) AND ' if where else ''}{not_null}"

    def source_sql(self) -> str:
        return " ".join([f'FROM "{self.sobject.name}" {self.base}', *self.join_sql])

    def check_limits(self) -> None:
        query = self.query
        if query.all_rows and not self.asker.all_rows_allowed:
            raise self.complaint("MALFORMED_QUERY", query.all_rows_at, "ALL ROWS not allowed in this context")
        scope = (query.scope or "everything").lower()
        if scope not in SCOPES or (scope != "everything" and scope not in dict(self.sobject.scopes)):
            raise self.complaint("MALFORMED_QUERY", query.at, f"unsupported scope: {query.scope}")
        if sum(isinstance(item, Query) for item in query.select) > CHILDREN_LIMIT:
            words = f"The number of child relationships in a query must not exceed {CHILDREN_LIMIT}"
            raise self.complaint("MALFORMED_QUERY", query.at, words)
        if (query.offset or 0) > OFFSET_LIMIT:
            raise ApiError(400, "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {OFFSET_LIMIT}")

    def _first_at(self) -> int:
        first = self.query.select[0]
        return first.value.at if isinstance(first, Column) else -1

    # -- selected values

    def record_nodes(self) -> list[Node]:
        nodes: list[Node] = []
        seen: set[str] = set()
        for item in self.query.select:
            if isinstance(item, Query):
                nodes.append(self.child_select(item))
                continue
            if isinstance(item, TypeOf):
                nodes.append(self.type_select(item))
                continue
            formatter = item.value.function if isinstance(item, Column) and isinstance(item.value, Call) else ""
            for path in self.paths_of(item):
                key = str(path).lower()
                if key in seen:
                    raise self.complaint("MALFORMED_QUERY", path.at, f"duplicate field selected: {path}")
                seen.add(key)
                self.place(nodes, path, formatter)
        return nodes

    def paths_of(self, item: Column | FieldGroup) -> list[Path]:
        if isinstance(item, FieldGroup):
            return self.field_group(item)
        if isinstance(item.value, Path):
            if item.alias is not None:
                words = f"only aggregate expressions use field aliasing: '{item.alias}'"
                raise self.complaint("MALFORMED_QUERY", item.value.at, words)
            return [item.value]
        if item.value.function in FORMATTERS and item.value.argument is not None:
            return [item.value.argument]
        raise self.complaint("MALFORMED_QUERY", item.value.at, f"{item.value.function} needs GROUP BY")

    def field_group(self, item: FieldGroup) -> list[Path]:
        if item.group in {"all", "custom"} and not (self.query.limit or FIELDS_LIMIT + 1) <= FIELDS_LIMIT:
            words = f"The SOQL FIELDS function must have a LIMIT of at most {FIELDS_LIMIT}"
            raise self.complaint("MALFORMED_QUERY", item.at, words)
        return [
            Path((each.name,), item.at)
            for each in self.schema.visible_fields(self.sobject)
            if item.group == "all" or each.custom == (item.group == "custom")
        ]

    def place(self, nodes: list[Node], path: Path, formatter: str = "") -> None:
        """
        Put one selected path into the tree of nodes, making the parents on its way. ``formatter`` is toLabel and the
        like.
        """
        relationships, _ = self.split(path)
        level = nodes
        for depth in range(1, len(relationships) + 1):
            join = self.join(path, relationships[:depth])
            key = self.relationship_name(path, relationships, depth)
            found = next((n for n in level if isinstance(n, Parent) and n.key == key), None)
            if found is None:
                type_ = join.targets[0][0].name if len(join.targets) == 1 else None
                found = Parent(key, self.column_index(join.id_sql), type_)
                level.append(found)
            level = found.nodes
        value = self.resolve(path)
        if value.field.type in COMPOUND_TYPES:
            level.append(self.compound(path, relationships, value))
        else:
            level.append(self.leaf(value, formatter, path.at))

    def leaf(self, value: _Value, formatter: str = "", at: int = -1) -> Leaf:
        """
        The node of one value, as the formatter around it wants it.
        """
        convert = json_converter(value.field)
        sql = value.sql
        if formatter == "tolabel":
            labels = dict(zip(value.field.values, value.field.labels, strict=True))
            convert = lambda stored: labels.get(stored, stored)  # noqa: E731 - one of several, chosen by formatter
        if formatter == "convertcurrency":
            if value.field.type != "currency" or self.asker.currency is None:
                words = "convertCurrency can only be applied to currency fields of an org with several currencies"
                raise self.complaint("INVALID_FIELD", at, words)
            sql = self.money(value, self.asker.currency)
        return Leaf(value.field.name, self.column_index(sql), convert, value.field)

    def money(self, value: _Value, currency: str | None) -> str:
        """
        SQL of an amount in another currency; as it stands where the org, or the record, has but one.
        """
        if currency is None or value.field.type != "currency" or value.owner.get("CurrencyIsoCode") is None:
            return value.sql
        alias = value.alias or self.base
        own = rate_sql(value.owner.name, alias, dated=self.asker.dated)
        other = target_rate_sql(value.owner.name, alias, currency, dated=self.asker.dated)
        return f"({value.sql} * {other} / {own})"

    def type_select(self, item: TypeOf) -> TypeSelect:
        """
        ``TYPEOF What WHEN Account THEN Phone ELSE Name END``. Its fields are those of the object itself, no parents'.
        """
        path = Path((item.relationship, "Id"), item.at)
        join = self.join(path, (item.relationship,))
        if len(join.targets) < 2:
            words = f"TYPEOF is only for polymorphic relationships, not {item.relationship}"
            raise self.complaint("MALFORMED_QUERY", item.at, words)
        made = TypeSelect(self.relationship_name(path, (item.relationship,), 1), self.column_index(join.id_sql))
        targets = {target.name.lower(): (target, alias) for target, alias in join.targets}
        for name, paths in item.cases:
            if name.lower() not in targets:
                words = f"{name} is not a type of {item.relationship}"
                raise self.complaint("INVALID_TYPE", item.at, words)
            target, alias = targets[name.lower()]
            made.cases[target.name] = [self.leaf(self.own_field(each, target, alias, each.parts[0])) for each in paths]
        if item.otherwise is not None:
            made.otherwise = [self.leaf(self.polymorphic_field(each, join, each.parts[0])) for each in item.otherwise]
        return made

    def compound(self, path: Path, relationships: tuple[str, ...], value: _Value) -> Compound:
        prefix = value.field.name.removesuffix("Address")
        parts = []
        for each in value.owner.fields.values():
            if each.compound == value.field.name:
                key = each.name.removeprefix(prefix)
                part = self.resolve(Path((*relationships, each.name), path.at))
                parts.append((key[0].lower() + key[1:], self.column_index(part.sql)))
        return Compound(value.field.name, tuple(sorted(parts)), value.field)

    def child_select(self, query: Query) -> ChildSelect:
        name = query.sobject.lower()
        for child in self.schema.relationships(self.sobject):
            if child.name is not None and child.name.lower() == name:
                return ChildSelect(child.name, child, query)
        words = (
            f"Didn't understand relationship '{query.sobject}' in FROM part of query call. If you are attempting to "
            f"use a custom relationship, be sure to append the '__r' after the custom relationship name. "
            f"{_REFERENCE_WSDL}"
        )
        raise self.complaint("INVALID_TYPE", query.sobject_at, words)

    def column_index(self, sql: str) -> int:
        if sql not in self.columns:
            self.columns.append(sql)
        return self.columns.index(sql)

    # -- aggregates

    def aggregates(self) -> list[Node]:
        nodes: list[Node] = []
        unnamed = 0
        grouped = {str(value).lower() for value in self.query.group_by if isinstance(value, Path)}
        for item in self.query.select:
            if not isinstance(item, Column):
                raise self.complaint(
                    "MALFORMED_QUERY", self.query.at, "an aggregate query selects fields and aggregates only"
                )
            value = item.value
            if isinstance(value, Path):
                if str(value).lower() not in grouped:
                    raise self.complaint("MALFORMED_QUERY", value.at, f"Field must be grouped or aggregated: {value}")
                resolved = self.resolve(value)
                sql, key = resolved.sql, item.alias or resolved.field.name
                shown = resolved.field
            else:
                sql, shown = self.call(value)
                key = item.alias or f"expr{unnamed}"
                unnamed += item.alias is None
            if item.alias:
                self.named[item.alias.lower()] = sql
            self.columns.append(sql)
            nodes.append(Leaf(key, len(self.columns) - 1, json_converter(shown), shown))
        return nodes

    def call(self, call: Call) -> tuple[str, Field]:
        if call.argument is None:
            return "COUNT(*)", Field("count", "int", "count")
        value = self.resolve(call.argument)
        if call.function in FORMATTERS:
            return value.sql, value.field
        if call.function in DATE_FUNCTIONS:
            return _date_function(call.function, value.sql), Field(
                call.function, "date" if call.function == "day_only" else "int", call.function
            )
        if not value.field.aggregatable:
            words = f"field {value.field.name} does not support aggregate operator {call.function.upper()}"
            raise self.complaint("MALFORMED_QUERY", call.at, words)
        if call.function == "count":
            return f"COUNT({value.sql})", Field("count", "int", "count")
        if call.function == "count_distinct":
            return f"COUNT(DISTINCT {value.sql})", Field("count", "int", "count")
        if call.function in {"sum", "avg"}:
            if value.field.type not in NUMBER_TYPES | {"int"}:
                words = f"field {value.field.name} does not support aggregate operator {call.function.upper()}"
                raise self.complaint("MALFORMED_QUERY", call.at, words)
            return f"{call.function.upper()}({self.summed(value)})", Field("number", "double", "number")
        return f"{call.function.upper()}({self.summed(value)})", value.field

    def summed(self, value: _Value) -> str:
        """
        SQL of what an aggregate adds up: amounts in the org's currency, or the user's where nothing is grouped.
        """
        grouped = self.query.group_by or self.query.having
        return self.money(value, self.asker.corporate if grouped else self.asker.currency)

    def grouping(self) -> str:
        if not self.query.group_by:
            if self.query.having is not None:
                raise self.complaint("MALFORMED_QUERY", self.query.at, "HAVING needs GROUP BY")
            return ""
        parts = []
        for value in self.query.group_by:
            if isinstance(value, Call):
                if value.function not in DATE_FUNCTIONS:
                    raise self.complaint("MALFORMED_QUERY", value.at, f"cannot group by {value.function}")
                parts.append(self.call(value)[0])
                continue
            resolved = self.resolve(value)
            if not resolved.field.groupable:
                words = f"field '{resolved.field.name}' can not be grouped in a query call"
                raise self.complaint("MALFORMED_QUERY", value.at, words)
            parts.append(resolved.sql)
        text = f" GROUP BY {', '.join(parts)}"
        if self.query.having is not None:
            self.in_having = True
            text += f" HAVING {self.condition(self.query.having)}"
        return text

    def ordering(self, *, aggregate: bool) -> str:
        parts = []
        for item in self.query.order_by:
            if isinstance(item.value, Call):
                sql, shown = self.call(item.value)
                nullable = True
            elif aggregate and str(item.value).lower() in self.named:
                sql, nullable = self.named[str(item.value).lower()], True
            else:
                value = self.resolve(item.value)
                sql, shown = self.money(value, self.asker.corporate), value.field
                nullable = shown.nillable or len(item.value.parts) > 1
                if not shown.sortable:
                    words = f"field '{shown.name}' can not be sorted in a query call"
                    raise self.complaint("MALFORMED_QUERY", item.value.at, words)
            # SQLite sorts nulls first going up by itself; leaving that unsaid keeps its indexes usable.
            nulls = item.nulls or "FIRST"
            said = "" if not nullable or (item.direction == "ASC" and nulls == "FIRST") else f" NULLS {nulls}"
            parts.append(f"{sql} {item.direction}{said}")
        return f" ORDER BY {', '.join(parts)}" if parts else ""

    # -- conditions

    def where(self) -> str:
        parts = []
        if self.query.where is not None:
            parts.append(self.condition(self.query.where))
        if not self.all_rows:
            if self.sobject.soft_deletes:
                parts.append(f"{self.base}.IsDeleted = 0")
            if self.sobject.name in ACTIVITIES:
                parts.append(f"{self.base}.IsArchived = 0")
        parts.append(SCOPES[(self.query.scope or "everything").lower()].format(t=self.base, user=self.asker.user_id))
        parts.append(self.schema.restriction(self.sobject, self.base))
        parts = [part for part in parts if part]
        return " AND ".join(f"({part})" for part in parts) if len(parts) > 1 else "".join(parts)

    def condition(self, condition: Condition) -> str:
        match condition:
            case Junction():
                return f" {condition.operator} ".join(f"({self.condition(each)})" for each in condition.conditions)
            case Not():
                return f"NOT COALESCE(({self.condition(condition.condition)}), 0)"
            case Comparison():
                return self.comparison(condition)
            case Membership():
                return self.membership(condition)

    def filtered(self, value: Path | Call) -> _Value:
        if isinstance(value, Call):
            if value.function in AGGREGATES and not self.in_having:
                raise self.complaint("MALFORMED_QUERY", value.at, f"unexpected token: '{value.function}'")
            sql, shown = self.call(value)
            return _Value(shown, sql, self.sobject)
        if self.in_having and len(value.parts) == 1 and value.parts[0].lower() in self.named:
            return _Value(Field(value.parts[0], "double", ""), self.named[value.parts[0].lower()], self.sobject)
        resolved = self.resolve(value)
        if not resolved.field.filterable:
            words = f"field '{resolved.field.name}' can not be filtered in a query call"
            raise self.complaint("INVALID_FIELD", value.at, words)
        return resolved

    def comparison(self, condition: Comparison) -> str:
        value = self.filtered(condition.value)
        literal, operator = condition.literal, condition.operator
        if operator == "LIKE":
            if value.field.type not in TEXT_TYPES:
                words = f"invalid operator on {value.field.type} field"
                raise self.complaint("INVALID_QUERY_FILTER_OPERATOR", condition.value.at, words)
            self.parameters.append(literal.pattern)
            return f"{value.sql} LIKE ? ESCAPE '\\'"
        if literal.kind == "null" or (
            literal.kind == "string" and literal.text == "" and value.field.type in TEXT_TYPES
        ):
            if operator not in {"=", "!="}:
                raise self.complaint(
                    "INVALID_QUERY_FILTER_OPERATOR", literal.at, f"invalid operator {operator} for null"
                )
            return f"{value.sql} IS {'NOT ' if operator == '!=' else ''}NULL"
        if literal.kind == "word":
            return self.date_range(value, operator, literal)
        if operator not in {"=", "!="} and value.field.type == "boolean":
            raise self.complaint(
                "INVALID_QUERY_FILTER_OPERATOR", literal.at, f"invalid operator {operator} on boolean field"
            )
        bound = self.bound(value.field, literal)
        if literal.kind == "currency" and self.asker.corporate is not None:
            self.parameters.append(bound)
            rate = target_rate_sql("", "", literal.text[:3].upper(), dated=False)
            return f"{self.money(value, self.asker.corporate)} {operator} ? / {rate}"
        if value.field.type == "boolean":
            # Written out, not bound, so that SQLite sees that its index of deleted records will do.
            return f"{value.sql} {'IS NOT' if operator == '!=' else '='} {bound}"
        self.parameters.append(bound)
        if operator == "!=":
            return f"{value.sql} IS NOT ?"
        return f"{value.sql} {operator} ?"

    def date_range(self, value: _Value, operator: str, literal: Constant) -> str:
        if value.field.type not in {"date", "datetime"}:
            raise self.wrong_type(value.field, literal)
        first, after = self.asker.calendar.days(literal.text, literal.count)
        if value.field.type == "date":
            low, high = first.isoformat(), after.isoformat()
        else:
            low, high = self.asker.calendar.midnight(first), self.asker.calendar.midnight(after)
        sql = value.sql
        match operator:
            case "=":
                self.parameters += [low, high]
                return f"{sql} >= ? AND {sql} < ?"
            case "!=":
                self.parameters += [low, high]
                return f"{sql} IS NULL OR {sql} < ? OR {sql} >= ?"
            case "<":
                self.parameters.append(low)
                return f"{sql} < ?"
            case "<=":
                self.parameters.append(high)
                return f"{sql} < ?"
            case ">":
                self.parameters.append(high)
                return f"{sql} >= ?"
            case _:
                self.parameters.append(low)
                return f"{sql} >= ?"

    def membership(self, condition: Membership) -> str:
        value = self.filtered(condition.value)
        if condition.operator in {"INCLUDES", "EXCLUDES"}:
            return self.multi_value(value, condition)
        if condition.query is not None:
            if value.field.type not in {"id", "reference"}:
                words = (
                    "The left operand field in the where expression for outer query should be an id field, "
                    f"cannot use: '{value.field.name}'"
                )
                raise self.complaint("MALFORMED_QUERY", condition.value.at, words)
            sobject = self.schema.get(condition.query.sobject)
            if sobject is None:
                words = f"sObject type '{condition.query.sobject}' is not supported."
                raise self.complaint("INVALID_TYPE", condition.query.sobject_at, words)
            inner = _Compiler(self.asker, condition.query, sobject, all_rows=self.all_rows, aliases=self.aliases)
            text = inner.membership_sql()
            self.parameters += inner.parameters
            if condition.operator == "IN":
                return f"{value.sql} IN ({text})"
            return f"{value.sql} IS NULL OR {value.sql} NOT IN ({text})"
        nulls = any(each.kind == "null" for each in condition.literals)
        bound = [self.bound(value.field, each) for each in condition.literals if each.kind != "null"]
        self.parameters += bound
        marks = ", ".join("?" * len(bound))
        if condition.operator == "IN":
            return f"{value.sql} IN ({marks})" + (f" OR {value.sql} IS NULL" if nulls else "")
        if nulls:
            return f"{value.sql} IS NOT NULL AND {value.sql} NOT IN ({marks})"
        return f"{value.sql} IS NULL OR {value.sql} NOT IN ({marks})"

    def multi_value(self, value: _Value, condition: Membership) -> str:
        if value.field.type != "multipicklist":
            words = f"invalid operator on {value.field.type} field"
            raise self.complaint("INVALID_QUERY_FILTER_OPERATOR", condition.value.at, words)
        alternatives = []
        for literal in condition.literals:
            tests = []
            for one in literal.text.split(";"):
                self.parameters.append(f";{one};")
                tests.append(f"INSTR(';' || {value.sql} || ';', ?) > 0")
            alternatives.append(f"({' AND '.join(tests)})")
        found = " OR ".join(alternatives)
        return found if condition.operator == "INCLUDES" else f"{value.sql} IS NULL OR NOT ({found})"

    def bound(self, target: Field, literal: Constant) -> object:
        """
        A literal as the parameter to compare ``target`` with, its type checked.
        """
        kind, text = literal.kind, literal.text
        if len(text) > LITERAL_LIMIT:
            words = f"a string in a filter must not be longer than {LITERAL_LIMIT} characters"
            raise self.complaint("MALFORMED_QUERY", literal.at, words)
        if target.type in {"id", "reference"} and kind == "string":
            made = to18(text)
            if made is None and text:
                raise self.complaint("INVALID_QUERY_FILTER_OPERATOR", literal.at, f"invalid ID field: {text}")
            return made or text
        if target.type in TEXT_TYPES and kind == "string":
            return text
        if target.type == "boolean" and kind == "boolean":
            return int(text == "true")
        if target.type in NUMBER_TYPES | {"int"} and kind in {"number", "currency"}:
            return float(text[3:] if kind == "currency" else text)
        if target.type == "date" and kind == "date":
            return text
        if target.type == "datetime" and kind == "datetime":
            return parse_datetime(text)
        if target.type == "time" and kind == "string":
            return text
        raise self.wrong_type(target, literal)

    def wrong_type(self, target: Field, literal: Constant) -> ApiError:
        quoted = {
            "datetime": "dateTime and should not be enclosed in quotes",
            "date": "date and should not be enclosed in quotes",
            "boolean": "boolean and should not be enclosed in quotes",
            "int": "int and should not be enclosed in quotes",
            "double": "double and should not be enclosed in quotes",
            "currency": "currency and should not be enclosed in quotes",
            "percent": "percent and should not be enclosed in quotes",
        }
        kind = quoted.get(target.type, "string and should be enclosed in quotes")
        words = f"value of filter criterion for field '{target.name}' must be of type {kind}"
        return self.complaint("INVALID_FIELD", literal.at, words)

    # -- names

    def split(self, path: Path) -> tuple[tuple[str, ...], str]:
        """
        The relationships of a path and its field, without the object's own name or alias in front.
        """
        parts = path.parts
        if len(parts) > 1:
            own = {self.sobject.name.lower(), (self.query.alias or "").lower()}
            relationship = any(
                (each.relationship or "").lower() == parts[0].lower() for each in self.sobject.fields.values()
            )
            if parts[0].lower() in own and not relationship:
                parts = parts[1:]
        if len(parts) > PARENT_LEVELS + 1:
            raise self.complaint("MALFORMED_QUERY", path.at, f"more than {PARENT_LEVELS} parent relationships: {path}")
        return tuple(parts[:-1]), parts[-1]

    def resolve(self, path: Path) -> _Value:
        relationships, name = self.split(path)
        if not relationships:
            return self.own_field(path, self.sobject, self.base, name)
        join = self.join(path, relationships)
        if len(join.targets) == 1:
            return self.own_field(path, *join.targets[0], name)
        return self.polymorphic_field(path, join, name)

    def own_field(self, path: Path, sobject: SObject, alias: str, name: str) -> _Value:
        found = self.schema.visible(sobject, name)
        if found is None:
            raise self.no_column(path, sobject.name, name)
        if found.expression is None:
            return _Value(found, f'{alias}."{found.name}"', sobject, alias)
        collation = " COLLATE NOCASE" if found.type in TEXT_TYPES else ""
        return _Value(found, found.expression.format(t=alias) + collation, sobject, alias)

    def polymorphic_field(self, path: Path, join: _Join, name: str) -> _Value:
        if name.lower() not in NAME_FIELDS:
            raise self.no_column(path, "Name", name)
        if name.lower() == "type":
            cases = " ".join(f"WHEN {alias}.Id IS NOT NULL THEN '{target.name}'" for target, alias in join.targets)
            return _Value(Field("Type", "string", "Type", length=40), f"(CASE {cases} END)", self.sobject)
        having = [(target, alias) for target, alias in join.targets if self.schema.visible(target, name)]
        if not having:
            return _Value(Field(name, "string", name, length=255), "NULL", self.sobject)
        found = having[0][0][name]
        parts = [f'{alias}."{target[name].name}"' for target, alias in having]
        sql = parts[0] if len(parts) == 1 else f"COALESCE({', '.join(parts)})"
        if found.type in TEXT_TYPES:
            sql = f"({sql} COLLATE NOCASE)"
        return _Value(found, sql, self.sobject)

    def join(self, path: Path, relationships: tuple[str, ...]) -> _Join:
        key = tuple(part.lower() for part in relationships)
        if key in self.joins:
            return self.joins[key]
        if len(relationships) == 1:
            owner, alias = self.sobject, self.base
        else:
            outer = self.join(path, relationships[:-1])
            if len(outer.targets) > 1:
                raise self.no_relationship(path, relationships[-1])
            owner, alias = outer.targets[0]
        found = self.reference(path, owner, relationships[-1])
        reference_sql = self.own_field(path, owner, alias, found.name).sql
        targets = []
        for name in found.reference_to:
            target = self.schema.get(name)
            if target is not None:
                joined = f"j{next(self.aliases)}"
                restriction = self.schema.restriction(target, joined)
                condition = f"{joined}.Id = {reference_sql}" + (f" AND {restriction}" if restriction else "")
                self.join_sql.append(f'LEFT JOIN "{target.name}" {joined} ON {condition}')
                targets.append((target, joined))
        if not targets:
            raise self.no_relationship(path, relationships[-1])
        ids = [f'{joined}."Id"' for _, joined in targets]
        if len(self.joins) >= PARENTS_LIMIT:
            words = f"The number of parent relationships in a query must not exceed {PARENTS_LIMIT}"
            raise self.complaint("MALFORMED_QUERY", path.at, words)
        made = _Join(tuple(targets), ids[0] if len(ids) == 1 else f"COALESCE({', '.join(ids)})")
        self.joins[key] = made
        return made

    def reference(self, path: Path, owner: SObject, relationship: str) -> Field:
        for each in self.schema.visible_fields(owner):
            if each.relationship is not None and each.relationship.lower() == relationship.lower():
                return each
        raise self.no_relationship(path, relationship)

    def relationship_name(self, path: Path, relationships: tuple[str, ...], depth: int) -> str:
        owner = self.sobject if depth == 1 else self.join(path, relationships[: depth - 1]).targets[0][0]
        return self.reference(path, owner, relationships[depth - 1]).relationship or relationships[depth - 1]

    # -- complaints

    def complaint(self, code: str, at: int, words: str) -> ApiError:
        return ApiError(400, code, frame(self.query.source, at, words))

    def no_column(self, path: Path, entity: str, name: str) -> ApiError:
        words = (
            f"No such column '{name}' on entity '{entity}'. If you are attempting to use a custom field, be sure to "
            f"append the '__c' after the custom field name. {_REFERENCE_WSDL}"
        )
        return self.complaint("INVALID_FIELD", path.at, words)

    def no_relationship(self, path: Path, relationship: str) -> ApiError:
        words = (
            f"Didn't understand relationship '{relationship}' in field path. If you are attempting to use a custom "
            f"relationship, be sure to append the '__r' after the custom relationship name. {_REFERENCE_WSDL}"
        )
        return self.complaint("INVALID_FIELD", path.at, words)


def _date_function(function: str, sql: str) -> str:
    match function:
        case "calendar_year":
            return f"CAST(STRFTIME('%Y', {sql}) AS INTEGER)"
        case "calendar_quarter":
            return f"((CAST(STRFTIME('%m', {sql}) AS INTEGER) + 2) / 3)"
        case "calendar_month":
            return f"CAST(STRFTIME('%m', {sql}) AS INTEGER)"
        case "day_in_month":
            return f"CAST(STRFTIME('%d', {sql}) AS INTEGER)"
        case "hour_in_day":
            return f"CAST(STRFTIME('%H', {sql}) AS INTEGER)"
        case _:
            return f"SUBSTR({sql}, 1, 10)"
