"""
Logistic regression: that it finds what was put in, to the last digits and in any order, and measures honestly.
"""

import math
import random

import polars as pl
import pytest

from worker.core.engagement.logistic import auc, calibration_error, chance, learn, solve
from worker.core.errors import Fatal

SEED = 20261122


def drawn(rows: int, *, intercept: float, weights: tuple[float, float]) -> tuple[pl.DataFrame, pl.Series]:
    rng = random.Random(SEED)
    values = [(rng.gauss(0, 1), rng.gauss(5, 2)) for _ in range(rows)]
    odds = [intercept + weights[0] * a + weights[1] * (b - 5) / 2 for a, b in values]
    happened = [rng.random() < 1 / (1 + math.exp(-z)) for z in odds]
    return pl.DataFrame(values, schema=["a", "b"], orient="row"), pl.Series(happened)


def test_it_finds_the_weights_that_were_put_in() -> None:
    rows, happened = drawn(40_000, intercept=-2.0, weights=(1.0, -0.5))
    model = learn(rows, happened, ridge=1e-6)
    assert model.coefficients == pytest.approx((1.0, -0.5), abs=0.05)
    assert model.intercept == pytest.approx(-2.0, abs=0.06)


def test_its_gradient_is_zero_where_it_stops() -> None:
    rows, happened = drawn(2_000, intercept=-1.0, weights=(0.7, 0.3))
    model = learn(rows, happened, ridge=2.0)
    p = rows.select(p=chance(model.log_odds()))["p"]
    left = happened.cast(pl.Float64) - p
    assert float(left.sum()) == pytest.approx(0, abs=1e-6)
    for name, mean, spread, weight in zip(model.names, model.means, model.spreads, model.coefficients, strict=True):
        scaled = (rows[name] - mean) / spread
        assert float((scaled * left).sum()) == pytest.approx(2.0 * weight, abs=1e-6)


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows, happened = drawn(1_000, intercept=-1.0, weights=(0.7, 0.3))
    shuffled = rows.with_columns(y=happened).sample(fraction=1, shuffle=True, seed=1)
    one, other = learn(rows, happened, ridge=1.0), learn(shuffled.drop("y"), shuffled["y"], ridge=1.0)
    assert one.coefficients == pytest.approx(other.coefficients, abs=1e-10)


def test_what_always_goes_with_it_keeps_a_finite_weight() -> None:
    rows = pl.DataFrame({"sure": [0.0] * 50 + [1.0] * 50, "constant": [3.0] * 100})
    model = learn(rows, rows["sure"] == 1.0, ridge=1.0)
    assert 0 < model.coefficients[0] < 50
    assert model.coefficients[1] == pytest.approx(0)


def test_nothing_is_learnt_where_nothing_or_everything_happened() -> None:
    with pytest.raises(Fatal, match="0 of 3 happened"):
        learn(pl.DataFrame({"a": [1.0, 2.0, 3.0]}), pl.Series([False] * 3), ridge=1.0)


def test_the_contributions_and_the_intercept_are_the_log_odds() -> None:
    rows, happened = drawn(500, intercept=0.0, weights=(0.7, 0.3))
    model = learn(rows, happened, ridge=1.0)
    parts = rows.select(model.contributions()).sum_horizontal() + model.intercept
    assert parts.to_list() == pytest.approx(rows.select(z=model.log_odds())["z"].to_list())


def test_the_area_counts_pairs_and_ties_half() -> None:
    assert auc(pl.Series([1, 2, 3, 4]), pl.Series([False, False, True, True])) == 1.0
    assert auc(pl.Series([4, 3, 2, 1]), pl.Series([False, False, True, True])) == 0.0
    assert auc(pl.Series([1, 1, 1]), pl.Series([False, True, True])) == 0.5
    rng = random.Random(SEED)
    scores, happened = [rng.randrange(9) for _ in range(60)], [rng.random() < 0.4 for _ in range(60)]
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, yes in zip(scores, happened, strict=True)
        if yes
        for b, no in zip(scores, happened, strict=True)
        if not no
    ]
    assert auc(pl.Series(scores), pl.Series(happened)) == pytest.approx(sum(pairs) / len(pairs))


def test_the_calibration_error_is_the_mean_gap_of_the_groups() -> None:
    said = pl.Series([0.1] * 10 + [0.9] * 10)
    came = pl.Series([True] + [False] * 9 + [True] * 5 + [False] * 5)
    assert calibration_error(said, came, groups=2) == pytest.approx((0.0 + 0.4) / 2)


def test_a_system_is_solved() -> None:
    found = solve([[4.0, 2.0], [2.0, 3.0]], [10.0, 9.0])
    assert found == pytest.approx([1.5, 2.0])
