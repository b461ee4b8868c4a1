"""
``python -m worker.practice``: the practice server without the command line of the house, for tests.

Prints one line of JSON with the addresses and files once both ports listen, and stops on SIGTERM, SIGINT, or (with
``--stop-with-stdin``) when its standard input ends, so that it cannot outlive whoever started it.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from worker.practice.clock import parse_moment
from worker.practice.server import HTTP_PORT, HTTPS_PORT, Endpoints, serve


def main() -> None:
    """
    Read the options and serve.
    """
    parser = argparse.ArgumentParser(prog="python -m worker.practice", description=__doc__)
    parser.add_argument("--http-port", type=int, default=HTTP_PORT)
    parser.add_argument("--https-port", type=int, default=HTTPS_PORT)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clock", type=parse_moment, help="ISO moment the practice clock starts at")
    parser.add_argument("--package", type=Path, help="Salesforce source folder with the custom fields of the org")
    parser.add_argument("--stop-with-stdin", action="store_true")
    options = parser.parse_args()
    serve(**vars(options), ready=_announce)


def _announce(endpoints: Endpoints) -> None:
    print(json.dumps(asdict(endpoints)), flush=True)  # noqa: T201 - the line is this program's answer


if __name__ == "__main__":
    main()
