"""
The REST paths of the practice Marketo: identity, people, activities, programs, members and usage.

Business errors come inside HTTP 200 with ``success: false``, as the platform sends them; only a wrong secret gives
401 and an address above 8 KB gives 414. Reads the org and changes nothing in it but the counters; ``control`` holds
the back door.
"""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.practice.identity import CLIENT_ID, CLIENT_SECRET
from worker.practice.marketo import answers, control
from worker.practice.marketo.access import Access
from worker.practice.marketo.catalogue import (
    CHANGE_DATA_VALUE,
    DEFAULT_FIELDS,
    DELETE_PERSON,
    NEW_PERSON,
    SEARCHABLE,
    activity_types,
)
from worker.practice.marketo.log import Activity
from worker.practice.marketo.org import MarketoOrg
from worker.practice.marketo.refusal import Refusal, missing, mistyped
from worker.practice.marketo.times import parse_instant
from worker.practice.state import PracticeState

PAGE: Final = 300  # rows a page of the lead database holds, and activities that one call scans
ASSET_PAGE: Final = 200
MATCH_LIMIT: Final = 1000  # people that a lookup may match
MEMBER_LIMIT: Final = 100_000
ADDRESS_BYTES: Final = 8192
TYPE_LIMIT: Final = 10
PERSON_LIMIT: Final = 30  # people that a read of activities can be narrowed to
DELETED_DAYS: Final = 14  # how far back deletions are told
MEMBER_DAYS: Final = 7  # how long a span of membership changes may be
DAY_SECONDS: Final = 86_400

Parameters = Mapping[str, str]
# What a call answers beside requestId and success; ``result`` left out where the platform leaves it out.
Answer = dict[str, Any]
Call = Callable[[Parameters, Mapping[str, Any]], Answer]


def routes(state: PracticeState) -> list[Route]:
    """
    Everything of the practice Marketo, its control calls included; makes the org if there is none yet.
    """
    if state.marketo is None:
        state.marketo = MarketoOrg(state.clock, Access(CLIENT_ID, CLIENT_SECRET), state.data / "marketo.db")
    org: MarketoOrg = state.marketo
    door = _Door(org)
    calls = _Calls(org)
    table: list[tuple[str, Call]] = [
        ("/rest/v1/leads.json", calls.people),
        ("/rest/v1/lead/{id:int}.json", calls.person),
        ("/rest/v1/leads/describe.json", calls.describe),
        ("/rest/v1/leads/describe2.json", calls.describe2),
        ("/rest/v1/activities.json", calls.activities),
        ("/rest/v1/activities/pagingtoken.json", calls.paging_token),
        ("/rest/v1/activities/leadchanges.json", calls.changes),
        ("/rest/v1/activities/deletedleads.json", calls.deleted),
        ("/rest/v1/activities/types.json", calls.types),
        ("/rest/v1/programs/{id:int}/members.json", calls.members),
        ("/rest/v1/stats/usage.json", calls.usage),
        ("/rest/v1/stats/errors.json", calls.errors),
        ("/rest/asset/v1/programs.json", calls.programs),
        ("/rest/asset/v1/program/{id:int}.json", calls.program),
        ("/rest/{path:path}", calls.unknown),
        ("/bulk/{path:path}", calls.unknown),
    ]
    paths = [Route(path, door.endpoint(call), methods=["GET", "POST"]) for path, call in table]
    identity = Route("/identity/oauth/token", door.identity, methods=["GET", "POST"])
    return [identity, *control.routes(state, org), *paths]


