"""
Organisations that take no touch records: no right to delete, no such object, no storage left. Everything else goes out,
a finding says what to do, and once it is done the records come by themselves.
"""

from typing import Any

import pytest

from tests.flows.test_touch_records import a_deal, account_of, beneath, doctored
from tests.flows.test_writing import plan_only
from tests.flows.world import World
from tests.service import Running
from worker.cli.sync import work_until_quiet

pytestmark = pytest.mark.slow

TOUCH = "HW_Touch__c"


@pytest.fixture
def service(own_service: Running) -> Running:
    """
    Its first plan was approved: it may write.
    """
    own_service.cycle()
    own_service.approve()
    return own_service


def rights(service: Running, **may: bool) -> None:
    service.org.control("POST", "salesforce/object_rights", {"object": TOUCH, **may})


def describe_again(service: Running) -> None:
    """
    Objects are described again once an hour, not all in one cycle.
    """
    known = f"SELECT known->'objects'->'{TOUCH}'->>'described_at' FROM source_state WHERE source = 'salesforce'"
    before = service.value(known)
    for _ in range(20):
        service.advance(2 * 3600)
        if service.value(known) != before:
            return
    raise AssertionError(f"{TOUCH} was not described again within 20 cycles")


def finding(service: Running, key: str) -> dict[str, Any] | None:
    found = service.rows("SELECT code, message, actions FROM finding WHERE key = :key", key=key)
    return found[0] if found else None


def opened_calls(service: Running, mark: int) -> list[dict[str, Any]]:
    return [call for call in service.calls(mark, "write") if TOUCH in call["path"] or call["method"] == "DELETE"]


def decided(service: Running, deal: str) -> str:
    (row,) = service.colleague.query(f"SELECT HW_Credit_State__c FROM Opportunity WHERE Id = '{deal}'")
    return str(row["HW_Credit_State__c"])


def test_without_the_right_to_delete_no_record_is_made_and_the_rest_goes_out(service: Running) -> None:
    rights(service, deletable=False)
    describe_again(service)
    mark = service.mark()
    deal, _, _ = a_deal(World(service, "apricot"))
    service.cycle()
    assert decided(service, deal) == "Open"
    assert beneath(service, deal) == []
    assert opened_calls(service, mark) == []
    told = finding(service, "touch_records")
    assert told is not None
    assert told["code"] == "HW-226"
    assert "lacks Delete on it" in told["message"]
    assert any("deploy" in line for line in told["actions"])
    ((level, words),) = doctored(service)
    assert level == "error"
    assert "Delete" in words
    cycle = service.cycle()
    assert {run["flow"] for run in cycle.runs} == {"pull"}, "it waits, and does not try again and again"


def test_once_the_right_is_given_the_records_come_by_themselves(service: Running) -> None:
    rights(service, deletable=False)
    describe_again(service)
    deal, _, _ = a_deal(World(service, "blueberry"))
    service.cycle()
    assert beneath(service, deal) == []
    rights(service, deletable=True)
    describe_again(service)
    assert len(beneath(service, deal)) == 1
    assert finding(service, "touch_records") is None


def test_a_right_that_is_taken_away_under_a_plan_parks_the_records_and_nothing_else(service: Running) -> None:
    deal, ada, _ = a_deal(World(service, "cranberry"))
    service.cycle()
    made = beneath(service, deal)
    assert made
    role = service.value("SELECT record_id FROM source_role WHERE opportunity_ref = :id", id=deal)
    ben = World(service, "cranberry").contact(account_of(service, deal), "Ben")
    World(service, "cranberry").role(deal, ben)
    service.org.control("POST", "salesforce/delete", {"object": "OpportunityContactRole", "ids": [role]})
    plan_only(service)
    rights(service, deletable=False)
    mark = service.mark()
    work_until_quiet(service.service)
    assert beneath(service, deal) == made
    assert len(opened_calls(service, mark)) == 1
    assert service.rows("SELECT state, code FROM outbox") == [
        {"state": "parked", "code": "INSUFFICIENT_ACCESS_OR_READONLY"}
    ]
    assert ada in {each["HW_Contact__c"] for each in made}
    mark = service.mark()
    service.cycle()
    assert opened_calls(service, mark) == []


