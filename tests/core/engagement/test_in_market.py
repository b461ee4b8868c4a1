"""
The chance to be in-market: what it looks at, that it knows nothing of the future, and what it says when it cannot tell.
"""

import json
import math
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.bench import in_market as bench
from tests.core.engagement.acts import ACME, NOW, RULES, account, accounts_frame, act, acts_frame
from worker.core.engagement.in_market import (
    PAST_ACCOUNT,
    PAST_ACT,
    PAST_DEAL,
    InMarket,
    TooShort,
    features,
    in_market_from,
    kinds_of,
    learn_in_market,
    reasons,
    snapshots,
)
from worker.core.engagement.logistic import auc, calibration_error
from worker.core.engagement.standing import Learnt, StandingRules, stand

KINDS = kinds_of(RULES)
FIRST = date(2026, 6, 1)


TODAY = bench.NOW.date()


@pytest.fixture(scope="module")
def market() -> bench.History:
    return bench.history((1, 2, 3))


@pytest.fixture(scope="module")
def model(market: bench.History) -> InMarket:
    found = learn_in_market(market.acts, market.accounts, market.deals, KINDS, today=TODAY)
    assert isinstance(found, InMarket)
    return found


def past(*acts: tuple[int | None, int, str]) -> pl.DataFrame:
    rows = [(ACME, person, FIRST - timedelta(days=ago), kind, "vp") for person, ago, kind in acts]
    return pl.DataFrame(rows, schema=PAST_ACT, orient="row")


def deal(created: date, closed: date | None, outcome: str) -> pl.DataFrame:
    return pl.DataFrame([(ACME, created, closed, outcome)], schema=PAST_DEAL, orient="row")


ONE = pl.DataFrame([(ACME, 500, date(2020, 1, 1))], schema=PAST_ACCOUNT, orient="row")


def test_what_came_on_the_day_or_after_it_is_not_looked_at() -> None:
    before = past((1, 1, "form"), (2, 90, "form"))
    later = past((1, 0, "demo_request"), (3, -5, "form"), (4, 91, "form"))
    deals = deal(FIRST, None, "open")
    found = features(pl.concat([before, later]), ONE, deals, KINDS, at=FIRST)
    assert found.equals(features(before, ONE, deals.clear(), KINDS, at=FIRST))
    assert not found["has_open"].item()


def test_whoever_has_an_open_opportunity_is_not_asked() -> None:
    months = [FIRST]
    assert snapshots(past(), ONE, deal(FIRST - timedelta(days=1), None, "open"), KINDS, months).is_empty()
    closed = deal(FIRST - timedelta(days=9), FIRST - timedelta(days=1), "lost")
    assert snapshots(past(), ONE, closed, KINDS, months)["opened"].to_list() == [False]


@pytest.mark.parametrize(("days", "opened"), [(0, True), (89, True), (90, False), (-1, False)])
def test_an_opening_counts_within_ninety_days_from_the_day_on(days: int, opened: bool) -> None:
    created = FIRST + timedelta(days=days)
    closed = created + timedelta(days=0) if days < 0 else None
    found = snapshots(past(), ONE, deal(created, closed, "open" if days >= 0 else "lost"), KINDS, [FIRST])
    assert found["opened"].to_list() in ([opened], [])


def test_only_accounts_that_were_there_are_asked() -> None:
    young = ONE.with_columns(created_on=pl.lit(FIRST))
    assert snapshots(past(), young, pl.DataFrame(schema=PAST_DEAL), KINDS, [FIRST]).is_empty()


def test_what_it_learnt_holds_on_months_and_companies_it_never_saw(market: bench.History) -> None:
    _, rows = bench.measured(market, bench.history((4, 5, 6)))
    said, truth, count = (auc(rows[name], rows["opened"]) for name in ("said", "truth", "acts_30"))
    assert said >= 0.93 * truth
    assert said > count + 0.03
    assert calibration_error(rows["said"], rows["opened"]) <= 0.05


def test_no_month_is_learnt_from_whose_ninety_days_reach_into_the_held_out(model: InMarket) -> None:
    assert model.held_out_from == date(2026, 7, 1)
    assert model.learnt_from == date(2025, 9, 1)


