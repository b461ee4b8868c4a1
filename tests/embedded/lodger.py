"""
A user of the embedded servers in a process of its own, for tests that kill it: says where they are and waits.

``python -m tests.embedded.lodger HOME [--volatile] [--ephemeral]`` leaves when its input ends;
with ``--for SECONDS`` it asks both servers for an answer, stays so long, and leaves.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from worker.core.errors import Fatal
from worker.embedded.parts import EmbeddedParts, embedded

ROOT = Path(__file__).parent.parent.parent


def main() -> None:
    home = Path(sys.argv[1])
    durable, keep = "--volatile" not in sys.argv, "--ephemeral" not in sys.argv
    with embedded(home, durable=durable, keep=keep) as parts:
        facts = {"database_url": parts.database_url, "redis_url": parts.redis_url}
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        if "--for" in sys.argv:
            ask(parts)
            time.sleep(float(sys.argv[sys.argv.index("--for") + 1]))
        else:
            sys.stdin.read()


def ask(parts: EmbeddedParts, seconds: float = 5) -> None:
    """
    Have an answer of both servers, or be told by ``check`` that they are gone.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(parts.database_url.replace("+psycopg", "")).close()
            redis.from_url(parts.redis_url).ping()
        except (psycopg.OperationalError, redis.ConnectionError):
            with suppress(Fatal):
                parts.check()
                assert time.monotonic() < deadline, "no answer, and nobody says why"
                time.sleep(0.05)
                continue
        return


@contextmanager
def lodger(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """
    Start one, and give it and what it said; it is told to leave at the end, and ended if it does not.
    """
    command = [sys.executable, "-m", "tests.embedded.lodger", str(home), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
        process.communicate("", timeout=60)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
