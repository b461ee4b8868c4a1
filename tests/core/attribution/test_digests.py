"""
Whether a deal's credits come out otherwise than last time, and on which clocks its shares do, is told by a digest of
their numbers.
"""

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from worker.core.attribution import AttributionRules, Model
from worker.core.attribution.allot import wide_schema
from worker.core.attribution.digests import clocks_moved, differing_credits

AT = datetime(2026, 6, 2, 12, tzinfo=UTC)
SCHEMA = wide_schema(AttributionRules(models=[Model(name, {"FT": Decimal(1)}) for name in ("w", "first")]))


def item(deal: int, touch: str | None, share: int, **changes: Any) -> dict[str, Any]:
    """
    One touch's, or what nobody earned, on the revenue clock: so many tenths under the first of two models.
    """
    row = {
        "opportunity_id": deal,
        "clock": "revenue",
        "item": "touch" if touch else "unassigned",
        "touch_id": touch,
        "occurred_at": AT if touch else None,
        "positions": "FT" if touch else "",
        "share_num:w": share,
        "share_den:w": 10,
        "amount_units:w": share * 100,
        "share_num:first": None,
        "share_den:first": None,
        "amount_units:first": None,
    }
    return row | changes


DEALS = [item(1, "a", 3), item(1, "b", 7), item(2, "a", 10), item(3, None, 10)]


def wide(*items: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(items, schema=SCHEMA)


def differing(before: dict[int, str | None], credits: pl.DataFrame) -> dict[int, str | None]:
    stored = {"opportunity_id": list(before), "digest": list(before.values())}
    return differing_credits(pl.DataFrame(stored, schema={"opportunity_id": pl.Int64, "digest": pl.String}), credits)


NEVER: dict[int, str | None] = dict.fromkeys((1, 2, 3, 4))


def test_what_comes_out_as_it_did_last_time_does_not_differ_in_whatever_order() -> None:
    first = differing(NEVER, wide(*DEALS))
    assert set(first) == {1, 2, 3}
    shuffled = random.Random(7).sample(DEALS, len(DEALS))
    assert differing({**NEVER, **first}, wide(*shuffled)) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"share_num:w": 4},
        {"share_den:w": 11},
        {"amount_units:w": 299},
        {"amount_units:w": None},
        {"touch_id": "c"},
        {"item": "pending"},
        {"clock": "pipeline"},
        {"positions": "FT; LC"},
        {"positions": None},
        {"occurred_at": datetime(2026, 6, 2, 12, 0, 0, 1, tzinfo=UTC)},
        {"share_num:w": None, "share_num:first": 3},
    ],
)
def test_a_deal_differs_where_anything_of_an_item_does_and_no_other_deal_with_it(change: dict[str, Any]) -> None:
    before = {**NEVER, **differing(NEVER, wide(*DEALS))}
    assert set(differing(before, wide(DEALS[0] | change, *DEALS[1:]))) == {1}


def test_items_of_two_deals_that_change_places_make_both_differ() -> None:
    before = {**NEVER, **differing(NEVER, wide(*DEALS))}
    swapped = [*DEALS[:2], DEALS[2] | {"opportunity_id": 3}, DEALS[3] | {"opportunity_id": 2}]
    assert set(differing(before, wide(*swapped))) == {2, 3}


def test_a_model_of_another_name_makes_all_differ_though_no_number_does() -> None:
    before = {**NEVER, **differing(NEVER, wide(*DEALS))}
    renamed = wide(*DEALS).rename(lambda name: name.replace(":first", ":last"))
    assert set(differing(before, renamed)) == {1, 2, 3}


def test_a_deal_that_has_no_credits_any_more_differs_once() -> None:
    before = {**NEVER, **differing(NEVER, wide(*DEALS))}
    gone = differing(before, wide(*DEALS[:2]))
    assert gone == {2: None, 3: None}
    assert differing({**before, **gone}, wide(*DEALS[:2])) == {}


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"amount_units:w": 299}, []),
        ({"positions": "FT; LC"}, []),
        ({"occurred_at": datetime(2026, 6, 2, 13, tzinfo=UTC)}, []),
        ({"share_num:w": 4}, ["revenue"]),
        ({"touch_id": "c"}, ["revenue"]),
        ({"item": "pending"}, ["revenue"]),
        ({"learnt:w": 8}, ["revenue"]),
        ({"clock": "pipeline"}, ["pipeline", "revenue"]),
    ],
)
def test_shares_are_others_on_a_clock_where_their_number_owner_or_learning_is(
    change: dict[str, Any], moved: list[str]
) -> None:
    schema = {**SCHEMA, "learnt:w": pl.Int64}
    told = [each | {"learnt:w": 7} for each in DEALS]
    before = {**NEVER, **differing(NEVER, pl.DataFrame(told, schema=schema))}
    now = differing(before, pl.DataFrame([told[0] | change, *told[1:]], schema=schema))
    assert set(now) == {1}
    assert clocks_moved(before[1], now[1]) == moved


def test_shares_that_come_or_go_are_others_and_so_are_those_of_an_unknown_digest() -> None:
    first = differing(NEVER, wide(*DEALS, DEALS[0] | {"clock": "pipeline"}))
    assert clocks_moved(None, first[1]) == clocks_moved(first[1], None) == ["pipeline", "revenue"]
    assert clocks_moved("0123456789abcdef0123456789abcdef", first[1]) == ["pipeline", "revenue"]
    assert clocks_moved(first[1], first[1]) == []
