"""
Who has to wait when API calls are short, and until when.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from worker.core.budget import RESERVED, Forecast, Shares, Standing, forecast, held, holds

NOON = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
FIFTEEN = Shares(Decimal(15), Decimal(15))


def hour(ago: int) -> datetime:
    return NOON.replace(minute=0) - timedelta(hours=ago)


def standing(**changes: Any) -> Standing:
    given: dict[str, Any] = {
        "now": NOON,
        "used": 20_000,
        "allowed": 100_000,
        "answered_at": NOON,
        "shares": FIFTEEN,
        "ours": {},
        "levels": {},
    }
    return Standing(**{**given, **changes})


def used_by_us(calls: int, ago: int = 1) -> dict[datetime, dict[str, int]]:
    return {hour(ago): {"changes": calls}}


def test_nothing_waits_while_there_is_room() -> None:
    assert holds(standing()) == []


def test_cap_and_floor_are_shares_of_what_the_organisation_may_call() -> None:
    found = standing()
    assert (found.cap, found.line) == (15_000, 85_000)


@pytest.mark.parametrize(
    ("calls", "waiting"),
    [
        (10_499, []),
        (10_500, ["history"]),
        (13_499, ["history"]),
        (13_500, ["changes", "history"]),
        (14_999, ["changes", "history"]),
        (15_000, ["writes", "changes", "history"]),
        (90_000, ["writes", "changes", "history"]),
    ],
)
def test_near_our_cap_history_waits_first_and_writes_last(calls: int, waiting: list[str]) -> None:
    found = holds(standing(ours=used_by_us(calls)))
    assert [hold.purpose for hold in found] == waiting
    assert {hold.bound for hold in found} <= {"cap"}


@pytest.mark.parametrize(
    ("used", "waiting"),
    [
        (80_499, []),
        (80_500, ["history"]),
        (83_500, ["changes", "history"]),
        (85_000, ["writes", "changes", "history"]),
        (100_000, ["writes", "changes", "history"]),
    ],
)
def test_near_everybody_elses_floor_the_order_is_the_same(used: int, waiting: list[str]) -> None:
    found = holds(standing(used=used))
    assert [hold.purpose for hold in found] == waiting
    assert {hold.bound for hold in found} <= {"floor"}


def test_the_cap_holds_until_enough_hours_are_a_day_old() -> None:
    ours = {hour(23): {"history": 2_000}, hour(20): {"history": 6_000}, hour(1): {"changes": 7_000}}
    hold = held(standing(ours=ours), "writes")
    assert hold is not None
    assert hold.until == hour(23) + timedelta(hours=25)
    # History leaves 4,500 of the cap to others, so the six thousand of twenty hours ago have to go too.
    later = held(standing(ours=ours), "history")
    assert later is not None
    assert later.until == hour(20) + timedelta(hours=25)


def test_an_hour_counts_until_its_last_minute_is_a_day_old() -> None:
    assert standing(ours=used_by_us(100, ago=24)).ours_used == 100
    assert standing(ours=used_by_us(100, ago=25)).ours_used == 0


def test_what_others_use_is_asked_again_a_quarter_of_an_hour_after_the_last_answer() -> None:
    hold = held(standing(used=99_000, answered_at=NOON - timedelta(minutes=14)), "writes")
    assert hold is not None
    assert hold.until == NOON + timedelta(minutes=1)
    stale = standing(used=99_000, answered_at=NOON - timedelta(minutes=15))
    assert held(stale, "changes", may_ask=True) is None
    waiting = held(stale, "history")
    assert waiting is not None
    assert waiting.until == NOON


def test_our_own_cap_is_not_asked_about() -> None:
    assert held(standing(ours=used_by_us(15_000), answered_at=NOON - timedelta(hours=5)), "writes", may_ask=True)


def test_without_a_cap_of_our_own_only_the_floor_counts() -> None:
    everything = Shares(Decimal(15), Decimal(100))
    assert holds(standing(shares=everything, ours=used_by_us(60_000), used=20_000)) == []


def test_every_purpose_is_named_with_its_calls() -> None:
    assert standing(ours=used_by_us(7)).by_purpose == {"writes": 0, "changes": 7, "history": 0}
    assert list(RESERVED) == ["writes", "changes", "history"]


def test_without_earlier_answers_the_forecast_stands_still() -> None:
    evening = NOON + timedelta(hours=10)
    assert forecast(standing(), evening) == Forecast(evening, 20_000, 0, None)


def test_the_pace_of_the_last_hours_goes_on() -> None:
    # From 10:00 (the level of the hour of nine) to 12:30 the count rose by 5,000: 2,000 an hour.
    found = forecast(standing(levels={hour(3): 15_000}), NOON + timedelta(hours=5))
    assert (found.used, found.full_at) == (30_000, None)


def test_a_forecast_says_when_all_will_be_used_up() -> None:
    found = forecast(standing(used=90_000, levels={hour(3): 65_000}), NOON + timedelta(hours=5))
    assert (found.used, found.full_at) == (100_000, NOON + timedelta(hours=1))


def test_a_count_that_falls_is_forecast_to_fall_and_never_below_nothing() -> None:
    assert forecast(standing(used=1_000, levels={hour(3): 50_000}), NOON + timedelta(hours=5)).used == 0


def test_ours_forget_what_will_have_fallen_out_and_keep_the_pace() -> None:
    ours = {hour(22): {"history": 5_000}, hour(2): {"changes": 30}, hour(1): {"changes": 30}, hour(0): {"writes": 30}}
    assert forecast(standing(ours=ours), NOON).ours == 5_090
    assert forecast(standing(ours=ours), NOON + timedelta(hours=10)).ours == 90 + 300
