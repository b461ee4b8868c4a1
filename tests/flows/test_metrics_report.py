"""
Which numbers of the middle of the funnel go with won revenue, and of which accounts that can be told.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from tests.flows.test_campaign_reports import TURN, frame
from tests.flows.world import World
from tests.service import Running
from worker.core.engagement.rules import EngagementRules
from worker.core.frames import INSTANT
from worker.core.funnel.calendar import Calendar
from worker.flows.reports.metrics import metrics
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report
from worker.store.reports import BEFORE_ROW, DEAL_ROW

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
Known = Mapping[str, Sequence[str]]


def deal(account: int, outcome: str, amount: int | None, **fields: Any) -> dict[str, Any]:
    """
    Created at the beginning, closed sixty days later.
    """
    closed_at = None if outcome == "open" else BEGIN + timedelta(days=60)
    given = {"account_id": account, "outcome": outcome, "created_at": BEGIN, "closed_at": closed_at, "state": "Final"}
    return {**given, "currency": "USD", "amount": None if amount is None else Decimal(amount), "size": "1-49", **fields}


class Given(Rows):
    """
    Deals, what happened before them by account, turns of flags, and since when acts are kept.
    """

    def __init__(
        self,
        deals: list[dict[str, Any]],
        before: Mapping[int, Mapping[str, int]] | None = None,
        turns: list[dict[str, Any]] | None = None,
        since: datetime = BEGIN - timedelta(days=400),
    ) -> None:
        numbered = [{"opportunity_id": number, **each} for number, each in enumerate(deals)]
        self._deals, self._turns, self._since = frame(DEAL_ROW, numbered), frame(TURN, turns or []), since
        self._before = {account: dict.fromkeys(BEFORE_ROW, 0) | dict(row) for account, row in (before or {}).items()}

    def deals(self) -> pl.DataFrame:
        return self._deals

    def acts_before(self, until: pl.DataFrame, days: int, types: Known) -> pl.DataFrame:
        assert (days, types["sales"]) == (90, ["call", "meeting", "sales_email"])
        wanted = set(until["account_id"])
        return frame(BEFORE_ROW, [row | {"account_id": each} for each, row in self._before.items() if each in wanted])

    def acts_by_month(self, types: Sequence[str]) -> pl.DataFrame:
        assert "demo_request" in types
        return frame({"month_at": INSTANT, "acts": pl.Int64}, [{"month_at": self._since, "acts": 9}])

    def turns(self, since: datetime) -> pl.DataFrame:
        return self._turns.filter(pl.col("at") >= since)


def report(rows: Rows, *by: str) -> Report:
    rules: Any = SimpleNamespace(currency="USD", engagement=EngagementRules())
    return metrics(rows, Asked(NOW, Calendar("UTC"), rules, "w", by=by))


def lines(found: Report) -> dict[str, dict[str, Any]]:
    return {line["metric"]: line for line in found.tables[0].summed().lines.iter_rows(named=True)}


HALF_WON = [deal(number, "won" if number % 2 else "lost", 1_000 * number) for number in range(40)]
# Whoever won had one request for each thousand; everybody had one webinar.
BEFORE = {n: {"requests": n if n % 2 else 0, "webinars": 1, "people": n % 5} for n in range(40)}


def test_what_was_done_by_those_who_won_most_goes_with_won_revenue() -> None:
    found = report(Given(HALF_WON, BEFORE))
    requests = lines(found)["requests"]
    assert (requests["accounts"], requests["won"], requests["correlation"]) == (40, 20, 1.0)
    assert (requests["mean_if_won"], requests["mean_if_lost"]) == (20.0, 0.0)
    assert "A correlation is no cause." in found.remarks[0]


def test_what_everybody_did_alike_and_what_may_be_chance_is_named() -> None:
    found = report(Given(HALF_WON, BEFORE))
    assert lines(found)["webinars"]["correlation"] is None
    assert any("the same number" in each and "webinars" in each for each in found.remarks)
    assert any(each == "May well be chance: people." for each in found.remarks)


def test_of_fewer_than_thirty_accounts_nothing_is_told() -> None:
    found = report(Given(HALF_WON[:29], BEFORE))
    assert {line["correlation"] for line in lines(found).values()} == {None}
    assert any("fewer than 30 accounts" in each and "requests (29)" in each for each in found.remarks)


def test_groups_of_a_metric_are_told_apart_and_metrics_are_never_mixed() -> None:
    found = report(Given(HALF_WON, BEFORE), "size").tables[0]
    assert found.by == ("metric", "size")
    assert found.summed().lines.filter(metric="requests")["correlation"].to_list() == [1.0]


def test_a_number_opens_the_accounts_behind_it() -> None:
    rows = report(Given(HALF_WON, BEFORE)).tables[0].rows.filter(metric="requests", account_id=7)
    assert rows.select("value", "won_amount", "is_won").rows() == [(7.0, Decimal(7_000), True)]


def test_an_account_is_judged_by_its_first_deal_alone() -> None:
    later = deal(1, "won", 99_000, created_at=BEGIN + timedelta(days=1))
    found = report(Given([later, deal(1, "lost", 5)])).tables[0].rows.filter(metric="acts")
    assert found.select("account_id", "won_amount").rows() == [(1, Decimal(0))]


def test_accounts_whose_outcome_cannot_be_told_are_left_out_and_counted() -> None:
    others = [
        deal(101, "open", 5),
        deal(102, "won", None),
        deal(103, "won", 7, currency="EUR"),
        deal(104, "lost", 7, created_at=NOW - timedelta(days=59)),
        deal(105, "lost", None),
        deal(106, "won", 7, created_at=BEGIN - timedelta(days=500)),
    ]
    found = report(Given([*HALF_WON, *others]))
    assert (
        found.tables[0].rows["account_id"].n_unique() == 41
    )  # without an amount, a lost deal won nothing all the same
    assert found.notes[-1] == (
        "Left out are accounts: 1 that won a deal without an amount, 1 whose first deal is older than what is kept of "
        "acts (since 2024-11-27), 1 whose first deal is still open, 1 whose first deal is younger, 1 with another "
        "currency than USD."
    )


def test_days_engaged_are_told_of_deals_since_flags_are_kept() -> None:
    def turn(account: int, days: float, *, engaged: bool) -> dict[str, Any]:
        return {"account_id": account, "at": BEGIN - timedelta(days=days), "engaged": engaged}

    turns = [
        turn(9, 120, engaged=True),
        turn(9, 119, engaged=False),
        turn(1, 100, engaged=True),
        turn(1, 80, engaged=False),
        turn(1, 4, engaged=True),
    ]
    early = deal(3, "won", 8, created_at=BEGIN - timedelta(days=31))
    found = report(Given([deal(1, "won", 5), deal(2, "lost", 5), early], turns=turns)).tables[0].rows
    assert found.filter(metric="days_engaged").sort("account_id").select("account_id", "value").rows() == [
        (1, 14.0),
        (2, 0.0),
    ]


@pytest.mark.slow
def test_only_what_was_done_in_the_days_before_counts(service: Running) -> None:
    world = World(service, "rowan")
    account = world.account(NumberOfEmployees=500)
    ada, bob = (world.known(world.contact(account, first)) for first in ("Ada", "Bob"))
    for person, days in ((ada, 131), (ada, 129), (ada, 100), (bob, 100), (bob, 41), (bob, 39)):
        world.form(person, days, "cpc")
    world.form(bob, 60, "cpc", asset="Demo Request")
    world.form(bob, 60, "cpc", asset="Webinar Registration")
    world.deal(account, opened=40)
    service.cycle()
    rules = service.service.rules
    with service.service.engine.connect() as connection:
        rows = Rows(connection, rules)
        until = rows.deals().select("account_id", until_at="created_at")
        worth = sorted(rules.engagement.acts)
        types = {"worth": worth, "requests": sorted(rules.engagement.act_now), "sales": ["meeting"]}
        (found,) = rows.acts_before(until, 90, types).to_dicts()
        months = rows.acts_by_month(worth)
    assert {name: found[name] for name in ("people", "active_days", "requests", "webinars", "sales_touches")} == {
        "people": 2,
        "active_days": 4,
        "requests": 1,
        "webinars": 0,
        "sales_touches": 0,
    }
    assert (found["acts"], found["marketing_touches"]) == (6, 5)
    assert months["acts"].sum() == 8
