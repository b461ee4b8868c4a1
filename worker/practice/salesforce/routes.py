"""
The Salesforce org on the web: OAuth, identity, and everything below ``/services/data``.

Turns web requests into ``Call`` and ``Answer`` back; work runs in threads, so that a long query stops nobody. Control
routes of this org come along.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from worker.practice.salesforce import control, rest
from worker.practice.salesforce.errors import ApiError, not_found
from worker.practice.salesforce.exchange import JSON_TYPE, Answer, Call, refusal
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.values import stamp
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
        Route("/services/oauth2/userinfo", web.identity, methods=["GET"]),
        Route("/id/{organization}/{user}", web.identity, methods=["GET"]),
        Route("/services/data", web.versions, methods=["GET"]),
        Route("/services/data/", web.versions, methods=["GET"]),
        Route("/services/data/{rest:path}", web.data, methods=METHODS),
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
        self.org.sessions.revoke(form.get("token") or request.query_params.get("token", ""))
        return Response(status_code=200)

    async def identity(self, request: Request) -> Response:
        try:
            session = self.org.sessions.find(_headers(request))
        except ApiError as error:
            return _respond(refusal(error), request)
        row = self.org.database.reader.execute(
            'SELECT Username, Name, Email, TimeZoneSidKey FROM "User" WHERE Id = ?', (session.user_id,)
        ).fetchone()
        base = _base_url(request)
        body = {
            "id": f"{base}/id/{self.org.organization_id}/{session.user_id}",
            "sub": f"{base}/id/{self.org.organization_id}/{session.user_id}",
            "user_id": session.user_id,
            "organization_id": self.org.organization_id,
            "username": row[0],
            "preferred_username": row[0],
            "display_name": row[1],
            "name": row[1],
            "email": row[2],
            "timezone": row[3],
            "urls": {
                "rest": f"{base}/services/data/v{{version}}/",
                "query": f"{base}/services/data/v{{version}}/query/",
            },
            "active": True,
        }
        return JSONResponse(body)

    async def versions(self, _: Request) -> Response:
        return JSONResponse(rest.versions())

    async def data(self, request: Request) -> Response:
        body = await request.body()
        answer = await self.org.in_thread(self.answer, request, body)
        request.scope.setdefault("practice", {}).update(
            {key: value for key, value in (("rows", answer.rows), ("kind", answer.kind)) if value is not None}
        )
        return _respond(answer, request)

    def answer(self, request: Request, body: bytes) -> Answer:
        """
        One API request, in a thread: session, allowance, version, resource.
        """
        headers = _headers(request)
        try:
            _check_size(request, headers)
            session = self.org.sessions.find(headers)
            self.org.late.settle(stamp(self.org.clock.now()))
            version, segments, parameters = _target(request)
            self.org.usage.count()
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

    def _with_usage(self, answer: Answer) -> Answer:
        answer.headers["Sforce-Limit-Info"] = self.org.usage.header()
        return answer


def _check_size(request: Request, headers: Mapping[str, str]) -> None:
    size = len(request.url.path) + len(request.url.query) + sum(len(k) + len(v) for k, v in headers.items())
    if size > URI_LIMIT:
        raise ApiError(414, "URI_TOO_LONG", f"URI and headers exceed {URI_LIMIT} bytes")


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


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


def _respond(answer: Answer, request: Request) -> Response:
    headers = dict(answer.headers)
    if answer.chunks is not None:
        if answer.length is not None:
            headers["Content-Length"] = str(answer.length)
        return StreamingResponse(answer.chunks, answer.status, headers, media_type=answer.content_type)
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
