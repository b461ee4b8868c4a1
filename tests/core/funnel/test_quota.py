"""
What a plan of revenue needs, by the company's own rates.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from worker.core.frames import INSTANT
from worker.core.funnel.quota import Baseline, Group, QuotaRules, baseline, group_of, needed
from worker.core.funnel.totals import MONEY

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def closed(*given: tuple[str, int | None, int]) -> pl.DataFrame:
    rows = [
        (outcome, None if amount is None else Decimal(amount), NEW_YEAR, NEW_YEAR + timedelta(days=days))
        for outcome, amount, days in given
    ]
    schema = {"outcome": pl.String, "amount": MONEY, "created_at": INSTANT, "closed_at": INSTANT}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_companys_own_deals_give_rate_size_and_cycle() -> None:
    found = baseline(
        closed(("won", 30_000, 60), ("won", 10_000, 20), ("lost", 40_000, 9), ("lost", None, 9)), QuotaRules()
    )
    assert found == Baseline(Decimal("0.5"), Decimal("0.5"), Decimal(20_000), 40, closed=4)


def test_what_the_rules_set_stands_in_the_place_of_the_companys_own() -> None:
    rules = QuotaRules(win_rate_percent=Decimal(25), deal_size=Decimal(8_000), cycle_days=0)
    assert baseline(closed(("won", 30_000, 60)), rules) == Baseline(
        Decimal("0.25"), Decimal("0.25"), Decimal(8_000), 0, closed=1
    )


def test_a_revenue_of_a_million_needs_pipeline_and_deals_rounded_up_and_created_a_cycle_before_the_end() -> None:
    found = Baseline(Decimal("0.3"), Decimal("0.25"), Decimal(30_000), 45, closed=80)
    need = needed(Decimal(1_000_000), datetime(2026, 4, 1, tzinfo=UTC), found)
    assert need.pipeline == Decimal("4000000.00")
    assert need.deals == 112  # 111.1
    assert need.created_by == datetime(2026, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize("deals", [closed(), closed(("lost", 5_000, 3)), closed(("won", None, 3))])
def test_where_there_is_too_little_to_tell_nothing_is_made_up(deals: pl.DataFrame) -> None:
    need = needed(Decimal(1_000), NEW_YEAR, baseline(deals, QuotaRules()))
    assert (need.pipeline, need.deals) == (None, None)


def test_a_deal_falls_into_the_first_group_that_fits_and_a_bare_name_takes_the_rest() -> None:
    groups = (
        Group("partner", teams=("Partner",)),
        Group("events", teams=("Marketing",), channels=("Event", "Webinar")),
        Group("inbound", teams=("Marketing",)),
        Group("direct"),
    )
    deals = pl.DataFrame(
        {
            "team": ["Partner", "Marketing", "Marketing", "Sales", None],
            "channel": ["Event", "Webinar", "Website", "Sales outreach", None],
            "type": [None] * 5,
        },
        schema={"team": pl.String, "channel": pl.String, "type": pl.String},
    )
    assert deals.select(group_of(groups)).to_series().to_list() == ["partner", "events", "inbound", "direct", "direct"]
    assert deals.select(group_of(groups[:3])).to_series().to_list()[3:] == [None, None]
