"""
The org's daily allowances, of API calls and of Bulk work: counted for real over a rolling day of the practice clock.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from worker.practice.clock import Clock
from worker.practice.identity import CLIENT_ID
from worker.practice.salesforce.errors import ApiError

DAILY_REQUESTS = 100_000
DAY = timedelta(hours=24)
BUCKET = timedelta(minutes=15)
REQUESTS = "DailyApiRequests"
# The daily limits that count here, as large orgs have them.
BULK_LIMITS = {
    "DailyBulkApiBatches": 15_000,
    "DailyBulkV2QueryFileStorageMB": 976_562,
    "DailyBulkV2QueryJobs": 10_000,
}
# Limits of what a practice org does not do; they stay whole.
WHOLE = {
    "ConcurrentAsyncGetReportInstances": 200,
    "DailyAsyncApexExecutions": 250_000,
    "DailyStreamingApiEvents": 200_000,
    "DataStorageMB": 10_240,
    "FileStorageMB": 10_240,
    "HourlyAsyncReportRuns": 1_200,
    "MassEmail": 5_000,
    "SingleEmail": 5_000,
}


class RollingDay:
    """
    What was spent in the last 24 hours, in quarters of an hour. Not safe by itself; ``ApiUsage`` locks.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.buckets: deque[tuple[datetime, int]] = deque()

    @property
    def spent(self) -> int:
        """
        The sum of the last 24 hours.
        """
        now = self.clock.now()
        while self.buckets and now - self.buckets[0][0] >= DAY:
            self.buckets.popleft()
        return sum(count for _, count in self.buckets)

    def spend(self, count: int) -> None:
        """
        Count ``count`` as of now.
        """
        now = self.clock.now()
        if self.buckets and now - self.buckets[-1][0] < BUCKET:
            start, before = self.buckets.pop()
            self.buckets.append((start, before + count))
        else:
            self.buckets.append((now, count))

    def set(self, count: int) -> None:
        """
        Say how much is spent, as of now.
        """
        self.buckets.clear()
        self.buckets.append((self.clock.now(), count))


class InFlight:
    """
    The requests being answered right now. Safe to use from any thread; times are the machine's, not the practice
    clock's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: dict[object, float] = {}

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """
        One request, from its arrival to the end of its answer.
        """
        key = object()
        with self._lock:
            self._started[key] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._started[key]

    def check(self, seconds: float, most: int) -> None:
        """
        Raises the 403 when ``most`` requests have been running for longer than ``seconds``. Short ones are unlimited.
        """
        limit = time.monotonic() - seconds
        with self._lock:
            running = sum(1 for started in self._started.values() if started < limit)
        if running >= most:
            words = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", words)


class ApiUsage:
    """
    API calls and Bulk work of the last 24 hours, and what the org allows of each. Safe to use from any thread.
    """

    def __init__(self, clock: Clock, allowed: int = DAILY_REQUESTS) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self.limits: dict[str, int] = {}
        self._days: dict[str, RollingDay] = {}
        self.reset(allowed)

    def reset(self, allowed: int = DAILY_REQUESTS) -> None:
        """
        Nothing spent, everything allowed that an org of some size has.
        """
        with self._lock:
            self.limits = {REQUESTS: allowed, **BULK_LIMITS}
            self._days = {name: RollingDay(self.clock) for name in self.limits}

    @property
    def allowed(self) -> int:
        """
        Calls the org may make in 24 hours.
        """
        return self.limits[REQUESTS]

    @property
    def used(self) -> int:
        """
        Calls counted in the last 24 hours.
        """
        return self.spent(REQUESTS)

    def spent(self, name: str) -> int:
        """
        How much of a limit was spent in the last 24 hours.
        """
        with self._lock:
            return self._days[name].spent

    def spend(self, name: str, count: int) -> None:
        """
        Count ``count`` against a limit; what is beyond it is counted too.
        """
        with self._lock:
            self._days[name].spend(count)

    def is_short(self, name: str, count: int = 1) -> bool:
        """
        Whether ``count`` more would pass the limit.
        """
        return self.spent(name) + count > self.limits[name]

    def count(self) -> None:
        """
        Count one call. Raises the 403 when the allowance is used up (the refused call is not counted).
        """
        if self.is_short(REQUESTS):
            raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.spend(REQUESTS, 1)

    def set(self, *, used: int | None = None, allowed: int | None = None, name: str = REQUESTS) -> None:
        """
        Say how much of a limit is used, as of now, and how much is allowed. Raises ``ValueError`` for an unknown one.
        """
        with self._lock:
            if name not in self.limits:
                raise ValueError(f"there is no limit {name!r}; there are {', '.join(sorted(self.limits))}")
            if used is not None:
                self._days[name].set(used)
            if allowed is not None:
                self.limits[name] = allowed

    def header(self, app_allowed: int = 0) -> str:
        """
        The value of Sforce-Limit-Info; with ``app_allowed`` the usage of the one connected app too.
        """
        used = self.used
        app = f"; per-app-api-usage={used}/{app_allowed}(appName={CLIENT_ID})" if app_allowed else ""
        return f"api-usage={used}/{self.allowed}{app}"

    def resource(self) -> dict[str, Any]:
        """
        The body of the limits resource.
        """
        counted = {
            name: {"Max": most, "Remaining": max(0, most - self.spent(name))} for name, most in self.limits.items()
        }
        return counted | {name: {"Max": most, "Remaining": most} for name, most in WHOLE.items()}

    def dump(self) -> dict[str, Any]:
        """
        All of it as JSON takes it, for a snapshot.
        """
        with self._lock:
            spent = {name: [[at.isoformat(), n] for at, n in day.buckets] for name, day in self._days.items()}
            return {"limits": dict(self.limits), "spent": spent}

    def load(self, given: Mapping[str, Any]) -> None:
        """
        What ``dump`` gave.
        """
        with self._lock:
            self.limits = {str(name): int(most) for name, most in given["limits"].items()}
            self._days = {name: RollingDay(self.clock) for name in self.limits}
            for name, buckets in given["spent"].items():
                self._days[name].buckets.extend((datetime.fromisoformat(at), int(count)) for at, count in buckets)
