"""
What our fields should hold, and that a decision that was never made leaves its fields alone.
"""

from typing import Any

from worker.core.reconcile.desired import for_account, for_opportunity, for_person

ENGAGED: dict[str, Any] = {
    "engaged": True,
    "since_at": "2026-11-18T09:00:00+00:00",
    "until_at": "2026-12-16T09:00:00+00:00",
    "band": "High",
    "why": "3 people: demo request 18 Nov 2026. Lapses 16 Dec 2026 if quiet.",
    "rule_version": 3,
}


def values(wanted: list[Any]) -> dict[str, Any]:
    return {want.name: want.value for want in wanted}


def test_where_nothing_was_decided_nothing_is_wanted() -> None:
    assert for_account(None) == []
    assert for_opportunity(None) == []


def test_an_engaged_account_carries_its_sentence_and_the_rules_version() -> None:
    wanted = for_account(ENGAGED)
    assert values(wanted)["engaged_why"] == ENGAGED["why"]
    assert all("rules v3" in want.reason for want in wanted)


def test_an_account_that_is_not_engaged_shows_no_sentence_and_no_band_none() -> None:
    quiet = ENGAGED | {"engaged": False, "band": "None", "since_at": None, "until_at": None}
    found = values(for_account(quiet))
    assert found["engaged"] is False
    assert found["engaged_why"] is None
    assert found["engagement_band"] is None


def test_a_person_without_a_match_says_no_reason_for_one() -> None:
    person = {"original_source": None, "account_why": "free mail", "account_rule": None}
    found = values(for_person(person, None))
    assert found == {"matched_account": None, "match_why": None}


def test_a_matched_person_names_the_account_the_reason_and_the_first_channel() -> None:
    person = {"original_source": "Paid search", "account_why": "domain acme.com", "account_rule": "domain"}
    found = values(for_person(person, "001Hw00000A"))
    assert found == {
        "original_source": "Paid search",
        "matched_account": "001Hw00000A",
        "match_why": "domain acme.com",
    }
