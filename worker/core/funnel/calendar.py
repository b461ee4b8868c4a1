"""
Names spans of time on the organisation's fiscal calendar, and tells which span an instant falls into.

Pure: takes the calendar as it is given, and asks no clock. Called by the reports.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl

from worker.core.errors import Fatal

Kind = Literal["week", "month", "quarter", "half", "year"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
# Months in each, and the letter that numbers it within a fiscal year.
_MONTHS: Final = {"quarter": 3, "half": 6, "year": 12}
_SPELT: Final = re.compile(
    r"(?P<year>\d{4})(?:-(?:Q(?P<quarter>[1-4])|H(?P<half>[12])|W(?P<week>\d{2})|(?P<month>\d{2})))?"
)


@dataclass(frozen=True)
class Span:
    """
    A span of time, ``start <= instant < end``, both aware UTC.
    """

    name: str
    kind: Kind
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Calendar:
    """
    ``zone`` is the organisation's time zone. A fiscal year begins with ``first_month`` and is named by the calendar
    year it ends in, or by that it begins in.
    """

    zone: str
    first_month: int = 1
    is_named_by_start: bool = False

    def span(self, text: str) -> Span:
        """
        The span that ``2026``, ``2026-H1``, ``2026-Q3``, ``2026-07`` or ``2026-W30`` names: year, half and quarter are
        fiscal, month and ISO week are the calendar's. Raises Fatal HW-160 for anything else.
        """
        found = _SPELT.fullmatch(text.strip().upper())
        try:
            days = self._days(found) if found else None
        except ValueError:
            days = None
        if days is None:
            raise Fatal(
                "HW-160", f'"{text}" is no period', actions=["write it as 2026, 2026-H1, 2026-Q3, 2026-07 or 2026-W30"]
            )
        kind, first, last = days
        return Span(text.strip().upper(), kind, self._midnight(first), self._midnight(last))

    def name_of(self, column: str, kind: Kind) -> pl.Expr:
        """
        The name of the span of that kind which an instant of ``column`` (aware UTC) falls into; null for null.
        """
        local = pl.col(column).dt.convert_time_zone(self.zone)
        if kind == "week":
            return local.dt.strftime("%G-W%V")
        if kind == "month":
            return local.dt.strftime("%Y-%m")
        months = local.dt.year().cast(pl.Int32) * 12 + local.dt.month().cast(pl.Int32) - self.first_month
        year = (months // 12 + self._naming).cast(pl.String)
        if kind == "year":
            return year
        length = _MONTHS[kind]
        return pl.concat_str(year, pl.lit(f"-{kind[0].upper()}"), (months % 12 // length + 1).cast(pl.String))

    def around(self, at: datetime, kind: Kind) -> Span:
        """
        The span of that kind that holds an instant.
        """
        name: str = pl.DataFrame({"at": [at.astimezone(UTC)]}).select(self.name_of("at", kind)).item()
        return self.span(name)

    @property
    def _naming(self) -> int:
        return 0 if self.is_named_by_start or self.first_month == 1 else 1

    def _days(self, found: re.Match[str]) -> tuple[Kind, date, date]:
        year = int(found["year"])
        if found["week"]:
            first = date.fromisocalendar(year, int(found["week"]), 1)
            return "week", first, first + timedelta(days=7)
        if found["month"]:
            first = date(year, int(found["month"]), 1)
            return "month", first, _months_on(first, 1)
        begin = date(year - self._naming, self.first_month, 1)
        for kind in ("quarter", "half"):
            if found[kind]:
                first = _months_on(begin, (int(found[kind]) - 1) * _MONTHS[kind])
                return ("quarter" if kind == "quarter" else "half"), first, _months_on(first, _MONTHS[kind])
        return "year", begin, _months_on(begin, 12)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)


def _months_on(day: date, months: int) -> date:
    whole = day.year * 12 + day.month - 1 + months
    return date(whole // 12, whole % 12 + 1, 1)
