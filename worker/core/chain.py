"""
Runs a chain of steps over a frame, as it is written.

Steps are chained lazily and run together because each run has a price of its own, which is all that a decision on a
single account costs. They are not optimised: that takes longer than it saves where every step is wanted.
"""

from datetime import datetime
from typing import Final

import polars as pl

from worker.core.frames import INSTANT
from worker.core.instants import microseconds

_AS_WRITTEN: Final = pl.QueryOptFlags.none()


def run(steps: pl.LazyFrame) -> pl.DataFrame:
    """
    The rows that the steps give. What two chains share is best run once and given to both.
    """
    return steps.collect(engine="in-memory", optimizations=_AS_WRITTEN)


def queried(frame: pl.DataFrame, column: pl.Expr) -> pl.Series:
    """
    The one column that an expression makes of a frame.
    """
    return run(frame.lazy().select(column)).to_series()


def instant(at: datetime) -> pl.Expr:
    """
    An aware instant as an expression. Handed to ``pl.lit`` as it is, it would go through two queries.
    """
    return pl.lit(microseconds(at)).cast(INSTANT)
