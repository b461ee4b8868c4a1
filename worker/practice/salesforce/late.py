"""
Writes that are stamped now and become visible later, as a long transaction's are.

A control call hands them over with the moment of their commit; whoever serves the next request after that moment makes
them visible, with the stamps they got when they were handed over.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pending:
    """
    An open transaction: its start and its commit as stamps, and what makes it visible.
    """

    started: str
    commits: str
    apply: Callable[[], None]


class LateCommits:
    """
    The open transactions of one org. Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Pending] = []

    def add(self, pending: Pending) -> None:
        """
        Open a transaction.
        """
        with self._lock:
            self._pending.append(pending)

    def settle(self, now: str) -> None:
        """
        Commit what is due at ``now``.
        """
        if not self._pending:
            return
        with self._lock:
            due = [each for each in self._pending if each.commits <= now]
            self._pending = [each for each in self._pending if each.commits > now]
        for each in sorted(due, key=lambda pending: pending.commits):
            each.apply()

    def oldest_start(self) -> str | None:
        """
        When the oldest open transaction began: getUpdated and getDeleted vouch for nothing after it.
        """
        with self._lock:
            return min((each.started for each in self._pending), default=None)
