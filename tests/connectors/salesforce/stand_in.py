"""
A stand-in for one Salesforce address, for what no faithful org would ever do: wrong shapes, foreign hosts, refusals.

It answers at the wire (through ``responses``), so the client under test is whole. Tests that need a real org's
behaviour use the practice org.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import responses
from requests import PreparedRequest

from worker.connectors.http import HttpOptions
from worker.connectors.salesforce.client import Credentials, SalesforceClient
from worker.connectors.salesforce.mapping import OBJECTS

HOST = "https://acme.my.salesforce.com"
ORG_ID = "00D000000000001EAA"
USER_ID = "005000000000001AAA"
Reply = tuple[int, dict[str, str], str | bytes]
QUICK = HttpOptions(attempts=3, pause_seconds=0.001)


def json_reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return status, {"Content-Type": "application/json;charset=UTF-8", **(headers or {})}, json.dumps(body)


def refused(status: int, code: str, message: str = "") -> Reply:
    return json_reply([{"errorCode": code, "message": message}], status)


def page(records: list[dict[str, Any]], following: str | None = None, total: int | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "totalSize": len(records) if total is None else total,
        "done": following is None,
        "records": records,
    }
    return answer if following is None else answer | {"nextRecordsUrl": following}


def describe_of(object_name: str, *extra: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    source = next(each for each in OBJECTS.values() if each.object_name == object_name)
    names = [name for candidates in source.columns.values() for name in candidates]
    names += [*source.inputs, "SystemModstamp", *extra]
    instants = {"SystemModstamp", "CreatedDate", "CompletedDateTime", "ActivityDateTime"}
    fields = [
        {"name": name, "type": "datetime" if name in instants else "string", "filterable": True, "updateable": True}
        for name in dict.fromkeys(names)
        if name not in without
    ]
    return {"name": object_name, "fields": fields, "deletable": True, "replicateable": True}


@dataclass
class StandIn:
    """
    ``replies`` maps "METHOD path-after-the-version" (or a prefix of it) to what is answered, also as a part of a
    composite/batch call, of whose answers the first ``keep_parts`` are given; ``raw_batch`` replaces its whole
    answer. ``seen`` keeps every request. Tokens are
    T1, T2 ... in the order of logins.
    """

    replies: dict[str, Callable[[str], Reply]] = field(default_factory=dict)
    seen: list[PreparedRequest] = field(default_factory=list)
    login: Callable[[Mapping[str, str]], Reply] | None = None
    logins: int = 0
    instance_url: str = HOST
    refused_tokens: set[str] = field(default_factory=set)
    keep_parts: int | None = None
    raw_batch: Reply | None = None

    def on(self, what: str, reply: Callable[[str], Reply] | Reply) -> None:
        self.replies[what] = reply if callable(reply) else lambda _: reply

    def describes(self, object_name: str, *extra: str, without: tuple[str, ...] = ()) -> None:
        self.on(f"GET sobjects/{object_name}/describe", json_reply(describe_of(object_name, *extra, without=without)))

    def calls(self, method: str, part: str) -> list[PreparedRequest]:
        return [each for each in self.seen if each.method == method and part in str(each.url)]

    def parts(self) -> list[list[str]]:
        """
        The addresses within each composite/batch call, decoded.
        """
        bodies = [json.loads(each.body or "{}") for each in self.calls("POST", "composite/batch")]
        return [[unquote(part["url"]) for part in body["batchRequests"]] for body in bodies]

    def answer(self, request: PreparedRequest) -> Reply:
        self.seen.append(request)
        address = urlsplit(str(request.url))
        if address.path == "/services/oauth2/token":
            return self._log_in(request)
        token = str(request.headers["Authorization"]).removeprefix("Bearer ")
        if token in self.refused_tokens:
            return refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        resource = address.path.partition("/services/data/")[2].partition("/")[2]
        if resource == "composite/batch":
            return self._batch(request) if self.raw_batch is None else self.raw_batch
        return self._reply(str(request.method), resource, parse_qs(address.query).get("q", [""])[0])

    def _log_in(self, request: PreparedRequest) -> Reply:
        form = {name: values[0] for name, values in parse_qs(str(request.body)).items()}
        if self.login is not None:
            return self.login(form)
        self.logins += 1
        return json_reply(
            {
                "access_token": f"T{self.logins}",
                "instance_url": self.instance_url,
                "id": f"https://login.salesforce.com/id/{ORG_ID}/{USER_ID}",
                "token_type": "Bearer",
                "issued_at": "1708058728442",
            }
        )

    def _batch(self, request: PreparedRequest) -> Reply:
        results = []
        for part in json.loads(request.body or "{}")["batchRequests"]:
            address = urlsplit(part["url"])
            resource = address.path.partition("/services/data/")[2].partition("/")[2]
            status, _, body = self._reply(part["method"], resource, parse_qs(address.query).get("q", [""])[0])
            results.append({"statusCode": status, "result": json.loads(body)})
        return json_reply({"hasErrors": False, "results": results[: self.keep_parts]})

    def _reply(self, method: str, resource: str, soql: str) -> Reply:
        key = f"{method} {resource}"
        found = [name for name in self.replies if key.startswith(name)]
        if not found:
            return refused(404, "NOT_FOUND", f"nothing stands in for {key}")
        return self.replies[max(found, key=len)](soql)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    org = StandIn()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST", "PATCH", "DELETE"):
            mock.add_callback(method, re.compile(r"https?://.*"), callback=org.answer)
        yield org


def client_of(**changes: Any) -> SalesforceClient:
    credentials = Credentials(HOST, "headwater", client_secret="practice-secret")
    return SalesforceClient(changes.pop("credentials", credentials), options=QUICK, **changes)
