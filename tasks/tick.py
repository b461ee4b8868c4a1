"""
The one entry that beat rings: starts a cycle that is due, and rings for whatever is waiting.
"""

from tasks.app import app, service
from worker.broker.bell import TASK_PREFIX
from worker.flows.drain import start_cycle
from worker.store import jobs


@app.task(name=f"{TASK_PREFIX}tick")
def tick() -> list[str]:
    """
    However many ring at once, each due cycle starts once: the database decides.
    """
    made = service()
    with made.engine.begin() as connection:
        jobs.ensure_schedule(connection, "cycle", made.cycle_every)
        for _cycle in jobs.take_due_cycles(connection):
            start_cycle(connection, made)
        ready = jobs.ready_flows(connection)
    made.ring(ready)
    return ready
