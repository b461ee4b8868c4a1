"""
SOSL: ``search`` and ``parameterizedSearch``, words looked for in the text of records.

``FIND {words} [IN scope FIELDS] [RETURNING Object(fields WHERE ... ORDER BY ... LIMIT n), ...] [LIMIT n]``. A record is
found when its words satisfy the expression: words side by side and AND ask for all, OR for one, AND NOT for none;
quotes ask for a phrase; ``*`` and ``?`` stand for letters. Whole words match, without regard to case. What a record
shows is a SOQL query over the ids found, so that every check of SOQL holds. An org ranks what it finds; here it comes
in the order of ids. WITH clauses, spelling and synonyms are not here: a clause that is not known is MALFORMED_SEARCH.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.practice.salesforce.errors import ApiError
from worker.practice.salesforce.exchange import Answer, Call
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.schema import SObject
from worker.practice.salesforce.soql.asker import Asker
from worker.practice.salesforce.soql.compiler import compile_query
from worker.practice.salesforce.soql.parser import parse

MOST = 2000  # records a search gives, and ids one object's query is narrowed to
SCOPES = {
    "ALL": frozenset({"string", "textarea", "email", "phone", "url", "combobox"}),
    "EMAIL": frozenset({"email"}),
    "PHONE": frozenset({"phone"}),
}
NAMES = frozenset({"Name", "FirstName", "LastName", "Subject", "Title"})
_FIND = re.compile(r"\s*FIND\s*\{((?:\\.|[^}\\])*)\}", re.IGNORECASE | re.DOTALL)
_SCOPE = re.compile(r"\s+IN\s+(ALL|NAME|EMAIL|PHONE|SIDEBAR)\s+FIELDS\b", re.IGNORECASE)
_RETURNING = re.compile(r"\s+RETURNING\b", re.IGNORECASE)
_LIMIT = re.compile(r"\s+LIMIT\s+(\d+)\s*$", re.IGNORECASE)
_OBJECT = re.compile(r"\s*(\w+)\s*")
_REST = re.compile(r"\b(WHERE|ORDER\s+BY|LIMIT|OFFSET|USING)\b", re.IGNORECASE)
_TERM = re.compile(r'"((?:\\.|[^"\\])*)"|([()])|([^\s()"]+)')
_WORD = re.compile(r"[\w*?]+")

Texts = Sequence[list[str]]  # the words of each field of a record
Test = Callable[[Texts], bool]


@dataclass(frozen=True)
class Wanted:
    """
    One object of RETURNING: its name, the fields to show, and the SOQL that follows them.
    """

    sobject: str
    fields: str = "Id"
    rest: str = ""


@dataclass(frozen=True)
class Search:
    """
    A search that has been read. No ``wanted`` asks for the ids of all objects that can be searched.
    """

    words: str
    scope: str
    wanted: tuple[Wanted, ...]
    limit: int


def search(org: Org, call: Call) -> Answer:
    """
    GET ``search?q=``.
    """
    text = call.query.get("q")
    if not text:
        raise _malformed("A search string has to be specified")
    return _answer(org, call, parse_sosl(text))


def parameterized_search(org: Org, call: Call) -> Answer:
    """
    GET or POST ``parameterizedSearch``: the same without the language, from parameters or a JSON body.
    """
    given = call.json_object() if call.method == "POST" else _from_parameters(call)
    try:
        asked = _from_body(given)
    except (AttributeError, TypeError, ValueError) as error:
        raise ApiError(400, "JSON_PARSER_ERROR", f"the search's parameters have another form: {error}") from error
    return _answer(org, call, asked)


def _from_body(given: Mapping[str, Any]) -> Search:
    wanted = []
    for each in given.get("sobjects") or []:
        fields = ",".join(each.get("fields") or given.get("fields") or ["Id"])
        condition = f"WHERE {each['where']} " if each.get("where") else ""
        limit = each.get("limit") or given.get("defaultLimit")
        wanted.append(Wanted(str(each.get("name")), fields, condition + (f"LIMIT {int(limit)}" if limit else "")))
    scope = str(given.get("in") or "ALL").upper().removesuffix(" FIELDS")
    if scope not in {*SCOPES, "NAME", "SIDEBAR"}:
        raise _malformed(f"unknown search group: {scope}")
    most = min(int(given.get("overallLimit") or MOST), MOST)
    return Search(str(given.get("q") or ""), scope, tuple(wanted), most)


def _from_parameters(call: Call) -> dict[str, Any]:
    given: dict[str, Any] = {
        key: call.query[key] for key in ("q", "in", "overallLimit", "defaultLimit") if key in call.query
    }
    if "fields" in call.query:
        given["fields"] = call.query["fields"].split(",")
    if "sobject" in call.query:
        given["sobjects"] = [{"name": call.query["sobject"]}]
    return given


def parse_sosl(text: str) -> Search:
    """
    Read a search. Raises the 400 MALFORMED_SEARCH.
    """
    found = _FIND.match(text)
    if found is None:
        raise _malformed("a search begins with FIND {words}")
    words, place = re.sub(r"\\([{}])", r"\1", found[1]), found.end()
    scope, limit = "ALL", MOST
    named = _SCOPE.match(text, place)
    if named is not None:
        scope, place = named[1].upper(), named.end()
    wanted: list[Wanted] = []
    returning = _RETURNING.match(text, place)
    if returning is not None:
        place = returning.end()
        while True:
            each, place = _read_wanted(text, place)
            wanted.append(each)
            if not text[place:].lstrip().startswith(","):
                break
            place = text.index(",", place) + 1
    last = _LIMIT.match(text, place)
    if last is not None:
        limit, place = min(int(last[1]), MOST), last.end()
    if text[place:].strip():
        raise _malformed(f"unexpected: {text[place:].strip()}")
    return Search(words, scope, tuple(wanted), limit)


def _read_wanted(text: str, place: int) -> tuple[Wanted, int]:
    named = _OBJECT.match(text, place)
    if named is None:
        raise _malformed("RETURNING names objects")
    place = named.end()
    if not text[place:].startswith("("):
        return Wanted(named[1]), place
    inner = "".join(_inside(text, place))
    begins = _REST.search(inner)
    fields, rest = (inner[: begins.start()], inner[begins.start() :]) if begins else (inner, "")
    if begins and begins[1].upper() == "USING":
        raise _malformed("USING is not known here")
    return Wanted(named[1], fields.strip() or "Id", rest.strip()), place + len(inner) + 2


def _inside(text: str, place: int) -> Iterator[str]:
    """
    What stands between the parenthesis at ``place`` and its partner, quotes respected.
    """
    depth, quoted, escaped = 0, False, False
    for letter in text[place:]:
        if quoted:
            quoted = escaped or letter != "'"
            escaped = letter == "\\" and not escaped
        elif letter == "'":
            quoted = True
        elif letter == "(":
            depth += 1
            if depth == 1:
                continue
        elif letter == ")":
            depth -= 1
            if depth == 0:
                return
        yield letter
    raise _malformed("a parenthesis is not closed")


# -- finding


def _answer(org: Org, call: Call, asked: Search) -> Answer:
    test = read_words(asked.words)
    asker = org.asker(call.user_id)
    wanted = asked.wanted or tuple(Wanted(each.name) for each in org.schema if each.searchable and not each.tooling)
    records: list[dict[str, Any]] = []
    for each in wanted:
        records += _records(org, asker, each, asked.scope, test, call.root)
        if len(records) >= asked.limit:
            break
    return Answer(body={"searchRecords": records[: asked.limit]}, rows=min(len(records), asked.limit))


def _records(org: Org, asker: Asker, each: Wanted, scope: str, test: Test, root: str) -> list[dict[str, Any]]:
    compiled = compile_query(asker, parse(f"SELECT {each.fields} FROM {each.sobject} {each.rest}"), all_rows=False)
    if not compiled.sobject.searchable:
        raise ApiError(400, "INVALID_TYPE", f"sObject type '{compiled.sobject.name}' is not searchable")
    ids = list(_matching(org, asker, compiled.sobject, scope, test))
    if not ids:
        return []
    compiled.where += f"{' AND' if compiled.where else ' WHERE'} t.Id IN ({', '.join('?' * len(ids))})"
    rows = org.database.reader.execute(compiled.statement(), [*compiled.parameters, *ids]).fetchall()
    return org.queries.records(compiled, rows, root)


def _matching(org: Org, asker: Asker, sobject: SObject, scope: str, test: Test) -> Iterator[str]:
    """
    Ids of the records the user may see whose words pass ``test``, at most ``MOST``.
    """
    if scope in SCOPES:
        fields = [each.name for each in asker.schema.visible_fields(sobject) if each.type in SCOPES[scope]]
    else:
        fields = [each.name for each in asker.schema.visible_fields(sobject) if each.name in NAMES or each.name_field]
    if not fields:
        return
    compiled = compile_query(asker, parse(f"SELECT Id, {', '.join(fields)} FROM {sobject.name}"), all_rows=False)
    count = 0
    for record_id, *values in org.database.reader.execute(compiled.statement(), compiled.parameters):
        if test([_WORD.findall(value.lower()) for value in values if isinstance(value, str)]):
            yield record_id
            count += 1
            if count == MOST:
                return


def read_words(text: str) -> Test:
    """
    The expression between the braces as a test of a record's words. Raises the 400 MALFORMED_SEARCH.
    """
    tokens = [(match[1], match[2] or match[3]) for match in _TERM.finditer(text)]
    reader = _Reader(tokens)
    test = reader.any_of()
    if reader.tokens:
        raise _malformed(f"unexpected: {reader.tokens[0][1]}")
    return test


class _Reader:
    """
    Reads the tokens of an expression: a phrase in quotes is ``(phrase, None)``, all else ``(None, text)``.
    """

    def __init__(self, tokens: list[tuple[str | None, str | None]]) -> None:
        self.tokens = tokens

    def any_of(self) -> Test:
        tests = [self.all_of()]
        while self._take("OR"):
            tests.append(self.all_of())
        return lambda texts: any(test(texts) for test in tests)

    def all_of(self) -> Test:
        tests = [self.one()]
        while self.tokens and (self.tokens[0][1] or "").upper() not in {"OR", ")"}:
            self._take("AND")
            if self._take("NOT"):
                tests.append(_without(self.one()))
            else:
                tests.append(self.one())
        return lambda texts: all(test(texts) for test in tests)

    def one(self) -> Test:
        if not self.tokens:
            raise _malformed("search term must be longer than one character")
        phrase, text = self.tokens.pop(0)
        if text == "(":
            inner = self.any_of()
            if not self._take(")"):
                raise _malformed("a parenthesis is not closed")
            return inner
        return _phrase(phrase if phrase is not None else text or "")

    def _take(self, word: str) -> bool:
        if self.tokens and (self.tokens[0][1] or "").upper() == word:
            del self.tokens[0]
            return True
        return False


def _without(unwanted: Test) -> Test:
    return lambda texts: not unwanted(texts)


def _phrase(text: str) -> Test:
    """
    A test for words side by side in one field; an address or a number with dashes is such a phrase too.
    """
    words = _WORD.findall(re.sub(r"\\(.)", r"\1", text).lower())
    if sum(len(word.strip("*?")) for word in words) < 2:
        raise _malformed(f"search term must be longer than one character: {text}")
    patterns = [re.compile(re.escape(word).replace(r"\*", ".*").replace(r"\?", ".")) for word in words]

    def test(texts: Texts) -> bool:
        return any(
            all(pattern.fullmatch(word) for pattern, word in zip(patterns, field[start:], strict=False))
            for field in texts
            for start in range(len(field) - len(patterns) + 1)
        )

    return test


def _malformed(words: str) -> ApiError:
    return ApiError(400, "MALFORMED_SEARCH", words)
