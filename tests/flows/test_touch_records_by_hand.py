"""
What people do to touch records and to the deals above them: it is noticed, put right once, and never tried for ever.
"""

from typing import Any

import pytest

from tests.flows.test_touch_records import a_deal, account_of, beneath
from tests.flows.test_writing import plan_only
from tests.flows.world import World
from tests.service import Running
from worker.cli.sync import work_until_quiet

pytestmark = pytest.mark.slow

TOUCH = "HW_Touch__c"


@pytest.fixture(scope="module")
def writing(service: Running) -> Running:
    """
    A service whose first plan was approved.
    """
    a_deal(World(service, "first"))
    service.cycle()
    service.approve()
    return service


def touch_calls(writing: Running, mark: int) -> list[dict[str, Any]]:
    return [call for call in writing.calls(mark, "write") if TOUCH in call["path"] or call["method"] == "DELETE"]


def only_pulls(writing: Running) -> None:
    """
    One more cycle finds nothing to do, and writes nothing.
    """
    mark = writing.mark()
    cycle = writing.cycle()
    assert {run["flow"] for run in cycle.runs} == {"pull"}
    assert touch_calls(writing, mark) == []


def delete(writing: Running, object_name: str, *ids: str) -> None:
    writing.org.control("POST", "salesforce/delete", {"object": object_name, "ids": list(ids)})


def test_a_value_that_somebody_typed_over_is_written_again(writing: Running) -> None:
    deal, _, _ = a_deal(World(writing, "acorn"))
    writing.cycle()
    (record,) = beneath(writing, deal)
    writing.colleague.update(TOUCH, [{"Id": record["Id"], "HW_Channel__c": "My cold call"}])
    writing.cycle()
    assert beneath(writing, deal) == [record]
    only_pulls(writing)


def test_a_value_that_is_changed_again_and_again_is_left_alone_for_a_day(writing: Running) -> None:
    deal, _, _ = a_deal(World(writing, "beech"))
    writing.cycle()
    (record,) = beneath(writing, deal)
    for _ in range(3):
        writing.colleague.update(TOUCH, [{"Id": record["Id"], "HW_Channel__c": "My cold call"}])
        writing.cycle()
    assert beneath(writing, deal)[0]["HW_Channel__c"] == "My cold call"
    (told,) = writing.rows("SELECT code, message FROM finding WHERE key = :key", key=f"fight:{TOUCH}")
    assert told["code"] == "HW-222"
    assert "HW_Channel__c" in told["message"]
    only_pulls(writing)


def test_a_record_that_is_deleted_again_and_again_is_left_alone_for_a_day(writing: Running) -> None:
    world = World(writing, "cedar")
    deal, _, _ = a_deal(world)
    writing.cycle()
    for _ in range(2):
        (record,) = beneath(writing, deal)
        delete(writing, TOUCH, record["Id"])
        writing.cycle()
    assert beneath(writing, deal) == []
    # Other values than those that were fought about make no half of a record either.
    writing.colleague.update("Opportunity", [{"Id": deal, "Amount": 90_000}])
    mark = writing.mark()
    writing.cycle()
    assert beneath(writing, deal) == []
    assert touch_calls(writing, mark) == []
    only_pulls(writing)


def test_a_record_that_is_deleted_between_plan_and_apply_is_made_again(writing: Running) -> None:
    deal, _, _ = a_deal(World(writing, "dogwood"))
    writing.cycle()
    (record,) = beneath(writing, deal)
    writing.colleague.update("Opportunity", [{"Id": deal, "Amount": 100_000}])
    plan_only(writing)
    delete(writing, TOUCH, record["Id"])
    work_until_quiet(writing.service)
    writing.cycle()
    (again,) = beneath(writing, deal)
    assert again["HW_Key__c"] == record["HW_Key__c"]
    assert again["HW_Pipeline_Amount__c"] == 66_666.67
    only_pulls(writing)


