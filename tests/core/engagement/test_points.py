"""
What an act is worth: points, caps, weights and age.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.engagement.acts import NOW, RULES, act, flagged
from worker.core.engagement.points import ONE, age_factors
from worker.core.engagement.rules import ActRule, EngagementRules, milli


def score(*acts: dict[str, Any], **values: Any) -> int:
    points: int = flagged(*acts, **values)["points_milli"]
    return points


DEFAULTS = {
    "email_open": 0,
    "email_click": 1,
    "visit": 1,
    "high_value_page": 5,
    "content": 5,
    "form": 10,
    "webinar_registered": 2,
    "webinar_attended": 15,
    "event_attended": 20,
    "ad_click": 1,
    "surge": 5,
    "meeting": 0,
    "unheard_of": 0,
}


@pytest.mark.parametrize(("kind", "points"), DEFAULTS.items())
def test_the_default_points(kind: str, points: int) -> None:
    assert score(act(kind)) == points * 1000


@pytest.mark.parametrize(
    ("level", "points"),
    [("c_level", 15_000), ("vp", 15_000), ("director", 12_500), ("other", 10_000), ("student", 0), (None, 10_000)],
)
def test_seniority_weighs(level: str | None, points: int) -> None:
    assert score(act("form", level=level)) == points


def test_role_and_tier_multiply() -> None:
    rules = EngagementRules(role_weights={"VP Finance": 2}, tier_weights={"A": 1.2})
    assert score(act("form", level="vp", role_label="VP Finance"), rules=rules, tier="A") == 36_000
    assert score(act("form", level="vp", role_label="VP IT"), rules=rules, tier="B") == 15_000


def test_points_halve_in_thirty_days_and_end_with_the_window() -> None:
    assert score(act("form", days_ago=30)) == 5_000
    assert score(act("form", days_ago=60)) == 2_500
    assert score(act("form", days_ago=89)) == 1_279
    assert score(act("form", days_ago=90)) == 0


def test_an_act_is_as_old_as_the_calendar_says() -> None:
    # Noon yesterday and one minute past midnight yesterday are both one day old at noon today.
    assert score(act("form", days_ago=1)) == score(act("form", days_ago=1.49)) == 9_772


def test_three_clicks_a_week_count() -> None:
    # 22 Nov 2026 is a Sunday: the week began on the 16th.
    assert score(*[act("email_click") for _ in range(9)]) == 3_000
    two_weeks = [act("email_click", days_ago=days) for days in (0, 0, 0, 0, 7, 7, 7, 7)]
    assert score(*two_weeks) == 3 * 1_000 + 3 * 851


def test_one_visit_and_one_high_value_page_a_day_count_for_each_person() -> None:
    pages = [act(kind, person) for kind in ("visit", "high_value_page") for person in (1, 2) for _ in range(5)]
    assert score(*pages) == 2 * 6_000


def test_surges_of_an_account_count_ten_points_a_week() -> None:
    assert score(*[act("surge", None) for _ in range(5)]) == 10_000


def test_the_latest_of_capped_acts_count() -> None:
    found = flagged(*[act("email_click", days_ago=days, act_id=f"{days} days ago") for days in (1, 2, 3, 4, 5)])
    detail = json.loads(found["detail"])
    assert [item["act_id"] for item in detail["acts"]] == ["1 days ago", "2 days ago", "3 days ago"]
    assert detail["capped_count"] == 2


def test_a_screened_act_uses_up_no_cap() -> None:
    screened = [act("visit", screened="own network") for _ in range(3)]
    assert score(*screened, act("visit", days_ago=0.1)) == 1_000


def test_the_factors_are_two_to_the_minus_age_over_half_life() -> None:
    factors = age_factors(RULES)
    assert (factors[0], factors[30], factors[60], factors[90]) == (ONE, ONE // 2, ONE // 4, 0)
    assert factors[10] == pytest.approx(ONE * 2 ** (-1 / 3), abs=1)
    assert factors.is_sorted(descending=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100), st.integers(0, 60), st.sampled_from(sorted(RULES.acts)))
def test_a_score_never_grows_by_itself(age: int, days: int, kind: str) -> None:
    history = [act(kind, days_ago=age), act(kind, days_ago=age / 2), act(kind, None, days_ago=age / 3)]
    assert score(*history, now=NOW + timedelta(days=days)) <= score(*history)


def test_a_fraction_of_a_point_is_exact() -> None:
    assert milli(0.1) == 100
    assert score(act("form"), rules=EngagementRules(acts={**RULES.acts, "form": ActRule(0.3)})) == 300
