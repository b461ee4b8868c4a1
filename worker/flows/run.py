"""
What every flow is given: one now, the rules, a fenced way to the database, and a tally.

A flow loads, decides and saves, one short transaction a page or batch, each of which proves first that the job is still
ours. Flows are called by ``flows.drain`` and nobody else.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final

import psycopg
import sqlalchemy.exc
from sqlalchemy import Connection, Engine

from worker.connectors.base import Sink, Source
from worker.core.budget import Purpose
from worker.core.rules import Rules
from worker.flows.meter import Meter
from worker.store import jobs

# Both, because the store speaks to psycopg directly where rows are many.
DATABASE_GONE: Final = (psycopg.OperationalError, sqlalchemy.exc.OperationalError)


@dataclass(frozen=True)
class Limits:
    """
    How much is taken at a time: subjects a batch, the lease in time, how long one call of a task may drain.
    """

    batch: int = 5_000
    lease: timedelta = timedelta(seconds=60)
    drain: timedelta = timedelta(seconds=45)


@dataclass(frozen=True)
class Service:
    """
    Everything a process needs to do jobs: what wiring builds once.

    ``clock_source`` names the source whose clock is the organisation's. ``ring`` tells other processes that flows have
    work; it may fail or be lost without harm. ``api_floor_percent`` of an organisation's calls of the day is always
    left to everybody else, and ``api_cap_percent`` of them are ours at most.
    """

    engine: Engine
    rules: Rules
    sources: Mapping[str, Source]
    sinks: Mapping[str, Sink]
    owner: str
    clock_source: str = "salesforce"
    cycle_every: timedelta = timedelta(minutes=5)
    api_floor_percent: Decimal = Decimal(15)
    api_cap_percent: Decimal = Decimal(15)
    limits: Limits = field(default_factory=Limits)
    ring: Callable[[Sequence[str]], None] = lambda _flows: None

    @cached_property
    def meter(self) -> Meter:
        """
        Counts the calls of this process, whatever they are made for.
        """
        return Meter(self.engine, self.sources)


@dataclass
class Run:
    """
    One execution of one job.

    ``now`` is the organisation's clock at its beginning, read once. ``wants_stop`` is asked between units of work;
    when it says yes the job is given back and goes on later. ``come_again`` asks for the same job after a while.
    ``purpose`` is what its API calls are for; ``meter`` counts them.
    """

    engine: Engine
    job: jobs.Job
    run_id: int
    now: datetime
    rules: Rules
    sources: Mapping[str, Source]
    sinks: Mapping[str, Sink]
    api_floor_percent: Decimal = Decimal(15)
    api_cap_percent: Decimal = Decimal(15)
    purpose: Purpose = "changes"
    meter: Meter | None = None
    limits: Limits = field(default_factory=Limits)
    wants_stop: Callable[[], bool] = lambda: False
    on_progress: Callable[[str, int], None] = lambda _what, _count: None
    tally: Counter[str] = field(default_factory=Counter)
    come_again: timedelta | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """
        One unit of work: everything in it commits together, and only if the job is still ours. Raises LeaseLost.
        """
        if self.meter is not None:
            self.meter.note(self.purpose)
        with self.engine.begin() as connection:
            jobs.hold(connection, self.job, self.limits.lease)
            yield connection

    def count(self, what: str, number: int = 1) -> None:
        """
        Add to the tally, and tell whoever watches.
        """
        self.tally[what] += number
        self.on_progress(what, number)
