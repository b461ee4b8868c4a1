"""
Sends what approved plans put into the outbox: reads first, writes what still differs, settles every record by its own
answer. It decides only to skip what a person has changed since.

A record is marked as on its way before its call and settled after it, each in a transaction. A record that was on its
way when its worker died is read again before anything is written, so that no effect happens twice.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from worker.connectors.base import Sink
from worker.core.errors import Fatal, HeadwaterError
from worker.flows.budget import leave_the_floor
from worker.flows.handover import JOB_RECORDS, follow, hand_over
from worker.flows.run import Run
from worker.flows.settle import change_of, leave_what_differs, refuse, settle_answers
from worker.store import cursors, outbox
from worker.store.outbox import Row

# One call reads this many records; a write call carries fewer.
READ_BATCH: Final = 2_000
# The code by which a sink says that a field is not there for us.
FIELD_GONE: Final = "HW-209"


def apply(run: Run) -> None:
    """
    Send every row whose turn it is, object by object.
    """
    sink = run.sinks[run.job.scope.get("sink", "salesforce")]
    with run.transaction() as connection:
        run.count("found on their way", outbox.lost_track(connection))
        sink.recall(cursors.source_state(connection, sink.name)["known"])
    follow(run, sink)
    while not run.wants_stop():
        leave_the_floor(run, sink.name)
        rows = _next_rows(run, sink)
        if not rows:
            break
        _send(run, sink, rows)
    with run.transaction() as connection:
        outbox.finish_plans(connection)
        waits = outbox.seconds_to_next(connection)
    if waits is not None:
        run.come_again = timedelta(seconds=waits)


def _next_rows(run: Run, sink: Sink) -> list[Row]:
    """
    A batch of the next object: as many as one call reads, or a job's worth where there are enough for a job.
    """
    with run.transaction() as connection:
        found = outbox.next_object(connection, (sink.bulk_above or 0) + 1)
        if found is None:
            return []
        object_name, count = found
        is_bulk = sink.bulk_above is not None and count > sink.bulk_above
        return outbox.ready(connection, object_name, JOB_RECORDS if is_bulk else READ_BATCH)


def _send(run: Run, sink: Sink, rows: Sequence[Row]) -> None:
    object_name = rows[0].object
    fields = sorted({change.field for row in rows for change in row.changes})
    try:
        observed = sink.observe(object_name, [row.record_id for row in rows], fields)
    except Fatal as error:
        if error.code != FIELD_GONE:
            raise
        refuse(run, rows, error)
        return
    still = leave_what_differs(run, rows, observed)
    # Deleting is a call, or a job, of its own.
    for rows_alike in ([row for row in still if row.removes], [row for row in still if not row.removes]):
        is_bulk = sink.bulk_above is not None and len(rows_alike) > sink.bulk_above
        if is_bulk and hand_over(run, sink, object_name, rows_alike):
            # While the object has a job, nobody else writes it: what is left has its turn afterwards.
            return
        for chunk in _chunks(rows_alike, sink.batch_size):
            if not _write(run, sink, object_name, chunk):
                return


def _write(run: Run, sink: Sink, object_name: str, rows: Sequence[Row]) -> bool:
    """
    Whether there is room for more: where there is none, what was to come into being is put aside in the outbox, and
    what is left of it has its turn.
    """
    with run.transaction() as connection:
        outbox.mark(connection, rows, "sending")
    try:
        answers = sink.write(object_name, [change_of(row) for row in rows])
    except HeadwaterError:
        # A sink raises before anything was sent; an answer that never came is told row by row.
        with run.transaction() as connection:
            outbox.mark(connection, rows, "planned")
        raise
    with run.transaction() as connection:
        settle_answers(run, connection, rows, answers)
    return all(answer.verdict != "full" for answer in answers)


def _chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
