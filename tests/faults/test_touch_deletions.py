"""
A worker is killed with ``kill -9`` while touch records are deleted, by calls and by a job: each is deleted once, and
nothing else is.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.faults.scene import Scene
from tests.faults.test_bulk_writes import (
    INGEST,
    RULES,
    at_a_gate,
    kill_at_the_gate,
    kill_before_the_answers_are_settled,
)
from tests.service import Colleague

TOUCH = "HW_Touch__c"
DELETIONS = {"method": "DELETE", "path_contains": "composite/sobjects"}

Opened = Callable[..., Scene]


@pytest.fixture
def filled(open_scene: Opened) -> Callable[[], Scene]:
    """
    Opens a scene in which everything was written once, and opens the way for plans.
    """

    def opened(rules: Path | None = None) -> Scene:
        scene = open_scene()
        if rules is not None:
            scene.crew.environment = {**scene.crew.environment, "HEADWATER_RULES": str(rules)}
        for name in ("worker", "worker", "beat"):
            scene.crew.start(name)
        scene.until_planned()
        scene.approve()
        scene.until_sent()
        scene.note("everything is written once")
        return scene

    return opened


def test_kills_while_records_are_deleted_by_calls_delete_each_once(filled: Callable[..., Scene]) -> None:
    scene = filled()
    keys = touches_that_end(scene)
    with scene.gate("answer", **DELETIONS):
        scene.approve()
        scene.org.wait_for_gate("answer", seconds=60)
        scene.kill(scene.holder("apply"), "with a deletion's answer unread")
        assert scene.outbox_states()["sending"]
    with scene.holding("LOCK TABLE written IN SHARE MODE") as lock:
        settles = "INSERT INTO written"
        scene.until(lambda: any(settles in words for words in scene.blocked_by(lock)), "what was deleted is settled")
        scene.kill(scene.holder("apply"), "with a deletion not settled")
        assert scene.outbox_states()["unknown"]
    expect_deleted_once(scene, keys)


def test_kills_around_a_job_that_deletes_delete_each_once(filled: Callable[..., Scene], tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "service.yaml").write_text(RULES)
    scene = filled(tmp_path / "rules")
    keys = touches_that_end(scene)
    steps = (("uploaded and not let run", "PUT"), ("let run and not heard", "PATCH"), ("asked and not heard", "GET"))
    with at_a_gate(scene, {"method": steps[0][1], "path_contains": INGEST}):
        scene.approve()
        kill_at_the_gate(scene, steps[0][0])
    for words, method in steps[1:]:
        with at_a_gate(scene, {"method": method, "path_contains": INGEST}):
            kill_at_the_gate(scene, words)
    kill_before_the_answers_are_settled(scene)
    expect_deleted_once(scene, keys)
    opened = [call for call in scene.org.journal("salesforce") if call["method"] == "POST" and INGEST in call["path"]]
    assert "delete" in {json.loads(call["body"])["operation"] for call in opened}


# ------------------------------------------------------------------------------------------------------------- steps


def touches_that_end(scene: Scene) -> set[str]:
    """
    Nobody responded to a campaign after all; the keys of the records that the plan deletes for it.
    """
    scene.make_cycle_due()
    scene.until_sent()
    members = [row["Id"] for row in Colleague(scene.org).query("SELECT Id FROM CampaignMember")]
    unanswered = [{"Id": each, "Status": "Sent", "HasResponded": False} for each in members]
    scene.org.control("POST", "salesforce/update", {"object": "CampaignMember", "records": unanswered})
    scene.make_cycle_due()
    scene.until(scene.is_held, "the plan waits for a person")
    removed = "SELECT record_id FROM outbox WHERE object = :name AND changes->0->>'field' = 'Id'"
    keys = {row["record_id"] for row in scene.rows(removed, name=TOUCH)}
    assert len(keys) > 50
    scene.note(f"{len(keys)} touch records are to be deleted")
    return keys


def expect_deleted_once(scene: Scene, keys: set[str]) -> None:
    scene.finish()
    ids = {row["record_id"]: row["before"] for row in deleted(scene)}
    assert ids.keys() == keys
    left = {row["HW_Key__c"] for row in Colleague(scene.org).query(f"SELECT HW_Key__c FROM {TOUCH}")}
    assert left
    assert not left & keys
    told = Counter(
        each
        for call in scene.org.journal("salesforce")
        if call["method"] == "DELETE" and "composite/sobjects" in call["path"] and call["status"] == 200
        for each in parse_qs(call["query"])["ids"][0].split(",")
    )
    assert not [each for each, times in told.items() if times > 1]
    assert scene.one("SELECT count(*) FROM bulk_job") == 0
    assert scene.one("SELECT count(*) FROM written WHERE result NOT IN ('done')") == 0


def deleted(scene: Scene) -> list[dict[str, Any]]:
    return scene.rows(
        "SELECT record_id, before FROM written WHERE object = :name AND field = 'Id' AND after IS NULL", name=TOUCH
    )
