"""
The chance to be in-market: what it looks at, that it knows nothing of the future, and what it says when it cannot tell.
"""

import json
import math
from datetime import date, timedelta

import polars as pl
import pytest

from tests.bench.in_market import LEARNT_ON, START, Market, draw, known_on
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
    months_between,
    reasons,
    snapshots,
)
from worker.core.engagement.logistic import auc, calibration_error
from worker.core.engagement.standing import Learnt, StandingRules, stand

KINDS = kinds_of(RULES)
FIRST = date(2026, 6, 1)


@pytest.fixture(scope="module")
def market() -> Market:
    return draw(seed=5, firms=900)


@pytest.fixture(scope="module")
def model(market: Market) -> InMarket:
    found = learn_in_market(*known_on(market, LEARNT_ON), KINDS, today=LEARNT_ON)
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


def test_what_it_learnt_holds_on_months_it_never_saw(market: Market, model: InMarket) -> None:
    unseen = months_between(LEARNT_ON, LEARNT_ON + timedelta(days=190))
    rows = snapshots(market.acts, market.accounts, market.deals, KINDS, unseen)
    said = rows.select(p=model.chance())["p"]
    truth = pl.Series([market.hazard(firm, (day - START).days) for firm, day in rows["account_id", "day"].iter_rows()])
    assert auc(said, rows["opened"]) >= 0.9 * auc(truth, rows["opened"])
    assert auc(said, rows["opened"]) > auc(rows["acts_30"], rows["opened"])
    assert calibration_error(said, rows["opened"]) <= 0.05


def test_no_month_is_learnt_from_whose_ninety_days_reach_into_the_held_out(model: InMarket) -> None:
    assert model.held_out_from == date(2025, 4, 1)
    assert model.learnt_from == date(2024, 5, 1)


def test_it_comes_back_from_json_as_it_went(model: InMarket) -> None:
    assert in_market_from(model.as_json()) == model


def test_its_reasons_are_what_moves_the_odds(market: Market, model: InMarket) -> None:
    rows = snapshots(market.acts, market.accounts, market.deals, KINDS, [LEARNT_ON.replace(day=1)])
    row = rows.row(0, named=True)
    every = reasons(model, row, most=99)
    odds = model.model.intercept * model.slope + model.shift
    logs = sum(math.log(times) for _, times in every)
    chance = rows.head(1).select(p=model.chance())["p"].item()
    assert 1 / (1 + math.exp(-(odds + logs))) == pytest.approx(chance)
    assert [abs(math.log(times)) for _, times in every] == sorted(
        (abs(math.log(times)) for _, times in every), reverse=True
    )


def test_a_short_history_says_how_much_is_missing(market: Market) -> None:
    early = date(2024, 9, 1)
    found = learn_in_market(*known_on(market, early), KINDS, today=early)
    assert isinstance(found, TooShort)
    assert found.why.startswith("In-market was not learnt: 2 monthly looks")
    assert "6 are needed" in found.why
    assert isinstance(learn_in_market(past(), ONE, deal(FIRST, None, "open"), KINDS, today=FIRST), TooShort)


def test_a_stray_act_of_long_ago_does_not_begin_the_history(market: Market, model: InMarket) -> None:
    acts, accounts, deals = known_on(market, LEARNT_ON)
    stray = acts.head(1).with_columns(occurred_on=pl.lit(date(2015, 1, 1)))
    found = learn_in_market(pl.concat([stray, acts]), accounts, deals, KINDS, today=LEARNT_ON)
    assert isinstance(found, InMarket)
    assert found.learnt_from == model.learnt_from


def test_few_openings_say_how_many_are_missing(market: Market) -> None:
    acts, accounts, deals = known_on(market, LEARNT_ON)
    found = learn_in_market(acts, accounts, deals.head(5), KINDS, today=LEARNT_ON)
    assert isinstance(found, TooShort)
    assert "50 and 20 are needed" in found.why


def test_the_standing_shows_the_chance_with_its_reasons(model: InMarket) -> None:
    busy = acts_frame(*[act(kind, who) for who in (1, 2, 3) for kind in ("demo_request", "webinar_attended", "form")])
    none = pl.DataFrame(schema=PAST_DEAL)
    rules = (RULES, StandingRules())
    learnt = Learnt(in_market=model, told={"in_market": "learnt"})

    def told(acts: pl.DataFrame, deals: pl.DataFrame, **values: object) -> dict[str, object]:
        frame = accounts_frame(account(**values))
        return stand(frame, acts, deals, rules, learnt, now=NOW).standings.row(0, named=True)

    keen, quiet = told(busy, none), told(acts_frame(), none)
    assert keen["in_market"] > 2 * quiet["in_market"]  # type: ignore[operator]
    assert len(json.loads(str(keen["detail"]))["in_market_why"]) == 4
    assert told(busy, deal(FIRST, None, "open"))["in_market"] is None
    assert told(busy, none, type="Competitor")["in_market"] is None
