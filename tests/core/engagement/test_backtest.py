"""
Looking back: who was engaged on a past day, and what came of it.
"""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from tests.core.engagement.acts import NOW, RULES, account, accounts_frame, act, acts_frame
from worker.core.engagement.backtest import compare, replay

ON = NOW.date()


def engaged_on(*acts: dict[str, Any], on: date = ON) -> bool:
    answer: bool = replay(accounts_frame(account()), acts_frame(*acts), RULES, on=on)["engaged"].item()
    return answer


def test_a_replay_knows_nothing_of_what_came_later() -> None:
    assert engaged_on(act("demo_request"))
    assert not engaged_on(act("demo_request"), on=ON - timedelta(days=1))


def test_a_replay_remembers_who_was_held() -> None:
    # Five weeks ago it entered; by now only memory keeps it engaged, at 25 points and more.
    request = act("demo_request", days_ago=28)
    assert engaged_on(request)
    assert not engaged_on(request, on=ON + timedelta(days=14))


def outcome(*rows: tuple[int, bool, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema={"account_id": pl.Int64, "engaged": pl.Boolean, "fit_band": pl.String}, orient="row"
    )


def deals(*rows: tuple[int, int, int | None]) -> pl.DataFrame:
    made = [
        (account_id, ON + timedelta(days=opened), None if closed is None else ON + timedelta(days=closed))
        for account_id, opened, closed in rows
    ]
    return pl.DataFrame(
        made, schema={"account_id": pl.Int64, "created_on": pl.Date, "closed_on": pl.Date}, orient="row"
    )


def test_the_flagged_are_held_against_unflagged_of_the_same_fit() -> None:
    flagged = outcome(
        (1, True, "strong"),
        (2, True, "strong"),
        (3, True, "weak"),
        (4, False, "strong"),
        (5, False, "strong"),
        (6, False, "weak"),
        (7, False, None),
    )
    found = compare(flagged, deals((1, 10, None), (2, 90, None), (3, 91, None), (4, 5, None)), on=ON)
    assert (found.flagged, found.opened) == (3, 2)
    assert found.precision == pytest.approx(2 / 3)
    # Of unflagged strong ones half opened one, of weak ones none; two of the three flagged are strong.
    assert found.expected == pytest.approx(1 / 3)
    assert found.lift == pytest.approx(2.0)
    assert found.openings_found == pytest.approx(2 / 3)
    assert [band["fit_band"] for band in found.bands] == ["strong", "unknown", "weak"]


def test_whoever_had_an_open_opportunity_that_day_is_left_out() -> None:
    flagged = outcome((1, True, "strong"), (2, True, "strong"))
    found = compare(flagged, deals((1, -5, None), (1, 5, None), (2, -50, -5)), on=ON)
    assert (found.flagged, found.opened, found.precision, found.expected, found.lift) == (1, 0, 0.0, None, None)


def test_where_nobody_was_flagged_nothing_is_said() -> None:
    found = compare(outcome((1, False, "strong")), deals(), on=ON)
    assert (found.precision, found.expected, found.openings_found) == (None, None, None)
