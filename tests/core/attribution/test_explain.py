"""
The words: shares, positions, and the sentence on the opportunity.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.attribution.worlds import World, day, deal_row
from worker.core.attribution import AttributionRules, build_paths, positions_text, sentences, share_percent, share_text
from worker.core.attribution.explain import Facts, Told, sentence

RULES = AttributionRules(version="3")
AS_OF = datetime(2026, 11, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("share", "text"),
    [((6, 10), "0.6"), ((2, 6), "1/3"), ((7, 7), "1"), ((0, 5), "0"), ((5, 8), "0.625"), ((1, 1000), "0.001")],
)
def test_a_share_is_a_finite_decimal_or_a_fraction(share: tuple[int, int], text: str) -> None:
    assert share_text(*share) == text


@given(st.integers(0, 10**20), st.integers(1, 10**20))
def test_a_share_as_text_is_the_share(numerator: int, denominator: int) -> None:
    assert Fraction(share_text(numerator, denominator)) == Fraction(numerator, denominator)


def test_percent_has_the_digits_of_its_field() -> None:
    assert str(share_percent(5, 8, 2)) == "62.50"
    assert str(share_percent(1, 3, 4)) == "33.3333"
    assert share_percent(1, 8, 0) == Decimal(13)
    assert positions_text(["FT", "LC"]) == "FT; LC"


def world(
    touches: list[tuple[Any, ...]], *, people: int = 4, role: str | None = "Decision Maker", **deal: Any
) -> World:
    person = {"opportunity_id": 1, "role": role, "is_primary": False, "lead_created_at": day(6, 3)}
    columns = ("touch_id", "occurred_at", "type", "offer", "team")
    return World(
        [deal_row(1, day(7, 20), day(9, 1)) | deal],
        [person | {"person_id": number} for number in range(1, people + 1)],
        [{"person_id": 1, "channel": "Web", "campaign": None} | dict(zip(columns, t, strict=True)) for t in touches],
        [],
    )


def why(told: World, model: str = "w", zone: str = "UTC") -> str:
    deals, people, touches, _ = told.frames()
    paths = build_paths(deals, people, touches, RULES, as_of=AS_OF)
    answer = sentences(paths, touches, RULES, model=model, zone=zone)
    assert answer["opportunity_id"].to_list() == [1]
    return str(answer["why"].item())


WEBINAR = ("a", day(6, 2), "webinar_attended", "Cost Control", "marketing")
DEMO = ("b", day(7, 9), "demo_request", None, "marketing")


def test_a_deal_opened_by_a_webinar_reads_as_in_the_field_list() -> None:
    assert why(world([WEBINAR, DEMO])) == (
        "Opened by webinar Cost Control 2 Jun 2026; demo 9 Jul; no marketing touch at close. W v3, 4 people by role."
    )


def test_sales_is_named_where_sales_opened() -> None:
    call = ("0", day(12, 30, 2025), "call", None, "sales")
    assert why(world([call, WEBINAR, DEMO], people=1)) == (
        "Opened by sales (call) 30 Dec 2025; webinar Cost Control 2 Jun 2026; demo 9 Jul; no marketing touch at close. "
        "W v3, 1 person by role."
    )


def test_a_deal_without_any_touch_says_so() -> None:
    assert why(world([])) == "No touch before creation; no marketing touch. W v3, 4 people by role."


def test_milestones_without_a_touch_are_said_aloud() -> None:
    late = ("c", day(8, 10), "event_attended", "Roadshow", "marketing")
    assert why(world([late])) == (
        "No touch before creation; event Roadshow 10 Aug 2026; no marketing touch at lead creation or creation. "
        "W v3, 4 people by role."
    )


def test_an_open_deal_says_what_is_pending_and_the_days_are_local() -> None:
    midnight = ("a", datetime(2026, 6, 2, 22, 30, tzinfo=UTC), "form", "Cost Control", "marketing")
    told = world([midnight], people=2, role=None, outcome="open", created_at=day(6, 20), closed_at=None)
    assert why(told, "full_path", "Europe/Berlin") == (
        "Opened by form Cost Control 3 Jun 2026; close pending. Full path v3, 1 person of the account."
    )


def test_a_model_without_positions_counts_the_touches() -> None:
    call = ("0", day(1, 5), "call", None, "sales")
    assert why(world([call, WEBINAR, DEMO]), "linear") == (
        "Opened by sales (call) 5 Jan 2026; 2 marketing touches; no marketing touch at close. "
        "Linear v3, 4 people by role."
    )


def test_an_offer_that_names_its_type_is_not_said_twice() -> None:
    assert Told("webinar", "Webinar  Cost Control", "marketing", date(2026, 6, 2)).label(60) == "Webinar  Cost Control"


told_touches = st.builds(
    Told,
    st.sampled_from(["webinar", "ad click"]),
    st.text(max_size=200),
    st.sampled_from(["marketing", "sales"]),
    st.dates(),
)


@given(
    st.builds(
        Facts,
        st.one_of(st.none(), told_touches),
        st.lists(told_touches, max_size=12),
        st.lists(st.sampled_from(["close", "creation", "x" * 90]), max_size=6),
        st.lists(st.sampled_from(["close", "y" * 300]), max_size=3),
        st.integers(0, 50),
        st.integers(0, 10_000),
        st.sampled_from(["roles", "account", "primary"]),
    ),
    st.text(max_size=300),
)
def test_the_sentence_always_fits_the_field(facts: Facts, model: str) -> None:
    assert len(sentence(facts, model, "3").encode("utf-16-le", "surrogatepass")) // 2 <= 255


def test_a_long_path_is_counted_where_it_does_not_fit() -> None:
    start = date(2026, 1, 1)
    many = [
        Told("webinar", f"Cost Control for manufacturers, part {n}", "marketing", start + timedelta(days=n))
        for n in range(9)
    ]
    text = sentence(Facts(many[0], many[1:], ["close"], [], 9, 4, "roles"), "Own", "3")
    assert text.startswith("Opened by webinar Cost Control for manufacturers, part 0 1 Jan 2026; webinar Cost Control")
    assert " more; no marketing touch at close. Own v3, 4 people by role." in text
