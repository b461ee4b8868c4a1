"""
Runs a decision on one of polars' own threads.

Asked from any other thread, polars hands each step to its pool and waits to be woken: for a single account that takes
several times as long as all the computing. On a thread of the pool the steps follow one another without a hand-over.
The decision must not reach for the database: what waits does not belong on that thread. Called by the flows.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import polars as pl

_Decided = TypeVar("_Decided")
# Two columns, as a single one is computed where one stands.
_TWO: Final = pl.DataFrame({"decides": [0], "idle": [0]})


def computed(decide: Callable[[], _Decided]) -> _Decided:
    """
    What ``decide`` returns or raises.
    """
    answers: list[_Decided] = []
    errors: list[BaseException] = []

    def on_the_pool(series: pl.Series) -> pl.Series:
        try:
            answers.append(decide())
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
            errors.append(error)
        return series

    _TWO.select(pl.col("decides").map_batches(on_the_pool, return_dtype=pl.Int64), pl.col("idle") + 1)
    if errors:
        raise errors[0]
    return answers[0]
