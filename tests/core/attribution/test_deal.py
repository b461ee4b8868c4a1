"""
One deal told as objects: the same engine, the deal as it stood, and positions that the touches carry.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.attribution import reference
from tests.core.attribution.worlds import MIDDLES, WEIGHTS
from worker.core.attribution import DEFAULT_MODELS, AttributionRules, Model, Position, credit_deal
from worker.core.attribution.deal import Deal, Divided, Part, Person, Touch
from worker.core.errors import Fatal

CREATED = datetime(2026, 4, 11, 9, 30, tzinfo=UTC)
AS_OF = CREATED + timedelta(days=120)
DEAL = Deal(100_000, 2, "EUR", CREATED, CREATED + timedelta(days=60), "won")
BUYER = Person("buyer", "Decision Maker", CREATED - timedelta(days=100))
POSITIONS = (
    Position("demo", "first_touch_of_type", "demo"),
    Position("met", "first_touch_of_type", "met"),
    Position("nego", "stage", "Negotiation"),
)

USUAL = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def touch(name: str, days: float, *positions: str, who: str = "buyer", channel: str = "Web") -> Touch:
    """
    ``days`` counted from the deal's creation; without positions it does not say.
    """
    return Touch(name, who, CREATED + timedelta(days=days), "form", channel, positions or None)


def credited(
    touches: Sequence[Touch], model: Model | None = None, deal: Deal = DEAL, people: Sequence[Person] = (BUYER,)
) -> dict[str, Divided]:
    rules = AttributionRules(positions=POSITIONS, models=[model] if model else DEFAULT_MODELS)
    return credit_deal(deal, people, touches, rules, as_of=AS_OF)[model.name if model else "w"]


def shares(divided: Divided) -> dict[str, str]:
    parts = {**divided.credits, "pending": divided.pending, "unassigned": divided.unassigned}
    return {name: str(part.share) for name, part in parts.items() if part.share}


def test_a_position_on_two_touches_is_halved() -> None:
    touches = [touch("a", -30, "FT"), touch("b", -20, "FT", "LC"), touch("c", -10, "OC"), touch("d", -5)]
    assert shares(credited(touches)["revenue"]) == {"a": "3/20", "b": "9/20", "c": "3/10", "d": "1/10"}


def test_a_position_shared_with_a_touch_after_creation_is_whole_on_the_pipeline_clock() -> None:
    touches = [touch("a", -30, "FT", "LC"), touch("b", 5, "LC"), touch("c", -10, "OC")]
    divided = credited(touches)
    assert shares(divided["pipeline"]) == {"a": "2/3", "c": "1/3"}
    assert shares(divided["revenue"]) == {"a": "1/2", "b": "1/6", "c": "1/3"}


def test_an_empty_list_of_positions_says_none_and_so_nothing_is_derived() -> None:
    told = replace(touch("a", -30), positions=())
    assert shares(credited([told, touch("b", -5)], deal=replace(DEAL, outcome="open"))["revenue"]) == {
        "a": "1/20",
        "b": "1/20",
        "pending": "9/10",
    }


def test_the_close_that_a_touch_carries_counts_on_the_revenue_clock_alone() -> None:
    full = AttributionRules().model("full_path")
    touches = [touch("a", -30, "FT", "LC"), touch("b", -10, "OC", "CW"), touch("c", -20)]
    divided = credited(touches, full)
    assert shares(divided["pipeline"]) == {"a": "18/31", "b": "9/31", "c": "4/31"}
    assert shares(divided["revenue"]) == {"a": "9/20", "b": "9/20", "c": "1/10"}
    assert divided["pipeline"].positions["b"] == ["OC"]


def test_a_person_without_a_role_neither_carries_nor_ends_the_deriving() -> None:
    stranger = Person("stranger")
    derived = credited([touch("a", -30), touch("b", -5)])
    with_stranger = [touch("a", -30), touch("b", -5), touch("x", -50, "FT", "LC", "OC", who="stranger")]
    assert credited(with_stranger, people=[BUYER, stranger]) == derived


def test_what_is_dated_later_has_not_happened_yet() -> None:
    people = [BUYER, Person("late", "User", CREATED - timedelta(days=200))]
    touches = [touch("a", -30), touch("b", 20), touch("c", 40, who="late")]
    before = credit_deal(DEAL, people, touches, AttributionRules(), as_of=CREATED + timedelta(days=20))
    opened = replace(DEAL, outcome="open", closed_at=None)
    then = credit_deal(opened, people, touches[:2], AttributionRules(), as_of=CREATED + timedelta(days=20))
    assert before == then
    # The close's own instant is in, as every end is.
    closed = credit_deal(DEAL, people, touches, AttributionRules(), as_of=CREATED + timedelta(days=60))
    assert closed == credit_deal(DEAL, people, touches, AttributionRules(), as_of=AS_OF)


def test_a_lead_that_was_created_later_is_not_there_yet() -> None:
    late_lead = replace(BUYER, lead_created_at=CREATED + timedelta(days=30))
    rules, opened = AttributionRules(), replace(DEAL, outcome="open", closed_at=None)
    then = credit_deal(opened, [late_lead], [touch("a", -5)], rules, as_of=CREATED + timedelta(days=29))
    assert shares(then["w"]["revenue"]) == {"a": "3/5", "pending": "2/5"}
    later = credit_deal(opened, [late_lead], [touch("a", -5)], rules, as_of=CREATED + timedelta(days=30))
    assert shares(later["w"]["revenue"]) == {"a": "1"}
    assert shares(later["w"]["pipeline"]) == {"a": "3/5", "pending": "2/5"}


def test_a_deal_that_was_created_later_has_nothing_to_divide() -> None:
    with pytest.raises(Fatal, match="nothing to divide yet") as caught:
        credit_deal(DEAL, [BUYER], [], AttributionRules(), as_of=CREATED - timedelta(seconds=1))
    assert caught.value.code == "HW-131"


def test_a_milestone_that_is_dated_later_is_not_reached_whatever_a_touch_carries() -> None:
    people = [replace(BUYER, lead_created_at=CREATED + timedelta(days=20))]
    deal = replace(DEAL, stages=[("Negotiation", CREATED + timedelta(days=30))])
    touches = [touch("a", -30, "FT"), touch("b", -20, "LC"), touch("c", -10, "OC"), touch("d", -5, "nego", "CW")]
    own = Model("own", {name: Decimal(1) for name in ("FT", "LC", "OC", "CW", "nego")})
    rules = AttributionRules(positions=POSITIONS, models=[own])

    def at(day: float) -> dict[str, str]:
        return shares(credit_deal(deal, people, touches, rules, as_of=CREATED + timedelta(days=day))["own"]["revenue"])

    assert at(10) == {"a": "1/5", "c": "1/5", "pending": "3/5"}
    assert at(20) == {"a": "1/5", "b": "1/5", "c": "1/5", "pending": "2/5"}
    assert at(30) == {"a": "1/5", "b": "1/5", "c": "1/5", "d": "1/5", "pending": "1/5"}
    assert at(60) == {"a": "1/5", "b": "1/5", "c": "1/5", "d": "2/5"}


def test_two_hundred_touches_may_carry_one_position() -> None:
    touches = [touch(f"t{number:03}", -number / 10, "FT") for number in range(200)]
    divided = credited(touches, Model("first", {"FT": Decimal(1)}))["revenue"]
    assert {part.share for part in divided.credits.values()} == {Fraction(1, 200)}
    assert len(divided.credits) == 200


def test_many_holders_of_fine_weights_stay_exact_where_a_milestone_never_happened() -> None:
    """
    The multiples of the holders' numbers and of the weights, scaled for the one that is missing, need more than 64
    bits.
    """
    holders = {"FT": 7, "LC": 11, "OC": 13, "CW": 17}
    touches = [touch("middle", -50)]
    touches += [touch(f"{name} {n:02}", -40 + n, name) for name, count in holders.items() for n in range(count)]
    weights = {"FT": "34.0", "LC": "39.14413", "OC": "16.00841", "CW": "8.02", "LT": "27.41", "middle": "14.32"}
    model = Model("fine", {name: Decimal(weight) for name, weight in weights.items()})
    revenue = credited(touches, model)["revenue"]
    exact = {name: Fraction(weight) for name, weight in weights.items()}
    never, whole = exact.pop("LT"), sum(map(Fraction, weights.values()))
    grown = 1 + never / (sum(exact.values()) - exact["middle"])
    for name, count in holders.items():
        assert revenue.credits[f"{name} 00"].share == exact[name] * grown / whole / count
    assert revenue.credits["middle"].share == exact["middle"] / whole
    assert sum(part.share for part in revenue.credits.values()) == 1
    assert sum(part.units or 0 for part in revenue.credits.values()) == DEAL.units


def test_a_learnt_models_weight_divides_among_the_paths_own_touches_of_a_channel() -> None:
    learnt = Model("markov", {"middle": Decimal(1)}, channel_weights={"Web": Fraction(1, 3), "Event": Fraction(2, 3)})
    touches = [touch("a", -3), touch("b", -2), touch("c", -1, channel="Event"), touch("d", -1, channel="Unseen")]
    assert shares(credited(touches, learnt)["revenue"]) == {"a": "1/6", "b": "1/6", "c": "2/3"}
    assert shares(credited(touches[:2], learnt)["revenue"]) == {"a": "1/2", "b": "1/2"}
    assert shares(credited(touches[3:], learnt)["revenue"]) == {"d": "1"}


NAMES = ("FT", "LC", "OC", "CW", "LT", "demo", "met", "nego")
instants = st.integers(-40, 40).map(lambda day: CREATED + timedelta(days=day))


@st.composite
def stories(draw: st.DrawFn) -> dict[str, Any]:
    outcome = draw(st.sampled_from(["open", "won", "lost"]))
    closed_at = None if outcome == "open" else CREATED + timedelta(days=draw(st.integers(-1, 40)))
    amount = draw(st.one_of(st.none(), st.integers(-50, 50), st.integers(-(10**9), 10**12)))
    digits = draw(st.sampled_from([0, 2, 3]))
    deal = Deal(amount, digits, {0: "JPY", 2: "EUR", 3: "KWD"}[digits], CREATED, closed_at, outcome)
    people = [
        Person(name, draw(st.sampled_from([None, None, "User"])), draw(st.one_of(st.none(), instants)))
        for name in draw(st.lists(st.sampled_from(["p", "q", "r"]), min_size=1, unique=True))
    ]
    says = draw(st.booleans())
    positions = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)
    touches = [
        Touch(
            name,
            draw(st.sampled_from(people)).id,
            draw(instants),
            draw(st.sampled_from(["form", "demo"])),
            draw(st.sampled_from(["Web", "Webinar", "Event"])),
            draw(st.one_of(st.none(), positions)) if says else None,
        )
        for name in draw(st.lists(st.sampled_from("abcdefghij"), max_size=8, unique=True))
    ]
    own = [Model(f"own{number}", draw(WEIGHTS), *draw(MIDDLES)) for number in range(2)]
    rules = AttributionRules(
        positions=POSITIONS,
        models=[model for model in DEFAULT_MODELS if model.name in ("w", "full_path")] + own,
        no_touch=draw(st.sampled_from(["unassigned", "spread"])),
        account_people_days=draw(st.sampled_from([90, 5])),
    )
    return {"deal": deal, "people": people, "touches": touches, "rules": rules}


def told(story: dict[str, Any]) -> dict[str, dict[str, Divided]]:
    return credit_deal(story["deal"], story["people"], story["touches"], story["rules"], as_of=AS_OF)


@USUAL
@given(stories())
def test_a_deal_agrees_with_the_reference_derived_or_carried(story: dict[str, Any]) -> None:
    deal, rules, people = story["deal"], story["rules"], {each.id: each for each in story["people"]}
    order = sorted(people)
    row = {"opportunity_id": 1, "created_at": CREATED, "closed_at": deal.closed_at, "outcome": deal.outcome}
    person_rows = [
        {
            "opportunity_id": 1,
            "person_id": order.index(each.id),
            "role": each.role,
            "lead_created_at": each.lead_created_at,
        }
        for each in people.values()
    ]
    touch_rows = [
        {
            "touch_id": each.id,
            "person_id": order.index(each.person),
            "occurred_at": each.at,
            "type": each.type,
            "team": "marketing",
            "channel": each.channel,
            "positions": each.positions,
        }
        for each in story["touches"]
    ]
    rules = replace(rules, eligible_types=["form", "demo"])
    journey = reference.journey(row | {"amount_units": deal.units}, person_rows, touch_rows, [], rules, AS_OF)
    by_role = {each.id for each in people.values() if each.role is not None}
    says = any(t.positions is not None and (not by_role or t.person in by_role) for t in story["touches"])
    answer = told(story)
    for model in rules.models:
        for clock in ("pipeline", "revenue"):
            found = None
            if says:
                found = reference.carried(journey.path(clock), clock, rules.position_names)
                if found["nego"] == reference.UNREACHED and clock == "pipeline":
                    found["nego"] = reference.LATER
            expected = reference.allotted(journey, clock, reference.shares(journey, clock, model, found))
            divided = answer[model.name][clock]
            parts = {**divided.credits, "pending": divided.pending, "unassigned": divided.unassigned}
            assert {name: (part.share, part.units) for name, part in parts.items() if part.share} == expected


@USUAL
@given(stories())
def test_everything_given_adds_up_to_the_amount_and_the_shares_to_one(story: dict[str, Any]) -> None:
    for clocks in told(story).values():
        for divided in clocks.values():
            parts = [*divided.credits.values(), divided.pending, divided.unassigned]
            assert sum(part.share for part in parts) == 1
            if story["deal"].units is None:
                assert {part.units for part in parts} == {None}
            else:
                assert sum(part.units for part in parts if part.units is not None) == story["deal"].units


@USUAL
@given(stories(), st.integers(0, 2**32))
def test_the_order_in_which_a_deal_is_told_changes_nothing(story: dict[str, Any], seed: int) -> None:
    rng = random.Random(seed)
    shuffled = story | {name: rng.sample(story[name], len(story[name])) for name in ("people", "touches")}
    assert told(shuffled) == told(story)


@USUAL
@given(stories(), st.lists(instants, min_size=1, max_size=4), st.booleans())
def test_on_a_deal_with_roles_a_person_without_one_changes_nothing(
    story: dict[str, Any], days: list[datetime], carries: bool
) -> None:
    people = [
        *story["people"],
        Person("buyer", "User", None),
        Person("0 stranger", None, CREATED - timedelta(days=900)),
    ]
    strange = [
        Touch(f"x{number}", "0 stranger", at, "form", "Web", ("FT", "LC", "OC") if carries else None)
        for number, at in enumerate(days)
    ]
    before = told(story | {"people": people})
    assert told(story | {"people": people, "touches": [*story["touches"], *strange]}) == before


@USUAL
@given(stories(), st.lists(st.integers(1, 90), min_size=1, max_size=4))
def test_no_touch_after_creation_moves_a_pipeline_share(story: dict[str, Any], days: list[int]) -> None:
    # What people without a role carry says nothing of a deal with roles.
    standing = {each.id for each in story["people"] if each.role is not None} or {each.id for each in story["people"]}
    said = any(each.positions is not None and each.person in standing for each in story["touches"])
    late = [
        Touch(f"y{number}", story["people"][0].id, CREATED + timedelta(days=day), "form", "Web", () if said else None)
        for number, day in enumerate(days)
    ]
    before, after = told(story), told(story | {"touches": [*story["touches"], *late]})
    for model, clocks in before.items():
        assert after[model]["pipeline"] == clocks["pipeline"]


@USUAL
@given(stories(), st.sampled_from(["open", "won", "lost"]), st.integers(0, 50))
def test_neither_the_outcome_nor_the_day_of_the_close_moves_a_touchs_pipeline_share(
    story: dict[str, Any], outcome: str, days: int
) -> None:
    closed_at = None if outcome == "open" else CREATED + timedelta(days=days)
    moved = told(story | {"deal": replace(story["deal"], outcome=outcome, closed_at=closed_at)})
    for model, clocks in told(story).items():
        before, after = (each["pipeline"].credits for each in (clocks, moved[model]))
        assert {name: part.share for name, part in after.items()} == {name: part.share for name, part in before.items()}
        # What was pending becomes unassigned at the close, and the two then compete for the left-over units as one.
        assert all(abs((after[name].units or 0) - (before[name].units or 0)) <= 1 for name in before)


def test_where_pending_becomes_unassigned_a_left_over_unit_may_move_and_no_share() -> None:
    """
    LC is reached without a touch and the demo is not: thirds of one cent are two items of a third, then one of two.
    """
    thirds = Model("thirds", {"FT": Decimal(1), "LC": Decimal(1), "demo": Decimal(1)})
    cent = replace(DEAL, units=1, outcome="open", closed_at=None)
    lost = replace(cent, outcome="lost", closed_at=CREATED + timedelta(days=60))
    opened, closed = (credited([touch("a", -1)], thirds, deal=deal)["pipeline"] for deal in (cent, lost))
    third, two_thirds = Fraction(1, 3), Fraction(2, 3)
    assert (opened.credits["a"], opened.pending, opened.unassigned) == (Part(third, 1), Part(third, 0), Part(third, 0))
    assert (closed.credits["a"], closed.pending, closed.unassigned) == (
        Part(third, 0),
        Part(Fraction(0), 0),
        Part(two_thirds, 1),
    )


@USUAL
@given(stories(), st.integers(0, 39), st.integers(1, 90), st.sampled_from(["won", "lost"]))
def test_what_a_deal_came_to_later_is_not_seen_before(
    story: dict[str, Any], day: int, later: int, outcome: str
) -> None:
    as_of = CREATED + timedelta(days=day)
    deals = [
        replace(story["deal"], outcome="won", closed_at=as_of + timedelta(seconds=1)),
        replace(story["deal"], outcome=outcome, closed_at=as_of + timedelta(days=later)),
    ]
    people = [
        replace(each, lead_created_at=each.lead_created_at + timedelta(days=later))
        if each.lead_created_at is not None and each.lead_created_at > as_of
        else each
        for each in story["people"]
    ]
    before = credit_deal(deals[0], story["people"], story["touches"], story["rules"], as_of=as_of)
    assert credit_deal(deals[1], people, story["touches"], story["rules"], as_of=as_of) == before
