"""
The shipped rules: the numbers that were promised, and that they name only what the rest of the house has.
"""

from decimal import Decimal
from typing import get_args

import pytest

from config.rulefiles import SHIPPED_RULES, Rules, load_rules
from config.rules_engagement import Level
from config.rules_fields import (
    CREDIT_BASES,
    CREDIT_STATES,
    GOLDEN_ACCOUNT,
    GOLDEN_OPPORTUNITY,
    GOLDEN_PERSON,
    TEAMS,
    Compare,
    Keep,
)
from config.rules_touches import PredicateField
from worker.core import records
from worker.core.attribution.rules import DEFAULT_MODELS
from worker.core.engagement.rules import LEVELS
from worker.core.survivorship.rules import COMPARES, KEEPS
from worker.core.touchpoints.classify import ACTIVITY
from worker.flows.attribute import BASIS, STATE, TEAM


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


def test_the_engagement_rules_are_the_promised_ones(rules: Rules) -> None:
    engagement = rules.engagement
    assert (engagement.window_days, engagement.half_life_days) == (90, 30)
    assert {name: points.points for name, points in engagement.points.items() if not points.most_points} == {
        "email_open": 0,
        "ad_click": 1,
        "content": 5,
        "form": 10,
        "campaign_response": 10,
        "webinar_registered": 2,
        "event_registered": 2,
        "webinar_attended": 15,
        "event_attended": 20,
        "demo_request": 50,
        "pricing_request": 50,
        "contact_request": 50,
    }
    capped = {name: points for name, points in engagement.points.items() if points.most_points}
    assert {name: (cap.points, cap.most_points, cap.per_days) for name, cap in capped.items()} == {
        "email_click": (1, 3, 7),
        "page_visit": (1, 1, 1),
        "high_value_page": (5, 5, 1),
        "link_click": (1, 1, 1),
        "company_visit": (1, 1, 1),
        "ad_engagement": (1, 3, 7),
        "surge": (5, 10, 7),
    }
    assert engagement.level_weights == {
        "c_level": Decimal("1.5"),
        "vp": Decimal("1.5"),
        "director": Decimal("1.25"),
        "other": 1,
        "student": 0,
    }
    enter, stay = engagement.enter, engagement.stay
    assert (enter.points, enter.people_count, enter.human_act_within_days) == (50, 2, 14)
    assert (enter.small_company_people_count, enter.small_company_employees_below) == (1, 50)
    assert (stay.points, stay.hold_days, engagement.account_acts.cap_percent) == (25, 14, 40)
    assert set(engagement.act_now) == {"demo_request", "pricing_request", "contact_request"}


def test_nothing_sent_opened_or_clicked_in_a_mail_and_no_registration_earns_credit(rules: Rules) -> None:
    assert rules.attribution.eligible_types == {
        "form",
        "content",
        "webinar_attended",
        "event_attended",
        "demo_request",
        "pricing_request",
        "contact_request",
        "ad_click",
        "campaign_response",
        "meeting",
        "call",
        "sales_email",
    }
    assert rules.attribution.response_types == {
        "form",
        "webinar_attended",
        "event_attended",
        "demo_request",
        "pricing_request",
        "contact_request",
    }


def test_the_models_are_the_published_ones(rules: Rules) -> None:
    shipped = {
        name: ({k: Decimal(str(v)) for k, v in model.weights.items()}, model.half_life_days)
        for name, model in rules.attribution.models.items()
    }
    assert shipped == {
        model.name: ({k: Decimal(str(v)) for k, v in model.weights.items()}, model.half_life_days)
        for model in DEFAULT_MODELS
    }
    assert rules.attribution.models["w"].weights == {"FT": 30, "LC": 30, "OC": 30, "middle": 10}
    assert sum(rules.attribution.models["full_path"].weights.values()) == 100
    assert rules.attribution.write_model == "w"


def test_paths_look_back_540_days_and_count_roles_first(rules: Rules) -> None:
    path = rules.attribution.path
    assert (path.lookback_days, path.people, path.account_basis_days) == (540, "roles_else_account", 90)
    assert path.lead_creation_after_days == 7
    assert (rules.attribution.influence_days, rules.attribution.same_touch_hours) == (90, 24)
    assert rules.attribution.no_touch == "unassigned"
    assert rules.attribution.machines.within_seconds_of_delivery == 60


def test_renewals_and_zero_deals_are_out_and_empty_amounts_are_not_zero(rules: Rules) -> None:
    deals = rules.attribution.deals
    assert {"Renewal", "Amendment"} <= set(deals.exclude_types)
    assert deals.include_zero_amount is False
    assert deals.minimum_amount is None


def test_the_limits_towards_salesforce_are_the_promised_ones(rules: Rules) -> None:
    service = rules.service
    assert (service.salesforce.api_floor_percent, service.salesforce.overlap_minutes) == (15, 15)
    assert (service.salesforce.api_cap_percent, service.salesforce.logins_per_hour) == (15, 60)
    assert (service.writes.guard_percent, service.writes.guard_flips, service.writes.guard_floor_records) == (
        5,
        200,
        20,
    )


def test_an_empty_medium_is_kept_apart_from_the_word_unknown(rules: Rules) -> None:
    attribution = rules.attribution
    assert attribution.empty_medium == "(empty)"
    assert "unknown" not in attribution.mediums
    assert "" not in attribution.mediums
    assert attribution.mediums["cpc"] == attribution.mediums["ppc"] == "Paid search"
    assert attribution.mediums["paid-social"] == "Paid social"


def test_golden_fields_are_columns_of_the_shapes(rules: Rules) -> None:
    for known, shape, golden in (
        (GOLDEN_PERSON, records.PERSON, rules.fields.person),
        (GOLDEN_ACCOUNT, records.ACCOUNT, rules.fields.account),
        (GOLDEN_OPPORTUNITY, records.OPPORTUNITY, rules.fields.opportunity),
    ):
        assert known <= set(shape)
        assert set(golden.fields) == known, "every golden field has its rule in the shipped file"


def test_the_words_of_the_rules_are_those_of_the_engines() -> None:
    assert get_args(Keep) == KEEPS
    assert get_args(Compare) == COMPARES
    assert get_args(Level) == LEVELS
    worked_out = {"url", "query", "referrer_host"}
    assert set(get_args(PredicateField)) - worked_out <= set(ACTIVITY)


def test_the_picklists_hold_what_is_written() -> None:
    assert set(BASIS.values()) == set(CREDIT_BASES)
    assert set(STATE.values()) == set(CREDIT_STATES)
    assert set(TEAM.values()) == set(TEAMS)


def test_no_shipped_file_names_a_person_or_a_secret() -> None:
    for file in SHIPPED_RULES.glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        assert "@" not in text
        assert "://" not in text
