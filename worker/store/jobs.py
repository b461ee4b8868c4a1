"""
Remembers what is to be done: jobs with a lease and a fencing token, the schedule, and the runs that were.

The database is the queue; a message through the broker only rings. A job is claimed by the database's clock with
``SKIP LOCKED``; each claim raises its token, and every unit of work checks the token in its own transaction, so that a
holder that was too slow can change nothing. At most one job of a lane runs at a time.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import IntegrityError

from worker.core.errors import LeaseLost
from worker.store import tables
from worker.store.bulk import cursor_of

ROUTINE = 5
ASKED_FOR = 1


@dataclass(frozen=True)
class Job:
    """
    A claimed piece of work; ``token`` is what proves that it is still ours.
    """

    id: int
    flow: str
    lane: str
    scope: Mapping[str, Any]
    token: int
    attempts: int
    requested_by: str | None


def enqueue(
    connection: Connection,
    flow: str,
    *,
    lane: str | None = None,
    scope: Mapping[str, Any] | None = None,
    priority: int = ROUTINE,
    after: timedelta | None = None,
    requested_by: str | None = None,
) -> int | None:
    """
    Ask for work. The same work already waiting is brought forward, not doubled. Returns the job's id.
    """
    found = cursor_of(connection).execute(
        """
        INSERT INTO job (flow, lane, scope, priority, run_at, requested_by)
        VALUES (%(flow)s, %(lane)s, %(scope)s, %(priority)s, now() + make_interval(secs => %(after)s), %(requested_by)s)
        ON CONFLICT (flow, lane, md5(scope::text)) WHERE state = 'ready' DO UPDATE
        SET run_at = least(job.run_at, EXCLUDED.run_at), priority = least(job.priority, EXCLUDED.priority)
        RETURNING id
        """,
        {
            "flow": flow,
            "lane": lane or flow,
            "scope": json.dumps(scope or {}, sort_keys=True),
            "priority": priority,
            "after": after.total_seconds() if after else 0.0,
            "requested_by": requested_by,
        },
    )
    row: tuple[int] | None = found.fetchone()
    return row[0] if row else None


def is_open(connection: Connection, lane: str) -> bool:
    """
    Whether a job of the lane waits or is being done.
    """
    statement = text("SELECT 1 FROM job WHERE lane = :lane AND state IN ('ready', 'leased') LIMIT 1")
    return connection.execute(statement, {"lane": lane}).first() is not None


_CLAIM = text(
    """
    UPDATE job SET state = 'leased', owner = :owner, until = clock_timestamp() + make_interval(secs => :lease),
        token = token + 1, attempts = attempts + 1
    WHERE id = (
        SELECT id FROM job j
        WHERE flow = ANY(:flows) AND (
            (state = 'leased' AND until < clock_timestamp())
            OR (state = 'ready' AND run_at <= clock_timestamp()
                AND NOT EXISTS (SELECT 1 FROM job b WHERE b.lane = j.lane AND b.state = 'leased')))
        ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, flow, lane, scope, token, attempts, requested_by
    """
)


def claim(connection: Connection, flows: Sequence[str], *, owner: str, lease: timedelta) -> Job | None:
    """
    Take the most urgent job of ``flows`` that is ready, or whose holder's lease has run out; None when there is none.
    """
    values = {"flows": list(flows), "owner": owner, "lease": lease.total_seconds()}
    try:
        with connection.begin_nested():
            row = connection.execute(_CLAIM, values).first()
    except IntegrityError:
        # Somebody claimed another job of the same lane in the same instant; the next ring finds what is left.
        return None
    return Job(*row) if row else None


def hold(connection: Connection, job: Job, lease: timedelta) -> None:
    """
    Prove inside this transaction that the job is still ours, and extend the lease.

    The row stays locked until the transaction ends, so nobody can take the job over in between. Raises LeaseLost.
    """
    held = cursor_of(connection).execute(
        """
        UPDATE job SET until = clock_timestamp() + make_interval(secs => %s)
        WHERE id = %s AND token = %s AND state = 'leased'
        """,
        (lease.total_seconds(), job.id, job.token),
    )
    if held.rowcount != 1:
        raise LeaseLost


def extend(connection: Connection, job: Job, lease: timedelta) -> None:
    """
    Extend the lease of a job that is still ours, beside its holder's own transactions: while one of them holds the row
    nobody can take the job over, and nothing is done.
    """
    connection.execute(
        text(
            """
            UPDATE job SET until = clock_timestamp() + make_interval(secs => :lease) WHERE id = (
                SELECT id FROM job WHERE id = :id AND token = :token AND state = 'leased' FOR UPDATE SKIP LOCKED)
            """
        ),
        {"id": job.id, "token": job.token, "lease": lease.total_seconds()},
    )


def finish(connection: Connection, job: Job, *, error_code: str | None = None, error: str | None = None) -> None:
    """
    End the job; with an error it is failed and keeps the words. Raises LeaseLost.
    """
    ended = cursor_of(connection).execute(
        """
        UPDATE job SET state = %(state)s, finished_at = clock_timestamp(), until = NULL,
            error_code = %(error_code)s, error = %(error)s
        WHERE id = %(id)s AND token = %(token)s AND state = 'leased'
        """,
        {
            "id": job.id,
            "token": job.token,
            "state": "failed" if error_code else "done",
            "error_code": error_code,
            "error": error,
        },
    )
    if ended.rowcount != 1:
        raise LeaseLost


def postpone(connection: Connection, job: Job, after: timedelta) -> None:
    """
    Give the job back, to come again: the same row, with its priority and its number of attempts. Where the same work
    waits already, that is brought forward and this row ends. Raises LeaseLost.
    """
    values = {"id": job.id, "token": job.token, "after": after.total_seconds()}
    twin = connection.execute(
        text(
            """
            UPDATE job SET run_at = least(job.run_at, now() + make_interval(secs => :after)),
                priority = least(job.priority, mine.priority)
            FROM job mine
            WHERE mine.id = :id AND job.id <> mine.id AND job.state = 'ready' AND job.flow = mine.flow
                AND job.lane = mine.lane AND md5(job.scope::text) = md5(mine.scope::text)
            """
        ),
        values,
    )
    if twin.rowcount:
        finish(connection, job)
        return
    given = connection.execute(
        text(
            """
            UPDATE job SET state = 'ready', run_at = clock_timestamp() + make_interval(secs => :after),
                owner = NULL, until = NULL
            WHERE id = :id AND token = :token AND state = 'leased'
            """
        ),
        values,
    )
    if given.rowcount != 1:
        raise LeaseLost


def ready_flows(connection: Connection) -> list[str]:
    """
    The flows that have work now, most urgent first: what the bell is rung for.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT flow FROM job WHERE (state = 'ready' AND run_at <= clock_timestamp())
            OR (state = 'leased' AND until < clock_timestamp())
        GROUP BY flow ORDER BY min(priority), min(id)
        """
    )
    return [flow for (flow,) in rows]


def open_count(connection: Connection) -> int:
    """
    Jobs that are waiting or running, whenever they are to start.
    """
    open_jobs: int = connection.execute(
        text("SELECT count(*) FROM job WHERE state IN ('ready', 'leased')")
    ).scalar_one()
    return open_jobs


def seconds_to_next(connection: Connection) -> float | None:
    """
    How long until the next open job can be claimed (0 when one can be now); None when none is open.
    """
    seconds = connection.execute(
        text(
            """
            SELECT min(extract(epoch FROM CASE state WHEN 'leased' THEN until ELSE run_at END - clock_timestamp()))
            FROM job WHERE state IN ('ready', 'leased')
            """
        )
    ).scalar()
    return None if seconds is None else max(0.0, float(seconds))


def ensure_schedule(connection: Connection, name: str, every: timedelta) -> None:
    """
    Have the cycle ``name`` come every so often; a changed interval takes effect from the next run on.
    """
    connection.execute(
        text(
            """
            INSERT INTO schedule (name, every_seconds) VALUES (:name, :every)
            ON CONFLICT (name) DO UPDATE SET every_seconds = :every WHERE schedule.every_seconds <> :every
            """
        ),
        {"name": name, "every": int(every.total_seconds())},
    )


def take_due_cycles(connection: Connection) -> list[str]:
    """
    The cycles that are due, each given to exactly one caller however many ask at once.
    """
    rows = connection.execute(
        text(
            """
            UPDATE schedule SET next_run = clock_timestamp() + make_interval(secs => every_seconds)
            WHERE next_run <= clock_timestamp() RETURNING name
            """
        )
    )
    return sorted(row.name for row in rows)


def begin_run(connection: Connection, job: Job, now: datetime) -> int:
    """
    Note that a run begins, and that an earlier one of the same job was cut off; returns its id.
    """
    begun = cursor_of(connection).execute(
        """
        WITH cut AS (
            UPDATE run SET state = 'cut off', finished_at = clock_timestamp()
            WHERE job_id = %(job)s AND state = 'running'
        )
        INSERT INTO run (job_id, flow, lane, state, now_at, started_at)
        VALUES (%(job)s, %(flow)s, %(lane)s, 'running', %(now)s, clock_timestamp()) RETURNING id
        """,
        {"job": job.id, "flow": job.flow, "lane": job.lane, "now": now},
    )
    run_id: int = begun.fetchone()[0]
    return run_id


def end_run(
    connection: Connection,
    run_id: int,
    tally: Mapping[str, int],
    *,
    error_code: str | None = None,
    error: str | None = None,
) -> None:
    """
    Note how a run ended: its counts, and the error's code and words where there was one.
    """
    cursor_of(connection).execute(
        """
        UPDATE run SET state = %(state)s, finished_at = clock_timestamp(), tally = CAST(%(tally)s AS jsonb),
            error_code = %(error_code)s, error = %(error)s
        WHERE id = %(id)s
        """,
        {
            "id": run_id,
            "state": "failed" if error_code else "done",
            "tally": json.dumps(dict(tally)),
            "error_code": error_code,
            "error": error,
        },
    )


def last_runs(connection: Connection) -> list[dict[str, Any]]:
    """
    The newest run of each lane, as mappings.
    """
    run = tables.run
    newest = select(func.max(run.c.id)).group_by(run.c.lane)
    rows = connection.execute(select(run).where(run.c.id.in_(newest)).order_by(run.c.lane))
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def trim(connection: Connection, keep_days: int) -> int:
    """
    Forget ended jobs and runs that are older than ``keep_days``; the newest run of each lane stays. Returns how many.
    """
    gone = connection.execute(
        text(
            """
            DELETE FROM run WHERE finished_at < now() - make_interval(days => :days)
                AND id NOT IN (SELECT max(id) FROM run GROUP BY lane)
            """
        ),
        {"days": keep_days},
    ).rowcount
    gone += connection.execute(
        text(
            """
            DELETE FROM job
            WHERE state IN ('done', 'failed') AND finished_at < now() - make_interval(days => :days)
            """
        ),
        {"days": keep_days},
    ).rowcount
    return gone


def failures_in_a_row(connection: Connection, lane: str) -> int:
    """
    How many of a lane's newest runs failed one after the other; at least 1 when called for a run that just failed.
    """
    number: int = connection.execute(
        text(
            """
            SELECT count(*) FROM run WHERE lane = :lane AND state = 'failed'
                AND id > coalesce((SELECT max(id) FROM run WHERE lane = :lane AND state = 'done'), 0)
            """
        ),
        {"lane": lane},
    ).scalar_one()
    return max(1, number)
