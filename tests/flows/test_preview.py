"""
What changed rules would do, before they do it: the preview is held against what really happens afterwards.
"""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from config.rulefiles import load_rules
from tests.flows.rules import folder_of, in_force_with
from tests.flows.world import World
from tests.service import Running, moved
from worker.cli import impact as face
from worker.core.attribution.moved import NO_TOUCH, NOT_CREDITED, PENDING
from worker.core.rule_changes import changed_keys, not_previewed
from worker.flows.now import now_of
from worker.flows.preview import SIZES, Impact, Sizes, preview
from worker.store import adjustments, decisions, past
from worker.wiring import as_json, files_of_version, rules_of

pytestmark = pytest.mark.slow

# Newsletter clicks become a channel of their own, product tours by form become demo requests, small deals are left out.
CHANGED = {
    "attribution.yaml": """
mediums: {newsletter: Newsletter}
deals: {minimum_amount: 10000}
models: {u: off, first_two: {weights: {FT: 50, LC: 50}}}
""",
    "engagement.yaml": """
enter: {points: 15, people_count: 1}
stay: {points: 10}
points: {form: {points: 20}}
exclude: {account_types: [Other]}
""",
}


@pytest.fixture
def service(own_service: Running) -> Running:
    return own_service


def look(service: Running, folder: Path, sizes: Sizes = SIZES) -> Impact:
    """
    The preview of the rules in ``folder``.
    """
    engine = service.service.engine
    files = load_rules(folder)
    with engine.connect() as connection:
        version = decisions.rules_in_force(connection)
    assert version is not None
    ruling = rules_of(files_of_version(engine, version, files), version)
    with past.look_only(engine) as connection:
        return preview(connection, ruling, rules_of(files, 0), now_of(connection), sizes=sizes)


def stored_money(service: Running) -> dict[tuple[str, str, str], Decimal]:
    """
    What each channel really has, by model, clock and channel, by plain SQL on what is stored.
    """
    rows = service.rows(
        """
        SELECT m.key AS model, c.clock, sum((m.value ->> 'units')::numeric) / 100 AS amount,
               CASE c.item WHEN 'touch' THEN t.channel WHEN 'pending' THEN :pending ELSE :none END AS channel
        FROM credit c CROSS JOIN LATERAL jsonb_each(c.models) m LEFT JOIN touchpoint t ON t.touch_id = c.touch_id
        GROUP BY 1, 2, 4
        """,
        pending=PENDING,
        none=NO_TOUCH,
    )
    return {
        (row["model"], row["clock"], row["channel"]): Decimal(row["amount"]) for row in rows if Decimal(row["amount"])
    }


def flags(service: Running) -> dict[str, tuple[bool, bool]]:
    rows = service.rows(
        """
        SELECT a.name, e.engaged, s.qualified FROM account a JOIN engagement e ON e.account_id = a.id
        JOIN account_standing s ON s.account_id = a.id
        """
    )
    return {row["name"]: (row["engaged"], row["qualified"]) for row in rows}


def a_company(service: Running) -> None:
    """
    Three accounts with people, touches of several channels, two sources and machines, and deals open, won, small.
    """
    for name, deal_amount, kind in (("oak", 84_000, None), ("elm", 9_999.99, None), ("ash", 50_000, "Other")):
        world = World(service, f"{name}")
        account = world.account(NumberOfEmployees=500, **({"Type": kind} if kind else {}))
        ada, bob = world.contact(account, "Ada", Title="VP Finance"), world.contact(account, "Bob")
        people = world.known(ada), world.known(bob)
        for number, person in enumerate(people):
            world.form(person, 50 + number, "newsletter")
            world.form(person, 45 + number, "cpc")
            world.form(person, 2 + number, "organic", asset="Cost Control")
        world.response(world.campaign(), ada, 40)
        deal = world.deal(account, Amount=deal_amount)
        world.role(deal, ada)
        world.role(deal, bob)
        if name == "ash":
            world.form(people[0], 1, "cpc", asset="Demo Request")
    service.cycle()


