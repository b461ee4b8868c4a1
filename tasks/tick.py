"""
The one entry that beat rings: starts a cycle that is due, and rings for whatever is waiting.
"""

from datetime import timedelta

from tasks.app import app, service
from worker.broker.bell import TASK_PREFIX
from worker.flows.drain import start_cycle, start_sweep
from worker.store import jobs


@app.task(name=f"{TASK_PREFIX}tick")
def tick() -> list[str]:
    """
    However many ring at once, each due cycle starts once: the database decides.
    """
    made = service()
    with made.engine.begin() as connection:
        jobs.ensure_schedule(connection, "cycle", made.cycle_every)
        jobs.ensure_schedule(connection, "upkeep", timedelta(days=1))
        jobs.ensure_schedule(connection, "learn", timedelta(days=1))
        jobs.ensure_schedule(connection, "sweep", timedelta(days=1))
        for name in jobs.take_due_cycles(connection):
            if name == "cycle":
                start_cycle(connection, made)
            elif name == "sweep":
                start_sweep(connection, made)
            else:
                jobs.enqueue(connection, name)
        ready = jobs.ready_flows(connection)
    made.ring(ready)
    return ready
