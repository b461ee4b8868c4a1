"""
Whose API calls are counted for what, and who waits when they are short: on a whole service and a practice org.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.flows.world import World
from tests.practice_org import PracticeOrg
from tests.service import Running
from worker.cli.status import told
from worker.core.budget import Shares
from worker.flows import budget
from worker.flows.drain import drain, start_sweep
from worker.store import jobs, outbox

pytestmark = pytest.mark.slow

SHARES = Shares(Decimal(15), Decimal(15))


@pytest.fixture(autouse=True)
def _enough(org: PracticeOrg, service: Running) -> Iterator[None]:
    yield
    org.control("POST", "salesforce/limits", {"used": 0, "allowed": 100_000})
    with service.service.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE api_use, api_level")
        connection.exec_driver_sql("DELETE FROM job WHERE state = 'ready'")
        connection.exec_driver_sql("UPDATE source_state SET calls_used = 0, answered_at = now()")


def used(service: Running) -> dict[str, int]:
    with service.service.engine.connect() as connection:
        found = budget.standing(connection, "salesforce", SHARES)
    return found.by_purpose if found else {}


def status(service: Running) -> dict[str, Any]:
    with service.service.engine.connect() as connection:
        (found,) = budget.told(connection, service.service)
    return found


def pretend_used(service: Running, calls: int, hours_ago: int = 1) -> None:
    with service.service.engine.begin() as connection:
        at = datetime.now(UTC) - timedelta(hours=hours_ago)
        connection.exec_driver_sql(
            """
            INSERT INTO api_use SELECT 'salesforce',
                date_trunc('hour', %s + make_interval(secs => clock_offset_seconds::float8), 'UTC'), 'history', %s
            FROM source_state WHERE source = 'salesforce'
            """,
            (at, calls),
        )


def test_every_call_is_counted_once_for_what_it_was_made(org: PracticeOrg, service: Running) -> None:
    mark = service.mark()
    world = World(service, "counted")
    account = world.account()
    world.contact(account, "Ada")
    service.cycle()  # a first load
    first = used(service)
    assert sum(first.values()) == len(service.calls(mark))
    assert (first["history"] > 0, first["changes"]) == (True, 0)
    mark = service.mark()
    service.cycle()
    second = used(service)
    assert second["changes"] == len(service.calls(mark)) > 0
    assert second["history"] == first["history"]


def test_status_shows_everybodys_use_as_of_the_last_answer_of_any_flow(org: PracticeOrg, service: Running) -> None:
    service.cycle()
    (account,) = org.create("Account", [{"Name": "Told"}])
    with service.service.engine.begin() as connection:
        jobs.enqueue(connection, "resync", scope={"records": {"salesforce.account": [account]}})
    org.control("POST", "salesforce/limits", {"used": 4_711})
    mark = service.mark()
    drain(service.service, ["resync"])
    made = len(service.calls(mark))
    assert status(service)["used"] == 4_711 + made
    assert service.status()["calls"][1]["calls_used"] == 4_711 + made


def test_our_cap_holds_history_back_and_lets_changes_go_on(org: PracticeOrg, service: Running) -> None:
    service.cycle()
    pretend_used(service, 11_000)
    mark = service.mark()
    with service.service.engine.begin() as connection:
        start_sweep(connection, service.service)
    drain(service.service, ["sweep"])
    assert service.calls(mark) == []
    (finding,) = [each for each in service.status()["findings"] if each["key"] == "job:sweep:salesforce"]
    assert finding["code"] == "HW-232"
    assert "11,0" in finding["message"]
    assert "of the 15,000 API calls of a day" in finding["message"]
    service.cycle()
    assert used(service)["changes"] > 0
    (hold,) = status(service)["held"]
    assert (hold["purpose"], hold["bound"]) == ("history", "cap")


def test_what_is_held_back_is_said_with_its_hour(org: PracticeOrg, service: Running) -> None:
    service.cycle()
    pretend_used(service, 14_000, hours_ago=20)
    found = status(service)
    lines = "\n".join(told(service.status() | {"api": [found]}))
    assert [hold["purpose"] for hold in found["held"]] == ["changes", "history"]
    assert "HELD BACK: changes, until the room frees at " in lines
    assert "by Headwater: 14,00" in lines
    assert "left to everybody else, always: 15,000 (15 %)" in lines
    until = datetime.fromisoformat(found["held"][0]["until"])
    now = datetime.fromisoformat(org.control("GET", "clock")["now"])
    assert timedelta(hours=3) < until - now < timedelta(hours=6)


def test_the_floor_is_everybody_elses_even_when_we_have_used_next_to_nothing(
    org: PracticeOrg, service: Running
) -> None:
    service.cycle()
    org.control("POST", "salesforce/limits", {"used": 86_000})
    service.cycle()  # hears of it
    mark = service.mark()
    cycle = service.try_cycle()
    assert [run["error_code"] for run in cycle.failed] == ["HW-206"]
    assert service.calls(mark) == []
    assert [hold["purpose"] for hold in status(service)["held"]] == ["writes", "changes", "history"]


def test_a_day_used_up_is_waited_for_longer_than_a_crowded_moment(org: PracticeOrg, service: Running) -> None:
    service.cycle()
    waits = {}
    for words in ("TotalRequests Limit exceeded.", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."):
        body = f'[{{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "{words}"}}]'
        action = {"status": 403, "body": body, "content_type": "application/json"}
        org.fault(action, system="salesforce", path_contains="composite/batch", times=1)
        with service.service.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM job WHERE state = 'ready'")
            jobs.enqueue(connection, "pull", lane="pull:salesforce", scope={"source": "salesforce"})
        drain(service.service, ["pull"])
        waits[words[:5]] = service.value(
            "SELECT extract(epoch FROM run_at - now())::int AS s FROM job WHERE state = 'ready' AND flow = 'pull'"
        )
    assert 890 < waits["Total"] <= 900
    assert 10 < waits["Concu"] <= 40


def test_writes_go_out_while_the_reading_of_changes_waits(org: PracticeOrg, service: Running) -> None:
    world = World(service, "urgent")
    account = world.account(NumberOfEmployees=20)
    buyer = world.contact(account, "Uma")
    person = world.known(buyer)
    world.form(person, 1, "cpc", asset="Demo request")
    service.cycle()
    pretend_used(service, 13_800)
    with service.service.engine.begin() as connection:
        approved = outbox.approve(connection, by="a test")
        jobs.enqueue(connection, "apply")
    assert approved
    drain(service.service, ["apply"])
    assert used(service)["writes"] > 0
    assert service.try_cycle().failed[0]["error_code"] == "HW-232"


def test_a_quarter_of_an_hour_later_a_pull_asks_and_work_goes_on(org: PracticeOrg, service: Running) -> None:
    service.cycle()
    org.control("POST", "salesforce/limits", {"used": 99_000})
    service.cycle()  # hears of it
    org.control("POST", "salesforce/limits", {"used": 1_000})
    assert service.try_cycle().failed
    with service.service.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE source_state SET answered_at = now() - interval '16 minutes'")
        connection.exec_driver_sql("DELETE FROM job WHERE state = 'ready'")
        start_sweep(connection, service.service)
    mark = service.mark()
    drain(service.service, ["sweep"])
    assert service.calls(mark) == []
    service.cycle()
    assert status(service)["held"] == []
