"""
Sets the original source of persons who have none: the channel of the earliest act that stands. Set once; no run of the
machine changes it. It waits until every stream has been read once, so that nothing earlier is still to come.
"""

from worker.flows.run import Run
from worker.store import dues, matching, origins


def originate(run: Run) -> None:
    """
    Take every due person, a batch a transaction.
    """
    while not run.wants_stop():
        with run.transaction() as connection:
            ids = [int(key) for key in dues.take(connection, "originate", "person", run.limits.batch)]
            if ids:
                named = origins.set_original_source(connection, ids)
                matching.note_for_plan(connection, "person", named)
                run.count("original sources set", len(named))
        if len(ids) < run.limits.batch:
            return
