"""
Runs the benchmarks: ``python -m tests.bench [NAME ...]``, or ``make bench`` (``B=name`` for one).

Each prints its figures as ratios against a yardstick taken in the same run, with its goal. The exit code is 1 where a
bound was not kept. ``--small`` runs all with a tenth of the sizes, to see that the programs work: its ratios mean
little.
"""

import argparse
from collections.abc import Callable
from typing import Any

from tests.bench import attribution, credit_store, engagement, in_market, one_account, pull, warm_cycle
from tests.bench.ground import Report, load


def attribution_of(report: Report, *, small: bool, rounds: int | None) -> None:
    """
    Seven models over a million touches against DuckDB's windows.
    """
    if small:
        attribution.DEALS, attribution.TOUCHES = attribution.DEALS // 10, attribution.TOUCHES // 10
    figures: dict[str, Any] = attribution.run(rounds or (3 if small else 5))
    report.table(("", ""), list(figures.items()))
    report.bound(
        "seven models, exact / plain SQL windows", figures["ratio"], goal=attribution.GOAL, must=attribution.MUST
    )


BENCHES: dict[str, Callable[..., None]] = {
    "attribution": attribution_of,
    "credit_store": credit_store.run,
    "engagement": engagement.run,
    "in_market": in_market.run,
    "one_account": one_account.run,
    "pull": pull.run,
    "warm_cycle": warm_cycle.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Ratios against yardsticks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--small", action="store_true", help="a tenth of the sizes, to see that the programs work")
    parser.add_argument("--rounds", type=int, help="how many turns each side gets")
    given = parser.parse_args()
    strangers = [name for name in given.names if name not in BENCHES]
    if strangers:
        parser.error(f"there is no benchmark {strangers[0]}; there are {', '.join(BENCHES)}")
    report = Report()
    report.say(load())
    for name in given.names or BENCHES:
        report.say(f"\n{name}")
        BENCHES[name](report, small=given.small, rounds=given.rounds)
    report.say()
    for what in report.broken:
        report.say(f"not met: {what}")
    return 1 if report.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
