"""
Calls to one Salesforce organisation: simple-salesforce with our session, our login and our words for trouble.

It knows the wire and nothing of streams or fields. simple-salesforce builds and sends the calls; its login, its SObject
path and its Bulk helper are not used: they lose headers on a new login, repeat without end, and wait without a limit.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import quote

import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError

from worker.connectors.base import Usage
from worker.connectors.http import HttpOptions, HttpSession, Passing, json_of, repeated, translated
from worker.connectors.salesforce.classify import SessionBarred, SessionRefused, call_error
from worker.connectors.salesforce.hosts import DOOR, HostRule, checked_address
from worker.connectors.salesforce.login import Credentials, Login, Vault
from worker.connectors.salesforce.session import LOGINS_PER_HOUR, SessionKeeper, Shelf
from worker.core.errors import Fatal

__all__ = ["BATCH_CALLS", "Credentials", "Part", "SalesforceClient"]

T = TypeVar("T")

# Subrequests in one composite/batch call, a limit of Salesforce's (read 2026-11).
BATCH_CALLS: Final = 25
# Sessions tried for one call: the one at hand, one that another process has opened meanwhile, one of our own.
_SESSIONS_A_CALL: Final = 3
_USAGE: Final = re.compile(r"(?<![\w-])api-usage=(\d+)/(\d+)")
_LOCATOR_PATH: Final = re.compile(r"/services/data/v\d{2,3}\.\d/query(?:All)?/[A-Za-z0-9_-]+")

# They belong to the session and not to single calls: a client that repeats a call may lose a call's own headers.
SESSION_HEADERS: Final[Mapping[str, str]] = {
    "Sforce-Auto-Assign": "FALSE",
    "Sforce-Duplicate-Rule-Header": "allowSave=true",
    "Sforce-Call-Options": "client=headwater",
}


@dataclass(frozen=True)
class Part:
    """
    One answer within a composite/batch call: its own status and body.
    """

    status: int
    body: Any

    def result(self) -> dict[str, Any]:
        """
        The body, an object; raises as a call of its own would.
        """
        if self.status < 300:
            return _object(self.body)
        raise call_error(self.status, self.body, is_harmless=True)


class SalesforceClient:
    """
    One organisation, one session at a time, logged in at the first call and once more when the session is refused.

    ``version`` is the API's ("64.0"). ``host_suffixes`` admits other clouds' My Domain suffixes (".my.salesforce.mil").
    ``shelf`` and ``vault`` as in ``session`` and ``login``: without them this process logs in for itself. Numbers of
    answers are Decimal or int. Raises Fatal and Retriable with codes HW-2xx.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        version: str = "64.0",
        options: HttpOptions | None = None,
        host_suffixes: Sequence[str] = (),
        shelf: Shelf | None = None,
        vault: Vault | None = None,
        logins_per_hour: int = LOGINS_PER_HOUR,
    ) -> None:
        if not re.fullmatch(r"\d{2,3}\.0", version):
            raise Fatal("HW-210", f"{version} is not a version of the Salesforce API", actions=["Use one like 64.0."])
        self.version = version
        address = checked_address(credentials.login_url, host_suffixes)
        self.login_host = address.host
        rule = HostRule(address, tuple(host_suffixes))
        self._session = HttpSession(DOOR, options or HttpOptions(), rule.allows, self._read_headers)
        self._session.headers.update(SESSION_HEADERS)
        self._keeper = SessionKeeper(
            self._session, credentials, host_suffixes, shelf=shelf, vault=vault, logins_per_hour=logins_per_hour
        )
        self._lock = threading.Lock()
        self._wires: tuple[Login, Salesforce] | None = None
        self._usage: Usage | None = None
        self._notice: str | None = None
        self._calls_made = 0

    @property
    def session(self) -> HttpSession:
        """
        The session all calls go through.
        """
        return self._session

    @property
    def path(self) -> str:
        """
        The path that every resource begins with: "/services/data/v64.0".
        """
        return f"/services/data/v{self.version}"

    def usage(self) -> Usage | None:
        """
        The organisation's calls of its rolling day, from the last answer.
        """
        return self._usage

    def notice(self) -> str | None:
        """
        What the last answer's Warning header says: that this version of the API is about to be retired, for one.
        """
        return self._notice

    @property
    def calls_made(self) -> int:
        """
        The API calls of this process so far, logins aside, whether or not they were answered.
        """
        return self._calls_made

    def now(self) -> datetime:
        """
        The organisation's present instant, rounded up to the second. Costs a call only where no answer has come yet: a
        login, or the list of versions where another process has opened the session.
        """
        if not self._session.has_answered:
            self._keeper.current()
        if not self._session.has_answered:
            self.ask("GET", "")
        return self._session.platform_now()

    def org_id(self) -> str | None:
        """
        The organisation's id as the login gave it; logs in when nothing was asked yet.
        """
        return self._keeper.current().org_id

    def user_id(self) -> str | None:
        """
        The integration user's id as the login gave it.
        """
        return self._keeper.current().user_id

    def host(self) -> str:
        """
        The host that serves the session.
        """
        return self._keeper.current().instance.netloc

    def ask(self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """
        A call that may be made twice: a read, whatever its method. ``path`` follows the version ("limits").
        """
        return repeated(lambda: self._call(method, path, params, body, is_harmless=True), self._session.bounds)

    def ask_object(self, path: str, *, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """
        A read by GET whose answer must be an object. Raises Passing HW-203 for anything else.
        """
        return repeated(lambda: _object(self._call("GET", path, params, None, is_harmless=True)), self._session.bounds)

    def tell(self, method: str, path: str, body: Any) -> Any:
        """
        A call that changes something, made once.

        Raises Ambiguous when it may have happened, Passing or another Retriable when it certainly did not.
        """
        return self._call(method, path, None, body, is_harmless=False)

    def batch(self, paths: Sequence[str]) -> list[Part]:
        """
        Several reads in as few calls as can be: 25 each call. Paths begin with "/services/data/".
        """
        parts: list[Part] = []
        for start in range(0, len(paths), BATCH_CALLS):
            wanted = paths[start : start + BATCH_CALLS]
            parts += repeated(partial(self._batch, wanted), self._session.bounds)
        return parts

    def query_path(self, soql: str) -> str:
        """
        The path of a query that sees deleted and archived records too, for ``batch``.
        """
        return f"{self.path}/queryAll?q={quote(soql, safe='')}"

    def query(self, soql: str) -> dict[str, Any]:
        """
        The first page of a query that sees deleted and archived records too.
        """
        return self.ask_object("queryAll", params={"q": soql})

    def more(self, next_records_url: str) -> dict[str, Any]:
        """
        A further page. Raises LocatorLost when Salesforce has dropped it, Fatal when it leads elsewhere.
        """
        if not _LOCATOR_PATH.fullmatch(next_records_url):
            raise Fatal(DOOR.address, "Salesforce names a next page outside its own query resource, which is not read")

        def call(salesforce: Salesforce) -> Any:
            return salesforce.query_more(next_records_url, identifier_is_url=True)

        return repeated(lambda: _object(self._attempt(call, is_harmless=True)), self._session.bounds)

    def open_csv(self, path: str, params: Mapping[str, str]) -> requests.Response:
        """
        A result in CSV whose body is not read yet: take it with ``session.body``.
        """

        def call(salesforce: Salesforce) -> requests.Response:
            headers = {**salesforce.headers, "Accept": "text/csv"}
            url = f"{salesforce.base_url}{path}"
            response = self._session.get(url, params=dict(params), headers=headers, stream=True)
            if response.status_code >= 300:
                content = b"".join(self._session.body(response, self._session.bounds.max_body_bytes))
                raise call_error(response.status_code, _parsed(content), is_harmless=True)
            return response

        return repeated(lambda: self._attempt(call, is_harmless=True), self._session.bounds)

    def send_csv(self, path: str, content: bytes) -> None:
        """
        A body in CSV by PUT, sent once. Raises as ``tell`` does.
        """

        def call(salesforce: Salesforce) -> None:
            headers = {**salesforce.headers, "Content-Type": "text/csv; charset=UTF-8"}
            response = self._session.put(f"{salesforce.base_url}{path}", data=content, headers=headers)
            if response.status_code >= 300:
                raise call_error(response.status_code, _parsed(response.content), is_harmless=False)

        self._attempt(call, is_harmless=False)

    def _batch(self, paths: Sequence[str]) -> list[Part]:
        body = json.dumps({"batchRequests": [{"method": "GET", "url": path} for path in paths], "haltOnError": False})

        def call(salesforce: Salesforce) -> list[Part]:
            answer = _object(salesforce.restful("composite/batch", method="POST", data=body))
            results = answer.get("results")
            if not isinstance(results, list) or len(results) != len(paths) or not all(map(_is_part, results)):
                raise Passing(DOOR.garbled, f"Salesforce answered a batch of {len(paths)} reads with something else")
            parts = [Part(result["statusCode"], result.get("result")) for result in results]
            for part in parts:
                if part.status == 401:  # the session ended between two parts: they are all asked with another
                    part.result()
            return parts

        return self._attempt(call, is_harmless=True)

    def _call(self, method: str, path: str, params: Mapping[str, str] | None, body: Any, *, is_harmless: bool) -> Any:
        data = None if body is None else json.dumps(body)

        def call(salesforce: Salesforce) -> Any:
            return salesforce.restful(path, params=dict(params or {}), method=method, data=data)

        return self._attempt(call, is_harmless=is_harmless)

    def _attempt(self, call: Callable[[Salesforce], T], *, is_harmless: bool) -> T:
        login = self._keeper.current()
        for renewals in range(_SESSIONS_A_CALL):
            try:
                result = self._translated(call, self._wire(login), is_harmless=is_harmless)
            except SessionRefused as error:
                # A refused session did nothing: the call may be made again, also a write.
                is_last = renewals == _SESSIONS_A_CALL - 1 or (renewals > 0 and not login.is_shared)
                if is_last:
                    self._keeper.refused_again(login, error)
                    raise
                login = self._keeper.renewed(login, error)
            except SessionBarred as error:
                self._keeper.barred(error)
                raise
            else:
                break
        self._keeper.accepted(login)
        return result

    def _translated(self, call: Callable[[Salesforce], T], salesforce: Salesforce, *, is_harmless: bool) -> T:
        self._calls_made += 1
        with translated(DOOR, is_harmless=is_harmless):
            try:
                return call(salesforce)
            except SalesforceError as error:
                # Not chained: the library's exception quotes the whole answer, records included.
                raise call_error(error.status, error.content, is_harmless=is_harmless) from None

    def _wire(self, login: Login) -> Salesforce:
        with self._lock:
            if self._wires is None or self._wires[0].token != login.token:
                if login.instance.scheme == "http":
                    self._session.speak_http_to(login.instance.netloc)
                self._wires = (login, self._salesforce_of(login))
            return self._wires[1]

    def _salesforce_of(self, login: Login) -> Salesforce:
        salesforce = _Wire(
            session_id=login.token,
            instance_url=login.instance.url,
            session=self._session,
            version=self.version,
            parse_float=Decimal,
            object_pairs_hook=None,
        )
        salesforce.headers.pop("X-PrettyPrint", None)  # it makes every answer a third larger
        return salesforce

    def _read_headers(self, response: requests.Response) -> None:
        self._notice = response.headers.get("Warning", "")[:300] or None
        found = _USAGE.search(response.headers.get("Sforce-Limit-Info", ""))
        if found:
            self._usage = Usage(used=int(found.group(1)), allowed=int(found.group(2)))


class _Wire(Salesforce):
    """
    The library with our own reading of JSON: it measures what it parsed, which fails for null and for numbers.
    """

    def parse_result_to_json(self, result: requests.Response) -> Any:
        answer = json_of(result.content, parse_float=Decimal)
        if not isinstance(answer, dict | list):
            raise requests.exceptions.JSONDecodeError("neither an object nor a list", "", 0)
        return answer


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise Passing(DOOR.garbled, "Salesforce answered with something that is no object where one was expected")
    return answer


def _is_part(result: Any) -> bool:
    return isinstance(result, dict) and isinstance(result.get("statusCode"), int)


def _parsed(content: bytes) -> Any:
    try:
        return json_of(content)
    except ValueError:
        return None
