"""
SOQL's date literals (TODAY, LAST_N_DAYS:7 ...) as half-open ranges of local days, in the user's time zone.

Weeks start on Sunday, as in an org with an American locale. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from worker.practice.salesforce.values import stamp

Range = tuple[date, date]


@dataclass(frozen=True)
class Calendar:
    """
    Today, by the practice clock, in the zone of the user who asks.
    """

    now: datetime
    zone: ZoneInfo

    @property
    def today(self) -> date:
        """
        The user's local day.
        """
        return self.now.astimezone(self.zone).date()

    def days(self, word: str, count: int | None) -> Range:
        """
        First day, and the day after the last, of a date literal in lower case.
        """
        return _FIXED[word](self.today) if count is None else _counted(self.today, word, count)

    def midnight(self, day: date) -> str:
        """
        The stored datetime at which that local day begins.
        """
        return stamp(datetime.combine(day, time(), self.zone).astimezone(UTC))


def _month(day: date, step: int = 0) -> date:
    months = day.year * 12 + day.month - 1 + step
    return date(months // 12, months % 12 + 1, 1)


def _quarter(day: date, step: int = 0) -> date:
    return _month(date(day.year, (day.month - 1) // 3 * 3 + 1, 1), step * 3)


def _year(day: date, step: int = 0) -> date:
    return date(day.year + step, 1, 1)


def _week(day: date, step: int = 0) -> date:
    return day - timedelta(days=(day.weekday() + 1) % 7) + timedelta(weeks=step)


def _day(day: date, step: int = 0) -> date:
    return day + timedelta(days=step)


_UNITS: dict[str, Callable[[date, int], date]] = {
    "day": _day, "days": _day, "week": _week, "weeks": _week, "month": _month, "months": _month,
    "quarter": _quarter, "quarters": _quarter, "year": _year, "years": _year,
}  # fmt: skip


def _span(unit: Callable[[date, int], date], first: int, after: int) -> Callable[[date], Range]:
    return lambda today: (unit(today, first), unit(today, after))


_FIXED: dict[str, Callable[[date], Range]] = {
    "yesterday": _span(_day, -1, 0),
    "today": _span(_day, 0, 1),
    "tomorrow": _span(_day, 1, 2),
    "last_90_days": _span(_day, -90, 1),
    "next_90_days": _span(_day, 1, 91),
} | {
    f"{when}_{unit}": _span(_UNITS[unit], first, first + 1)
    for unit in ("week", "month", "quarter", "year")
    for when, first in (("last", -1), ("this", 0), ("next", 1))
}


def _counted(today: date, word: str, count: int) -> Range:
    head, _, rest = word.partition("_n_")
    if not rest:
        # N_DAYS_AGO and its like name one whole unit in the past.
        unit = _UNITS[word.removeprefix("n_").removesuffix("_ago")]
        return unit(today, -count), unit(today, -count + 1)
    unit = _UNITS[rest]
    if head == "last":
        # LAST_N_DAYS counts today in, the longer units leave the current one out.
        return unit(today, -count), unit(today, 1 if rest == "days" else 0)
    return unit(today, 1), unit(today, count + 1)
