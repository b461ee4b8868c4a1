"""
The Celery app knows every ring by its name, and every ring has a queue that a worker of the Procfile drains.
"""

import re

import pytest

from tasks.app import ALL_QUEUES, app
from worker.broker.bell import QUEUES, TASK_PREFIX
from worker.cli.processes import procfile_lines
from worker.flows.drain import FLOWS


@pytest.fixture(scope="module")
def names() -> set[str]:
    app.loader.import_default_modules()
    return {name for name in app.tasks if name.startswith(TASK_PREFIX)}


@pytest.mark.parametrize("ring", [*FLOWS, "tick"])
def test_every_ring_is_answered_by_a_task_of_its_name(names: set[str], ring: str) -> None:
    assert TASK_PREFIX + ring in names


def test_no_task_answers_a_ring_that_nobody_gives(names: set[str]) -> None:
    assert names == {TASK_PREFIX + ring for ring in (*FLOWS, "tick")}


@pytest.mark.parametrize("ring", [*FLOWS, "tick"])
def test_every_ring_goes_to_a_queue_that_the_worker_drains(ring: str) -> None:
    drained = re.search(r"-Q (\S+)", procfile_lines()["worker"])
    assert drained is not None
    assert QUEUES[ring] in drained[1].split(",")
    assert app.conf.task_routes[TASK_PREFIX + ring] == {"queue": QUEUES[ring]}


def test_the_app_lists_the_queues_that_there_are() -> None:
    assert set(ALL_QUEUES.split(",")) == set(QUEUES.values())


def test_beat_rings_one_entry_that_expires(names: set[str]) -> None:
    ((_, entry),) = app.conf.beat_schedule.items()
    assert entry["task"] in names
    assert entry["options"]["expires"] <= 60


def test_a_ring_that_is_lost_or_doubled_does_no_harm_so_no_result_is_kept() -> None:
    assert app.conf.task_ignore_result is True
    assert app.conf.result_backend is None
