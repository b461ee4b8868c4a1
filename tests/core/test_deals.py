"""
When a deal was won or lost, whether it may earn credit, its money in whole units, and when its people came to be known.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from worker.core.deals import (
    STAGE,
    STAGE_ENTRY,
    DealRules,
    as_deals,
    created_in_crm,
    outcomes,
    why_not_credited,
)
from worker.core.frames import INSTANT

STAGES = pl.DataFrame(
    {
        "name": ["Prospecting", "Proposal", "Closed Won", "Closed Lost"],
        "is_closed": [False, False, True, True],
        "is_won": [False, False, True, False],
    },
    schema=STAGE,
)
NEW_YORK = "America/New_York"


def at(day: int, hour: int = 12, month: int = 6) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def deal(**values: Any) -> pl.DataFrame:
    row = {"record_id": "deal", "stage": "Closed Won", "is_closed": True, "is_won": True, "close_on": date(2026, 6, 30)}
    return pl.DataFrame(
        [row | values],
        schema={
            "record_id": pl.String,
            "stage": pl.String,
            "is_closed": pl.Boolean,
            "is_won": pl.Boolean,
            "close_on": pl.Date,
        },
    )


def history(*entries: tuple[str, datetime]) -> pl.DataFrame:
    rows = [("deal", stage, entered_at) for stage, entered_at in entries]
    return pl.DataFrame(rows, schema=STAGE_ENTRY, orient="row")


def ending(deals: pl.DataFrame, entries: pl.DataFrame, zone: str = "UTC") -> tuple[str, datetime | None]:
    (row,) = outcomes(deals, entries, STAGES, zone).iter_rows(named=True)
    return row["outcome"], row["closed_at"]


def test_a_deal_closes_when_its_history_enters_a_closed_stage_whatever_its_close_date_says() -> None:
    entries = history(("Prospecting", at(1)), ("Proposal", at(5)), ("Closed Won", at(9)))
    assert ending(deal(), entries) == ("won", at(9))


def test_a_second_row_in_a_closed_stage_does_not_move_the_close() -> None:
    entries = history(("Prospecting", at(1)), ("Closed Won", at(9)), ("Closed Won", at(20)))
    assert ending(deal(), entries) == ("won", at(9))


def test_a_deal_lost_and_reopened_and_won_closed_when_it_was_won() -> None:
    entries = history(("Prospecting", at(1)), ("Closed Lost", at(4)), ("Proposal", at(8)), ("Closed Won", at(15)))
    assert ending(deal(), entries) == ("won", at(15))


def test_a_reopened_deal_is_open_and_has_no_close() -> None:
    entries = history(("Prospecting", at(1)), ("Closed Lost", at(4)), ("Proposal", at(8)))
    assert ending(deal(stage="Proposal", is_closed=False, is_won=False), entries) == ("open", None)


def test_without_history_a_deal_closes_at_the_end_of_its_close_date_where_the_org_is() -> None:
    assert ending(deal(), history(), NEW_YORK) == ("won", datetime(2026, 7, 1, 3, 59, 59, tzinfo=UTC))
    assert ending(deal(), history()) == ("won", datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC))


def test_the_end_of_a_day_on_which_clocks_change_is_still_that_days() -> None:
    # In New York 1 November 2026 has 25 hours.
    _, closed_at = ending(deal(close_on=date(2026, 11, 1)), history(), NEW_YORK)
    assert closed_at == datetime(2026, 11, 2, 4, 59, 59, tzinfo=UTC)


def test_a_closed_deal_that_is_not_won_is_lost() -> None:
    assert ending(deal(stage="Closed Lost", is_won=False), history(("Closed Lost", at(3)))) == ("lost", at(3))


def test_a_deal_without_flags_is_open() -> None:
    assert ending(deal(stage=None, is_closed=None, is_won=None), history()) == ("open", None)


def test_a_stage_the_organisation_does_not_know_any_more_closes_nothing() -> None:
    entries = history(("Verbal yes", at(2)), ("Closed Won", at(9)))
    assert ending(deal(), entries) == ("won", at(9))


def facts(**values: Any) -> pl.DataFrame:
    row = {
        "opportunity_id": 1,
        "account_id": 2,
        "created_at": at(1),
        "closed_at": None,
        "outcome": "open",
        "amount_units": "84000",
        "amount_scale": 0,
        "currency": "USD",
    }
    return pl.DataFrame(
        [row | values],
        schema={
            "opportunity_id": pl.Int64,
            "account_id": pl.Int64,
            "created_at": INSTANT,
            "closed_at": INSTANT,
            "outcome": pl.String,
            "amount_units": pl.String,
            "amount_scale": pl.Int32,
            "currency": pl.String,
        },
    )


@pytest.mark.parametrize(
    ("amount", "currency", "units", "digits"),
    [
        (Decimal(84000), "USD", 8_400_000, 2),
        (Decimal("84000.5"), "USD", 8_400_050, 2),
        (Decimal("0.0001"), "USD", 1, 4),
        (Decimal(84000), "JPY", 84_000, 0),
        (Decimal("84000.25"), "JPY", 8_400_025, 2),
        (Decimal("1.5"), "KWD", 1_500, 3),
        (Decimal("-12.34"), "EUR", -1_234, 2),
        (Decimal(0), "USD", 0, 2),
    ],
)
def test_money_is_whole_units_of_the_finer_of_currency_and_amount(
    amount: Decimal, currency: str, units: int, digits: int
) -> None:
    scale = -int(amount.as_tuple().exponent)
    given = facts(amount_units=str(int(amount.scaleb(scale))), amount_scale=scale, currency=currency)
    (row,) = as_deals(given, "USD").iter_rows(named=True)
    assert (row["amount_units"], row["digits"]) == (units, digits)


def test_an_empty_amount_stays_empty_and_an_empty_currency_is_the_organisations() -> None:
    (row,) = as_deals(facts(amount_units=None, amount_scale=None, currency=None), "JPY").iter_rows(named=True)
    assert (row["amount_units"], row["currency"], row["digits"]) == (None, "JPY", 0)


def reason(rules: DealRules | None = None, **values: Any) -> str | None:
    texts = {"name": "Acme", "type": "New Business", "record_type_ref": None, "record_type": None, "stage": "Proposal"}
    row: dict[str, Any] = {**texts, "amount": Decimal(10), "currency": "USD"}
    schema = {**dict.fromkeys((*texts, "currency"), pl.String), "amount": pl.Decimal(38, 6)}
    found: str | None = why_not_credited(pl.DataFrame([row | values], schema=schema), rules or DealRules()).item()
    return found


def test_renewals_and_zero_amounts_earn_no_credit_and_say_why() -> None:
    assert reason(type="renewal") == "type renewal"
    assert reason(amount=Decimal(0)) == "zero amount"
    assert reason() is None


@pytest.mark.parametrize("sign", [1, -1])
def test_an_amount_that_64_bits_do_not_hold_is_no_money_and_earns_no_credit(sign: int) -> None:
    """
    The largest number of units is 9,223,372,036,854,775,807.
    """
    too_large = "amount too large to be counted exactly"
    for amount, currency, said in (
        ("92233720368547758.07", "USD", None),
        ("92233720368547758.09", "USD", too_large),
        ("99999999999999999", "USD", too_large),
        ("99999999999999999", "JPY", None),
        ("9223372036854775809", "JPY", too_large),
        ("9223372036854.775807", "JPY", None),
        ("9223372036854.775809", "JPY", too_large),
        ("922337203685477.5807", None, None),
        ("922337203685478", None, too_large),
    ):
        money = Decimal(amount) * sign
        assert reason(amount=money, currency=currency) == said, (amount, currency)
        scale = max(0, -int(money.normalize().as_tuple().exponent))
        given = facts(amount_units=str(int(money.scaleb(scale))), amount_scale=scale, currency=currency)
        (row,) = as_deals(given, "CLF").iter_rows(named=True)
        exact = None if said else int(money.scaleb(row["digits"]))
        assert row["amount_units"] == exact, (amount, currency)


def test_a_clone_is_told_by_the_words_of_its_name_and_by_nothing_else() -> None:
    rules = DealRules(exclude_names=("clone", "copy of"))
    assert reason(rules, name="Acme - Renewal 2027 (Clone)") == "name says clone"
    assert reason(rules, name="Copy of Acme") == "name says copy of"
    assert reason(rules, name="Cyclone Industries") is None
    assert reason(rules, name=None) is None


def test_an_empty_amount_is_not_zero_and_may_earn_credit() -> None:
    assert reason(amount=None) is None
    assert reason(DealRules(minimum_amount=Decimal(100)), amount=None) is None


def test_the_rules_may_leave_out_record_types_stages_and_small_deals() -> None:
    assert reason(DealRules(exclude_record_types=("012A",)), record_type_ref="012a") == "record type 012a"
    by_name = DealRules(exclude_record_types=("Partner_Deal",))
    assert reason(by_name, record_type_ref="012a", record_type="Partner_Deal") == "record type Partner_Deal"
    assert reason(by_name, record_type_ref="012a") is None
    assert reason(DealRules(exclude_stages=("Proposal",))) == "stage Proposal"
    assert reason(DealRules(minimum_amount=Decimal(11))) == "amount below the minimum"
    assert reason(DealRules(minimum_amount=Decimal(11)), amount=Decimal(-12)) is None
    assert reason(DealRules(include_zero_amount=True), amount=Decimal(0)) is None


def test_a_person_was_created_when_their_oldest_lead_was_else_their_oldest_contact() -> None:
    members = pl.DataFrame(
        [
            (1, "lead", at(9)),
            (1, "lead", at(4)),
            (1, "contact", at(2)),
            (2, "contact", at(8)),
            (2, "contact", at(6)),
            (3, "platform", at(1)),
        ],
        schema={"golden_id": pl.Int64, "stream": pl.String, "created_at": INSTANT},
        orient="row",
    )
    found = created_in_crm(members, "lead", "contact").sort("golden_id")
    assert found["created_at"].to_list() == [at(4), at(6), None]