def test_what_led_to_the_last_opportunity_and_what_students_do_is_no_sign_of_the_next() -> None:
    before, after = past((1, 40, "form"), (2, 31, "demo_request")), past((1, 20, "form"))
    student = past((3, 5, "content")).with_columns(level=pl.lit("student"))
    lost = deal(FIRST - timedelta(days=60), FIRST - timedelta(days=30), "lost")
    found, alone = (features(acts, ONE, lost, KINDS, at=FIRST) for acts in (pl.concat([before, after, student]), after))
    assert_frame_equal(found.drop("acts_30"), alone.drop("acts_30"))
    assert (found["acts_30"].item(), alone["acts_30"].item()) == (2, 1)


def test_an_account_of_unknown_size_is_not_taken_for_a_small_one() -> None:
    accounts = pl.DataFrame(
        [(place, size, date(2020, 1, 1)) for place, size in enumerate((None, 49, 50, 249, 250, 999, 1_000))],
        schema=PAST_ACCOUNT,
        orient="row",
    )
    found = features(past(), accounts, pl.DataFrame(schema=PAST_DEAL), KINDS, at=FIRST)
    sizes = found.select("size_unknown", "below_50", "below_250", "from_1000").rows()
    assert [row.index(1.0) if 1.0 in row else None for row in sizes] == [0, 1, 2, 2, None, None, 3]
    assert all(sum(row) <= 1 for row in sizes)


def test_it_comes_back_from_json_as_it_went(model: InMarket) -> None:
    assert in_market_from(model.as_json()) == model


def test_one_learnt_from_other_features_is_none_any_more(model: InMarket) -> None:
    assert in_market_from(model.as_json().replace('"keen_14"', '"recency"')) is None


def test_its_reasons_are_what_moves_the_odds(market: bench.History, model: InMarket) -> None:
    rows = snapshots(market.acts, market.accounts, market.deals, KINDS, [TODAY.replace(day=1)])
    row = rows.row(0, named=True)
    every = reasons(model, row, most=99)
    odds = model.model.intercept * model.slope + model.shift
    logs = sum(math.log(times) for _, times in every)
    chance = rows.head(1).select(p=model.chance())["p"].item()
    assert 1 / (1 + math.exp(-(odds + logs))) == pytest.approx(chance)
    assert [abs(math.log(times)) for _, times in every] == sorted(
        (abs(math.log(times)) for _, times in every), reverse=True
    )


def test_a_short_history_says_how_much_is_missing(market: bench.History) -> None:
    early = date(2026, 1, 10)
    found = learn_in_market(*market.known_on(early), KINDS, today=early)
    assert isinstance(found, TooShort)
    assert found.why.startswith("In-market was not learnt: 2 monthly looks")
    assert "6 are needed" in found.why
    assert isinstance(learn_in_market(past(), ONE, deal(FIRST, None, "open"), KINDS, today=FIRST), TooShort)


def test_a_stray_act_of_long_ago_does_not_begin_the_history(market: bench.History, model: InMarket) -> None:
    acts, accounts, deals, _ = market
    stray = acts.head(1).with_columns(occurred_on=pl.lit(date(2015, 1, 1)))
    found = learn_in_market(pl.concat([stray, acts]), accounts, deals, KINDS, today=TODAY)
    assert isinstance(found, InMarket)
    assert found.learnt_from == model.learnt_from


def test_few_openings_say_how_many_are_missing(market: bench.History) -> None:
    found = learn_in_market(market.acts, market.accounts, market.deals.head(5), KINDS, today=TODAY)
    assert isinstance(found, TooShort)
    assert "50 and 20 are needed" in found.why


def test_the_standing_shows_the_chance_with_its_reasons(model: InMarket) -> None:
    busy = acts_frame(*[act(kind, who) for who in (1, 2, 3) for kind in ("demo_request", "webinar_attended", "form")])
    none = pl.DataFrame(schema=PAST_DEAL)
    rules = (RULES, StandingRules())
    learnt = Learnt(in_market=model, told={"in_market": "learnt"})

    def told(acts: pl.DataFrame, deals: pl.DataFrame, **values: Any) -> dict[str, Any]:
        frame = accounts_frame(account(**values))
        return stand(frame, acts, deals, rules, learnt, now=NOW).standings.row(0, named=True)

    keen, quiet = told(busy, none), told(acts_frame(), none)
    assert keen["in_market"] > 2 * quiet["in_market"]
    assert len(json.loads(str(keen["detail"]))["in_market_why"]) == 4
    assert told(busy, deal(FIRST, None, "open"))["in_market"] is None
    assert told(busy, none, type="Competitor")["in_market"] is None
