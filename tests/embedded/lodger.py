"""
A user of the embedded servers in a process of its own, for tests that kill it: says where they are and waits.

``python -m tests.embedded.lodger HOME [--volatile] [--ephemeral]``; leaves when its input ends.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.embedded.parts import embedded

ROOT = Path(__file__).parent.parent.parent


def main() -> None:
    home = Path(sys.argv[1])
    durable, keep = "--volatile" not in sys.argv, "--ephemeral" not in sys.argv
    with embedded(home, durable=durable, keep=keep) as parts:
        facts = {"database_url": parts.database_url, "redis_url": parts.redis_url}
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


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
