"""
Largest remainders at every width of integer, against whole numbers without a limit.
"""

import random
from collections.abc import Sequence
from datetime import timedelta

import polars as pl
import pytest

from tests.core.attribution import reference
from worker.core.attribution.decay import decayed
from worker.core.attribution.money import FINEST, largest_remainders

SEED = 4711


def by_hand(amount: int, numerators: Sequence[int], denominator: int) -> list[int]:
    floors = [abs(amount) * n // denominator for n in numerators]
    ranked = sorted(range(len(floors)), key=lambda i: (-(abs(amount) * numerators[i] % denominator), i))
    for place in ranked[: abs(amount) - sum(floors)]:
        floors[place] += 1
    return [units if amount >= 0 else -units for units in floors]


@pytest.mark.parametrize("finest", [10, 10**6, 2**40, 2**62, 2**63, 2**66, FINEST - 1])
@pytest.mark.parametrize("largest", [100, 10**9, 2**62, 2**63 - 1])
def test_units_are_exact_at_every_width(finest: int, largest: int) -> None:
    rng = random.Random(f"{SEED} {finest} {largest}")
    groups = []
    for _ in range(200):
        cuts = sorted(rng.randrange(finest + 1) for _ in range(rng.randrange(6)))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, finest], strict=True)]
        groups.append((rng.choice([rng.randint(-largest, largest), largest, -largest, 0, 1]), parts))
    units = largest_remainders(
        pl.Series([amount for amount, _ in groups], dtype=pl.Int64),
        pl.Series([part for _, parts in groups for part in parts], dtype=pl.Int128),
        pl.Series([finest] * len(groups), dtype=pl.Int128),
        pl.Series([number for number, (_, parts) in enumerate(groups) for _ in parts], dtype=pl.UInt32),
    )
    assert units.to_list() == [u for amount, parts in groups for u in by_hand(amount, parts, finest)]


def test_no_amount_gives_no_units_and_leaves_the_neighbours_alone() -> None:
    units = largest_remainders(
        pl.Series([None, 10], dtype=pl.Int64),
        pl.Series([1, 2, 1, 2], dtype=pl.Int64),
        pl.Series([3, 3], dtype=pl.Int64),
        pl.Series([0, 0, 1, 1], dtype=pl.UInt32),
    )
    assert units.to_list() == [None, None, 3, 7]


def test_the_decay_is_correctly_rounded_also_where_floating_point_cannot_tell() -> None:
    rng = random.Random(SEED)
    half_lives = [timedelta(days=30) * number for number in range(45)]
    ages = half_lives + [timedelta(microseconds=rng.randrange(540 * 86_400_000_000)) for _ in range(20_000)]
    found = decayed(pl.Series([age // timedelta(microseconds=1) for age in ages], dtype=pl.Int64), 30 * 86_400_000_000)
    assert found.to_list() == [reference.decayed(age, 30) for age in ages]
    # Ages at which the double nearest to the weight lies on the wrong side of the middle between two units.
    wrong = {122978988816: 967648108413, 33991270979: 990951313923, 251874396867: 934862592211}
    assert decayed(pl.Series(list(wrong)), 30 * 86_400_000_000).to_list() == list(wrong.values())
    assert [round(2.0 ** (-age / (30 * 86_400_000_000)) * 1e12) for age in wrong] != list(wrong.values())
    # 2^-13 of 10^12 is exactly 122070312.5: the even neighbour.
    assert found[13] == 122070312
