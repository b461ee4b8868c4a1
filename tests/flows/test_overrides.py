"""
A sourcing team set by hand: what becomes of the deal's fields, when it counts, and what a lock does to it.
"""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.flows.rules import hindsight_of
from tests.flows.test_adjustments import day, lock, settled_deal
from tests.flows.world import World
from tests.service import Running
from worker.core.timeline import Lens
from worker.flows.as_of import Credited, credit_as
from worker.store import dues, overrides

pytestmark = pytest.mark.slow


def say(world: World, deal: str, team: str | None, channel: str | None = None, reason: str = "seen by many") -> int:
    """
    As the command does: the statement, and the deal is due.
    """
    running = world.running
    number = running.golden_id("opportunity", deal)
    with running.service.engine.begin() as connection:
        said = overrides.say(connection, number, team, channel=channel, reason=reason, by="a test")
        dues.note(connection, "attribute", "opportunity", [number])
    running.cycle()
    return said


def source(world: World, deal: str) -> tuple[Any, ...]:
    decided = world.decided(deal)
    return decided["source_team"], decided["source_channel"], decided["source_offer"]


def called_first(world: World, days_ago: float) -> tuple[str, int]:
    """
    A deal, created 30 days ago, that a form opened and a call came before or after; and the buyer as Marketo knows her.
    """
    account = world.account()
    ada = world.contact(account, "Ada")
    person = world.known(ada)
    world.form(person, 50, "cpc")
    on = world.ago(days_ago)[:10]
    world.create(
        "Task",
        WhoId=ada,
        Subject="Call",
        TaskSubtype="Call",
        Status="Completed",
        ActivityDate=on,
        CompletedDateTime=f"{on}T12:00:00Z",
    )
    deal = world.deal(account)
    world.role(deal, ada)
    world.running.cycle()
    return deal, person


def test_a_team_that_was_set_takes_the_place_of_the_touches_and_gives_it_back(service: Running) -> None:
    world = World(service, "acer")
    deal, _ = called_first(world, 40)
    by_touches, credits = source(world, deal), world.shares(deal)
    assert by_touches[:2] == ("Marketing", "Paid search")
    number = say(world, deal, "sales")
    assert source(world, deal)[:2] == ("Sales", "Sales outreach")
    decided = world.decided(deal)
    assert decided["why"].startswith("Source set to sales by an administrator ")
    assert "opened by form Newsletter sign-up" in decided["why"]
    assert (decided["overridden"]["id"], decided["overridden"]["team"]) == (number, "Marketing")
    assert world.shares(deal) == credits
    (told,) = service.why("opportunity", deal)["overrides"]
    assert (told["team"], told["reason"], told["said_by"], told["holds"]) == ("sales", "seen by many", "a test", True)
    say(world, deal, None, reason="a mistake")
    assert source(world, deal) == by_touches
    assert "administrator" not in world.decided(deal)["why"]
    assert [each["reason"] for each in service.why("opportunity", deal)["overrides"]] == ["a mistake", "seen by many"]


def test_what_was_set_is_written_to_salesforce_with_its_sentence(service: Running) -> None:
    world = World(service, "box")
    deal, _ = called_first(world, 40)
    say(world, deal, "partner", "Reseller")
    service.approve()
    names = ("HW_Source_Team__c", "HW_Source_Channel__c", "HW_Source_Offer__c", "HW_Attribution_Why__c")
    (row,) = service.colleague.query(f"SELECT {', '.join(names)} FROM Opportunity WHERE Id = '{deal}'")
    assert [row[name] for name in names[:3]] == ["Partner", "Reseller", None]
    assert row[names[3]].startswith("Source set to partner by an administrator ")


def test_a_deal_that_is_decided_again_keeps_what_was_set(service: Running) -> None:
    world = World(service, "clover")
    deal, person = called_first(world, 40)
    say(world, deal, "sales")
    world.form(person, 70, "newsletter")
    service.cycle()
    assert source(world, deal)[0] == "Sales"
    assert world.decided(deal)["overridden"]["channel"] == "E-mail"


