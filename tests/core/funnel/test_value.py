"""
What customers bought, renewed and lost: a customer is an account that has won any deal.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from worker.core.frames import INSTANT
from worker.core.funnel.totals import MONEY
from worker.core.funnel.value import KindRules, bought, customers

RULES = KindRules(("Renewal",), ("Upgrade",))
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
NOW = BEGIN + timedelta(days=1461)
SCHEMA = {
    "opportunity_id": pl.Int64,
    "account_id": pl.Int64,
    "type": pl.String,
    "outcome": pl.String,
    "created_at": INSTANT,
    "closed_at": INSTANT,
    "closes_at": INSTANT,
    "amount": MONEY,
    "currency": pl.String,
    **dict.fromkeys(("account", "industry", "size", "country"), pl.String),
}
MONEY_COLUMNS = ("new_business", "expansion", "renewed", "lifetime_value")


def deals(*given: tuple[str, str, int, int | None], account: int | None = 7, currency: str = "USD") -> pl.DataFrame:
    """
    Deals as type, outcome, day of the close, amount.
    """
    rows = [
        {
            "opportunity_id": number,
            "account_id": account,
            "type": type_,
            "outcome": outcome,
            "created_at": BEGIN,
            "closed_at": BEGIN + timedelta(days=day),
            "amount": None if amount is None else Decimal(amount),
            "currency": currency,
            "account": "Maple",
        }
        for number, (type_, outcome, day, amount) in enumerate(given)
    ]
    return pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in rows], schema=SCHEMA, orient="row")


def only(*given: tuple[str, str, int, int | None]) -> dict[str, Any]:
    """
    The one customer of these deals.
    """
    return customers(bought(deals(*given), RULES), NOW).row(0, named=True)


def test_the_first_deal_is_new_business_and_each_later_one_an_expansion() -> None:
    found = bought(deals(("New", "won", 400, 9), ("New", "won", 30, 5), ("renewal", "won", 395, 6)), RULES)
    assert found["kind"].to_list() == ["new business", "renewal", "expansion"]
    row = only(("New", "won", 400, 9), ("New", "won", 30, 5), ("renewal", "won", 395, 6))
    assert [row[name] for name in MONEY_COLUMNS] == [5, 9, 6, 20]
    assert row["first_won_at"] == BEGIN + timedelta(days=30)


def test_a_first_deal_whose_type_says_so_is_an_expansion() -> None:
    row = only(("Upgrade", "won", 30, 5), ("New", "won", 60, 7))
    assert [row[name] for name in MONEY_COLUMNS] == [0, 12, 0, 12]


def test_renewals_count_by_number_and_by_amount_and_open_ones_do_not() -> None:
    row = only(
        ("New", "won", 1, 10), ("Renewal", "won", 366, 12), ("Renewal", "lost", 700, 30), ("Renewal", "open", 900, 99)
    )
    assert [row[name] for name in ("renewals", "renewals_won", "renewals_lost")] == [2, 1, 1]
    assert [row[name] for name in ("renewed", "renewals_amount", "lifetime_value")] == [12, 42, 22]


def test_who_lost_the_last_renewal_has_left_until_something_is_won_again() -> None:
    left = (("New", "won", 0, 10), ("Renewal", "lost", 731, 10))
    row = only(*left)
    assert (row["is_churned"], row["churned_at"], row["years"]) == (True, BEGIN + timedelta(days=731), 2.0)
    back = only(*left, ("New", "won", 800, 4))
    assert (back["is_churned"], back["churned_at"], back["years"]) == (False, None, 4.0)
    assert only(*left, ("Renewal", "won", 740, 4))["is_churned"] is False
    assert only(*left, ("New", "lost", 800, 4))["is_churned"] is True


def test_losing_a_new_deal_is_no_churn() -> None:
    assert only(("New", "won", 0, 10), ("New", "lost", 300, 10), ("Upgrade", "lost", 301, 1))["is_churned"] is False


def test_who_never_won_a_deal_is_no_customer() -> None:
    assert bought(deals(("New", "lost", 1, 5), ("Renewal", "lost", 2, 5)), RULES).is_empty()
    assert bought(deals(("New", "won", 1, 5), account=None), RULES).is_empty()


def test_a_customer_without_any_amount_is_worth_nobody_knows_what() -> None:
    assert only(("New", "won", 1, None))["lifetime_value"] is None
    assert only(("New", "won", 1, None), ("New", "won", 2, 3))["lifetime_value"] == 3


def test_money_of_two_currencies_stands_on_two_lines_and_the_customer_on_one() -> None:
    abroad = deals(("New", "won", 90, 8), currency="EUR").with_columns(opportunity_id=pl.lit(9, pl.Int64))
    found = customers(bought(pl.concat([deals(("New", "won", 1, 5)), abroad]), RULES), NOW)
    assert found.select("currency", "is_own", "new_business", "expansion").rows() == [
        ("USD", True, Decimal(5), Decimal(0)),
        ("EUR", False, Decimal(0), Decimal(8)),
    ]


deal = st.tuples(
    st.sampled_from([1, 2, 3, None]),
    st.sampled_from(["New", "Upgrade", "Renewal", None]),
    st.sampled_from(["won", "lost", "open"]),
    st.integers(0, 5),
    st.none() | st.integers(-5, 10**6),
    st.sampled_from(["USD", "EUR"]),
)


@given(st.lists(deal, max_size=25))
def test_what_customers_are_worth_is_what_their_won_deals_add_up_to(
    given_deals: list[tuple[int | None, str, str, int, int | None, str]],
) -> None:
    parts = [deals((t, o, d, m), account=a, currency=c) for a, t, o, d, m, c in given_deals]
    frame = pl.concat([deals(), *parts]).with_columns(opportunity_id=pl.int_range(len(parts), dtype=pl.Int64))
    found = customers(bought(frame, RULES), NOW)
    won = frame.filter((pl.col("outcome") == "won") & pl.col("account_id").is_not_null())
    for currency in ("USD", "EUR"):
        mine, theirs = found.filter(currency=currency), won.filter(currency=currency)
        assert mine["lifetime_value"].sum() == theirs["amount"].sum()
        assert mine.select(pl.sum_horizontal(MONEY_COLUMNS[:3]).sum()).item() == theirs["amount"].sum()
    assert found.filter("is_own").height == won["account_id"].n_unique()
    assert found["is_churned"].sum() <= found.filter("is_own").height
    assert (found["renewals"] == found["renewals_won"] + found["renewals_lost"]).all()
