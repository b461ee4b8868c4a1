"""
Campaign costs by day.
"""

from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.attribution.cost import COST, costs_by_day, spread_cost, spread_costs
from worker.core.errors import Fatal
from worker.core.frames import Schema

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


def campaigns(*given: tuple[str, str, str | None, date | None, date | None, date | None]) -> pl.DataFrame:
    schema: Schema = {
        "campaign": pl.String,
        "currency": pl.String,
        "cost": pl.Decimal(38, 6),
        "start_on": pl.Date,
        "end_on": pl.Date,
        "first_on": pl.Date,
    }
    rows = [(name, currency, cost and Decimal(cost), *days) for name, currency, cost, *days in given]
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_campaign_over_a_border_costs_what_its_days_on_either_side_do() -> None:
    found = costs_by_day(campaigns(("fair", "USD", "1000.00", date(2026, 3, 30), date(2026, 4, 1), None)))
    assert found.days.rows() == [
        (date(2026, 3, 30), "fair", Decimal("333.34")),
        (date(2026, 3, 31), "fair", Decimal("333.33")),
        (date(2026, 4, 1), "fair", Decimal("333.33")),
    ]
    assert found.undated.is_empty()


def test_a_cost_is_divided_in_the_currencys_own_unit_or_its_own_finer_digits() -> None:
    days = (date(2026, 1, 1), date(2026, 1, 3), None)
    found = costs_by_day(
        campaigns(("yen", "JPY", "100", *days), ("dinar", "KWD", "1", *days), ("fine", "USD", "0.0001", *days))
    )
    told = {name: found.days.filter(campaign=name)["cost"].to_list() for name in ("yen", "dinar", "fine")}
    assert told == {
        "yen": [Decimal(34), Decimal(33), Decimal(33)],
        "dinar": [Decimal("0.334"), Decimal("0.333"), Decimal("0.333")],
        "fine": [Decimal("0.0001"), Decimal(0), Decimal(0)],
    }


def test_what_has_one_day_costs_all_on_it_and_what_has_none_costs_on_that_of_its_first_touch() -> None:
    other = date(2026, 2, 2)
    found = costs_by_day(
        campaigns(
            ("started", "USD", "5", JANUARY, None, other),
            ("ended", "USD", "6", None, JANUARY, other),
            ("touched", "USD", "7", None, None, other),
            ("neither", "USD", "8", None, None, None),
            ("backwards", "USD", "9", other, JANUARY, other),
            ("free", "USD", None, JANUARY, other, other),
        )
    )
    assert found.days.sort("cost").rows() == [
        (JANUARY, "started", Decimal(5)),
        (JANUARY, "ended", Decimal(6)),
        (other, "touched", Decimal(7)),
    ]
    assert found.undated.rows() == [("neither", Decimal(8)), ("backwards", Decimal(9))]


@given(
    st.lists(
        st.tuples(st.decimals(-(10**6), 10**6, places=4), st.sampled_from(["USD", "JPY", "KWD"]), st.integers(0, 500)),
        min_size=1,
        max_size=8,
    )
)
def test_the_days_of_many_campaigns_add_up_to_each(costs: list[tuple[Decimal, str, int]]) -> None:
    given_ = [
        (f"c{number}", currency, str(cost), JANUARY, JANUARY + timedelta(days=days), None)
        for number, (cost, currency, days) in enumerate(costs)
    ]
    sums = costs_by_day(campaigns(*given_)).days.group_by("campaign").agg(pl.col("cost").sum())
    assert dict(sums.iter_rows()) == {name: Decimal(cost) for name, _, cost, *_ in given_}
