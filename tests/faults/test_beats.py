"""
Whoever rings and however often: a cycle that is due starts once.
"""

import signal
from collections.abc import Callable
from functools import partial

import redis

from tests.faults.crew import Group
from tests.faults.end_state import State
from tests.faults.scene import Scene
from worker.broker.bell import bell

Opened = Callable[..., Scene]
CROWD = 40
TICKS = "headwater:tick"  # the queue of ticks as Valkey knows it


def test_with_no_beat_at_all_and_then_with_two_each_cycle_starts_once(open_scene: Opened, undisturbed: State) -> None:
    scene = open_scene()
    scene.crew.start("worker")
    scene.until_planned()
    scene.note(f"without any beat the worker rang for itself: {cycles_started(scene)} cycle was started")
    assert not scene.crew.alive("beat")
    assert cycles_started(scene) == 1

    both_ring(scene, scene.crew.start("beat"), scene.crew.start("beat"))
    scene.crew.start("worker")
    scene.approve()
    scene.until_sent()
    ring = bell(scene.crew.environment["REDIS_URL"])
    for _ in range(3):
        ring(["tick"] * CROWD)
        scene.make_cycle_due()
        ring(["tick"] * CROWD)
        scene.until_sent()
    assert len(scene.crew.alive("beat")) == 2
    scene.expect(undisturbed)
    assert cycles_started(scene) == 1 + scene.cycles
    scene.note(f"two beats and {6 * CROWD} further rings: {scene.cycles} cycles were due and as many were started")


def both_ring(scene: Scene, *beats: Group) -> None:
    """
    See that each beat rings while the other and all who answer are stopped.
    """
    others = scene.crew.alive("worker")
    with redis.from_url(scene.crew.environment["REDIS_URL"]) as valkey:
        for group in (*others, *beats):
            group.signal(signal.SIGSTOP)
        for beat in beats:
            waiting = int(valkey.llen(TICKS))
            beat.signal(signal.SIGCONT)
            scene.until(partial(more_than, valkey, waiting), "a beat rings")
            beat.signal(signal.SIGSTOP)
        for group in (*others, *beats):
            group.signal(signal.SIGCONT)


def more_than(valkey: "redis.Redis", waiting: int) -> bool:
    """
    Whether more ticks wait than before.
    """
    return int(valkey.llen(TICKS)) > waiting


def cycles_started(scene: Scene) -> int:
    started: int = scene.one("SELECT count(*) FROM job WHERE lane = 'pull:salesforce'")
    return started
