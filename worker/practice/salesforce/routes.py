"""
The Salesforce org on the web: OAuth, identity, and everything below ``/services/data``.

Turns web requests into ``Call`` and ``Answer`` back; work runs in threads, so that a long query stops nobody. Control
routes of this org come along.
"""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from worker.practice.salesforce import bulk1_wire, control, metadata, partner, rest, userinfo
from worker.practice.salesforce.errors import ApiError, not_found
from worker.practice.salesforce.exchange import JSON_TYPE, Answer, Call, refusal
from worker.practice.salesforce.org import Org
from worker.practice.state import PracticeState

URI_LIMIT = 16_384  # bytes of request line and headers together
PRETTY_LIMIT = 200  # records; larger answers come compact, which differs in white space only
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def routes(state: PracticeState) -> list[Route]:
    """
    All routes of the org in ``state``.
    """
    if state.salesforce is None:
        raise ValueError("the practice state has no Salesforce org")
    web = _Web(state.salesforce)
    return [
        Route("/services/oauth2/token", web.token, methods=["POST"]),
        Route("/services/oauth2/revoke", web.revoke, methods=["GET", "POST"]),
        Route("/services/oauth2/introspect", web.introspect, methods=["POST"]),
        Route("/services/oauth2/userinfo", web.userinfo, methods=["GET", "POST"]),
        Route("/id/{organization}/{user}", web.identity, methods=["GET"]),
        Route("/services/data", web.versions, methods=["GET"]),
        Route("/services/data/", web.versions, methods=["GET"]),
        Route("/services/data/{rest:path}", web.data, methods=METHODS),
        Route("/services/async/{rest:path}", web.bulk1, methods=METHODS),
        Route("/services/apexrest/{rest:path}", web.apex, methods=METHODS),
        Route("/services/Soap/{api}/{version}", web.soap, methods=["POST"]),
        Route("/services/Soap/{api}/{version}/{organization}", web.soap, methods=["POST"]),
        Route("/services/Soap/{api}/{version}/{organization}/{rest:path}", web.soap, methods=["POST"]),
        *control.routes(state.salesforce),
    ]


class _Web:
    def __init__(self, org: Org) -> None:
        self.org = org

    async def token(self, request: Request) -> Response:
        form = rest.parse_parameters((await request.body()).decode("utf-8", errors="replace"))
        given = {**dict(request.query_params), **form}
        status, body = self.org.sessions.token(given, _headers(request), _base_url(request))
        return JSONResponse(body, status_code=status)

    async def revoke(self, request: Request) -> Response:
        form = rest.parse_parameters((await request.body()).decode("utf-8", errors="replace"))
        if self.org.sessions.revoke(form.get("token") or request.query_params.get("token", "")):
            return Response(status_code=200)
        body = {"error": "unsupported_token_type", "error_description": "this token type is not supported"}
        return JSONResponse(body, status_code=400)

    async def introspect(self, request: Request) -> Response:
        form = rest.parse_parameters((await request.body()).decode("utf-8", errors="replace"))
        status, body = self.org.sessions.introspect(form, _headers(request), _base_url(request))
        return JSONResponse(body, status_code=status)

    async def userinfo(self, request: Request) -> Response:
        return self._of_user(request, lambda user_id: userinfo.userinfo(self.org, user_id, _base_url(request)))

    async def identity(self, request: Request) -> Response:
        organization, user = request.path_params["organization"], request.path_params["user"]
        return self._of_user(request, lambda _: userinfo.identity(self.org, organization, user, _base_url(request)))

    def _of_user(self, request: Request, body: Callable[[str], dict[str, Any]]) -> Response:
        """
        These two are outside the API: a token that is none is told so in words of their own.
        """
        given = {**_headers(request), **_token_in_query(request)}
        try:
            return JSONResponse(body(self.org.sessions.find(given).user_id))
        except ApiError as error:
            if error.status == 401:
                return Response("Bad_OAuth_Token", 403, media_type="text/html")
            return _respond(refusal(error), request)

    async def versions(self, _: Request) -> Response:
        return JSONResponse(rest.versions())

    async def soap(self, request: Request) -> Response:
        api, version = request.path_params["api"], request.path_params["version"]
        content, base_url = await request.body(), _base_url(request)
        if api == "m":
            status, envelope = await self.org.in_thread(metadata.answer, self.org, version, content)
            return Response(envelope, status, media_type=partner.XML_TYPE)
        if api not in partner.NAMESPACES:
            return Response("Not Found", 404)
        status, envelope = await self.org.in_thread(partner.answer, self.org, api, version, content, base_url)
        return Response(envelope, status, media_type=partner.XML_TYPE)

    async def apex(self, request: Request) -> Response:
        """
        The customer's own REST classes, of which this org has none.
        """
        try:
            self.org.sessions.find(_headers(request))
        except ApiError as error:
            return _respond(refusal(error), request)
        words = f"Could not find a match for URL /{request.path_params['rest']}"
        return _respond(refusal(ApiError(404, "NOT_FOUND", words)), request)

    async def data(self, request: Request) -> Response:
        body = await request.body()
        answer = await self.org.in_thread(self.answer, request, body)
        _note(request, answer)
        return _respond(answer, request)

    async def bulk1(self, request: Request) -> Response:
        body, headers = await request.body(), _headers(request)

        def open_session() -> str:
            try:
                user_id = self.org.sessions.find(headers).user_id
            except ApiError as error:
                status = self.org.settings.bulk1_session_status
                raise ApiError(status, "InvalidSessionId", "Invalid session id") from error
            self._name_caller(request, user_id)
            self.org.settle()
            try:
                self._count()
            except ApiError as error:
                raise ApiError(403, "ExceededQuota", error.message) from error
            return user_id

        path = request.path_params["rest"]
        if headers.get("content-encoding", "").lower() == "gzip":
            body = zlib.decompress(body, wbits=31)
        call = bulk1_wire.Call(request.method, path, headers, body)
        answer = await self.org.in_thread(bulk1_wire.answer, self.org, call, open_session)
        _note(request, answer)
        return _respond(answer, request)

    def answer(self, request: Request, body: bytes) -> Answer:
        """
        One API request, in a thread: session, allowance, version, resource.
        """
        headers = _headers(request)
        try:
            _check_size(request, headers)
            session = self.org.sessions.find_for_rest(headers)
            self._name_caller(request, session.user_id)
            self.org.settle()
            version, segments, parameters = _target(request)
            self._count()
        except ApiError as error:
            return self._with_usage(refusal(error))
        call = Call(
            method=request.method,
            version=version,
            segments=segments,
            query=parameters,
            headers=headers,
            body=body,
            user_id=session.user_id,
            base_url=_base_url(request),
        )
        return self._with_usage(rest.answer(self.org, call))

    def _count(self) -> None:
        settings = self.org.settings
        self.org.in_flight.check(settings.long_request_seconds, settings.concurrent_requests)
        self.org.usage.count()

    def _name_caller(self, request: Request, user_id: str) -> None:
        row = self.org.database.reader.execute('SELECT Username FROM "User" WHERE Id = ?', (user_id,)).fetchone()
        request.scope.setdefault("practice", {})["caller"] = row[0] if row else user_id

    def _with_usage(self, answer: Answer) -> Answer:
        answer.headers["Sforce-Limit-Info"] = self.org.usage.header(self.org.settings.app_requests)
        return answer