class _Door:
    """
    What every call passes: address length, access, the envelope, the journal's notes. Calls run in threads, one at a
    time, so that a long one does not hold up the Salesforce org.
    """

    def __init__(self, org: MarketoOrg) -> None:
        self.org = org
        self._count = count(1)

    async def identity(self, request: Request) -> Response:
        parameters = {**request.query_params, **await _form(request)}
        if parameters.get("grant_type") != "client_credentials":
            problem = {"error": "unsupported_grant_type", "error_description": "Unsupported grant type"}
            return JSONResponse(problem, status_code=400)
        token = await run_in_threadpool(self._issue, parameters)
        if token is None:
            problem = {"error": "unauthorized", "error_description": "No client with requested id or wrong secret"}
            return JSONResponse(problem, status_code=401)
        return JSONResponse(token)

    def _issue(self, parameters: Parameters) -> Answer | None:
        with self.org.lock:
            now = self.org.clock.now()
            return self.org.access.issue(parameters.get("client_id", ""), parameters.get("client_secret", ""), now)

    def endpoint(self, call: Call) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            address = request.url.path + ("?" + request.url.query if request.url.query else "")
            if request.method == "GET" and len(address.encode()) > ADDRESS_BYTES:
                page = "<html><body><h1>414 Request-URI Too Long</h1></body></html>"
                return Response(page, 414, media_type="text/html")
            parameters = dict(request.query_params)
            request.scope.setdefault("practice", {})["kind"] = "read"
            tunnelled = parameters.pop("_method", "").upper() == "GET"
            if request.method == "POST":
                parameters |= await _form(request)
            try:
                _check_method(request.method, tunnelled=tunnelled)
                with self.org.access.under_way():
                    body = await run_in_threadpool(self._answer, call, request, parameters)
            except Refusal as refusal:
                return self._envelope({"success": False, "errors": [refusal.shape()]})
            result = body.get("result")
            request.scope["practice"]["rows"] = len(result) if isinstance(result, list) else 0
            return self._envelope({**body, "success": True})

        return answer

    def _answer(self, call: Call, request: Request, parameters: Parameters) -> Answer:
        with self.org.lock:
            self.org.access.admit(request.headers.get("authorization"), self.org.clock.now(), request.url.path)
            return call(parameters, request.path_params)

    def _envelope(self, body: Answer) -> Response:
        return JSONResponse({"requestId": answers.request_id(next(self._count)), **body})


def _check_method(method: str, *, tunnelled: bool) -> None:
    if method == "POST" and not tunnelled:
        raise Refusal("605", "HTTP Method POST not supported")


async def _form(request: Request) -> dict[str, str]:
    body = await request.body()
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


