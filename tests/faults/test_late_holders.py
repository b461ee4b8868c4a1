"""
A worker that is stopped for longer than its lease is overtaken by another; when it wakes it changes nothing any more.
And a call that takes longer than the lease is no reason to overtake a worker that lives.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep

from tests.faults.crew import Group, pid_of
from tests.faults.end_state import State, records_sent
from tests.faults.scene import LEASE_SECONDS, Scene

Opened = Callable[..., Scene]
SLOW_SECONDS = 2.0 * LEASE_SECONDS


@dataclass(frozen=True)
class Sleeper:
    """
    A stopped process of a worker, and the gate its request waits at.
    """

    gate: str
    pid: int
    group: Group


def test_a_worker_that_sleeps_through_its_lease_changes_nothing_and_one_that_waits_keeps_it(
    open_scene: Opened, undisturbed: State
) -> None:
    scene = open_scene()
    # The first worker falls asleep over a page. The one that takes over waits long for the same page, and meanwhile the
    # first one wakes.
    scene.org.fault({"gate": "page"}, method="GET", path_contains="/query/0r8", times=1)
    scene.crew.start("worker")
    late_at_a_page = sleep_at(scene, "page", "pull:salesforce")
    scene.org.fault({"delay_seconds": SLOW_SECONDS}, method="GET", path_contains="/query/0r8", times=1)
    scene.crew.start("worker")
    scene.crew.start("worker")
    scene.until(lambda: takers(scene, "pull:salesforce") == [2], "another takes the pull over")
    wake(scene, late_at_a_page)
    scene.until_planned()
    assert takers(scene, "pull:salesforce") == [2], "the slow page was taken from the worker that waited for it"

    # One sleeps before its call: what it sends is not sent yet. One sleeps with the call made and unheard. The third
    # has a call that is done only after the lease that it began with, and then one in which the other two wake.
    scene.org.fault({"gate": "before"}, method="POST", path_contains="composite/sobjects/Account", times=1)
    scene.org.fault({"gate": "answer"}, method="PATCH", skip=2, times=1)
    scene.org.fault({"delay_seconds": SLOW_SECONDS}, method="PATCH", skip=3, times=1)
    scene.org.fault({"gate": "third"}, method="PATCH", skip=3, times=1)
    scene.approve()
    late_before_its_call = sleep_at(scene, "before", "apply")
    late_for_its_answer = sleep_at(scene, "answer", "apply")
    scene.org.wait_for_gate("third", seconds=60)
    wake(scene, late_before_its_call)
    wake(scene, late_for_its_answer)
    scene.org.open_gate("third")
    scene.until_sent()
    assert takers(scene, "apply")[0] == 3, "the slow call was taken from the worker that waited for it"
    scene.expect(undisturbed)
    assert records_sent(scene.org.journal("salesforce")) == scene.one("SELECT count(DISTINCT record_id) FROM written")


def takers(scene: Scene, lane: str) -> list[int]:
    """
    How often each job of a lane was claimed, the first job first.
    """
    return [row["token"] for row in scene.rows("SELECT token FROM job WHERE lane = :lane ORDER BY id", lane=lane)]


def sleep_at(scene: Scene, gate: str, lane: str) -> Sleeper:
    """
    Stop the process that waits at a gate with a lane's job in its hands.
    """
    scene.org.wait_for_gate(gate, seconds=60)
    (job,) = scene.rows("SELECT owner, token FROM job WHERE lane = :lane AND state = 'leased'", lane=lane)
    sleeper = Sleeper(gate, pid_of(job), scene.holder(lane))
    os.kill(sleeper.pid, signal.SIGSTOP)
    while not scene.rows("SELECT 1 FROM job WHERE lane = :lane FOR UPDATE SKIP LOCKED", lane=lane):
        # It was just extending its lease, in a transaction that would now stay open: a moment earlier or later.
        os.kill(sleeper.pid, signal.SIGCONT)
        sleep(0.01)
        os.kill(sleeper.pid, signal.SIGSTOP)
    scene.note(f"process {sleeper.pid} sleeps with {lane}, token {job['token']}, outbox {scene.outbox_states()}")
    return sleeper


def wake(scene: Scene, sleeper: Sleeper) -> None:
    """
    Let its answer go and the sleeper wake, and wait until it has found out that it is too late.
    """
    assert scene.org.control("GET", "gates")["gates"].get(sleeper.gate), f"nobody is at {sleeper.gate} any more"
    said = sleeper.group.said("lease lost")
    scene.org.open_gate(sleeper.gate)
    os.kill(sleeper.pid, signal.SIGCONT)
    scene.until(lambda: sleeper.group.said("lease lost") > said, "the late holder notices")
    scene.note(f"process {sleeper.pid} woke and found its lease lost")
