"""
The half-life's weights: 2^(-age/half-life) in whole units of 10^-12, correctly rounded, halves to the even.

Exact on every machine: floating point only where it cannot be wrong, decimals for the few values too near to the
middle between two units. Called by ``allot``.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

import polars as pl

UNIT: Final = 10**12
MICROSECONDS_A_DAY: Final = 86_400_000_000

# The power of two is off by less than this part of itself: the division's rounding moves the exponent by at most
# 2^-53 of it (below 48 half-lives, beyond which the weight rounds to zero anyway), the power and the product by a few
# units in the last place.
RELATIVE_ERROR: Final = 6e-15


def decayed(ages_us: pl.Series, half_life_days: int) -> pl.Series:
    """
    For each age in microseconds (zero or more, null stays null) its weight in units of 10^-12, as Int64.
    """
    half_life_us = half_life_days * MICROSECONDS_A_DAY
    ages = ages_us.alias("age").to_frame()
    guessed = ages.with_columns(weight=2.0 ** (-pl.col("age") / half_life_us) * UNIT).with_columns(
        rounded=pl.col("weight").round().cast(pl.Int64),
        doubtful=((pl.col("weight") - pl.col("weight").floor()) - 0.5).abs() <= pl.col("weight") * RELATIVE_ERROR,
    )
    doubtful = guessed["doubtful"].arg_true()
    exact = [_exactly(age, half_life_us) for age in ages["age"].gather(doubtful)]
    return guessed["rounded"].scatter(doubtful, pl.Series(exact, dtype=pl.Int64))


def _exactly(age_us: int, half_life_us: int) -> int:
    with localcontext(prec=60):
        weight = Decimal(2) ** -(Decimal(age_us) / Decimal(half_life_us)) * UNIT
        return int(weight.to_integral_value(rounding=ROUND_HALF_EVEN))
