"""
Names spans of time on the organisation's fiscal calendar, and tells which span an instant falls into.

Pure: takes the calendar as it is given, and asks no clock. Called by the reports.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any, Final, Literal, get_args
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
class Custom:
    """
    A fiscal year, half or quarter as an organisation has laid it out by the day (4-4-5 weeks, say), both days counted.
    """

    name: str
    kind: Kind
    first: date
    last: date


@dataclass(frozen=True)
class Calendar:
    """
    ``zone`` is the organisation's time zone. A fiscal year begins with ``first_month`` and is named by the calendar
    year it ends in, or by that it begins in. ``custom`` spans stand instead of those, on the days they cover; months
    and weeks are the calendar's all the same.
    """

    zone: str
    first_month: int = 1
    is_named_by_start: bool = False
    custom: tuple[Custom, ...] = ()

    def span(self, text: str) -> Span:
        """
        The span that ``2026``, ``2026-H1``, ``2026-Q3``, ``2026-07`` or ``2026-W30`` names: year, half and quarter are
        fiscal, month and ISO week are the calendar's. Raises Fatal HW-160 for anything else.
        """
        found = _SPELT.fullmatch(text.strip().upper())
        try:
            days = (self._custom_days(found[0]) or self._days(found)) if found else None
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
            return self._or_custom(local.dt.date(), kind, year)
        length = _MONTHS[kind]
        named = pl.concat_str(year, pl.lit(f"-{kind[0].upper()}"), (months % 12 // length + 1).cast(pl.String))
        return self._or_custom(local.dt.date(), kind, named)

    def around(self, at: datetime, kind: Kind) -> Span:
        """
        The span of that kind that holds an instant.
        """
        name: str = pl.DataFrame({"at": [at.astimezone(UTC)]}).select(self.name_of("at", kind)).item()
        return self.span(name)

    def _or_custom(self, day: pl.Expr, kind: Kind, standard: pl.Expr) -> pl.Expr:
        named = standard
        for each in self.custom:
            if each.kind == kind:
                named = pl.when(day.is_between(each.first, each.last)).then(pl.lit(each.name)).otherwise(named)
        return named

    def _custom_days(self, name: str) -> tuple[Kind, date, date] | None:
        found = next((each for each in self.custom if each.name == name), None)
        return (found.kind, found.first, found.last + timedelta(days=1)) if found else None

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


def custom_spans(periods: Iterable[Mapping[str, Any]], first_month: int, *, is_named_by_start: bool) -> list[Custom]:
    """
    The custom years among an organisation's fiscal ``periods`` with their halves and quarters, by their first day.

    A period is type (Year, Quarter), start_on, end_on and name. A year that is twelve whole months from ``first_month``
    on is none. A year is known by the four digits of its name, else by the calendar year that ``is_named_by_start``
    tells. Halves are there where a year has four quarters.
    """
    spans: list[Custom] = []
    whole = sorted((each for each in periods if each["start_on"] and each["end_on"]), key=_start)
    for year in (each for each in whole if each["type"] == "Year"):
        begins, ends = year["start_on"], year["end_on"]
        if begins.day == 1 and begins.month == first_month and ends == _months_on(begins, 12) - timedelta(days=1):
            continue
        digits = re.search(r"\d{4}", year["name"] or "")
        name = digits[0] if digits else f"{(begins if is_named_by_start else ends).year}"
        quarters = [
            each
            for each in whole
            if each["type"] == "Quarter" and begins <= each["start_on"] and each["end_on"] <= ends
        ]
        spans += [Custom(name, "year", begins, ends), *_parts(name, quarters)]
    return spans


def _parts(year: str, quarters: list[Mapping[str, Any]]) -> Iterator[Custom]:
    # Several lists of one year's quarters may overlap, one a forecast: the first of a start counts.
    firsts = [next(group) for _, group in groupby(quarters, key=_start)]
    for number, each in enumerate(firsts, start=1):
        yield Custom(f"{year}-Q{number}", "quarter", each["start_on"], each["end_on"])
    if len(firsts) == _MONTHS["year"] // _MONTHS["quarter"]:
        yield Custom(f"{year}-H1", "half", firsts[0]["start_on"], firsts[1]["end_on"])
        yield Custom(f"{year}-H2", "half", firsts[2]["start_on"], firsts[3]["end_on"])


def _start(period: Mapping[str, Any]) -> date:
    start: date = period["start_on"]
    return start
