"""
The half-life's weights: 2^(-age/half-life) in whole units of 10^-12, correctly rounded, halves to the even.

Exact on every machine: floating point only where it cannot be wrong, decimals for the few values too near to the
middle between two units. Called by ``allot``.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

import polars as pl

from worker.core import chain
from worker.core.columns import rows_where

UNIT: Final = 10**12

# A double's last place. The division's rounding moves the exponent, and with it the weight, by at most half of it for
# each unit of exponent; the power and the product add at most three. Twice that is held to be doubtful.
LAST_PLACE: Final = 2.0**-52

_WEIGHT: Final = (2.0 ** -pl.col("half_lives") * UNIT).alias("weight")
_WHOLE: Final = pl.col("weight").cast(pl.Int64).alias("whole")
_FRACTION: Final = (pl.col("weight") - pl.col("whole").cast(pl.Float64)).alias("fraction")
_ROUNDED: Final = pl.col("whole") + (pl.col("fraction") > 0.5).cast(pl.Int64)
_IN_DOUBT: Final = pl.col("weight") * (pl.col("half_lives") + 6) * LAST_PLACE
_IS_DOUBTFUL: Final = ((pl.col("fraction") - 0.5).abs() <= _IN_DOUBT).alias("is_doubtful")


def decayed(ages_us: pl.Series, half_life_us: int) -> pl.Series:
    """
    For each age in microseconds (zero or more, null stays null) its weight in units of 10^-12, as Int64; the half-life
    is in microseconds too.
    """
    half_lives = (ages_us / half_life_us).alias("half_lives").to_frame().lazy()
    weights = half_lives.with_columns(_WEIGHT).with_columns(_WHOLE).with_columns(_FRACTION)
    rounded, is_doubtful = chain.run(weights.select(_ROUNDED, _IS_DOUBTFUL))
    doubtful = rows_where(is_doubtful)
    if doubtful.is_empty():
        return rounded
    exact = [_exactly(age, half_life_us) for age in ages_us[doubtful]]
    return rounded.scatter(doubtful, pl.Series(exact, dtype=pl.Int64))


def _exactly(age_us: int, half_life_us: int) -> int:
    # A weight that is no true half lies further than 10^-20 from it: enough digits decide, and true halves stay halves.
    with localcontext(prec=50):
        weight = Decimal(2) ** -(Decimal(age_us) / Decimal(half_life_us)) * UNIT
        return int(weight.to_integral_value(rounding=ROUND_HALF_EVEN))
