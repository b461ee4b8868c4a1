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

from worker.practice.identity import CLIENT_ID, CLIENT_SECRET, USERNAME
from worker.practice.salesforce.errors import ApiError

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Whoever logs in at a host that all orgs share goes on at the org's own, which the proxy port and the hosts file reach.
OWN_HOSTS = {
    "login.salesforce.com": "practice.my.salesforce.com",
    "test.salesforce.com": "practice--test.sandbox.my.salesforce.com",
}
LOGIN_HOSTS = tuple(OWN_HOSTS)
SCOPE = "id api refresh_token"
ASSERTION_SECONDS = 300
SKEW_SECONDS = 30


@dataclass(frozen=True)
class Session:
    """
    An open session: whose, and until when by the practice clock.
    """

    user_id: str
    expires_at: datetime


def instance_url(base_url: str) -> str:
    """
    Where a client that logged in at ``base_url`` goes on: the same address, or the org's own for a shared login host.
    """
    own = OWN_HOSTS.get(base_url.partition("://")[2].partition(":")[0])
    return f"https://{own}" if own else base_url


def token_of(headers: Mapping[str, str]) -> str:
    """
    The token a request carries, of whatever API it is; empty if it carries none.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in {"bearer", "oauth"} else headers.get("x-sfdc-session", "")


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
        with self._lock:
            session = self._sessions.get(token_of(headers))
        if session is None or session.expires_at <= self.org.clock.now() or not self.org.is_active(session.user_id):
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        return session

    def find_for_rest(self, headers: Mapping[str, str]) -> Session:
        """
        The session of a REST request. Raises the 401s, and the 403 of a user who may not use the API.
        """
        session = self.find(headers)
        if not self.org.settings.rest_sessions:
            words = "This session is not valid for use with the REST API"
            raise ApiError(401, "INVALID_SESSION_ID", words)
        if not self.org.access.of(session.user_id).api_enabled:
            raise ApiError(403, "API_CURRENTLY_DISABLED", "API is disabled for this User")
        return session

    def dump(self) -> dict[str, Any]:
        """
        The open sessions and refresh tokens as JSON takes them.
        """
        with self._lock:
            sessions = [[key, each.user_id, each.expires_at.isoformat()] for key, each in self._sessions.items()]
            return {"sessions": sorted(sessions), "refresh": dict(self._refresh)}

    def load(self, given: Mapping[str, Any]) -> None:
        """
        What ``dump`` gave.
        """
        with self._lock:
            self._sessions = {
                key: Session(user_id, datetime.fromisoformat(until)) for key, user_id, until in given["sessions"]
            }
            self._refresh = dict(given["refresh"])

    def expire(self) -> int:
        """
        End all sessions at once; how many.
        """
        with self._lock:
            count = len(self._sessions)
            self._sessions.clear()
        return count

    def revoke(self, token: str) -> bool:
        """
        End one session, or with a refresh token all that it could open; whether there was such a token.
        """
        with self._lock:
            user_id = self._refresh.pop(token, None)
            if user_id is not None:
                self._sessions = {key: each for key, each in self._sessions.items() if each.user_id != user_id}
            return self._sessions.pop(token, None) is not None or user_id is not None

    def introspect(
        self, form: Mapping[str, str], headers: Mapping[str, str], base_url: str
    ) -> tuple[int, dict[str, Any]]:
        """
        Tell a client of a token: status and JSON body. A token that is none, or no more, is only inactive.
        """
        try:
            self._check_client(form, headers)
        except _RefusedError as refusal:
            return 401, refusal.as_json()
        token = form.get("token", "")
        with self._lock:
            session, refreshes = self._sessions.get(token), self._refresh.get(token)
        if session is not None and session.expires_at > self.org.clock.now():
            expires = int(session.expires_at.timestamp())
            issued = expires - self.org.settings.session_seconds
            times = {"exp": expires, "iat": issued, "nbf": issued}
            return 200, self._told(session.user_id, "access_token", base_url) | times
        if refreshes is not None:
            return 200, self._told(refreshes, "refresh_token", base_url)
        return 200, {"active": False}

    def _told(self, user_id: str, kind: str, base_url: str) -> dict[str, Any]:
        row = self.org.database.reader.execute('SELECT Username FROM "User" WHERE Id = ?', (user_id,)).fetchone()
        return {
            "active": True,
            "scope": SCOPE,
            "client_id": CLIENT_ID,
            "username": row[0] if row else None,
            "sub": f"{base_url}/id/{self.org.organization_id}/{user_id}",
            "token_type": kind,
        }

    def token(self, form: Mapping[str, str], headers: Mapping[str, str], base_url: str) -> tuple[int, dict[str, Any]]:
        """
        Answer one token request: status and JSON body. ``base_url`` is the address the request came to.
        """
        try:
            user_id, refresh = self._grant(form, headers, base_url)
        except _RefusedError as refusal:
            return 400, refusal.as_json()
        return 200, self._open(user_id, base_url, refresh=refresh)

    def by_password(self, username: str, password: str, base_url: str) -> dict[str, Any] | None:
        """
        A session as the token answer shows it, without a client's key, as SOAP logs in; None where it is refused. Any
        password but an empty one is right.
        """
        user_id = self.org.user_id(username) if password else None
        return None if user_id is None else self._open(user_id, base_url, refresh=False)

    def _open(self, user_id: str, base_url: str, *, refresh: bool) -> dict[str, Any]:
        now = self.org.clock.now()
        organization = self.org.organization_id
        token = f"{organization[:15]}!{secrets.token_urlsafe(60)}"
        with self._lock:
            # Ended sessions are dropped here so that a server running for days does not collect them.
            self._sessions = {key: each for key, each in self._sessions.items() if each.expires_at > now}
            shared = [key for key, each in self._sessions.items() if each.user_id == user_id]
            if self.org.settings.share_sessions and shared:
                token = shared[0]
            self._sessions[token] = Session(user_id, now + timedelta(seconds=self.org.settings.session_seconds))
        issued_at = str(int(now.timestamp() * 1000))
        identity = f"{base_url}/id/{organization}/{user_id}"
        signature = base64.b64encode(hashlib.sha256(f"{identity}{issued_at}".encode()).digest()).decode()
        body = {
            "access_token": token,
            "signature": signature,
            "scope": SCOPE,
            "instance_url": instance_url(base_url),
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
                if not form.get("password") or not self.org.settings.password_login:
                    raise _RefusedError("invalid_grant", "authentication failure")
                return self._active(form.get("username", ""), "authentication failure"), True
            case "refresh_token":
                user_id = self._refresh.get(form.get("refresh_token", ""))
                if form.get("client_id") != CLIENT_ID:
                    raise _RefusedError("invalid_client_id", "client identifier invalid")
                if user_id is None:
                    raise _RefusedError("invalid_grant", "expired access/refresh token")
                rotates = self.org.settings.rotate_refresh_tokens
                if rotates:
                    del self._refresh[form["refresh_token"]]
                return user_id, rotates
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

    def as_json(self) -> dict[str, str]:
        """
        The body; some refusals describe nothing.
        """
        described = {"error_description": self.description} if self.description else {}
        return {"error": self.error, **described}
