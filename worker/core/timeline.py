"""
Tells what was known when. Two clocks are at work: things happen by the organisation's, and come to the store by the
database's; what a run read off both when it began ties the one to the other.

Pure. Called by the as-of flow.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final, NamedTuple

import polars as pl

from worker.core.frames import INSTANT


class Tick(NamedTuple):
    """
    One instant by both clocks.
    """

    database_at: datetime
    organisation_at: datetime


class Timeline:
    """
    Turns the database's instants into the organisation's. Before the first tick and where there is none, the clocks are
    taken to differ as they do now (``offset``).
    """

    def __init__(self, ticks: Sequence[Tick], offset: timedelta) -> None:
        ticks = sorted(ticks)
        self._starts: Final = [tick.database_at for tick in ticks]
        # By the organisation's clock, which never goes back: a first run knows nothing of it yet and may be far ahead.
        self._said: Final = list(accumulate((tick.organisation_at for tick in reversed(ticks)), min))[::-1]
        self._offset: Final = offset

    def by_organisation(self, database_at: datetime) -> datetime:
        """
        What the organisation's clock said at an instant of the database's: never more than at a later tick.
        """
        place = bisect_right(self._starts, database_at)
        if not place:
            said = database_at + self._offset
            return min(said, self._said[0]) if self._said else said
        said = self._said[place - 1] + (database_at - self._starts[place - 1])
        return min(said, self._said[place]) if place < len(self._said) else said

    def by_database(self, organisation_at: datetime) -> datetime:
        """
        The last instant of the database's clock at which the organisation's had not passed this one.
        """
        place = bisect_right(self._said, organisation_at)
        if place:
            read = self._starts[place - 1] + (organisation_at - self._said[place - 1])
        else:
            read = organisation_at - self._offset
        if place == len(self._starts):
            return read
        return min(read, self._starts[place] - timedelta(microseconds=1))

    def first_run_from(self, organisation_at: datetime) -> datetime | None:
        """
        When a run first began at or after an instant, both by the organisation's clock; the instant itself where runs
        are not kept that far back, None where none has begun since.
        """
        place = bisect_left(self._said, organisation_at)
        if not place:
            return organisation_at
        return self._said[place] if place < len(self._said) else None

    def arrived(self, facts: pl.DataFrame) -> pl.DataFrame:
        """
        The facts (occurred_at, seen_at) with ``arrived_at`` in the place of seen_at: when they were known, by the
        organisation's clock. Nothing is known before it happens.
        """
        seen = facts["seen_at"].unique().drop_nulls()
        known = pl.Series([self.by_organisation(each) for each in seen], dtype=INSTANT)
        arrived = facts["seen_at"].replace_strict(seen, known, default=None, return_dtype=INSTANT)
        return facts.drop("seen_at").with_columns(
            arrived_at=pl.max_horizontal(arrived, pl.col("occurred_at").cast(INSTANT))
        )

    def in_force(self, versions: Sequence[tuple[datetime, int]], at: datetime) -> int | None:
        """
        The number of the rules in force at an instant of the organisation's clock, of ``versions`` (from when by the
        database's clock, number; oldest first). Before the first, the first. None where there is none at all.
        """
        numbers = [number for since, number in versions if self.by_organisation(since) <= at]
        return numbers[-1] if numbers else versions[0][1] if versions else None


@dataclass(frozen=True)
class Lens:
    """
    Which facts count: those that happened by ``until``; of those that happened by ``since``, only what was known then;
    and of all, only what had come ``by`` an instant.
    """

    until: datetime
    since: datetime | None = None
    by: datetime | None = None

    def sees(self) -> pl.Expr:
        """
        Whether it sees a fact with occurred_at and arrived_at.
        """
        arrived, occurred = pl.col("arrived_at"), pl.col("occurred_at")
        seen = (occurred <= self.until).fill_null(value=True)
        if self.since is not None:
            known = (arrived <= self.since).fill_null(value=True)
            seen &= (occurred > self.since).fill_null(value=False) | known
        if self.by is not None:
            seen &= (arrived <= self.by).fill_null(value=True)
        return seen
