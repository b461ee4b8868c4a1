"""
What customers are worth by what first brought them, held against the deals behind.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from tests.flows.test_campaign_reports import frame
from worker.core.funnel.calendar import Calendar
from worker.core.funnel.value import KindRules
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report
from worker.flows.reports.value import value
from worker.store.reports import DEAL_ROW, NOT_CREDITED, PERSON_ROW

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CALENDAR = Calendar("UTC")
MAPLE, BIRCH = 1, 2


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def deal(account: int | None, won_on: str, amount: int | None, channel: str | None, **fields: Any) -> dict[str, Any]:
    at = day(won_on)
    given = {"account_id": account, "closed_at": at, "created_at": at - timedelta(days=60), "outcome": "won"}
    renewal = {"type": "Renewal", "state": NOT_CREDITED} if channel is None else {"type": "New", "state": "Final"}
    told = {
        "channel": channel,
        "team": channel and "Marketing",
        "currency": "USD",
        "amount": amount and Decimal(amount),
    }
    return {**given, **renewal, **told, "account": f"Account {account}", **fields}


class Given(Rows):
    """
    Deals and people that stand in no store.
    """

    def __init__(self, deals: list[dict[str, Any]], people: list[dict[str, Any]] | None = None) -> None:
        numbered = [{"opportunity_id": number, **each} for number, each in enumerate(deals)]
        self._deals, self._people = frame(DEAL_ROW, numbered), frame(PERSON_ROW, people or [])

    def deals(self) -> pl.DataFrame:
        return self._deals

    def people(self) -> pl.DataFrame:
        return self._people


def report(rows: Rows, *by: str, period: str | None = None) -> Report:
    rules: Any = SimpleNamespace(currency="USD", kinds=KindRules(("Renewal",), ("Upgrade",)))
    return value(rows, Asked(NOW, CALENDAR, rules, "w", CALENDAR.span(period) if period else None, by))


MAPLE_AND_BIRCH = [
    deal(MAPLE, "2024-02-01", 10_000, "Webinar"),
    deal(MAPLE, "2025-02-01", 12_000, None),
    deal(MAPLE, "2025-06-01", 5_000, "Event"),
    deal(BIRCH, "2025-01-10", 40_000, "Event"),
    deal(BIRCH, "2026-01-10", 40_000, None, outcome="lost"),
    deal(BIRCH, "2026-12-10", 40_000, None, outcome="open"),
]


def test_a_customer_is_told_under_the_channel_that_opened_its_first_deal() -> None:
    table = report(Given(MAPLE_AND_BIRCH)).tables[0]
    lines = table.summed().lines
    assert lines.select("channel", "customers", "churned", "new_business", "expansion", "renewed").rows() == [
        ("Event", 1, 1, 40_000, 0, 0),
        ("Webinar", 1, 0, 10_000, 5_000, 12_000),
    ]
    total = table.summed().total
    assert (total["renewals"], total["renewal_rate"], total["renewal_rate_by_amount"]) == (2, 50.0, 23.1)
    assert (total["churn_rate"], total["lifetime_value"], total["mean_value"]) == (50.0, 67_000, 33_500)


def test_the_value_of_all_customers_is_that_of_all_won_deals_and_is_said_to_be() -> None:
    found = report(Given(MAPLE_AND_BIRCH))
    assert found.remarks == ["4 won deals of 67,000.00 USD by Salesforce, which is what it adds up to."]
    assert found.tables[1].summed().lines.select("kind", "deals", "won_amount", "lost_amount").rows() == [
        ("expansion", 1, 5_000, None),
        ("new business", 2, 50_000, None),
        ("renewal", 2, 12_000, 40_000),
    ]


def test_the_deals_behind_a_channel_are_those_of_its_customers() -> None:
    customers, deals = report(Given(MAPLE_AND_BIRCH), "channel").tables
    for line in customers.summed().lines.iter_rows(named=True):
        behind = deals.rows.filter(pl.col("is_won"), channel=line["channel"])
        assert behind["amount"].sum() == line["lifetime_value"]
    assert deals.by == ("channel", "kind")


def test_a_renewal_earns_no_credit_and_so_opened_nothing() -> None:
    rows = Given(
        [deal(MAPLE, "2024-02-01", 5, None), deal(MAPLE, "2025-02-01", 7, "Event"), deal(BIRCH, "2024-02-01", 1, None)]
    )
    found = report(rows).tables[0].rows
    assert found.select("account_id", "channel", "first_won_at").rows() == [
        (MAPLE, "Event", day("2024-02-01")),
        (BIRCH, None, day("2024-02-01")),
    ]


def test_the_original_source_is_that_of_the_first_of_its_people_and_of_nobody_who_came_after_the_win() -> None:
    people = [
        {"person_id": number, "account_id": account, "original_source_at": day(came_on), "channel": channel}
        for number, (account, came_on, channel) in enumerate(
            [
                (MAPLE, "2023-09-01", "Paid search"),
                (MAPLE, "2023-06-01", "Referral"),
                (BIRCH, "2025-02-01", "Paid social"),
                (None, "2020-01-01", "Display"),
            ]
        )
    ]
    found = report(Given(MAPLE_AND_BIRCH, people), "original_source").tables[0].summed().lines
    assert found.select("original_source", "lifetime_value").rows() == [("Referral", 27_000), (None, 40_000)]


def test_a_period_takes_the_customers_that_were_first_won_in_it_with_all_their_deals() -> None:
    found = report(Given(MAPLE_AND_BIRCH), "year", period="2024")
    assert found.tables[0].summed().lines.select("year", "customers", "lifetime_value").rows() == [("2024", 1, 27_000)]
    assert found.tables[1].rows.height == 3
    assert found.remarks == ["3 won deals of 27,000.00 USD by Salesforce, which is what it adds up to."]


def test_what_no_customer_has_is_told_apart() -> None:
    stray = [
        deal(None, "2026-02-01", 900, "Event"),
        deal(3, "2026-03-01", 8, None, outcome="lost"),
        deal(4, "2026-03-01", 8, "Event", outcome="lost"),
    ]
    assert report(Given([*MAPLE_AND_BIRCH, *stray])).remarks[1:] == [
        "Apart, won deals without an account: 1, of 900.00 USD.",
        "Apart, renewals lost by accounts that have won nothing here: 1.",
    ]


def test_money_of_several_currencies_is_added_up_by_no_line_and_a_customer_counts_once() -> None:
    found = report(Given([*MAPLE_AND_BIRCH, deal(MAPLE, "2026-05-01", 300, "Event", currency="EUR")]))
    lines = found.tables[0].summed().lines
    assert lines.select("channel", "currency", "customers", "lifetime_value").rows() == [
        ("Event", "USD", 1, 40_000),
        ("Webinar", "EUR", 0, 300),
        ("Webinar", "USD", 1, 27_000),
    ]
    total = found.tables[0].summed().total
    assert (total["customers"], total["churn_rate"], total["lifetime_value"]) == (2, 50.0, None)
    assert total["mean_value"] is None
    assert len([each for each in found.remarks if "which is what it adds up to" in each]) == 2


@pytest.mark.parametrize("deals", [[], [deal(MAPLE, "2026-01-01", 5, "Event", outcome="lost")]])
def test_without_a_customer_there_is_an_empty_report(deals: list[dict[str, Any]]) -> None:
    found = report(Given(deals))
    assert found.tables[0].summed().total["customers"] == 0
    assert found.remarks == []
