"""
What was learnt of channels, dated: which learning decides which deal and clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.attribution.worlds import START, World, deal_row, worlds
from worker.core.attribution import AttributionRules, Model, allot, allot_wide, build_paths, wide_schema
from worker.core.attribution.learnings import Learning, LearnRule, days_to_learn_from, in_force
from worker.core.errors import Fatal

RULE = LearnRule("markov", 12, "these rules")
ALL_IN_THE_MIDDLE = {"middle": Decimal(1)}


def at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, 12, tzinfo=UTC)


def learnt(number: int, learnt_at: datetime, **weights: int | Fraction) -> Learning:
    return Learning(number, learnt_at, {name: Fraction(weight) for name, weight in weights.items()}, RULE)


def rules_with(*learnings: Learning, **models: Model) -> AttributionRules:
    markov = Model("markov", ALL_IN_THE_MIDDLE, learn=RULE)
    rules = AttributionRules(version="3", models=[markov, *models.values()])
    return rules.taught({"markov": learnings})


def deal(number: int, created: datetime, closed: datetime | None = None) -> dict[str, object]:
    return deal_row(number, created, closed, amount_units=1_000, digits=2)


def world(*deals: dict[str, object]) -> World:
    """
    Every deal has one buyer, whom the web touched in January and an event a day later.
    """
    numbers = [row["opportunity_id"] for row in deals]
    return World(
        list(deals),
        [
            {"opportunity_id": n, "person_id": n, "role": "User", "is_primary": True, "lead_created_at": None}
            for n in numbers
        ],
        [
            {
                "touch_id": f"{channel.lower()} {number}",
                "person_id": number,
                "occurred_at": at(1, day),
                "type": "form",
                "team": "marketing",
                "channel": channel,
                "offer": None,
                "campaign": None,
            }
            for number in numbers
            for day, channel in enumerate(("Web", "Event"), start=10)
        ],
        [],
    )


def shares(told: World, rules: AttributionRules) -> dict[tuple[int, str], dict[str, str]]:
    deals, people, touches, _ = told.frames()
    paths = build_paths(deals, people, touches, rules, as_of=at(11, 18))
    found: dict[tuple[int, str], dict[str, str]] = {}
    for row in allot(deals, paths, rules).iter_rows(named=True):
        share = Fraction(row["share_num"], row["share_den"])
        found.setdefault((row["opportunity_id"], row["clock"]), {})[str(row["touch_id"]).split()[0]] = str(share)
    return found


MARCH, JUNE = learnt(1, at(3, 1), Web=1, Event=3), learnt(2, at(6, 1), Web=1, Event=1)


def test_a_deal_goes_by_what_had_been_learnt_at_its_clocks_instant() -> None:
    told = world(deal(1, at(4, 1), at(7, 1)), deal(2, at(7, 1)), deal(3, at(4, 1), at(5, 1)))
    assert shares(told, rules_with(MARCH, JUNE)) == {
        (1, "pipeline"): {"web": "1/4", "event": "3/4"},
        (1, "revenue"): {"web": "1/2", "event": "1/2"},
        (2, "pipeline"): {"web": "1/2", "event": "1/2"},
        (2, "revenue"): {"web": "1/2", "event": "1/2"},
        (3, "pipeline"): {"web": "1/4", "event": "3/4"},
        (3, "revenue"): {"web": "1/4", "event": "3/4"},
    }


def test_the_first_learning_counts_for_what_was_before_it_and_at_its_very_instant() -> None:
    told = world(deal(1, at(2, 1), at(2, 2)), deal(2, at(3, 1), at(6, 1)))
    found = shares(told, rules_with(MARCH, JUNE))
    assert found[1, "pipeline"] == found[1, "revenue"] == found[2, "pipeline"] == {"web": "1/4", "event": "3/4"}
    assert found[2, "revenue"] == {"web": "1/2", "event": "1/2"}


def test_a_new_learning_moves_nothing_that_was_settled_before_it() -> None:
    told = world(deal(1, at(4, 1), at(5, 1)), deal(2, at(4, 1)))
    before, after = shares(told, rules_with(MARCH)), shares(told, rules_with(MARCH, JUNE))
    assert [key for key in before if before[key] != after[key]] == [(2, "revenue")]


def test_every_item_knows_which_learning_decided_it() -> None:
    told = world(deal(1, at(4, 1), at(7, 1)))
    rules = rules_with(MARCH, JUNE, first=Model("first", {"FT": Decimal(1)}))
    deals, people, touches, _ = told.frames()
    wide = allot_wide(deals, build_paths(deals, people, touches, rules, as_of=at(11, 18)), rules)
    assert dict(wide.schema) == dict(wide_schema(rules))
    assert set(wide.select("clock", "learnt:markov").rows()) == {("pipeline", 1), ("revenue", 2)}
    assert "learnt:first" not in wide.columns


def test_a_model_of_which_nothing_was_learnt_is_left_out_and_cannot_be_applied() -> None:
    rules = AttributionRules(
        models=[Model("markov", ALL_IN_THE_MIDDLE, learn=RULE), Model("first", {"FT": Decimal(1)})]
    )
    assert [model.name for model in rules.taught({}).models] == ["first"]
    deals, people, touches, _ = world(deal(1, at(4, 1))).frames()
    # The paths are built for channels, as those of another model would have them.
    paths = build_paths(deals, people, touches, rules_with(MARCH), as_of=at(11, 18))
    with pytest.raises(Fatal, match="came without what was learnt"):
        allot(deals, paths, rules)


def test_positions_keep_their_weight_and_the_middle_goes_by_what_was_learnt() -> None:
    model = Model("markov", {"FT": Decimal(1), "middle": Decimal(1)}, learn=RULE)
    rules = AttributionRules(models=[model]).taught({"markov": [MARCH]})
    assert shares(world(deal(1, at(4, 1))), rules)[1, "pipeline"] == {"web": "1/2", "event": "1/2"}


@given(worlds(), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4))
def test_dated_weights_are_for_each_deal_what_its_own_weights_alone_would_be(
    told: World, dated: Sequence[tuple[int, int, int]]
) -> None:
    """
    And so exact: shares of a deal, clock and model are those of a plain model with the weights in force there.
    """
    days = sorted({day: weights for day, *weights in dated}.items())
    learnings = [
        learnt(number, START + timedelta(days=day), Webinar=weights[0], Event=weights[1])
        for number, (day, weights) in enumerate(days, start=1)
    ]
    deals, people, touches, _ = told.frames()
    rules = rules_with(*learnings)
    paths = build_paths(deals, people, touches, rules, as_of=told.as_of)
    found = allot(deals, paths, rules).drop("model")
    parts = [found.clear()]
    for row in paths.clocks.iter_rows(named=True):
        in_time = [each for each in learnings if each.learnt_at <= row["at"]]
        plain = Model("markov", ALL_IN_THE_MIDDLE, channel_weights=(in_time or learnings[:1])[-1].weights)
        alone = replace(rules, models=[plain])
        one = paths.only(row["clock"], [row["opportunity_id"]])
        parts.append(allot(deals, one, alone).drop("model"))
    assert found.equals(pl.concat(parts))
    sums = found.group_by("opportunity_id", "clock").agg(
        pl.col("amount_units").sum(),
        whole=(pl.col("share_num") == 0).any() | (pl.col("share_num").sum() == pl.col("share_den").first()),
    )
    assert sums["whole"].all()


def test_what_was_learnt_of_other_paths_counts_until_it_is_learnt_anew() -> None:
    old, new = LearnRule("markov", 12, "old"), LearnRule("markov", 12, "new")
    kept = [replace(MARCH, rule=old), replace(JUNE, rule=old)]
    assert in_force(kept, new) == kept
    august = replace(learnt(3, at(8, 1), Web=1), rule=new)
    assert in_force([*kept, august], new) == [august]
    assert in_force(kept, LearnRule("shapley", 12, "old")) == []
    assert in_force(kept, LearnRule("markov", 6, "old")) == []


@pytest.mark.parametrize(
    ("today", "months", "since"),
    [
        (date(2026, 11, 22), 12, date(2025, 11, 22)),
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2028, 2, 29), 12, date(2027, 2, 28)),
        (date(2026, 1, 15), 1, date(2025, 12, 15)),
        (date(2026, 12, 1), 60, date(2021, 12, 1)),
    ],
)
def test_learning_looks_back_from_yesterday_to_the_same_day_months_ago(today: date, months: int, since: date) -> None:
    assert days_to_learn_from(today, months) == (since, today)


def test_a_model_divides_its_middle_in_one_way() -> None:
    weights: Mapping[str, Fraction] = {"Web": Fraction(1)}
    with pytest.raises(Fatal, match="only one can divide"):
        Model("m", ALL_IN_THE_MIDDLE, channel_weights=weights, learn=RULE)
    with pytest.raises(Fatal, match="zero or more"):
        Model("m", ALL_IN_THE_MIDDLE, learn=RULE, learnings=[learnt(1, at(3, 1), Web=0)])
