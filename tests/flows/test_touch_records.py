"""
The touches of a deal as records beneath it: made once, changed with the credit, deleted with it, and nobody else's.
"""

import shutil
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from config.rulefiles import load_rules
from config.settings import load_settings
from tests.flows.test_writing import plan_only
from tests.flows.world import World
from tests.service import PACKAGE, Running, fresh_database, practice_org, running, settings_of
from worker.cli.plan import decide_and_show, told
from worker.cli.sync import work_until_quiet
from worker.connectors.salesforce.doctor import examine
from worker.wiring import salesforce_client, write_fields

pytestmark = pytest.mark.slow

RULES = PACKAGE.parent / "rules"

FIELDS = (
    "Id, HW_Key__c, HW_Contact__c, HW_Campaign__c, HW_Touched_On__c, HW_Type__c, HW_Channel__c, HW_Team__c,"
    " HW_Positions__c, HW_Model__c, HW_Pipeline_Share__c, HW_Revenue_Share__c, HW_Pipeline_Amount__c,"
    " HW_Revenue_Amount__c, HW_Pipeline_Amount_Corporate__c"
)


@pytest.fixture
def switched_off(tmp_path: Path) -> Path:
    """
    The shipped rules with touch records off.
    """
    folder = tmp_path / "rules"
    shutil.copytree(RULES, folder)
    file = folder / "fields.yaml"
    before = file.read_text()
    file.write_text(before.replace("touch_records: {enabled: true", "touch_records: {enabled: false"))
    assert file.read_text() != before
    return folder


@pytest.fixture(scope="module")
def writing(service: Running) -> Running:
    """
    A service whose first plan was approved, beside enough deals that one more is no unusual change.
    """
    world = World(service, "first")
    account = world.account()
    ada = world.contact(account, "Ada")
    world.form(world.known(ada), 50, "cpc")
    deal = world.deal(account)
    world.role(deal, ada)
    service.cycle()
    service.approve()
    return service


def doctored(on: Running, check: str = "") -> list[tuple[str, str]]:
    """
    What the doctor says of the object itself, and of its fields where something is amiss; or all of one check.
    """
    files = load_rules()
    client = salesforce_client(load_settings(**settings_of(on.org)), files)
    found = examine(client, write_fields=write_fields(files))
    if check:
        return [(each.level, each.message) for each in found if each.check == check]
    return [
        (each.level, each.message)
        for each in found
        if each.message.startswith("HW_Touch__c") and (each.level != "ok" or "records can be made" in each.message)
    ]


def test_the_doctor_sees_that_records_can_be_made_and_deleted(service: Running) -> None:
    assert doctored(service) == [("ok", "HW_Touch__c: records can be made, changed and deleted")]


def beneath(writing: Running, deal: str) -> list[dict[str, Any]]:
    return writing.colleague.query(
        f"SELECT {FIELDS} FROM HW_Touch__c WHERE HW_Opportunity__c = '{deal}' ORDER BY HW_Touched_On__c, HW_Key__c"
    )


def given(writing: Running, deal: str, clock: str) -> Decimal:
    """
    What of a deal the written model gave to touches, in percent to four digits.
    """
    credits = writing.why("opportunity", deal)["credits"]
    shares = [
        Fraction(row["models"]["w"]["share"]) for row in credits if row["item"] == "touch" and row["clock"] == clock
    ]
    return Decimal(round(sum(shares) * 1_000_000)).scaleb(-4)


def total(records: list[dict[str, Any]], column: str) -> Decimal:
    return sum((Decimal(str(each[column])) for each in records), Decimal(0))


def account_of(writing: Running, deal: str) -> str:
    (found,) = writing.colleague.query(f"SELECT AccountId FROM Opportunity WHERE Id = '{deal}'")
    return str(found["AccountId"])


def a_deal(world: World, **fields: Any) -> tuple[str, str, int]:
    account = world.account()
    ada = world.contact(account, "Ada")
    person = world.known(ada)
    world.form(person, 50, "cpc")
    deal = world.deal(account, **fields)
    world.role(deal, ada)
    return deal, ada, person


