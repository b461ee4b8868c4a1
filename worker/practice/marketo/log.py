"""
The log of activities: what was committed, in the order in which it was committed, and what still waits for its
commit.

A reader walks the log by position, so a page costs O(log n) plus its rows however long the log is. What is put in
before anybody has asked for a paging token is history and stands in the order of its own times. From then on a row
stands at the end, when it is committed: at once, at its own time if that lies ahead, or at a given later moment. A
row may also be put *behind*: at the place of its own time, where a cursor that is already past never sees it and only
a fresh token does.

Used by ``org`` alone, under its lock.
"""

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

from worker.practice.marketo.database import read_fact, transaction, write_fact

# Room between two neighbours, in which rows can be put behind, and how far apart those are set.
_STRIDE: Final = 2**36
_BEHIND_STRIDE: Final = 2**16


class Activity(NamedTuple):
    """
    One committed activity: place in the log, instant in seconds, ids as the platform's numbers, JSON text or None.

    ``attributes`` is a JSON list of ``{"name", "value"}``; ``changes`` the list of changed fields of types 12 and 13.
    """

    position: int
    number: int
    person: int
    at: int
    type: int
    campaign: int | None
    primary_id: int | None
    primary_value: str | None
    attributes: str
    changes: str | None


class NewActivity(NamedTuple):
    """
    An activity to be put in. ``committed_at`` None: see the module; ``behind``: at the place of its own time.
    """

    person: int
    at: int
    type: int
    campaign: int | None
    primary_id: int | None
    primary_value: str | None
    attributes: str
    changes: str | None = None
    committed_at: int | None = None
    behind: bool = False


_COLUMNS: Final = "number, person, at, type, campaign, primary_id, primary_value, attributes, changes"


class ActivityLog:
    """
    Positions grow with commit; ``number`` is the activity's id, given in the order of putting in.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._opened = bool(read_fact(database, "log_opened"))
        self._last: int = database.execute("SELECT COALESCE(MAX(position), 0) FROM log").fetchone()[0]
        self._number: int = database.execute(
            "SELECT MAX(COALESCE((SELECT MAX(number) FROM log), 0), COALESCE((SELECT MAX(number) FROM waiting), 0))"
        ).fetchone()[0]
        self._next_commit: int | None = database.execute("SELECT MIN(commit_at) FROM waiting").fetchone()[0]
        # Where the log first reaches an instant: both lists grow, so a fresh token is found by bisection.
        self._high_at: list[int] = []
        self._high_position: list[int] = []
        for position, at in database.execute("SELECT position, at FROM log ORDER BY position"):
            self._raise_high(position, at)

    def _raise_high(self, position: int, at: int) -> None:
        if not self._high_at or at > self._high_at[-1]:
            self._high_at.append(at)
            self._high_position.append(position)

    def put(self, rows: Iterable[NewActivity], now: int) -> list[int]:
        """
        Take rows in; their numbers, in order.
        """
        first = self._number + 1
        waiting, behind = [], []
        for row in rows:
            self._number += 1
            stored = (self._number, *row[:8])
            if row.behind and self._opened:
                behind.append(stored)
            else:
                waiting.append((self._commit_at(row, now), *stored))
        for commit_at, *_ in waiting:
            if self._next_commit is None or commit_at < self._next_commit:
                self._next_commit = commit_at
        with transaction(self._db):
            self._db.executemany(f"INSERT INTO waiting VALUES ({', '.join('?' * 10)})", waiting)
            if behind:
                self.settle(now)
            for stored in sorted(behind, key=lambda row: row[2]):
                self._insert_behind(stored)
        return list(range(first, self._number + 1))

    def _commit_at(self, row: NewActivity, now: int) -> int:
        if row.committed_at is not None:
            return row.committed_at
        return max(row.at, now) if self._opened else row.at

    def settle(self, now: int) -> None:
        """
        Commit what is due at ``now``.
        """
        if self._next_commit is None or self._next_commit > now:
            return
        before = self._last
        with transaction(self._db):
            # Numbered inside the database: the first settling may move a million rows.
            moved = self._db.execute(
                f"INSERT INTO log SELECT ? + {_STRIDE} * ROW_NUMBER() OVER (ORDER BY commit_at, number), {_COLUMNS} "
                "FROM waiting WHERE commit_at <= ?",
                (before, now),
            ).rowcount
            # Without a condition SQLite drops all rows at once.
            later = self._db.execute("SELECT MIN(commit_at) FROM waiting WHERE commit_at > ?", (now,)).fetchone()[0]
            if later is None:
                self._db.execute("DELETE FROM waiting")
            else:
                self._db.execute("DELETE FROM waiting WHERE commit_at <= ?", (now,))
        self._next_commit = later
        self._last = before + moved * _STRIDE
        for position, at in self._db.execute("SELECT position, at FROM log WHERE position > ?", (before,)):
            self._raise_high(position, at)

    def _insert_behind(self, stored: tuple[object, ...]) -> None:
        at = stored[2]
        assert isinstance(at, int)  # noqa: S101  (tells the type checker what the tuple holds)
        # Before the first row that is younger than any before it and than this one.
        index = bisect_right(self._high_at, at)
        if index == len(self._high_at):
            self._last += _STRIDE
            place = self._last
        else:
            following = self._high_position[index]
            before = (
                self._db.execute("SELECT MAX(position) FROM log WHERE position < ?", (following,)).fetchone()[0] or 0
            )
            place = before + min(_BEHIND_STRIDE, (following - before) // 2)
            if place == before:
                raise ValueError("too many activities were put behind at one place")
        self._db.execute(f"INSERT INTO log VALUES ({', '.join('?' * 10)})", (place, *stored))
        if index == 0 or self._high_at[index - 1] < at:
            self._high_at.insert(index, at)
            self._high_position.insert(index, place)

    def start(self, since: int, now: int) -> int:
        """
        The position after which everything dated at or after ``since`` stands; from now on the log is being read.
        """
        self.settle(now)
        if not self._opened:
            self._opened = True
            write_fact(self._db, "log_opened", 1)
        index = bisect_left(self._high_at, since)
        return self._last if index == len(self._high_at) else self._high_position[index] - 1

    def page(self, after: int, count: int, now: int) -> tuple[list[Activity], bool]:
        """
        The next ``count`` rows of all types after a position, and whether there are more.
        """
        self.settle(now)
        rows = self._db.execute(
            f"SELECT position, {_COLUMNS} FROM log WHERE position > ? ORDER BY position LIMIT ?", (after, count + 1)
        ).fetchall()
        return [Activity(*row) for row in rows[:count]], len(rows) > count

    def counts(self, now: int) -> dict[int, int]:
        """
        How many activities of each type are committed.
        """
        self.settle(now)
        return dict(self._db.execute("SELECT type, COUNT(*) FROM log GROUP BY type ORDER BY type"))

    def purge(self, before: int) -> int:
        """
        Forget committed activities dated before an instant, as the platform does with old ones; how many.
        """
        return self._db.execute("DELETE FROM log WHERE at < ?", (before,)).rowcount
