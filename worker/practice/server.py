"""
The practice server: one process, an http and an https port on 127.0.0.1, both with the routes of both orgs, and a
CONNECT port for clients that insist on Salesforce's host names.

``serve`` runs until it is told to stop; ``worker.cli.practice`` and ``python -m worker.practice`` call it. What the
server's address and keys are is written to ``endpoints.json`` in the data folder, for whoever wants to point a client.
"""

import asyncio
import contextlib
import importlib
import json
import os
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from worker.practice import control
from worker.practice.beginning import Beginning
from worker.practice.clock import Clock
from worker.practice.identity import CLIENT_ID, CLIENT_SECRET, USERNAME
from worker.practice.middleware import PracticeMiddleware, Protocol, abort_connections
from worker.practice.proxy import ConnectProxy
from worker.practice.salesforce.org import RECORDS_FILE, Org
from worker.practice.state import PracticeState
from worker.practice.tls import KeyFiles, ensure_keys

HTTP_PORT = 8380
HTTPS_PORT = 8343
ENDPOINTS_FILE = "endpoints.json"
CLOSING_SECONDS = 0.5


@dataclass(frozen=True)
class Ports:
    """
    Where to listen on 127.0.0.1; 0 takes a free port. ``proxy`` is the CONNECT port, None for none.
    """

    http: int = HTTP_PORT
    https: int = HTTPS_PORT
    proxy: int | None = None


DEFAULT_PORTS = Ports()
PLAIN = Beginning()


@dataclass(frozen=True)
class Endpoints:
    """
    Where a running practice server is found: base addresses without trailing slash, and absolute paths of its files.
    ``proxy_url`` is what a client takes as ``HTTPS_PROXY``; empty where no CONNECT port was asked for.
    """

    http_url: str
    https_url: str
    data: str
    ca_file: str
    private_key_file: str
    proxy_url: str = ""

    def environment(self) -> dict[str, str]:
        """
        The settings that point Headwater at this server, by name.
        """
        return {
            "SALESFORCE_LOGIN_URL": self.https_url,
            "SALESFORCE_CLIENT_ID": CLIENT_ID,
            "SALESFORCE_USERNAME": USERNAME,
            "SALESFORCE_PRIVATE_KEY_FILE": self.private_key_file,
            "SALESFORCE_CA_FILE": self.ca_file,
            "MARKETO_URL": self.http_url,
            "MARKETO_CLIENT_ID": CLIENT_ID,
            "MARKETO_CLIENT_SECRET": CLIENT_SECRET,
        }


def read_endpoints(data: Path) -> Endpoints:
    """
    What the server using the folder ``data`` wrote about itself. Raises ``FileNotFoundError`` if none ever did.
    """
    return Endpoints(**json.loads((data / ENDPOINTS_FILE).read_text()))


def build_app(state: PracticeState) -> Starlette:
    """
    The application over ``state``: control routes, the Salesforce org, and the marketing platform if it is installed.
    """
    routes: list[Route] = control.routes(state)
    for org in ("salesforce", "marketo"):
        name = f"worker.practice.{org}.routes"
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise
            continue
        routes += module.routes(state)
    middleware = [
        Middleware(PracticeMiddleware, state=state),
        # Level 1: on loopback the compression is only there to be met by clients, not to save the wire.
        Middleware(GZipMiddleware, minimum_size=500, compresslevel=1),
    ]
    return Starlette(routes=routes, middleware=middleware)


def serve(
    *,
    ports: Ports = DEFAULT_PORTS,
    data: Path | None = None,
    beginning: Beginning = PLAIN,
    ready: Callable[[Endpoints], None] | None = None,
    stop_with_stdin: bool = False,
) -> None:
    """
    Serve both ports until SIGINT or SIGTERM (or, with ``stop_with_stdin``, until standard input ends).

    ``data`` keeps keys and both orgs' records from one run to the next; without it they live in a temporary folder
    removed at the end. ``beginning`` is what the orgs start from. ``ready`` is called once, when both ports listen. The
    control API answers on the http port only.
    """
    with contextlib.ExitStack() as stack:
        if data is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-practice-")))
        else:
            folder = data.resolve()
            folder.mkdir(parents=True, exist_ok=True)
        keys = ensure_keys(folder)
        http = stack.enter_context(_listen(ports.http))
        https = stack.enter_context(_listen(ports.https))
        proxy = None if ports.proxy is None else stack.enter_context(_listen(ports.proxy))
        endpoints = Endpoints(
            http_url=f"http://127.0.0.1:{http.getsockname()[1]}",
            https_url=f"https://localhost:{https.getsockname()[1]}",
            data=str(folder),
            ca_file=str(keys.ca),
            private_key_file=str(keys.jwt_private),
            proxy_url=f"http://127.0.0.1:{proxy.getsockname()[1]}" if proxy else "",
        )
        is_new = not (folder / RECORDS_FILE).exists()
        state = PracticeState(data=folder, clock=Clock(beginning.clock))
        stack.callback(_close_orgs, state)
        public_key = keys.jwt_public.read_bytes()
        state.salesforce = Org(
            state.clock, folder, public_key=public_key, package=beginning.package, number=beginning.organization
        )
        app = build_app(state)
        beginning.begin(state, is_new=is_new)
        stack.callback(beginning.end, state)
        (folder / ENDPOINTS_FILE).write_text(json.dumps(asdict(endpoints)))
        servers = [
            (_Server(_config(app)), http),
            (_Server(_refusing(_config(app, keys), state)), https),
        ]
        tunnels = None if proxy is None else ConnectProxy(proxy, http=http, https=https)
        announce = partial(ready, endpoints) if ready else None
        asyncio.run(_run(servers, tunnels, announce, stop_with_stdin=stop_with_stdin))


def _close_orgs(state: PracticeState) -> None:
    for org in (state.salesforce, state.marketo):
        close = getattr(org, "close", None)
        if close is not None:
            close()


class _Server(uvicorn.Server):
    """
    A uvicorn server whose signals are the caller's business, because two of them run in one loop.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Starlette, keys: KeyFiles | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Protocol,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        timeout_keep_alive=60,
        ssl_certfile=keys.server_chain if keys else None,
        ssl_keyfile=keys.server_key if keys else None,
    )


def _refusing(config: uvicorn.Config, state: PracticeState) -> uvicorn.Config:
    """
    A configuration whose TLS handshakes meet the faults ordered for them.
    """

    def hello(_connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> int | None:
        struck = state.faults.find("tls", "TLS", "", state.clock.now())
        return None if struck is None else ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE

    config.load()
    if config.ssl is not None:
        config.ssl.sni_callback = hello
    return config


def _listen(port: int) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's delay off only where it is.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"port {port} on 127.0.0.1 cannot be used: {error.strerror}") from error
    listener.listen(256)
    return listener


async def _run(
    servers: list[tuple[_Server, socket.socket]],
    tunnels: ConnectProxy | None,
    ready: Callable[[], None] | None,
    *,
    stop_with_stdin: bool,
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True
        # Idle TLS clients do not answer a goodbye, so they are not waited for.
        loop.call_later(CLOSING_SECONDS, abort_connections)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if stop_with_stdin:
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 4096) else stop())
    tasks = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    while not all(server.started for server, _ in servers):
        if any(task.done() for task in tasks):
            break
        await asyncio.sleep(0.01)
    else:
        if tunnels is not None:
            await tunnels.start()
        if ready is not None:
            ready()
    await asyncio.gather(*tasks)
    if tunnels is not None:
        await tunnels.stop()
