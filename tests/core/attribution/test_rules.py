"""
What the rules refuse, and how they say it.
"""

from decimal import Decimal

import pytest

from worker.core.attribution import AttributionRules, Model, Position
from worker.core.errors import Fatal


def test_the_default_models_are_the_stated_ones() -> None:
    weights = {model.name: {k: str(v) for k, v in model.weights.items()} for model in AttributionRules().models}
    assert weights == {
        "first": {"FT": "100"},
        "last": {"LT": "100"},
        "lead_creation": {"LC": "100"},
        "linear": {"middle": "100"},
        "u": {"FT": "40", "LC": "40", "middle": "20"},
        "w": {"FT": "30", "LC": "30", "OC": "30", "middle": "10"},
        "full_path": {"FT": "22.5", "LC": "22.5", "OC": "22.5", "CW": "22.5", "middle": "10"},
        "time_decay": {"middle": "100"},
    }
    assert AttributionRules().model("time_decay").half_life_days == 30


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"FT": -1, "LT": 2}, "the weight of FT is -1"),
        ({"FT": 0, "middle": 0}, "add up to zero"),
        ({}, "add up to zero"),
        ({"FT": "much"}, "is no number"),
        ({"FT": float("nan")}, "the weight of FT is nan"),
        ({"FT": "0.0000000001", "LT": 1}, "finer than a billionth"),
        ({"FT": "1e-30", "LT": 1}, "finer than a billionth"),
    ],
)
def test_weights_that_cannot_divide_are_refused(weights: dict[str, object], words: str) -> None:
    with pytest.raises(Fatal, match=words) as caught:
        AttributionRules(models=[Model("ours", weights)])  # type: ignore[arg-type]
    assert caught.value.code == "HW-140"


def test_thirds_that_were_written_with_sixteen_digits_are_thirds() -> None:
    thirds = {"FT": 0.3333333333333333, "LC": 0.3333333333333333, "middle": 0.3333333333333334}
    (model,) = AttributionRules(models=[Model("ours", thirds, half_life_days=7)]).models  # type: ignore[arg-type]
    assert model.parts() == {"FT": 1, "LC": 1, "middle": 1}


def test_a_weight_read_from_yaml_as_a_float_is_the_decimal_that_was_written() -> None:
    assert Model("ours", {"FT": 22.5, "middle": 0.1}).weights == {"FT": Decimal("22.5"), "middle": Decimal("0.1")}  # type: ignore[dict-item]


def test_parts_are_the_smallest_whole_numbers() -> None:
    assert AttributionRules().model("full_path").parts() == {"FT": 9, "LC": 9, "OC": 9, "CW": 9, "middle": 4}


def test_an_unknown_position_is_named_with_the_nearest_one() -> None:
    with pytest.raises(Fatal, match=r"weighs Demo, which is no position. Did you mean demo\?") as caught:
        AttributionRules(
            positions=[Position("demo", "first_touch_of_type", "demo_request")],
            models=[Model("ours", {"Demo": Decimal(1)})],
        )
    assert caught.value.code == "HW-141"
    assert any("define Demo" in action for action in caught.value.actions)


def test_opportunity_creation_alone_may_be_tied_to_a_stage() -> None:
    rules = AttributionRules(positions=[Position("OC", "stage", "Qualified")])
    assert rules.position_names == ("FT", "LC", "OC", "CW", "LT")
    for position in (Position("CW", "stage", "Signed"), Position("OC", "first_touch_of_type", "form")):
        with pytest.raises(Fatal, match="already; only OC") as caught:
            AttributionRules(positions=[position])
        assert caught.value.code == "HW-142"


def test_names_are_unique_and_not_reserved() -> None:
    with pytest.raises(Fatal, match="same model name: w"):
        AttributionRules(models=[Model("w", {"FT": Decimal(1)}), Model("w", {"LT": Decimal(1)})])
    for name in ("FT", "middle", "", "a:b"):
        with pytest.raises(Fatal) as caught:
            AttributionRules(positions=[Position(name, "stage", "Negotiation")])
        assert caught.value.code == "HW-142"


@pytest.mark.parametrize(
    "values",
    [
        {"lookback_days": -1},
        {"lookback_days": 30, "account_people_days": 31},
        {"path": "everybody"},
        {"no_touch": "ignore"},
        {"models": []},
        {"positions": [Position("demo", "stage", "")]},
        {"positions": [Position(f"p{number}", "stage", "x") for number in range(28)]},
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(Fatal) as caught:
        AttributionRules(**values)  # type: ignore[arg-type]
    assert caught.value.code == "HW-143"


def test_a_model_that_does_not_exist_is_said_with_the_nearest() -> None:
    with pytest.raises(Fatal, match=r"no model full_pth. Did you mean full_path\?"):
        AttributionRules().model("full_pth")
