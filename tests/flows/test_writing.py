"""
What reaches the org: exactly what was planned, never over a person's head, and each effect once.
"""

import pytest

from tests.flows.world import World
from tests.service import Running
from worker.cli.sync import work_until_quiet
from worker.flows.drain import FLOWS, drain, start_cycle

pytestmark = pytest.mark.slow

NOT_SENDING = tuple(flow for flow in FLOWS if flow != "apply")


def plan_only(service: Running) -> None:
    """
    A cycle up to the plan; nothing is sent.
    """
    with service.service.engine.begin() as connection:
        start_cycle(connection, service.service)
    while drain(service.service, NOT_SENDING):
        pass


@pytest.fixture(scope="module")
def writing(service: Running) -> Running:
    """
    A service whose first plan was approved, so that plans go out by themselves.
    """
    world = World(service, "first")
    world.form(world.known(world.contact(world.account(), "Ada")), 10, "cpc")
    service.cycle()
    service.approve()
    assert service.status()["writes"]["approved"]
    return service


def test_what_a_person_changed_between_plan_and_apply_is_skipped_and_reported(writing: Running) -> None:
    world = World(writing, "maple")
    account = world.account()
    ada = world.contact(account, "Ada")
    world.form(world.known(ada), 50, "cpc")
    deal = world.deal(account)
    world.role(deal, ada)
    plan_only(writing)
    writing.colleague.update("Opportunity", [{"Id": deal, "HW_Source_Channel__c": "My cold call"}])
    work_until_quiet(writing.service)
    (there,) = writing.colleague.query(
        f"SELECT HW_Source_Channel__c, HW_Source_Team__c FROM Opportunity WHERE Id = '{deal}'"
    )
    assert there == {"HW_Source_Channel__c": "My cold call", "HW_Source_Team__c": "Marketing"}
    skipped = writing.rows(
        "SELECT field, before, after, result, message FROM written WHERE record_id = :id AND result <> 'done'", id=deal
    )
    assert skipped == [
        {
            "field": "HW_Source_Channel__c",
            "before": "My cold call",
            "after": "Paid search",
            "result": "skipped",
            "message": "somebody changed it since the plan",
        }
    ]
    assert [row["result"] for row in writing.why("opportunity", deal)["written"]].count("skipped") == 1
    mark = writing.mark()
    writing.cycle()
    assert writing.calls(mark, "write") == []


def test_a_field_that_holds_the_value_already_is_not_written_again(writing: Running) -> None:
    world = World(writing, "nutmeg")
    account = world.account()
    ada = world.contact(account, "Ada")
    world.form(world.known(ada), 50, "cpc")
    plan_only(writing)
    (outgoing,) = writing.rows("SELECT changes FROM outbox WHERE record_id = :id", id=ada)
    writing.colleague.update(
        "Contact", [{"Id": ada} | {change["field"]: change["new"] for change in outgoing["changes"]}]
    )
    mark = writing.mark()
    work_until_quiet(writing.service)
    assert [call for call in writing.calls(mark, "write") if ada in (call["body"] or "")] == []
    assert {row["result"] for row in writing.rows("SELECT result FROM written WHERE record_id = :id", id=ada)} == {
        "done"
    }


def test_a_record_deleted_between_plan_and_apply_is_gone_and_holds_nobody_up(writing: Running) -> None:
    world = World(writing, "oak")
    account = world.account()
    ada, ben = (world.contact(account, name) for name in ("Ada", "Ben"))
    for contact in (ada, ben):
        world.form(world.known(contact), 50, "cpc")
    plan_only(writing)
    writing.org.control("POST", "salesforce/delete", {"object": "Contact", "ids": [ada]})
    work_until_quiet(writing.service)
    results = writing.rows(
        "SELECT DISTINCT record_id, result FROM written WHERE record_id = ANY(CAST(:ids AS text[]))", ids=[ada, ben]
    )
    assert {row["record_id"]: row["result"] for row in results} == {ada: "gone", ben: "done"}
    assert writing.value("SELECT count(*) FROM outbox WHERE record_id = :id", id=ada) == 0


def test_a_record_that_their_rule_refuses_is_parked_with_their_words_and_the_rest_goes_on(writing: Running) -> None:
    world = World(writing, "pine")
    account = world.account()
    ada, ben = (world.contact(account, name) for name in ("Ada", "Ben"))
    world.form(world.known(ada), 50, "cpc")
    world.form(world.known(ben), 50, "newsletter")
    rule = {
        "object": "Contact",
        "field": "HW_Original_Source__c",
        "value": "Paid search",
        "message": "Not this channel",
    }
    writing.org.control("POST", "salesforce/validation_rule", rule)
    writing.cycle()
    (refused,) = [each for each in writing.status()["writes"]["refused"] if each["object"] == "Contact"]
    assert (refused["state"], refused["records"], refused["example"]) == ("parked", 1, ada)
    assert "Not this channel" in refused["message"]
    assert refused["code"] == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    (there,) = writing.colleague.query(f"SELECT HW_Original_Source__c FROM Contact WHERE Id = '{ben}'")
    assert there["HW_Original_Source__c"] == "E-mail"
    writing.org.control("DELETE", "salesforce/validation_rule")
    writing.colleague.update("Contact", [{"Id": ada, "Title": "Controller"}])
    writing.cycle()
    (there,) = writing.colleague.query(f"SELECT HW_Original_Source__c FROM Contact WHERE Id = '{ada}'")
    assert there["HW_Original_Source__c"] == "Paid search"
    assert [each for each in writing.status()["writes"]["refused"] if each["object"] == "Contact"] == []


def test_an_answer_that_never_came_is_read_before_anything_is_written_again(writing: Running) -> None:
    world = World(writing, "quince")
    account = world.account()
    ada = world.contact(account, "Ada")
    world.form(world.known(ada), 50, "cpc")
    plan_only(writing)
    mark = writing.mark()
    writing.org.fault({"reset": "after"}, system="salesforce", method="PATCH", path_contains="composite", times=1)
    work_until_quiet(writing.service)
    sent = [call for call in writing.calls(mark, "write") if ada in (call["body"] or "")]
    assert len(sent) == 1, sent
    (there,) = writing.colleague.query(f"SELECT HW_Original_Source__c FROM Contact WHERE Id = '{ada}'")
    assert there["HW_Original_Source__c"] == "Paid search"
    assert writing.value("SELECT count(*) FROM outbox") == 0
    assert {row["result"] for row in writing.rows("SELECT result FROM written WHERE record_id = :id", id=ada)} == {
        "done"
    }


def test_fields_that_are_sales_are_never_written(writing: Running) -> None:
    sent = [call["body"] or "" for call in writing.calls(0, "write") if call["headers"].get("sforce-call-options")]
    assert sent
    for field in ("OwnerId", "StageName", "Amount", "LeadSource", "Status", "CampaignId"):
        assert not any(f'"{field}"' in body for body in sent), field


def test_a_plan_that_would_change_too_much_is_held_and_says_why(writing: Running) -> None:
    world = World(writing, "rowan")
    account = world.account()
    for number in range(30):
        world.form(world.known(world.contact(account, f"P{number}")), 50, "cpc")
    mark = writing.mark()
    writing.cycle()
    assert writing.calls(mark, "write") == []
    (held,) = writing.status()["writes"]["plans"]
    assert held["state"] == "held"
    assert "Contact records would change" in held["why_held"]
    writing.approve()
    there = writing.colleague.query(
        f"SELECT COUNT(Id) n FROM Contact WHERE AccountId = '{account}' AND HW_Original_Source__c = 'Paid search'"
    )
    assert there == [{"n": 30}]
