"""
How models of ``attribution.yaml`` may be written.
"""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from config.rulefiles import RuleErrors, load_rules
from config.rules_attribution import Model
from worker.core.attribution.rules import channel_parts
from worker.wiring import models_of, positions_of


def loaded(folder: Path, text: str) -> dict[str, Model]:
    (folder / "attribution.yaml").write_text(text)
    return load_rules(folder).attribution.models


def test_a_half_life_or_channels_alone_have_every_touch_in_the_middle(tmp_path: Path) -> None:
    models = loaded(
        tmp_path, "models: {decay: {half_life_days: 3.5}, learnt: {channels: {Paid search: 1/3, Webinar: '0.5'}}}"
    )
    assert (models["decay"].weights, models["decay"].half_life_days) == ({"middle": Decimal(1)}, Decimal("3.5"))
    assert models["learnt"].channels == {"Paid search": Fraction(1, 3), "Webinar": Fraction(1, 2)}
    built = {model.name: model for model in models_of(models)}
    assert built["decay"].half_life_us == 302_400_000_000
    assert channel_parts(built["learnt"].channel_weights or {}) == {"Paid search": 2, "Webinar": 3}


def test_opportunity_creation_may_be_tied_to_a_stage(tmp_path: Path) -> None:
    (tmp_path / "attribution.yaml").write_text("positions: {OC: {milestone: stage Qualified}}")
    (position,) = positions_of(load_rules(tmp_path).attribution.positions)
    assert (position.name, position.milestone, position.value) == ("OC", "stage", "Qualified")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: {m: {}}", 'attribution.yaml:1: "m": needs "weights", "half_life_days", "channels" or "learn"'),
        ("models: {m: {wieghts: {FT: 1}}}", 'attribution.yaml:1: unknown key "wieghts". Did you mean "weights"?'),
        ("models: {m: {half_life_days: 7, channels: {a: 1}}}", "keep one"),
        ("models: {m: {weights: {FT: 1}, channels: {a: 1}}}", '"channels" needs a weight for "middle"'),
        ("models: {m: {channels: {a: 0}}}", "the channels' weights add up to nothing"),
        ("models: {m: {channels: {a: -1}}}", '"a": must be at least 0'),
        ("models: {m: {channels: {a: 1/0}}}", '"a": a number is expected'),
        ("positions: {CW: {milestone: stage Signed}}", '"CW" is a position already'),
        ("positions: {OC: {milestone: first touch of type form}}", '"OC" is a position already'),
    ],
)
def test_what_makes_no_sense_is_told_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RuleErrors) as caught:
        loaded(tmp_path, text)
    assert words in caught.value.message
