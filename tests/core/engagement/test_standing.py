"""
Where an account stands beside its flag: intent and spikes, stage, buying group, lists, qualified.
"""

import json
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from tests.core.engagement.acts import ACME, NOW, RULES, account, accounts_frame, act, acts_frame
from worker.core.engagement.buying_group import GroupRules, PartRule, parts_of
from worker.core.engagement.conditions import Condition
from worker.core.engagement.fit import Factor, FitRules
from worker.core.engagement.in_market import PAST_DEAL
from worker.core.engagement.lists import ListRules, TargetList, Tier
from worker.core.engagement.rules import EngagementRules
from worker.core.engagement.stages import StageLine
from worker.core.engagement.standing import Learnt, StandingRules, Stood, stand
from worker.core.errors import Fatal

FITS = FitRules(by="rules", factors=(Factor("large", 85, (Condition("employees", "at_least", (200,)),)),))
PLAIN = StandingRules(fit=FITS)
TODAY = NOW.date()


def stood(
    *acts: dict[str, Any],
    rules: StandingRules = PLAIN,
    engagement: EngagementRules = RULES,
    deals: tuple[tuple[date, date | None, str], ...] = (),
    **values: Any,
) -> Stood:
    extras = {name: values.pop(name) for name in ("domain", "record_ids", "industry", "extra") if name in values}
    was = {name: values.pop(name) for name in ("was_qualified", "qualified_since_at") if name in values}
    frame = accounts_frame(account(**values)).with_columns(
        **{name: pl.lit(value) for name, value in (extras | was).items()}
    )
    past = pl.DataFrame([(ACME, *deal) for deal in deals], schema=PAST_DEAL, orient="row")
    return stand(frame, acts_frame(*acts), past, (engagement, rules), Learnt(), now=NOW)


def standing(*acts: dict[str, Any], **values: Any) -> dict[str, Any]:
    row = stood(*acts, **values).standings.row(0, named=True)
    return row | {"detail": json.loads(row["detail"])}


def lists_of(*acts: dict[str, Any], **values: Any) -> list[str]:
    return stood(*acts, **values).memberships["list"].to_list()


def days(*people: int, ago: float = 1, kind: str = "form") -> list[dict[str, Any]]:
    return [act(kind, person, days_ago=ago) for person in people]


def test_a_week_far_above_the_four_before_is_a_spike() -> None:
    found = standing(*days(1, 2, ago=2), *days(1, ago=10, kind="content"))
    assert found["spiked_at"] == NOW
    assert found["detail"]["spike"] == {"week_milli": 20_000, "before_milli": 1_250, "week_people": 2}
    assert found["detail"]["trend"] == "spike"


def test_twenty_points_of_one_person_or_less_of_two_are_no_spike() -> None:
    assert standing(*days(1, 1, 1, ago=2))["spiked_at"] is None
    assert standing(*days(1, ago=2), *days(2, ago=2, kind="content"))["spiked_at"] is None


def test_a_week_like_those_before_is_no_spike() -> None:
    steady = [each for ago in (2, 9, 16, 23, 30) for each in days(1, 2, ago=ago)]
    found = standing(*steady)
    assert (found["spiked_at"], found["detail"]["trend"]) == (None, "flat")


def test_a_spike_counts_points_as_they_were_earned() -> None:
    # Twice the four weeks' mean by earned points; by halved points it would be more than that.
    before = [each for ago in (8, 15, 22, 29) for each in days(1, 2, ago=ago)]
    assert standing(*before, *days(1, 2, 1, ago=2))["spiked_at"] is None
    assert standing(*before, *days(1, 2, 1, 2, ago=2))["spiked_at"] == NOW


def test_acts_of_nobody_count_in_a_week_up_to_their_limit() -> None:
    rules = EngagementRules(acts={**RULES.acts, "surge": RULES.acts["event_attended"]})
    surges = [act("surge", None, days_ago=1) for _ in range(5)]
    found = standing(*surges, *days(1, 2, ago=1, kind="content"), engagement=rules)
    assert found["detail"]["spike"]["week_milli"] == 30_000
    assert found["intent_milli"] == 20_000