def test_the_preview_is_what_really_happens(service: Running, tmp_path: Path) -> None:
    a_company(service)
    folder = folder_of(tmp_path / "changed", CHANGED)
    before, was = stored_money(service), flags(service)
    impact = look(service, folder)
    in_force_with(service, folder)
    after, is_now = stored_money(service), flags(service)

    told_before = {(m.model, m.clock, m.channel): m.before for m in impact.money if m.before}
    told_after = {(m.model, m.clock, m.channel): m.after for m in impact.money if m.after}
    for told, real in ((told_before, before), (told_after, after)):
        compared = {key: amount for key, amount in real.items() if key[0] not in {"u", "first_two"}}
        assert {key: amount for key, amount in told.items() if key[2] != NOT_CREDITED} == compared
    assert (impact.new_models, impact.gone_models) == (("first_two",), ("u",))
    # The newsletter's money moved away from E-mail, and the small deal left.
    assert told_after["linear", "pipeline", "Newsletter"] > 0
    assert ("linear", "pipeline", "E-mail") in told_before
    assert ("linear", "pipeline", "E-mail") not in told_after
    assert told_after["linear", "pipeline", NOT_CREDITED] == Decimal("9999.99")
    for model, clock in {(m.model, m.clock) for m in impact.money}:
        lines = [m for m in impact.money if (m.model, m.clock) == (model, clock)]
        assert sum(m.before for m in lines) == sum(m.after for m in lines) == Decimal("143999.99")

    gained = {(each.what, each.name) for each in impact.changes if each.is_gained}
    lost = {(each.what, each.name) for each in impact.changes if not each.is_gained}
    for place, what in enumerate(("engaged", "qualified")):
        turned = {name for name in was if was[name][place] != is_now[name][place]}
        assert {name for each, name in gained if each == what} == {name for name in turned if is_now[name][place]}
        assert {name for each, name in lost if each == what} == {name for name in turned if not is_now[name][place]}
    assert ("engaged", "Oak") in gained
    assert ("engaged", "Ash") in lost


def test_a_preview_writes_nothing_and_registers_nothing(service: Running, tmp_path: Path) -> None:
    a_company(service)
    folder = folder_of(tmp_path / "changed", CHANGED)
    service.settle()
    before = service.counters()
    look(service, folder)
    touched = moved(before, service.counters())
    written = {
        table: counts
        for table, counts in touched.items()
        if any(counts.get(name) for name in ("n_tup_ins", "n_tup_upd", "n_tup_del"))
    }
    assert written == {}
    assert service.value("SELECT count(*) AS n FROM rule_version") == 1
    assert service.value("SELECT count(*) AS n FROM due WHERE flow IN ('engage', 'attribute', 'resolve')") == 0


def test_however_many_are_looked_at_at_a_time_the_answer_is_the_same(service: Running, tmp_path: Path) -> None:
    a_company(service)
    folder = folder_of(tmp_path / "changed", CHANGED)
    at_once, one_by_one = look(service, folder), look(service, folder, Sizes(batch=1, named=1))
    assert one_by_one.money == at_once.money
    assert (one_by_one.counts, one_by_one.deals_changed) == (at_once.counts, at_once.deals_changed)
    named = [(each.what, each.is_gained) for each in one_by_one.changes]
    assert sorted(named) == sorted(set(named)) == sorted(at_once.counts)


def test_a_preview_waits_for_nobody_and_sees_one_moment(service: Running, tmp_path: Path) -> None:
    a_company(service)
    folder = folder_of(tmp_path / "changed", CHANGED)
    expected = look(service, folder)
    with service.service.engine.connect() as somebody:
        somebody.execute(text("UPDATE engagement SET engaged = NOT engaged"))
        somebody.execute(text("DELETE FROM credit"))
        found = look(service, folder)
        somebody.rollback()
    assert (found.money, found.changes) == (expected.money, expected.changes)


