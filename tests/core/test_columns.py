"""
Steps on whole columns, each beside what it stands for.
"""

from datetime import UTC, datetime, timedelta, timezone

import polars as pl

from worker.core import columns
from worker.core.frames import INSTANT

NOTHING = pl.Series([], dtype=pl.UInt32)


def rows(*values: int | None) -> pl.Series:
    return pl.Series(values, dtype=pl.UInt32)


def test_each_row_is_repeated_as_often_as_its_count_says() -> None:
    assert columns.expand(rows(2, 0, 1)).to_list() == [0, 0, 2]
    assert columns.expand(NOTHING).to_list() == []


def test_groups_start_where_the_number_changes_and_end_where_the_next_starts() -> None:
    starts = columns.group_starts(rows(4, 4, 7, 9, 9, 9))
    assert starts.to_list() == [0, 2, 3]
    assert columns.group_ends(starts, 6).to_list() == [2, 3, 6]
    assert columns.group_starts(NOTHING).to_list() == []
    assert columns.group_sums(pl.Series([1, 2, 3, 4, 5, 6]), starts).to_list() == [3, 3, 15]


def test_an_empty_group_starts_where_the_next_one_does() -> None:
    assert columns.starts_of(rows(2, 0, 1)).to_list() == [0, 2, 2]


def test_a_key_that_is_not_there_has_no_place() -> None:
    keys, among = pl.Series([5, 1, None, 9, 3]), pl.Series([1, 3, 7])
    assert columns.places(keys, among).to_list() == [None, 0, None, None, 1]
    assert columns.places(among, among).to_list() == [0, 1, 2]
    assert columns.places(keys, among.clear()).to_list() == [None] * 5


def test_a_value_that_nothing_is_said_of_is_the_other_one() -> None:
    teams = pl.Series(["sales", None, "marketing", "nobody"])
    assert columns.mapped(teams, {"sales": "Sales", "marketing": "Marketing"}, None).to_list() == [
        "Sales",
        None,
        "Marketing",
        None,
    ]
    assert columns.mapped(teams, {"sales": 3}, 2, pl.Int32).to_list() == [3, 2, 2, 2]


def test_null_is_not_known_and_can_be_filled() -> None:
    values = pl.Series([1, None, 3])
    assert values.filter(columns.known(values)).to_list() == [1, 3]
    assert columns.filled(values, 0).to_list() == [1, 0, 3]


def test_values_are_spread_over_rows_and_the_rest_is_null() -> None:
    assert columns.spread(pl.Series([7, 8]), rows(3, 0), 4).to_list() == [8, None, None, 7]


def test_rows_are_numbered_beyond_those_that_are_kept_ready() -> None:
    for times in (0, 3, 60_000):
        numbers = columns.numbers(times)
        assert numbers.dtype == pl.UInt32
        assert numbers.to_list() == list(range(times))


def test_a_mask_gives_the_rows_at_which_it_holds() -> None:
    assert columns.rows_where(pl.Series([True, None, False, True])).to_list() == [0, 3]


def test_an_instant_is_the_same_from_every_zone() -> None:
    at = datetime(2026, 3, 1, 12, 30, 0, 123_456, tzinfo=UTC)
    for zone in (UTC, timezone(timedelta(hours=-7, minutes=-30))):
        column = columns.instant(at.astimezone(zone))
        assert column.dtype == INSTANT
        assert column.item() == at


def test_a_frame_is_put_in_order_once() -> None:
    frame = pl.DataFrame({"deal": [3, 1, 2]})
    ordered = columns.sorted_by(frame, "deal")
    assert ordered["deal"].to_list() == [1, 2, 3]
    assert columns.sorted_by(ordered, "deal") is ordered


def test_what_is_kept_ready_is_never_changed_by_its_use() -> None:
    columns.constant(0, 3, pl.Int64).scatter(rows(1), pl.Series([5]))
    columns.constant(0, 1, pl.Int64).scatter(rows(0), pl.Series([5]))
    columns.numbers(3).scatter(rows(1), rows(9))
    assert columns.constant(0, 3, pl.Int64).to_list() == [0, 0, 0]
    assert columns.one(0, pl.Int64).to_list() == [0]
    assert columns.numbers(3).to_list() == [0, 1, 2]
