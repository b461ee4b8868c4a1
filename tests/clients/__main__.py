"""
Runs other people's Salesforce clients, unchanged, against a practice org: ``python -m tests.clients [NAME ...]``, or
``make test-clients`` (``C=name`` for one).

Each client is installed at its pinned version into a folder of its own, does what its driver asks, and what it saw is
held against what the org holds: one line a capability. A client that cannot be installed here is skipped with a line.
The exit code is 1 where one saw something else than the org holds. simple-salesforce is part of ``make test``.
"""

import argparse
from collections.abc import Callable

from tests.clients import dlt_client, install, jsforce_client, singer_client
from tests.clients.report import Report
from tests.clients.stage import Stage, stage

CLIENTS: dict[str, Callable[[Report, Stage], None]] = {
    "jsforce": jsforce_client.run,
    "singer": singer_client.run,
    "dlt": dlt_client.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description="Real clients on a practice org.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CLIENTS))
    parser.add_argument("--lock", action="store_true", help="make the lock files again (needs uv and npm), run nothing")
    given = parser.parse_args()
    strangers = [name for name in given.names if name not in CLIENTS]
    if strangers:
        parser.error(f"there is no client {strangers[0]}; there are {', '.join(CLIENTS)}")
    if given.lock:
        install.lock()
        return 0
    report = Report()
    for name in given.names or CLIENTS:
        # A stage each: what one client wrote is not another's truth.
        with stage() as org:
            try:
                CLIENTS[name](report, org)
            except install.Unavailable as why:
                report.line(name, "", "skipped", str(why))
            except install.TamperedError as why:
                report.line(name, "", "FAILED", str(why))
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
