"""
Says whether one number goes with another over many things: Spearman's rank correlation, which one large deal does not
sway, and when too few are known to tell. Called by ``totals`` and the metrics report.
"""

from math import sqrt
from typing import Final

import polars as pl

# Of fewer pairs any number might come by chance.
LEAST_PAIRS: Final = 30
# Two standard errors: chance alone stays within it 19 times in 20.
_DEVIATIONS: Final = 1.96


def rank_correlation(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """
    From -1 to 1, equal values sharing the mean of their ranks; over the pairs of which both are known. Null of fewer
    than LEAST_PAIRS, and where one of the two is the same throughout.
    """
    known = one.is_not_null() & other.is_not_null()
    left, right = (each.cast(pl.Float64).filter(known) for each in (one, other))
    # Rounding may leave a coefficient beside 1, or -0.
    found = pl.corr(left, right, method="spearman").fill_nan(None).clip(-1, 1).round(2) + 0.0
    varies = (left.min() < left.max()) & (right.min() < right.max())
    return pl.when((known.sum() >= LEAST_PAIRS) & varies).then(found)


def by_chance(pairs: int) -> float:
    """
    How far from 0 the rank correlation of so many pairs comes by chance alone, 19 times in 20.
    """
    return 1.0 if pairs < 2 else min(1.0, _DEVIATIONS / sqrt(pairs - 1))
