"""
Rules that would make no sense are refused, with what is wrong.
"""

from typing import Any

import pytest

from worker.core.engagement.rules import ActRule, EngagementRules
from worker.core.errors import Fatal

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"stay_points": 60}, "stay_points must be above 0 and not above enter_points"),
    ({"stay_points": 0}, "stay_points must be above 0"),
    ({"window_days": 0}, "window_days must be 1 or more"),
    ({"hold_days": 0}, "hold_days must be 1 or more"),
    ({"enter_people": 0}, "enter_people must be 1 or more"),
    ({"bands": (("Low", 10), ("High", 100))}, "bands must go from the highest threshold down"),
    ({"account_acts_cap_percent": 140}, "must be 0 to 100"),
    ({"level_weights": {"vp": -1}}, "the weight of 'vp' must be 0 to 10"),
    ({"acts": {"form": ActRule(10)}, "act_now": frozenset({"demo_request"})}, "act_now: 'demo_request' has no points"),
    ({"acts": {"form": ActRule(100_000)}, "act_now": frozenset()}, "'form' may have at most 1000 points"),
]


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_rules_that_make_no_sense_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(Fatal, match=words):
        EngagementRules(**values)


@pytest.mark.parametrize("values", [{"points": -1}, {"points": 1, "cap": -1}, {"points": 1, "per": "month"}])
def test_an_act_that_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(Fatal, match="HW-150"):
        ActRule(**values)


def test_a_rules_tables_cannot_be_changed_behind_its_back() -> None:
    acts = {"form": ActRule(10)}
    rules = EngagementRules(acts=acts, act_now=frozenset())
    acts["form"] = ActRule(99)
    assert rules.acts["form"].points == 10
    with pytest.raises(TypeError):
        rules.acts["form"] = ActRule(99)  # type: ignore[index]
