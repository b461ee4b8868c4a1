"""
Hints that records have changed: a reason to look at once, never data. Lost, doubled and wrong ones do no harm.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.flows.world import World
from tests.service import Running
from worker.connectors.base import ChangeHint
from worker.flows.drain import drain
from worker.flows.heed import heed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hinted(service: Running) -> Running:
    """
    A service that has read the org once.
    """
    service.cycle()
    return service


def give(hinted: Running, *hints: ChangeHint) -> int:
    with hinted.service.engine.begin() as connection:
        count = heed(connection, hinted.service.sources["salesforce"].streams, hints)
        connection.exec_driver_sql("UPDATE job SET run_at = now() WHERE flow = 'reread' AND state = 'ready'")
    return count


def look(hinted: Running) -> list[dict[str, Any]]:
    """
    The calls of everything that is due.
    """
    mark = hinted.mark()
    while drain(hinted.service):
        pass
    return hinted.calls(mark)


def now(hinted: Running) -> datetime:
    return datetime.fromisoformat(hinted.org.control("GET", "clock")["now"])


def stored(hinted: Running, record_id: str) -> list[Any]:
    return [row["title"] for row in hinted.rows("SELECT title FROM source_person WHERE record_id = :id", id=record_id)]


def test_hinted_records_are_read_at_once_by_one_call_and_no_watermark_moves(hinted: Running) -> None:
    world = World(hinted, "hazel")
    leads = [world.lead(f"Lead{number}", Title="Controller") for number in range(20)]
    before = hinted.rows("SELECT stream, watermark FROM cursor ORDER BY 1")
    hints = [ChangeHint("Lead", [lead], now(hinted)) for lead in leads]
    assert give(hinted, *hints, *hints) == 40
    calls = look(hinted)
    assert len([call for call in calls if call["kind"] == "read"]) == 1, calls
    assert [stored(hinted, lead) for lead in leads] == [["Controller"]] * 20
    assert hinted.rows("SELECT stream, watermark FROM cursor ORDER BY 1") == before


def test_what_is_as_new_as_the_hint_is_not_looked_at(hinted: Running) -> None:
    lead = World(hinted, "rowan").lead("Ada", Title="Controller")
    at = now(hinted)
    hinted.cycle()
    assert stored(hinted, lead) == ["Controller"]
    assert give(hinted, ChangeHint("Lead", [lead], at - timedelta(days=300))) == 0
    assert look(hinted) == []


def test_a_lost_hint_costs_time_only(hinted: Running) -> None:
    lead = World(hinted, "aspen").lead("Ada", Title="Controller")
    hinted.cycle()
    assert stored(hinted, lead) == ["Controller"]


def test_hints_of_what_nobody_reads_and_of_records_that_are_not_there_do_no_harm(hinted: Running) -> None:
    lead = World(hinted, "larch").lead("Ada", Title="Controller")
    nobody = "00Q000000000000AAA"
    wrong = [ChangeHint("ContractLineItem", [lead], now(hinted)), ChangeHint("Lead", [nobody], now(hinted))]
    assert give(hinted, *wrong, ChangeHint("lead", [lead[:15]], now(hinted))) == 2
    look(hinted)
    assert stored(hinted, lead) == ["Controller"]
    assert stored(hinted, lead[:15]) == []
    assert not hinted.rows("SELECT 1 FROM source_person WHERE record_id = :id AND NOT is_deleted", id=nobody)
    assert hinted.value("SELECT count(*) FROM due WHERE flow = 'reread'") == 0
