"""
Calls to one Marketo subscription: the token, the envelope that hides errors in a status 200, and long addresses.

It knows the wire and nothing of streams. Every call is a read and may be repeated.
"""

import re
import threading
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import requests
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from worker.connectors.http import (
    LOOPBACK,
    HttpOptions,
    HttpSession,
    Passing,
    asked_pause,
    json_of,
    repeated,
    translated,
)
from worker.connectors.marketo.refusals import DOOR, NO_DATA, TOKEN_CODES, refusal
from worker.core.errors import Fatal, Retriable

_HOST: Final = re.compile(r"[a-z0-9]{3}-[a-z0-9]{3}-[a-z0-9]{3}\.mktorest\.com")
# Marketo answers 414 past 8 KB of address; such a read goes by POST and says that it is a GET.
_ADDRESS_BYTES: Final = 7_000


class MarketoClient:
    """
    One subscription. ``base_url`` is "https://123-ABC-456.mktorest.com", or loopback for a practice server.

    Raises Fatal and Retriable with codes HW-3xx. Numbers of answers are Decimal or int.
    """

    def __init__(
        self, base_url: str, client_id: str, client_secret: str, *, options: HttpOptions | None = None
    ) -> None:
        self._base, host, port = _checked(base_url)
        self._client_id = client_id
        self._client_secret = client_secret
        self._session = HttpSession(DOOR, options or HttpOptions(), lambda name, number: (name, number) == (host, port))
        self._lock = threading.Lock()
        self._token: str | None = None
        self.calls = 0

    def __repr__(self) -> str:
        return f"MarketoClient({self._base!r})"

    def now(self) -> datetime:
        """
        The platform's present instant, rounded up to the second; asks for a token only where no answer has come yet.
        """
        if not self._session.has_answered:
            self._authorized()
        return self._session.platform_now()

    def get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """
        One read; the whole answer, whose ``result`` is a list of objects or absent ("no data found").
        """
        return repeated(lambda: self._attempt(path, params), self._session.bounds)

    def _attempt(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        token = self._authorized()
        answer = self._exchange(path, params, token)
        if _codes(answer) & TOKEN_CODES:
            # The token's life on our clock says nothing: an administrator may have ended it.
            self._drop(token)
            answer = self._exchange(path, params, self._authorized())
        if answer.get("success") is True:
            return answer
        if NO_DATA in _codes(answer):
            return {**answer, "success": True}
        errors = answer.get("errors")
        if not isinstance(errors, list) or not errors:
            raise Passing(DOOR.garbled, "Marketo answered with neither success nor an error")
        raise refusal(errors[0], self._session.platform_now())

    def _exchange(self, path: str, params: Mapping[str, str], token: str) -> dict[str, Any]:
        url = f"{self._base}{path}"
        headers = {"Authorization": f"Bearer {token}"}
        self.calls += 1
        with translated(DOOR, is_harmless=True):
            if len(url) + len(urlencode(params)) > _ADDRESS_BYTES:
                response = self._session.post(url, params={"_method": "GET"}, data=dict(params), headers=headers)
            else:
                response = self._session.get(url, params=dict(params), headers=headers)
            _check_status(response)
            answer = json_of(response.content, parse_float=Decimal)
        if not isinstance(answer, dict) or not _is_list_of_objects(answer.get("result")):
            raise Passing(DOOR.garbled, "Marketo answered with something that is no answer of its API")
        return answer

    def _authorized(self) -> str:
        with self._lock:
            if self._token is None:
                self._token = repeated(self._fetch_token, self._session.bounds)
            return self._token

    def _drop(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token = None

    def _fetch_token(self) -> str:
        # The secret travels in the body: addresses end up in logs of proxies.
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        with translated(DOOR, is_harmless=True):
            response = self._session.post(f"{self._base}/identity/oauth/token", data=form)
            if response.status_code in (400, 401, 403):
                raise Fatal(
                    "HW-304",
                    f"Marketo refused the login (status {response.status_code})",
                    actions=["Check MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET (Admin > LaunchPoint > View Details)."],
                )
            _check_status(response)
            answer = json_of(response.content)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
            raise Passing(DOOR.garbled, "Marketo's answer to the login holds no token")
        return token


def _codes(answer: Mapping[str, Any]) -> set[str]:
    errors = answer.get("errors")
    if not isinstance(errors, list):
        return set()
    return {str(error.get("code")) for error in errors if isinstance(error, dict)}


def _is_list_of_objects(result: Any) -> bool:
    return result is None or (isinstance(result, list) and all(isinstance(entry, dict) for entry in result))


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status < 300:
        return
    if status in (406, 420, 429) or status >= 500:
        pause = asked_pause(response.headers)
        if pause is not None and pause.total_seconds() > 10:
            raise Retriable(DOOR.unreachable, f"Marketo is not available (status {status})", after=pause)
        raise Passing(DOOR.unreachable, f"Marketo is not available (status {status})")
    if status < 400:
        raise Fatal(DOOR.address, f"Marketo sent us elsewhere (status {status}), which is never followed")
    raise Fatal("HW-309", f"Marketo refused a call (status {status})")


def _checked(base_url: str) -> tuple[str, str, int | None]:
    cure = "Set MARKETO_URL to the REST endpoint's host, https://123-ABC-456.mktorest.com, without /rest."
    try:
        parts = parse_url(base_url.strip())
    except LocationParseError as error:
        raise Fatal(DOOR.address, "the address of Marketo cannot be read", actions=[cure]) from error
    host = (parts.host or "").lower()
    is_bare = parts.auth is None and parts.path in (None, "", "/") and not parts.query and not parts.fragment
    is_ours = parts.scheme == "https" and parts.port in (None, 443) and _HOST.fullmatch(host) is not None
    is_local = parts.scheme in ("http", "https") and host in LOOPBACK
    if not is_bare or not (is_ours or is_local):
        raise Fatal(DOOR.address, "this is not an address of Marketo that may be called", actions=[cure])
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    return f"{parts.scheme}://{netloc}", host, parts.port
