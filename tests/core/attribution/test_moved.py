"""
Money moved between channels: both sides have the same sum, whatever is credited.
"""

from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from worker.core.attribution.moved import CHANNEL_MONEY, NOT_CREDITED, Ledger, whole
from worker.core.frames import DEAL

CLOCKS = ("pipeline",)


def deals(*amounts: tuple[int | None, str, int]) -> pl.DataFrame:
    """
    Units, currency and digits of each deal.
    """
    rows = [
        {"opportunity_id": number, "currency": currency, "amount_units": units, "digits": digits}
        for number, (units, currency, digits) in enumerate(amounts)
    ]
    return pl.DataFrame([{name: row.get(name) for name in DEAL} for row in rows], schema=DEAL)


def money(*rows: tuple[int, str, int]) -> pl.DataFrame:
    """
    Deal, channel and units under model w.
    """
    return pl.DataFrame(
        [(deal, "pipeline", "w", channel, units) for deal, channel, units in rows], schema=CHANNEL_MONEY, orient="row"
    )


def test_a_channel_that_gains_what_another_loses() -> None:
    given = deals((10_000, "USD", 2), (5_000, "USD", 2))
    ledger = Ledger()
    before = whole(money((0, "E-mail", 10_000), (1, "Webinar", 5_000)), given, ["w"], CLOCKS)
    after = whole(money((0, "Newsletter", 10_000), (1, "Webinar", 5_000)), given, ["w"], CLOCKS)
    ledger.add(before, after, given)
    found = {line.channel: (line.before, line.after, line.difference, line.deals) for line in ledger.lines()}
    assert found == {
        "E-mail": (Decimal(100), Decimal(0), Decimal(-100), 1),
        "Newsletter": (Decimal(0), Decimal(100), Decimal(100), 1),
        "Webinar": (Decimal(50), Decimal(50), Decimal(0), 0),
    }
    assert ledger.changed == 1


def test_a_deal_that_is_left_out_by_rule_is_a_line_of_its_own() -> None:
    given = deals((10_000, "USD", 2), (None, "USD", 2))
    found = whole(money(), given, ["w"], CLOCKS)
    assert found.select("channel", "units").rows() == [(NOT_CREDITED, 10_000)]


def test_amounts_of_other_currencies_and_digits_are_not_mixed() -> None:
    given = deals((1_000, "JPY", 0), (1_000, "KWD", 3), (12_345, "USD", 2), (12_345, "USD", 3))
    ledger = Ledger()
    rows = whole(
        money(*((n, "Webinar", units) for n, units in enumerate((1_000, 1_000, 12_345, 12_345)))), given, ["w"], CLOCKS
    )
    ledger.add(rows, rows, given)
    assert {(line.currency, line.before) for line in ledger.lines()} == {
        ("JPY", Decimal(1_000)),
        ("KWD", Decimal(1)),
        ("USD", Decimal("135.795")),
    }


@given(st.lists(st.tuples(st.integers(-(10**12), 10**12), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_both_sides_have_the_same_sum(rows: list[tuple[int, bool, bool]]) -> None:
    given_deals = deals(*((units, "USD", 2) for units, _, _ in rows))
    ledger = Ledger()
    sides = [
        money(*((n, "Webinar" if side else "E-mail", row[0]) for n, row in enumerate(rows) if row[1 + side]))
        for side in (False, True)
    ]
    before, after = (whole(side, given_deals, ["w"], CLOCKS) for side in sides)
    ledger.add(before, after, given_deals)
    lines = ledger.lines()
    assert sum(line.before for line in lines) == sum(line.after for line in lines)
    assert sum(line.before for line in lines) == Decimal(sum(units for units, _, _ in rows)).scaleb(-2)
