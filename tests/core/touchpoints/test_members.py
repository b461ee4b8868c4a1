"""
When a campaign member's response happened.
"""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from worker.core.touchpoints.members import MEMBER, as_activities
from worker.core.touchpoints.rules import MemberRules

RULES = MemberRules(date={"Webinar": "campaign_start"})
JUNE = date(2026, 6, 2)
CREATED = datetime(2026, 5, 1, 8, tzinfo=UTC)


def when(rules: MemberRules = RULES, zone: str = "UTC", **known: Any) -> datetime | None:
    row = dict.fromkeys(MEMBER) | {
        "touch_id": "salesforce.campaign_member:00v",
        "has_responded": True,
        "campaign_type": "Email",
        "responded_on": JUNE,
        "campaign_start_on": date(2026, 5, 30),
        "created_at": CREATED,
    }
    rows = as_activities(pl.DataFrame([row | known], schema=MEMBER), rules, zone)
    found: datetime | None = rows["occurred_at"].item() if rows.height else None
    return found


def test_a_member_who_has_not_responded_is_no_act() -> None:
    assert when(has_responded=False) is None
    assert when(has_responded=None) is None


def test_the_rules_may_count_those_who_have_not_responded() -> None:
    assert when(MemberRules(responded_only=False), has_responded=False) is not None


def test_a_response_is_dated_by_the_day_it_was_given() -> None:
    assert when() == datetime(2026, 6, 2, tzinfo=UTC)


def test_a_webinars_date_is_the_campaigns_and_its_type_is_read_in_any_case() -> None:
    assert when(campaign_type="WEBINAR") == datetime(2026, 5, 30, tzinfo=UTC)


def test_a_day_begins_where_the_organisation_is() -> None:
    assert when(zone="America/New_York") == datetime(2026, 6, 2, 4, tzinfo=UTC)
    assert when(zone="Asia/Tokyo") == datetime(2026, 6, 1, 15, tzinfo=UTC)


def test_where_the_date_is_empty_the_next_one_serves() -> None:
    assert when(campaign_type="Webinar", campaign_start_on=None) == datetime(2026, 6, 2, tzinfo=UTC)
    assert when(responded_on=None) == CREATED


def test_a_response_before_its_member_was_made_stays_where_it_is() -> None:
    assert when(responded_on=date(2026, 4, 1)) == datetime(2026, 4, 1, tzinfo=UTC)
