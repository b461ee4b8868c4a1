"""
Which touches of a deal get a record, and that its records say together what the model gave.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from worker.core.reconcile.diff import Wanted
from worker.core.reconcile.rules import Target
from worker.core.reconcile.touch_records import (
    ALL_OTHERS,
    CreditedTouch,
    Earned,
    apportioned,
    is_ours,
    key_of,
    opportunity_of,
    records_of,
)

DEAL = "006D000000PLUMAAA0"
NOON = datetime(2026, 6, 2, 12, tzinfo=UTC)
SHARES = {f"{clock}_share": Target(f"HW_{clock}_Share__c", "Percent", scale=4) for clock in ("pipeline", "revenue")}
AMOUNTS = {
    f"{clock}_amount{tail}": Target(f"HW_{clock}_Amount{tail}__c", "Number", scale=2)
    for clock in ("pipeline", "revenue")
    for tail in ("", "_corporate")
}
TARGETS = SHARES | AMOUNTS


def touch(
    number: int, pipeline: Fraction, revenue: Fraction, amount: Decimal | None = Decimal("84000.00")
) -> CreditedTouch:
    def earned(share: Fraction) -> Earned:
        money = None if amount is None else (amount * share.numerator / share.denominator).quantize(Decimal("0.001"))
        return Earned(share, money, money)

    at = NOON + timedelta(days=number)
    return CreditedTouch(f"marketo.activity:{number:03}", at, at.date(), earned(pipeline), earned(revenue))


def made_of(touches: list[CreditedTouch], most: int = 10) -> dict[str, dict[str, object]]:
    found = records_of(DEAL, touches, most=most, model="W v3", reason="because", targets=TARGETS)
    return {key: {want.name: want.value for want in wanted} for key, wanted in found.items()}


weights = st.lists(st.integers(0, 1_000), min_size=1, max_size=40).filter(any)


@given(weights, weights, st.integers(1, 12))
def test_the_shares_of_a_deals_records_add_up_to_what_the_model_gave(
    pipeline: list[int], revenue: list[int], most: int
) -> None:
    count = max(len(pipeline), len(revenue))
    # Something of the credit may be pending: the shares of touches need not add up to one.
    whole = {name: sum(each) + 7 for name, each in (("pipeline", pipeline), ("revenue", revenue))}
    padded = {"pipeline": pipeline + [0] * (count - len(pipeline)), "revenue": revenue + [0] * (count - len(revenue))}
    touches = [
        touch(n, Fraction(padded["pipeline"][n], whole["pipeline"]), Fraction(padded["revenue"][n], whole["revenue"]))
        for n in range(count)
    ]
    records = made_of(touches, most)
    assert len(records) <= most + 1
    for clock in ("pipeline", "revenue"):
        given_share = sum((getattr(each, clock).share for each in touches), Fraction(0)) * 100
        told = sum(Decimal(str(each[f"{clock}_share"])) for each in records.values())
        assert abs(Fraction(told) - given_share) <= Fraction(1, 20_000)
        given_money = sum((getattr(each, clock).amount or 0 for each in touches), Decimal(0))
        told_money = sum(Decimal(str(each[f"{clock}_amount"])) for each in records.values())
        assert abs(told_money - given_money) <= Decimal("0.005")


@given(st.lists(st.fractions(0, 1), min_size=1, max_size=30), st.integers(0, 6), st.sampled_from([1, -1]))
def test_rounded_values_add_up_to_their_rounded_sum_and_none_moves_by_a_whole_unit(
    values: list[Fraction], digits: int, sign: int
) -> None:
    rounded = [Fraction(each or 0) for each in apportioned([value * sign for value in values], digits)]
    unit = Fraction(1, 10**digits)
    assert abs(sum(rounded, Fraction(0)) - sum(values, Fraction(0)) * sign) <= unit / 2
    assert all(abs(got - value * sign) < unit for got, value in zip(rounded, values, strict=True))


def test_ten_touches_have_a_record_each_and_the_rest_share_one() -> None:
    shares = [Fraction(1, 100)] * 5 + [Fraction(95, 1000)] * 10
    records = made_of([touch(number, share, share) for number, share in enumerate(shares)])
    assert len(records) == 11
    others = records[f"{DEAL}:others"]
    assert others["type"] == ALL_OTHERS
    assert others["pipeline_share"] == Decimal("5.0000")
    assert [key for key in records if key != f"{DEAL}:others"] == [
        key_of(DEAL, f"marketo.activity:{n:03}") for n in range(5, 15)
    ]


def test_of_equal_shares_the_earlier_touches_have_records_of_their_own() -> None:
    records = made_of([touch(number, Fraction(1, 4), Fraction(1, 4)) for number in range(4)], most=2)
    assert list(records) == [f"{DEAL}:marketo.activity:000", f"{DEAL}:marketo.activity:001", f"{DEAL}:others"]


def test_a_touch_that_earned_nothing_has_no_record() -> None:
    assert made_of([touch(1, Fraction(0), Fraction(0))]) == {}


def test_a_deal_without_an_amount_has_shares_and_no_money() -> None:
    (record,) = made_of([touch(1, Fraction(1), Fraction(1), None)]).values()
    assert record["pipeline_share"] == Decimal("100.0000")
    assert record["pipeline_amount"] is None
    assert record["revenue_amount_corporate"] is None


def test_a_record_says_its_touch_and_its_reason() -> None:
    told = CreditedTouch(
        "salesforce.campaign_member:00v1",
        NOON,
        date(2026, 6, 2),
        Earned(Fraction(3, 10), Decimal(25200), Decimal(25200)),
        Earned(Fraction(3, 10), Decimal(25200), Decimal(25200)),
        positions="FT; LC",
        type="webinar",
        channel="Webinar",
        offer="Cost Control",
        team="Marketing",
        contact_ref="003D000000ADA00AA0",
    )
    ((key, wanted),) = records_of(DEAL, [told], most=10, model="W v3", reason="because", targets=TARGETS).items()
    assert key == f"{DEAL}:salesforce.campaign_member:00v1"
    assert Wanted("positions", "FT; LC", "because") in wanted
    values = {want.name: want.value for want in wanted}
    assert (values["contact"], values["campaign"], values["touched_on"]) == (
        "003D000000ADA00AA0",
        None,
        date(2026, 6, 2),
    )
    assert (values["model"], values["opportunity"], values["key"]) == ("W v3", DEAL, key)


@given(st.text(min_size=1, max_size=200))
def test_a_key_is_short_stable_and_names_its_deal(touch_id: str) -> None:
    key = key_of(DEAL, touch_id)
    assert key == key_of(DEAL, touch_id)
    assert len(key) <= 80
    assert key != f"{DEAL}:others"
    assert opportunity_of(key) == DEAL
    assert is_ours(key, DEAL)


def test_a_record_with_a_key_of_somebody_elses_is_not_ours() -> None:
    assert not is_ours(None, DEAL)
    assert not is_ours("T-17", DEAL)
    assert not is_ours("006D000000PEAR0AA0:others", DEAL)
