"""
One Valkey in a folder: starts the server on a socket, tells when it is ready, stops it. Belongs to ``keeper``.
"""

import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.core.errors import Fatal
from worker.embedded.binaries import find_valkey
from worker.embedded.home import PAUSE_SECONDS, Home
from worker.embedded.identity import DIRECT
from worker.embedded.postgres import words_since

SOCKET: Final = "valkey.sock"
READY_SECONDS: Final = 60
STOP_SECONDS: Final = 20


class ValkeyServer:
    """
    The server of one home. It never drops a key to make room; ``durable`` writes each change down within a second.
    """

    name = "Valkey"

    def __init__(self, home: Home, sockets: Path, *, durable: bool) -> None:
        self.home = home
        self.socket = sockets / SOCKET
        self.durable = durable
        self.log = home.log / "valkey.log"
        self.child: subprocess.Popen[bytes] | None = None
        self.program = Path()

    def prepare(self) -> None:
        """
        Find the program and make the folder of the data.
        """
        self.program = find_valkey()
        self.home.valkey.mkdir(mode=0o700, exist_ok=True)

    def start(self) -> None:
        """
        Start the server and wait until it answers. HW-544 where it does not.
        """
        settings = {
            "port": "0",
            "databases": "64",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.home.valkey),
            "maxmemory-policy": "noeviction",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
        }
        command = [str(self.program)]
        for name, value in settings.items():
            command += [f"--{name}", value]
        begin = self.log.stat().st_size if self.log.exists() else 0
        self.socket.unlink(missing_ok=True)
        self.child = DIRECT.start(command, self.home.valkey, self.log, ends_with=signal.SIGTERM)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise Fatal(
                    "HW-544",
                    "Valkey did not start",
                    actions=[f"see {self.log}"],
                    vendor=words_since(self.log, begin),
                )
            time.sleep(PAUSE_SECONDS)

    def is_ready(self) -> bool:
        """
        Whether the server answers, its data loaded.
        """
        with suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1)
            line.connect(str(self.socket))
            line.sendall(b"PING\r\n")
            return line.recv(64).startswith(b"+PONG")
        return False

    def has_fallen(self) -> bool:
        """
        Whether the server ended although nobody stopped it.
        """
        return self.child is not None and self.child.poll() is not None

    def stop(self) -> None:
        """
        Stop the server; what it has to write down is written.
        """
        if self.child is None:
            return
        for kind, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
            if self.child.poll() is None:
                self.child.send_signal(kind)
                with suppress(subprocess.TimeoutExpired):
                    self.child.wait(seconds)
        self.child = None
