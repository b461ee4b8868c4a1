"""
Whose touches make a path, and what a deal's summary says, where the worked cases do not reach.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.core.attribution.worlds import World, deal_row, touch_row
from worker.core.attribution import (
    AttributionRules,
    Model,
    PathSet,
    Position,
    allot,
    allot_wide,
    build_paths,
    wide_schema,
)
from worker.core.errors import Fatal

CREATED = datetime(2026, 4, 11, 9, 30, tzinfo=UTC)
CLOSED = CREATED + timedelta(days=60)
AS_OF = CREATED + timedelta(days=120)


def deal(number: int = 1, **changes: Any) -> dict[str, Any]:
    return deal_row(number, CREATED, CLOSED, amount_units=100_000, digits=2) | changes


def person(
    number: int, role: str | None = "Decision Maker", *, deal: int = 1, primary: bool = False, lead: Any = None
) -> dict[str, Any]:
    return {
        "opportunity_id": deal,
        "person_id": number,
        "role": role,
        "is_primary": primary,
        "lead_created_at": lead or CREATED - timedelta(days=100),
    }


def touch(name: str, days: float, who: int = 1, kind: str = "form") -> dict[str, Any]:
    """
    ``days`` counted from the deal's creation.
    """
    return touch_row(name, who, CREATED + timedelta(days=days), kind)


def build(
    deals: list[dict[str, Any]],
    people: list[dict[str, Any]],
    touches: list[dict[str, Any]],
    rules: AttributionRules | None = None,
) -> PathSet:
    frames = World(deals, people, touches, []).frames()
    return build_paths(*frames[:3], rules or AttributionRules(), as_of=AS_OF, stages=frames[3])


def on_path(paths: PathSet, clock: str = "revenue") -> list[str]:
    return paths.paths.filter(clock=clock)["touch_id"].to_list()


def test_both_ends_of_the_lookback_count() -> None:
    touches = [
        touch("first moment", -540),
        touch("too old", -540 - 1e-6),
        touch("at creation", 0),
        touch("at close", 60),
    ]
    late = touch_row("after close", 1, CLOSED + timedelta(microseconds=1), "form")
    paths = build([deal()], [person(1)], [*touches, late])
    assert on_path(paths, "pipeline") == ["first moment", "at creation"]
    assert on_path(paths) == ["first moment", "at creation", "at close"]


def test_a_late_touch_moves_no_pipeline_share() -> None:
    early = [touch("guide", -40), touch("demo", -3, kind="demo_request")]
    rules = AttributionRules()
    frames = World([deal()], [person(1)], early, []).frames()
    before = allot(frames[0], build([deal()], [person(1)], early), rules).filter(clock="pipeline")
    after = allot(frames[0], build([deal()], [person(1)], [*early, touch("event", 20)]), rules).filter(clock="pipeline")
    assert before.equals(after)


def test_the_outcome_moves_no_pipeline_share_of_a_touch() -> None:
    touches, rules = [touch("guide", -40), touch("demo", -3)], AttributionRules()
    unknown_lead = [person(1) | {"lead_created_at": None}]
    earned = []
    for outcome in ("open", "won", "lost"):
        frames = World([deal(outcome=outcome)], unknown_lead, touches, []).frames()
        credit = allot(frames[0], build([deal(outcome=outcome)], unknown_lead, touches), rules)
        earned.append(credit.filter(clock="pipeline", item="touch"))
    assert earned[0].height
    assert earned[0].equals(earned[1])
    assert earned[0].equals(earned[2])


def test_a_reopened_deal_is_open_again_whatever_its_close_says() -> None:
    paths = build([deal(outcome="open")], [person(1)], [touch("after the old close", 90)])
    assert on_path(paths) == ["after the old close"]


def test_one_person_with_two_roles_counts_once() -> None:
    people = [person(1, "Decision Maker"), person(1, "Economic Buyer"), person(2, "")]
    paths = build([deal()], people, [touch("guide", -5), touch("form", -4, who=2)])
    assert on_path(paths) == ["guide", "form"]
    assert paths.deals["people_count"].item() == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("roles_else_account", ["by role", "by primary"]),
        ("roles", ["by role", "by primary"]),
        ("primary", ["by primary"]),
        ("account", ["by role", "by account", "by primary"]),
    ],
)
def test_the_rules_choose_whose_touches(path: Any, expected: list[str]) -> None:
    people = [person(1), person(2, None), person(3, primary=True)]
    touches = [touch("by role", -30), touch("by account", -20, who=2), touch("by primary", -10, who=3)]
    assert on_path(build([deal()], people, touches, AttributionRules(path=path))) == expected


def test_one_person_may_stand_on_several_deals() -> None:
    paths = build([deal(1), deal(2)], [person(1), person(1, deal=2)], [touch("guide", -5)])
    assert paths.paths.filter(clock="revenue")["opportunity_id"].to_list() == [1, 2]


def test_a_sales_call_before_marketing_makes_sales_the_source() -> None:
    paths = build(
        [deal()], [person(1)], [touch("call", -50, kind="meeting"), touch("webinar", -40, kind="webinar_attended")]
    )
    assert paths.deals.select("source_team", "source_touch_id").row(0) == ("sales", "call")
    assert on_path(paths) == ["webinar"]


def test_a_deal_whose_touches_all_lie_after_the_close_says_so() -> None:
    paths = build([deal()], [person(1)], [touch("customer webinar", 61)])
    row = paths.deals.row(0, named=True)
    assert (row["first_touch"], row["assisted"], row["source_team"]) == ("after_close", False, "none")
    assert on_path(paths) == []


def test_influence_looks_back_from_creation_and_from_a_close_but_not_from_today() -> None:
    old_form, late_form = touch("old form", -91), touch("late form", 50)
    for outcome, touches, influenced in (
        ("won", [touch("form", -90)], True),
        ("won", [old_form], False),
        ("won", [old_form, late_form], True),
        ("open", [old_form, late_form], False),
        ("won", [touch("ad", -5, kind="ad_click")], False),
    ):
        assert build([deal(outcome=outcome)], [person(1)], touches).deals["influenced"].item() is influenced


def test_input_that_contradicts_itself_stops_the_run() -> None:
    rules = AttributionRules(positions=[Position("nego", "stage", "Negotiation")])
    deals, people, touches, _ = World([deal()], [person(1)], [touch("guide", -5)], []).frames()
    with pytest.raises(Fatal, match="1 deals came in twice"):
        build([deal(), deal()], [], [])
    with pytest.raises(Fatal, match="1 touches came in twice"):
        build([deal()], [person(1)], [touch("guide", -5), touch("guide", -5)])
    with pytest.raises(Fatal, match="unknown outcome: maybe"):
        build([deal(outcome="maybe")], [], [])
    with pytest.raises(Fatal, match="without the instant of their creation"):
        build([deal(created_at=None)], [], [])
    with pytest.raises(Fatal, match="without a time zone"):
        build_paths(deals, people, touches, AttributionRules(), as_of=AS_OF.replace(tzinfo=None))
    with pytest.raises(Fatal, match="nego needs the deals' stages"):
        build_paths(deals, people, touches, rules, as_of=AS_OF)
    with pytest.raises(Fatal, match="the paths of 1 deals came without"):
        allot(deals.clear(), build([deal()], [], []), AttributionRules())


def test_a_path_too_long_for_exactness_stops_instead_of_rounding() -> None:
    fine = Model("fine", {"FT": "899998", "LC": "100000", "CW": "1", "middle": "1"}, half_life_days=30)  # type: ignore[dict-item]
    rules = AttributionRules(models=[fine], no_touch="spread")
    touches = [touch_row(f"t{n}", 1, CREATED - timedelta(minutes=n), "form") for n in range(40_000)]
    paths = build(
        [deal(outcome="open")], [person(1) | {"lead_created_at": CREATED - timedelta(days=300)}], touches, rules
    )
    with pytest.raises(Fatal, match="cannot divide a path of 40000 touches exactly") as caught:
        allot(World([deal(outcome="open")], [], [], []).frames()[0], paths, rules)
    assert caught.value.code == "HW-903"


def test_touches_whose_weights_have_all_faded_keep_their_proportion() -> None:
    rules = AttributionRules(models=[Model("daily", {"middle": Decimal(7), "CW": Decimal(1)}, half_life_days=1)])
    touches = [touch("a", -102), touch("b", -101), touch("c", -100)]
    deals, members = [deal(), deal() | {"opportunity_id": 2}], [person(1), person(1) | {"opportunity_id": 2}]
    credit = allot(World(deals, [], [], []).frames()[0], build(deals, members, touches, rules), rules)
    # A day is one half-life: 1, 2 and 4 of 7, from wherever one counts.
    of_each = credit.filter(clock="pipeline").group_by("opportunity_id", maintain_order=True).agg("amount_units")
    assert of_each["amount_units"].to_list() == [[14_286, 28_571, 57_143]] * 2


def test_no_deals_give_empty_frames_with_their_columns() -> None:
    rules = AttributionRules()
    deals = World([], [], [], []).frames()[0]
    paths = build([], [], [])
    assert allot(deals, paths, rules).height == 0
    assert allot_wide(deals, paths, rules).schema == pl.Schema(wide_schema(rules))
