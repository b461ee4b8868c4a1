"""
The half-life's weights: 2^(-age/half-life) in whole units of 10^-12, correctly rounded, halves to the even.

Exact on every machine: floating point only where it cannot be wrong, decimals for the few values too near to the
middle between two units. Called by ``allot``.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

import polars as pl

UNIT: Final = 10**12

# A double's last place. The division's rounding moves the exponent, and with it the weight, by at most half of it for
# each unit of exponent; the power and the product add at most three. Twice that is held to be doubtful.
LAST_PLACE: Final = 2.0**-52


def decayed(ages_us: pl.Series, half_life_us: int) -> pl.Series:
    """
    For each age in microseconds (zero or more, null stays null) its weight in units of 10^-12, as Int64; the half-life
    is in microseconds too.
    """
    half_lives = pl.col("age") / half_life_us
    guessed = (
        ages_us.alias("age")
        .to_frame()
        .lazy()
        .with_columns(half_lives=half_lives, weight=2.0**-half_lives * UNIT)
        .select(
            "age",
            rounded=pl.col("weight").round().cast(pl.Int64),
            doubtful=((pl.col("weight") - pl.col("weight").floor()) - 0.5).abs()
            <= pl.col("weight") * (6 + pl.col("half_lives")) * LAST_PLACE,
        )
        .collect(optimizations=pl.QueryOptFlags.none())
    )
    doubtful = guessed["doubtful"].arg_true()
    if doubtful.is_empty():
        return guessed["rounded"]
    exact = [_exactly(age, half_life_us) for age in guessed["age"][doubtful]]
    return guessed["rounded"].scatter(doubtful, pl.Series(exact, dtype=pl.Int64))


def _exactly(age_us: int, half_life_us: int) -> int:
    # A weight that is no true half lies further than 10^-20 from it: enough digits decide, and true halves stay halves.
    with localcontext(prec=50):
        weight = Decimal(2) ** -(Decimal(age_us) / Decimal(half_life_us)) * UNIT
        return int(weight.to_integral_value(rounding=ROUND_HALF_EVEN))
