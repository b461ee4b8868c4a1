"""
SOQL tokens to a tree, by recursive descent. One method a rule of the grammar.

Understood: fields of parents, child subqueries, aggregates with aliases, FIELDS(), toLabel, convertCurrency, FORMAT,
date functions; USING SCOPE everything; WHERE with every comparison, IN, INCLUDES, semi-joins; GROUP BY, HAVING,
ORDER BY, LIMIT, OFFSET, FOR VIEW/REFERENCE/UPDATE. TYPEOF; ALL ROWS is parsed
and left to the compiler. Not understood, hence refused: WITH, DISTANCE, ROLLUP.
"""

from typing import NoReturn

from worker.practice.salesforce.errors import ApiError, malformed_query
from worker.practice.salesforce.soql.tokens import Token, frame, tokenize
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
    Ordering,
    Path,
    Query,
    TypeOf,
)

SOQL_LIMIT = 100_000  # characters
CLAUSES = ("from", "where", "group", "having", "order", "limit", "offset", "for", "using", "with", "all", "update")
RESERVED = (
    "and", "asc", "desc", "excludes", "from", "group", "having", "in", "includes", "like", "limit", "not", "null",
    "nulls", "or", "select", "using", "where", "with",
)  # fmt: skip
AGGREGATES = frozenset({"count", "count_distinct", "sum", "avg", "min", "max"})
DATE_FUNCTIONS = frozenset(
    {"calendar_year", "calendar_quarter", "calendar_month", "day_in_month", "day_only", "hour_in_day"}
)
FORMATTERS = frozenset({"tolabel", "convertcurrency", "format"})
DATE_WORDS = frozenset({
    "yesterday", "today", "tomorrow", "last_week", "this_week", "next_week", "last_month", "this_month", "next_month",
    "last_90_days", "next_90_days", "last_quarter", "this_quarter", "next_quarter", "last_year", "this_year",
    "next_year",
})  # fmt: skip
COUNTED_DATE_WORDS = frozenset({
    "last_n_days", "next_n_days", "n_days_ago", "last_n_weeks", "next_n_weeks", "n_weeks_ago", "last_n_months",
    "next_n_months", "n_months_ago", "last_n_quarters", "next_n_quarters", "n_quarters_ago", "last_n_years",
    "next_n_years", "n_years_ago",
})  # fmt: skip
COMPARISONS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def parse(source: str) -> Query:
    """
    The tree of one SOQL query. Raises ``ApiError`` MALFORMED_QUERY with the caret frame.
    """
    if len(source) > SOQL_LIMIT:
        raise ApiError(400, "MALFORMED_QUERY", f"SOQL statements cannot be longer than {SOQL_LIMIT} characters.")
    parser = _Parser(source)
    query = parser.query()
    parser.expect_end()
    return query


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.place = 0

    # -- tokens

    @property
    def here(self) -> Token:
        return self.tokens[self.place]

    @property
    def next(self) -> Token:
        return self.tokens[min(self.place + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.here
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def accept_word(self, *words: str) -> bool:
        if self.here.is_word(*words):
            self.take()
            return True
        return False

    def accept_symbol(self, text: str) -> bool:
        if self.here.is_symbol(text):
            self.take()
            return True
        return False

    def expect_word(self, word: str) -> None:
        if not self.accept_word(word):
            self.unexpected(f"expecting {word.upper()}")

    def expect_symbol(self, text: str) -> None:
        if not self.accept_symbol(text):
            self.unexpected(f"expecting '{text}'")

    def expect_end(self) -> None:
        if self.here.kind != "end":
            self.unexpected()

    def unexpected(self, more: str = "") -> NoReturn:
        words = f"unexpected token: '{self.here.text}'" + (f" ({more})" if more else "")
        raise malformed_query(frame(self.source, self.here.at, words))

    def name(self) -> Token:
        if self.here.kind != "word":
            self.unexpected()
        return self.take()

    # -- the query

    def query(self, *, nested: bool = False) -> Query:
        at = self.here.at
        self.expect_word("select")
        select = [self.select_item(nested=nested)]
        while self.accept_symbol(","):
            select.append(self.select_item(nested=nested))
        self.expect_word("from")
        sobject = self.name()
        alias = self.alias_of_object()
        scope = None
        if self.accept_word("using"):
            self.expect_word("scope")
            scope = self.name().text
        where = self.condition() if self.accept_word("where") else None
        group_by: list[Path | Call] = []
        if self.accept_word("group"):
            self.expect_word("by")
            group_by = [self.value()]
            while self.accept_symbol(","):
                group_by.append(self.value())
        having = self.condition() if self.accept_word("having") else None
        order_by: list[Ordering] = []
        if self.accept_word("order"):
            self.expect_word("by")
            order_by = [self.ordering()]
            while self.accept_symbol(","):
                order_by.append(self.ordering())
        limit_at = self.here.at
        limit = self.whole_number() if self.accept_word("limit") else None
        offset = self.whole_number() if self.accept_word("offset") else None
        self.suffixes()
        all_rows_at = self.here.at
        all_rows = self.here.is_word("all") and self.next.is_word("rows")
        if all_rows:
            self.take()
            self.take()
        return Query(
            source=self.source,
            select=tuple(select),
            sobject=sobject.text,
            sobject_at=sobject.at,
            alias=alias,
            where=where,
            group_by=tuple(group_by),
            having=having,
            order_by=tuple(order_by),
            limit=limit,
            limit_at=limit_at,
            offset=offset,
            scope=scope,
            all_rows=all_rows,
            all_rows_at=all_rows_at,
            at=at,
        )

    def alias_of_object(self) -> str | None:
        self.accept_word("as")
        if self.here.kind == "word" and not self.here.is_word(*CLAUSES):
            return self.take().text
        return None

    def suffixes(self) -> None:
        while self.accept_word("for"):
            if not self.accept_word("view", "reference", "update"):
                self.unexpected()
        if self.accept_word("update") and not self.accept_word("tracking", "viewstat"):
            self.unexpected()

    def whole_number(self) -> int:
        if self.here.kind != "number" or not self.here.text.isdigit():
            self.unexpected()
        return int(self.take().text)

    # -- the SELECT list

    def select_item(self, *, nested: bool) -> Column | FieldGroup | TypeOf | Query:
        if self.here.is_symbol("("):
            if nested:
                self.unexpected()
            self.take()
            child = self.query(nested=True)
            self.expect_symbol(")")
            return child
        if self.here.is_word("fields") and self.next.is_symbol("("):
            at = self.take().at
            self.take()
            group = self.name()
            if group.text.lower() not in {"all", "standard", "custom"}:
                raise malformed_query(frame(self.source, group.at, f"unexpected token: '{group.text}'"))
            self.expect_symbol(")")
            return FieldGroup(group.text.lower(), at)
        if self.here.is_word("typeof") and self.next.kind == "word" and not self.next.is_word("from"):
            return self.type_of()
        value = self.value()
        alias = None
        if self.here.kind == "word" and not self.here.is_word(*CLAUSES):
            alias = self.take().text
        return Column(value, alias)

    def type_of(self) -> TypeOf:
        at = self.take().at
        relationship = self.name()
        cases = []
        while self.accept_word("when"):
            name = self.name().text
            self.expect_word("then")
            cases.append((name, self.fields()))
        if not cases:
            self.unexpected("expecting WHEN")
        otherwise = self.fields() if self.accept_word("else") else None
        self.expect_word("end")
        return TypeOf(relationship.text, tuple(cases), otherwise, at)

    def fields(self) -> tuple[Path, ...]:
        found = []
        while True:
            token = self.name()
            found.append(Path((token.text,), token.at))
            if not self.accept_symbol(","):
                return tuple(found)

    def value(self) -> Path | Call:
        if self.here.is_word(*RESERVED):
            self.unexpected()
        token = self.name()
        if self.here.is_symbol("("):
            return self.call(token)
        parts = [token.text]
        while self.accept_symbol("."):
            parts.append(self.name().text)
        return Path(tuple(parts), token.at)

    def call(self, name: Token) -> Call:
        function = name.text.lower()
        if function not in AGGREGATES | DATE_FUNCTIONS | FORMATTERS:
            raise malformed_query(frame(self.source, name.at, f"unexpected token: '{name.text}'"))
        self.expect_symbol("(")
        if self.accept_symbol(")"):
            if function != "count":
                raise malformed_query(frame(self.source, name.at, f"unexpected token: '{name.text}'"))
            return Call(function, None, name.at)
        argument = self.value()
        if isinstance(argument, Call):
            self.unexpected("a function inside a function")
        self.expect_symbol(")")
        return Call(function, argument, name.at)

    def ordering(self) -> Ordering:
        value = self.value()
        direction: str = "ASC"
        if self.here.is_word("asc", "desc"):
            direction = self.take().text.upper()
        nulls = None
        if self.accept_word("nulls"):
            if not self.here.is_word("first", "last"):
                self.unexpected()
            nulls = self.take().text.upper()
        return Ordering(value, "DESC" if direction == "DESC" else "ASC", nulls)

    # -- conditions

    def condition(self) -> Condition:
        first = self.negation()
        if not self.here.is_word("and", "or"):
            return first
        operator = self.here.text.upper()
        conditions = [first]
        while self.here.is_word("and", "or"):
            if self.here.text.upper() != operator:
                self.unexpected("AND and OR need parentheses between them")
            self.take()
            conditions.append(self.negation())
        return Junction(operator, tuple(conditions))

    def negation(self) -> Condition:
        if self.accept_word("not"):
            return Not(self.negation())
        if self.accept_symbol("("):
            inner = self.condition()
            self.expect_symbol(")")
            return inner
        return self.comparison()

    def comparison(self) -> Condition:
        value = self.value()
        token = self.here
        if token.kind == "symbol" and token.text in COMPARISONS:
            self.take()
            return Comparison(value, COMPARISONS[token.text], self.literal())
        if self.accept_word("like"):
            if self.here.kind != "string":
                self.unexpected()
            return Comparison(value, "LIKE", self.literal())
        if self.accept_word("in"):
            return self.membership(value, "IN")
        if self.accept_word("not"):
            self.expect_word("in")
            return self.membership(value, "NOT IN")
        if self.here.is_word("includes", "excludes"):
            return self.membership(value, self.take().text.upper())
        return self.unexpected()

    def membership(self, value: Path | Call, operator: str) -> Membership:
        self.expect_symbol("(")
        if self.here.is_word("select") and operator in {"IN", "NOT IN"}:
            query = self.query(nested=True)
            self.expect_symbol(")")
            return Membership(value, operator, query=query)
        literals = [self.literal()]
        while self.accept_symbol(","):
            literals.append(self.literal())
        self.expect_symbol(")")
        return Membership(value, operator, tuple(literals))

    def literal(self) -> Constant:
        token = self.here
        if token.kind in {"string", "number", "currency", "date", "datetime"}:
            self.take()
            return Constant(token.kind, token.text, token.at, pattern=token.pattern)
        word = token.text.lower()
        if token.kind == "word" and word in {"true", "false", "null"}:
            self.take()
            return Constant("null" if word == "null" else "boolean", word, token.at)
        if token.kind == "word" and word in DATE_WORDS:
            self.take()
            return Constant("word", word, token.at)
        if token.kind == "word" and word in COUNTED_DATE_WORDS:
            self.take()
            self.expect_symbol(":")
            return Constant("word", word, token.at, count=self.whole_number())
        return self.unexpected()
