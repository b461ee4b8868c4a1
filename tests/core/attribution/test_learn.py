"""
Markov against an exact linear solve and Shapley against an enumeration, both written here once more and slowly.
"""

import random
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.attribution.learn import PathCount, learn
from worker.core.attribution.rules import channel_parts
from worker.core.errors import Fatal

SEED = 4711

counts = st.integers(0, 20)
paths_of = st.lists(
    st.builds(PathCount, st.lists(st.sampled_from("abcde"), min_size=1, max_size=6), counts, counts),
    min_size=1,
    max_size=20,
).filter(lambda paths: any(path.conversions for path in paths))


def solved(matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> list[Fraction]:
    """
    The solution of a system of linear equations, exactly.
    """
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(len(rows)):
        pivot = next(number for number in range(column, len(rows)) if rows[number][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for number, row in enumerate(rows):
            if number != column and row[column]:
                rows[number] = [a - row[column] * b for a, b in zip(row, rows[column], strict=True)]
    return [row[-1] for row in rows]


def chance_to_convert(paths: Iterable[PathCount], without: str | None = None) -> Fraction:
    """
    From the transition matrix as the literature has it, with loops; what would go to the removed channel is lost.
    """
    moves: dict[str, dict[str, int]] = {"(start)": {}}
    for path in paths:
        steps = ["(start)", *path.channels]
        for here, there in pairwise(steps):
            onward = moves.setdefault(here, {})
            onward[there] = onward.get(there, 0) + path.conversions + path.nulls
        end = moves.setdefault(steps[-1], {})
        end["(won)"] = end.get("(won)", 0) + path.conversions
        end["(null)"] = end.get("(null)", 0) + path.nulls
    states = [state for state in moves if state != without and sum(moves[state].values())]
    matrix = [[Fraction(int(one == other)) for other in states] for one in states]
    right = [Fraction(0) for _ in states]
    for number, state in enumerate(states):
        whole = sum(moves[state].values())
        for there, count in moves[state].items():
            if there == "(won)":
                right[number] += Fraction(count, whole)
            elif there in states:
                matrix[number][states.index(there)] -= Fraction(count, whole)
    return solved(matrix, right)[0]


@settings(deadline=None, max_examples=150)
@given(paths_of)
def test_markov_equals_an_exact_linear_solve(paths: list[PathCount]) -> None:
    whole = chance_to_convert(paths)
    channels = sorted({channel for path in paths for channel in path.channels})
    effects = {channel: 1 - chance_to_convert(paths, channel) / whole for channel in channels}
    learnt = learn(paths, "markov")
    assert list(learnt.weights) == channels
    for channel in channels:
        assert abs(Fraction(learnt.removal_effects[channel]) - effects[channel]) < Fraction(1, 10**12)
        assert abs(learnt.weights[channel] - effects[channel] / sum(effects.values())) < Fraction(1, 10**11)


@settings(deadline=None, max_examples=60)
@given(paths_of)
def test_shapley_equals_an_enumeration_of_all_sets(paths: list[PathCount]) -> None:
    channels = sorted({channel for path in paths for channel in path.channels})

    def worth(members: Iterable[str]) -> int:
        return sum(path.conversions for path in paths if set(path.channels) <= set(members))

    def value(channel: str) -> Fraction:
        others = [other for other in channels if other != channel]
        return sum(
            (
                Fraction(factorial(size) * factorial(len(others) - size), factorial(len(channels)))
                * (worth((*some, channel)) - worth(some))
                for size in range(len(channels))
                for some in combinations(others, size)
            ),
            Fraction(0),
        )

    learnt = learn(paths, "shapley")
    whole = worth(channels)
    assert learnt.weights == {channel: value(channel) / whole for channel in channels}
    assert sum(learnt.weights.values()) == 1


def test_bryls_example_loses_half_without_the_first_channel_and_all_without_the_others() -> None:
    learnt = learn([PathCount(["C1", "C2", "C3"], 1), PathCount(["C1"], 0, 1), PathCount(["C2", "C3"], 0, 1)], "markov")
    assert learnt.removal_effects == pytest.approx({"C1": 0.5, "C2": 1.0, "C3": 1.0}, abs=1e-15)
    assert learnt.weights == {"C1": Fraction(1, 5), "C2": Fraction(2, 5), "C3": Fraction(2, 5)}


def test_a_chain_that_goes_round_for_very_long_keeps_its_precision() -> None:
    """
    Only one of a million visits ends a path, so plain elimination would lose six digits.
    """
    round_and_round = PathCount(["a", "b"] * 500_000, 1, 0)
    paths = [round_and_round, PathCount(["c"], 1, 1), PathCount(["b"], 0, 3)]
    learnt = learn(paths, "markov")
    whole = chance_to_convert(paths)
    for channel in "abc":
        exact = 1 - chance_to_convert(paths, channel) / whole
        assert abs(Fraction(learnt.removal_effects[channel]) - exact) < Fraction(1, 10**14)


@pytest.mark.parametrize("model", ["markov", "shapley"])
def test_hundreds_of_channels_and_a_hundred_thousand_paths_are_learnt_quickly(model: str) -> None:
    rng = random.Random(SEED)
    names = [f"channel {number}" for number in range(150)]
    paths = [
        PathCount([rng.choice(names) for _ in range(rng.randint(1, 8))], rng.randint(0, 3), rng.randint(0, 30))
        for _ in range(100_000)
    ]
    began = time.perf_counter()
    learnt = learn(paths, model)
    assert time.perf_counter() - began < 20
    assert len(learnt.weights) == 150
    assert abs(sum(learnt.weights.values()) - 1) < Fraction(1, 10**9)
    assert channel_parts(learnt.weights)


@given(paths_of, st.randoms(use_true_random=False))
def test_the_order_of_the_paths_changes_nothing(paths: list[PathCount], rng: random.Random) -> None:
    shuffled = rng.sample(paths, len(paths))
    assert all(learn(shuffled, model) == learn(paths, model) for model in ("markov", "shapley"))


def test_a_channel_that_never_leads_to_a_conversion_weighs_nothing() -> None:
    learnt = learn([PathCount(["good"], 3, 1), PathCount(["bad"], 0, 5), PathCount(["unseen"], 0, 0)], "markov")
    assert learnt.weights == {"bad": 0, "good": 1, "unseen": 0}


def test_without_a_conversion_there_is_nothing_to_learn() -> None:
    with pytest.raises(Fatal, match="none of 5 paths converted") as caught:
        learn([PathCount(["a"], 0, 5)], "markov")
    assert caught.value.code == "HW-144"
