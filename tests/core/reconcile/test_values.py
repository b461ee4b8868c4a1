"""
One canonical text for every value: two spellings of the same value are never a change.
"""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.reconcile.rules import Target
from worker.core.reconcile.values import canonical

PERCENT = Target("P", "Percent", scale=2)
COUNT = Target("N", "Number", scale=0)
CHECKBOX = Target("B", "Checkbox")
DAY = Target("D", "Date")
INSTANT = Target("T", "DateTime")
SENTENCE = Target("S", "Text", length=12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("62.5000"), "62.5"),
        ("62.50", "62.5"),
        (62.5, "62.5"),
        (Decimal("33.333333"), "33.33"),
        (Decimal(100), "100"),
        (Decimal("1E+2"), "100"),
        (Decimal("-0.001"), "0"),
        (0, "0"),
        (None, None),
        ("", None),
    ],
)
def test_a_percent_has_its_digits_and_no_zeros_behind(value: object, text: str | None) -> None:
    assert canonical(value, PERCENT) == text


def test_a_whole_number_keeps_the_zeros_of_its_tens() -> None:
    assert canonical(Decimal(120), COUNT) == "120"
    assert canonical("10", COUNT) == "10"


@pytest.mark.parametrize(("value", "text"), [(True, "true"), ("True", "true"), (None, "false"), ("", "false")])
def test_an_empty_checkbox_is_an_unticked_one(value: object, text: str) -> None:
    assert canonical(value, CHECKBOX) == text


def test_a_day_is_a_day_however_it_comes() -> None:
    told = {
        canonical(value, DAY)
        for value in (date(2026, 11, 18), datetime(2026, 11, 18, 23, 59, tzinfo=UTC), "2026-11-18T00:00:00.000Z")
    }
    assert told == {"2026-11-18"}


def test_an_instant_is_told_in_one_time_zone() -> None:
    noon = datetime(2026, 11, 18, 12, tzinfo=UTC)
    told = {
        canonical(value, INSTANT)
        for value in (noon, noon.astimezone(timezone(timedelta(hours=-5))), "2026-11-18T12:00:00.000+0000")
    }
    assert told == {"2026-11-18T12:00:00.000Z"}


def test_a_text_is_cut_to_its_field_and_a_blank_one_is_empty() -> None:
    assert canonical("Opened by webinar", SENTENCE) == "Opened by we"
    assert canonical("  \n ", SENTENCE) is None
    assert canonical("a\0b", SENTENCE) == "ab"


def test_a_text_cut_at_a_space_ends_before_it() -> None:
    # Salesforce keeps no blank at the end, so that one of ours would be a change for ever.
    assert canonical("Opened by a webinar", Target("S", "Text", length=10)) == "Opened by"


@given(st.text(alphabet="ab ", max_size=30) | st.text() | st.decimals(-(10**9), 10**9, places=6) | st.none())
def test_the_canonical_text_of_a_canonical_text_is_itself(value: object) -> None:
    for target in (SENTENCE, CHECKBOX):
        once = canonical(value, target)
        assert canonical(once, target) == once
    if isinstance(value, Decimal):
        once = canonical(value, PERCENT)
        assert canonical(once, PERCENT) == once
