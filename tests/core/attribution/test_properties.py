"""
What holds for every deal, and the frames against the plain reference.
"""

import random
from fractions import Fraction

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.attribution import reference
from tests.core.attribution.worlds import World, rule_sets, worlds
from worker.core.attribution import AttributionRules, PathSet, allot, allot_wide, build_paths
from worker.core.frames import CREDIT, PATH

THOROUGH = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
USUAL = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Credits = dict[tuple[int, str, str], dict[str, tuple[Fraction, int | None]]]


def attribute(world: World, rules: AttributionRules) -> tuple[PathSet, pl.DataFrame]:
    deals, people, touches, stages = world.frames()
    paths = build_paths(deals, people, touches, rules, as_of=world.as_of, stages=stages)
    return paths, allot(deals, paths, rules)


def by_deal(credit: pl.DataFrame) -> Credits:
    found: Credits = {}
    for row in credit.iter_rows(named=True):
        items = found.setdefault((row["opportunity_id"], row["clock"], row["model"]), {})
        item = row["touch_id"] if row["item"] == "touch" else row["item"]
        assert item not in items, "an item came in two rows"
        items[item] = (Fraction(row["share_num"], row["share_den"]), row["amount_units"])
    return found


@THOROUGH
@given(worlds(), rule_sets())
def test_the_frames_agree_with_the_reference(world: World, rules: AttributionRules) -> None:
    paths, credit = attribute(world, rules)
    expected: Credits = {}
    for deal in world.deals:
        story = reference.journey(deal, world.people, world.touches, world.stages, rules, world.as_of)
        for clock in ("pipeline", "revenue"):
            found = reference.holders(story, clock)
            path = paths.paths.filter(opportunity_id=deal["opportunity_id"], clock=clock)
            assert path["touch_id"].to_list() == [touch["touch_id"] for touch in story.path(clock)]
            assert path["positions"].to_list() == [
                [name for name in rules.position_names if found[name] == touch] for touch in path["touch_id"]
            ]
            for model in rules.models:
                expected[deal["opportunity_id"], clock, model.name] = reference.credits_of(story, clock, model)
    assert by_deal(credit) == expected


@USUAL
@given(worlds(), rule_sets())
def test_shares_add_up_to_one_and_money_to_the_amount(world: World, rules: AttributionRules) -> None:
    _, credit = attribute(world, rules)
    amounts = {deal["opportunity_id"]: deal["amount_units"] for deal in world.deals}
    found = by_deal(credit)
    assert len(found) == len(world.deals) * 2 * len(rules.models)
    for (deal, _, _), items in found.items():
        assert sum(share for share, _ in items.values()) == 1
        if amounts[deal] is None:
            assert all(units is None for _, units in items.values())
        else:
            assert sum(units for _, units in items.values() if units is not None) == amounts[deal]
            assert all(units is not None and units * amounts[deal] >= 0 for _, units in items.values())


@USUAL
@given(worlds(), rule_sets(), st.integers(0, 2**32))
def test_the_order_of_the_input_changes_nothing(world: World, rules: AttributionRules, seed: int) -> None:
    rng = random.Random(seed)
    shuffled = World(
        *(rng.sample(rows, len(rows)) for rows in (world.deals, world.people, world.touches, world.stages))
    )
    (paths, credit), (other_paths, other_credit) = attribute(world, rules), attribute(shuffled, rules)
    assert credit.equals(other_credit)
    assert paths.paths.equals(other_paths.paths)
    assert paths.clocks.equals(other_paths.clocks)
    assert paths.deals.equals(other_paths.deals)


@USUAL
@given(worlds(), rule_sets())
def test_the_wide_frame_holds_the_same_credits(world: World, rules: AttributionRules) -> None:
    deals, people, touches, stages = world.frames()
    paths = build_paths(deals, people, touches, rules, as_of=world.as_of, stages=stages)
    wide = allot_wide(deals, paths, rules)
    numbers = ("share_num", "share_den", "amount_units")
    unfolded = [
        wide.filter(pl.col(f"share_num:{model.name}").is_not_null()).select(
            "opportunity_id",
            "clock",
            "item",
            "touch_id",
            *(pl.col(f"{n}:{model.name}").alias(n) for n in numbers),
            model=pl.lit(model.name),
        )
        for model in rules.models
    ]
    columns = ["opportunity_id", "clock", "model", "item", "touch_id", *numbers]
    assert pl.concat(unfolded).select(columns).equals(allot(deals, paths, rules).select(columns))


@USUAL
@given(worlds(), rule_sets())
def test_the_frames_have_their_schemas(world: World, rules: AttributionRules) -> None:
    paths, credit = attribute(world, rules)
    assert credit.schema == pl.Schema(CREDIT)
    assert paths.paths.schema == pl.Schema(PATH)


@USUAL
@given(worlds(), st.data())
def test_a_touch_of_a_person_without_a_role_changes_nothing_on_a_deal_with_roles(
    world: World, data: st.DataObject
) -> None:
    rules = AttributionRules()
    with_roles = {person["opportunity_id"] for person in world.people if person["role"] is not None}
    people = {p["person_id"] for p in world.people if p["role"] is not None and p["opportunity_id"] in with_roles}
    silent = [touch for touch in world.touches if touch["person_id"] in people]
    _, before = attribute(world, rules)
    _, after = attribute(World(world.deals, world.people, silent, world.stages), rules)
    untouched = pl.col("opportunity_id").is_in(list(with_roles))
    assert before.filter(untouched).equals(after.filter(untouched))