def test_the_records_of_a_deleted_deal_go_with_it_and_come_back_with_it(writing: Running) -> None:
    deal, _, _ = a_deal(World(writing, "elm"))
    writing.cycle()
    made = beneath(writing, deal)
    delete(writing, "Opportunity", deal)
    mark = writing.mark()
    writing.cycle()
    assert touch_calls(writing, mark) == []
    stored = "SELECT count(*) FROM source_touch_record WHERE opportunity_ref = :id AND NOT is_deleted"
    assert writing.value(stored, id=deal) == 0
    assert writing.value("SELECT count(*) FROM outbox") == 0
    only_pulls(writing)
    writing.org.control("POST", "salesforce/undelete", {"ids": [deal]})
    mark = writing.mark()
    writing.cycle()
    assert beneath(writing, deal) == made
    assert touch_calls(writing, mark) == []
    assert writing.value(stored, id=deal) == 1
    only_pulls(writing)


def test_a_deal_that_is_deleted_under_a_plan_is_tried_once_and_not_for_ever(writing: Running) -> None:
    deal, _, _ = a_deal(World(writing, "fir"))
    plan_only(writing)
    delete(writing, "Opportunity", deal)
    mark = writing.mark()
    work_until_quiet(writing.service)
    assert len(touch_calls(writing, mark)) == 1
    assert writing.value("SELECT count(*) FROM outbox") == 0, "the deal was read again, and nothing is left to write"
    writing.cycle()  # what went with the deal is read
    only_pulls(writing)


def test_a_deal_that_is_deleted_while_its_records_change_is_left_in_peace(writing: Running) -> None:
    world = World(writing, "ginkgo")
    deal, _, person = a_deal(world)
    writing.cycle()
    world.form(person, 70, "newsletter")
    writing.colleague.update("Opportunity", [{"Id": deal, "Amount": 100_000}])
    plan_only(writing)
    delete(writing, "Opportunity", deal)
    work_until_quiet(writing.service)
    assert writing.value("SELECT count(*) FROM outbox") == 0
    writing.cycle()  # what went with the deal is read
    only_pulls(writing)


def test_a_contact_that_is_deleted_under_a_plan_is_left_out_and_the_record_is_made(writing: Running) -> None:
    world = World(writing, "hazel")
    deal, _, _ = a_deal(world)
    account = account_of(writing, deal)
    ben = world.contact(account, "Ben")
    world.form(world.known(ben), 45, "newsletter")
    world.role(deal, ben)
    plan_only(writing)
    delete(writing, "Contact", ben)
    work_until_quiet(writing.service)
    writing.cycle()
    assert ben not in {each["HW_Contact__c"] for each in beneath(writing, deal)}
    assert writing.value("SELECT count(*) FROM outbox") == 0
    only_pulls(writing)


def test_records_show_the_contact_that_a_merge_left(writing: Running) -> None:
    world = World(writing, "ivy")
    deal, ada, _ = a_deal(world)
    writing.cycle()
    (record,) = beneath(writing, deal)
    assert record["HW_Contact__c"] == ada
    twin = world.contact(account_of(writing, deal), "Adah")
    writing.org.control("POST", "salesforce/merge", {"object": "Contact", "winner": twin, "losers": [ada]})
    writing.cycle()
    (after,) = beneath(writing, deal)
    assert (after["Id"], after["HW_Contact__c"]) == (record["Id"], twin)
    only_pulls(writing)


def test_records_that_came_back_from_the_bin_are_ours_again(writing: Running) -> None:
    deal, _, _ = a_deal(World(writing, "juniper"))
    writing.cycle()
    (record,) = beneath(writing, deal)
    role = writing.value("SELECT record_id FROM source_role WHERE opportunity_ref = :id", id=deal)
    World(writing, "juniper").role(deal, World(writing, "juniper").contact(account_of(writing, deal), "Ben"))
    writing.org.control("POST", "salesforce/delete", {"object": "OpportunityContactRole", "ids": [role]})
    writing.cycle()
    assert beneath(writing, deal) == []
    writing.org.control("POST", "salesforce/undelete", {"ids": [record["Id"]]})
    writing.cycle()
    assert beneath(writing, deal) == [], "a deal without such a touch has no such record, whoever brought it back"
    only_pulls(writing)
