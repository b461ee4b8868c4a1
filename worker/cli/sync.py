"""
``headwater sync``: one whole cycle in this process, beside a running service or without one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from config.settings import Settings
from worker.cli.ground import ground
from worker.cli.output import FAILED, PARTLY, Speech, common, table
from worker.core.errors import Fatal
from worker.flows.drain import drain, start_cycle
from worker.flows.run import Service
from worker.store import jobs, views

# Work that comes again later than this belongs to a later cycle.
PATIENCE_SECONDS = 20.0

Progress = Callable[[str, str, int], None]


@dataclass(frozen=True)
class Cycle:
    """
    What a cycle did: the runs it made, newest last, each a mapping of flow, lane, state, tally and error.
    """

    runs: list[dict[str, object]]

    def total(self, what: str) -> int:
        """
        A count summed over the runs.
        """
        tallies = [run["tally"] for run in self.runs]
        return sum(int(tally.get(what, 0)) for tally in tallies if isinstance(tally, dict))

    @property
    def failed(self) -> list[dict[str, object]]:
        """
        The runs that failed and were not made good by a later one of their lane.
        """
        last = {run["lane"]: run for run in self.runs}
        return [run for run in last.values() if run["state"] == "failed"]


def run_cycle(service: Service, on_progress: Progress = lambda _flow, _what, _count: None) -> Cycle:
    """
    Start a cycle and work until nothing is left that comes within the patience of one.
    """
    with service.engine.begin() as connection:
        first = views.rows(connection, "SELECT coalesce(max(id), 0) AS id FROM run")[0]["id"]
        start_cycle(connection, service)
    work_until_quiet(service, on_progress)
    with service.engine.connect() as connection:
        return Cycle(
            views.rows(
                connection,
                "SELECT flow, lane, state, tally, error_code, error FROM run WHERE id > :first ORDER BY id",
                first=first,
            )
        )


def work_until_quiet(service: Service, on_progress: Progress = lambda _flow, _what, _count: None) -> None:
    """
    Do jobs, whoever asked for them, until the next one is further away than one's patience.
    """
    while True:
        drain(service, on_progress=on_progress)
        with service.engine.connect() as connection:
            waits = jobs.seconds_to_next(connection)
        if waits is None or waits > PATIENCE_SECONDS:
            return
        time.sleep(min(max(waits, 0.02), 0.5))


def service_of(settings: Settings, *, sources: bool = True, decides: bool = True) -> Service:
    """
    A service for this process; see ``wiring.build``.
    """
    from worker.wiring import build

    return build(settings, sources=sources, decides=decides)


@click.command("sync")
@common
def command(speech: Speech) -> int:
    """
    Run one whole cycle now: read what changed, reconcile it, decide, and write what is approved.

    Safe beside a running service: both take jobs from the same table.
    """
    with ground() as settings:
        service = service_of(settings)
        with speech.progress("sync") as on_progress:
            cycle = run_cycle(service, on_progress)
        speech.answer({"runs": cycle.runs}, lambda: told(cycle))
        if not cycle.failed:
            return 0
        for run in cycle.failed:
            speech.say(f"Error ({run['error_code']}): {run['lane']} failed: {run['error']}")
        speech.say("Try this:\n  headwater doctor\n  headwater status")
        return FAILED if len(cycle.failed) == len(cycle.runs) else PARTLY


def told(cycle: Cycle) -> list[str]:
    """
    What a cycle did, a line a run.
    """
    lines = [
        [run["lane"], run["state"], ", ".join(f"{number:,} {what}" for what, number in run["tally"].items() if number)]
        for run in cycle.runs
        if isinstance(run["tally"], dict)
    ]
    return table(("FLOW", "STATE", "WHAT IT DID"), lines) if lines else ["Nothing was due."]


def expect_no_failure(cycle: Cycle) -> None:
    """
    Raise Fatal with the first failed run's own words.
    """
    for run in cycle.failed:
        raise Fatal(str(run["error_code"]), f"{run['lane']} failed: {run['error']}", actions=["headwater doctor"])
