"""
Reading behind writing: what was written shows up in queries some seconds later, as it does in real orgs.

Before each write the database's state is held in a reading connection of its own; while the write is younger than
``Settings.read_lag_seconds`` by the practice clock, readers are given the oldest state it is still hidden from.
Writers, and whatever checks a record before it is written, see everything at once.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from worker.practice.clock import Clock

# Writes this close together share one state: a loader's thousands of calls must not hold thousands of connections.
TOGETHER = timedelta(seconds=0.2)


class ReadLag:
    """
    The states of one org that readers may still be shown. ``seconds`` says how far behind they are at present. Safe to
    use from any thread.
    """

    def __init__(
        self, clock: Clock, seconds: Callable[[], float], open_reader: Callable[[], sqlite3.Connection]
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._open_reader = open_reader
        self._lock = threading.Lock()
        self._states: deque[tuple[datetime, sqlite3.Connection]] = deque()

    def hold(self) -> None:
        """
        Hold the present state, because a write is about to begin.
        """
        now = self._clock.now()
        with self._lock:
            self._forget(now)
            if self._seconds() and not (self._states and abs(now - self._states[-1][0]) < TOGETHER):
                reader = self._open_reader()
                # The first read is what fixes the state a transaction sees.
                reader.execute("BEGIN")
                reader.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
                self._states.append((now, reader))

    def reader(self) -> sqlite3.Connection | None:
        """
        The state a reader is to see, or None where that is the present one.
        """
        if not self._states:
            return None
        with self._lock:
            self._forget(self._clock.now())
            return self._states[0][1] if self._states else None

    def _forget(self, now: datetime) -> None:
        """
        Let go of states before writes that show by now; whoever still reads from one keeps it open. A clock set back
        makes all of them meaningless.
        """
        shown = now - timedelta(seconds=self._seconds())
        while self._states and not shown < self._states[0][0] <= now:
            self._states.popleft()
