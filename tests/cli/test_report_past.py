"""
``headwater report --as-of``, run as a person would run it.
"""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.cli.conftest import Terminal
from tests.flows.world import World
from tests.service import Running

pytestmark = pytest.mark.slow
CHANNEL = ("--model", "linear", "--by", "channel")


@pytest.fixture(scope="module")
def at(service: Running) -> str:
    """
    An instant after which a late touch and a second deal came.
    """
    world = World(service, "juniper")
    sale = world.sale()
    service.cycle()
    service.advance(60)
    moment = world.now - timedelta(seconds=30)
    service.advance(5 * 86_400)
    world.form(sale.person, 45, "newsletter")
    world.role(world.deal(sale.account, opened=1, Name="Juniper - more"), sale.contact)
    service.cycle()
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_a_report_is_told_as_of_a_past_moment_in_both_senses(headwater: Terminal, at: str) -> None:
    now = headwater("report", "attribution", *CHANNEL, "--json").data["result"]
    then = headwater("report", "attribution", *CHANNEL, "--as-of", at, "--known-then", "--json").data["result"]
    since = headwater("report", "attribution", *CHANNEL, "--as-of", at, "--json").data["result"]
    totals = [Decimal(each["tables"][0]["total"]["pipeline"]) for each in (now, then, since)]
    assert totals == [Decimal(168_000), Decimal(84_000), Decimal(84_000)]
    channels = [{line["channel"] for line in each["tables"][0]["lines"] if line["pipeline"]} for each in (then, since)]
    assert channels == [{"Paid search"}, {"Paid search", "E-mail"}]
    assert then["as_of"]["at"].startswith(at[:16])
    assert (then["as_of"]["sense"], then["as_of"]["rules"]) == ("as it was known then", 1)
    said = headwater("report", "attribution", "--as-of", at)
    assert (said.code, said.err) == (0, "")
    assert f"As of {at[:10]}" in said.out.splitlines()[1]
    assert "as it is known now of then, by rules v1." in said.out
    assert "Not known: what is not dated is as it is today" in said.out


def test_the_rows_behind_a_past_number_add_up_to_it(headwater: Terminal, at: str) -> None:
    words = ("--model", "linear", "--as-of", at, "--json", "--rows", "--where", "channel=E-mail")
    (table,) = headwater("report", "attribution", *words).data["result"]["tables"]
    rows = [Decimal(row["amount"]) for row in table["rows"] if row["clock"] == "pipeline"]
    assert sum(rows) == Decimal(table["total"]["pipeline"]) == Decimal(42_000)


def test_every_report_but_two_is_told_of_the_past(headwater: Terminal, at: str) -> None:
    for name in ("funnel", "engagement", "campaigns", "velocity", "quota", "handover", "value", "metrics", "weekly"):
        assert headwater("report", name, "--as-of", at).code == 0, name
    assert headwater("report", "funnel", "--of", "people", "--as-of", at, "--csv").out.startswith("channel,people")
    assert "Juniper - platform" in headwater("report", "journey", "Juniper", "-", "platform", "--as-of", at).out
    for name in ("readiness", "sources"):
        assert headwater("report", name, "--as-of", at, "--json").data["name"] == "HW-164"


def test_what_cannot_be_asked_is_refused_with_its_code(headwater: Terminal, at: str) -> None:
    assert headwater("report", "funnel", "--as-of", "2999-01-01", "--json").data["name"] == "HW-182"
    assert headwater("report", "journey", "Juniper", "-", "more", "--as-of", at, "--json").data["name"] == "HW-162"
    assert headwater("report", "attribution", "--model", "nosuch", "--as-of", at, "--json").data["name"] == "HW-163"
    assert headwater("report", "funnel", "--known-then").code == 2
    assert headwater("report", "funnel", "--as-of", "yesterday").code == 2
