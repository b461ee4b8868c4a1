"""
Who may call the practice Marketo, and how often: access tokens, the day's quota and the 20-second rate limit.

Tokens live 3,600 s by the practice clock and asking again gives the same token with the time that is left, as the
platform does. The quota's day begins at midnight US Central. The rate and concurrency limits are off until switched
on, because most tests want speed. Knows nothing of people or activities.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from worker.practice.marketo.refusal import UNCOUNTED, Refusal

TOKEN_LIFE_SECONDS: Final = 3600
DAILY_QUOTA: Final = 50_000
RATE_CALLS: Final = 100
RATE_SECONDS: Final = 20
CONCURRENT_CALLS: Final = 10
_CENTRAL: Final = ZoneInfo("America/Chicago")
API_USER: Final = "headwater@practice.test"


@dataclass
class Ordered:
    """
    A refusal that somebody ordered: for how many calls (None: until lifted) and for which paths.
    """

    code: str
    message: str
    path_contains: str | None = None
    times: int | None = 1


@dataclass
class Access:
    """
    The state of the door. ``now`` is always the practice clock's moment.
    """

    client_id: str
    client_secret: str
    quota: int = DAILY_QUOTA
    rate_limited: bool = False
    concurrency_limited: bool = False
    ordered: list[Ordered] = field(default_factory=list)
    _token: str | None = None
    _issued_at: datetime | None = None
    _expired: set[str] = field(default_factory=set)
    _issues: int = 0
    _used: Counter[str] = field(default_factory=Counter)
    _errors: dict[str, Counter[str]] = field(default_factory=dict)
    _recent: deque[float] = field(default_factory=deque)
    _under_way: int = 0

    def issue(self, client_id: str, client_secret: str, now: datetime) -> dict[str, Any] | None:
        """
        The answer of the identity service, or None for a wrong id or secret.
        """
        if (client_id, client_secret) != (self.client_id, self.client_secret):
            return None
        left = self._seconds_left(now)
        if self._token is None or left <= 0:
            if self._token is not None:
                self._expired.add(self._token)
            self._issues += 1
            digest = hashlib.sha256(f"{self.client_secret}:{self._issues}".encode()).hexdigest()
            self._token = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}:int"
            self._issued_at = now
            left = TOKEN_LIFE_SECONDS
        # The platform names one second less than the full life in a fresh answer.
        return {
            "access_token": self._token,
            "token_type": "bearer",
            "expires_in": max(left - 1, 0),
            "scope": API_USER,
        }

    def _seconds_left(self, now: datetime) -> int:
        if self._issued_at is None:
            return 0
        return int(TOKEN_LIFE_SECONDS - (now - self._issued_at).total_seconds())

    def invalidate(self, *, expire: bool = False) -> None:
        """
        The present token is worthless from now on: 601, or 602 if it shall look expired. Its holder is not told.
        """
        if expire and self._token is not None:
            self._expired.add(self._token)
        self._token = None
        self._issued_at = None

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """
        One call from its arrival to its answer; refused with 615 where ten are under way and that limit is on.
        """
        if self.concurrency_limited and self._under_way >= CONCURRENT_CALLS:
            raise Refusal("615", "Concurrent access limit reached")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def admit(self, authorization: str | None, now: datetime, path: str) -> None:
        """
        Let one call pass or raise Refusal; counts it as the platform does.
        """
        try:
            self._check_token(authorization, now)
            self._check_ordered(path)
            self._check_limits(now)
        except Refusal as refusal:
            self.count_error(refusal.code, now)
            if refusal.code not in UNCOUNTED:
                self._used[self._day(now)] += 1
            raise
        self._used[self._day(now)] += 1
        self._recent.append(now.timestamp())

    def _check_token(self, authorization: str | None, now: datetime) -> None:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal("600", "Access token is empty")
        token = token.strip()
        if token in self._expired or (token == self._token and self._seconds_left(now) <= 0):
            raise Refusal("602", "Access token expired")
        if token != self._token:
            raise Refusal("601", "Access token invalid")

    def _check_ordered(self, path: str) -> None:
        for order in self.ordered:
            if order.path_contains is not None and order.path_contains not in path:
                continue
            if order.times is not None:
                order.times -= 1
                if order.times <= 0:
                    self.ordered.remove(order)
            raise Refusal(order.code, order.message)

    def _check_limits(self, now: datetime) -> None:
        if self._used[self._day(now)] >= self.quota:
            raise Refusal("607", f"Daily quota of {self.quota} reached")
        moment = now.timestamp()
        while self._recent and self._recent[0] <= moment - RATE_SECONDS:
            self._recent.popleft()
        if self.rate_limited and len(self._recent) >= RATE_CALLS:
            raise Refusal("606", f"Max rate limit '{RATE_CALLS}' exceeded with in '{RATE_SECONDS}' secs")

    def _day(self, now: datetime) -> str:
        return now.astimezone(_CENTRAL).date().isoformat()

    def count_error(self, code: str, now: datetime) -> None:
        """
        Remember a refusal for ``stats/errors.json``.
        """
        self._errors.setdefault(self._day(now), Counter())[code] += 1

    def set_used(self, count: int, now: datetime) -> None:
        """
        Pretend that so many calls were made today.
        """
        self._used[self._day(now)] = count

    def usage(self, now: datetime) -> list[dict[str, Any]]:
        """
        ``stats/usage.json``: today's calls.
        """
        day = self._day(now)
        used = self._used[day]
        return [{"date": day, "total": used, "users": [{"userId": API_USER, "count": used}]}]

    def errors(self, now: datetime) -> list[dict[str, Any]]:
        """
        ``stats/errors.json``: today's refusals by code.
        """
        day = self._day(now)
        counts = self._errors.get(day, Counter())
        items = [{"errorCode": code, "count": count} for code, count in sorted(counts.items())]
        return [{"date": day, "total": sum(counts.values()), "errors": items}]
