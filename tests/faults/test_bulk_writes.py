"""
A worker is killed with ``kill -9`` at every step of handing records over to a Bulk job: the end is that of a run which
nobody disturbed and which wrote by single calls, and no record was told anything twice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.faults.end_state import State
from tests.faults.scene import Scene

# Everything that the first plan writes goes by jobs, an object at a time.
RULES: Final = "writes: {bulk_above_records: 20}\n"
INGEST: Final = "/jobs/ingest"

Opened = Callable[..., Scene]


def test_kills_at_every_step_of_a_bulk_write_change_nothing(
    open_scene: Opened, undisturbed: State, tmp_path: Path
) -> None:
    scene = open_scene()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "service.yaml").write_text(RULES)
    scene.crew.environment = {**scene.crew.environment, "HEADWATER_RULES": str(tmp_path / "rules")}
    for name in ("worker", "worker", "beat"):
        scene.crew.start(name)
    scene.until_planned()
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("opened and not kept", {"method": "POST", "path_contains": INGEST}),
        ("uploaded and not let run", {"method": "PUT", "path_contains": INGEST}),
        ("let run and not heard", {"method": "PATCH", "path_contains": INGEST}),
        ("asked and not heard", {"method": "GET", "path_contains": INGEST}),
    )
    with at_a_gate(scene, steps[0][1]):
        scene.approve()
        kill_at_the_gate(scene, steps[0][0])
    for words, where in steps[1:]:
        with at_a_gate(scene, where):
            kill_at_the_gate(scene, words)
    kill_before_the_answers_are_settled(scene)
    scene.expect(undisturbed)
    assert scene.crew.killed == len(steps) + 1
    assert scene.one("SELECT count(*) FROM bulk_job") == 0
    journal = scene.org.journal("salesforce")
    assert not [call for call in journal if "composite/sobjects" in call["path"] and call["method"] == "PATCH"]
    assert records_let_run(journal) == scene.one("SELECT count(DISTINCT record_id) FROM written")


@contextmanager
def at_a_gate(scene: Scene, where: dict[str, Any]) -> Iterator[None]:
    """
    The next answer of the kind is held, those after it are not.
    """
    scene.org.fault({"gate": "ingest"}, times=1, **where)
    yield
    scene.org.open_gate("ingest")


def kill_at_the_gate(scene: Scene, words: str) -> None:
    scene.org.wait_for_gate("ingest", seconds=60)
    scene.kill(scene.holder("apply"), f"with a bulk write {words}")
    states = scene.outbox_states()
    scene.note(f"killed with a job {words}: outbox {states}, jobs {scene.one('SELECT count(*) FROM bulk_job')}")
    assert bool(states.get("sending")) == (words != "opened and not kept")


def kill_before_the_answers_are_settled(scene: Scene) -> None:
    """
    Window: the job has ended, its answers are read and about to be committed.
    """
    with scene.holding("LOCK TABLE written IN SHARE MODE") as lock:
        scene.until(
            lambda: any("INSERT INTO written" in words for words in scene.blocked_by(lock)),
            "a worker settles what a job has answered",
        )
        scene.kill(scene.holder("apply"), "with a bulk write answered and not settled")
        assert scene.outbox_states()["sending"]


def records_let_run(journal: list[dict[str, Any]]) -> int:
    """
    How many records were in jobs that the organisation was told to run.
    """
    ran = {
        call["path"].rpartition("/")[2]
        for call in journal
        if call["method"] == "PATCH" and INGEST in call["path"] and "UploadComplete" in call["body"]
    }
    uploads = [call for call in journal if call["method"] == "PUT" and call["path"].split("/")[-2] in ran]
    return sum(call["rows"] for call in uploads)
