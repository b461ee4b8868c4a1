"""
``python -m worker.practice``: the practice server without the command line of the house, for tests.

Prints one line of JSON with the addresses and files once both ports listen, and stops on SIGTERM, SIGINT, or (with
``--stop-with-stdin``) when its standard input ends, so that it cannot outlive whoever started it.
"""

import argparse
import json
from dataclasses import asdict, fields
from pathlib import Path

from worker.practice.beginning import Beginning
from worker.practice.clock import parse_moment
from worker.practice.server import HTTP_PORT, HTTPS_PORT, Endpoints, Ports, serve


def main() -> None:
    """
    Read the options and serve.
    """
    parser = argparse.ArgumentParser(prog="python -m worker.practice", description=__doc__)
    parser.add_argument("--http-port", type=int, default=HTTP_PORT)
    parser.add_argument("--https-port", type=int, default=HTTPS_PORT)
    parser.add_argument("--proxy-port", type=int, help="a CONNECT port for clients that insist on Salesforce's names")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clock", type=parse_moment, help="ISO moment the practice clock starts at")
    parser.add_argument("--package", type=Path, help="Salesforce source folder with the custom fields of the org")
    parser.add_argument("--organization", type=int, default=1, help="which org: another number, another organisation")
    parser.add_argument("--state", type=Path, help="file the orgs are read from, if it is there, and written to")
    parser.add_argument("--seed", type=Path, help="JSON file a new org is filled from")
    parser.add_argument("--faults", type=Path, help="JSON file with the faults in force from the start")
    parser.add_argument("--stop-with-stdin", action="store_true")
    options = vars(parser.parse_args())
    ports = Ports(*(options.pop(name) for name in ("http_port", "https_port", "proxy_port")))
    beginning = Beginning(**{each.name: options.pop(each.name) for each in fields(Beginning)})
    serve(ports=ports, **options, beginning=beginning, ready=_announce)


def _announce(endpoints: Endpoints) -> None:
    print(json.dumps(asdict(endpoints)), flush=True)  # noqa: T201 - the line is this program's answer


if __name__ == "__main__":
    main()
