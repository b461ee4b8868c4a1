"""
``headwater report value`` and ``headwater report metrics``, run as a person would run them.
"""

from decimal import Decimal

import pytest

from tests.cli.conftest import Terminal
from tests.flows.world import World
from tests.service import Running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def customer(service: Running) -> None:
    """
    A company that bought by an advertisement, bought more, renewed, and then did not renew.
    """
    world = World(service, "hazel")
    account = world.account()
    ada = world.contact(account, "Ada")
    person = world.known(ada)
    for days in (290, 190):
        world.form(person, days, "cpc")
    for name, kind, stage, amount, days in (
        ("platform", "New Customer", "Closed Won", 10_000, 120),
        ("cards", "New Customer", "Closed Won", 4_000, 90),
        ("year two", "Renewal", "Closed Won", 11_000, 60),
        ("year three", "renewal", "Closed Lost", 15_000, 20),
        ("year four", "Renewal", "Prospecting", 15_000, -60),
    ):
        told = {"StageName": stage, "Amount": amount, "CloseDate": world.ago(days)[:10]}
        deal = world.deal(account, opened=150, Name=f"Hazel - {name}", Type=kind, **told)
        world.role(deal, ada)
        if days > 0:
            world.create("OpportunityHistory", OpportunityId=deal, CreatedDate=world.ago(days), **told)
    service.cycle()


def test_a_customer_is_worth_what_its_won_deals_are(headwater: Terminal) -> None:
    found = headwater("report", "value", "--json").data["result"]
    customers, deals = (table["total"] for table in found["tables"])
    assert [line["channel"] for line in found["tables"][0]["lines"]] == ["Paid search"]
    money = {name: Decimal(customers[name]) for name in ("new_business", "expansion", "renewed", "lifetime_value")}
    assert money == {"new_business": 10_000, "expansion": 4_000, "renewed": 11_000, "lifetime_value": 25_000}
    assert (customers["churned"], customers["renewals"], customers["renewal_rate"]) == (1, 2, 50.0)
    assert (customers["renewal_rate_by_amount"], Decimal(deals["lost_amount"])) == (42.3, 15_000)
    assert found["remarks"][0] == "3 won deals of 25,000.00 USD by Salesforce, which is what it adds up to."


def test_a_number_opens_the_deals_behind_it(headwater: Terminal) -> None:
    said = headwater("report", "value", "--where", "kind=expansion", "--rows").out
    assert "Hazel - cards" in said
    assert "Hazel - platform" not in said
    assert headwater("report", "value", "--where", "nosuch=1", "--json").data["name"] == "HW-161"
    assert headwater("report", "value", "--by", "stage", "--json").data["name"] == "HW-161"


def test_as_of_a_day_before_it_left_a_customer_is_one(headwater: Terminal, service: Running) -> None:
    at = World(service, "hazel").ago(30)
    (table, _) = headwater("report", "value", "--as-of", at, "--json").data["result"]["tables"]
    assert (table["total"]["customers"], table["total"]["churned"], table["total"]["renewal_rate"]) == (1, 0, 100.0)


def test_metrics_say_of_how_few_accounts_they_are(headwater: Terminal) -> None:
    said = headwater("report", "metrics")
    assert said.code == 0
    assert "A correlation is no cause." in said.out
    assert "Not told of fewer than 30 accounts: active days (1), acts (1)" in said.out
    assert "Total" not in said.out
