"""
Does jobs: claims one, runs its flow, settles how it ended, asks for what is due next, and rings. The only caller of
flows.

Tasks call ``drain`` when a bell rings, commands call it to work without any. It stops between jobs when its time is up;
a job that is cut off by a kill is claimed again when its lease has run out.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from worker.core.errors import Fatal, HeadwaterError, LeaseLost, Retriable, StaleRules
from worker.flows.apply import apply
from worker.flows.attribute import attribute
from worker.flows.engage import engage
from worker.flows.learn import learn
from worker.flows.meter import purpose_of
from worker.flows.originate import originate
from worker.flows.plan import plan
from worker.flows.pull import pull
from worker.flows.resolve import resolve
from worker.flows.resync import reread, resync
from worker.flows.run import DATABASE_GONE, Run, Service
from worker.flows.sweep import sweep
from worker.flows.upkeep import upkeep
from worker.store import census, cursors, decisions, dues, findings, jobs, outbox

log = structlog.get_logger()

FLOWS: Final[Mapping[str, Callable[[Run], None]]] = {
    "resync": resync,
    "pull": pull,
    "reread": reread,
    "sweep": sweep,
    "resolve": resolve,
    "engage": engage,
    "attribute": attribute,
    "originate": originate,
    "plan": plan,
    "apply": apply,
    "upkeep": upkeep,
    "learn": learn,
}

# Begins the run of the next job that is ready, in the caller's transaction; None where there is none, or no time.
NextRun = Callable[[Connection], Run | None]

# Flows that follow one another: a stage begins when nothing is due in those before it.
STAGES: Final = (("reread",), ("resolve",), ("engage", "attribute"), ("originate",), ("plan",))
# These decide by what is not there, or remember what they decided, so they wait until every stream has been read once:
# an account that is engaged on half of what is known would be held for days.
NEED_EVERYTHING_READ: Final = frozenset({"engage", "originate", "plan"})

LONGEST_PAUSE: Final = timedelta(minutes=10)
# A restart of PostgreSQL takes seconds.
DATABASE_PAUSE: Final = timedelta(seconds=5)


def drain(
    service: Service,
    flows: Sequence[str] = tuple(FLOWS),
    *,
    wants_stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[str, str, int], None] = lambda _flow, _what, _count: None,
) -> int:
    """
    Do jobs of ``flows`` until none is ready, the time is up, or a stop is asked for. Returns how many were done.

    A job that is not through when the time is up is given back and goes on later. Raises StaleRules, between jobs,
    where other rules were put in force.
    """
    ends_at = time.monotonic() + service.limits.drain.total_seconds()
    done = 0

    def is_over() -> bool:
        return wants_stop() or time.monotonic() >= ends_at

    def next_run(connection: Connection) -> Run | None:
        return None if is_over() else _claimed(connection, service, flows, is_over, on_progress)

    while not is_over():
        with service.engine.begin() as connection:
            if (stale := _stale_rules(connection, service)) is not None:
                raise stale
            run = next_run(connection)
        if run is None:
            break
        while run is not None:
            run = _do(service, run, next_run)
            done += 1
    return done


def _stale_rules(connection: Connection, service: Service) -> StaleRules | None:
    """
    What is to be raised where other rules were put in force since this process read its own: two versions at work would
    decide the same record in turn.
    """
    in_force = decisions.rules_in_force(connection)
    if in_force is None or in_force == service.rules.version:
        return None
    return StaleRules(in_force, service.rules.version)


def _claimed(
    connection: Connection,
    service: Service,
    flows: Sequence[str],
    wants_stop: Callable[[], bool],
    on_progress: Callable[[str, str, int], None],
) -> Run | None:
    """
    The run of the next job that is ready, begun; None where none is.
    """
    job = jobs.claim(connection, flows, owner=service.owner, lease=service.limits.lease)
    if job is None:
        return None
    now = organisation_now(connection, service)
    return Run(
        engine=service.engine,
        job=job,
        run_id=jobs.begin_run(connection, job, now),
        now=now,
        rules=service.rules,
        sources=service.sources,
        sinks=service.sinks,
        api_floor_percent=service.api_floor_percent,
        api_cap_percent=service.api_cap_percent,
        purpose=purpose_of(connection, job.flow, job.scope),
        meter=service.meter,
        limits=service.limits,
        wants_stop=wants_stop,
        on_progress=partial(on_progress, job.flow),
    )


def start_cycle(connection: Connection, service: Service) -> None:
    """
    Ask for one cycle: a pull of every source. Everything else follows from what it finds.
    """
    cursors.expect(connection, [stream.name for source in service.sources.values() for stream in source.streams])
    for name in service.sources:
        jobs.enqueue(connection, "pull", lane=f"pull:{name}", scope={"source": name})
    follow_up(connection, service)


def start_sweep(connection: Connection, service: Service) -> None:
    """
    Ask for a sweep of everything that can be swept.
    """
    for source in service.sources.values():
        census.ask(connection, [stream.name for stream in source.streams if stream.is_swept])
    follow_up(connection, service)


def follow_up(connection: Connection, service: Service) -> None:
    """
    Ask for the first stage in which something is due, for sending if something may be sent, and for the sweeps that are
    due.
    """
    for name in census.sources_due(connection):
        # One that waits for a job of the platform's is not to be brought forward.
        if name in service.sources and not jobs.is_open(connection, f"sweep:{name}"):
            jobs.enqueue(connection, "sweep", lane=f"sweep:{name}", scope={"source": name})
    waiting = set(dues.waiting(connection))
    if "engage" not in waiting and decisions.accounts_to_review(
        connection, organisation_now(connection, service), limit=1
    ):
        waiting.add("engage")
    if waiting & NEED_EVERYTHING_READ and not cursors.everything_read_once(connection):
        waiting -= NEED_EVERYTHING_READ
    for stage in STAGES:
        wanted = [flow for flow in stage if flow in waiting]
        if wanted:
            for flow in wanted:
                jobs.enqueue(connection, flow)
            break
    waits = outbox.seconds_to_next(connection)
    if waits is not None and service.sinks:
        jobs.enqueue(connection, "apply", after=timedelta(seconds=waits))


def _do(service: Service, run: Run, next_run: NextRun) -> Run | None:
    """
    Run a claimed job's flow and settle how it ended. Returns the next run where one was begun along with that.
    """
    job = run.job
    try:
        with _kept(service, job):
            FLOWS[job.flow](run)
        return _settle_success(service, run, next_run)
    except LeaseLost:
        log.warning("lease lost", flow=job.flow, lane=job.lane, job=job.id)
    except HeadwaterError as error:
        _settle_failure(service, run, error)
    except DATABASE_GONE as error:
        log.warning("database lost", flow=job.flow, lane=job.lane, job=job.id, reason=type(error).__name__)
        _settle_failure(
            service,
            run,
            Retriable("HW-502", "the database was not to be had", vendor=_first_line(error), after=DATABASE_PAUSE),
        )
    except Exception as error:
        log.exception("flow failed", flow=job.flow, lane=job.lane, job=job.id)
        _settle_failure(
            service, run, Fatal("HW-901", f"{type(error).__name__} in {job.flow}", vendor=_first_line(error))
        )
    return None


@contextmanager
def _kept(service: Service, job: jobs.Job) -> Iterator[None]:
    """
    Extend the lease again and again while the flow works, so that a long call is not taken for a dead worker: another
    one would make it a second time. It ends with the process, and then the lease runs out as it should.
    """
    done = threading.Event()
    lease = service.limits.lease

    def extend() -> None:
        while not done.wait(lease.total_seconds() / 3):
            try:
                with service.engine.begin() as connection:
                    jobs.extend(connection, job, lease)
            except DATABASE_GONE as error:
                log.warning("lease not extended", lane=job.lane, job=job.id, reason=type(error).__name__)

    keeper = threading.Thread(target=extend, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _settle_success(service: Service, run: Run, next_run: NextRun) -> Run | None:
    """
    Settle a run that came to its end and begin the next one, in one transaction. Others are rung for what is then left.
    """
    service.meter.note(run.purpose)
    with service.engine.begin() as connection:
        if run.wants_stop() and run.come_again is None:
            run.come_again = timedelta(0)
        if run.come_again is None:
            jobs.finish(connection, run.job)
        else:
            jobs.postpone(connection, run.job, run.come_again)
        jobs.end_run(connection, run.run_id, run.tally)
        findings.clear(connection, f"job:{run.job.lane}")
        follow_up(connection, service)
        following = next_run(connection) if _stale_rules(connection, service) is None else None
        ready = jobs.ready_flows(connection)
    log.info(
        "run done", flow=run.job.flow, lane=run.job.lane, **{key.replace(" ", "_"): n for key, n in run.tally.items()}
    )
    service.ring(ready)
    return following


def _settle_failure(service: Service, run: Run, error: HeadwaterError) -> None:
    log.warning(
        "run failed", flow=run.job.flow, lane=run.job.lane, code=error.code, retriable=isinstance(error, Retriable)
    )
    try:
        service.meter.note(run.purpose)
        with service.engine.begin() as connection:
            jobs.end_run(connection, run.run_id, run.tally, error_code=error.code, error=str(error))
            findings.note(connection, f"job:{run.job.lane}", error.code, str(error), error.actions)
            if isinstance(error, Retriable):
                failures = jobs.failures_in_a_row(connection, run.job.lane)
                # What is asked for by name (a limit that frees at noon) is waited for, however long.
                pause = max(error.after, min(LONGEST_PAUSE, error.after * 2 ** min(failures - 1, 10)))
                jobs.postpone(connection, run.job, pause)
            else:
                jobs.finish(connection, run.job, error_code=error.code, error=str(error))
    except LeaseLost:
        log.warning("lease lost", flow=run.job.flow, lane=run.job.lane, job=run.job.id)
    except DATABASE_GONE:
        log.warning("failure not noted", flow=run.job.flow, lane=run.job.lane, job=run.job.id, code=error.code)


def organisation_now(connection: Connection, service: Service) -> datetime:
    """
    The present instant by the organisation's clock: ours, corrected by its last answer.
    """
    return datetime.now(UTC) + cursors.clock_offset(connection, service.clock_source)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:500]
