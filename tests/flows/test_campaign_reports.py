"""
What a campaign cost and brought, as a whole and day by day: the days add up to the whole, whatever the span of time.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.frames import INSTANT
from worker.core.funnel.calendar import Calendar
from worker.flows.reports.campaigns import campaigns
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report, Table
from worker.store.reports import CAMPAIGN_ROW, CREDIT_ROW, DEAL_ROW

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOUCH = {
    "touch_id": pl.String,
    "occurred_at": INSTANT,
    "campaign": pl.String,
    "person_id": pl.Int64,
    "account_id": pl.Int64,
}
TURN = {"account_id": pl.Int64, "account": pl.String, "at": INSTANT, "engaged": pl.Boolean}
MODEL = "w"
CALENDAR = Calendar("America/New_York", first_month=2)


def frame(schema: Mapping[str, Any], rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=dict(schema), orient="row")


class Given(Rows):
    """
    Rows that stand in no store. ``costs``: campaign -> currency, cost and its days; touches and credits as mappings.
    """

    def __init__(
        self,
        costs: Mapping[str, tuple[str, str | None, date | None, date | None]],
        touches: list[dict[str, Any]] | None = None,
        credits: list[dict[str, Any]] | None = None,
        turns: list[dict[str, Any]] | None = None,
    ) -> None:
        self._touches, self._credits = frame(TOUCH, touches or []), frame(CREDIT_ROW, credits or [])
        self._turns, self._costs = frame(TURN, turns or []), costs

    def campaigns(self) -> pl.DataFrame:
        rows = []
        for name, (currency, cost, start, end) in self._costs.items():
            own = self._touches.filter(campaign=name)
            told: dict[str, Any] = {"people": own["person_id"].drop_nulls().n_unique(), "touches": own.height}
            told |= {"accounts": own["account_id"].drop_nulls().n_unique(), "first_touch_at": own["occurred_at"].min()}
            days = {"start_on": start, "end_on": end, "cost": cost and Decimal(cost), "currency": currency}
            rows.append({"campaign": name, "channel": "Event", **told, **days})
        return frame(CAMPAIGN_ROW, rows)

    def credits(self, model: str) -> pl.DataFrame:
        return self._credits if model == MODEL else self._credits.clear()

    def touches(self, since: datetime) -> pl.DataFrame:
        return self._touches.filter(pl.col("occurred_at") >= since)

    def turns(self, since: datetime) -> pl.DataFrame:
        return self._turns.filter(pl.col("at") >= since)

    def deals(self) -> pl.DataFrame:
        return pl.DataFrame(schema=dict(DEAL_ROW))


def asked(*by: str, period: str | None = None) -> Asked:
    rules: Any = SimpleNamespace(currency="USD", zone=CALENDAR.zone)
    return Asked(NOW, CALENDAR, rules, MODEL, period=CALENDAR.span(period) if period else None, by=by)


def table(rows: Rows, *by: str, period: str | None = None) -> Table:
    report: Report = campaigns(rows, asked(*by, period=period))
    return report.tables[0]


def test_a_campaign_over_the_end_of_a_fiscal_quarter_costs_in_each_what_its_days_there_do() -> None:
    fair = Given({"Fair": ("USD", "1000", date(2026, 4, 29), date(2026, 5, 1))})
    by_quarter = table(fair, "quarter", "campaign").summed()
    assert by_quarter.lines.select("quarter", "cost").rows() == [
        ("2027-Q1", Decimal("666.67")),
        ("2027-Q2", Decimal("333.33")),
    ]
    assert by_quarter.total["cost"] == Decimal(1000)
    one = table(fair, period="2026-05")
    assert one.rows.select("on", "cost").rows() == [(date(2026, 5, 1), Decimal("333.33"))]
    assert one.summed().total["cost"] == Decimal("333.33")


def test_the_day_is_that_of_the_organisation() -> None:
    late = datetime(2026, 7, 1, 3, 30, tzinfo=UTC)  # still June in New York
    rows = Given({"Ad": ("USD", None, None, None)}, [{"campaign": "Ad", "occurred_at": late, "person_id": 1}])
    assert table(rows, "month").summed().lines.select("month", "people").rows() == [("2026-06", 1)]


def test_a_person_counts_on_the_day_they_were_first_reached_and_an_account_when_it_became_engaged() -> None:
    days = [datetime(2026, 3, 1 + number, 12, tzinfo=UTC) for number in range(3)]
    touches = [{"campaign": "Ad", "occurred_at": day, "person_id": 1, "account_id": 7} for day in days]
    turns = [{"account_id": 7, "at": days[2] + timedelta(hours=1), "engaged": True}]
    found = table(Given({"Ad": ("USD", None, None, None)}, touches, turns=turns), "month", "campaign").rows
    assert found["people"].to_list() == [1, 0, 0]
    assert found["touches"].to_list() == [1, 1, 1]
    assert found["newly_engaged"].to_list() == [0, 0, 1]


def test_a_cost_without_a_day_falls_into_no_period_and_is_named() -> None:
    rows = Given({"Asset": ("USD", "50", None, None), "Odd": ("USD", "7", date(2026, 2, 2), date(2026, 1, 1))})
    report = campaigns(rows, asked("year"))
    assert report.tables[0].summed().lines.select("year", "cost").rows() == [(None, Decimal(57))]
    assert "Asset, Odd" in report.notes[1]
    assert campaigns(rows, asked(period="2026")).tables[0].rows.is_empty()


def test_credit_in_another_currency_has_a_line_of_its_own_and_is_not_lost() -> None:
    credit = {"campaign": "Fair", "currency": "EUR", "clock": "pipeline", "amount": Decimal(9), "share": 1.0}
    fair = Given({"Fair": ("USD", "5", None, None)}, credits=[credit | {"counted_at": NOW}])
    for found in (table(fair), table(fair, "year")):
        lines = found.summed().lines
        assert sorted(lines.select("currency", "cost", "pipeline").rows()) == [
            ("EUR", None, Decimal(9)),
            ("USD", Decimal(5), None),
        ]
    assert table(fair).summed().total["campaigns"] == 1


EVENTS = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4), st.integers(0, 700)), max_size=25)


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 600), st.integers(0, 200)), min_size=2, max_size=2),
    EVENTS,
    EVENTS,
    st.sampled_from(["week", "month", "quarter", "half", "year"]),
)
def test_the_spans_of_every_campaign_add_up_to_it(
    costs: list[tuple[int, int, int]],
    touched: list[tuple[int, int, int]],
    earned: list[tuple[int, int, int]],
    kind: str,
) -> None:
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    named = {
        f"c{number}": (
            "USD",
            str(Decimal(cents) / 100),
            begin.date() + timedelta(days=start),
            begin.date() + timedelta(days=start + days),
        )
        for number, (cents, start, days) in enumerate(costs)
    }
    touches = [
        {
            "campaign": f"c{which}",
            "person_id": who,
            "account_id": who // 2,
            "occurred_at": begin + timedelta(hours=24 * day),
        }
        for which, who, day in touched
    ]
    turns = [{"account_id": 1, "at": begin + timedelta(days=day), "engaged": True} for _, _, day in touched[:3]]
    credit = [
        {
            "campaign": f"c{which}",
            "currency": "USD",
            "clock": ("pipeline", "revenue")[number % 2],
            "outcome": "won",
            "amount": Decimal(cents) / 100,
            "share": 0.5,
            "counted_at": begin + timedelta(days=day),
        }
        for number, (which, cents, day) in enumerate(earned)
    ]
    rows = Given(named, touches, credit, turns)
    whole = {line["campaign"]: line for line in table(rows).rows.iter_rows(named=True)}
    parts = table(rows, kind, "campaign").summed().lines
    for name, line in whole.items():
        mine = parts.filter(campaign=name)
        for number in ("people", "accounts", "newly_engaged", "cost", "pipeline", "won"):
            assert mine[number].sum() == (line[number] or 0), (name, number)
        assert mine["deals"].sum() == pytest.approx(line["deals"])
