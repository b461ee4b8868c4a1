"""
Deals as they stood at a past moment.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from worker.core.deals import STAGE
from worker.core.history import DEAL_CHANGE, as_stood
from worker.core.timeline import Lens
from worker.store.decisions import DEAL_FACTS

MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
STAGES = pl.DataFrame(
    {
        "name": ["Prospecting", "Negotiation", "Closed Won"],
        "is_closed": [False, False, True],
        "is_won": [False, False, True],
    },
    schema=STAGE,
)


def deal(**fields: Any) -> pl.DataFrame:
    given: dict[str, Any] = {
        "opportunity_id": 1,
        "currency": "USD",
        "amount": Decimal(90_000),
        "amount_units": "90000",
        "amount_scale": 0,
        "created_at": MAY,
        "closed_at": MAY + 30 * DAY,
        "outcome": "won",
        "stage": "Closed Won",
        "is_deleted": False,
    }
    return pl.DataFrame([{name: (given | fields).get(name) for name in DEAL_FACTS}], schema=DEAL_FACTS)


def changes(*rows: tuple[int, str, int, int]) -> pl.DataFrame:
    """
    Day, stage, amount and day of arrival of each change.
    """
    told = [
        {
            "opportunity_id": 1,
            "occurred_at": MAY + day * DAY,
            "stage": stage,
            "amount": Decimal(amount),
            "amount_units": str(amount),
            "amount_scale": 0,
            "close_on": date(2026, 6, 30),
            "arrived_at": MAY + came * DAY,
        }
        for day, stage, amount, came in rows
    ]
    return pl.DataFrame(told, schema={**DEAL_CHANGE, "arrived_at": pl.Datetime("us", "UTC")})


STORY = changes((0, "Prospecting", 50_000, 0), (10, "Negotiation", 80_000, 10), (30, "Closed Won", 90_000, 35))


def stood(lens: Lens, story: pl.DataFrame = STORY, **fields: Any) -> dict[str, Any]:
    return as_stood(deal(**fields), story, STAGES, lens, "UTC").row(0, named=True)


def test_a_deal_stands_by_its_last_change() -> None:
    found = stood(Lens(MAY + 20 * DAY))
    assert (found["stage"], found["amount"], found["amount_units"]) == ("Negotiation", Decimal(80_000), "80000")
    assert (found["outcome"], found["closed_at"]) == ("open", None)


def test_a_deal_of_which_nothing_is_hidden_stands_as_it_does_now() -> None:
    found = stood(Lens(MAY + 40 * DAY))
    assert (found["stage"], found["outcome"], found["closed_at"]) == ("Closed Won", "won", MAY + 30 * DAY)


def test_a_close_that_was_not_known_yet_leaves_the_deal_open() -> None:
    at = MAY + 32 * DAY
    assert stood(Lens(at))["outcome"] == "won"
    assert stood(Lens(at, at))["outcome"] == "open"
    assert stood(Lens(at, at))["amount"] == Decimal(80_000)


def test_a_deal_was_not_there_before_its_creation() -> None:
    assert as_stood(deal(), STORY, STAGES, Lens(MAY - DAY), "UTC").is_empty()


def test_a_deal_without_history_keeps_its_amount_and_is_open_up_to_its_close() -> None:
    nothing = STORY.clear()
    before, after = stood(Lens(MAY + 20 * DAY), nothing), stood(Lens(MAY + 40 * DAY), nothing)
    assert (before["outcome"], before["closed_at"], before["amount"]) == ("open", None, Decimal(90_000))
    assert (after["outcome"], after["closed_at"]) == ("won", MAY + 30 * DAY)


def test_a_deal_that_was_closed_and_opened_again_was_closed_in_between() -> None:
    story = changes((0, "Prospecting", 1, 0), (5, "Closed Won", 2, 5), (9, "Negotiation", 3, 9))
    found = stood(Lens(MAY + 7 * DAY), story, outcome="open", closed_at=None, stage="Negotiation")
    assert (found["outcome"], found["closed_at"], found["amount"]) == ("won", MAY + 5 * DAY, Decimal(2))