def test_a_deals_touches_become_records_beneath_it(writing: Running) -> None:
    world = World(writing, "apple")
    deal, ada, _ = a_deal(world)
    campaign = world.campaign("Webinar")
    world.response(campaign, ada, 40)
    writing.cycle()
    first, second = beneath(writing, deal)
    assert (first["HW_Channel__c"], first["HW_Type__c"], first["HW_Team__c"]) == ("Paid search", "form", "Marketing")
    assert first["HW_Contact__c"] == second["HW_Contact__c"] == ada
    assert (first["HW_Campaign__c"], second["HW_Campaign__c"]) == (None, campaign)
    assert first["HW_Touched_On__c"] == str(world.day(50))
    assert first["HW_Positions__c"].startswith("FT")
    assert first["HW_Model__c"].startswith("W v")
    assert total([first, second], "HW_Pipeline_Share__c") == given(writing, deal, "pipeline")
    assert total([first, second], "HW_Pipeline_Amount__c") == 56_000
    assert first["HW_Pipeline_Amount_Corporate__c"] == first["HW_Pipeline_Amount__c"]
    assert (
        len(writing.rows("SELECT 1 FROM written WHERE record_id LIKE :key AND result = 'done'", key=f"{deal}:%")) > 20
    )


def test_reading_our_own_records_back_is_no_work_and_an_idle_cycle_is_one_call(writing: Running) -> None:
    world = World(writing, "banana")
    deal, _, _ = a_deal(world)
    writing.cycle()
    made = beneath(writing, deal)
    assert made
    cycle = writing.cycle()
    assert {run["flow"] for run in cycle.runs} == {"pull"}
    writing.settle()
    mark = writing.mark()
    cycle = writing.cycle()
    assert len(writing.calls(mark)) == 1
    assert {run["flow"] for run in cycle.runs} == {"pull"}
    assert beneath(writing, deal) == made


def test_time_alone_writes_nothing(writing: Running) -> None:
    world = World(writing, "cherry")
    deal, _, _ = a_deal(world, opened=20)
    writing.settle()
    made = beneath(writing, deal)
    mark = writing.mark()
    writing.advance(5 * 24 * 3600)
    assert [call for call in writing.calls(mark, "write") if "HW_Touch__c" in call["path"]] == []
    assert beneath(writing, deal) == made


def test_a_late_touch_makes_a_record_and_changes_the_others(writing: Running) -> None:
    world = World(writing, "damson")
    deal, _, person = a_deal(world)
    writing.cycle()
    (alone,) = beneath(writing, deal)
    assert total([alone], "HW_Pipeline_Share__c") == given(writing, deal, "pipeline")
    world.form(person, 70, "newsletter")
    writing.cycle()
    late, first = beneath(writing, deal)
    assert first["Id"] == alone["Id"]
    assert late["HW_Channel__c"] == "E-mail"
    assert total([late, first], "HW_Pipeline_Share__c") == given(writing, deal, "pipeline")
    befores = writing.rows(
        "SELECT before, after FROM written WHERE record_id = :key AND field = 'HW_Pipeline_Share__c' ORDER BY id",
        key=first["HW_Key__c"],
    )
    assert [row["before"] for row in befores] == [None, "66.6667"]


def test_an_amount_that_moves_moves_the_records_money_alone(writing: Running) -> None:
    world = World(writing, "elder")
    deal, _, _ = a_deal(world)
    writing.cycle()
    mark = writing.mark()
    writing.colleague.update("Opportunity", [{"Id": deal, "Amount": 100_000}])
    writing.cycle()
    (record,) = beneath(writing, deal)
    assert (record["HW_Pipeline_Share__c"], record["HW_Pipeline_Amount__c"]) == (66.6667, 66_666.67)
    (sent,) = [call for call in writing.calls(mark, "write") if "HW_Touch__c" in call["path"]]
    assert "HW_Pipeline_Amount__c" in sent["body"]
    assert "HW_Pipeline_Share__c" not in sent["body"]
    assert "HW_Opportunity__c" not in sent["body"]


