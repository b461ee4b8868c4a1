"""
The reached-or-pending rule by itself: situations, and what each of them gets.
"""

from itertools import product
from typing import Any, get_args

import polars as pl

from worker.core.attribution import DEFAULT_MODELS, Model
from worker.core.attribution.path import STATE
from worker.core.attribution.rules import BUILT_IN_POSITIONS, NoTouchRule
from worker.core.attribution.shares import Situation, divide_weights, situations, weighed_positions
from worker.core.frames import Schema

U = next(model for model in DEFAULT_MODELS if model.name == "u")


def group(count: int, outcome: str = "open", **holders: int | None) -> dict[str, Any]:
    """
    A deal on the revenue clock: its number of touches and who holds which position; where nobody does, it is bare.
    """
    states = {f"state:{name}": "bare" if holder is None else "held" for name, holder in holders.items()}
    places = {f"holder:{name}": holder for name, holder in holders.items()}
    return {"outcome": outcome, "clock": "revenue", "touch_count": count, **states, **places}


def frame(*groups: dict[str, Any]) -> pl.DataFrame:
    kinds: Schema = {
        "touch_count": pl.Int32,
        "state:FT": STATE,
        "state:LC": STATE,
        "holder:FT": pl.Int32,
        "holder:LC": pl.Int32,
    }
    return pl.DataFrame(groups, schema_overrides=kinds)


def divided(*groups: dict[str, Any], model: Model = U) -> pl.DataFrame:
    """
    What each of these groups gets under a model that weighs FT and LC.
    """
    different, number = situations(frame(*groups), ("FT", "LC"))
    return divide_weights([model], ("FT", "LC"), different, "unassigned")[number]


def test_a_touch_that_holds_two_positions_is_told_once_and_gets_both() -> None:
    (only,) = divided(group(1, FT=0, LC=0)).iter_rows(named=True)
    assert (only["held:FT"], only["held:LC"]) == (only["whole"], None)
    assert only["holder_count"] == 1
    (two,) = divided(group(3, FT=0, LC=1)).iter_rows(named=True)
    assert (two["whole"], two["held:FT"], two["held:LC"], two["middle"]) == (5, 2, 2, 1)


def test_paths_of_any_length_are_one_situation_while_their_positions_lie_alike() -> None:
    different, number = situations(
        frame(group(7, FT=0, LC=3), group(700, FT=0, LC=699), group(7, FT=0, LC=0), group(7, FT=0, LC=None)),
        ("FT", "LC"),
    )
    assert number.to_list() == [0, 0, 1, 2]
    assert [each.holders for each in different] == [(0, 1), (0, 0), (0, 1)]


def test_a_path_without_a_middle_is_another_situation_than_one_with() -> None:
    without, with_one = divided(group(2, FT=0, LC=1), group(3, FT=0, LC=1))["middle"]
    assert (without, with_one) == (0, 1)


def test_in_every_situation_the_parts_add_up_to_the_whole_under_every_model() -> None:
    models = [model for model in DEFAULT_MODELS if model.name != "last"]
    positions = weighed_positions(models)
    assert {*positions, "LT"} == set(BUILT_IN_POSITIONS)
    alike = [tuple(range(len(positions))), (0,) * len(positions)]
    every = tuple(
        Situation(outcome, clock, count, states, holders)
        for outcome, clock, count in product(("open", "won", "lost"), ("pipeline", "revenue"), (0, 1, 6))
        for states in product(STATE.categories, repeat=len(positions))
        for holders in alike
        if count >= len({each for each, state in zip(holders, states, strict=True) if state == "held"})
    )
    assert len(every) > 5_000
    for no_touch in get_args(NoTouchRule):
        parts = divide_weights(models, positions, every, no_touch)
        given = parts.select(pl.sum_horizontal("middle", "pending", "unassigned", pl.col("^held:.*$"))).to_series()
        assert (given == parts["whole"]).all()
        assert (parts["whole"] > 0).all()
        assert not (parts["pending"] < 0).any()
