"""
Every number of a report is a count, a sum or a quotient of the rows behind it.
"""

from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from worker.core.funnel.totals import MONEY, Measure, matching, totals

MEASURES = (
    Measure("deals"),
    Measure("won", where="is_won"),
    Measure("win_rate", "percent", where="is_won", over="deals"),
    Measure("amount", "money", column="amount"),
    Measure("won_amount", "money", where="is_won", column="amount"),
    Measure("win_rate_by_amount", "percent", where="is_won", column="amount", over="amount"),
    Measure("mean_days", "days", column="days", averages=True),
)
SCHEMA = {"channel": pl.String, "is_won": pl.Boolean, "amount": MONEY, "days": pl.Int64}

deals = st.lists(
    st.fixed_dictionaries(
        {
            "channel": st.sampled_from(["Webinar", "Event", None]),
            "is_won": st.sampled_from([True, False, None]),
            "amount": st.none() | st.decimals(-10_000, 10_000, places=2),
            "days": st.none() | st.integers(0, 400),
        }
    ),
    max_size=30,
)


@given(deals)
def test_each_line_is_what_its_rows_count_and_add_up_to(given_deals: list[dict[str, object]]) -> None:
    rows = pl.DataFrame(given_deals, schema=SCHEMA)
    found = totals(rows, ["channel"], MEASURES)
    assert found.lines["deals"].sum() == found.total["deals"] == len(given_deals)
    for line in found.lines.iter_rows(named=True):
        behind = matching(rows, {"channel": line["channel"]}).to_dicts()
        won = [row for row in behind if row["is_won"]]
        amounts = [row["amount"] for row in behind if row["amount"] is not None]
        won_amounts = [row["amount"] for row in won if row["amount"] is not None]
        days = [row["days"] for row in behind if row["days"] is not None]
        assert line["deals"] == len(behind) > 0
        assert line["won"] == len(won)
        assert line["win_rate"] == round(100 * len(won) / len(behind), 1)
        assert line["amount"] == (sum(amounts, Decimal(0)) if amounts else None)
        assert line["won_amount"] == (sum(won_amounts, Decimal(0)) if won_amounts else None)
        assert (line["mean_days"] is None) == (not days)
        if days:
            assert abs(line["mean_days"] - sum(days) / len(days)) <= 0.0501


def test_a_rate_over_nothing_is_no_number() -> None:
    rows = pl.DataFrame(
        {"channel": ["Webinar"], "is_won": [True], "amount": [Decimal(0)], "days": [None]}, schema=SCHEMA
    )
    assert totals(rows, ["channel"], MEASURES).total["win_rate_by_amount"] is None


def test_a_report_of_no_rows_counts_nothing_and_adds_up_nothing() -> None:
    found = totals(pl.DataFrame(schema=SCHEMA), ["channel"], MEASURES)
    assert found.lines.is_empty()
    assert found.total["deals"] == found.total["won"] == 0
    assert found.total["amount"] is None
    assert found.total["win_rate"] is None


def test_an_empty_cell_is_a_group_of_its_own_and_stands_last() -> None:
    rows = pl.DataFrame(
        [("Webinar", True, None, 1), (None, False, None, 2), ("Event", None, None, 3)], schema=SCHEMA, orient="row"
    )
    assert totals(rows, ["channel"], MEASURES).lines["channel"].to_list() == ["Event", "Webinar", None]
    assert matching(rows, {"channel": None})["days"].to_list() == [2]
    assert matching(rows, {"is_won": "true"})["days"].to_list() == [1]