def test_a_role_that_goes_takes_its_persons_records_along_and_only_ours(writing: Running) -> None:
    world = World(writing, "fig")
    deal, ada, _ = a_deal(world)
    ben = world.contact(account_of(writing, deal), "Ben")
    world.form(world.known(ben), 40, "newsletter")
    bens = world.role(deal, ben)
    world.create("HW_Touch__c", HW_Opportunity__c=deal, HW_Type__c="somebody else's")
    writing.cycle()
    assert {each["HW_Contact__c"] for each in beneath(writing, deal)} == {ada, ben, None}
    writing.org.control("POST", "salesforce/delete", {"object": "OpportunityContactRole", "ids": [bens]})
    writing.cycle()
    left = beneath(writing, deal)
    assert {each["HW_Contact__c"] for each in left} == {ada, None}
    assert total([each for each in left if each["HW_Key__c"]], "HW_Pipeline_Share__c") == given(
        writing, deal, "pipeline"
    )
    gone = writing.rows(
        "SELECT field, before, after, result FROM written WHERE record_id LIKE :key AND after IS NULL", key=f"{deal}:%"
    )
    assert {row["result"] for row in gone} == {"done"}
    assert {"Id", "HW_Channel__c", "HW_Key__c"} <= {row["field"] for row in gone if row["before"]}
    cycle = writing.cycle()
    assert {run["flow"] for run in cycle.runs} == {"pull"}


def test_an_answer_that_never_came_makes_no_second_record(writing: Running) -> None:
    world = World(writing, "grape")
    deal, _, _ = a_deal(world)
    plan_only(writing)
    assert beneath(writing, deal) == []
    writing.org.fault({"reset": "after"}, system="salesforce", method="PATCH", path_contains="HW_Touch__c", times=1)
    mark = writing.mark()
    work_until_quiet(writing.service)
    assert len(beneath(writing, deal)) == 1
    assert len([call for call in writing.calls(mark, "write") if "HW_Touch__c" in call["path"]]) == 1
    assert writing.value("SELECT count(*) FROM outbox") == 0
    (known,) = writing.rows("SELECT record_id, key FROM source_touch_record WHERE opportunity_ref = :id", id=deal)
    assert known["record_id"] == beneath(writing, deal)[0]["Id"]
    cycle = writing.cycle()
    assert {run["flow"] for run in cycle.runs} == {"pull"}


def test_a_deletion_whose_answer_never_came_is_settled_by_reading(writing: Running) -> None:
    world = World(writing, "hazel")
    deal, _, _ = a_deal(world)
    writing.cycle()
    role = writing.value("SELECT record_id FROM source_role WHERE opportunity_ref = :id", id=deal)
    ben = world.contact(account_of(writing, deal), "Ben")
    world.role(deal, ben)
    writing.org.control("POST", "salesforce/delete", {"object": "OpportunityContactRole", "ids": [role]})
    writing.org.fault({"reset": "after"}, system="salesforce", method="DELETE", path_contains="sobjects", times=1)
    mark = writing.mark()
    writing.cycle()
    work_until_quiet(writing.service)
    assert beneath(writing, deal) == []
    assert len([call for call in writing.calls(mark, "write") if call["method"] == "DELETE"]) == 1
    assert writing.value("SELECT count(*) FROM outbox") == 0


def test_a_record_that_somebody_deleted_is_made_again(writing: Running) -> None:
    world = World(writing, "iris")
    deal, _, _ = a_deal(world)
    writing.cycle()
    (record,) = beneath(writing, deal)
    writing.org.control("POST", "salesforce/delete", {"object": "HW_Touch__c", "ids": [record["Id"]]})
    writing.cycle()
    (again,) = beneath(writing, deal)
    assert again["HW_Key__c"] == record["HW_Key__c"]
    assert again["Id"] != record["Id"]


def won(world: World, days_ago: float) -> str:
    """
    A deal that was won so long ago, with a touch before it was opened.
    """
    account = world.account(CreatedDate=world.ago(days_ago + 400))
    ada = world.contact(account, "Ada", CreatedDate=world.ago(days_ago + 390))
    world.form(world.known(ada, createdAt=world.ago(days_ago + 390)), days_ago + 120, "cpc")
    closed = {"StageName": "Closed Won", "CloseDate": world.ago(days_ago)[:10]}
    deal = world.deal(account, opened=days_ago + 100, **closed)
    world.role(deal, ada)
    world.create("OpportunityHistory", OpportunityId=deal, Amount=84_000, CreatedDate=world.ago(days_ago), **closed)
    return deal


