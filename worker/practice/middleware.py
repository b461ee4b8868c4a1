"""
The outermost layer of the practice server: reads each request whole, strikes it with the faults ordered for it, stamps
the answer with the practice clock, and writes the journal.

Control calls (``/__practice__/``) pass untouched and unrecorded. What the routes know better than this layer (who
calls, how many rows, whether a POST was a read) they leave in ``scope["practice"]``: keys ``caller``, ``rows`` and
``kind``.
"""

import asyncio
import contextlib
import socket
import struct
import zlib
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from worker.practice.journal import BODY_LIMIT, Entry, Kind
from worker.practice.salesforce.auth import token_of
from worker.practice.state import PracticeState

CONTROL_PATH = "/__practice__/"
TOKEN_PATHS = ("/services/oauth2/", "/services/Soap/", "/identity/")

IDLE_SECONDS = 0.1  # from the end of an answer to the reset of its connection
TRICKLES = 10  # pieces of an answer that trickles

_transports: dict[tuple[str, int], asyncio.Transport] = {}


class Protocol(H11Protocol):
    """
    uvicorn's HTTP protocol, remembering each peer's transport so that a fault can cut the connection.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own looseness
        """
        Remember the transport under the peer's address.
        """
        super().connection_made(transport)
        if self.client is not None:
            _transports[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Forget the transport.
        """
        if self.client is not None:
            _transports.pop(self.client, None)
        super().connection_lost(exc)


def abort_connections() -> None:
    """
    Drop every open connection, at the server's end.
    """
    for transport in list(_transports.values()):
        transport.abort()


class ConnectionCutError(Exception):
    """
    A fault closed the connection: whatever the route still wants to send has nowhere to go.
    """


class PracticeMiddleware:
    """
    ASGI middleware carrying out what the module's docstring says.
    """

    def __init__(self, app: ASGIApp, state: PracticeState) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Serve one request.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        dated = _Dated(self.state, send)
        if scope["path"].startswith(CONTROL_PATH):
            # The https port looks like Salesforce and nothing else.
            found = self.app if scope["scheme"] == "http" else PlainTextResponse("Not Found", 404)
            await found(scope, receive, dated)
            return
        body = await _read_body(receive)
        if body is None:
            return
        exchange = _Exchange(self.state, scope, dated, body)
        org = self.state.salesforce if exchange.system == "salesforce" else None
        try:
            with org.in_flight.request() if org is not None else contextlib.nullcontext():
                await exchange.run(self.app)
        finally:
            exchange.record()


class _Dated:
    def __init__(self, state: PracticeState, send: Send) -> None:
        self._state = state
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            stamp = format_datetime(self._state.clock.now(), usegmt=True).encode()
            headers = [(name, value) for name, value in message.get("headers", []) if name.lower() != b"date"]
            message = {**message, "headers": [*headers, (b"date", stamp)]}
        await self._send(message)


