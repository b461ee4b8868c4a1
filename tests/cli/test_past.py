"""
``headwater check --impact``, ``headwater why --as-of`` and ``--since``, run as a person would run them.
"""

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal
from tests.flows.world import World
from tests.practice_org import PracticeOrg
from tests.service import Running, fresh_database
from worker.embedded.parts import EmbeddedParts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scene(service: Running) -> tuple[str, str, str, str]:
    """
    The account, deal and contact of a sale, and an instant after which a third touch came.
    """
    world = World(service, "juniper")
    sale = world.sale()
    service.cycle()
    at = world.now + timedelta(seconds=10)  # the two clocks are tied to each other by whole seconds
    service.advance(5 * 86_400)
    world.form(sale.person, 45, "newsletter")
    service.cycle()
    return sale.account, sale.deal, sale.contact, f"{at:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    folder = tmp_path / "changed"
    folder.mkdir()
    (folder / "attribution.yaml").write_text("mediums: {newsletter: Newsletter}\n", encoding="utf-8")
    (folder / "engagement.yaml").write_text("act_now: []\nenter: {points: 900}\nstay: {points: 900, hold_days: 1}\n")
    return folder


def test_the_impact_of_changed_rules_is_shown_before_they_take_effect(
    headwater: Terminal, scene: tuple[str, ...], changed: Path
) -> None:
    said = headwater("check", "--impact", str(changed))
    assert (said.code, said.err) == (0, "")
    assert "Against the rules in force (v1)" in said.out
    assert "Engaged, lost: 1" in said.out
    assert "Juniper: Not engaged" in said.out
    assert "Newsletter" in said.out
    assert "Changed: engagement.act_now, engagement.enter, engagement.stay, attribution.mediums" in said.out


def test_the_impact_as_json_sums_to_the_same_before_and_after(
    headwater: Terminal, scene: tuple[str, ...], changed: Path
) -> None:
    result = headwater("check", "--impact", str(changed), "--json").data["result"]
    assert result["accounts"]["engaged_lost"] == 1
    assert result["deals"]["changed"] == 1
    for model in ("w", "linear"):
        lines = [line for line in result["money"] if (line["model"], line["clock"]) == (model, "pipeline")]
        sums = {name: sum(Decimal(line[name]) for line in lines) for name in ("before", "after", "difference")}
        assert sums == {"before": Decimal(84_000), "after": Decimal(84_000), "difference": 0}


def test_the_impact_as_csv_has_a_line_a_change_and_a_channel(
    headwater: Terminal, scene: tuple[str, ...], changed: Path
) -> None:
    rows = list(csv.DictReader(io.StringIO(headwater("check", "--impact", "--csv", str(changed)).out)))
    assert {row["change"] for row in rows} == {"lost", "moved"}
    assert sum(Decimal(row["difference"]) for row in rows if row["change"] == "moved") == 0


def test_a_deal_is_told_as_of_a_past_moment_in_both_senses(headwater: Terminal, scene: tuple[str, ...]) -> None:
    _, deal, _, at = scene
    now, then = (
        headwater("why", deal, "--as-of", at, *option, "--json").data["result"] for option in ((), ("--known-then",))
    )
    channels = [
        {row["channel"] for row in each["credits"] if row["clock"] == "pipeline" and row["item"] == "touch"}
        for each in (now, then)
    ]
    assert channels == [{"Paid search", "E-mail"}, {"Paid search"}]
    assert then["as_of"]["sense"] == "as it was known then"
    said = headwater("why", deal, "--as-of", at)
    assert "as it is known now of then, by rules v1" in said.out
    assert "Not known: the deal's type" in said.out
    assert "Pipeline credit" in said.out


def test_an_account_is_told_as_of_a_day(headwater: Terminal, scene: tuple[str, ...]) -> None:
    account, _, _, at = scene
    said = headwater("why", account, "--as-of", at)
    assert said.code == 0
    assert "Engaged since" in said.out
    assert "Not known: employees" in said.out
    before = headwater("why", account, "--as-of", "2020-01-01")
    assert "Not engaged" in before.out
    assert "has been fed since" in before.out


def test_a_person_is_told_as_of_a_moment_with_the_acts_up_to_then(headwater: Terminal, scene: tuple[str, ...]) -> None:
    _, _, ada, at = scene
    then = headwater("why", ada, "--as-of", at, "--known-then", "--json").data["result"]
    assert [touch["channel"] for touch in then["touches"]] == ["Organic search", "Paid search"]


def test_since_tells_a_late_touch_by_name_with_its_money(headwater: Terminal, scene: tuple[str, ...]) -> None:
    account, deal, _, at = scene
    said = headwater("why", deal, "--since", at)
    assert said.code == 0
    assert "LATE DATA" in said.out
    assert "Came late: 1" in said.out
    result = headwater("why", deal, "--since", at, "--json").data["result"]
    line = next(
        each
        for each in result["channels"]
        if (each["model"], each["clock"], each["channel"]) == ("linear", "pipeline", "E-mail")
    )
    assert line["then"] == "0"
    assert [int(Decimal(each)) for each in line["changes"]] == [0, 0, 42_000]
    late = [each for each in result["touches"] if each["model"] == "linear" and each["then"] == "0"]
    assert {each["clock"]: int(Decimal(each["now"])) for each in late} == {"pipeline": 42_000, "revenue": 28_000}
    flag = headwater("why", account, "--since", at)
    assert "after time" in flag.out
    assert "after late data = now" in flag.out


def test_what_cannot_be_asked_is_refused_with_its_code(headwater: Terminal, scene: tuple[str, ...]) -> None:
    account, _, ada, at = scene
    assert headwater("why", account, "--as-of", "2999-01-01", "--json").data["name"] == "HW-182"
    assert headwater("why", ada, "--since", at, "--json").data["name"] == "HW-183"
    assert headwater("why", account, "--as-of", at, "--since", at).code == 2
    assert headwater("why", account, "--known-then").code == 2
    assert headwater("check", "--csv").code == 2


@pytest.fixture
def untouched(org: PracticeOrg, server_url: str, parts: EmbeddedParts) -> Iterator[str]:
    with fresh_database(server_url) as url:
        yield url


def test_without_any_rules_in_force_there_is_nothing_to_compare_with(headwater: Terminal, untouched: str) -> None:
    headwater.export(DATABASE_URL=untouched)
    assert headwater("check", "--impact", "--json").data["name"] == "HW-181"
