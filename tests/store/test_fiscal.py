"""
The fiscal calendar as the organisation tells it, out of what was read of it.
"""

from datetime import date, timedelta

from sqlalchemy import Connection

from worker.core.funnel.calendar import Calendar
from worker.store.fiscal import calendar_of
from worker.store.staging import save_rows

ZONE = "Europe/Berlin"


def organisation(connection: Connection, month: str | None, *, by_start: str | None = "false") -> None:
    columns = ("record_id", "fiscal_year_month", "year_named_by_start")
    save_rows(connection, "salesforce.organization", "organization", columns, [("00D1", month, by_start)])


def period(connection: Connection, kind: str, first: date, last: date, name: str) -> None:
    columns = ("record_id", "type", "start_on", "end_on", "name")
    row = (f"026{kind}{first}", kind, first.isoformat(), last.isoformat(), name)
    save_rows(connection, "salesforce.period", "period", columns, [row])


def test_an_organisation_that_has_told_nothing_has_the_plain_year(connection: Connection) -> None:
    assert calendar_of(connection, ZONE) == Calendar(ZONE)
    organisation(connection, None)
    assert calendar_of(connection, ZONE) == Calendar(ZONE)


def test_its_first_month_and_the_naming_of_its_years_are_its_own(connection: Connection) -> None:
    organisation(connection, "2", by_start="true")
    assert calendar_of(connection, ZONE) == Calendar(ZONE, 2, is_named_by_start=True)
    assert calendar_of(connection, ZONE).span("2026").name == "2026"
    organisation(connection, "2")
    assert calendar_of(connection, ZONE).span("2027").start == Calendar(ZONE, 2).span("2027").start


def test_standard_periods_change_nothing_and_custom_years_do(connection: Connection) -> None:
    organisation(connection, "1")
    period(connection, "Year", date(2025, 1, 1), date(2025, 12, 31), "FY 2025")
    assert calendar_of(connection, ZONE).custom == ()
    begins = date(2026, 2, 1)
    period(connection, "Year", begins, begins + timedelta(weeks=52, days=-1), "FY 2026")
    for number in range(4):
        first = begins + timedelta(weeks=13 * number)
        period(connection, "Quarter", first, first + timedelta(weeks=13, days=-1), f"Q{number + 1}")
        period(connection, "Month", first, first + timedelta(weeks=4, days=-1), f"P{number}")
    calendar = calendar_of(connection, ZONE)
    assert [each.name for each in calendar.custom] == [
        "2026", "2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4", "2026-H1", "2026-H2",
    ]  # fmt: skip
    assert calendar.span("2026-Q2").start.date() == date(2026, 5, 2)  # its local midnight is 22:00 of the day before
