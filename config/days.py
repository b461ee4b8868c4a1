"""
Reads instants, and days where only they are told: what they are written as, and at which instant a day stands.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo


def read_instant(value: Any) -> datetime | date:
    """
    An aware instant in UTC; a day alone stays a date. Raises ValueError for anything else.
    """
    if not isinstance(value, str):
        raise ValueError("an instant is expected, as 2020-01-31T12:00:00Z")  # noqa: TRY004 - pydantic reports only ValueError
    text = value.strip()
    if not re.match(r"(19|[2-8]\d)\d\d-?[01]", text):
        # Bounded, because days are added and taken away: a lookback, the end of a day.
        raise ValueError(f'"{text}" is no instant of the years 1900 to 8999; write it as 2020-01-31T12:00:00Z')
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text)
        found = datetime.fromisoformat(text.upper())
        aware = None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text}" is no instant; write it as 2020-01-31T12:00:00Z') from None
    if aware is None:
        raise ValueError(f'"{text}" says no time zone; write {found.isoformat()}Z if it is UTC')
    return aware


def instant(value: datetime | date, zone: str, *, ends: bool) -> datetime:
    """
    The instant of a day alone: its last second in the time zone for a milestone, its first for an act, so that what is
    done on the same day counts as done before. An instant stays what it is.
    """
    if isinstance(value, datetime):
        return value
    if ends:
        return (datetime.combine(value + timedelta(days=1), time(), ZoneInfo(zone)) - timedelta(seconds=1)).astimezone(
            UTC
        )
    return datetime.combine(value, time(), ZoneInfo(zone)).astimezone(UTC)


@dataclass(frozen=True)
class Days:
    """
    Reads the times of a deal's file, in which a day may stand alone, as instants.

    Where the deal's creation is a day alone (``by_day``), all is counted by days of ``zone``: every day is the same
    second of UTC, so that what is done on the same day counts as done before, ages are whole days, and windows of days
    count both their ends, whatever a clock's summer does. Times of day then put a day's acts in order, and no more.

    Else a day alone begins with its acts and ends with its milestones, but not after the deal's own creation or close
    (``clocks``) of that day.
    """

    zone: str
    by_day: bool
    clocks: tuple[datetime, ...]

    def milestone(self, at: datetime | date) -> datetime:
        """
        The instant of what a deal or a person came to.
        """
        if self.by_day or isinstance(at, datetime):
            return self.moment(at)
        return min((clock for clock in self.clocks if self._day(clock) == at), default=self.moment(at))

    def act(self, at: datetime | date) -> datetime:
        """
        The instant of what somebody did.
        """
        return self.moment(at) if self.by_day else instant(at, self.zone, ends=False)

    def moment(self, at: datetime | date) -> datetime:
        """
        The instant as of which one asks: a day is over.
        """
        if self.by_day:
            return instant(self._day(at), "UTC", ends=True)
        return instant(at, self.zone, ends=True)

    def time_of_day(self, at: datetime | date) -> datetime:
        """
        By what a day's acts are put in order; those without a time come first.
        """
        return instant(at, self.zone, ends=False)

    def _day(self, at: datetime | date) -> date:
        return at.astimezone(ZoneInfo(self.zone)).date() if isinstance(at, datetime) else at