class _Calls:
    """
    One method a path. Each gets the parameters and the parts of the path, and raises Refusal for what it will not do.
    """

    def __init__(self, org: MarketoOrg) -> None:
        self.org = org

    def unknown(self, _: Parameters, path: Mapping[str, Any]) -> Answer:
        raise Refusal("610", f"Requested resource '{path['path']}' not found")

    # People

    def people(self, parameters: Parameters, _: Mapping[str, Any]) -> Answer:
        field = _required(parameters, "filterType")
        values = [v.strip() for v in _required(parameters, "filterValues").split(",") if v.strip()]
        if len(values) > PAGE:
            raise Refusal("1003", f"Too many values, at most {PAGE} filterValues are allowed")
        if field not in self.org.fields:
            raise Refusal("1006", f"Field '{field}' not found")
        if field not in SEARCHABLE and field not in self.org.searchable_custom:
            raise Refusal("1011", f"Field '{field}' not supported")
        if field == "id":
            for value in values:
                _whole(value)
        fields = self._fields(parameters)
        batch = min(_number(parameters, "batchSize", PAGE), PAGE)
        after = answers.read_token("people", parameters["nextPageToken"])[0] if parameters.get("nextPageToken") else 0
        matching, found = self.org.people.find(field, values, after=after, limit=batch + 1)
        if matching > MATCH_LIMIT:
            raise Refusal("1003", "Too many results match the filter")
        answer: Answer = {"result": [answers.person_shape(person, fields) for person in found[:batch]]}
        if len(found) > batch:
            answer["nextPageToken"] = answers.write_token("people", found[batch - 1]["id"])
        return answer

    def person(self, parameters: Parameters, path: Mapping[str, Any]) -> Answer:
        fields = self._fields(parameters)
        person = self.org.people.get(path["id"])
        if person is None:
            raise Refusal("1004", "Lead not found")
        return {"result": [answers.person_shape(person, fields)]}

    def _fields(self, parameters: Parameters) -> tuple[str, ...]:
        named = tuple(name.strip() for name in parameters.get("fields", "").split(",") if name.strip())
        for name in named:
            if name not in self.org.fields:
                raise Refusal("1006", f"Field '{name}' not found")
        return named or DEFAULT_FIELDS

    def describe(self, *_: Any) -> Answer:
        return {"result": answers.describe(self.org.fields.values())}

    def describe2(self, *_: Any) -> Answer:
        searchable = [*SEARCHABLE, *sorted(self.org.searchable_custom)]
        return {"result": answers.describe2(self.org.fields.values(), searchable)}

    # Activities

    def types(self, *_: Any) -> Answer:
        return {"result": activity_types()}

    def paging_token(self, parameters: Parameters, _: Mapping[str, Any]) -> Answer:
        since = _instant(parameters, "sinceDatetime")
        start = self.org.log.start(since, self.org.now())
        return {"nextPageToken": answers.write_token("log", start, since)}

    def activities(self, parameters: Parameters, _: Mapping[str, Any]) -> Answer:
        types = frozenset(_whole(t) for t in _required(parameters, "activityTypeIds").split(",") if t.strip())
        if len(types) > TYPE_LIMIT:
            raise Refusal("1003", f"Too many activity types, at most {TYPE_LIMIT} are allowed")
        people = frozenset(_whole(p) for p in parameters.get("leadIds", "").split(",") if p.strip())
        if len(people) > PERSON_LIMIT:
            raise Refusal("1003", f"Too many lead ids, at most {PERSON_LIMIT} are allowed")
        shown, answer = self._scan(parameters)
        rows = [
            answers.activity_shape(row, self.org.numbering)
            for row in shown
            if row.type in types and (not people or row.person in people)
        ]
        return _with_rows(answer, rows)

    def changes(self, parameters: Parameters, _: Mapping[str, Any]) -> Answer:
        _required(parameters, "fields")
        fields = frozenset(self._fields(parameters))
        shown, answer = self._scan(parameters)
        kinds = {NEW_PERSON, CHANGE_DATA_VALUE}
        rows = [answers.change_shape(row, self.org.numbering, fields) for row in shown if row.type in kinds]
        return _with_rows(answer, [row for row in rows if row is not None])

    def deleted(self, parameters: Parameters, _: Mapping[str, Any]) -> Answer:
        horizon = self.org.now() - DELETED_DAYS * DAY_SECONDS
        shown, answer = self._scan(parameters)
        rows = [
            answers.activity_shape(row, self.org.numbering)
            for row in shown
            if row.type == DELETE_PERSON and row.at >= horizon
        ]
        return _with_rows(answer, rows)

    def _scan(self, parameters: Parameters) -> tuple[list[Activity], Answer]:
        position, since = answers.read_token("log", _required(parameters, "nextPageToken"))
        batch = min(_number(parameters, "batchSize", PAGE), PAGE)
        page, more = self.org.log.page(position, batch, self.org.now())
        token = answers.write_token("log", page[-1].position if page else position, since)
        return [row for row in page if row.at >= since], {"nextPageToken": token, "moreResult": more}

    # Programs

    def programs(self, parameters: Parameters, _: Mapping[str, Any]) -> Answer:
        offset = _number(parameters, "offset", 0)
        limit = _number(parameters, "maxReturn", 20)
        if limit > ASSET_PAGE:
            raise Refusal("1003", f"maxReturn must not be greater than {ASSET_PAGE}")
        lo = _instant(parameters, "earliestUpdatedAt") if parameters.get("earliestUpdatedAt") else None
        hi = _instant(parameters, "latestUpdatedAt") if parameters.get("latestUpdatedAt") else None
        found = [
            program
            for program in self.org.programs.all()
            if (lo is None or parse_instant(program["updatedAt"]) >= lo)
            and (hi is None or parse_instant(program["updatedAt"]) <= hi)
        ][offset : offset + limit]
        return _assets([answers.program_shape(program, full=False) for program in found])

    def program(self, _: Parameters, path: Mapping[str, Any]) -> Answer:
        program = self.org.programs.get(path["id"])
        return _assets([] if program is None else [answers.program_shape(program, full=True)])

    def members(self, parameters: Parameters, path: Mapping[str, Any]) -> Answer:
        program = path["id"]
        if self.org.programs.get(program) is None:
            raise Refusal("1013", f"Object not found: program {program}")
        kind = _required(parameters, "filterType")
        fields = [name.strip() for name in parameters.get("fields", "").split(",") if name.strip()]
        for name in fields:
            if name not in answers.MEMBER_FIELDS:
                raise Refusal("1006", f"Field '{name}' not found")
        size = self.org.programs.count_members(program)
        if kind != "leadId" and size > MEMBER_LIMIT:
            raise Refusal(
                "1003", f"Total membership size: {size} exceeds the limit allowed {MEMBER_LIMIT} for the filter"
            )
        wanted, span = _membership_filter(kind, parameters)
        batch = min(_number(parameters, "batchSize", PAGE), PAGE)
        after = answers.read_token("members", parameters["nextPageToken"])[0] if parameters.get("nextPageToken") else 0
        found = [m for m in self.org.programs.members(program, after=after, span=span) if wanted(m)]
        rows = [answers.member_shape(member, fields, seq) for seq, member in enumerate(found[:batch])]
        answer: Answer = {"result": rows, "moreResult": len(found) > batch}
        if len(found) > batch:
            answer["nextPageToken"] = answers.write_token("members", found[batch - 1]["leadId"])
        return answer

    # Usage

    def usage(self, *_: Any) -> Answer:
        return {"result": self.org.access.usage(self.org.clock.now())}

    def errors(self, *_: Any) -> Answer:
        return {"result": self.org.access.errors(self.org.clock.now())}


