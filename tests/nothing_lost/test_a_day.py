"""
What a day costs: 2,300 changes, polled every five minutes, counted in the org's own journal.
"""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.nothing_lost.world import World
from worker.connectors.salesforce.mapping import OBJECTS
from worker.connectors.salesforce.streams import ReadLimits

CYCLES = 288
CHANGES = 2_300
MOST_CALLS = 864

pytestmark = pytest.mark.slow


def test_a_day_of_2300_changes_costs_few_calls_and_its_sweep_a_line_of_its_own(world: World) -> None:
    world.begin(list(OBJECTS), ReadLimits(describe_every=timedelta(hours=1)))
    people = _founded(world)
    books = {"Lead": people, **_companies(world)}
    for _ in range(3):
        assert world.poll(tries=12), world.troubles()
        world.pass_time(300)
    luck = random.Random(2_300)
    when = Counter(luck.randrange(CYCLES) for _ in range(CHANGES))
    began = _mark(world)
    for cycle in range(CYCLES):
        _edit(world, books, when[cycle], luck)
        assert world.poll(), world.troubles()
        world.pass_time(300)
    calls = _calls(world, began)
    assert calls <= MOST_CALLS, f"{calls} calls in a day of {CYCLES} cycles"
    print(f"{calls} calls for {CHANGES} changes in {CYCLES} cycles")  # noqa: T201 - shown by -s
    before = _mark(world)
    assert world.sweep(tries=12), world.troubles()
    swept = _calls(world, before)
    proofs = [each["proof"] for each in world.rows("SELECT proof FROM sweep WHERE proof IS NOT NULL")]
    assert sum(proof["calls"] for proof in proofs) == swept
    assert all(proof["missing"] == proof["stale"] == proof["left"] == 0 for proof in proofs), proofs
    assert sum(proof["there"] for proof in proofs) >= len(people)
    assert swept <= 40
    print(f"{swept} calls for the sweep of {len(proofs)} objects")  # noqa: T201 - the same


def test_an_idle_cycle_is_one_call(world: World) -> None:
    world.begin(list(OBJECTS), ReadLimits())
    # Once in two hours a session ends, and the call that finds out is made again.
    world.control("salesforce/settings", session_seconds=86_400)
    world.control("salesforce/expire_sessions")
    _founded(world)
    for _ in range(3):
        assert world.poll(tries=12), world.troubles()
        world.pass_time(1_200)
    for _ in range(15):
        before = _mark(world)
        assert world.poll(), world.troubles()
        assert _calls(world, before) == 1
        world.pass_time(300)


def _founded(world: World) -> list[str]:
    leads = [{"LastName": f"Lead {number}", "Company": "Acme"} for number in range(3_000)]
    ids: list[str] = world.control("salesforce/create", object="Lead", records=leads)["ids"]
    return ids


def _companies(world: World) -> dict[str, list[str]]:
    """
    Accounts, contacts and deals; object -> ids.
    """
    accounts = world.control("salesforce/create", object="Account", records=[{"Name": "Alder"}] * 200)["ids"]
    contacts = [{"LastName": "Bo", "AccountId": each} for each in accounts]
    deal = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-31"}
    deals = [{**deal, "AccountId": each} for each in accounts]
    return {
        "Account": accounts,
        "Contact": world.control("salesforce/create", object="Contact", records=contacts)["ids"],
        "Opportunity": world.control("salesforce/create", object="Opportunity", records=deals)["ids"],
    }


def _edit(world: World, books: dict[str, list[str]], count: int, luck: random.Random) -> None:
    fields = {"Lead": "Title", "Contact": "Title", "Account": "Website", "Opportunity": "Name"}
    chosen = Counter(luck.choice(list(fields)) for _ in range(count))
    for name, number in chosen.items():
        records = [{"Id": each, fields[name]: f"{luck.random()}"} for each in luck.sample(books[name], number)]
        world.control("salesforce/update", object=name, records=records)


def _mark(world: World) -> int:
    number: int = world.org.control("GET", "journal")["next"]
    return number


def _calls(world: World, after: int) -> int:
    entries: list[dict[str, Any]] = world.org.journal("salesforce", after)
    own = [entry for entry in entries if entry["kind"] != "token" and entry["path"] != "/services/data"]
    return len(own)
