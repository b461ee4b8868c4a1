"""
``headwater source-team``: who says it, about which deal, and why; and everything that can be wrong with it.
"""

import getpass

import pytest

from tests.cli.conftest import Terminal
from tests.flows.test_adjustments import day, lock, settled_deal
from tests.flows.world import World
from tests.service import Running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deal(service: Running) -> str:
    made, _ = settled_deal(World(service, "hornbeam"))
    return made


def test_a_team_is_set_with_a_reason_shown_and_given_back(headwater: Terminal, service: Running, deal: str) -> None:
    said = headwater("source-team", "hornbeam - platform", "Customer Success", "--reason", "  they\n asked us ")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "Set to Customer success: Hornbeam - platform."
    assert "So far: Marketing. The deal is decided again" in said.out
    service.cycle()
    (told,) = headwater("source-team", deal, "--json").data["result"]["overrides"]
    assert (told["team"], told["reason"], told["said_by"]) == ("customer_success", "they asked us", getpass.getuser())
    assert (told["record_id"], told["decided_team"], told["is_last"]) == (deal, "Customer success", True)
    why = headwater("why", deal).out
    assert "Source set to customer success by an administrator" in why
    assert "By its touches the source would be Marketing / Paid search / Newsletter sign-up." in why
    assert f"Source set to customer success by {getpass.getuser()} on " in why
    assert "(holds): they asked us" in why
    assert headwater("source-team", deal, "--clear", "--reason", "not so").code == 0
    service.cycle()
    assert "By its touches" not in headwater("why", deal).out
    listed = headwater("source-team").out
    assert "corrected since" in listed
    assert "(touches)" in listed


def test_the_report_counts_what_was_set_and_the_teams_have_all_of_the_pipeline(
    headwater: Terminal, service: Running
) -> None:
    settled_deal(World(service, "juneberry"))
    assert headwater("source-team", "Juneberry - platform", "sales", "--reason", "called first").code == 0
    service.cycle()
    remarks = headwater("report", "attribution", "--json").data["result"]["remarks"]
    (line,) = [each for each in remarks if each.startswith("Sourced by ")]
    assert "Sales 84,000.00" in line
    assert line.endswith(" of pipeline; set by an administrator: 1 deal of 84,000.00.")
    (proof,) = [each for each in remarks if "by Salesforce" in each]
    parts = line.split("; ")[0].removeprefix("Sourced by ").removesuffix(" USD of pipeline").split(", ")
    amounts = [int(part.split()[-1].replace(",", "").removesuffix(".00")) for part in parts if part.endswith(".00")]
    assert f"{sum(amounts):,}.00 USD by Salesforce" in proof


def test_in_a_locked_period_it_says_that_nothing_moves(headwater: Terminal, service: Running) -> None:
    world = World(service, "rowan")
    settled_deal(world, opened=200)
    lock(world, day(world, 203), day(world, 197))
    said = headwater("source-team", "Rowan - platform", "partner", "--reason", "found out late")
    assert said.code == 0, said.err
    assert "in a period that is locked (closed by finance): Marketing stays" in said.out
    assert "moves nothing: locked (closed by finance)" in headwater("source-team", "Rowan - platform").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("no such deal", "sales", "--reason", "x"), "HW-122"),
        (("{deal}", "salse", "--reason", "x"), "HW-126"),
        (("{deal}", "sales"), "HW-127"),
        (("{deal}", "sales", "--reason", "  \n "), "HW-127"),
        (("{deal}", "--clear", "--reason", "x"), "HW-128"),
        (("Twin deal", "sales", "--reason", "x"), "HW-123"),
    ],
)
def test_what_cannot_be_set_is_told_and_keeps_nothing(
    headwater: Terminal, service: Running, deal: str, words: tuple[str, ...], code: str
) -> None:
    if words[0] == "Twin deal" and not service.rows("SELECT 1 FROM opportunity WHERE name = 'Twin deal'"):
        world = World(service, "twin")
        account = world.account()
        for _ in range(2):
            world.deal(account, Name="Twin deal")
        service.cycle()
    before = headwater("source-team", "--json").data
    said = headwater("source-team", *(word.format(deal=deal) for word in words), "--json")
    assert (said.code, said.data["name"]) == (1, code)
    assert said.data["actions"]
    assert headwater("source-team", "--json").data == before


def test_a_team_that_was_nearly_named_is_suggested(headwater: Terminal, deal: str) -> None:
    assert 'did you mean "sales"?' in headwater("source-team", deal, "salse", "--reason", "x").err


@pytest.mark.parametrize(
    "words",
    [
        ("{deal}", "sales", "--clear", "--reason", "x"),
        ("--clear", "--reason", "x"),
        ("{deal}", "--reason", "x"),
        ("{deal}", "sales", "--reason", "x" * 1_001),
        ("{deal}", "sales", "--reason", "x", "--channel", "y" * 81),
    ],
)
def test_wrong_usage_sets_nothing(headwater: Terminal, deal: str, words: tuple[str, ...]) -> None:
    before = headwater("source-team", "--json").data
    assert headwater("source-team", *(word.format(deal=deal) for word in words)).code == 2
    assert headwater("source-team", "--json").data == before
