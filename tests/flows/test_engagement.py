"""
Whether an account is engaged and where it stands, through the whole loop.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.flows.world import World
from tests.practice_org import PracticeOrg
from tests.service import MACHINERY, Running, fresh_database, moved, running
from worker.cli.sync import work_until_quiet
from worker.cli.why_account import flag
from worker.flows.backtest import backtest
from worker.store import jobs

RULES = {
    "service.yaml": "org: {own_domains: [headwater.example]}\n",
    "fields.yaml": """
extra:
  salesforce.account: [Rating]
  salesforce.contact: [HasOptedOutOfFax]
""",
    "engagement.yaml": """
exclude: {tracking_opt_out_fields: [HasOptedOutOfFax]}
tiers:
  - {tier: A, where: [{extra: Rating, equals: hot}]}
target_lists:
  - {name: Named, file: named.txt}
  - {name: Hot accounts, where: [{field: tier, in: [A]}, {field: employees, at_least: 100}]}
""",
    "named.txt": "# whom we want\nnamed.example\n",
}
DAY = 86_400


def demo_request(world: World, person: int, days_ago: float) -> None:
    world.form(person, days_ago, "cpc", asset="Demo Request")


def engagement_of(world: World, account: str) -> dict[str, Any]:
    found: dict[str, Any] = world.running.why("account", account)["engagement"]
    return found


def standing_of(world: World, account: str) -> dict[str, Any]:
    found: dict[str, Any] = world.running.why("account", account)["standing"]
    return found


@pytest.fixture(scope="module")
def listed(
    org: PracticeOrg, server_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """
    The service with lists, tiers and fields of the customer's own.
    """
    folder: Path = tmp_path_factory.mktemp("rules")
    for name, content in RULES.items():
        (folder / name).write_text(content, encoding="utf-8")
    with fresh_database(server_url) as url, running(org, url, valkey_url, folder) as built:
        yield built


def test_the_flag_lapses_on_the_day_that_was_foretold(service: Running) -> None:
    world = World(service, "lapsing")
    account = world.account(NumberOfEmployees=500)
    person = world.known(world.contact(account, "Ada", Title="VP Finance"))
    demo_request(world, person, days_ago=40)
    service.cycle()
    assert not engagement_of(world, account)["engaged"]
    demo_request(world, person, days_ago=1)
    service.cycle()
    found = engagement_of(world, account)
    assert found["engaged"]
    foretold = datetime.fromisoformat(found["until_at"])
    while world.now < foretold - timedelta(days=10):
        service.advance(8 * DAY)
        assert engagement_of(world, account)["engaged"]
    service.advance((foretold - world.now).total_seconds() - 3_600)
    last = engagement_of(world, account)
    assert (last["engaged"], last["until_at"]) == (True, found["until_at"])
    service.advance(3_600 + 60)
    assert not engagement_of(world, account)["engaged"]
    turns = [(row["engaged"], row["alert"]) for row in world.running.why("account", account)["history"]]
    assert turns == [(False, False), (True, True)]


def test_acts_of_our_own_staff_earn_nothing_wherever_they_are_filed(listed: Running) -> None:
    world = World(listed, "staffed")
    account = world.account(NumberOfEmployees=500)
    insider = world.contact(account, "Eve", Email="eve@headwater.example")
    demo_request(world, world.known(insider), days_ago=1)
    listed.cycle()
    found = engagement_of(world, account)
    assert (found["engaged"], found["points_milli"]) == (False, 0)
    assert [act["screened"] for act in found["detail"]["acts"]] == ["own staff"]


def test_who_opted_out_of_tracking_is_shown_and_earns_nothing(listed: Running) -> None:
    world = World(listed, "private")
    account = world.account(NumberOfEmployees=500)
    demo_request(world, world.known(world.contact(account, "Ada", HasOptedOutOfFax=True)), days_ago=1)
    demo_request(world, world.known(world.contact(account, "Bob", HasOptedOutOfEmail=True)), days_ago=1)
    listed.cycle()
    found = engagement_of(world, account)
    assert sorted(act["screened"] or "counts" for act in found["detail"]["acts"]) == ["counts", "opted out of tracking"]
    assert found["people_count"] == 1


def test_accounts_flow_into_lists_and_out_and_the_history_stays(listed: Running) -> None:
    world = World(listed, "flowing")
    account = world.account(Rating="Hot", NumberOfEmployees=500)
    other = world.create("Account", Name="Static", Website="https://named.example", NumberOfEmployees=500)
    listed.cycle()
    assert lists_of(world, account) == [("Hot accounts", True)]
    assert lists_of(world, other) == [("Named", True)]
    assert standing_of(world, account)["tier"] == "A"
    listed.colleague.update("Account", [{"Id": account, "Rating": "Cold"}])
    listed.cycle()
    assert lists_of(world, account) == [("Hot accounts", False)]
    listed.colleague.update("Account", [{"Id": account, "Rating": "Hot"}])
    listed.cycle()
    assert lists_of(world, account) == [("Hot accounts", True), ("Hot accounts", False)]
    assert [turn["new"] for turn in listed.why("account", account)["turns"] if turn["what"] == "tier"] == [
        "A",
        None,
        "A",
    ]


def lists_of(world: World, account: str) -> list[tuple[str, bool]]:
    """
    Every membership, those that stand first, and whether it stands.
    """
    return [(each["list"], each["left_at"] is None) for each in world.running.why("account", account)["lists"]]


def test_a_deal_moves_its_account_to_purchase_and_a_lost_one_back(service: Running) -> None:
    world = World(service, "buying")
    account = world.account()
    service.cycle()
    assert standing_of(world, account)["stage"] == "Target"
    deal = world.deal(account, opened=3)
    service.cycle()
    assert standing_of(world, account)["stage"] == "Purchase"
    assert standing_of(world, account)["detail"]["stage_why"] == "open deals count at least 1"
    service.colleague.update("Opportunity", [{"Id": deal, "StageName": "Closed Lost"}])
    service.cycle()
    assert standing_of(world, account)["stage"] == "Target"
    turns = [(turn["old"], turn["new"]) for turn in service.why("account", account)["turns"] if turn["what"] == "stage"]
    assert turns == [("Purchase", "Target"), ("Target", "Purchase")]


def test_a_parent_shows_how_many_below_it_are_engaged(service: Running) -> None:
    world = World(service, "parental")
    parent = world.account()
    child = world.create("Account", Name="Child", Website="https://child-parental.example", ParentId=parent)
    world.create("Account", Name="Grandchild", Website="https://grandchild-parental.example", ParentId=child)
    person = world.known(world.contact(child, "Ada"))
    demo_request(world, person, days_ago=1)
    service.cycle()
    assert service.why("account", parent)["below"] == {"accounts": 2, "engaged": 1}
    assert not engagement_of(world, parent)["engaged"]
    assert service.why("account", child)["below"] == {"accounts": 1, "engaged": 0}


def test_a_short_history_is_said_to_be_too_short(service: Running) -> None:
    world = World(service, "young")
    account = world.account()
    service.cycle()
    with service.service.engine.begin() as connection:
        jobs.enqueue(connection, "learn")
    work_until_quiet(service.service)
    told = standing_of(world, account)
    service.colleague.update("Account", [{"Id": account, "NumberOfEmployees": 900}])
    service.cycle()
    told = standing_of(world, account)
    assert (told["fit"], told["in_market"], told["qualified"]) == (None, None, False)
    assert told["detail"]["fit_told"].startswith("Fit was not learnt: ")
    assert told["detail"]["in_market_told"].startswith("In-market was not learnt: ")


def test_what_why_lists_sums_to_the_score(service: Running) -> None:
    world = World(service, "summing")
    account = world.account(NumberOfEmployees=500)
    for number, first in enumerate(("Ada", "Bob", "Cyd")):
        person = world.known(world.contact(account, first, Title=("VP Finance", "IT Manager", "Intern")[number]))
        for days in (1, 8.5, 33):
            world.form(person, days + number, "cpc")
    service.cycle()
    found = engagement_of(world, account)
    assert found["points_milli"] == sum(act["points_milli"] for act in found["detail"]["acts"]) > 0
    lines = list(flag(service.why("account", account)))
    listed = [line.split()[-1] for line in lines if re.match(r"\d{4}-\d\d-\d\d ", line)]
    shown = next(line for line in lines if " points (needs" in line)
    assert sum(Decimal(points) for points in listed) == Decimal(shown.split()[0])


def test_the_backtest_reads_what_came_of_the_flags(service: Running) -> None:
    world = World(service, "ripened")
    account = world.account(NumberOfEmployees=500)
    demo_request(world, world.known(world.contact(account, "Ada")), days_ago=121)
    world.deal(account, opened=60)
    service.cycle()
    with service.service.engine.connect() as connection:
        found = backtest(connection, service.service.rules, (world.now - timedelta(days=120)).date())
        too_early = backtest(connection, service.service.rules, (world.now - timedelta(days=125)).date())
    assert (found.flagged, found.opened) == (1, 1)
    assert too_early.flagged == 0


class Crowd:
    """
    Accounts with one person and one form each, of whom one at a time is touched.
    """

    def __init__(self, world: World) -> None:
        self.world, self.people = world, list[int]()

    def grow(self, to: int) -> None:
        org, fresh = self.world.running.org, range(len(self.people), to)
        accounts = org.create(
            "Account", [{"Name": f"Crowd {n}", "Website": f"https://crowd{n}.example"} for n in fresh]
        )
        contacts = org.create(
            "Contact",
            [
                {"LastName": f"Person {n}", "Email": f"person@crowd{n}.example", "AccountId": account}
                for n, account in zip(fresh, accounts, strict=True)
            ],
        )
        people = [
            {
                "lastName": f"Person {n}",
                "email": f"person@crowd{n}.example",
                "sfdcType": "contact",
                "sfdcContactId": made,
            }
            for n, made in zip(fresh, contacts, strict=True)
        ]
        numbers = [int(n) for n in org.control("POST", "marketo/people", {"records": people})["ids"]]
        acts = [self._form(number, days_ago=3) for number in numbers]
        org.control("POST", "marketo/activities", {"records": acts})
        self.people += numbers

    def touch(self, number: int) -> None:
        self.world.running.org.control(
            "POST", "marketo/activities", {"records": [self._form(self.people[number], 0.001)]}
        )

    def _form(self, person: int, days_ago: float) -> dict[str, Any]:
        return {
            "leadId": person,
            "activityDate": self.world.ago(days_ago),
            "activityTypeId": 2,
            "primaryAttributeValue": "Newsletter sign-up",
            "attributes": {"Query Parameters": "utm_medium=cpc"},
        }


@pytest.mark.slow
def test_one_touch_costs_the_same_among_ten_times_the_accounts(service: Running) -> None:
    crowd = Crowd(World(service, "crowd"))
    costs = []
    for number, size in enumerate((150, 1_500)):
        crowd.grow(size)
        crowd.touch(number)
        service.settle()
        crowd.touch(number)
        with service.service.engine.begin() as connection:
            connection.execute(text("ANALYZE"))  # autovacuum would have come by
        before = service.counters()
        cycle = service.cycle()
        touched = moved(before, service.counters())
        assert cycle.total("accounts decided") == 1
        costs.append({table: counts for table, counts in touched.items() if table not in MACHINERY})
    written, read = (
        [sum(counts.get(name, 0) for counts in cost.values() for name in names) for cost in costs]
        for names in (("n_tup_ins", "n_tup_upd"), ("idx_tup_fetch",))
    )
    assert written[0] == written[1], costs
    assert read[1] <= read[0] * 2, costs
    # Saving a touch joins a page of unknown length with the touches: of a small table the planner reads all.
    whole = {table for table, counts in costs[1].items() if counts.get("seq_tup_read", 0) >= 1_500}
    assert whole <= {"touchpoint"}, costs
