"""
A human who is an account and a contact in one: counted once, written through the account, and never twice.
"""

import pytest

from tests.flows.world import World
from tests.service import Running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def persons(service: Running) -> Running:
    """
    A service of an organisation with person accounts.
    """
    service.org.control("POST", "salesforce/features", {"person_accounts": True})
    return service


def person(running: Running, name: str) -> tuple[str, str]:
    """
    A person account as an administrator makes it; the ids of its contact and of itself.
    """
    (account,) = running.colleague.create(
        "Account", [{"LastName": name, "PersonEmail": f"{name}@home.example".lower()}]
    )
    (row,) = running.colleague.query(f"SELECT PersonContactId FROM Account WHERE Id = '{account}'")
    return row["PersonContactId"], account


def test_what_is_decided_of_a_person_arrives_on_the_account_once(persons: Running) -> None:
    world = World(persons, "quince")
    contact, account = person(persons, "Ng")
    employee = world.contact(world.account(), "Ada")
    for record in (contact, employee):
        world.form(world.known(record), 10, "cpc")
    persons.cycle()
    persons.approve()
    (there,) = persons.colleague.query(f"SELECT HW_Original_Source__pc FROM Account WHERE Id = '{account}'")
    assert there == {"HW_Original_Source__pc": "Paid search"}
    rows = persons.rows(
        "SELECT object, record_id, after, result FROM written WHERE field = 'HW_Original_Source__c' ORDER BY record_id"
    )
    assert {(row["object"], row["record_id"], row["after"], row["result"]) for row in rows} == {
        ("Contact", contact, "Paid search", "done"),
        ("Contact", employee, "Paid search", "done"),
    }
    assert persons.value("SELECT count(*) FROM outbox") == 0
    assert len({persons.golden_id("person", each) for each in (contact, employee)}) == 2
    persons.settle()
    mark = persons.mark()
    persons.cycle()
    assert persons.calls(mark, "write") == []
