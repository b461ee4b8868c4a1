"""
A decision runs on one of polars' threads, and nobody can tell.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from worker.core.errors import Fatal
from worker.flows.computed import computed


def test_what_is_decided_comes_back() -> None:
    frame = pl.DataFrame({"account_id": [1, 2]})
    assert computed(lambda: frame.join(frame, on="account_id").height) == 2


def test_it_is_decided_on_another_thread() -> None:
    assert computed(threading.get_ident) != threading.get_ident()


def test_a_mistake_comes_back_as_it_was_made() -> None:
    def decide() -> None:
        raise Fatal("HW-901", "an account was handed in twice")

    with pytest.raises(Fatal, match="HW-901"):
        computed(decide)


def test_one_decision_may_ask_for_another() -> None:
    assert computed(lambda: computed(lambda: 3) + 1) == 4


def test_many_threads_may_decide_at_once() -> None:
    frame = pl.DataFrame({"place": range(1_000)})

    def total(most: int) -> int:
        return computed(lambda: int(frame.filter(pl.col("place") < most).join(frame, on="place")["place"].sum()))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(total, range(200))) == [most * (most - 1) // 2 for most in range(200)]
