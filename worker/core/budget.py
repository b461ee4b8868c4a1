"""
Decides how many API calls of an organisation may be used, for what, and until when something has to wait.

Two bounds, both shares of what the organisation may call in its rolling day: a floor that is always left to everybody
else, and a cap on what we use ourselves. Close to either of them work is held back by its purpose: history first, then
the reading of changes, writes last. Pure: flows count and ask, ``status`` tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

Purpose = Literal["writes", "changes", "history"]
# Most urgent first, each with the percentage of our cap that it leaves to those before it.
RESERVED: Final[Mapping[Purpose, int]] = {"writes": 0, "changes": 10, "history": 30}

DAY: Final = timedelta(hours=24)
HOUR: Final = timedelta(hours=1)
# What others use is only known from answers: after this long one call may ask how it stands.
PROBE_AFTER: Final = timedelta(minutes=15)
# The pace of a forecast is that of so many hours.
_PACE_HOURS: Final = 3


@dataclass(frozen=True)
class Shares:
    """
    Percentages of the organisation's calls: what is left to others, what is ours at most.
    """

    floor_percent: Decimal
    cap_percent: Decimal


@dataclass(frozen=True)
class Standing:
    """
    How the calls stand at ``now``, by the organisation's clock.

    ``used`` of ``allowed`` are everybody's in the rolling day, as answered at ``answered_at``. ``ours`` are our own
    calls by the hour they were made in and by purpose. ``levels`` are what ``used`` was at the end of earlier hours.
    """

    now: datetime
    used: int
    allowed: int
    answered_at: datetime
    shares: Shares
    ours: Mapping[datetime, Mapping[str, int]]
    levels: Mapping[datetime, int]

    @property
    def cap(self) -> int:
        """
        The most that we use in 24 hours.
        """
        return int(self.allowed * self.shares.cap_percent / 100)

    @property
    def line(self) -> int:
        """
        What everybody together may have used while we still call: above it begins the floor.
        """
        return int(self.allowed * (100 - self.shares.floor_percent) / 100)

    @property
    def by_purpose(self) -> dict[str, int]:
        """
        Our calls of the last 24 hours by purpose, all purposes named.
        """
        found: dict[str, int] = dict.fromkeys(RESERVED, 0)
        for hour, calls in self.ours.items():
            if _counts(hour, self.now):
                for purpose, number in calls.items():
                    found[purpose] = found.get(purpose, 0) + number
        return found

    @property
    def ours_used(self) -> int:
        """
        Our calls of the last 24 hours.
        """
        return sum(self.by_purpose.values())


@dataclass(frozen=True)
class Hold:
    """
    One purpose has to wait ``until``: for our own ``cap``, or for the ``floor`` of everybody else.
    """

    purpose: Purpose
    bound: Literal["cap", "floor"]
    until: datetime


@dataclass(frozen=True)
class Forecast:
    """
    Where the calls will stand ``at`` if the pace of the last hours goes on; ``full_at`` is when everybody's would reach
    what is allowed, None where they do not before ``at``.
    """

    at: datetime
    used: int
    ours: int
    full_at: datetime | None


def held(standing: Standing, purpose: Purpose, *, may_ask: bool = False) -> Hold | None:
    """
    Whether calls for a purpose have to wait, and until when.

    Each purpose leaves its reserve of the cap unused, below both bounds. What we know of others is as old as the last
    answer: when that is a while ago, whoever ``may_ask`` (it costs a call or two) goes and asks, and the others wait
    for what it hears.
    """
    reserve = standing.cap * RESERVED[purpose] // 100
    if standing.ours_used >= standing.cap - reserve:
        return Hold(purpose, "cap", _room_again(standing, standing.cap - reserve))
    asks_again_at = standing.answered_at + PROBE_AFTER
    asks = may_ask and standing.now >= asks_again_at
    if standing.used >= standing.line - reserve and not asks:
        return Hold(purpose, "floor", max(asks_again_at, standing.now))
    return None


def holds(standing: Standing) -> list[Hold]:
    """
    Everything that has to wait, the least urgent last.
    """
    return [hold for purpose in RESERVED if (hold := held(standing, purpose)) is not None]


def forecast(standing: Standing, at: datetime) -> Forecast:
    """
    How the calls will stand at a later instant.

    Everybody's go on as they rose or fell in the last three hours: what falls out of the rolling day is in that. Ours
    are known by the hour, so those that will have fallen out are left out, and the last three hours' pace goes on.
    """
    hours_left = max(Decimal(0), _hours(at - standing.now))
    pace = _pace(standing)
    used = min(standing.allowed, max(0, standing.used + int(pace * hours_left)))
    full_at = None
    if pace > 0 and standing.used + pace * hours_left >= standing.allowed:
        full_at = standing.now + timedelta(hours=float((standing.allowed - standing.used) / pace))
    kept = sum(sum(calls.values()) for hour, calls in standing.ours.items() if _counts(hour, at))
    recent = sum(
        sum(calls.values()) for hour, calls in standing.ours.items() if hour > standing.now - _PACE_HOURS * HOUR
    )
    ours = min(standing.cap, kept + int(recent * hours_left / _PACE_HOURS))
    return Forecast(at, used, ours, full_at)


def _counts(hour: datetime, now: datetime) -> bool:
    # An hour counts as a whole until its last minute is a day old.
    return hour + HOUR > now - DAY


def _room_again(standing: Standing, limit: int) -> datetime:
    left = standing.ours_used
    for hour in _counted(standing):
        left -= sum(standing.ours[hour].values())
        if left < limit:
            return hour + HOUR + DAY
    return standing.now + DAY  # the limit is zero: nothing makes room


def _counted(standing: Standing) -> Sequence[datetime]:
    return sorted(hour for hour in standing.ours if _counts(hour, standing.now))


def _pace(standing: Standing) -> Decimal:
    """
    By how many calls an hour everybody's count has risen of late; zero where nothing earlier is known.
    """
    earlier = [
        hour for hour in standing.levels if standing.now - (_PACE_HOURS + 1) * HOUR <= hour < standing.now - HOUR
    ]
    if not earlier:
        return Decimal(0)
    first = min(earlier)
    # A level is that of its hour's end.
    return Decimal(standing.used - standing.levels[first]) / max(Decimal(1), _hours(standing.now - first - HOUR))


def _hours(span: timedelta) -> Decimal:
    return Decimal(int(span.total_seconds())) / 3600