def test_a_surge_is_intent_with_its_topic() -> None:
    found = standing(act("surge", None, label="surge spend management"))
    assert (found["intent_milli"], found["detail"]["topics"]) == (5_000, ["surge spend management"])


@pytest.mark.parametrize(
    ("acts", "deals", "stage"),
    [
        ([], (), "Target"),
        (days(1, kind="content"), (), "Awareness"),
        (days(1, 2, ago=0, kind="webinar_attended"), (), "Consideration"),
        ([act("surge", None), act("surge", None)], (), "Consideration"),
        ([act("demo_request")], (), "Decision"),
        (
            [*days(1, 2, 3, ago=0, kind="event_attended"), *days(1, 2, ago=0, kind="high_value_page")],
            (),
            "Decision",
        ),
        ([], ((TODAY - timedelta(days=9), None, "open"),), "Purchase"),
        ([], ((TODAY - timedelta(days=90), TODAY - timedelta(days=9), "lost"),), "Target"),
    ],
)
def test_the_shipped_stages(
    acts: list[dict[str, Any]], deals: tuple[tuple[date, date | None, str], ...], stage: str
) -> None:
    assert standing(*acts, deals=deals)["stage"] == stage


def test_a_screened_request_is_no_decision() -> None:
    assert standing(act("demo_request", screened="job seeker"))["stage"] == "Target"


def test_the_stage_names_the_line_that_decided() -> None:
    assert standing(act("demo_request"))["detail"]["stage_why"] == "requests count at least 1"


def test_fit_stage_and_breadth_together_qualify() -> None:
    acts = [act("demo_request", 1), act("content", 2)]
    found = standing(*acts)
    assert (found["qualified"], found["qualified_since_at"], found["detail"]["missing"]) == (True, NOW, [])
    assert standing(*acts, employees=100)["detail"]["missing"] == ["fit"]
    assert standing(acts[0])["detail"]["missing"] == ["people"]
    assert standing(*days(1, 2))["detail"]["missing"] == ["stage"]
    assert not standing(*acts, type="Partner")["qualified"]


def test_a_qualified_account_is_held_fourteen_days() -> None:
    held = standing(was_qualified=True, qualified_since_at=NOW - timedelta(days=13))
    assert (held["qualified"], held["qualified_since_at"]) == (True, NOW - timedelta(days=13))
    assert held["detail"]["missing"] == ["stage", "people"]
    assert not standing(was_qualified=True, qualified_since_at=NOW - timedelta(days=14))["qualified"]
    assert not standing(was_qualified=True, qualified_since_at=NOW - timedelta(days=1), type="Competitor")["qualified"]


def test_the_buying_group_names_who_is_missing_next() -> None:
    people = [
        act("form", 1, level="vp", role_label="VP Finance"),
        act("form", 2, level="other", role_label="IT"),
        act("form", 3, level="other", role_label=None),
        act("email_open", 4, level="other", role_label="Procurement"),
    ]
    found = standing(*people)
    assert (found["group_engaged"], found["group_needed"], found["group_gap"]) == (2, 5, "purchasing")
    assert found["detail"]["group"] == ["economic", "technical"]


@pytest.mark.parametrize(
    ("level", "label", "part"),
    [
        ("other", "Procurement", "purchasing"),
        ("director", "Director Procurement", "purchasing"),
        ("director", "Director Finance", "economic"),
        ("other", "Finance", "end_user"),
        ("c_level", "C-level", "economic"),
        ("c_level", "C-level IT", "technical"),
        ("director", "Director Marketing", "influencer"),
        ("other", "Customer Service", "end_user"),
        ("other", None, None),
        ("student", "student", None),
    ],
)
def test_a_title_fills_a_part(level: str, label: str | None, part: str | None) -> None:
    assert parts_of([(level, label)], GroupRules()) == [part]


def test_a_part_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Fatal, match="champion"):
        GroupRules(parts=(PartRule("champion", levels=("vp",)),))


NAMED = TargetList("Named", frozenset({"acme.com", "001A00000000abcDEF"}))
HOT = TargetList("Hot", where=(Condition("trend", "in", ("spike",)), Condition("fit_band", "in", ("strong",))))
BOTH = TargetList("Both", where=(Condition("list", "in", ("Named",)), Condition("stage", "in", ("Decision",))))
LISTED = StandingRules(fit=FITS, lists=ListRules(lists=(NAMED, HOT, BOTH)))


