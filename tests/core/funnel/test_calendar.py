"""
Spans of time on the fiscal calendar.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import Fatal
from worker.core.frames import INSTANT
from worker.core.funnel.calendar import KINDS, Calendar, Custom, custom_spans

NEW_YORK = Calendar("America/New_York")
FROM_FEBRUARY = Calendar("Europe/Berlin", first_month=2)


def name(calendar: Calendar, at: datetime, kind: str) -> str:
    told: str = pl.DataFrame({"at": [at]}, schema={"at": INSTANT}).select(calendar.name_of("at", kind)).item()  # type: ignore[arg-type]
    return told


def test_a_quarter_begins_at_midnight_of_the_organisations_own_day() -> None:
    span = NEW_YORK.span("2026-Q3")
    assert span.start == datetime(2026, 7, 1, 4, tzinfo=UTC)
    assert span.end == datetime(2026, 10, 1, 4, tzinfo=UTC)


def test_a_fiscal_year_that_begins_in_february_is_named_by_the_year_it_ends_in() -> None:
    assert FROM_FEBRUARY.span("2027").start == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert name(FROM_FEBRUARY, datetime(2026, 2, 1, tzinfo=UTC), "quarter") == "2027-Q1"
    assert name(FROM_FEBRUARY, datetime(2026, 1, 31, 12, tzinfo=UTC), "half") == "2026-H2"
    assert Calendar("UTC", 2, is_named_by_start=True).span("2026").start == datetime(2026, 2, 1, tzinfo=UTC)


def test_months_and_weeks_are_the_calendars_own() -> None:
    assert FROM_FEBRUARY.span("2026-07").start == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert name(FROM_FEBRUARY, datetime(2027, 1, 2, 12, tzinfo=UTC), "week") == "2026-W53"


@pytest.mark.parametrize("text", ["", "26", "2026-Q5", "2026-13", "2026-W54", "last year", "2026-q", "2025-W53"])
def test_what_is_no_period_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Fatal, match="HW-160") as refused:
        NEW_YORK.span(text)
    assert refused.value.code == "HW-160"


@given(
    at=st.integers(0, 3_780_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    first_month=st.integers(1, 12),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]),
    kind=st.sampled_from(KINDS),
    by_start=st.booleans(),
)
def test_every_instant_lies_in_the_span_that_is_named_after_it(
    at: datetime, first_month: int, zone: str, kind: str, by_start: bool
) -> None:
    calendar = Calendar(zone, first_month, by_start)
    span = calendar.around(at, kind)  # type: ignore[arg-type]
    assert span.start <= at < span.end
    assert span.kind == kind
    last = span.end - timedelta(microseconds=1)
    assert name(calendar, span.start, kind) == name(calendar, last, kind) == span.name
    assert name(calendar, span.end, kind) != span.name
    assert span.start.astimezone(ZoneInfo(zone)).hour in {0, 1}  # one where midnight is skipped by the clocks


def weeks_of_4_4_5(begins: date, year: str) -> list[dict[str, object]]:
    """
    A retailer's year of 52 weeks: four quarters of thirteen.
    """
    quarters = [
        {
            "type": "Quarter",
            "start_on": begins + timedelta(weeks=13 * number),
            "end_on": begins + timedelta(weeks=13 * (number + 1), days=-1),
            "name": f"Q{number + 1} FY {year}",
        }
        for number in range(4)
    ]
    whole = {"type": "Year", "start_on": begins, "end_on": quarters[-1]["end_on"], "name": f"FY {year}"}
    return [whole, *reversed(quarters)]


RETAIL = Calendar(
    "America/New_York",
    custom=tuple(custom_spans(weeks_of_4_4_5(date(2026, 2, 1), "2026"), 1, is_named_by_start=False)),
)


def test_a_year_laid_out_by_the_day_is_taken_as_it_is() -> None:
    assert RETAIL.span("2026").start == datetime(2026, 2, 1, 5, tzinfo=UTC)
    assert RETAIL.span("2026").end == datetime(2027, 1, 31, 5, tzinfo=UTC)
    second = RETAIL.span("2026-q2")
    assert (second.name, second.kind, second.start) == ("2026-Q2", "quarter", datetime(2026, 5, 3, 4, tzinfo=UTC))
    assert RETAIL.span("2026-H2").start == RETAIL.span("2026-Q3").start
    for text in ("2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4", "2026-H1", "2026-H2", "2026"):
        span = RETAIL.span(text)
        for at in (span.start, span.end - timedelta(seconds=1)):
            assert name(RETAIL, at, span.kind) == text
            assert RETAIL.around(at, span.kind) == span


def test_days_that_no_such_year_covers_are_the_standard_years() -> None:
    january = datetime(2026, 1, 15, tzinfo=UTC)
    assert name(RETAIL, january, "year") == "2026"
    assert name(RETAIL, datetime(2027, 6, 1, tzinfo=UTC), "quarter") == "2027-Q2"
    assert name(RETAIL, january, "month") == "2026-01"


def test_a_year_of_twelve_whole_months_from_the_first_is_no_year_of_its_own() -> None:
    year = {"type": "Year", "start_on": date(2026, 2, 1), "end_on": date(2027, 1, 31), "name": "FY 2027"}
    assert custom_spans([year], 2, is_named_by_start=False) == []
    assert custom_spans([year], 1, is_named_by_start=False) == [
        Custom("2027", "year", date(2026, 2, 1), date(2027, 1, 31))
    ]


def test_a_year_without_digits_in_its_name_is_known_by_the_year_it_ends_or_begins_in() -> None:
    year = {"type": "Year", "start_on": date(2025, 12, 28), "end_on": date(2026, 12, 26), "name": None}
    assert [each.name for each in custom_spans([year], 1, is_named_by_start=False)] == ["2026"]
    assert [each.name for each in custom_spans([year], 1, is_named_by_start=True)] == ["2025"]


def test_a_year_of_three_quarters_has_no_halves() -> None:
    year, *quarters = weeks_of_4_4_5(date(2026, 2, 1), "2026")
    spans = custom_spans([year, *quarters[1:]], 1, is_named_by_start=False)
    assert [each.name for each in spans] == ["2026", "2026-Q1", "2026-Q2", "2026-Q3"]
    assert custom_spans([{**year, "end_on": None}], 1, is_named_by_start=False) == []
