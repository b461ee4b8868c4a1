"""
Logging in to Salesforce: JWT bearer first, client credentials second, a refresh token third.

It turns credentials into a session and says in plain words why that failed. SOAP login is not offered: Salesforce
retires it. Tokens are never revoked: Salesforce may give the same one to every login of one user and app. ``session``
calls it, once for each new session.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, Protocol, TypeVar

import jwt

from worker.connectors.http import HttpSession, json_of, repeated, translated
from worker.connectors.salesforce.classify import VendorError, call_error, vendor_error
from worker.connectors.salesforce.hosts import DOOR, Address, checked_address
from worker.core.errors import Fatal, HeadwaterError

# Salesforce takes assertions that expire within five minutes; three leave room for clocks on both sides.
ASSERTION_SECONDS: Final = 180
_JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLOCK_SKEW_SECONDS: Final = 60.0

T = TypeVar("T")
Flow = Literal["jwt", "refresh_token", "client_credentials"]
Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Credentials:
    """
    How to log in. ``private_key`` (PEM) with ``username`` is JWT bearer, else ``refresh_token`` (with the app's
    ``client_secret`` where it wants one), else ``client_secret`` alone is client credentials.

    ``login_url`` is the org's My Domain address. ``audience`` is set only where the usual one is not right.
    """

    login_url: str
    client_id: str
    username: str | None = None
    private_key: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    audience: str | None = None

    @property
    def flow(self) -> Flow | None:
        """
        Which of the flows these are for; None where they are for none.
        """
        if self.private_key is not None:
            return "jwt"
        if self.refresh_token is not None:
            return "refresh_token"
        return "client_credentials" if self.client_secret is not None else None

    @property
    def name(self) -> str:
        """
        A name that two processes share exactly when they log in with the same things; tells nothing of them.
        """
        parts = (self.login_url, self.client_id, self.username, self.private_key, self.client_secret)
        whole = "\n".join(part or "" for part in (*parts, self.refresh_token, self.audience))
        return sha256(whole.encode()).hexdigest()[:32]


class Vault(Protocol):
    """
    Where a refresh token that replaced another is kept, so that it outlives this process.
    """

    def exchange(self, name: str, given: str, use: Callable[[str], tuple[T, str | None]]) -> T:
        """
        Call ``use`` with the token kept under ``name``, or ``given`` where none is, while nobody else does; the new
        token that ``use`` returns beside its result, if any, is kept before this returns.
        """


@dataclass(frozen=True)
class Login:
    """
    A session: its token, the address that serves it, the ids of organisation and user (None where the answer had none).

    ``is_shared`` says that another process opened it.
    """

    token: str = field(repr=False)
    instance: Address
    org_id: str | None
    user_id: str | None
    is_shared: bool = False


def log_in(
    session: HttpSession, credentials: Credentials, suffixes: Sequence[str], vault: Vault | None = None
) -> Login:
    """
    A new session.

    Raises Fatal HW-204 when Salesforce refuses, Retriable when it does not answer. An assertion that was refused while
    our clock disagrees with theirs is signed once more by theirs.
    """
    address = checked_address(credentials.login_url, suffixes)
    match credentials.flow:
        case "jwt":
            answer = _by_assertion(session, credentials, address)
        case "refresh_token":
            answer = _by_refresh_token(session, credentials, address, vault)
        case "client_credentials":
            form = {"grant_type": "client_credentials", "client_id": credentials.client_id}
            answer = _ask(session, address, form | {"client_secret": credentials.client_secret or ""})
        case None:
            raise Fatal(
                "HW-204",
                "there is nothing to log in to Salesforce with",
                actions=["Set SALESFORCE_PRIVATE_KEY_FILE and SALESFORCE_USERNAME, or SALESFORCE_CLIENT_SECRET."],
            )
    return _login_of(answer, address, suffixes)


def _by_assertion(session: HttpSession, credentials: Credentials, address: Address) -> Answer:
    now = time.time()
    try:
        return _ask(session, address, _assertion(credentials, address, now))
    except Fatal:
        skew = session.clock_offset or 0.0
        if abs(skew) < _CLOCK_SKEW_SECONDS:
            raise
        return _ask(session, address, _assertion(credentials, address, now + skew))


def _assertion(credentials: Credentials, address: Address, now: float) -> dict[str, str]:
    if not credentials.username or credentials.private_key is None:
        raise Fatal("HW-204", "JWT login needs a user name", actions=["Set SALESFORCE_USERNAME."])
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.username,
        "aud": credentials.audience or _audience(address),
        "exp": int(now) + ASSERTION_SECONDS,
    }
    try:
        return {"grant_type": _JWT_GRANT, "assertion": jwt.encode(claims, credentials.private_key, algorithm="RS256")}
    except (ValueError, TypeError, jwt.PyJWTError):
        # Not chained: the cause may quote the key.
        raise Fatal(
            "HW-204",
            "the private key cannot be read: it must be an RSA key in PEM form without a password",
            actions=["openssl genrsa -out headwater.key 2048"],
        ) from None


def _audience(address: Address) -> str:
    if not address.is_loopback and not address.host.endswith(".salesforce.com"):
        return address.url  # a cloud of its own knows its own addresses only
    is_test = address.host == "test.salesforce.com" or ".sandbox.my." in address.host
    return "https://test.salesforce.com" if is_test else "https://login.salesforce.com"


def _by_refresh_token(session: HttpSession, credentials: Credentials, address: Address, vault: Vault | None) -> Answer:
    form = {"grant_type": "refresh_token", "client_id": credentials.client_id}
    if credentials.client_secret is not None:
        form["client_secret"] = credentials.client_secret

    def use(token: str) -> tuple[Answer, str | None]:
        answer = _ask(session, address, form | {"refresh_token": token})
        replaced = answer.get("refresh_token")
        # With rotation on, the answer brings the next token and the one just used is dead.
        return answer, replaced if isinstance(replaced, str) and replaced != token else None

    given = credentials.refresh_token or ""
    return use(given)[0] if vault is None else vault.exchange(credentials.name, given, use)


def _ask(session: HttpSession, address: Address, form: dict[str, str]) -> Answer:
    def call() -> Answer:
        with translated(DOOR, is_harmless=True):
            response = session.post(f"{address.url}/services/oauth2/token", data=form)
            if response.status_code == 200:
                body = json_of(response.content)
                return body if isinstance(body, dict) else {}
        raise _refusal(response.status_code, _body(response), address)

    return repeated(call, session.bounds)


def _body(response: Any) -> Any:
    try:
        return json_of(response.content)
    except ValueError:
        return None


def _refusal(status: int, content: Any, address: Address) -> HeadwaterError:
    error = vendor_error(content)
    if status >= 500 or status in (406, 420, 429):
        return call_error(status, content, is_harmless=True)
    if error.code is None:
        return Fatal(
            DOOR.address,
            f"{address.host} answers a login with status {status} and no word of Salesforce's: it is no address of an "
            "organisation",
            actions=[_MY_DOMAIN_CURE],
        )
    return Fatal("HW-204", f"Salesforce refused the login (status {status})", vendor=error.words, actions=_cure(error))


_MY_DOMAIN_CURE: Final = (
    "Set SALESFORCE_LOGIN_URL to the address under Setup > My Domain: https://YOURCOMPANY.my.salesforce.com"
)
# What the words of a refusal mean, the first that fits; descriptions as seen by others' clients, read 2026-11.
_CURES_BY_WORDS: Final[Mapping[str, Sequence[str]]] = {
    "approved": [
        "Let the app's policy pre-authorize admin approved users, and give the user its permission set.",
    ],
    "expired authorization code": [
        "Set this machine's clock: Salesforce took the signed assertion for expired.",
        "timedatectl set-ntp true",
    ],
    "invalid assertion": [
        "The key is not that of the certificate in the app, which has expired or was replaced. Upload one of this key:",
        "openssl req -new -x509 -days 730 -key headwater.key -subj /CN=headwater -out headwater.crt",
    ],
    "audience": [_MY_DOMAIN_CURE],
    "not supported on this domain": [_MY_DOMAIN_CURE],
    "expired access/refresh token": [
        "Authorize the app again and set SALESFORCE_REFRESH_TOKEN to the new token.",
    ],
    "inactive user": ["Activate the integration user in Setup > Users."],
    "ip restricted": [
        "Add this machine's address to the login IP ranges of the user's profile, or relax the app's IP policy.",
    ],
    "authentication failure": [
        "Check SALESFORCE_USERNAME, and that the user is active and not locked: Setup > Users.",
    ],
}
_CURES_BY_CODE: Final[Mapping[str | None, Sequence[str]]] = {
    "invalid_client_id": ["Check SALESFORCE_CLIENT_ID: it is the consumer key of the External Client App."],
    "invalid_client": ["Check SALESFORCE_CLIENT_SECRET."],
    "unsupported_grant_type": ["Switch this login flow on in the External Client App's OAuth settings."],
    "invalid_app_access": ["Give the integration user the permission set that the app's policy asks for."],
}


def _cure(error: VendorError) -> Sequence[str]:
    for words, cure in _CURES_BY_WORDS.items():
        if words in error.message.lower():
            return cure
    return _CURES_BY_CODE.get(error.code, ["Look at the integration user's login history in Setup."])


def _is_header_text(token: str) -> bool:
    return token.isascii() and token.isprintable() and bool(token.strip())


def _login_of(answer: Answer, asked: Address, suffixes: Sequence[str]) -> Login:
    token, instance_url = answer.get("access_token"), answer.get("instance_url")
    if not isinstance(token, str) or not isinstance(instance_url, str) or not _is_header_text(token):
        raise Fatal(DOOR.garbled, "Salesforce's answer to the login holds no session")
    found = re.search(r"/id/(00D[A-Za-z0-9]{12,15})/(005[A-Za-z0-9]{12,15})", str(answer.get("id", "")))
    ids = (found.group(1), found.group(2)) if found else (None, None)
    return Login(token, instance_of(instance_url, asked, suffixes), *ids)


def instance_of(url: str, asked: Address, suffixes: Sequence[str]) -> Address:
    """
    The address of the session's instance. Raises Fatal HW-201 where it is none that may be called.
    """
    instance = checked_address(url, suffixes)
    # A session from Salesforce is never carried to this machine, nor a practice org's to Salesforce.
    if instance.is_loopback != asked.is_loopback:
        raise Fatal(DOOR.address, f"the login names {instance.host} as its instance, which is not called")
    return instance