def test_the_statement_follows_the_deals_record_to_another_golden_deal(service: Running) -> None:
    world = World(service, "daphne")
    deal, _ = called_first(world, 40)
    say(world, deal, "sales")
    number = service.golden_id("opportunity", deal)
    with service.service.engine.begin() as connection:
        said = overrides.said_of(connection, [number], "UTC")
        assert said["opportunity_id"].to_list() == [number]
        connection.exec_driver_sql(
            "UPDATE crosswalk SET golden_id = %(new)s WHERE kind = 'opportunity' AND record_id = %(deal)s",
            {"new": number + 1_000_000, "deal": deal},
        )
        connection.exec_driver_sql(
            "UPDATE opportunity SET id = %(new)s WHERE id = %(old)s", {"new": number + 1_000_000, "old": number}
        )
        assert overrides.said_of(connection, [number], "UTC").is_empty()
        moved = overrides.said_of(connection, [number + 1_000_000], "UTC")
        assert moved["team"].to_list() == ["sales"]
        connection.rollback()


def test_a_deal_that_earns_no_credit_has_no_source_whatever_was_set(service: Running) -> None:
    world = World(service, "elder")
    deal, _ = called_first(world, 40)
    service.colleague.update("Opportunity", [{"Id": deal, "Type": "Renewal"}])
    service.cycle()
    say(world, deal, "sales")
    assert (world.decided(deal)["state"], world.decided(deal)["source_team"]) == ("Not credited", None)
    service.colleague.update("Opportunity", [{"Id": deal, "Type": "New Business"}])
    service.cycle()
    assert source(world, deal)[0] == "Sales"


def test_in_a_locked_period_a_later_word_is_kept_and_moves_nothing(service: Running) -> None:
    world = World(service, "fennel")
    deal, _ = settled_deal(world, opened=120)
    lock(world, day(world, 123), day(world, 117))
    before = source(world, deal)
    say(world, deal, "partner")
    assert source(world, deal) == before
    assert world.decided(deal)["overridden"] is None
    assert "administrator" not in world.decided(deal)["why"]
    with service.service.engine.connect() as connection:
        (told,) = overrides.told(connection, "UTC", service.golden_id("opportunity", deal))
    assert (told["team"], told["locked_reason"], told["is_last"]) == ("partner", "closed by finance", False)


def test_what_was_set_before_the_lock_stays_inside_it(service: Running) -> None:
    world = World(service, "gentian")
    deal, person = settled_deal(world, opened=150)
    say(world, deal, "partner")
    held, why = source(world, deal), world.decided(deal)["overridden"]
    lock(world, day(world, 153), day(world, 147))
    world.form(person, 190, "newsletter")
    service.cycle()
    say(world, deal, None, reason="too late to take back")
    assert source(world, deal) == held == ("Partner", "Set by an administrator", None)
    assert world.decided(deal)["overridden"] == why


def as_of(service: Running, deal: str, at: Any, *, known_then: bool = False) -> Credited:
    with hindsight_of(service) as hindsight:
        number = service.golden_id("opportunity", deal)
        lens = Lens(at, at if known_then else None)
        found = credit_as(hindsight, number, hindsight.rules_at(at), lens, at)
        assert found is not None
        return found


def test_a_past_moment_knows_only_what_was_said_by_then(service: Running) -> None:
    world = World(service, "heather")
    deal, _ = called_first(world, 40)
    before = world.now + timedelta(seconds=10)
    service.advance(3_600)
    say(world, deal, "sales")
    service.advance(3_600)
    after = world.now
    for known_then in (False, True):
        then = as_of(service, deal, before, known_then=known_then).attribution
        assert then is not None
        assert (then["source_team"], then["overridden"]) == ("Marketing", None)
        now = as_of(service, deal, after, known_then=known_then).attribution
        assert now is not None
        assert (now["source_team"], now["source_channel"]) == ("Sales", "Sales outreach")
        assert json.loads(now["overridden"])["team"] == "Marketing"
        assert now["why"] == world.decided(deal)["why"]
    with hindsight_of(service) as hindsight:
        number = service.golden_id("opportunity", deal)
        told = hindsight.told_of_deal(number, hindsight.rules_at(after))
    assert "source set to sales by an administrator" in told["what"].to_list()
