"""
Late data after a deal was settled: shown as dated adjustments, and inside a locked period nothing moves.
"""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import text

from tests.flows.world import World
from tests.service import Running
from worker.store import adjustments

pytestmark = pytest.mark.slow


def settled_deal(world: World, opened: float = 30) -> tuple[str, int]:
    """
    A deal, created 30 days ago, with one touch of paid search 20 days before; and the buyer, as Marketo knows her.
    """
    account = world.account()
    ada = world.contact(account, "Ada")
    person = world.known(ada)
    world.form(person, opened + 20, "cpc")
    deal = world.deal(account, opened=opened)
    world.role(deal, ada)
    world.running.cycle()
    return deal, person


def adjusted(world: World, deal: str, clock: str = "pipeline", model: str = "linear") -> list[dict[str, object]]:
    return world.running.rows(
        """
        SELECT item, share_before, share_after, units_delta, kind, cause, adjusted_on FROM adjustment
        WHERE opportunity_id = :id AND clock = :clock AND model = :model ORDER BY id
        """,
        id=world.running.golden_id("opportunity", deal),
        clock=clock,
        model=model,
    )


def lock(world: World, starts_on: date, ends_on: date) -> None:
    with world.running.service.engine.begin() as connection:
        adjustments.lock(connection, starts_on, ends_on, "closed by finance", "a test")


def day(world: World, ago: float) -> date:
    return (world.now - timedelta(days=ago)).date()


def test_a_late_touch_restates_a_settled_share_and_says_on_which_day(service: Running) -> None:
    world = World(service, "juniper")
    deal, person = settled_deal(world)
    assert adjusted(world, deal) == []
    world.form(person, 70, "newsletter")
    service.cycle()
    assert world.shares(deal, "pipeline") == {"Paid search": "1/2", "E-mail": "1/2"}
    rows = adjusted(world, deal)
    assert [(row["share_before"], row["share_after"], row["units_delta"]) for row in rows] == [
        ("1", "1/2", -4_200_000),
        ("0", "1/2", 4_200_000),
    ]
    assert {(row["kind"], row["cause"]) for row in rows} == {("restated", "late data")}
    days = {date.fromisoformat(str(row["adjusted_on"])) for row in rows}
    assert all(abs(on - world.now.date()) <= timedelta(days=1) for on in days)
    # An open deal's revenue is to date and not settled, so nothing is adjusted there.
    assert adjusted(world, deal, "revenue") == []


def test_a_touch_after_creation_adjusts_nothing(service: Running) -> None:
    world = World(service, "larch")
    deal, person = settled_deal(world)
    world.form(person, 5, "newsletter")
    service.cycle()
    assert adjusted(world, deal) == []


def test_in_a_locked_period_the_credit_stays_and_the_difference_is_booked_once(service: Running) -> None:
    world = World(service, "maple")
    deal, person = settled_deal(world, opened=60)
    before = service.why("opportunity", deal)["attribution"]
    lock(world, day(world, 63), day(world, 57))
    world.form(person, 90, "newsletter")
    service.cycle()
    assert world.shares(deal, "pipeline") == {"Paid search": "1"}
    # The close date lies outside the locked days, so revenue to date moves.
    assert world.shares(deal, "revenue") == {"Paid search": "1/2", "E-mail": "1/2"}
    after = service.why("opportunity", deal)["attribution"]
    assert after["source_channel"] == before["source_channel"] == "Paid search"
    rows = adjusted(world, deal)
    assert [(row["share_before"], row["share_after"], row["units_delta"], row["kind"]) for row in rows] == [
        ("1", "1/2", -4_200_000, "booked"),
        ("0", "1/2", 4_200_000, "booked"),
    ]
    service.colleague.update("Opportunity", [{"Id": deal, "Name": "Maple - renamed"}])
    service.cycle()
    assert adjusted(world, deal) == rows
    assert world.shares(deal, "pipeline") == {"Paid search": "1"}
    service.colleague.update("Opportunity", [{"Id": deal, "Amount": 100_000}])
    service.cycle()
    assert world.shares(deal, "pipeline") == {"Paid search": "1"}
    booked = sum(Fraction(str(row["units_delta"])) for row in adjusted(world, deal))
    assert booked == 1_600_000


def test_a_won_deals_revenue_is_settled_at_its_close(service: Running) -> None:
    world = World(service, "myrtle")
    deal, person = settled_deal(world)
    service.colleague.update("Opportunity", [{"Id": deal, "StageName": "Closed Won"}])
    service.cycle()
    assert adjusted(world, deal, "revenue") == []
    world.form(person, 10, "newsletter")
    service.cycle()
    assert [row["share_after"] for row in adjusted(world, deal, "revenue")] == ["1/2", "1/2"]
    assert adjusted(world, deal) == []


def test_a_deal_in_another_currency_is_converted_and_then_divided(service: Running) -> None:
    """
    84,000.00 in euros at 0.9 to the dollar are 93,333.33, which three touches share.
    """
    world = World(service, "olive")
    deal, person = settled_deal(world)
    number = service.golden_id("opportunity", deal)
    with service.service.engine.begin() as connection:
        connection.execute(
            text(
                """
                INSERT INTO source_currency_rate (record_id, stream, currency, rate, start_on, until_on)
                VALUES ('rate', 'a test', 'EUR', 0.9, '2000-01-01', NULL)
                """
            )
        )
        connection.execute(text("UPDATE opportunity SET currency = 'EUR' WHERE id = :id"), {"id": number})
    world.form(person, 60, "newsletter")
    world.form(person, 65, "organic")
    service.cycle()
    credits = service.rows(
        """
        SELECT models -> 'linear' AS part FROM credit
        WHERE opportunity_id = :id AND clock = 'pipeline' AND item = 'touch'
        """,
        id=number,
    )
    assert {row["part"]["units"] for row in credits} == {2_800_000}
    assert sorted(row["part"]["corporate_units"] for row in credits) == [3_111_111, 3_111_111, 3_111_111]
    (decided,) = service.rows(
        "SELECT pipeline_rate_ref, revenue_rate_ref FROM attribution WHERE opportunity_id = :id", id=number
    )
    assert decided == {"pipeline_rate_ref": "rate", "revenue_rate_ref": "rate"}
