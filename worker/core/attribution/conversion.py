"""
Converts the deals' amounts to the corporate currency by dated rates; what is converted is divided afterwards.

Which day's rate holds is the caller's to say: the creation's for pipeline, the close date's for revenue. Divides
nothing. Called by the attribution flow.
"""

from fractions import Fraction
from typing import Final

import polars as pl

from worker.core.deals import LARGEST_UNITS, MINOR_DIGITS
from worker.core.errors import Fatal
from worker.core.frames import Schema

# What one unit of the corporate currency is in another one: from ``start_on`` to the day before ``until_on``, or, where
# both are null, on all days that no dated rate covers. ``rate`` is text, exact at any size.
RATE: Final[Schema] = {
    "rate_id": pl.String,
    "currency": pl.String,
    "rate": pl.String,
    "start_on": pl.Date,
    "until_on": pl.Date,
}


def convert(deals: pl.DataFrame, rates: pl.DataFrame, corporate: str) -> pl.DataFrame:
    """
    ``deals`` (DEAL with ``rated_on``) in the corporate currency, by opportunity, with the ``rate_id`` that was taken.

    The amount is rounded to the corporate currency's minor unit, halves away from zero. A deal in the corporate
    currency keeps its amount and digits and has no rate; one without a rate has no amount, nor has one whose amount
    becomes too large to be counted. Raises Fatal HW-146 for a rate that is not above zero.
    """
    ordered = deals.sort("opportunity_id")
    chosen = _rates_of(ordered, rates)
    digits = MINOR_DIGITS.get(corporate, 2)
    worth = {rate_id: _worth(rate_id, rate) for rate_id, rate in rates.select("rate_id", "rate").iter_rows()}
    amounts, kept = [], []
    columns = ordered.select("currency", "amount_units", "digits").iter_rows()
    for (currency, units, own), rate_id in zip(columns, chosen, strict=True):
        if currency == corporate:
            amounts.append(units)
        elif units is None or rate_id is None:
            amounts.append(None)
        else:
            amount = _rounded(Fraction(units, 10**own) * worth[rate_id] * 10**digits)
            amounts.append(amount if abs(amount) <= LARGEST_UNITS else None)
        kept.append(None if currency == corporate else rate_id)
    return ordered.with_columns(
        digits=pl.when(pl.col("currency") == corporate).then("digits").otherwise(digits).cast(pl.Int8),
        currency=pl.lit(corporate),
        amount_units=pl.Series(amounts, dtype=pl.Int64),
        rate_id=pl.Series(kept, dtype=pl.String),
    )


def _rates_of(ordered: pl.DataFrame, rates: pl.DataFrame) -> list[str | None]:
    """
    The id of each deal's rate: the dated one of its day, else its currency's undated one.
    """
    dated = rates.filter(pl.col("start_on").is_not_null()).sort("start_on")
    undated = rates.filter(pl.col("start_on").is_null()).select("currency", undated="rate_id").unique("currency")
    found = (
        ordered.select("currency", "rated_on", place=pl.int_range(pl.len()))
        .sort("rated_on")
        .join_asof(dated, left_on="rated_on", right_on="start_on", by="currency", check_sortedness=False)
        .with_columns(holds=pl.col("until_on").is_null() | (pl.col("rated_on") < pl.col("until_on")))
        .with_columns(rate_id=pl.when("holds").then("rate_id"))
        .join(undated, on="currency", how="left")
        .sort("place")
    )
    return found.select(pl.coalesce("rate_id", "undated")).to_series().to_list()


def _worth(rate_id: str, rate: str) -> Fraction:
    """
    What one unit of the other currency is in the corporate one.
    """
    exact = Fraction(rate)
    if exact <= 0:
        raise Fatal("HW-146", f"the exchange rate {rate_id} is {rate}; it must be above zero")
    return 1 / exact


def _rounded(exact: Fraction) -> int:
    whole = (2 * abs(exact.numerator) + exact.denominator) // (2 * exact.denominator)
    return whole if exact >= 0 else -whole
