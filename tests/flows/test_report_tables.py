"""
How a report's rows become its tables, before any database is asked.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from worker.core.funnel.calendar import Calendar
from worker.core.funnel.totals import MONEY, Measure
from worker.flows.reports.shape import Asked, Table

SCHEMA = {"channel": pl.String, "currency": pl.String, "amount": MONEY}
MEASURES = (
    Measure("deals"),
    Measure("amount", "money", column="amount"),
    Measure("rate", "percent", column="amount", over="amount"),
)


def table(*rows: tuple[str, str, int]) -> Table:
    frame = pl.DataFrame([(a, b, Decimal(c)) for a, b, c in rows], schema=SCHEMA, orient="row")
    return Table("deals", frame, MEASURES, ("channel",), ("channel", "currency"))


def asked(*by: str) -> Asked:
    rules: Any = None
    return Asked(datetime(2026, 11, 22, tzinfo=UTC), Calendar("UTC"), rules, "w", by=by)


def test_money_of_several_currencies_is_added_up_by_no_line_and_not_in_the_total() -> None:
    mixed = table(("Webinar", "EUR", 5), ("Webinar", "USD", 7), ("Event", "USD", 1))
    for by in ((), ("channel",)):
        found = mixed.chosen(asked(*by)).summed()
        assert found.by == ("channel", "currency")
        assert found.lines.select("channel", "currency", "amount").rows() == [
            ("Event", "USD", 1),
            ("Webinar", "EUR", 5),
            ("Webinar", "USD", 7),
        ]
        assert found.total == {"deals": 3, "amount": None, "rate": None}


def test_money_of_one_currency_is_added_up() -> None:
    found = table(("Webinar", "USD", 5), ("Event", "USD", 1)).chosen(asked()).summed()
    assert found.by == ("channel",)
    assert found.total == {"deals": 2, "amount": Decimal(6), "rate": 100.0}