def test_a_static_list_names_ids_of_either_length_and_domains() -> None:
    assert lists_of(rules=LISTED, domain="acme.com") == ["Named"]
    assert lists_of(rules=LISTED, record_ids=["001A00000000abcDEF"]) == ["Named"]
    assert lists_of(rules=LISTED, record_ids=["001A00000000abc"]) == ["Named"]
    assert lists_of(rules=LISTED, record_ids=["001A00000000ABCDEF"], domain="other.com") == []


def test_accounts_flow_into_a_list_by_rule() -> None:
    assert lists_of(*days(1, 2, ago=2), rules=LISTED) == ["Hot"]
    assert lists_of(*days(1, 2, ago=2), rules=LISTED, employees=100) == []
    assert lists_of(act("demo_request"), rules=LISTED, domain="acme.com") == ["Named", "Both"]


def test_the_first_tier_that_fits_weighs() -> None:
    tiers = (
        Tier("A", (Condition("employees", "at_least", (1_000,)),)),
        Tier("B", (Condition("name", "contains", ("a",)),)),
    )
    rules = StandingRules(fit=FITS, lists=ListRules(tiers=tiers))
    weighing = EngagementRules(tier_weights={"A": 2})
    large = stood(act("form"), rules=rules, engagement=weighing, employees=2_000)
    assert (large.standings["tier"].to_list(), large.flags["points_milli"].to_list()) == (["A"], [20_000])
    assert standing(act("form"), rules=rules, engagement=weighing)["tier"] == "B"


def test_only_targets_count_for_a_rule_for_targets() -> None:
    strict = EngagementRules(targets_only=True)
    request = act("demo_request")
    refused = stood(request, rules=LISTED, engagement=strict, domain="other.com").flags.row(0, named=True)
    assert not refused["engaged"]
    assert "needs 1 more person and a place in the customer profile or a target list." in refused["why"]
    assert json.loads(refused["detail"])["missing"]["target"]
    assert stood(request, rules=LISTED, engagement=strict, domain="acme.com").flags["engaged"].item()
    profile = StandingRules(fit=FITS, lists=ListRules(profile=((Condition("employees", "at_least", (200,)),),)))
    assert stood(request, rules=profile, engagement=strict).flags["engaged"].item()
    assert not stood(request, rules=profile, engagement=strict, employees=100).flags["engaged"].item()


def test_who_leaves_the_lists_lapses_by_its_points_and_not_at_once() -> None:
    strict = EngagementRules(targets_only=True)
    long_ago = {"was_engaged": True, "engaged_since_at": NOW - timedelta(days=60)}
    assert stood(act("event_attended"), act("content"), engagement=strict, **long_ago).flags["engaged"].item()
    assert not stood(act("event_attended"), engagement=strict, **long_ago).flags["engaged"].item()


def test_fields_of_the_customers_own_count_where_rules_name_them() -> None:
    sap = Tier("SAP house", (Condition("extra.Stack__c", "contains", ("sap",)),))
    rules = StandingRules(fit=FITS, lists=ListRules(tiers=(sap,)))
    assert rules.extras() == ["Stack__c"]
    assert standing(rules=rules, extra='{"Stack__c": "SAP; Oracle"}')["tier"] == "SAP house"
    assert standing(rules=rules, extra=None)["tier"] is None


def test_a_stage_that_is_none_is_refused() -> None:
    with pytest.raises(Fatal, match="Interest"):
        StageLine("Interest", (Condition("points", "at_least", (1,)),))
    with pytest.raises(Fatal, match="no condition"):
        StageLine("Decision", ())


def test_no_account_and_no_act_is_nothing() -> None:
    frame = accounts_frame(account()).clear()
    past = pl.DataFrame(schema=PAST_DEAL)
    found = stand(frame, acts_frame(), past, (RULES, PLAIN), Learnt(), now=NOW)
    assert (found.flags.height, found.standings.height, found.memberships.height) == (0, 0, 0)
