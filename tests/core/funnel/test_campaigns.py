"""
Which cohorts and campaigns are too young to be judged, and which are the lowest tenth.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl

from worker.core.frames import INSTANT
from worker.core.funnel.campaigns import ranked
from worker.core.funnel.cohorts import is_maturing, median_cycle
from worker.core.funnel.totals import MONEY

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CYCLE = timedelta(days=60)


def campaigns(*given: tuple[str, int | None, int | None, datetime | None]) -> pl.DataFrame:
    rows = [
        (name, "2026-H1", cost and Decimal(cost), pipeline and Decimal(pipeline), at)
        for name, cost, pipeline, at in given
    ]
    schema = {"campaign": pl.String, "half": pl.String, "cost": MONEY, "pipeline": MONEY, "first_touch_at": INSTANT}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_of_twenty_campaigns_the_two_that_brought_least_for_their_cost_are_the_lowest_tenth() -> None:
    old = NOW - timedelta(days=120)
    found = ranked(campaigns(*((f"Webinar {n:02}", 100, 1_000 * n, old) for n in range(20))), NOW, CYCLE)
    assert found["rank"].to_list() == list(range(1, 21))
    assert found.filter(pl.col("standing") == "lowest tenth")["campaign"].to_list() == ["Webinar 01", "Webinar 00"]


def test_a_campaign_younger_than_the_median_cycle_has_no_rank() -> None:
    found = ranked(
        campaigns(("Spring", 100, 0, NOW - timedelta(days=61)), ("Now", 100, 9, NOW - CYCLE / 2)), NOW, CYCLE
    )
    assert found.select("campaign", "rank", "standing").rows() == [("Spring", 1, None), ("Now", None, "maturing")]


def test_a_campaign_whose_cost_nobody_knows_is_not_held_against_those_that_cost_something() -> None:
    old = NOW - timedelta(days=120)
    found = ranked(campaigns(("Free", None, 9_000, old), ("Paid", 100, 50, old), ("Asset", 900, None, None)), NOW, None)
    assert found.select("campaign", "rank", "standing").rows() == [
        ("Paid", 1, None),
        ("Asset", None, None),
        ("Free", None, "no cost known"),
    ]


def test_where_no_campaign_of_a_half_has_a_cost_they_are_ranked_by_what_they_brought() -> None:
    old = NOW - timedelta(days=120)
    found = ranked(campaigns(("Less", None, 50, old), ("More", None, 9_000, old)), NOW, None)
    assert found.select("campaign", "rank").rows() == [("More", 1), ("Less", 2)]


def test_a_cohort_is_maturing_while_it_is_open_or_younger_than_a_deal_takes() -> None:
    assert is_maturing(NOW + timedelta(days=1), NOW, None)
    assert is_maturing(NOW - timedelta(days=59), NOW, CYCLE)
    assert not is_maturing(NOW - timedelta(days=60), NOW, CYCLE)
    assert not is_maturing(NOW - timedelta(days=1), NOW, None)


def test_the_median_cycle_is_that_of_won_deals() -> None:
    deals = pl.DataFrame(
        {
            "outcome": ["won", "won", "won", "lost", "open"],
            "created_at": [NOW] * 5,
            "closed_at": [*(NOW + timedelta(days=days) for days in (10, 90, 20, 500)), None],
        },
        schema={"outcome": pl.String, "created_at": INSTANT, "closed_at": INSTANT},
    )
    assert median_cycle(deals) == timedelta(days=20)
    assert median_cycle(deals.filter(pl.col("outcome") == "lost")) is None
