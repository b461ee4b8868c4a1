"""
Logging in: the token flows of ``/services/oauth2/token`` and the sessions they open.

A token lives ``Settings.session_seconds`` by the practice clock. The claims of a JWT are checked against the machine's
clock, because the client signs by that one and the practice clock may stand years away from it.
"""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt

from worker.practice.salesforce.errors import ApiError
from worker.practice.state import CLIENT_ID, CLIENT_SECRET, USERNAME

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LOGIN_HOSTS = ("login.salesforce.com", "test.salesforce.com")
ASSERTION_SECONDS = 300
SKEW_SECONDS = 30


@dataclass(frozen=True)
class Session:
    """
    An open session: whose, and until when by the practice clock.
    """

    user_id: str
    expires_at: datetime


class Sessions:
    """
    The sessions of one org. Safe to use from any thread.
    """

    def __init__(self, org: "Org", public_key: bytes) -> None:
        self.org = org
        self.public_key = public_key
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._refresh: dict[str, str] = {}

    def find(self, headers: Mapping[str, str]) -> Session:
        """
        The session of a request by its Authorization header. Raises the 401.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() in {"bearer", "oauth"} else headers.get("x-sfdc-session", "")
        with self._lock:
            session = self._sessions.get(token)
        if session is None or session.expires_at <= self.org.clock.now():
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        return session

    def expire(self) -> int:
        """
        End all sessions at once; how many.
        """
        with self._lock:
            count = len(self._sessions)
            self._sessions.clear()
        return count

    def revoke(self, token: str) -> None:
        """
        End one session.
        """
        with self._lock:
            self._sessions.pop(token, None)

    def token(self, form: Mapping[str, str], headers: Mapping[str, str], base_url: str) -> tuple[int, dict[str, Any]]:
        """
        Answer one token request: status and JSON body. ``base_url`` is the address the request came to.
        """
        try:
            user_id, refresh = self._grant(form, headers, base_url)
        except _RefusedError as refusal:
            body = {"error": refusal.error}
            if refusal.description:
                body["error_description"] = refusal.description
            return 400, body
        return 200, self._open(user_id, base_url, refresh=refresh)

    def _open(self, user_id: str, base_url: str, *, refresh: bool) -> dict[str, Any]:
        now = self.org.clock.now()
        organization = self.org.organization_id
        token = f"{organization[:15]}!{secrets.token_urlsafe(60)}"
        with self._lock:
            # Ended sessions are dropped here so that a server running for days does not collect them.
            self._sessions = {key: each for key, each in self._sessions.items() if each.expires_at > now}
            self._sessions[token] = Session(user_id, now + timedelta(seconds=self.org.settings.session_seconds))
        issued_at = str(int(now.timestamp() * 1000))
        identity = f"{base_url}/id/{organization}/{user_id}"
        signature = base64.b64encode(hashlib.sha256(f"{identity}{issued_at}".encode()).digest()).decode()
        body = {
            "access_token": token,
            "signature": signature,
            "scope": "id api refresh_token",
            "instance_url": base_url,
            "id": identity,
            "token_type": "Bearer",
            "issued_at": issued_at,
        }
        if refresh:
            body["refresh_token"] = f"5Aep{secrets.token_urlsafe(40)}"
            self._refresh[body["refresh_token"]] = user_id
        return body

    def _grant(self, form: Mapping[str, str], headers: Mapping[str, str], base_url: str) -> tuple[str, bool]:
        """
        Whom the request logs in, and whether a refresh token goes with it.
        """
        match form.get("grant_type"):
            case "client_credentials":
                self._check_client(form, headers)
                if base_url.partition("://")[2].partition(":")[0] in LOGIN_HOSTS:
                    raise _RefusedError("invalid_grant", "request not supported on this domain")
                return self._active(USERNAME), False
            case "password":
                self._check_client(form, headers)
                if not form.get("password"):
                    raise _RefusedError("invalid_grant", "authentication failure")
                return self._active(form.get("username", ""), "authentication failure"), True
            case "refresh_token":
                user_id = self._refresh.get(form.get("refresh_token", ""))
                if form.get("client_id") != CLIENT_ID:
                    raise _RefusedError("invalid_client_id", "client identifier invalid")
                if user_id is None:
                    raise _RefusedError("invalid_grant", "expired access/refresh token")
                return user_id, False
            case grant if grant == JWT_BEARER:
                return self._assertion(form.get("assertion", ""), base_url), False
            case _:
                raise _RefusedError("unsupported_grant_type", "grant type not supported")

    def _check_client(self, form: Mapping[str, str], headers: Mapping[str, str]) -> None:
        client, secret = form.get("client_id"), form.get("client_secret")
        scheme, _, basic = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                client, _, secret = base64.b64decode(basic).decode().partition(":")
            except ValueError:
                raise _RefusedError("invalid_client", "invalid client credentials") from None
        if client != CLIENT_ID:
            raise _RefusedError("invalid_client_id", "client identifier invalid")
        if secret != CLIENT_SECRET:
            raise _RefusedError("invalid_client", "invalid client credentials")

    def _assertion(self, assertion: str, base_url: str) -> str:
        try:
            claims = jwt.decode(
                assertion,
                self.public_key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_aud": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidTokenError as error:
            raise _RefusedError("invalid_grant", "invalid assertion") from error
        if claims.get("iss") != CLIENT_ID:
            raise _RefusedError("invalid_client_id", "client identifier invalid")
        audiences = {f"https://{host}" for host in LOGIN_HOSTS} | {base_url}
        if str(claims.get("aud", "")).rstrip("/") not in audiences:
            raise _RefusedError("invalid_grant", "audience is invalid")
        try:
            expires = int(claims["exp"])
        except (KeyError, TypeError, ValueError):
            raise _RefusedError("invalid_grant", "invalid assertion") from None
        now = time.time()
        if not now - SKEW_SECONDS < expires <= now + ASSERTION_SECONDS + SKEW_SECONDS:
            raise _RefusedError("invalid_grant", "expired authorization code")
        return self._active(str(claims.get("sub", "")))

    def _active(self, username: str, description: str = "user hasn't approved this consumer") -> str:
        user_id = self.org.user_id(username)
        if user_id is None:
            raise _RefusedError("invalid_grant", description)
        return user_id


class _RefusedError(Exception):
    def __init__(self, error: str, description: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
