"""
What late data change of credits that were settled.
"""

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.attribution.adjust import ADJUSTMENT, LOCKED, SETTLING, STANDING, Settlement, settle
from worker.core.errors import Fatal

TODAY = date(2026, 11, 18)
FIRST_QUARTER = (date(2026, 1, 1), date(2026, 3, 31))
Shares = dict[str, tuple[str, int | None]]


def standing(shares: Shares, clock: str = "pipeline", learnt: int | None = None) -> pl.DataFrame:
    rows = [
        (
            1,
            clock,
            "w",
            item if item in ("pending", "unassigned") else "touch",
            None if item in ("pending", "unassigned") else item,
            *part,
            learnt,
        )
        for item, part in shares.items()
    ]
    return pl.DataFrame(rows, schema=STANDING, orient="row")


def settled(
    stored: Shares,
    computed: Shares,
    *,
    locked: bool = False,
    booked: pl.DataFrame | None = None,
    clock: str = "pipeline",
    learnt: tuple[int | None, int | None] = (None, None),
    **changes: Any,
) -> Settlement:
    group = {
        "opportunity_id": 1,
        "clock": clock,
        "period_on": date(2026, 3, 31),
        "was_settled": True,
        "is_settled": True,
    }
    rows = [group | {"was_version": 3, "is_version": 3} | changes]
    return settle(
        standing(stored, clock, learnt[0]),
        standing(computed, clock, learnt[1]),
        pl.DataFrame(rows, schema=SETTLING),
        pl.DataFrame([FIRST_QUARTER] if locked else [], schema=LOCKED, orient="row"),
        booked if booked is not None else pl.DataFrame(schema=ADJUSTMENT),
        on=TODAY,
    )


def told(settlement: Settlement) -> list[tuple[Any, ...]]:
    return settlement.adjustments.select("touch_id", "share_before", "share_after", "units_delta", "kind").rows()


HALVES: Shares = {"a": ("5/10", 500), "b": ("1/2", 500)}
THIRDS: Shares = {"a": ("1/3", 334), "b": ("1/3", 333), "late": ("1/3", 333)}


def test_what_a_late_touch_moves_is_restated_and_dated() -> None:
    settlement = settled(HALVES, THIRDS)
    assert settlement.keep.is_empty()
    assert told(settlement) == [
        ("a", "1/2", "1/3", -166, "restated"),
        ("b", "1/2", "1/3", -167, "restated"),
        ("late", "0", "1/3", 333, "restated"),
    ]
    assert set(settlement.adjustments["adjusted_on"]) == {TODAY}
    assert set(settlement.adjustments["cause"]) == {"late data"}


def test_in_a_locked_period_nothing_moves_and_the_difference_is_booked_today() -> None:
    settlement = settled(HALVES, THIRDS, locked=True)
    assert settlement.keep.rows() == [(1, "pipeline")]
    assert [row[-1] for row in told(settlement)] == ["booked"] * 3
    assert settlement.adjustments["units_delta"].sum() == 0


def test_what_was_booked_is_not_booked_again() -> None:
    first = settled(HALVES, THIRDS, locked=True).adjustments
    assert settled(HALVES, THIRDS, locked=True, booked=first).adjustments.is_empty()
    back = settled(HALVES, HALVES, locked=True, booked=first)
    assert told(back) == [
        ("a", "1/3", "1/2", 166, "booked"),
        ("b", "1/3", "1/2", 167, "booked"),
        ("late", "1/3", "0", -333, "booked"),
    ]


def test_equal_shares_in_other_terms_are_no_change() -> None:
    assert settled(HALVES, {"a": ("1/2", 500), "b": ("30/60", 500)}).adjustments.is_empty()


def test_another_amount_is_no_adjustment_but_in_a_locked_period() -> None:
    dearer: Shares = {"a": ("1/2", 600), "b": ("1/2", 600)}
    assert settled(HALVES, dearer).adjustments.is_empty()
    assert told(settled(HALVES, dearer, locked=True)) == [
        ("a", "1/2", "1/2", 100, "booked"),
        ("b", "1/2", "1/2", 100, "booked"),
    ]


def test_what_was_pending_and_is_nobodys_at_the_close_is_no_adjustment() -> None:
    assert settled(
        {"a": ("3/5", 6), "pending": ("2/5", 4)}, {"a": ("3/5", 6), "unassigned": ("2/5", 4)}
    ).adjustments.is_empty()


@pytest.mark.parametrize("changes", [{"was_settled": False}, {"is_settled": False}])
def test_a_deal_that_is_open_or_was_adjusts_nothing(changes: dict[str, bool]) -> None:
    assert settled(HALVES, THIRDS, clock="revenue", **changes).adjustments.is_empty()


def test_what_other_rules_change_is_no_adjustment_but_in_a_locked_period() -> None:
    assert settled(HALVES, THIRDS, is_version=4).adjustments.is_empty()
    assert set(settled(HALVES, THIRDS, locked=True, is_version=4).adjustments["cause"]) == {"rules"}


def test_a_deal_that_is_first_seen_in_a_locked_period_is_booked_as_a_whole_and_once() -> None:
    first = settled({}, HALVES, locked=True, was_settled=False).adjustments
    assert first["units_delta"].sum() == 1000
    assert settled({}, HALVES, locked=True, booked=first, was_settled=False).adjustments.is_empty()


def test_without_an_amount_only_shares_are_adjusted() -> None:
    moneyless: Shares = {"a": ("1/2", None), "late": ("1/2", None)}
    assert told(settled({"a": ("1", None)}, moneyless)) == [
        ("a", "1", "1/2", None, "restated"),
        ("late", "0", "1/2", None, "restated"),
    ]


amounts = st.dictionaries(st.sampled_from(["a", "b", "c", "pending"]), st.integers(0, 9), min_size=1)


@given(st.lists(amounts, min_size=2, max_size=5))
def test_stored_and_booked_always_add_up_to_what_was_computed_last(versions: list[dict[str, int]]) -> None:
    def shares(version: dict[str, int]) -> Shares:
        whole = sum(version.values()) or 1
        return {item: (f"{units}/{whole}", units) for item, units in version.items()}

    booked = pl.DataFrame(schema=ADJUSTMENT)
    for version in versions[1:]:
        booked = pl.concat(
            [booked, settled(shares(versions[0]), shares(version), locked=True, booked=booked).adjustments]
        )
    sums = dict.fromkeys("abc", 0) | {"pending": 0} | versions[0]
    for touch, item, delta in booked.select("touch_id", "item", "units_delta").iter_rows():
        sums[touch or item] += delta
    assert sums == dict.fromkeys("abc", 0) | {"pending": 0} | versions[-1]


def test_a_deal_and_clock_twice_stops_the_run() -> None:
    one = pl.DataFrame([(1, "pipeline", TODAY, True, True, 1, 1)] * 2, schema=SETTLING, orient="row")
    empty = pl.DataFrame(schema=STANDING)
    with pytest.raises(Fatal, match="came in twice"):
        settle(empty, empty, one, pl.DataFrame(schema=LOCKED), pl.DataFrame(schema=ADJUSTMENT), on=TODAY)