def _note(request: Request, answer: Answer) -> None:
    """
    Tell the journal what only the answer knows.
    """
    notes = {key: value for key, value in (("rows", answer.rows), ("kind", answer.kind)) if value is not None}
    request.scope.setdefault("practice", {}).update(notes)


def _check_size(request: Request, headers: Mapping[str, str]) -> None:
    uri = len(request.scope["raw_path"]) + len(request.scope["query_string"])
    if uri > URI_LIMIT:
        raise ApiError(414, "URI_TOO_LONG", f"the URI exceeds {URI_LIMIT} bytes")
    if uri + sum(len(name) + len(value) for name, value in headers.items()) > URI_LIMIT:
        raise ApiError(431, "REQUEST_HEADER_FIELDS_TOO_LARGE", f"URI and headers exceed {URI_LIMIT} bytes")


def _target(request: Request) -> tuple[str, tuple[str, ...], dict[str, str]]:
    target = rest.parse_target(f"{request.scope['raw_path'].decode('ascii')}?{request.url.query}")
    if target is None:
        raise not_found()
    _check_version(target[0])
    return target


def _check_version(version: str) -> None:
    number = int(version.partition(".")[0])
    if number < rest.VERSIONS.start:
        raise ApiError(410, "UNSUPPORTED_API_VERSION", f"API version {version} is retired")
    if number not in rest.VERSIONS or not version.endswith(".0"):
        raise not_found()


def _headers(request: Request) -> Mapping[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _token_in_query(request: Request) -> dict[str, str]:
    token = request.query_params.get("oauth_token") or request.query_params.get("access_token")
    return {"authorization": f"Bearer {token}"} if token else {}


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


def _respond(answer: Answer, request: Request) -> Response:
    headers = dict(answer.headers)
    if answer.chunks is not None:
        if answer.length is not None:
            headers["Content-Length"] = str(answer.length)
        return StreamingResponse(answer.chunks, answer.status, {**headers, "Content-Type": answer.content_type})
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    pretty = request.headers.get("x-prettyprint") == "1" and (answer.rows or 0) <= PRETTY_LIMIT
    text = _pretty(answer.body) if pretty else json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), answer.status, {**headers, "Content-Type": JSON_TYPE})


def _pretty(body: Any) -> str:
    """
    JSON as an org lays it out when asked to: a space before each colon.
    """
    return re.sub(r"\[\s*\]", "[ ]", json.dumps(body, ensure_ascii=False, indent=2, separators=(",", " : ")))
