"""
Amounts in the corporate currency.
"""

from datetime import UTC, date, datetime
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.attribution.conversion import RATE, convert
from worker.core.errors import Fatal
from worker.core.frames import DEAL

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
RATES = pl.DataFrame(
    [
        ("january", "EUR", "0.8", date(2026, 1, 1), date(2026, 2, 1)),
        ("february", "EUR", "0.9", date(2026, 2, 1), date(2026, 3, 1)),
        ("always", "EUR", "0.5", None, None),
        ("yen", "JPY", "150", None, None),
        ("later", "GBP", "0.5", date(2026, 3, 1), None),
    ],
    schema=RATE,
    orient="row",
)


def converted(currency: str, units: int | None, digits: int, on: date) -> tuple[int | None, int, str | None]:
    deals = pl.DataFrame(
        [(1, None, currency, units, digits, CREATED, None, "open")], schema=DEAL, orient="row"
    ).with_columns(rated_on=pl.lit(on))
    row = convert(deals, RATES, "USD").row(0, named=True)
    assert row["currency"] == "USD"
    return row["amount_units"], row["digits"], row["rate_id"]


@pytest.mark.parametrize(
    ("deal", "on", "expected"),
    [
        (("EUR", 10_000, 2), date(2026, 1, 31), (12_500, 2, "january")),
        (("EUR", 10_000, 2), date(2026, 2, 1), (11_111, 2, "february")),
        (("EUR", 10_000, 2), date(2026, 3, 1), (20_000, 2, "always")),
        (("EUR", 10_000, 2), date(2025, 12, 31), (20_000, 2, "always")),
        (("JPY", 15_000, 0), date(2026, 1, 1), (10_000, 2, "yen")),
        (("USD", 77_777, 3), date(2026, 1, 1), (77_777, 3, None)),
        (("GBP", 100, 2), date(2026, 2, 28), (None, 2, None)),
        (("GBP", 100, 2), date(2026, 3, 1), (200, 2, "later")),
        (("EUR", None, 2), date(2026, 1, 1), (None, 2, "january")),
        (("EUR", -1_001, 3), date(2026, 1, 1), (-125, 2, "january")),
    ],
)
def test_the_days_own_rate_holds_and_is_named(
    deal: tuple[str, int | None, int], on: date, expected: tuple[int | None, int, str | None]
) -> None:
    assert converted(*deal, on) == expected


@given(st.integers(-(10**15), 10**15))
def test_what_is_converted_is_rounded_by_half_a_cent_at_most(units: int) -> None:
    amount, _, _ = converted("EUR", units, 2, date(2026, 2, 1))
    assert amount is not None
    assert abs(Fraction(amount) - Fraction(units) / Fraction("0.9")) <= Fraction(1, 2)


def test_a_rate_of_zero_is_refused() -> None:
    deals = pl.DataFrame(schema=DEAL).with_columns(rated_on=pl.lit(None, pl.Date))
    with pytest.raises(Fatal, match="must be above zero") as caught:
        convert(deals, RATES.with_columns(rate=pl.lit("0")), "USD")
    assert caught.value.code == "HW-146"