def test_the_same_rules_move_nothing(service: Running, tmp_path: Path) -> None:
    a_company(service)
    same = folder_of(tmp_path / "same", {"engagement.yaml": "enter: {points: 50}\n"})
    impact = look(service, same)
    assert (impact.changes, impact.deals_changed) == ([], 0)
    assert [line for line in impact.money if line.difference] == []


def test_what_cannot_be_compared_is_said_with_its_number(service: Running, tmp_path: Path) -> None:
    a_company(service)
    world = World(service, "yew")
    world.deal(world.account(), Amount=None)
    service.cycle()
    files = {
        "fields.yaml": "extra: {salesforce.account: [Rating]}\nfree_mail_domains: [oak.example]\n",
        "attribution.yaml": CHANGED["attribution.yaml"],
    }
    said = face_of(service, folder_of(tmp_path / "changed", files))
    told = "\n".join(said["not_comparable"])
    assert "1 deals without an amount" in told
    assert "1 field not read yet, empty here: salesforce.account.Rating" in told
    assert "1 key of who is who" in told
    assert "1 models that are new: first_two" in told


def face_of(service: Running, folder: Path) -> dict[str, Any]:
    """
    What the command answers in JSON, through JSON.
    """
    engine, files = service.service.engine, load_rules(folder)
    with engine.connect() as connection:
        version = decisions.rules_in_force(connection) or 0
    ruling = files_of_version(engine, version, files)
    found = face.Previewed(
        look(service, folder),
        version,
        changed_keys(as_json(ruling), as_json(files)),
        not_previewed(as_json(ruling), as_json(files)),
    )
    assert any("Money moved between channels" in line for line in face.told(found))
    answer: dict[str, Any] = json.loads(json.dumps(face.data(found)))
    return answer


def test_a_rule_by_which_acts_are_judged_among_each_other_takes_effect(service: Running, tmp_path: Path) -> None:
    """
    Two links in one second: a machine's by the shipped rules, a person's where it takes three. No touch itself changes.
    """
    world = World(service, "holm")
    account = world.account()
    person = world.known(world.contact(account, "Ada"))
    clicks = [
        {"leadId": person, "activityDate": world.ago(3), "activityTypeId": 11, "primaryAttributeValue": "Spring mail"}
        for _ in range(2)
    ]
    service.org.control("POST", "marketo/activities", {"records": clicks})
    service.cycle()
    machines = "SELECT count(*) AS n FROM touchpoint WHERE machine IS NOT NULL"
    assert service.value(machines) == 2
    rule = "machines: {links_in_one_second_count: 3}\n"
    in_force_with(service, folder_of(tmp_path / "changed", {"attribution.yaml": rule}))
    assert service.value(machines) == 0
    assert service.why("account", account)["engagement"]["points_milli"] > 0


def test_in_a_locked_period_the_preview_moves_nothing_and_neither_do_the_rules(
    service: Running, tmp_path: Path
) -> None:
    a_company(service)
    world = World(service, "oak")
    with service.service.engine.begin() as connection:
        today = world.now.date()
        adjustments.lock(connection, today - timedelta(days=40), today - timedelta(days=20), "closed", "a test")
    folder = folder_of(tmp_path / "changed", {"attribution.yaml": "mediums: {newsletter: Newsletter}\n"})
    impact = look(service, folder)
    assert impact.locked == 3
    in_force_with(service, folder)
    after = stored_money(service)
    told = {(m.model, m.clock, m.channel): m.after for m in impact.money if m.after}
    # A stored credit keeps its money, whatever its touch is called now.
    assert sum(told[key] for key in told if key[:2] == ("w", "pipeline")) == sum(
        after[key] for key in after if key[:2] == ("w", "pipeline")
    )
    assert {key: amount for key, amount in told.items() if key[1] == "revenue"} == {
        key: amount for key, amount in after.items() if key[1] == "revenue"
    }
    assert all(not m.difference for m in impact.money if m.clock == "pipeline")
