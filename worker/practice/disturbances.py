"""
The named kinds of faults: what a real org or the way to it does to a client, ready to be ordered by name.

Only the table; ``faults.py`` chooses and counts, ``middleware.py`` carries out. A kind is an action as a control call
would spell it, with the path it is meant for. Bodies are those of ``/services/data``; 401s come from the org itself,
whose session is ended first, so that every API answers in its own form.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DATA, TOKEN = "/services/data/", "/services/oauth2/token"
HTML = "text/html; charset=utf-8"
JSON_TYPE = "application/json;charset=UTF-8"
PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


@dataclass(frozen=True)
class Kind:
    """
    ``action`` as ``Faults.add`` takes it; ``path`` narrows the fault where the order names none; ``note`` says it.
    """

    note: str
    action: Mapping[str, Any]
    path: str | None = DATA
    system: str | None = field(default=None)


def _errors(status: int, code: str, message: str) -> dict[str, Any]:
    body = json.dumps([{"message": message, "errorCode": code}])
    return {"status": status, "body": body, "content_type": JSON_TYPE}


def _page(status: int, words: str) -> dict[str, Any]:
    return {"status": status, "body": PAGE.format(words), "content_type": HTML}


def _oauth(error: str, description: str) -> dict[str, Any]:
    body = json.dumps({"error": error, "error_description": description})
    return {"status": 400, "body": body, "content_type": JSON_TYPE}


KINDS: dict[str, Kind] = {
    "session_expired": Kind("the session ends before the request is answered: 401", {"expire": True}, "/services/"),
    "session_unusable": Kind(
        "a 401 that no login cures",
        _errors(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
    ),
    "server_error": Kind(
        "500 with an error list",
        _errors(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this ErrorId if you contact "
                "support: 1128931372-22181 (1736913245)"),
    ),
    "server_error_page": Kind("500 with a page of HTML", _page(500, "Internal Server Error")),
    "bad_gateway": Kind("502 with a page of HTML", _page(502, "Bad Gateway")),
    "unavailable": Kind("503 with an error list", _errors(503, "SERVER_UNAVAILABLE", "The server is too busy")),
    "maintenance": Kind("503 with a page of HTML, for everything", _page(503, "Down for maintenance"), "/services/"),
    "gateway_timeout": Kind("504 with a page of HTML", _page(504, "Gateway Timeout")),
    "setting_up": Kind("420 as from the edge before an org", _page(420, "We are setting things up")),
    "not_acceptable": Kind("406 without a body", {"status": 406, "body": ""}),
    "too_many_requests": Kind("429 without Retry-After", {"status": 429, "body": ""}),
    "html": Kind("200 with a page of HTML where JSON belongs", _page(200, "Please stand by")),
    "empty": Kind("200 without a body", {"status": 200, "body": "", "content_type": JSON_TYPE}),
    "cut_body": Kind("the answer ends early, short of its Content-Length", {"cut_body_at": 40}),
    "broken_chunk": Kind("a chunked answer ends without its last chunk", {"cut_body_at": 40, "chunked": True}),
    "slow": Kind("the answer trickles in over 3 s", {"trickle_seconds": 3}),
    "reset_before": Kind("connection reset, nothing done", {"reset": "before"}),
    "reset_after": Kind("connection reset after the work was done", {"reset": "after"}),
    "idle_reset": Kind("the kept connection is reset after a good answer", {"reset": "idle"}),
    "tls_refused": Kind("the next TLS handshake is refused", {"refuse": True}, None, "tls"),
    "daily_limit": Kind(
        "403, the day's calls used up", _errors(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    ),
    "concurrent_limit": Kind(
        "403, too many long requests at once",
        _errors(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
    ),
    "query_timeout": Kind(
        "400, the query ran too long",
        _errors(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
        "/query",
    ),
    "dead_cursor": Kind(
        "400, the query's cursor is gone",
        _errors(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
        "/query/0r8",
    ),
    "token_refused": Kind(
        "login refused, as intermittently on the test host", _oauth("unknown_error", "retry your request"), TOKEN
    ),
    "token_denied": Kind(
        "login refused for good", _oauth("invalid_grant", "user hasn't approved this consumer"), TOKEN
    ),
    "token_error": Kind("the login host answers 500", _page(500, "Internal Server Error"), TOKEN),
}  # fmt: skip
