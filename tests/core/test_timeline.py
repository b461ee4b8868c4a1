"""
What was known when, by two clocks of which one may jump.
"""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.timeline import Lens, Tick, Timeline

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def facts(*pairs: tuple[datetime, datetime]) -> pl.DataFrame:
    return pl.DataFrame(
        {"occurred_at": [pair[0] for pair in pairs], "arrived_at": [pair[1] for pair in pairs]},
        schema={"occurred_at": pl.Datetime("us", "UTC"), "arrived_at": pl.Datetime("us", "UTC")},
    )


def seen(lens: Lens, *pairs: tuple[datetime, datetime]) -> list[bool]:
    return facts(*pairs).select(lens.sees()).to_series().to_list()


def test_between_two_runs_time_passes_alike_by_both_clocks() -> None:
    timeline = Timeline([Tick(NOON, NOON + DAY), Tick(NOON + HOUR, NOON + DAY + HOUR)], DAY)
    assert timeline.by_organisation(NOON + timedelta(minutes=10)) == NOON + DAY + timedelta(minutes=10)
    assert timeline.by_organisation(NOON + 5 * HOUR) == NOON + DAY + 5 * HOUR


def test_what_came_before_a_clock_was_set_never_seems_to_come_after() -> None:
    timeline = Timeline([Tick(NOON, NOON), Tick(NOON + HOUR, NOON + timedelta(minutes=1))], timedelta(0))
    assert timeline.by_organisation(NOON + timedelta(minutes=30)) == NOON + timedelta(minutes=1)


def test_without_any_run_the_clocks_differ_as_they_do_now() -> None:
    assert Timeline([], DAY).by_organisation(NOON) == NOON + DAY


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=20),
    st.integers(-(10**5), 10**6),
    st.integers(0, 10**6),
)
def test_the_order_of_what_came_is_kept(runs: list[tuple[int, int]], first: int, later: int) -> None:
    starts = sorted(start for start, _ in runs)
    said = sorted(now for _, now in runs)
    ticks = [
        Tick(NOON + timedelta(seconds=start), NOON + timedelta(seconds=now))
        for start, now in zip(starts, said, strict=True)
    ]
    timeline = Timeline(ticks, timedelta(0))
    at = NOON + timedelta(seconds=first)
    assert timeline.by_organisation(at) <= timeline.by_organisation(at + timedelta(seconds=later))


def test_nothing_is_known_before_it_happens() -> None:
    frame = pl.DataFrame({"occurred_at": [NOON + DAY, NOON], "seen_at": [NOON, NOON + HOUR]})
    found = Timeline([], timedelta(0)).arrived(frame)["arrived_at"].to_list()
    assert found == [NOON + DAY, NOON + HOUR]


def test_the_rules_in_force_are_those_that_took_effect_last() -> None:
    timeline = Timeline([], timedelta(0))
    versions = [(NOON, 1), (NOON + DAY, 2), (NOON + 2 * DAY, 1)]
    assert timeline.in_force(versions, NOON + HOUR) == 1
    assert timeline.in_force(versions, NOON + DAY + HOUR) == 2
    assert timeline.in_force(versions, NOON + 3 * DAY) == 1
    assert timeline.in_force(versions, NOON - DAY) == 1
    assert timeline.in_force([], NOON) is None


@pytest.mark.parametrize(
    ("lens", "sees"),
    [
        (Lens(NOON), [True, True, False]),
        (Lens(NOON, NOON), [True, False, False]),
        (Lens(NOON + DAY, NOON), [True, False, True]),
        (Lens(NOON + DAY), [True, True, True]),
        (Lens(NOON + DAY, None, NOON), [True, False, False]),
    ],
)
def test_a_lens_tells_late_from_new(lens: Lens, sees: list[bool]) -> None:
    in_time, late, new = (NOON - DAY, NOON - DAY), (NOON - DAY, NOON + HOUR), (NOON + HOUR, NOON + HOUR)
    assert seen(lens, in_time, late, new) == sees


CLOCKS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=20)


def timeline_of(runs: list[tuple[int, int]]) -> Timeline:
    return Timeline([Tick(NOON + start * SECOND, NOON + now * SECOND) for start, now in runs], timedelta(0))


@given(CLOCKS, st.integers(-(10**5), 2 * 10**6), st.integers(-(10**5), 2 * 10**6))
def test_what_came_by_an_instant_is_what_the_database_had_by_its_own(
    runs: list[tuple[int, int]], at: int, seen: int
) -> None:
    timeline = timeline_of(runs)
    moment, seen_at = NOON + at * SECOND, NOON + seen * SECOND
    assert (seen_at <= timeline.by_database(moment)) == (timeline.by_organisation(seen_at) <= moment)


def test_a_first_run_that_did_not_know_the_organisations_clock_puts_nothing_after_what_came_later() -> None:
    timeline = timeline_of([(0, 400_000), (60, 60), (120, 120)])
    assert timeline.by_organisation(NOON + 30 * SECOND) <= NOON + 60 * SECOND
    assert timeline.by_database(NOON + 100 * SECOND) == NOON + 100 * SECOND


def test_the_first_run_from_an_instant_on() -> None:
    timeline = timeline_of([(0, 0), (60, 60), (120, 120)])
    assert timeline.first_run_from(NOON + 10 * SECOND) == NOON + 60 * SECOND
    assert timeline.first_run_from(NOON + 60 * SECOND) == NOON + 60 * SECOND
    assert timeline.first_run_from(NOON + 121 * SECOND) is None
    # Before the runs that are kept nobody can tell; work was done when it was due.
    assert timeline.first_run_from(NOON - DAY) == NOON - DAY
