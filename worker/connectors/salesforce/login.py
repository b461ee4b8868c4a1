"""
Logging in to Salesforce: JWT bearer first, client credentials second.

It turns credentials into a session and says in plain words why that failed. SOAP login is not offered: Salesforce
retires it. The client calls it, once a session.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from worker.connectors.http import HttpSession, json_of, repeated, translated
from worker.connectors.salesforce.classify import call_error, vendor_error
from worker.connectors.salesforce.hosts import DOOR, Address, checked_address
from worker.core.errors import Fatal, HeadwaterError

# Salesforce takes assertions that expire within five minutes; three leave room for clocks on both sides.
ASSERTION_SECONDS: Final = 180
_JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLOCK_SKEW_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Credentials:
    """
    How to log in. ``private_key`` (PEM) with ``username`` is JWT bearer, else ``client_secret`` client credentials.

    ``login_url`` is the org's My Domain address. ``audience`` is set only where the usual one is not right.
    """

    login_url: str
    client_id: str
    username: str | None = None
    private_key: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    audience: str | None = None


@dataclass(frozen=True)
class Login:
    """
    A session: its token, the address that serves it, the ids of organisation and user (None where the answer had none).
    """

    token: str = field(repr=False)
    instance: Address
    org_id: str | None
    user_id: str | None


def log_in(session: HttpSession, credentials: Credentials, suffixes: Sequence[str]) -> Login:
    """
    A new session.

    Raises Fatal HW-204 when Salesforce refuses, Retriable when it does not answer. An assertion that was refused while
    our clock disagrees with theirs is signed once more by theirs.
    """
    address = checked_address(credentials.login_url, suffixes)
    now = time.time()
    try:
        answer = _ask(session, address, _form(credentials, address, now))
    except Fatal:
        skew = session.clock_offset or 0.0
        if credentials.private_key is None or abs(skew) < _CLOCK_SKEW_SECONDS:
            raise
        answer = _ask(session, address, _form(credentials, address, now + skew))
    return _login_of(answer, address, suffixes)


def _form(credentials: Credentials, address: Address, now: float) -> dict[str, str]:
    if credentials.private_key is not None:
        return {"grant_type": _JWT_GRANT, "assertion": _assertion(credentials, address, now)}
    if credentials.client_secret is not None:
        return {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
    raise Fatal(
        "HW-204",
        "there is nothing to log in to Salesforce with",
        actions=["Set SALESFORCE_PRIVATE_KEY_FILE and SALESFORCE_USERNAME, or SALESFORCE_CLIENT_SECRET."],
    )


def _assertion(credentials: Credentials, address: Address, now: float) -> str:
    if not credentials.username or credentials.private_key is None:
        raise Fatal("HW-204", "JWT login needs a user name", actions=["Set SALESFORCE_USERNAME."])
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.username,
        "aud": credentials.audience or _audience(address),
        "exp": int(now) + ASSERTION_SECONDS,
    }
    try:
        return jwt.encode(claims, credentials.private_key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        # Not chained: the cause may quote the key.
        raise Fatal(
            "HW-204",
            "the private key cannot be read: it must be an RSA key in PEM form without a password",
            actions=["openssl genrsa -out headwater.key 2048"],
        ) from None


def _audience(address: Address) -> str:
    is_test = address.host == "test.salesforce.com" or ".sandbox.my." in address.host
    return "https://test.salesforce.com" if is_test else "https://login.salesforce.com"


def _ask(session: HttpSession, address: Address, form: dict[str, str]) -> dict[str, Any]:
    def call() -> dict[str, Any]:
        with translated(DOOR, is_harmless=True):
            response = session.post(f"{address.url}/services/oauth2/token", data=form)
            if response.status_code == 200:
                body = json_of(response.content)
                return body if isinstance(body, dict) else {}
        raise _refusal(response.status_code, _body(response))

    return repeated(call, session.bounds)


def _body(response: Any) -> Any:
    try:
        return json_of(response.content)
    except ValueError:
        return None


def _refusal(status: int, content: Any) -> HeadwaterError:
    error = vendor_error(content)
    if status >= 500 or status in (406, 420, 429):
        return call_error(status, content, is_harmless=True)
    cures = {
        "invalid_client_id": "Check SALESFORCE_CLIENT_ID: it is the consumer key of the External Client App.",
        "invalid_client": "Check SALESFORCE_CLIENT_SECRET.",
        "unsupported_grant_type": "Switch this login flow on in the External Client App's OAuth settings.",
    }
    cure = cures.get(error.code or "", "Look at the integration user's login history in Setup.")
    if "approved" in error.message:
        cure = "Let the app's policy pre-authorize admin approved users, and give the user its permission set."
    elif "expired authorization code" in error.message:
        cure = "Set this machine's clock: Salesforce took the signed assertion for expired."
    elif "audience" in error.message:
        cure = "Use the My Domain address as SALESFORCE_LOGIN_URL."
    return Fatal("HW-204", f"Salesforce refused the login (status {status})", vendor=error.words, actions=[cure])


def _is_header_text(token: str) -> bool:
    return token.isascii() and token.isprintable() and bool(token.strip())


def _login_of(answer: dict[str, Any], asked: Address, suffixes: Sequence[str]) -> Login:
    token, instance_url = answer.get("access_token"), answer.get("instance_url")
    if not isinstance(token, str) or not isinstance(instance_url, str) or not _is_header_text(token):
        raise Fatal(DOOR.garbled, "Salesforce's answer to the login holds no session")
    instance = checked_address(instance_url, suffixes)
    # A session from Salesforce is never carried to this machine, nor a practice org's to Salesforce.
    if instance.is_loopback != asked.is_loopback:
        raise Fatal(DOOR.address, f"the login names {instance.host} as its instance, which is not called")
    found = re.search(r"/id/(00D[A-Za-z0-9]{12,15})/(005[A-Za-z0-9]{12,15})", str(answer.get("id", "")))
    return Login(token, instance, found.group(1) if found else None, found.group(2) if found else None)
