"""
When an account is engaged, since when, until when and in which band.
"""

import json
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.engagement.acts import (
    NOW,
    RULES,
    account,
    accounts_frame,
    act,
    acts_frame,
    carried,
    flagged,
)
from worker.core.engagement.flags import flag, until_to_write
from worker.core.engagement.rules import ActRule, EngagementRules
from worker.core.errors import Fatal
from worker.core.frames import FLAG, INSTANT

LATER = timedelta(days=1)


def busy(people: int, *, days_ago: float = 1) -> list[dict[str, Any]]:
    """
    Three events each: 60 points a person, no request.
    """
    return [act("event_attended", person, days_ago=days_ago) for person in range(people) for _ in range(3)]


def test_fifty_points_of_two_people_engage() -> None:
    found = flagged(*busy(2))
    assert found["engaged"]
    assert found["since_at"] == NOW
    assert found["people_count"] == 2


def test_fifty_points_of_one_person_do_not_engage_a_large_company() -> None:
    assert not flagged(*busy(1))["engaged"]
    assert not flagged(*busy(1), employees=None)["engaged"]
    assert not flagged(*busy(1), employees=50)["engaged"]


def test_one_person_is_enough_below_fifty_employees() -> None:
    assert flagged(*busy(1), employees=49)["engaged"]


def test_two_people_below_fifty_points_do_not_engage() -> None:
    assert not flagged(act("event_attended", 1), act("event_attended", 2), act("content", 1))["engaged"]


def test_points_without_a_fresh_human_act_do_not_engage() -> None:
    assert flagged(*busy(4, days_ago=13))["engaged"]
    assert not flagged(*busy(4, days_ago=14))["engaged"]
    assert not flagged(*busy(4, days_ago=14), act("surge", None))["engaged"]


@pytest.mark.parametrize("request_type", ["demo_request", "pricing_request", "contact_request"])
def test_one_request_engages_at_once(request_type: str) -> None:
    assert flagged(act(request_type))["engaged"]


def test_a_screened_request_does_not_engage() -> None:
    found = flagged(act("demo_request", screened="job seeker"))
    assert not found["engaged"]
    assert json.loads(found["detail"])["acts"][0]["screened"] == "job seeker"


def test_a_students_request_does_not_engage() -> None:
    assert not flagged(act("demo_request", level="student"))["engaged"]


def test_a_request_of_nobody_known_does_not_engage() -> None:
    assert not flagged(act("demo_request", None))["engaged"]


def test_an_old_request_does_not_engage_again() -> None:
    assert not flagged(act("demo_request", days_ago=14))["engaged"]


def test_one_ad_click_is_not_engaged() -> None:
    assert not flagged(act("ad_click"), employees=10)["engaged"]


def test_dozens_of_clicks_and_two_high_value_pages_are() -> None:
    clicks = [act("ad_click", number % 2, days_ago=number / 24) for number in range(48)]
    assert flagged(*clicks, act("high_value_page", 0), act("high_value_page", 1))["engaged"]


def test_meetings_alone_never_engage_even_where_they_have_points() -> None:
    rules = EngagementRules(acts={**RULES.acts, "meeting": ActRule(30)})
    meetings = [act("meeting", person) for person in (1, 2, 3)]
    assert not flagged(*meetings)["engaged"]
    assert not flagged(*meetings, rules=rules)["engaged"]
    assert flagged(*meetings, act("content", 1), rules=rules)["engaged"]


def test_acts_of_nobody_add_depth_up_to_forty_percent_and_never_breadth() -> None:
    surges = [act("surge", None, days_ago=number) for number in range(60)]
    found = flagged(*surges)
    assert (found["points_milli"], found["people_count"], found["engaged"]) == (20_000, 0, False)
    assert not flagged(*surges, *busy(1))["engaged"]
    with_two = [act("event_attended", 1), act("content", 1), act("content", 2)]
    assert not flagged(*with_two)["engaged"]
    assert flagged(*with_two, *surges)["engaged"]


@pytest.mark.parametrize("kind", ["Partner", "competitor", " Agency "])
def test_a_partner_or_competitor_is_never_engaged(kind: str) -> None:
    found = flagged(*busy(3), act("demo_request"), type=kind)
    assert (found["engaged"], found["band"], found["until_at"]) == (False, "None", None)


def test_an_account_left_out_for_a_reason_leaves_at_once_even_inside_the_hold() -> None:
    found = flagged(*busy(3), was_engaged=True, engaged_since_at=NOW - LATER, excluded="own staff")
    assert not found["engaged"]
    assert found["why"] == "Not engaged: left out (own staff)."


