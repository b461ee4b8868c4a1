"""
Campaign costs by day.
"""

from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.attribution.cost import COST, spread_cost, spread_costs
from worker.core.errors import Fatal

JANUARY = date(2026, 1, 1)


def test_the_cents_left_over_go_to_the_first_days() -> None:
    assert spread_cost(Decimal(100), JANUARY, date(2026, 1, 3)) == {
        date(2026, 1, 1): Decimal("33.34"),
        date(2026, 1, 2): Decimal("33.33"),
        date(2026, 1, 3): Decimal("33.33"),
    }


@given(
    st.decimals(-(10**9), 10**9, places=3),
    st.dates(date(2000, 1, 1), date(2030, 1, 1)),
    st.integers(1, 800),
    st.sampled_from([0, 2, 3]),
)
def test_the_days_add_up_to_the_cost_and_differ_by_one_unit_at_most(
    amount: Decimal, start: date, days: int, digits: int
) -> None:
    spread = spread_cost(amount, start, start + timedelta(days=days - 1), digits=digits)
    assert list(spread) == [start + timedelta(days=number) for number in range(days)]
    assert sum(spread.values()) == amount
    assert abs(max(spread.values()) - min(spread.values())) <= Decimal("0.001")
    assert sorted(spread.values(), key=abs, reverse=True) == list(spread.values())


def test_two_equal_costs_of_one_campaign_are_two_costs() -> None:
    rows = [("fair", 5, JANUARY, date(2026, 1, 2))] * 2 + [("ad", -3, JANUARY, JANUARY)]
    spread = spread_costs(pl.DataFrame(rows, schema=COST, orient="row"))
    assert spread.group_by("campaign_id", "on").agg(pl.col("units").sum()).sort("campaign_id", "on").rows() == [
        ("ad", JANUARY, -3),
        ("fair", JANUARY, 6),
        ("fair", date(2026, 1, 2), 4),
    ]


def test_a_campaign_that_ends_before_it_starts_is_named() -> None:
    with pytest.raises(Fatal, match="the first is fair") as caught:
        spread_costs(pl.DataFrame([("fair", 5, JANUARY, date(2025, 1, 1))], schema=COST, orient="row"))
    assert caught.value.code == "HW-145"
