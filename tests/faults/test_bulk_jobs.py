"""
A first load by a Bulk job is killed with ``kill -9`` at every page, and its session expires on the way: the job is made
once, no page is read more than twice, and every lead is there.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from tests.faults.scene import Scene
from tests.service import Colleague

PAGE_ROWS: Final = 200
RESULTS: Final = {"method": "GET", "path_contains": "/results"}
# Leads are the only object with more.
RULES: Final = "salesforce: {bulk_above_rows: 1500}\n"

Opened = Callable[..., Scene]


def test_a_bulk_load_killed_at_every_page_is_one_job_and_reads_no_page_three_times(
    open_scene: Opened, tmp_path: Path
) -> None:
    scene = open_scene()
    read_leads_by_bulk(scene, tmp_path)
    total = len(leads_there(scene))
    pages = -(-total // PAGE_ROWS)
    assert pages >= 6
    with scene.gate("page", **RESULTS):
        for name in ("worker", "worker", "beat"):
            scene.crew.start(name)
        for page in range(pages):
            if page % 2:
                kill_while_the_page_is_kept(scene, page)
            else:
                kill_while_the_page_is_on_its_way(scene, page)
            expect_kept(scene, rows=page * PAGE_ROWS)
            # The worker that comes after reads it again, and goes on to the next one.
            scene.org.wait_for_gate("page", seconds=60)
            if page == pages // 2:
                expire_the_session(scene)
            scene.org.open_gate("page")
    scene.until(lambda: place(scene) is None, "the window is read to its end")
    assert scene.crew.killed == pages
    stored = scene.rows("SELECT record_id, email, last_name FROM source_person WHERE stream = 'salesforce.lead'")
    assert {row["record_id"]: (row["email"], row["last_name"]) for row in stored} == leads_there(scene)
    journal = scene.org.journal("salesforce")
    assert [call["status"] for call in journal if is_a_new_job(call)] == [200]
    read = Counter(locator(call) for call in journal if call["path"].endswith("/results") and call["status"] == 200)
    assert len(read) == pages
    assert set(read.values()) == {2}, read
    refused = [call for call in journal if call["path"].endswith("/results") and call["status"] == 401]
    assert len(refused) == 1, "the session expired between two pages"


def test_a_job_whose_maker_is_killed_before_it_notes_its_id_is_ended_by_who_comes_next(
    open_scene: Opened, tmp_path: Path
) -> None:
    """
    Window: Salesforce has made the job and answered; nobody has kept its id.
    """
    scene = open_scene()
    read_leads_by_bulk(scene, tmp_path)
    scene.org.control("POST", "salesforce/settings", {"hold_bulk_jobs": True})
    with scene.gate("made", method="POST", path_contains="/jobs/query"):
        for name in ("worker", "worker", "beat"):
            scene.crew.start(name)
        scene.org.wait_for_gate("made", seconds=60)
        scene.until(lambda: jobs_there(scene), "Salesforce has the job")
        scene.kill(scene.holder("pull:salesforce"), "with a bulk job made and its id unread")
        scene.org.control("DELETE", "faults")
        scene.org.open_gate("made")
    (orphan,) = jobs_there(scene)
    assert "job" not in (place(scene) or {})
    scene.org.control("POST", "salesforce/settings", {"hold_bulk_jobs": False})
    scene.until(lambda: place(scene) is None, "the window is read to its end")
    stored = scene.rows("SELECT record_id FROM source_person WHERE stream = 'salesforce.lead'")
    assert {row["record_id"] for row in stored} == set(leads_there(scene))
    journal = [call for call in scene.org.journal("salesforce") if "sforce-call-options" in call["headers"]]
    about = [(call["method"], call["status"]) for call in journal if orphan in call["path"]]
    assert about == [("PATCH", 200), ("DELETE", 204)]
    assert sum(is_a_new_job(call) for call in journal) == 2
    assert sum(call["method"] == "GET" and call["path"].endswith("/jobs/query") for call in journal) == 1
    assert jobs_there(scene) == []


def test_a_job_that_is_gone_is_made_anew_and_loses_nothing(open_scene: Opened, tmp_path: Path) -> None:
    scene = open_scene()
    read_leads_by_bulk(scene, tmp_path)
    with scene.gate("page", skip=2, **RESULTS):
        for name in ("worker", "worker", "beat"):
            scene.crew.start(name)
        scene.org.wait_for_gate("page", seconds=60)
        # Salesforce keeps results for seven days; nobody was there to read them.
        scene.kill(scene.holder("pull:salesforce"), "with a bulk page unread")
        scene.org.control("POST", "salesforce/forget_jobs")
    scene.until(lambda: place(scene) is None, "the window is read to its end")
    stored = scene.rows("SELECT record_id FROM source_person WHERE stream = 'salesforce.lead'")
    assert {row["record_id"] for row in stored} == set(leads_there(scene))
    made = [call["status"] for call in scene.org.journal("salesforce") if is_a_new_job(call)]
    # Where the other worker was quick, its new job was among those forgotten.
    assert made in ([200, 200], [200, 200, 200])


# ------------------------------------------------------------------------------------------------------------- kills


def kill_while_the_page_is_on_its_way(scene: Scene, page: int) -> None:
    scene.org.wait_for_gate("page", seconds=60)
    scene.kill(scene.holder("pull:salesforce"), "with a bulk page unread")
    scene.note(f"page {page}: killed with its answer unread")
    scene.org.open_gate("page")


def kill_while_the_page_is_kept(scene: Scene, page: int) -> None:
    """
    Window: the page is copied and on its way into its table, in a transaction that never commits.
    """
    scene.org.wait_for_gate("page", seconds=60)
    with scene.holding("LOCK TABLE source_person IN SHARE MODE") as lock:
        scene.org.open_gate("page")
        kept = "WITH typed AS"  # the statement is longer than PostgreSQL shows
        scene.until(lambda: any(kept in words for words in scene.blocked_by(lock)), f"page {page} is being kept")
        scene.kill(scene.holder("pull:salesforce"), "with a bulk page copied and not committed")
    scene.note(f"page {page}: killed with its rows copied and not committed")


def expire_the_session(scene: Scene) -> None:
    """
    The next page is refused; asked for with a new session, it is held at the gate again.
    """
    scene.org.control("DELETE", "faults")
    scene.org.fault({"gate": "page"}, skip=1, **RESULTS)
    scene.org.control("POST", "salesforce/expire_sessions")


# ----------------------------------------------------------------------------------------------------------- looking


def read_leads_by_bulk(scene: Scene, folder: Path) -> None:
    (folder / "rules").mkdir()
    (folder / "rules" / "service.yaml").write_text(RULES)
    scene.crew.environment = {**scene.crew.environment, "HEADWATER_RULES": str(folder / "rules")}
    scene.org.control("POST", "salesforce/settings", {"bulk_page_most": PAGE_ROWS, "small_pages": False})


def leads_there(scene: Scene) -> dict[str, tuple[str | None, str | None]]:
    rows = Colleague(scene.org).query("SELECT Id, Email, LastName FROM Lead")
    return {row["Id"]: (row["Email"], row["LastName"]) for row in rows}


def jobs_there(scene: Scene) -> list[str]:
    """
    The Bulk query jobs that Salesforce knows.
    """
    return [job["id"] for job in Colleague(scene.org).jobs()]


def place(scene: Scene) -> dict[str, Any] | None:
    """
    Where the leads' window stands; None once it was read to its end.
    """
    (cursor,) = scene.rows("SELECT place, first_loaded_at FROM cursor WHERE stream = 'salesforce.lead'")
    return None if cursor["first_loaded_at"] else cursor["place"] or {}


def expect_kept(scene: Scene, rows: int) -> None:
    """
    What is committed is the pages before, and the place says so.
    """
    assert (place(scene) or {})["read"] == rows
    assert scene.one("SELECT count(*) FROM source_person WHERE stream = 'salesforce.lead'") == rows


def is_a_new_job(call: dict[str, Any]) -> bool:
    return call["method"] == "POST" and call["path"].endswith("/jobs/query") and "FROM Lead" in (call["body"] or "")


def locator(call: dict[str, Any]) -> str:
    return parse_qs(str(call["query"])).get("locator", [""])[0]
