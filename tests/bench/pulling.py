"""
The process whose speed and memory ``pull`` measures: it pulls leads and does nothing else.

It is told each step on its standard input and answers each with one line of JSON, so that nothing but its own work
counts. The clock begins when the org has finished its side of the job.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from config.rulefiles import load_rules
from config.settings import load_settings
from worker.connectors.salesforce.client import SalesforceClient
from worker.flows.drain import drain, start_cycle
from worker.flows.run import Service
from worker.store import cursors, jobs
from worker.wiring import build, salesforce_client

STREAM = "salesforce.lead"
MOST_SECONDS = 900.0
CLOCK_TICKS = 100.0  # a second has so many in /proc on every Linux that Python runs on


def main() -> None:
    settings = load_settings()
    service = build(settings)
    client = salesforce_client(settings, load_rules(settings.rules))
    org_pid = int(sys.argv[1])
    for step in sys.stdin:
        match step.strip():
            case "ask":
                ask(service)
                answer(asked=True)
            case "pull":
                answer(**pull(service, client, org_pid))
            case "leave":
                service.engine.dispose()
                answer(left=True)


def ask(service: Service) -> None:
    """
    Ask the org for everything from the beginning; it holds the job until the benchmark lets it run.
    """
    with service.engine.begin() as connection:
        cursors.forget(connection, [stream.name for source in service.sources.values() for stream in source.streams])
        start_cycle(connection, service)
    drain(service, ["pull"])


def pull(service: Service, client: SalesforceClient, org_pid: int) -> dict[str, Any]:
    """
    Wait until the org's job is complete, then take its result. Seconds, processor seconds of both sides, peak MiB.
    """
    deadline = time.monotonic() + MOST_SECONDS
    job = place(service)["job"]
    while client.ask("GET", f"jobs/query/{job}")["state"] != "JobComplete":
        pause(deadline)
    while due_in(service) > 0:
        pause(deadline)
    org, own, started = processor_seconds(org_pid), time.process_time(), time.perf_counter()
    while place(service):
        drain(service, ["pull"])
        if time.monotonic() > deadline:
            raise TimeoutError("the pull did not end")
    return {
        "seconds": time.perf_counter() - started,
        "own_cpu": time.process_time() - own,
        "org_cpu": processor_seconds(org_pid) - org,
        "peak_mib": peak_mib(),
    }


def place(service: Service) -> dict[str, Any]:
    """
    How far the stream's window has been read; empty when it is read to its end.
    """
    with service.engine.connect() as connection:
        return dict(cursors.load(connection, [STREAM])[STREAM]["place"] or {})


def due_in(service: Service) -> float:
    with service.engine.connect() as connection:
        return jobs.seconds_to_next(connection) or 0.0


def pause(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError("the org's job did not end")
    time.sleep(0.05)


def processor_seconds(pid: int) -> float:
    """
    What a process and its threads have used so far.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def peak_mib() -> float:
    """
    The most memory this program ever held. Not ``ru_maxrss``, which keeps what the parent held before the start.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def answer(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
