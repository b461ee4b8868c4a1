"""
What is written to a record: only what differs, and never because time has passed.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.reconcile.diff import Change, Wanted, diff
from worker.core.reconcile.rules import Target, fitted

TARGETS = {
    "engaged": Target("HW_Engaged__c", "Checkbox"),
    "engaged_until": Target("HW_Engaged_Until__c", "Date", min_move_days=7),
    "engagement_band": Target("HW_Engagement_Band__c", "Picklist"),
    "engaged_why": Target("HW_Engaged_Why__c", "Text", length=40),
    "marketing_share": Target("HW_Marketing_Share__c", "Percent", scale=2),
}
READABLE = frozenset(target.field for target in TARGETS.values())
WHY = "3 people: demo request 18 Nov 2026"


def wanted(**values: Any) -> list[Wanted]:
    return [Wanted(name, value, "engagement rules v3") for name, value in values.items()]


def changes(
    values: dict[str, Any], actual: dict[str, str | None], readable: frozenset[str] = READABLE
) -> dict[str, tuple[str | None, str | None]]:
    found = diff(wanted(**values), actual, TARGETS, readable)
    return {change.field: (change.old, change.new) for change in found}


def test_a_record_that_holds_what_it_should_gets_nothing() -> None:
    held: dict[str, str | None] = {"HW_Engaged__c": "true", "HW_Engagement_Band__c": "High", "HW_Engaged_Why__c": WHY}
    assert changes({"engaged": True, "engagement_band": "High", "engaged_why": WHY}, held) == {}


def test_an_unticked_box_that_was_never_written_is_no_change() -> None:
    assert changes({"engaged": False}, {}) == {}


def test_a_flag_that_turns_takes_its_sentence_along() -> None:
    held: dict[str, str | None] = {"HW_Engaged__c": "false", "HW_Engaged_Why__c": "an older sentence"}
    assert changes({"engaged": True, "engaged_why": WHY}, held) == {
        "HW_Engaged__c": ("false", "true"),
        "HW_Engaged_Why__c": ("an older sentence", WHY),
    }


def test_a_sentence_that_reads_otherwise_today_goes_out_with_the_next_change_only() -> None:
    held: dict[str, str | None] = {"HW_Engaged__c": "true", "HW_Engaged_Why__c": "2 people: demo request 18 Nov 2026"}
    assert changes({"engaged": True, "engaged_why": WHY}, held) == {}


def test_a_record_of_which_nothing_was_said_yet_gets_its_sentence_alone() -> None:
    assert changes({"engaged_why": WHY}, {}) == {"HW_Engaged_Why__c": (None, WHY)}


@pytest.mark.parametrize(("until", "is_written"), [("2026-12-22", False), ("2026-12-23", True), ("2026-12-09", True)])
def test_a_lapse_date_is_rewritten_when_it_moves_by_a_week(until: str, is_written: bool) -> None:
    held: dict[str, str | None] = {"HW_Engaged_Until__c": "2026-12-16"}
    assert bool(changes({"engaged_until": until}, held)) is is_written


def test_a_lapse_date_goes_when_the_flag_does() -> None:
    held: dict[str, str | None] = {"HW_Engaged__c": "true", "HW_Engaged_Until__c": "2026-12-16"}
    assert changes({"engaged": False, "engaged_until": None}, held) == {
        "HW_Engaged__c": ("true", "false"),
        "HW_Engaged_Until__c": ("2026-12-16", None),
    }


def test_a_field_the_organisation_hides_is_left_alone_and_the_others_are_not() -> None:
    seen = READABLE - {"HW_Engaged_Why__c"}
    assert changes({"engaged": True, "engaged_why": WHY}, {}, seen) == {"HW_Engaged__c": ("false", "true")}


def test_a_value_without_a_target_is_not_written() -> None:
    assert changes({"tier": "A"}, {}) == {}


def test_changes_come_in_the_order_of_their_fields_with_their_reason() -> None:
    found = diff(wanted(engagement_band="High", engaged=True), {}, TARGETS, READABLE)
    assert found == [
        Change("HW_Engaged__c", "false", "true", "engagement rules v3"),
        Change("HW_Engagement_Band__c", None, "High", "engagement rules v3"),
    ]


held_values = st.fixed_dictionaries(
    {},
    optional={
        "HW_Engaged__c": st.sampled_from(["true", "false"]),
        "HW_Engaged_Until__c": st.dates().map(str),
        "HW_Engagement_Band__c": st.sampled_from(["High", "Low", None]),
        "HW_Engaged_Why__c": st.text(max_size=60),
        "HW_Marketing_Share__c": st.decimals(-999, 999, places=4).map(str),
    },
)
wanted_values = st.fixed_dictionaries(
    {
        "engaged": st.booleans(),
        "engaged_until": st.dates() | st.none(),
        "engagement_band": st.sampled_from(["High", "Low", None]),
        "engaged_why": st.text(max_size=60) | st.none(),
        "marketing_share": st.decimals(-999, 999, places=4) | st.none(),
    }
)


@given(wanted_values, held_values)
def test_what_was_written_once_is_not_written_again(values: dict[str, Any], held: dict[str, str | None]) -> None:
    found = diff(wanted(**values), held, TARGETS, READABLE)
    assert all(change.old != change.new for change in found)
    after = {**held, **{change.field: change.new for change in found}}
    assert diff(wanted(**values), after, TARGETS, READABLE) == []


def test_a_sentence_is_cut_to_the_field_the_organisation_has_and_the_reason_says_so() -> None:
    shorter = fitted(TARGETS, {"HW_Engaged_Why__c": 12, "HW_Engaged__c": 0, "HW_Marketing_Share__c": 5})
    (change,) = diff(wanted(engaged_why=WHY), {}, shorter, READABLE)
    assert change.new == WHY[:12].rstrip()
    assert change.reason == f"engagement rules v3 (cut from {len(WHY)} to 12 characters, the length of the field)"
    assert diff(wanted(engaged_why=WHY), {"HW_Engaged_Why__c": change.new}, shorter, READABLE) == []


def test_a_field_that_is_longer_than_the_rule_says_changes_nothing() -> None:
    assert fitted(TARGETS, {"HW_Engaged_Why__c": 255}) == TARGETS