def test_it_stays_at_twenty_five_points_and_leaves_below() -> None:
    long_ago = {"was_engaged": True, "engaged_since_at": NOW - timedelta(days=60)}
    assert flagged(act("event_attended"), act("content"), **long_ago)["engaged"]
    assert not flagged(act("event_attended"), act("content", days_ago=1), **long_ago)["engaged"]


def test_it_is_held_for_fourteen_days_without_any_act() -> None:
    found = flagged(was_engaged=True, engaged_since_at=NOW - timedelta(days=13))
    assert found["engaged"]
    assert found["until_at"] == datetime(2026, 11, 23, tzinfo=UTC)
    assert not flagged(was_engaged=True, engaged_since_at=NOW - timedelta(days=14))["engaged"]


def test_since_stays_while_it_is_engaged() -> None:
    since = NOW - timedelta(days=40)
    assert flagged(*busy(2), was_engaged=True, engaged_since_at=since)["since_at"] == since


def test_a_demo_request_of_an_unknown_level_lapses_after_its_half_life() -> None:
    # 50 points are 25 after thirty days, which is enough to stay, and less on the next day.
    assert flagged(act("demo_request"))["until_at"] == datetime(2026, 12, 23, tzinfo=UTC)


def test_a_request_engages_for_fourteen_days_whatever_it_is_worth() -> None:
    rules = EngagementRules(acts={**RULES.acts, "demo_request": ActRule(1)}, hold_days=5)
    assert flagged(act("demo_request", days_ago=2), rules=rules)["until_at"] == datetime(2026, 12, 4, tzinfo=UTC)


def test_acts_after_now_do_not_count_yet() -> None:
    assert not flagged(act("demo_request", days_ago=-0.01))["engaged"]


def test_acts_of_other_accounts_do_not_count() -> None:
    assert not flagged(act("demo_request", account_id=2))["engaged"]


@pytest.mark.parametrize(
    ("points", "band"), [(100, "High"), (99, "Medium"), (50, "Medium"), (49, "Low"), (10, "Low"), (9, "None")]
)
def test_bands_go_by_points(points: int, band: str) -> None:
    rules = EngagementRules(acts={**RULES.acts, "form": ActRule(points)})
    assert flagged(act("form"), rules=rules)["band"] == band


def test_the_band_does_not_move_by_passing_time() -> None:
    found = flagged(*busy(2))
    assert found["band"] == "High"
    later = flagged(*busy(2), now=NOW + timedelta(days=20), **carried(found))
    assert (later["engaged"], later["band"]) == (True, "High")
    assert later["points_milli"] < 100_000
    told = flagged(*busy(2), now=NOW + timedelta(days=20), **carried(found, has_new_act=True))
    assert told["band"] == "Medium"


def test_the_band_moves_when_the_flag_lapses() -> None:
    found = flagged(*busy(2))
    lapsed = flagged(*busy(2), now=found["until_at"], **carried(found))
    assert (lapsed["engaged"], lapsed["band"]) == (False, "Low")


def test_every_account_has_one_row_in_the_written_frame() -> None:
    accounts = accounts_frame(account(3), account(1), account(2))
    found = flag(accounts, acts_frame(act("visit", account_id=2)), RULES, now=NOW)
    assert dict(found.schema) == dict(FLAG)
    assert found["account_id"].to_list() == [1, 2, 3]
    assert flag(accounts.clear(), acts_frame(), RULES, now=NOW).is_empty()


def test_columns_that_may_be_absent_may_be_absent() -> None:
    accounts = accounts_frame(account()).drop("has_new_act", "tier", "excluded")
    assert flag(accounts, acts_frame(act("demo_request")).drop("screened"), RULES, now=NOW)["engaged"].to_list() == [
        True
    ]
    with pytest.raises(Fatal, match="employees, was_band"):
        flag(accounts.drop("was_band", "employees"), acts_frame(), RULES, now=NOW)


def test_what_is_given_twice_and_a_naive_now_are_refused() -> None:
    with pytest.raises(Fatal, match="more than once"):
        flag(accounts_frame(account(), account()), acts_frame(), RULES, now=NOW)
    with pytest.raises(Fatal, match="an act more than once"):
        flagged(act("form", act_id="x"), act("form", act_id="x"))
    with pytest.raises(Fatal, match="without a time zone"):
        flag(accounts_frame(account()), acts_frame(), RULES, now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("written", "true", "answer"),
    [
        (date(2026, 12, 16), date(2026, 12, 22), date(2026, 12, 16)),
        (date(2026, 12, 16), date(2026, 12, 23), date(2026, 12, 23)),
        (date(2026, 12, 16), date(2026, 12, 9), date(2026, 12, 9)),
        (None, date(2026, 12, 9), date(2026, 12, 9)),
        (date(2026, 12, 16), None, None),
    ],
)
def test_the_written_date_follows_a_move_of_seven_days(
    written: date | None, true: date | None, answer: date | None
) -> None:
    assert until_to_write(written, true, RULES) == answer