class _Exchange:
    """
    One request on its way through faults, routes and journal.
    """

    def __init__(self, state: PracticeState, scope: Scope, send: Send, body: bytes) -> None:
        self.state = state
        self.scope = scope
        self.body = body
        self.status: int | None = None
        self.system = system_of(scope["path"])
        self.at = state.clock.now().isoformat()
        query = scope["query_string"].decode("latin-1")
        self.target = scope["path"] + (f"?{query}" if query else "")
        now = state.clock.now()
        self.action: Mapping[str, Any] = state.faults.find(self.system, scope["method"], self.target, now) or {}
        self._send = send
        self._sent = 0
        self._replayed = False
        self._finished = asyncio.Event()
        scope["practice"] = {}

    async def run(self, app: ASGIApp) -> None:
        if self.action.get("reset") == "before":
            self._cut()
            return
        if "delay_seconds" in self.action and self.action.get("when", "before") == "before":
            await asyncio.sleep(float(self.action["delay_seconds"]))
        if "status" in self.action:
            await self._answer_fault()
            return
        if self.action.get("expire"):
            self._expire()
        try:
            await app(self.scope, self._receive, self._intercept)
        except ConnectionCutError:
            return
        finally:
            self._finished.set()

    def record(self) -> None:
        notes = self.scope["practice"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        self.state.journal.record(
            Entry(
                at=self.at,
                system=self.system,
                method=self.scope["method"],
                path=self.scope["path"],
                query=self.scope["query_string"].decode("latin-1"),
                headers=headers,
                body=self._body_text(headers) if self.body else None,
                status=self.status,
                rows=notes.get("rows"),
                caller=notes.get("caller"),
                kind=notes.get("kind") or kind_of(self.scope["method"], self.scope["path"]),
            )
        )

    def _body_text(self, headers: Mapping[str, str]) -> str:
        content = self.body
        if headers.get("content-encoding") == "gzip":
            try:
                content = zlib.decompressobj(wbits=31).decompress(content, BODY_LIMIT * 4)
            except zlib.error:
                return "(a body that says gzip and is not)"
        return content[: BODY_LIMIT * 4].decode("utf-8", errors="replace")

    async def _receive(self) -> Message:
        if not self._replayed:
            self._replayed = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self._finished.wait()
        return {"type": "http.disconnect"}

    async def _intercept(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._before_answer()
            self.status = message["status"]
            if self.action.get("chunked"):
                kept = [each for each in message.get("headers", []) if each[0].lower() != b"content-length"]
                message = {**message, "headers": kept}
        elif message["type"] == "http.response.body" and "trickle_seconds" in self.action:
            await self._trickle(message)
            return
        elif message["type"] == "http.response.body" and "cut_body_at" in self.action:
            room = max(0, int(self.action["cut_body_at"]) - self._sent)
            body = message.get("body", b"")
            if len(body) > room or not message.get("more_body", False):
                await self._send({"type": "http.response.body", "body": body[:room], "more_body": True})
                self._close()
                raise ConnectionCutError
            self._sent += len(body)
        await self._send(message)
        ends = message["type"] == "http.response.body" and not message.get("more_body", False)
        if ends and self.action.get("reset") == "idle":
            # Not before the client has read the answer: its own socket would lose it to the reset.
            asyncio.get_running_loop().call_later(IDLE_SECONDS, self._cut)

    async def _trickle(self, message: Message) -> None:
        body = message.get("body", b"")
        size = max(1, -(-len(body) // TRICKLES))
        for start in range(0, max(1, len(body)), size):
            await asyncio.sleep(float(self.action["trickle_seconds"]) / TRICKLES)
            last = start + size >= len(body) and not message.get("more_body", False)
            await self._send({**message, "body": body[start : start + size], "more_body": not last})

    def _expire(self) -> None:
        """
        End the session the request comes with, so that the org itself refuses it.
        """
        if self.state.salesforce is not None:
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
            self.state.salesforce.sessions.revoke(token_of(headers))

    async def _before_answer(self) -> None:
        if self.action.get("reset") == "after":
            self._cut()
            raise ConnectionCutError
        if "delay_seconds" in self.action and self.action.get("when") == "after":
            await asyncio.sleep(float(self.action["delay_seconds"]))
        if "gate" in self.action:
            await self.state.faults.gates.wait(str(self.action["gate"]), f"{self.scope['method']} {self.target}")

    async def _answer_fault(self) -> None:
        body = str(self.action.get("body", "")).encode()
        content_type = str(self.action.get("content_type", "text/html")).encode()
        headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
        for name, value in dict(self.action.get("headers") or {}).items():
            headers.append((str(name).lower().encode(), str(value).encode()))
        self.status = int(self.action["status"])
        await self._send({"type": "http.response.start", "status": self.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _cut(self) -> None:
        """
        Reset the connection: with a zero linger time the peer sees ECONNRESET rather than an orderly end.
        """
        transport = self._transport()
        if transport is None:
            return
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def _close(self) -> None:
        transport = self._transport()
        if transport is not None:
            transport.close()

    def _transport(self) -> asyncio.Transport | None:
        client = self.scope.get("client")
        return _transports.get((client[0], client[1])) if client else None


async def _read_body(receive: Receive) -> bytes | None:
    """
    The whole body; None where the sender went away before it was: half a request is no request.
    """
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def system_of(path: str) -> str:
    """
    Which system a path belongs to: ``salesforce``, ``marketo`` or ``other``.
    """
    if path.startswith(("/services", "/id/")):
        return "salesforce"
    if path.startswith(("/rest/", "/identity/", "/bulk/")):
        return "marketo"
    return "other"


def kind_of(method: str, path: str) -> Kind:
    """
    What a request was, as far as method and path tell. Routes that know better say so in ``scope["practice"]``.
    """
    if path.startswith(TOKEN_PATHS):
        return "token"
    if method in {"GET", "HEAD"}:
        return "read"
    return "write" if method in {"POST", "PUT", "PATCH", "DELETE"} else "other"
