"""
A worker is killed with ``kill -9`` inside each window in which work is half done, ten times in each, and the end is
that of a run which nobody disturbed.

Each kill is proved to have fallen into its window by what PostgreSQL and the organisation show at that moment. Nothing
in the service helps: a page or a settlement is held up by a lock that the test takes, an answer by the organisation.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from random import Random
from time import sleep
from typing import Any, Self

import pytest
from sqlalchemy import Connection

from config.rulefiles import load_rules
from tests.faults.crew import Group, pid_of
from tests.faults.end_state import KEY, Organisation, State, records_sent
from tests.faults.scene import Scene
from worker.connectors.salesforce.mapping import text_of
from worker.core.reconcile.values import canonical
from worker.wiring import rules_of

KILLS = 10
SEEDS = (7,)
WRITES = {"method": "PATCH", "path_contains": "composite/sobjects"}

# Where the pull of Salesforce is stopped: before the first page of a stream is kept, while everything before it is; or
# within a stream, when a page is kept and the next one is on its way. As many as KILLS.
PAGE_STOPS: Sequence[tuple[str, str]] = (
    ("before", "salesforce.opportunity_stage"),
    ("before", "salesforce.account"),
    ("before", "salesforce.contact"),
    ("before", "salesforce.lead"),
    ("within", "salesforce.lead"),
    ("within", "salesforce.lead"),
    ("before", "salesforce.campaign_member"),
    ("before", "salesforce.opportunity_contact_role"),
    ("within", "salesforce.opportunity_history"),
    ("before", "salesforce.task"),
)
STREAMS = [
    "salesforce.user",
    "salesforce.opportunity_stage",
    "salesforce.account",
    "salesforce.contact",
    "salesforce.lead",
    "salesforce.campaign",
    "salesforce.campaign_member",
    "salesforce.opportunity",
    "salesforce.opportunity_contact_role",
    "salesforce.opportunity_history",
    "salesforce.task",
    "salesforce.event",
]

TABLE_OF = {"salesforce.lead": "source_person", "salesforce.opportunity_history": "source_stage_change"}

Opened = Callable[..., Scene]


def test_ten_kills_between_two_pages_and_ten_with_an_answer_unread_change_nothing(
    open_scene: Opened, undisturbed: State
) -> None:
    scene = open_scene()
    with ExitStack() as stops:
        stop = stops.enter_context(PageStop(scene, *PAGE_STOPS[0]))
        start_two_workers_and_a_beat(scene)
        kill_between_pages(scene, stops, stop)
    scene.until_planned()
    with scene.gate("answer", **WRITES):
        scene.approve()
        for number in range(1, KILLS + 1):
            kill_with_the_answer_unread(scene, number)
    scene.expect(undisturbed)
    expect_all_killed(scene, 2 * KILLS)


def test_ten_kills_with_an_answer_read_but_not_settled_change_nothing(open_scene: Opened, undisturbed: State) -> None:
    scene = open_scene()
    start_two_workers_and_a_beat(scene)
    scene.until_planned()
    with scene.gate("answer", **WRITES):
        scene.approve()
        for number in range(1, KILLS + 1):
            kill_before_the_answer_is_settled(scene, number)
    scene.expect(undisturbed)
    expect_all_killed(scene, KILLS)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_kills_anywhere_change_nothing(open_scene: Opened, undisturbed: State, seed: int) -> None:
    """
    At random moments of random jobs, from the first page to the last settlement.
    """
    scene = open_scene()
    random = Random(seed)
    scene.note(f"seed {seed}")
    start_two_workers_and_a_beat(scene)
    for lanes, kills in (("pull:%", 3), ("%", 3)):
        kill_at_random(scene, random, lanes, kills)
    scene.until_planned()
    scene.approve()
    kill_at_random(scene, random, "apply", 4)
    scene.expect(undisturbed)
    expect_all_killed(scene, KILLS)


# ------------------------------------------------------------------------------------------------------------- kills


def kill_between_pages(scene: Scene, stops: ExitStack, stop: "PageStop") -> None:
    """
    Window: a page and the place behind it are committed, the next page is not.
    """
    assert len(PAGE_STOPS) == KILLS
    for number in range(1, KILLS + 1):
        stop.wait()
        # The next stop stands before this one goes, so that no worker slips through between two kills.
        following = stops.enter_context(PageStop(scene, *PAGE_STOPS[number], stop.place)) if number < KILLS else stop
        killed = scene.holder("pull:salesforce")
        scene.kill(killed, "with a page committed")
        whole = scene.one("SELECT count(*) FROM cursor WHERE first_loaded_at IS NOT NULL AND stream LIKE 'sales%'")
        scene.note(f"kill {number}, a page committed: {stop}, {whole} streams whole, pid {killed.pid}")
        if stop is not following and stop.where == following.where == "within":
            stop.hand_over()
        stop.close()
        stop = following


def kill_with_the_answer_unread(scene: Scene, number: int) -> None:
    """
    Window: the organisation has done what it was told, and its answer has not left it yet.
    """
    scene.org.wait_for_gate("answer", seconds=60)
    killed = scene.holder("apply")
    scene.kill(killed, "with an answer unread")
    # The lease still runs and nobody else has looked: what is seen now is what the dead worker left.
    sent = on_their_way(scene)
    assert sent, "nothing was on its way when the worker was killed"
    assert_the_organisation_holds(scene, sent)
    heard = f"{len(sent)} {sent[0]['object']} records done and not heard of"
    scene.note(f"kill {number}, answer unread: {heard}, pid {killed.pid}")
    scene.org.open_gate("answer")


def kill_before_the_answer_is_settled(scene: Scene, number: int) -> None:
    """
    Window: the worker has the answer and is about to commit what became of each record.
    """
    scene.org.wait_for_gate("answer", seconds=60)
    answered = len(writes(scene))
    with scene.holding("LOCK TABLE written IN SHARE MODE") as lock:
        scene.org.open_gate("answer")
        scene.until(
            lambda: any("INSERT INTO written" in words for words in scene.blocked_by(lock)),
            "the worker settles what it was answered",
        )
        assert [entry["status"] for entry in writes(scene)[answered:]] == [200]
        killed = scene.holder("apply")
        scene.kill(killed, "with an answer read and not settled")
        sent = on_their_way(scene)
        assert sent, "what was answered was settled already"
    scene.note(f"kill {number}, not settled: {len(sent)} {sent[0]['object']} records answered, pid {killed.pid}")


def kill_at_random(scene: Scene, random: Random, lanes: str, kills: int) -> None:
    """
    So many kills of whoever holds a job of some lanes, each up to a second after the job was seen: of whole workers,
    and of the one process that does the work.
    """
    until = scene.crew.killed + kills
    while scene.crew.killed < until:
        scene.until(lambda: busy(scene, lanes) or scene.is_planned() or scene.is_sent(), f"a worker holds {lanes}")
        sleep(random.uniform(0.0, 0.2 if lanes == "apply" else 1.0))
        found = busy(scene, lanes)
        if found:
            lane, group, child = random.choice(found)
            states = scene.outbox_states()
            if random.random() < 0.5:
                scene.kill(group, "anywhere")
                whom = f"worker {group.pid}"
            else:
                scene.kill(group, "anywhere", child=child)
                whom = f"process {child} of worker {group.pid}"
            scene.note(f"kill {scene.crew.killed}, anywhere: in {lane}, outbox {states}, {whom}")
        elif scene.is_planned() or scene.is_sent():
            scene.make_cycle_due()


# ------------------------------------------------------------------------------------------------------------- steps


def start_two_workers_and_a_beat(scene: Scene) -> None:
    """
    Two workers, so that one is there when the other is killed.
    """
    scene.crew.start("worker")
    scene.crew.start("worker")
    scene.crew.start("beat")


def busy(scene: Scene, lanes: str) -> list[tuple[str, Group, int]]:
    """
    The lanes that living workers hold, with the worker and its process that holds it.
    """
    held = "SELECT lane, owner FROM job WHERE lane LIKE :lanes AND state = 'leased' ORDER BY id"
    jobs = scene.rows(held, lanes=lanes)
    return [(job["lane"], group, pid_of(job)) for job in jobs if (group := scene.crew.owner(job))]


def on_their_way(scene: Scene) -> list[dict[str, Any]]:
    """
    The outbox rows that are marked as sent and of which nothing is settled.
    """
    assert scene.one("SELECT count(*) FROM written w JOIN outbox o USING (object, record_id)") == 0
    return scene.rows("SELECT object, record_id, changes FROM outbox WHERE state = 'sending' ORDER BY record_id")


def expect_all_killed(scene: Scene, kills: int) -> None:
    """
    Every kill was made, and no record was sent more than once.
    """
    assert scene.crew.killed == kills
    assert records_sent(scene.org.journal("salesforce")) == scene.one("SELECT count(DISTINCT record_id) FROM written")


def writes(scene: Scene) -> list[dict[str, Any]]:
    return [entry for entry in scene.org.journal("salesforce") if entry["method"] == "PATCH"]


class PageStop(ExitStack):
    """
    Holds the pull of Salesforce up, and knows when it has come there.

    ``before`` a stream: the row of its cursor is locked, or before there are cursors the stream's table, so that its
    first page cannot be kept. ``within`` a stream: the answer with its next page is held; ``last`` is the place of the
    stop before, whose page, asked for once more, is let go.
    """

    def __init__(self, scene: Scene, where: str, stream: str, last: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.scene, self.where, self.stream = scene, where, stream
        self.last = last or {}
        self.place: dict[str, Any] = {}
        self._is_handed_over = False
        self._lock: Connection | None = None

    def __enter__(self) -> Self:
        if self.where == "within":
            self.scene.org.fault({"gate": "page"}, method="GET", path_contains="/query/0r8")
            self.callback(self._let_go)
            return self
        locked = f"SELECT 1 FROM cursor WHERE stream = '{self.stream}' FOR UPDATE"
        if self.scene.one("SELECT count(*) FROM cursor") == 0:
            locked = f"LOCK TABLE source_{self.stream.rpartition('_')[2]} IN SHARE MODE"
        self._lock = self.enter_context(self.scene.holding(locked))
        return self

    def hand_over(self) -> None:
        """
        Leave the gate to the stop that follows, which is at the next page.
        """
        self._is_handed_over = True

    def _let_go(self) -> None:
        if not self._is_handed_over:
            self.scene.org.control("DELETE", "faults")
        self.scene.org.open_gate("page")

    def __str__(self) -> str:
        return f"{self.where} {self.stream}" + (f" behind row {self.place['seen']:,}" if self.place else "")

    def wait(self) -> None:
        """
        Come back once a worker stands here, having seen that what is before it is committed and what is behind is not.
        """
        if self._lock is not None:
            self._wait_before(self._lock)
        else:
            self._wait_within()

    def _wait_before(self, lock: Connection) -> None:
        self.scene.until(lambda: self.scene.blocked_by(lock), f"a worker waits to keep the first page of {self.stream}")
        loaded = {
            row["stream"] for row in self.scene.rows("SELECT stream FROM cursor WHERE first_loaded_at IS NOT NULL")
        }
        before = STREAMS[: STREAMS.index(self.stream)]
        assert loaded >= set(before), f"{set(before) - loaded} are not committed"
        assert self.stream not in loaded
        assert self.scene.one("SELECT place IS NULL FROM cursor WHERE stream = :stream", stream=self.stream)

    def _wait_within(self) -> None:
        self.place = self.scene.until(self._stands_within, f"the next page of {self.stream} is on its way")
        stored = f"SELECT count(*) FROM {TABLE_OF[self.stream]} WHERE stream = '{self.stream}'"
        assert self.scene.one(stored) == self.place["seen"] > 0

    def _stands_within(self) -> dict[str, Any] | None:
        held = self.scene.org.control("GET", "gates")["gates"].get("page")
        if not held:
            return None
        place: dict[str, Any] = self.scene.one("SELECT place FROM cursor WHERE stream = :stream", stream=self.stream)
        if place and held[-1].endswith(place["next"]) and place["next"] != self.last.get("next"):
            return place
        self.scene.org.open_gate("page")
        return None


def assert_the_organisation_holds(scene: Scene, sent: list[dict[str, Any]]) -> None:
    """
    Every value that was on its way is in the organisation.
    """
    ids = ", ".join(f"'{row['record_id']}'" for row in sent)
    name = KEY if sent[0]["object"] == "HW_Touch__c" else "Id"
    targets = {each.field: each for each in rules_of(load_rules(), 1).write.targets[sent[0]["object"]].values()}
    with Organisation(scene.org) as organisation:
        held = {record[name]: record for record in organisation.records(sent[0]["object"], f"WHERE {name} IN ({ids})")}
    for row in sent:
        changes = row["changes"] if isinstance(row["changes"], list) else json.loads(row["changes"])
        for change in changes:
            target = targets[change["field"]]
            assert canonical(text_of(held[row["record_id"]][change["field"]]), target) == change["new"]
