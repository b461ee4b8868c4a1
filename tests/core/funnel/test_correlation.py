"""
Whether one number goes with another: by ranks, told only of enough pairs, and never of what does not vary.
"""

from statistics import fmean

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.funnel.correlation import LEAST_PAIRS, by_chance, rank_correlation
from worker.core.funnel.totals import MONEY, Measure, totals

SCHEMA = {"touches": pl.Int64, "won": MONEY}
Pair = tuple[int | None, int | None]


def correlation(pairs: list[Pair]) -> float | None:
    frame = pl.DataFrame(pairs, schema=SCHEMA, orient="row")
    found: float | None = frame.select(rank_correlation(pl.col("touches"), pl.col("won"))).item()
    return found


def ranks(values: list[int]) -> list[float]:
    """
    Equal values share the mean of their places.
    """
    return [fmean(place for place, each in enumerate(sorted(values)) if each == value) for value in values]


def by_hand(pairs: list[tuple[int, int]]) -> float:
    left, right = (ranks(list(each)) for each in zip(*pairs, strict=True))
    middle, other = fmean(left), fmean(right)
    top = sum((a - middle) * (b - other) for a, b in zip(left, right, strict=True))
    spread = sum((a - middle) ** 2 for a in left) * sum((b - other) ** 2 for b in right)
    return float(top / spread**0.5)


def test_who_does_more_and_wins_more_is_ranked_alike_however_large_the_largest_deal_is() -> None:
    pairs: list[Pair] = [(number, number * 1_000) for number in range(LEAST_PAIRS)]
    assert correlation([*pairs[:-1], (99, 10**12)]) == 1
    assert correlation([(a, -(b or 0)) for a, b in pairs]) == -1


def test_too_few_pairs_tell_nothing_and_a_pair_half_known_is_none() -> None:
    pairs: list[Pair] = [(number, number) for number in range(LEAST_PAIRS - 1)]
    assert correlation(pairs) is None
    assert correlation([*pairs, (50, None), (None, 50)]) is None
    assert correlation([*pairs, (50, 50)]) == 1


def test_what_is_the_same_everywhere_goes_with_nothing() -> None:
    assert correlation([(7, number) for number in range(40)]) is None
    assert correlation([(number, 0) for number in range(40)]) is None
    assert correlation([]) is None


few = st.integers(0, 4)


@given(st.lists(st.tuples(few, few), min_size=LEAST_PAIRS, max_size=60))
def test_equal_values_share_their_rank(pairs: list[tuple[int, int]]) -> None:
    found = correlation(list(pairs))
    if any(len(set(each)) == 1 for each in zip(*pairs, strict=True)):
        assert found is None
    else:
        assert found == pytest.approx(by_hand(pairs), abs=0.0051)


def test_a_report_tells_it_for_each_group_of_its_rows() -> None:
    up = [("Webinar", number, number) for number in range(LEAST_PAIRS)]
    down = [("Event", number, -number) for number in range(LEAST_PAIRS)]
    frame = pl.DataFrame([*up, *down, ("Form", 1, 1)], schema={"channel": pl.String, **SCHEMA}, orient="row")
    measure = Measure("correlation", "correlation", column="touches", ranks_with="won")
    assert totals(frame, ["channel"], [measure]).lines.rows() == [("Event", -1.0), ("Form", None), ("Webinar", 1.0)]
    assert totals(frame.clear(), ["channel"], [measure]).total == {"correlation": None}


def test_chance_comes_less_far_the_more_pairs_there_are() -> None:
    assert [round(by_chance(pairs), 2) for pairs in (0, 2, 30, 197, 10_001)] == [1.0, 1.0, 0.36, 0.14, 0.02]