SMALL_POINTS = EngagementRules(
    version="small",
    window_days=45,
    half_life_days=9,
    acts={**RULES.acts, "demo_request": ActRule(12), "meeting": ActRule(20)},
    hold_days=10,
    human_act_days=20,
)


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = st.sampled_from([*sorted(RULES.acts), "meeting", "unheard_of"])
    return [
        act(
            draw(kinds),
            draw(st.sampled_from([None, 1, 2, 3])),
            days_ago=draw(st.floats(0, 95, allow_nan=False)),
            level=draw(st.sampled_from(["c_level", "director", "other", "student", None])),
            screened=draw(st.sampled_from([None, None, None, "junk"])),
        )
        for _ in range(draw(st.integers(0, 25)))
    ]


@st.composite
def situations(draw: st.DrawFn) -> dict[str, Any]:
    was = draw(st.booleans())
    return {
        "employees": draw(st.sampled_from([10, 500])),
        "was_engaged": was,
        "engaged_since_at": NOW - timedelta(days=draw(st.integers(0, 40))) if was else None,
        "was_band": draw(st.sampled_from(["High", "Medium", "Low", "None"])),
    }


def many_accounts(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    Two hundred accounts in all situations and up to 25 acts each, the same for the same seed.
    """
    chance = Random(seed)
    kinds = [*sorted(RULES.acts), "meeting", "unheard_of"]
    accounts, acts = [], []
    for number in range(200):
        was = chance.random() < 0.5
        since = NOW - timedelta(days=chance.randrange(40)) if was else None
        band = chance.choice(["High", "Medium", "Low", "None"])
        size = chance.choice([10, 500])
        accounts.append(account(number, employees=size, was_engaged=was, engaged_since_at=since, was_band=band))
        acts += [
            act(
                chance.choice(kinds),
                chance.choice([None, 1, 2, 3]),
                account_id=number,
                days_ago=chance.uniform(0, 95),
                level=chance.choice(["c_level", "director", "other", "student", None]),
                screened=chance.choice([None, None, None, "junk"]),
            )
            for _ in range(chance.randrange(25))
        ]
    return accounts_frame(*accounts), acts_frame(*acts)


def next_asked(accounts: pl.DataFrame, found: pl.DataFrame, *, has_new_act: bool) -> pl.DataFrame:
    """
    The accounts as the next decision is told of them.
    """
    told = found.select("account_id", was_engaged="engaged", engaged_since_at="since_at", was_band="band")
    kept = accounts.drop("was_engaged", "engaged_since_at", "was_band")
    return kept.join(told, on="account_id").with_columns(has_new_act=pl.lit(has_new_act))


@pytest.mark.parametrize("rules", [RULES, SMALL_POINTS], ids=lambda rules: rules.version)
@pytest.mark.parametrize("seed", [7, 11])
def test_it_lapses_on_the_day_that_was_foretold_and_not_before(seed: int, rules: EngagementRules) -> None:
    accounts, acts = many_accounts(seed)
    found = flag(accounts, acts, rules, now=NOW)
    foretold = found.select("account_id", "since_at", "band", foretold="until_at")
    assert found["engaged"].sum() > 40
    now = NOW
    for _ in range(100):
        now += LATER
        found = flag(next_asked(accounts, found, has_new_act=False), acts, rules, now=now)
        both = found.join(foretold, on="account_id", suffix="_then")
        should = (pl.col("foretold") > now).fill_null(value=False)
        wrong = both.filter(pl.col("engaged") != should)
        assert wrong.is_empty(), f"on {now:%d %b}: {wrong.select('account_id', 'engaged', 'foretold').to_dicts()[:3]}"
        engaged = both.filter("engaged")
        assert engaged.filter(
            (pl.col("until_at") != pl.col("foretold"))
            | (pl.col("band") != pl.col("band_then"))
            | (pl.col("since_at") != pl.col("since_at_then"))
        ).is_empty()
        if engaged.is_empty():
            return
    pytest.fail("some account never lapsed")


@pytest.mark.parametrize("rules", [RULES, SMALL_POINTS], ids=lambda rules: rules.version)
@pytest.mark.parametrize("seed", [7, 11, 13])
def test_passing_time_alone_never_engages_nor_moves_a_band(seed: int, rules: EngagementRules) -> None:
    accounts, acts = many_accounts(seed)
    quiet = flag(accounts, acts, rules, now=NOW).filter(~pl.col("engaged"))
    assert quiet.height > 40
    accounts = accounts.join(quiet.select("account_id"), on="account_id", how="semi")
    for days in (1, 2, 5, 13, 14, 15, 30, 80):
        asked = next_asked(accounts, quiet, has_new_act=False)
        found = flag(asked, acts, rules, now=NOW + timedelta(days=days))
        assert not found["engaged"].any()
        assert found["band"].equals(quiet["band"])


@pytest.mark.parametrize("rules", [RULES, SMALL_POINTS], ids=lambda rules: rules.version)
@pytest.mark.parametrize("seed", [7, 11])
def test_a_flag_never_turns_off_within_its_hold(seed: int, rules: EngagementRules) -> None:
    accounts, acts = many_accounts(seed)
    accounts = accounts.with_columns(was_engaged=pl.lit(value=False), engaged_since_at=pl.lit(None, INSTANT))
    ended = 0
    for day in range(96, -60, -1):
        now = NOW - timedelta(days=day)
        found = flag(accounts, acts, rules, now=now)
        turned_off = accounts.filter(pl.col("was_engaged")).join(found.filter(~pl.col("engaged")), on="account_id")
        held_days = turned_off["engaged_since_at"].dt.date().to_list()
        assert all((now.date() - since).days >= rules.hold_days for since in held_days)
        ended += len(held_days)
        accounts = next_asked(accounts, found, has_new_act=True)
    assert ended > 40


@settings(max_examples=4, deadline=None)
@given(st.lists(histories(), min_size=4, max_size=12), st.integers(0, 1_000), st.sampled_from([RULES, SMALL_POINTS]))
def test_no_flag_flickers_inside_its_hold_however_late_acts_arrive(
    worlds: list[list[dict[str, Any]]], seed: int, rules: EngagementRules
) -> None:
    chance = Random(seed)
    rows = [
        item | {"account_id": number, "act_id": f"{number}-{index}"}
        for number, history in enumerate(worlds)
        for index, item in enumerate(history)
    ]
    arrives = [row["occurred_at"] + timedelta(days=chance.choice([0, 0, chance.uniform(0, 40)])) for row in rows]
    acts = acts_frame(*rows).with_columns(arrived_at=pl.Series(arrives, dtype=INSTANT))
    accounts = accounts_frame(*(account(number, was_engaged=False) for number in range(len(worlds))))
    for day in range(-50, 25):
        now = NOW + timedelta(days=day)
        found = flag(accounts, acts.filter(pl.col("arrived_at") <= now), rules, now=now)
        off = accounts.filter(pl.col("was_engaged")).join(found.filter(~pl.col("engaged")), on="account_id")
        for since in off["engaged_since_at"].dt.date():
            assert (now.date() - since).days >= rules.hold_days
        accounts = next_asked(accounts, found, has_new_act=True)


def test_a_turn_is_told_at_most_every_ninety_days() -> None:
    told = {"alerted_at": NOW - timedelta(days=89)}
    assert flagged(act("demo_request"))["alerted_at"] == NOW
    assert flagged(act("demo_request"), **told)["alerted_at"] == told["alerted_at"]
    assert flagged(act("demo_request"), alerted_at=NOW - timedelta(days=90))["alerted_at"] == NOW
    assert flagged(act("form"), **told)["alerted_at"] == told["alerted_at"]
    stays = {"was_engaged": True, "engaged_since_at": NOW - timedelta(days=120)}
    assert flagged(act("demo_request"), **stays, alerted_at=NOW - timedelta(days=120))["alerted_at"] != NOW


@settings(max_examples=40, deadline=None)
@given(histories(), situations())
def test_the_listed_points_sum_to_the_score(history: list[dict[str, Any]], situation: dict[str, Any]) -> None:
    found = flagged(*history, **situation)
    detail = json.loads(found["detail"])
    assert sum(item["points_milli"] for item in detail["acts"]) == found["points_milli"] == detail["points_milli"]
    people = {item["person_id"] for item in detail["acts"] if item["points_milli"] and item["person_id"]}
    assert len(people) == found["people_count"]


@settings(max_examples=20, deadline=None)
@given(st.lists(histories(), min_size=1, max_size=5), st.integers(0, 1000))
def test_accounts_decided_together_are_decided_as_each_alone(worlds: list[list[dict[str, Any]]], seed: int) -> None:
    rows = [
        item | {"account_id": number, "act_id": f"{number}-{index}"}
        for number, history in enumerate(worlds)
        for index, item in enumerate(history)
    ]
    acts = acts_frame(*rows)
    accounts = accounts_frame(*(account(number) for number in range(len(worlds))))
    together = flag(accounts, acts.sample(fraction=1, shuffle=True, seed=seed), RULES, now=NOW)
    for number in range(len(worlds)):
        alone = flag(accounts_frame(account(number)), acts.filter(pl.col("account_id") == number), RULES, now=NOW)
        assert together.filter(pl.col("account_id") == number).equals(alone)
