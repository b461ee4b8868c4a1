"""
The shipped attribution file in the hands of the real engine: what a marketer's everyday acts become.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from config.rulefiles import load_rules
from worker.core.touchpoints.classify import ACTIVITY, classify
from worker.core.touchpoints.rules import TouchpointRules
from worker.wiring import rules_of

RULES = rules_of(load_rules(), 1).touchpoints


def touch(
    native_type: str | None,
    attributes: dict[str, str] | None = None,
    rules: TouchpointRules = RULES,
    **known: Any,
) -> dict[str, Any] | None:
    """
    What one activity becomes; None if it is no act. Marketo's, unless ``origin`` says otherwise.
    """
    row = dict.fromkeys(ACTIVITY) | {
        "touch_id": "marketo.activity:1",
        "origin": "marketo.activity",
        "source": "marketo",
        "person_ref": "7",
        "occurred_at": datetime(2026, 6, 2, 9, tzinfo=UTC),
        "native_type": native_type,
        "attributes": json.dumps(attributes or {}),
    }
    rows = classify(pl.DataFrame([row | known], schema=ACTIVITY), rules).to_dicts()
    return rows[0] if rows else None


def kind(*given: Any, **known: Any) -> str | None:
    found = touch(*given, **known)
    return None if found is None else found["type"]


def channel(*given: Any, **known: Any) -> str | None:
    found = touch(*given, **known)
    return None if found is None else found["channel"]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("Request-Demo", "demo_request"),
        ("Pricing form", "pricing_request"),
        ("Contact Us", "contact_request"),
        ("Whitepaper: Cost Control", "content"),
        ("Cost Control webinar registration", "webinar_registered"),
        ("Roadshow registration", "event_registered"),
        ("Newsletter sign-up", "form"),
        ("Democracy survey", "form"),
        ("Unsubscribe", "excluded"),
        ("Job application", "excluded"),
    ],
)
def test_a_forms_name_says_what_was_asked_for(form: str, expected: str) -> None:
    assert kind("2", asset=form) == expected


@pytest.mark.parametrize(
    ("page", "query", "expected"),
    [
        ("/pricing", "", "high_value_page"),
        ("/blog/five-rules", "", "page_visit"),
        ("/careers/engineer", "", "excluded"),
        ("/blog", "utm_source=google&utm_medium=CPC", "ad_click"),
        ("/blog", "gclid=abc", "ad_click"),
        ("/blog", "utm_medium=email", "page_visit"),
    ],
)
def test_a_visit_is_paid_or_telling_or_plain(page: str, query: str, expected: str) -> None:
    assert kind("1", {"Webpage URL": page, "Query Parameters": query}, asset=page) == expected


def test_attendance_earns_and_registration_does_not() -> None:
    webinar = {"campaign_type": "Webinar", "campaign_name": "Cost Control"}
    attended = touch("104", {"New Status": "Attended", "Old Status": "Registered"}, **webinar)
    registered = touch("104", {"New Status": "Registered", "Old Status": "Invited"}, **webinar)
    assert attended is not None
    assert registered is not None
    assert (attended["type"], attended["earns_credit"]) == ("webinar_attended", True)
    assert (attended["channel"], attended["offer"], attended["label"]) == (
        "Webinar",
        "Cost Control",
        "webinar Cost Control",
    )
    assert (registered["type"], registered["earns_credit"]) == ("webinar_registered", False)


def test_the_same_status_twice_is_nothing_new_and_a_first_status_is() -> None:
    webinar = {"campaign_type": "Webinar"}
    assert kind("104", {"New Status": "Attended", "Old Status": "attended"}, **webinar) == "program_status"
    assert kind("104", {"New Status": "Attended"}, **webinar) == "webinar_attended"


def test_a_booth_visit_at_a_trade_show_is_an_event() -> None:
    show = {"campaign_type": "Tradeshow"}
    assert kind("104", {"New Status": "Visited Booth", "Old Status": "Invited"}, **show) == "event_attended"
    assert channel("104", {"New Status": "Visited Booth", "Old Status": "Invited"}, **show) == "Event"


@pytest.mark.parametrize("native_type", ["6", "7", "8", "9", "10", "11", "27"])
def test_nothing_about_a_mail_earns_credit(native_type: str) -> None:
    found = touch(native_type, asset="Newsletter")
    assert found is not None
    assert (found["earns_credit"], found["channel"]) == (False, "E-mail")


@pytest.mark.parametrize("native_type", ["12", "13", "19", "21", "24", "32", "37", "113"])
def test_bookkeeping_is_no_act(native_type: str) -> None:
    assert touch(native_type) is None


def test_a_machines_act_is_kept_and_labelled_and_earns_nothing() -> None:
    found = touch("2", {"Is Bot Activity": "true"}, asset="Request-Demo")
    assert found is not None
    assert found["type"] == "demo_request"
    assert found["earns_credit"] is False
    assert found["machine"]
    person = touch("2", {"Is Bot Activity": "false"}, asset="Request-Demo")
    assert person is not None
    assert (person["machine"], person["earns_credit"]) == (None, True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("utm_medium=cpc", "Paid search"),
        ("utm_medium=PPC", "Paid search"),
        ("utm_medium=paid-social", "Paid social"),
        ("utm_medium=Podcast%20Host", "Podcast Host"),
        ("utm_medium=unknown", "unknown"),
        ("utm_medium=", "(empty)"),
        ("utm_source=google", "Website"),
        ("gclid=abc", "Paid search"),
        ("", "Website"),
    ],
)
def test_the_medium_names_the_channel_as_the_platform_spells_it(query: str, expected: str) -> None:
    assert channel("2", {"Query Parameters": query}, asset="Newsletter sign-up") == expected


@pytest.mark.parametrize(
    ("referrer", "expected"),
    [
        ("https://www.google.com/", "Organic search"),
        ("https://www.google.co.uk/search?q=x", "Organic search"),
        ("https://mail.google.com/", "E-mail"),
        ("https://t.co/abc", "Organic social"),
        ("https://www.linkedin.com/feed", "Organic social"),
        ("https://www.microsoft.com/", "Website"),
        ("https://www.netflix.com/", "Website"),
    ],
)
def test_without_a_medium_the_referrer_names_the_channel(referrer: str, expected: str) -> None:
    assert channel("2", {"Referrer URL": referrer}, asset="Newsletter sign-up") == expected


def test_a_form_inside_an_ad_is_paid_social_and_other_forms_are_not() -> None:
    assert (kind("147", asset="Lead form"), channel("147", asset="Lead form")) == ("form", "Paid social")
    assert channel("2", asset="Lead form") == "Website"


def member(**known: Any) -> dict[str, Any] | None:
    return touch(None, **{"origin": "salesforce.member", "source": "salesforce", "campaign_name": "Spring"} | known)


def test_campaign_members_are_what_their_campaigns_type_says() -> None:
    expected = {
        ("Webinar", "Attended"): ("webinar_attended", "marketing", "Webinar"),
        ("Webinar", "No Show"): ("webinar_registered", "marketing", "Webinar"),
        ("Trade Show", "Responded"): ("event_attended", "marketing", "Event"),
        ("Partners", "Responded"): ("campaign_response", "partner", "Partner"),
        ("Direct Mail", "Responded"): ("campaign_response", "marketing", "Direct Mail"),
        (None, "Responded"): ("campaign_response", "marketing", "Other"),
    }
    for (campaign_type, status), answer in expected.items():
        found = member(campaign_type=campaign_type, member_status=status)
        assert found is not None
        assert (found["type"], found["team"], found["channel"]) == answer, campaign_type


@pytest.mark.parametrize(
    ("native_type", "attributes", "expected"),
    [
        ("Task:Call", {}, "call"),
        ("Task:Task", {"Type": "Call"}, "call"),
        ("Task:Email", {}, "sales_email"),
        ("Task:ListEmail", {}, "email_sent"),
        ("Task", {}, "sales_task"),
        ("Event", {}, "meeting"),
    ],
)
def test_what_sales_does_is_sales(native_type: str, attributes: dict[str, str], expected: str) -> None:
    found = touch(native_type, attributes, origin="salesforce.activity", source="salesforce")
    assert found is not None
    assert (found["type"], found["team"]) == (expected, "sales")


def test_every_type_of_the_file_can_come_about_or_is_named_for_other_sources() -> None:
    made = {rule.type for rule in RULES.touches}
    assert set(RULES.types) - made == {"company_visit", "ad_engagement", "surge"}


AD = {"Webpage URL": "/spend", "Query Parameters": "utm_medium=cpc&utm_campaign=Spend-Mgmt"}


def test_an_ad_click_belongs_to_the_campaign_named_in_its_link():
    assert touch("1", AD)["campaign"] == "Spend-Mgmt"


def test_a_program_that_an_act_belongs_to_goes_before_the_link():
    assert touch("1", AD, campaign_name="Search 2026")["campaign"] == "Search 2026"


def test_a_utm_campaign_goes_by_the_campaigns_own_name_where_the_rules_give_one():
    named = replace(RULES, utm_campaigns={"spend-mgmt": "Search Spend Management"})
    assert touch("1", AD, named)["campaign"] == "Search Spend Management"
    assert touch("1", AD, named)["offer"] == "Spend-Mgmt"
