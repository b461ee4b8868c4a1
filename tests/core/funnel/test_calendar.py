"""
Spans of time on the fiscal calendar.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import Fatal
from worker.core.frames import INSTANT
from worker.core.funnel.calendar import KINDS, Calendar

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
