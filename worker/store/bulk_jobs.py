"""
Remembers which records were handed over to a platform's own job, so that whoever comes after a crash asks that job what
became of them and sends none a second time. The rows stay in the outbox, on their way, and name the job they ride in.

Called by the handover flow. What becomes of a row once its job has answered is ``outbox``'s.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from worker.store.bulk import cursor_of
from worker.store.outbox import Row, changes_as_json, row_of


@dataclass(frozen=True)
class BulkJob:
    """
    A job of a platform's under way. ``vendor_id`` is its id there; ``polls`` is how often it was asked and still ran.
    """

    id: int
    object: str
    vendor_id: str
    polls: int
    age: timedelta


def begin(connection: Connection, sink: str, object_name: str, vendor_id: str, rows: Sequence[Row]) -> BulkJob:
    """
    Put rows on their way in a job that is open and still empty. Their changes are those that they ride with.
    """
    cursor = cursor_of(connection)
    found = cursor.execute(
        "INSERT INTO bulk_job (sink, object, vendor_id) VALUES (%s, %s, %s) RETURNING id",
        (sink, object_name, vendor_id),
    ).fetchone()
    number: int = found[0]
    cursor.execute(
        """
        UPDATE outbox o SET state = 'sending', bulk_job_id = %s, sent_at = clock_timestamp(), attempts = attempts + 1,
            changes = w.changes
        FROM unnest(%s::text[], %s::bigint[], %s::jsonb[]) AS w(record_id, generation, changes)
        WHERE o.object = %s AND o.record_id = w.record_id AND o.generation = w.generation
        """,
        (
            number,
            [row.record_id for row in rows],
            [row.generation for row in rows],
            [json.dumps(changes_as_json(row.changes, row.rule_version)) for row in rows],
            object_name,
        ),
    )
    return BulkJob(number, object_name, vendor_id, 0, timedelta(0))


def due(connection: Connection, sink: str) -> list[BulkJob]:
    """
    The jobs that it is time to ask, oldest first.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT id, object, vendor_id, polls, clock_timestamp() - asked_at FROM bulk_job
        WHERE sink = %s AND (not_before IS NULL OR not_before <= clock_timestamp()) ORDER BY id
        """,
        (sink,),
    )
    return [BulkJob(*row) for row in rows.fetchall()]


def ask_again(connection: Connection, job: BulkJob, after: timedelta) -> None:
    """
    The job still runs: ask it again after a while.
    """
    cursor_of(connection).execute(
        "UPDATE bulk_job SET polls = polls + 1, not_before = clock_timestamp() + %s WHERE id = %s", (after, job.id)
    )


def rows(connection: Connection, job: BulkJob) -> list[Row]:
    """
    The rows that ride in a job and have no answer yet, as ``outbox.ready`` gives them.
    """
    found = cursor_of(connection).execute(
        """
        SELECT object, record_id, generation, plan_id, state, changes, attempts FROM outbox
        WHERE bulk_job_id = %s ORDER BY record_id FOR UPDATE
        """,
        (job.id,),
    )
    return [row_of(*each) for each in found.fetchall()]


def end(connection: Connection, job: BulkJob) -> None:
    """
    Forget a job. A row of it that has no answer all the same is one whose record has to be read.
    """
    cursor = cursor_of(connection)
    cursor.execute("UPDATE outbox SET state = 'unknown', bulk_job_id = NULL WHERE bulk_job_id = %s", (job.id,))
    cursor.execute("DELETE FROM bulk_job WHERE id = %s", (job.id,))
