"""
Hands many records of one object over to a job on the platform's side, and asks that job what became of them.

The job is opened empty; then its id and the rows that ride in it are kept in one transaction; only then does it get
them and run. So whoever comes after a crash asks the job, and sends nothing a second time. Called by apply.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from worker.connectors.base import Result, Sink
from worker.flows.run import Run
from worker.flows.settle import change_of, settle_answers
from worker.store import bulk_jobs
from worker.store.bulk_jobs import BulkJob
from worker.store.outbox import Row

# A job carries at most so many records: its rows are held in memory when it is filled and when it has answered.
JOB_RECORDS: Final = 20_000
# So many answers are settled in one transaction.
SETTLED_AT_ONCE: Final = 2_000
# Pauses between two questions, in seconds; the last one holds for all further ones.
_PAUSES: Final = (1, 1, 2, 4, 8, 15, 30, 60)
# Salesforce may queue a job for long on a busy day; after this it is ended, and the rest of it goes out otherwise.
_LONGEST: Final = timedelta(hours=6)


def hand_over(run: Run, sink: Sink, object_name: str, rows: Sequence[Row]) -> bool:
    """
    Have a job send the rows, all of which set fields or all of which delete. Returns whether the platform took one.
    """
    vendor_id = sink.open_job(object_name, removes=rows[0].removes is not None)
    if vendor_id is None:
        return False
    with run.transaction() as connection:
        job = bulk_jobs.begin(connection, sink.name, object_name, vendor_id, rows)
    changes = [change_of(row) for row in rows]
    refused = {result.record_id: result for result in sink.hand_over(vendor_id, object_name, changes)}
    with run.transaction() as connection:
        of_refused = [row for row in rows if row.record_id in refused]
        settle_answers(run, connection, of_refused, [refused[row.record_id] for row in of_refused])
        bulk_jobs.ask_again(connection, job, timedelta(seconds=_PAUSES[0]))
    run.count("records handed over", len(rows) - len(refused))
    return True


def follow(run: Run, sink: Sink) -> None:
    """
    Ask the jobs under way whose turn it is, and settle those that have ended.
    """
    with run.transaction() as connection:
        waiting = bulk_jobs.due(connection, sink.name)
    for job in waiting:
        with run.transaction() as connection:
            rows = bulk_jobs.rows(connection, job)
        changes = [change_of(row) for row in rows]
        results = sink.job_results(job.vendor_id, job.object, changes, give_up=job.age > _LONGEST)
        if results is None:
            pause = timedelta(seconds=_PAUSES[min(job.polls, len(_PAUSES) - 1)])
            with run.transaction() as connection:
                bulk_jobs.ask_again(connection, job, pause)
        else:
            _settle(run, job, rows, results)
            sink.drop_job(job.vendor_id)


def _settle(run: Run, job: BulkJob, rows: Sequence[Row], results: Sequence[Result]) -> None:
    # Cut off in between, the rows without an answer still name the job, and it is asked again for them.
    for start in range(0, max(1, len(rows)), SETTLED_AT_ONCE):
        with run.transaction() as connection:
            here = slice(start, start + SETTLED_AT_ONCE)
            settle_answers(run, connection, rows[here], results[here])
            if start + SETTLED_AT_ONCE >= len(rows):
                bulk_jobs.end(connection, job)
