"""
The CONNECT port: a proxy that leads every tunnel to Salesforce's and Marketo's host names into the practice server.

Many clients insist on ``login.salesforce.com``; all of them take a proxy from ``HTTPS_PROXY``. The tunnel ends at the
server's own https port (or http port, where that is what was asked for), so TLS stays between client and server. It
reaches nothing else: a name that is not one of the server certificate's is refused. ``worker.practice.server`` runs it.
"""

import asyncio
import contextlib
import fnmatch
import re
import socket

from worker.practice.tls import NAMES

HEAD_LIMIT = 16_384  # bytes of a CONNECT request's head
HEAD_SECONDS = 15.0
CHUNK_BYTES = 1 << 16
CONNECT = re.compile(rb"CONNECT (\[[0-9a-fA-F:]+\]|[^\s:]+):(\d{1,5}) HTTP/1\.[01]\r\n")


class ConnectProxy:
    """
    Serves ``listener`` from ``start`` until ``stop``; ``http`` and ``https`` are the server's own. All are bound.
    """

    def __init__(self, listener: socket.socket, *, http: socket.socket, https: socket.socket) -> None:
        self._listener = listener
        self._http_port = http.getsockname()[1]
        self._https_port = https.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._tunnels: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """
        Begin to take tunnels, in the running loop.
        """
        self._server = await asyncio.start_server(self._take, sock=self._listener, limit=HEAD_LIMIT)

    async def stop(self) -> None:
        """
        End all tunnels and close the port.
        """
        if self._server is not None:
            self._server.close()
        for tunnel in self._tunnels:
            tunnel.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnel = asyncio.create_task(self._tunnel(reader, writer))
        self._tunnels.add(tunnel)
        try:
            await asyncio.wait([tunnel])
            if tunnel.cancelled() or tunnel.exception() is not None:
                writer.transport.abort()
        finally:
            self._tunnels.discard(tunnel)
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        port, refusal = self._destination(head)
        if refusal:
            writer.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, inner_writer))
                group.create_task(_pump(inner_reader, writer))
        except* OSError:
            # A reset at one end is a reset at the other, so that a fault looks the same through the proxy.
            writer.transport.abort()
        finally:
            inner_writer.close()

    def _destination(self, head: bytes) -> tuple[int, str]:
        """
        The port a tunnel leads to, or the status line of its refusal.
        """
        match = CONNECT.match(head)
        if match is None:
            return 0, "405 Only CONNECT is served here"
        host = match[1].decode("ascii", errors="replace").lower()
        if host != "127.0.0.1" and not any(fnmatch.fnmatchcase(host, name) for name in NAMES):
            return 0, "403 The practice proxy reaches only the practice server"
        return (self._http_port if int(match[2]) in {80, self._http_port} else self._https_port), ""


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK_BYTES):
        sink.write(chunk)
        await sink.drain()
    with contextlib.suppress(OSError):
        sink.write_eof()
