"""
The org's daily allowance of API calls: counted for real over a rolling day of the practice clock.
"""

import threading
from collections import deque
from datetime import datetime, timedelta
from typing import Any

from worker.practice.clock import Clock
from worker.practice.salesforce.errors import ApiError

DAILY_REQUESTS = 100_000
DAY = timedelta(hours=24)
BUCKET = timedelta(minutes=15)


class ApiUsage:
    """
    Calls of the last 24 hours, in quarters of an hour. Safe to use from any thread.
    """

    def __init__(self, clock: Clock, allowed: int = DAILY_REQUESTS) -> None:
        self.clock = clock
        self.allowed = allowed
        self._lock = threading.Lock()
        self._buckets: deque[tuple[datetime, int]] = deque()

    @property
    def used(self) -> int:
        """
        Calls counted in the last 24 hours.
        """
        with self._lock:
            self._forget()
            return sum(count for _, count in self._buckets)

    def count(self) -> None:
        """
        Count one call. Raises the 403 when the allowance is used up (the refused call is not counted).
        """
        if self.used >= self.allowed:
            raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        with self._lock:
            now = self.clock.now()
            if self._buckets and now - self._buckets[-1][0] < BUCKET:
                start, count = self._buckets.pop()
                self._buckets.append((start, count + 1))
            else:
                self._buckets.append((now, 1))

    def set(self, *, used: int | None = None, allowed: int | None = None) -> None:
        """
        Say how much is used, as of now, and how much is allowed.
        """
        with self._lock:
            if used is not None:
                self._buckets.clear()
                self._buckets.append((self.clock.now(), used))
            if allowed is not None:
                self.allowed = allowed

    def header(self) -> str:
        """
        The value of Sforce-Limit-Info.
        """
        return f"api-usage={self.used}/{self.allowed}"

    def resource(self) -> dict[str, Any]:
        """
        The body of the limits resource.
        """
        whole = {
            "ConcurrentAsyncGetReportInstances": 200,
            "DailyAsyncApexExecutions": 250_000,
            "DailyBulkApiBatches": 15_000,
            "DailyBulkV2QueryFileStorageMB": 976_562,
            "DailyBulkV2QueryJobs": 10_000,
            "DailyStreamingApiEvents": 200_000,
            "DataStorageMB": 10_240,
            "FileStorageMB": 10_240,
            "HourlyAsyncReportRuns": 1_200,
            "MassEmail": 5_000,
            "SingleEmail": 5_000,
        }
        return {
            "DailyApiRequests": {"Max": self.allowed, "Remaining": max(0, self.allowed - self.used)},
            **{name: {"Max": most, "Remaining": most} for name, most in whole.items()},
        }

    def _forget(self) -> None:
        now = self.clock.now()
        while self._buckets and now - self._buckets[0][0] >= DAY:
            self._buckets.popleft()
