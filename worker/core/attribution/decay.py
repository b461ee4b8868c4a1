"""
The half-life's weights: 2^(-age/half-life) in whole units of 10^-12, correctly rounded, halves to the even.

Exact on every machine: floating point only where it cannot be wrong, decimals for the few values too near to the
middle between two units. Called by ``allot``.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

import polars as pl

from worker.core.columns import rows_where

UNIT: Final = 10**12

# A double's last place. The division's rounding moves the exponent, and with it the weight, by at most half of it for
# each unit of exponent; the power and the product add at most three. Twice that is held to be doubtful.
LAST_PLACE: Final = 2.0**-52

_WEIGHT: Final = 2.0 ** -pl.col("half_lives") * UNIT


def decayed(ages_us: pl.Series, half_life_us: int) -> pl.Series:
    """
    For each age in microseconds (zero or more, null stays null) its weight in units of 10^-12, as Int64; the half-life
    is in microseconds too.
    """
    half_lives = ages_us / half_life_us
    weights = half_lives.to_frame("half_lives").select(_WEIGHT).to_series()
    whole = weights.cast(pl.Int64)
    fraction = weights - whole.cast(pl.Float64)
    rounded = whole + (fraction > 0.5).cast(pl.Int64)
    from_half = fraction - 0.5
    from_half = from_half.zip_with(from_half >= 0, 0 - from_half)
    doubtful = rows_where(from_half <= weights * (half_lives + 6) * LAST_PLACE)
    if doubtful.is_empty():
        return rounded
    exact = [_exactly(age, half_life_us) for age in ages_us[doubtful]]
    return rounded.scatter(doubtful, pl.Series(exact, dtype=pl.Int64))


def _exactly(age_us: int, half_life_us: int) -> int:
    # A weight that is no true half lies further than 10^-20 from it: enough digits decide, and true halves stay halves.
    with localcontext(prec=50):
        weight = Decimal(2) ** -(Decimal(age_us) / Decimal(half_life_us)) * UNIT
        return int(weight.to_integral_value(rounding=ROUND_HALF_EVEN))
