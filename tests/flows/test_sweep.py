"""
The day's sweep on the whole service: what no cursor can see is found, counted, made good, and shown.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.flows.world import World
from tests.practice_org import PracticeOrg
from tests.service import PAST_THE_OVERLAP, Running, fresh_database, running
from worker.cli.status import told
from worker.cli.sync import work_until_quiet
from worker.connectors.salesforce.streams import ReadLimits
from worker.flows.drain import drain, start_sweep

pytestmark = pytest.mark.slow

LEAD = "salesforce.lead"
CONTACT = "salesforce.contact"
FINDINGS = "SELECT code, message FROM finding WHERE key LIKE 'sweep:%' OR key LIKE 'kept:%' ORDER BY key"


@pytest.fixture
def swept(org: PracticeOrg, server_url: str, valkey_url: str) -> Iterator[Running]:
    """
    A service with a store of its own, in which nothing waits and nothing lies within the overlap.
    """
    org.control("POST", "salesforce/reset", {})
    with fresh_database(server_url) as database_url, running(org, database_url, valkey_url) as built:
        yield built


def settle(running: Running) -> None:
    running.cycle()
    running.advance(PAST_THE_OVERLAP)
    running.cycle()


def sweep(running: Running) -> dict[str, dict[str, Any]]:
    """
    A sweep to its end; stream -> proof.
    """
    with running.service.engine.begin() as connection:
        start_sweep(connection, running.service)
    work_until_quiet(running.service)
    lines = running.status()["sweeps"]
    assert not any(line["is_due"] for line in lines), lines
    return {line["stream"]: line["proof"] for line in lines}


def forget(running: Running, *record_ids: str) -> None:
    """
    As if the records had never been read.
    """
    with running.service.engine.begin() as connection:
        connection.execute(text("DELETE FROM source_person WHERE record_id = ANY(:ids)"), {"ids": list(record_ids)})


def stored(running: Running, record_id: str) -> dict[str, Any]:
    (row,) = running.rows("SELECT * FROM source_person WHERE record_id = :id", id=record_id)
    return row


def leads(running: Running, count: int) -> list[str]:
    return running.org.create("Lead", [{"LastName": f"Lead {number}", "Company": "Alder"} for number in range(count)])


def test_a_store_without_gaps_is_proven_complete_object_by_object(swept: Running) -> None:
    leads(swept, 7)
    settle(swept)
    mark = swept.mark()
    proofs = sweep(swept)
    proof = proofs[LEAD]
    assert (proof["there"], proof["here"]) == (7, 7)
    assert not any(proof[name] for name in ("missing", "stale", "gone", "returned", "left", "hidden"))
    assert all(each["there"] == each["here"] for each in proofs.values())
    assert sum(each["calls"] for each in proofs.values()) == len(swept.calls(mark))
    assert swept.rows(FINDINGS) == []


def test_a_sweep_right_after_the_first_load_says_what_has_not_settled_and_proves_it_soon(swept: Running) -> None:
    leads(swept, 7)
    swept.cycle()
    proof = sweep(swept)[LEAD]
    assert (proof["there"], proof["here"], proof["unsettled_there"], proof["unsettled_here"]) == (0, 0, 7, 7)
    words = "\n".join(told(swept.status() | {"api": []}))
    assert re.search(
        r"\d+ records had changed too lately to be compared \(\d+ objects\): they are swept again by", words
    )
    swept.advance(PAST_THE_OVERLAP)
    swept.advance(10 * 60)
    (line,) = [line for line in swept.status()["sweeps"] if line["stream"] == LEAD]
    assert (line["proof"]["there"], line["proof"]["here"], line["proof"]["unsettled_there"]) == (7, 7, 0)
    mark = swept.mark()
    swept.advance(PAST_THE_OVERLAP)
    swept.cycle()
    assert len(swept.calls(mark)) == 2, "two idle cycles, and no sweep between them"


def test_a_gap_is_a_finding_with_its_numbers_and_is_made_good(swept: Running) -> None:
    ids = leads(swept, 12)
    settle(swept)
    forget(swept, *ids[:3])
    older = "UPDATE source_person SET title = 'old', stamp_at = stamp_at - interval '1 hour' WHERE record_id = :id"
    with swept.service.engine.begin() as connection:
        connection.execute(text(older), {"id": ids[5]})
    proof = sweep(swept)[LEAD]
    assert (proof["missing"], proof["stale"], proof["left"]) == (3, 1, 0)
    assert (proof["there"], proof["here"]) == (12, 12)
    assert stored(swept, ids[0])["company"] == "Alder"
    assert stored(swept, ids[5])["title"] is None
    (finding,) = swept.rows(FINDINGS)
    assert finding["code"] == "HW-224"
    assert "of 12 records" in finding["message"]
    assert "3 were missing here and 1 were out of date; all were read again" in finding["message"]
    people = swept.value("SELECT count(*) FROM crosswalk WHERE kind = 'person' AND stream = :lead", lead=LEAD)
    assert people == 12
    sweep(swept)
    assert swept.rows(FINDINGS) == []


def test_status_shows_a_line_for_every_object(swept: Running) -> None:
    ids = leads(swept, 3)
    settle(swept)
    forget(swept, ids[0])
    sweep(swept)
    words = "\n".join(told(swept.status() | {"api": []}))
    (line,) = [line for line in words.splitlines() if line.startswith(LEAD) and " 3 " in line]
    assert line.split()[-9:-1] == ["3", "3", "1", "0", "0", "0", "0", "0"]


def test_a_record_that_sharing_hides_is_kept_and_marked_and_comes_back(swept: Running) -> None:
    kept, hidden = leads(swept, 2)
    settle(swept)
    swept.org.control("POST", "salesforce/hide_records", {"ids": [hidden]})
    proof = sweep(swept)[LEAD]
    assert (proof["gone"], proof["hidden"], proof["there"], proof["here"], proof["left"]) == (1, 1, 1, 1, 0)
    assert stored(swept, hidden)["is_deleted"] is False
    assert stored(swept, hidden)["company"] == "Alder"
    (finding,) = swept.rows(FINDINGS)
    assert (finding["code"], "1 records are hidden" in finding["message"]) == ("HW-225", True)
    person = swept.value("SELECT is_deleted FROM person WHERE id = :id", id=swept.golden_id("person", hidden))
    assert person is False
    swept.org.control("POST", "salesforce/show_records", {"ids": [hidden]})
    proof = sweep(swept)[LEAD]
    assert (proof["returned"], proof["hidden"], proof["here"]) == (1, 0, 2)
    assert swept.rows(FINDINGS) == []
    assert stored(swept, kept)["is_deleted"] is False


def test_a_hidden_record_asked_for_by_name_is_not_held_for_deleted(swept: Running) -> None:
    (lead,) = leads(swept, 1)
    settle(swept)
    swept.org.control("POST", "salesforce/hide_records", {"ids": [lead]})
    with swept.service.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO due (flow, kind, key) VALUES ('reread', :stream, :id)"), {"stream": LEAD, "id": lead}
        )
    swept.cycle()
    assert stored(swept, lead)["is_deleted"] is False
    assert swept.rows("SELECT record_id FROM hidden_record") == [{"record_id": lead}]


def test_a_record_deleted_for_good_behind_our_back_is_told_apart_from_a_hidden_one(swept: Running) -> None:
    purged, hidden, _ = leads(swept, 3)
    settle(swept)
    swept.org.control("POST", "salesforce/hard_delete", {"object": "Lead", "ids": [purged]})
    swept.org.control("POST", "salesforce/hide_records", {"ids": [hidden]})
    proof = sweep(swept)[LEAD]
    assert (proof["gone"], proof["hidden"], proof["left"]) == (2, 1, 0)
    assert (stored(swept, purged)["is_deleted"], stored(swept, purged)["company"]) == (True, "Alder")
    assert stored(swept, hidden)["is_deleted"] is False


def test_a_merge_is_remembered_when_the_bin_has_long_been_emptied(swept: Running) -> None:
    winner, loser = leads(swept, 2)
    swept.cycle()
    swept.org.control("POST", "salesforce/merge", {"object": "Lead", "winner": winner, "losers": [loser]})
    settle(swept)
    swept.org.control("POST", "salesforce/empty_bin", {})
    swept.advance(2 * 3_600)
    assert sweep(swept)[LEAD]["left"] == 0
    assert (stored(swept, loser)["is_deleted"], stored(swept, loser)["merged_into"]) == (True, winner)
    assert swept.golden_id("person", loser) == swept.golden_id("person", winner)


def test_a_converted_persons_touch_counts_once(swept: Running) -> None:
    world = World(swept, "rowan")
    lead = world.lead("Ada")
    member = world.response(world.campaign(), lead, days_ago=5)
    swept.cycle()
    conversions = [{"leadId": lead, "account": {"Name": "Rowan"}, "contact": {}}]
    (result,) = swept.org.control("POST", "salesforce/convert", {"conversions": conversions})["results"]
    settle(swept)
    sweep(swept)
    touches = swept.rows("SELECT touch_id, person_ref FROM touchpoint WHERE touch_id LIKE :id", id=f"%{member}")
    assert touches == [{"touch_id": f"salesforce.campaign_member:{member}", "person_ref": result["contactId"]}]
    assert swept.golden_id("person", lead) == swept.golden_id("person", result["contactId"])


def test_a_formula_that_moves_no_stamp_is_refreshed(swept: Running) -> None:
    formula = {"name": "Firm__c", "type": "Text", "formula": "Account.Name"}
    swept.org.control("POST", "salesforce/fields", {"object": "Contact", "fields": [formula]})
    _want(swept, "Contact", "Firm__c")
    (account,) = swept.org.create("Account", [{"Name": "Before"}])
    (contact,) = swept.org.create("Contact", [{"LastName": "Bo", "AccountId": account}])
    settle(swept)
    assert stored(swept, contact)["extra"] == {"Firm__c": "Before"}
    swept.org.control("POST", "salesforce/update", {"object": "Account", "records": [{"Id": account, "Name": "After"}]})
    settle(swept)
    assert stored(swept, contact)["extra"] == {"Firm__c": "Before"}
    proof = sweep(swept)[CONTACT]
    assert stored(swept, contact)["extra"] == {"Firm__c": "After"}
    assert (proof["missing"], proof["stale"]) == (0, 0)


def test_a_field_that_becomes_visible_is_filled_in_for_old_records_and_reads_nothing_else(swept: Running) -> None:
    fields = [{"name": "Tier__c", "type": "Text", "length": 40}]
    swept.org.control("POST", "salesforce/fields", {"object": "Lead", "fields": fields})
    swept.org.control("POST", "salesforce/hide_fields", {"object": "Lead", "fields": ["Tier__c"]})
    _want(swept, "Lead", "Tier__c")
    (lead,) = swept.org.create("Lead", [{"LastName": "Bo", "Company": "Alder", "Tier__c": "Gold"}])
    settle(swept)
    assert not stored(swept, lead)["extra"]
    swept.org.control("POST", "salesforce/show_fields", {"object": "Lead", "fields": ["Tier__c"]})
    swept.advance(3_700)
    mark = swept.mark()
    for _ in range(4):  # a cycle is one call, and not every description has room in the first
        swept.cycle()
    assert stored(swept, lead)["extra"] == {"Tier__c": "Gold"}
    queries = [entry["body"] for entry in swept.calls(mark) if entry["body"] and "Tier__c" in entry["body"]]
    assert any("Company" not in part for body in queries for part in body.split('"url"') if "Tier__c" in part)


def test_a_sweep_by_bulk_goes_on_after_every_page_and_gives_the_same_proof(swept: Running) -> None:
    ids = leads(swept, 60)
    settle(swept)
    forget(swept, *ids[:5])
    source = swept.service.sources["salesforce"]
    source._limits = ReadLimits(bulk_above=20, bulk_page=7)  # type: ignore[attr-defined]
    source._lookup._bulk_above = 20  # type: ignore[attr-defined]
    swept.org.control("POST", "salesforce/settings", {"bulk_seconds": 0})
    with swept.service.engine.begin() as connection:
        start_sweep(connection, swept.service)
    for _ in range(120):
        # A worker that is told to stop after each page: the next one goes on where it stopped.
        drain(swept.service, ("sweep",), wants_stop=_after_one())
        with swept.service.engine.begin() as connection:
            connection.execute(text("UPDATE job SET run_at = now() WHERE state = 'ready'"))
        lines = {line["stream"]: line for line in swept.status()["sweeps"]}
        if not lines[LEAD]["is_due"]:
            break
    proof = lines[LEAD]["proof"]
    assert (proof["there"], proof["here"], proof["missing"], proof["left"]) == (60, 60, 5, 0)
    jobs = [entry["path"] for entry in swept.org.journal("salesforce") if entry["path"].endswith("/jobs/query")]
    assert jobs


def _after_one() -> Any:
    looks = iter(range(1_000))
    return lambda: next(looks) > 2


def _want(running: Running, object_name: str, field: str) -> None:
    """
    As if the rules named a further field of an object.
    """
    catalogue = running.service.sources["salesforce"]._catalogue  # type: ignore[attr-defined]
    catalogue._extra = {**catalogue._extra, object_name: (field,)}
