"""
A worker is killed with ``kill -9`` inside each window in which work is half done, ten times and more in each, and the end
is that of a run which nobody disturbed.

Each kill is proved to have fallen into its window by what PostgreSQL and the organisation show at that moment. Nothing in
the service helps: a page or a settlement is held up by a lock that the test takes, an answer by the organisation.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random
from time import sleep
from typing import Any

import pytest

from tests.faults.end_state import Organisation, State, records_sent
from tests.faults.scene import Scene
from worker.connectors.salesforce.mapping import text_of

KILLS = 10
SEEDS = (7,)

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

Opened = Callable[..., Scene]


def test_ten_kills_between_two_pages_lose_no_record_and_double_none(open_scene: Opened, undisturbed: State) -> None:
    """
    Window: the page and the place behind it are committed, the next page is not.
    """
    assert len(PAGE_STOPS) == KILLS
    scene = open_scene()
    obstacle = page_stop(scene, *PAGE_STOPS[0])
    obstacle.__enter__()
    start_two_workers_and_a_beat(scene)
    place: dict[str, Any] = {}
    for number, (where, stream) in enumerate(PAGE_STOPS, start=1):
        if where == "before":
            until_stopped_before(scene, stream)
        else:
            place = until_stopped_within(scene, stream, place)
        upcoming = page_stop(scene, *PAGE_STOPS[number]) if number < KILLS else None
        if upcoming:
            upcoming.__enter__()
        killed = scene.holder("pull:salesforce")
        scene.crew.kill(killed)
        loaded = scene.one("SELECT count(*) FROM cursor WHERE first_loaded_at IS NOT NULL AND stream LIKE 'salesforce%'")
        scene.note(f"kill {number}, a page committed: {where} {stream}, {loaded} streams whole, pid {killed.pid}")
        obstacle.__exit__(None, None, None)
        if upcoming:
            obstacle = upcoming
    scene.until_planned()
    scene.approve()
    scene.expect(undisturbed)
    report(scene, KILLS)


def test_ten_kills_with_the_answer_unread_write_nothing_twice(open_scene: Opened, undisturbed: State) -> None:
    """
    Window: the organisation has done what it was told, and its answer has not left it yet.
    """
    scene = open_scene()
    start_two_workers_and_a_beat(scene)
    scene.until_planned()
    with gate(scene, "answer", method="PATCH", path_contains="composite/sobjects"):
        scene.approve()
        for number in range(1, KILLS + 1):
            scene.org.wait_for_gate("answer")
            killed = scene.holder("apply")
            scene.crew.kill(killed)
            # The lease still runs and nobody else has looked: what is seen now is what the dead worker left.
            sent = scene.rows("SELECT object, record_id, changes FROM outbox WHERE state = 'sending'")
            assert sent, "nothing was on its way when the worker was killed"
            assert_the_organisation_holds(scene, sent)
            assert scene.one("SELECT count(*) FROM written w JOIN outbox o USING (object, record_id)") == 0
            scene.note(f"kill {number}, answer unread: {len(sent)} {sent[0]['object']} records done and not heard of, pid {killed.pid}")
            scene.org.open_gate("answer")
    scene.expect(undisturbed)
    assert records_sent(scene.org.journal("salesforce")) == scene.one("SELECT count(DISTINCT record_id) FROM written")
    report(scene, KILLS)


def test_ten_kills_with_the_answer_read_but_not_settled_write_nothing_twice(
    open_scene: Opened, undisturbed: State
) -> None:
    """
    Window: the worker has the answer and is about to commit what became of each record.
    """
    scene = open_scene()
    start_two_workers_and_a_beat(scene)
    scene.until_planned()
    with gate(scene, "answer", method="PATCH", path_contains="composite/sobjects"):
        scene.approve()
        for number in range(1, KILLS + 1):
            scene.org.wait_for_gate("answer")
            heard = len(writes(scene))
            with scene.holding("LOCK TABLE written IN SHARE MODE") as lock:
                scene.org.open_gate("answer")
                scene.until(
                    lambda lock=lock: any("INSERT INTO written" in words for words in scene.blocked_by(lock)),
                    "the worker settles what it was answered",
                )
                assert [entry["status"] for entry in writes(scene)[heard:]] == [200]
                killed = scene.holder("apply")
                scene.crew.kill(killed)
                sent = scene.rows("SELECT object, record_id, changes FROM outbox WHERE state = 'sending'")
                assert sent, "what was answered was settled already"
                assert scene.one("SELECT count(*) FROM written w JOIN outbox o USING (object, record_id)") == 0
            scene.note(f"kill {number}, not settled: {len(sent)} {sent[0]['object']} records answered, pid {killed.pid}")
    scene.expect(undisturbed)
    assert records_sent(scene.org.journal("salesforce")) == scene.one("SELECT count(DISTINCT record_id) FROM written")
    report(scene, KILLS)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_kills_anywhere_come_to_the_same_end(open_scene: Opened, undisturbed: State, seed: int) -> None:
    """
    At random moments from the first page to the last settlement.
    """
    scene = open_scene()
    random = Random(seed)
    scene.note(f"seed {seed}")
    start_two_workers_and_a_beat(scene)
    approved = False
    struck = 0
    while scene.crew.killed < KILLS or struck < KILLS // 2:
        assert scene.crew.killed < 3 * KILLS, "hardly any kill met a worker at work"
        if not approved and scene.one("SELECT EXISTS (SELECT 1 FROM plan WHERE state = 'planned')") and struck >= KILLS // 2:
            scene.until_planned()
            scene.approve()
            approved = True
        if scene.one("SELECT count(*) FROM job WHERE state = 'leased' AND until > clock_timestamp()") == 0:
            sleep(0.01)
            continue
        sleep(random.uniform(0, 0.6))
        busy = scene.rows("SELECT lane, owner FROM job WHERE state = 'leased' AND until > clock_timestamp() ORDER BY id")
        group = next((found for found in map(scene.crew.owner, busy) if found), None)
        if group is None:
            continue
        scene.crew.kill(group)
        struck += 1
        lanes = [row["lane"] for row in busy]
        scene.note(f"kill {scene.crew.killed}, anywhere: while {', '.join(lanes)} ran, outbox {scene.outbox_states()}")
    if not approved:
        scene.until_planned()
        scene.approve()
    scene.expect(undisturbed)
    report(scene, KILLS)


# ------------------------------------------------------------------------------------------------------------- steps


def start_two_workers_and_a_beat(scene: Scene) -> None:
    """
    Two workers, so that one is there when the other is killed.
    """
    scene.crew.start("worker")
    scene.crew.start("worker")
    scene.crew.start("beat")


def report(scene: Scene, kills: int) -> None:
    assert scene.crew.killed >= kills
    print("\n".join(scene.notes))


def writes(scene: Scene) -> list[dict[str, Any]]:
    return [entry for entry in scene.org.journal("salesforce") if entry["method"] == "PATCH"]


@contextmanager
def gate(scene: Scene, name: str, **where: Any) -> Iterator[None]:
    """
    Answers that match are held from now until the end, each until it is let go.
    """
    scene.org.fault({"gate": name}, **where)
    try:
        yield
    finally:
        scene.org.control("DELETE", "faults")
        scene.org.open_gate(name)


@contextmanager
def page_stop(scene: Scene, where: str, stream: str) -> Iterator[None]:
    """
    Holds the pull up at a place: the row of the stream's cursor is locked, or the next page's answer is held. Before the
    first pull has made the cursors it is the stream's table that is locked.
    """
    with ExitStack() as stack:
        if where == "within":
            stack.enter_context(gate(scene, "page", method="GET", path_contains="/query/0r8"))
        elif scene.one("SELECT count(*) FROM cursor") == 0:
            stack.enter_context(scene.holding(f"LOCK TABLE source_{stream.rpartition('_')[2]} IN SHARE MODE"))
        else:
            stack.enter_context(scene.holding(f"SELECT 1 FROM cursor WHERE stream = '{stream}' FOR UPDATE"))
        yield


def until_stopped_before(scene: Scene, stream: str) -> None:
    """
    Wait until a worker waits with this stream's first page in its hands, and see that all before it is committed.
    """
    waiting = scene.until(
        lambda: scene.rows(
            """
            SELECT query FROM pg_stat_activity WHERE application_name = 'headwater' AND wait_event_type = 'Lock'
                AND (query LIKE '%UPDATE cursor SET place%' OR query LIKE '%INSERT INTO "source_stage"%')
            """
        ),
        f"a worker waits to keep the first page of {stream}",
    )
    assert len(waiting) == 1
    loaded = {row["stream"] for row in scene.rows("SELECT stream FROM cursor WHERE first_loaded_at IS NOT NULL")}
    before = STREAMS[: STREAMS.index(stream)]
    assert loaded >= set(before), f"{set(before) - loaded} are not committed"
    assert stream not in loaded
    assert scene.one("SELECT place IS NULL FROM cursor WHERE stream = :stream", stream=stream)


def until_stopped_within(scene: Scene, stream: str, last: dict[str, Any]) -> dict[str, Any]:
    """
    Wait until a page was committed and the request for the next one is held; a page that was asked for before the last
    kill is let go. Returns the committed place.
    """

    def stopped() -> dict[str, Any] | None:
        held = scene.org.control("GET", "gates")["gates"].get("page")
        if not held:
            return None
        place: dict[str, Any] = scene.one("SELECT place FROM cursor WHERE stream = :stream", stream=stream)
        if place and held[-1].endswith(place["next"]) and place["next"] != last.get("next"):
            return place
        scene.org.open_gate("page")
        return None

    place: dict[str, Any] = scene.until(stopped, f"the second page of {stream} is on its way")
    stored = scene.one(
        "SELECT count(*) FROM source_person WHERE stream = :stream"
        if stream == "salesforce.lead"
        else "SELECT count(*) FROM source_stage_change WHERE stream = :stream",
        stream=stream,
    )
    assert stored == place["seen"] > 0
    return place


def assert_the_organisation_holds(scene: Scene, sent: list[dict[str, Any]]) -> None:
    """
    Every value that was on its way is in the organisation.
    """
    ids = ", ".join(f"'{row['record_id']}'" for row in sent)
    with Organisation(scene.org) as organisation:
        held = {record["Id"]: record for record in organisation.records(sent[0]["object"], f"WHERE Id IN ({ids})")}
    for row in sent:
        changes = row["changes"] if isinstance(row["changes"], list) else json.loads(row["changes"])
        for change in changes:
            assert text_of(held[row["record_id"]][change["field"]]) == change["new"]