def test_a_deal_that_closed_more_than_two_years_ago_stays_outside(writing: Running) -> None:
    recent, old = won(World(writing, "juniper"), 700), won(World(writing, "kumquat"), 760)
    writing.cycle()
    assert World(writing, "kumquat").decided(old)["state"] == "Final"
    assert len(beneath(writing, recent)) == 1
    assert beneath(writing, old) == []


def test_records_of_a_deal_that_grew_old_stay_as_they_are(writing: Running) -> None:
    deal = won(World(writing, "lemon"), 728)
    writing.settle()
    made = beneath(writing, deal)
    assert len(made) == 1
    writing.advance(6 * 24 * 3600)
    writing.colleague.update("Opportunity", [{"Id": deal, "Amount": 99_000}])
    writing.cycle()
    assert beneath(writing, deal) == made
    assert writing.value("SELECT count(*) FROM outbox WHERE object = 'HW_Touch__c'") == 0


def test_more_than_ten_touches_leave_one_record_for_all_others(writing: Running) -> None:
    world = World(writing, "mango")
    deal, _, person = a_deal(world)
    for number in range(14):
        world.form(person, 60 + number, "newsletter", f"Issue {number}")
    writing.cycle()
    records = beneath(writing, deal)
    assert len(records) == 11
    assert [each["HW_Type__c"] for each in records].count("All others") == 1
    assert total(records, "HW_Pipeline_Share__c") == given(writing, deal, "pipeline")
    assert total(records, "HW_Revenue_Share__c") == given(writing, deal, "revenue")
    assert total(records, "HW_Revenue_Amount__c") == given(writing, deal, "revenue") * 840


def test_many_deals_at_once_wait_for_a_person_in_a_plan_of_their_own_and_show_their_storage(writing: Running) -> None:
    deals = [a_deal(World(writing, f"nut{number}"))[0] for number in range(25)]
    mark = writing.mark()
    writing.cycle()
    assert [call for call in writing.calls(mark, "write") if "HW_Touch__c" in call["path"]] == []
    fields, touches = writing.status()["writes"]["plans"]
    assert (fields["state"], touches["state"]) == ("held", "held")
    assert "Opportunity (by HW_Touch__c) records would change" in touches["why_held"]
    assert touches["records"] == 25
    planned = decide_and_show(writing.service, examples=1)
    assert (planned["creates"], planned["deletes"]) == (25, 0)
    assert planned["storage_kb"] == 50
    assert "25 creates, 0 deletes" in "\n".join(told(planned))
    assert "50 kB of storage" in "\n".join(told(planned))
    writing.approve()
    assert all(len(beneath(writing, deal)) == 1 for deal in deals)


def test_an_organisation_without_the_object_is_told_so_and_the_rest_goes_on(server_url: str, valkey_url: str) -> None:
    with practice_org() as org, fresh_database(server_url) as database_url:
        org.control("DELETE", "salesforce/objects", {"object": "HW_Touch__c"})
        with running(org, database_url, valkey_url) as service:
            deal, _, _ = a_deal(World(service, "olive"))
            service.cycle()
            service.approve()
            assert service.value("SELECT count(*) FROM written WHERE object = 'HW_Touch__c'") == 0
            assert service.value("SELECT count(*) FROM written WHERE record_id = :id AND result = 'done'", id=deal)
            (finding,) = service.rows("SELECT code, message FROM finding WHERE key = 'touch_records'")
            assert finding["code"] == "HW-226"
            assert "HW_Touch__c is not there" in finding["message"]
            ((level, words),) = doctored(service)
            assert level == "error"
            assert words.startswith("HW_Touch__c is not there")
            cycle = service.cycle()
            assert {run["flow"] for run in cycle.runs} == {"pull"}


def test_switched_off_nothing_is_written_and_what_is_there_stays(writing: Running, switched_off: Path) -> None:
    world = World(writing, "peach")
    deal, _, person = a_deal(world)
    writing.settle()
    made = beneath(writing, deal)
    assert made
    with running(writing.org, writing.database_url, writing.redis_url, switched_off) as without:
        world.form(person, 70, "newsletter")
        mark = without.mark()
        without.cycle()
        assert [call for call in without.calls(mark) if "HW_Touch__c" in (call["path"] + (call["body"] or ""))] == []
        assert beneath(without, deal) == made
        assert without.value("SELECT count(*) FROM due WHERE kind = 'touch_record'") == 0
