"""
A worker that is stopped for longer than its lease is overtaken by another; when it wakes it changes nothing any more.
And a call that takes longer than the lease is no reason to overtake a worker that lives.
"""

import signal
from collections.abc import Callable
from time import sleep

from tests.faults.crew import Group
from tests.faults.end_state import State, records_sent
from tests.faults.scene import LEASE_SECONDS, Scene

Opened = Callable[..., Scene]


def test_a_worker_that_slept_through_its_lease_changes_nothing_when_it_wakes(
    open_scene: Opened, undisturbed: State
) -> None:
    scene = open_scene()
    scene.org.fault({"gate": "page"}, method="GET", path_contains="/query/0r8", times=1)
    sleepers = [sleep_at(scene, "page", "pull:salesforce", scene.crew.start("worker"))]
    scene.crew.start("worker")
    scene.until_planned()
    wake(scene, "page", sleepers[0])

    # Before its call: the rows are marked as on their way, and nothing was sent. Then with the call made and unheard.
    for name, where in (
        ("describe", {"method": "GET", "path_contains": "sobjects/Account/describe"}),
        ("answer", {"method": "PATCH", "path_contains": "composite/sobjects", "skip": 2}),
    ):
        scene.org.fault({"gate": name}, times=1, **where)
    scene.approve()
    sleepers.append(sleep_at(scene, "describe", "apply"))
    sleepers.append(sleep_at(scene, "answer", "apply"))
    scene.crew.start("worker")
    scene.until_sent()
    wake(scene, "describe", sleepers[1])
    wake(scene, "answer", sleepers[2])
    scene.expect(undisturbed)
    assert records_sent(scene.org.journal("salesforce")) == scene.one("SELECT count(DISTINCT record_id) FROM written")
    print("\n".join(scene.notes))


def test_a_call_that_takes_longer_than_the_lease_is_not_made_again_by_another(
    open_scene: Opened, undisturbed: State
) -> None:
    scene = open_scene()
    scene.crew.start("worker")
    scene.crew.start("worker")
    scene.org.fault({"delay_seconds": 2.5 * LEASE_SECONDS}, method="GET", path_contains="/query/0r8", times=1)
    scene.until_planned()
    scene.org.fault({"delay_seconds": 2.5 * LEASE_SECONDS}, method="PATCH", times=1)
    scene.approve()
    scene.expect(undisturbed)
    assert records_sent(scene.org.journal("salesforce")) == scene.one("SELECT count(DISTINCT record_id) FROM written")


def sleep_at(scene: Scene, gate: str, lane: str, starting: Group | None = None) -> Group:
    """
    Stop the worker that waits at a gate, and wait until another holds its lane.
    """
    scene.org.wait_for_gate(gate, seconds=60)
    group = starting or scene.holder(lane)
    assert group is scene.holder(lane)
    group.signal(signal.SIGSTOP)
    before = scene.one("SELECT token FROM job WHERE lane = :lane AND state = 'leased'", lane=lane)
    scene.note(f"pid {group.pid} sleeps with {lane} at token {before}, outbox {scene.outbox_states()}")
    return group


def wake(scene: Scene, gate: str, group: Group) -> None:
    """
    Let its answer go and the sleeper wake, and wait until it has found out that it is too late.
    """
    assert scene.org.control("GET", "gates")["gates"].get(gate), f"nobody is at {gate} any more"
    said = group.said("lease lost")
    scene.org.open_gate(gate)
    group.signal(signal.SIGCONT)
    scene.until(lambda: group.said("lease lost") > said, "the late holder notices")
    scene.note(f"pid {group.pid} woke and found its lease lost")
    sleep(0.2)