def _with_rows(answer: Answer, rows: list[dict[str, Any]]) -> Answer:
    # A page on which nothing was found has no result at all, also when more pages follow.
    return {**answer, "result": rows} if rows else answer


def _assets(found: list[dict[str, Any]]) -> Answer:
    if not found:
        return {"errors": [], "warnings": ["No assets found for the given search criteria."]}
    return {"errors": [], "warnings": [], "result": found}


def _membership_filter(
    kind: str, parameters: Parameters
) -> tuple[Callable[[Mapping[str, Any]], bool], tuple[int, int] | None]:
    if kind == "updatedAt":
        lo, hi = _instant(parameters, "startAt"), _instant(parameters, "endAt")
        if not 0 <= hi - lo <= MEMBER_DAYS * DAY_SECONDS:
            raise Refusal("1003", f"The range between startAt and endAt must be {MEMBER_DAYS} days or fewer")
        return (lambda _: True), (lo, hi)
    if kind not in {"leadId", "statusName", "reachedSuccess"}:
        raise Refusal("1011", f"Field '{kind}' not supported")
    values = {value.strip() for value in _required(parameters, "filterValues").split(",")}
    if len(values) > PAGE:
        raise Refusal("1003", f"Too many values, at most {PAGE} filterValues are allowed")
    return (lambda member: _spelled(member.get(kind)) in values), None


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _required(parameters: Parameters, name: str) -> str:
    value = parameters.get(name, "").strip()
    if not value:
        raise missing(name)
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise mistyped(text, "Integer") from error


def _number(parameters: Parameters, name: str, default: int) -> int:
    number = _whole(parameters[name]) if parameters.get(name) else default
    if number < 0:
        raise mistyped(parameters[name], "Positive Integer")
    return number


def _instant(parameters: Parameters, name: str) -> int:
    text = _required(parameters, name)
    try:
        return parse_instant(text)
    except ValueError as error:
        raise mistyped(text, "Datetime") from error
