"""
What comes in wrong is said clearly, loses nothing, and is made good by the next cycle.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from config.rulefiles import load_rules
from config.settings import load_settings
from tests.flows.world import World
from tests.practice_org import PracticeOrg
from tests.service import Running, fresh_database, running, settings_of
from worker.connectors.salesforce.doctor import examine
from worker.connectors.salesforce.findings import Finding
from worker.flows.drain import drain, start_cycle
from worker.wiring import build, salesforce_client, write_fields

pytestmark = pytest.mark.slow

PEOPLE = "SELECT count(*) FROM source_person WHERE stream = 'salesforce.lead' AND NOT coalesce(is_deleted, false)"


@pytest.fixture
def fresh(org: PracticeOrg, server_url: str, valkey_url: str) -> Iterator[Running]:
    """
    A service that has never read anything, on the module's org.
    """
    with fresh_database(server_url) as database_url, running(org, database_url, valkey_url) as built:
        yield built


def leads(running: Running, name: str, count: int, **values: Any) -> list[str]:
    records = [{"LastName": f"{name} {number}", "Company": name, **values} for number in range(count)]
    return running.org.create("Lead", records)


def stored(running: Running, name: str) -> int:
    statement = "SELECT count(*) FROM source_person WHERE stream = 'salesforce.lead' AND company = :name"
    return int(running.value(statement, name=name))


def doctors_words(running: Running) -> list[Finding]:
    """
    What ``headwater doctor`` finds about the org.
    """
    settings = load_settings(database_url=running.database_url, **settings_of(running.org))
    files = load_rules()
    return list(examine(salesforce_client(settings, files), write_fields=write_fields(files), extra_fields={}))


def with_settings(running: Running, **given: object) -> Running:
    settings = load_settings(
        **{"database_url": running.database_url, "redis_url": running.redis_url, **settings_of(running.org), **given}
    )
    return Running(running.org, build(settings), running.database_url, running.redis_url)


# ------------------------------------------------------------------------------------------------ wrong credentials


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"salesforce_client_id": "somebody-else"}, "client"),
        ({"salesforce_username": "nobody@practice.test"}, "user"),
    ],
)
def test_wrong_credentials_end_the_pull_with_a_cure_and_right_ones_bring_everything(
    fresh: Running, given: dict[str, object], words: str
) -> None:
    name = f"Credentials {words}"
    leads(fresh, name, 3)
    wrong = with_settings(fresh, **given)
    cycle = wrong.try_cycle()
    wrong.service.engine.dispose()
    (failed,) = [run for run in cycle.failed if run["lane"] == "pull:salesforce"]
    assert re.fullmatch(r"HW-2\d\d", str(failed["error_code"])), failed
    (finding,) = [each for each in fresh.status()["findings"] if each["key"] == "job:pull:salesforce"]
    assert finding["code"] == failed["error_code"]
    assert finding["actions"], finding
    assert "practice-secret" not in json.dumps(fresh.status(), default=str)
    assert stored(fresh, name) == 0
    fresh.cycle()
    assert stored(fresh, name) == 3
    assert [each for each in fresh.status()["findings"] if each["key"] == "job:pull:salesforce"] == []


def test_one_platform_that_refuses_us_does_not_keep_the_other_from_being_read(fresh: Running) -> None:
    leads(fresh, "Only Salesforce", 2)
    wrong = with_settings(fresh, marketo_client_secret="wrong")
    cycle = wrong.try_cycle()
    wrong.service.engine.dispose()
    assert {run["lane"] for run in cycle.failed} == {"pull:marketo"}
    assert stored(fresh, "Only Salesforce") == 2


# ---------------------------------------------------------------------------------------------------- hidden fields


def test_a_field_that_is_hidden_is_named_and_not_planned_and_everything_else_goes_on(fresh: Running) -> None:
    hidden = {"object": "Contact", "fields": ["HW_Original_Source__c"]}
    fresh.org.control("POST", "salesforce/hide_fields", hidden)
    try:
        world = World(fresh, "hidden")
        account = world.account()
        ada = world.contact(account, "Ada")
        lea = world.lead("Lea")
        for record in (ada, lea):
            world.form(world.known(record), 20, "cpc")
        fresh.cycle()
        assert fresh.value("SELECT count(*) FROM outbox WHERE changes::text LIKE '%HW_Original_Source__c%'") >= 1
        assert fresh.rows("SELECT 1 FROM outbox WHERE object = 'Contact' AND record_id = :id", id=ada) == []
        assert fresh.rows("SELECT 1 AS there FROM outbox WHERE object = 'Lead' AND record_id = :id", id=lea)
        named = [each for each in doctors_words(fresh) if "Contact.HW_Original_Source__c" in each.message]
        assert [each.level for each in named if each.actions] == ["error"], named
    finally:
        fresh.org.control("POST", "salesforce/show_fields", hidden)


def test_a_field_that_appears_is_planned_from_then_on(fresh: Running) -> None:
    hidden = {"object": "Contact", "fields": ["HW_Original_Source__c"]}
    fresh.org.control("POST", "salesforce/hide_fields", hidden)
    world = World(fresh, "appearing")
    ada = world.contact(world.account(), "Ada")
    world.form(world.known(ada), 20, "cpc")
    fresh.cycle()
    fresh.org.control("POST", "salesforce/show_fields", hidden)
    # Objects are described again once an hour by our own clock; here, at once.
    with fresh.service.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE source_state SET known = '{}' WHERE source = 'salesforce'")
    again = with_settings(fresh)
    again.cycle()
    again.service.engine.dispose()
    fresh.colleague.update("Contact", [{"Id": ada, "Title": "Controller"}])
    again = with_settings(fresh)
    again.cycle()
    again.service.engine.dispose()
    assert fresh.rows("SELECT 1 AS there FROM outbox WHERE object = 'Contact' AND record_id = :id", id=ada)


def test_a_field_that_vanishes_under_a_cycle_does_not_stop_it(service: Running) -> None:
    service.cycle()
    hidden = {"object": "Lead", "fields": ["Rating"]}
    service.org.control("POST", "salesforce/hide_fields", hidden)
    try:
        leads(service, "Vanishing", 2)
        service.cycle()
        assert stored(service, "Vanishing") == 2
    finally:
        service.org.control("POST", "salesforce/show_fields", hidden)


# --------------------------------------------------------------------------------------------------- broken answers

BROKEN: dict[str, dict[str, Any]] = {
    "html": {"status": 200, "body": "<html><body>Down for maintenance</body></html>", "content_type": "text/html"},
    "cut json": {"cut_body_at": 200},
    "no json": {"status": 200, "body": '{"results": [', "content_type": "application/json"},
    "null": {"status": 200, "body": "null", "content_type": "application/json"},
    "empty": {"status": 200, "body": "", "content_type": "application/json"},
    "server error": {"status": 500, "body": "[]", "content_type": "application/json"},
    "unavailable": {"status": 503, "body": "busy", "content_type": "text/plain"},
    "closed": {"reset": "before"},
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("system", ["salesforce", "marketo"])
def test_after_a_broken_answer_the_next_cycle_is_complete(service: Running, kind: str, system: str) -> None:
    name = f"Broken {kind} {system}"
    leads(service, name, 3, Email=f"{abs(hash(name)) % 10**9}@nobody.example")
    lead = service.org.create("Lead", [{"LastName": name, "Company": name}])[0]
    world = World(service, name.lower().replace(" ", "-"))
    world.form(world.known(lead), 1, "cpc")
    path = "composite/batch" if system == "salesforce" else "activities.json"
    service.org.fault(BROKEN[kind], system=system, path_contains=path, times=1)
    cycle = service.try_cycle()
    for run in cycle.failed:
        assert re.fullmatch(r"HW-[23]\d\d", str(run["error_code"])), run
        assert "Traceback" not in str(run["error"])
    assert service.org.control("GET", "faults")["faults"] == []
    service.cycle()
    assert stored(service, name) == 4
    assert len(service.why("person", lead)["touches"]) == 1
    assert [each for each in service.status()["findings"] if each["key"].startswith("job:pull")] == []


def test_an_org_that_stays_away_is_named_and_loses_nothing(service: Running) -> None:
    leads(service, "Away", 3)
    service.org.fault(BROKEN["unavailable"], system="salesforce", path_contains="/services/data")
    with service.service.engine.begin() as connection:
        start_cycle(connection, service.service)
    drain(service.service)
    assert any(each["key"] == "job:pull:salesforce" for each in service.status()["findings"])
    service.org.control("DELETE", "faults")
    service.cycle()
    assert stored(service, "Away") == 3


# -------------------------------------------------------------------------------------------------------- quarantine


def test_a_row_that_cannot_be_held_is_listed_and_the_rest_goes_on_until_it_is_good_again(service: Running) -> None:
    service.settle()
    asked = one_call(service)
    made = leads(service, "Poison", 3)
    records = [
        {
            "attributes": {"type": "Lead"},
            "Id": record_id,
            "CreatedDate": "never" if number == 1 else "2026-01-05T10:00:00.000+0000",
            "SystemModstamp": "2026-01-05T10:00:00.000+0000",
            "LastName": f"Poison {number}",
            "Company": "Poison",
            "NumberOfEmployees": 5,
        }
        for number, record_id in enumerate(made)
    ]
    answer = {
        "hasErrors": False,
        "results": [
            {
                "statusCode": 200,
                "result": {
                    "totalSize": len(records) if "%20FROM%20Lead%20" in part["url"] else 0,
                    "done": True,
                    "records": records if "%20FROM%20Lead%20" in part["url"] else [],
                },
            }
            for part in asked["batchRequests"]
        ],
    }
    rewritten = {"status": 200, "body": json.dumps(answer), "content_type": "application/json"}
    service.org.fault(rewritten, system="salesforce", path_contains="composite/batch", times=1)
    cycle = service.cycle()
    assert cycle.total("quarantined") == 1
    assert stored(service, "Poison") == 2
    (held,) = service.status()["quarantine"]
    assert (held["stream"], held["code"], held["whose"], held["records"], held["example"]) == (
        "salesforce.lead",
        "HW-401",
        "theirs",
        1,
        made[1],
    )
    assert "created_at" in held["message"]
    service.cycle()
    assert stored(service, "Poison") == 3
    assert service.status()["quarantine"] == []


def one_call(service: Running) -> dict[str, Any]:
    """
    What an idle cycle asks Salesforce for.
    """
    mark = service.mark()
    service.cycle()
    (call,) = service.calls(mark)
    asked: dict[str, Any] = json.loads(call["body"])
    return asked