def test_an_object_that_goes_away_under_a_plan_stops_nothing_else(service: Running) -> None:
    deal, _, _ = a_deal(World(service, "damask"))
    plan_only(service)
    assert service.value("SELECT count(*) FROM outbox WHERE object = :name", name=TOUCH) == 1
    service.org.control("DELETE", "salesforce/objects", {"object": TOUCH})
    cycle = service.try_cycle()
    assert not [run for run in cycle.failed if run["flow"] == "apply"]
    assert decided(service, deal) == "Open"
    assert service.rows("SELECT state, code FROM outbox") == [{"state": "refused", "code": "HW-209"}]
    told = finding(service, f"write:{TOUCH}")
    assert told is not None
    assert TOUCH in told["message"]
    mark = service.mark()
    service.cycle()
    assert opened_calls(service, mark) == []


def test_without_storage_new_records_wait_and_everything_else_goes_out(service: Running) -> None:
    world = World(service, "elderberry")
    deal, _, person = a_deal(world)
    service.cycle()
    (first,) = beneath(service, deal)
    service.org.control("POST", "salesforce/settings", {"storage_full": True})
    world.form(person, 70, "newsletter")
    others = [a_deal(World(service, f"elder{number}"))[0] for number in range(3)]
    mark = service.mark()
    service.cycle()
    assert [decided(service, each) for each in others] == ["Open"] * 3
    assert [beneath(service, each) for each in others] == [[], [], []]
    (still,) = beneath(service, deal)
    assert still["HW_Pipeline_Share__c"] < first["HW_Pipeline_Share__c"], "what is there is changed"
    told = finding(service, f"full:{TOUCH}")
    assert told is not None
    assert told["code"] == "HW-243"
    assert "4 new records of HW_Touch__c wait" in told["message"]
    assert len(opened_calls(service, mark)) == 1
    assert set(service.rows("SELECT DISTINCT state, code FROM outbox")[0].values()) == {
        "refused",
        "STORAGE_LIMIT_EXCEEDED",
    }
    assert [message for level, message in doctored(service, "storage") if level == "error"] == [
        "no data storage is left: new records of HW_Touch__c wait"
    ]
    mark = service.mark()
    cycle = service.cycle()
    assert opened_calls(service, mark) == []
    assert {run["flow"] for run in cycle.runs} == {"pull"}
    service.org.control("POST", "salesforce/settings", {"storage_full": False})
    service.approve()
    assert [len(beneath(service, each)) for each in others] == [1, 1, 1]
    assert len(beneath(service, deal)) == 2
    assert finding(service, f"full:{TOUCH}") is None


def test_without_storage_one_call_is_tried_and_not_one_for_each_batch(service: Running) -> None:
    many_deals(World(service, "fir"), 230)
    service.org.control("POST", "salesforce/settings", {"storage_full": True})
    service.cycle()
    mark = service.mark()
    service.approve()
    assert len(opened_calls(service, mark)) == 1
    waiting = service.value("SELECT count(*) FROM outbox WHERE object = :name AND state = 'refused'", name=TOUCH)
    assert waiting == 230
    told = finding(service, f"full:{TOUCH}")
    assert told is not None
    assert "230 new records" in told["message"]


def many_deals(world: World, count: int) -> None:
    """
    So many open deals, each with one person who responded to a campaign.
    """
    account, campaign = world.account(), world.campaign("Webinar")
    create = world.running.org.create
    people = create("Contact", [{"LastName": f"P{n}", "AccountId": account} for n in range(count)])
    given = {"AccountId": account, "StageName": "Prospecting", "Amount": 100, "CloseDate": world.ago(-60)[:10]}
    deals = create("Opportunity", [{**given, "Name": f"D{n}", "CreatedDate": world.ago(30)} for n in range(count)])
    pairs = zip(deals, people, strict=True)
    create(
        "OpportunityContactRole", [{"OpportunityId": deal, "ContactId": each, "Role": "User"} for deal, each in pairs]
    )
    responded = {"Status": "Responded", "HasResponded": True, "FirstRespondedDate": world.ago(40)[:10]}
    create("CampaignMember", [{"CampaignId": campaign, "ContactId": each, **responded} for each in people])
