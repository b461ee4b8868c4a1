"""
An org's state as one thing: copied and put back to the byte, kept through a restart and a kill, read from a seed.
"""

import hashlib
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

NOON = "2026-11-18T12:00:00Z"


def fill(org: PracticeOrg) -> dict[str, Any]:
    """
    Something of everything that makes up a state.
    """
    org.control("POST", "clock", {"frozen": True, "now": NOON})
    acme, gone = org.create("Account", [{"Name": "Ærø & Söhne", "AnnualRevenue": 0.1 + 0.2}, {"Name": "Gone"}])
    leads = org.create("Lead", [{"LastName": f"L{n}", "Company": "C", "Email": f"l{n}@c.example"} for n in range(40)])
    fields = [{"name": "Score__c", "type": "Number", "precision": 5, "scale": 2}, {"name": "Note__c", "type": "Text"}]
    org.control("POST", "salesforce/fields", {"object": "Lead", "fields": fields})
    org.control("POST", "salesforce/update", {"object": "Lead", "records": [{"Id": leads[0], "Score__c": 12.34}]})
    org.control(
        "POST", "salesforce/rename_value", {"object": "Lead", "field": "Rating", "from": "Hot", "to": "Glowing"}
    )
    org.control("POST", "salesforce/hide_fields", {"object": "Lead", "fields": ["Phone"]})
    org.control("POST", "salesforce/hide_records", {"ids": [leads[1]]})
    org.control("POST", "salesforce/delete", {"object": "Account", "ids": [gone]})
    org.control("POST", "salesforce/merge", {"object": "Lead", "winner": leads[2], "losers": [leads[3]]})
    late = {"object": "Lead", "records": [{"Id": leads[4], "Title": "VP"}], "commit_after_seconds": 300}
    org.control("POST", "salesforce/update", late)
    org.control("POST", "salesforce/settings", {"cursors": 3, "small_pages": True})
    rule = {"object": "Lead", "field": "Title", "value": "Nobody", "message": "No nobodies"}
    org.control("POST", "salesforce/validation_rule", rule)
    org.control("POST", "salesforce/locks", {"ids": [leads[5]], "seconds": 60})
    org.control("POST", "salesforce/limits", {"used": 17, "allowed": 5_000})
    touch = {"name": "Touch__c", "fields": [{"name": "Share__c", "type": "Percent", "precision": 7, "scale": 4}]}
    org.control("POST", "salesforce/objects", touch)
    org.create("Touch__c", [{"Share__c": 33.3333}])
    return {"acme": acme, "leads": leads}


def exported(org: PracticeOrg, file: Path) -> bytes:
    told = org.control("POST", "salesforce/export", {"file": str(file)})
    content = file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == told["sha256"]
    assert org.control("GET", "salesforce/state") == {"sha256": told["sha256"]}
    return content


def disturb(org: PracticeOrg, client: Client, made: dict[str, Any]) -> None:
    """
    Change something of everything.
    """
    org.control("POST", "clock", {"advance_seconds": 400})
    client.call("POST", "sobjects/Lead", json={"LastName": "New", "Company": "C"})
    org.control("POST", "salesforce/hard_delete", {"object": "Lead", "ids": made["leads"][6:9]})
    org.control("POST", "salesforce/empty_bin")
    org.control("POST", "salesforce/show_fields", {"object": "Lead", "fields": ["Phone"]})
    org.control("POST", "salesforce/show_records", {"ids": made["leads"][:2]})
    org.control("POST", "salesforce/fields", {"object": "Lead", "fields": [{"name": "More__c", "type": "Checkbox"}]})
    org.control("POST", "salesforce/settings", {"cursors": 9, "small_pages": False})
    org.control("DELETE", "salesforce/validation_rule")
    org.control("DELETE", "salesforce/locks")
    org.control("POST", "salesforce/limits", {"used": 1, "allowed": 100_000})
    org.control("POST", "salesforce/expire_sessions")
    org.create("Touch__c", [{"Share__c": 1}])


def test_a_snapshot_restores_to_the_byte(org: PracticeOrg, tmp_path: Path) -> None:
    made = fill(org)
    client = Client(org)
    before = exported(org, tmp_path / "before.jsonl")
    org.control("POST", "salesforce/snapshot", {"file": str(tmp_path / "one")})
    disturb(org, client, made)
    assert exported(org, tmp_path / "between.jsonl") != before
    restored = org.control("POST", "salesforce/restore", {"file": str(tmp_path / "one")})
    assert exported(org, tmp_path / "after.jsonl") == before
    assert restored == {"sha256": hashlib.sha256(before).hexdigest()}
    assert org.control("GET", "clock") == {"now": "2026-11-18T12:00:00+00:00", "frozen": True}
    # It lives on from there: the session, the lock, the open transaction, the rule, the next id.
    locked = client.call("PATCH", f"sobjects/Lead/{made['leads'][5]}", json={"Title": "X"})
    assert locked.json()[0]["errorCode"] == "UNABLE_TO_LOCK_ROW"
    org.control("POST", "clock", {"advance_seconds": 300})
    assert client.values(f"SELECT Title FROM Lead WHERE Id = '{made['leads'][4]}'") == ["VP"]
    refused = client.call("POST", "sobjects/Lead", json={"LastName": "A", "Company": "C", "Title": "Nobody"})
    assert refused.json()[0]["message"] == "No nobodies"
    names = [each["name"] for each in client.call("GET", "sobjects/Lead/describe").json()["fields"]]
    assert {"Score__c", "Note__c"} <= set(names)
    assert {"More__c", "Phone"} & set(names) == set()


def test_a_second_restore_gives_the_same_and_the_same_ids_come_next(org: PracticeOrg, tmp_path: Path) -> None:
    fill(org)
    client = Client(org)
    org.control("POST", "salesforce/snapshot", {"file": str(tmp_path / "one")})
    seen = []
    for _ in range(2):
        org.control("POST", "salesforce/restore", {"file": str(tmp_path / "one")})
        made = client.call("POST", "sobjects/Lead", json={"LastName": "Next", "Company": "C"}).json()["id"]
        seen.append((made, org.control("GET", "salesforce/state")["sha256"]))
    assert seen[0] == seen[1]


def test_what_is_no_snapshot_is_refused_and_changes_nothing(org: PracticeOrg, tmp_path: Path) -> None:
    org.create("Account", [{"Name": "Acme"}])
    before = org.control("GET", "salesforce/state")
    (tmp_path / "text").write_text("not a snapshot, surely not one of an org")
    for name, words in (("text", "is no snapshot"), ("nothing", "there is no snapshot")):
        for call in ("salesforce/restore", "restore"):
            with pytest.raises(RuntimeError, match=words):
                org.control("POST", call, {"file": str(tmp_path / name)})
    assert org.control("GET", "salesforce/state") == before


def test_a_whole_server_is_put_back_from_one_file(org: PracticeOrg, tmp_path: Path) -> None:
    made = fill(org)
    client = Client(org)
    person = {"records": [{"email": "ada@ray.example"}]}
    (number,) = org.control("POST", "marketo/people", person)["ids"]
    before = org.control("GET", "salesforce/state")
    file = {"file": str(tmp_path / "all.zip")}
    assert org.control("POST", "snapshot", file)["bytes"] > 0
    disturb(org, client, made)
    org.control("POST", "marketo/delete", {"ids": [number]})
    org.control("POST", "restore", file)
    assert org.control("GET", "salesforce/state") == before
    assert org.control("POST", "marketo/delete", {"ids": [number]}) == {"deleted": [number]}


def test_everything_survives_a_restart_in_a_folder(tmp_path: Path) -> None:
    with PracticeOrg(data=tmp_path / "org") as org:
        fill(org)
        client = Client(org)
        client.query("SELECT Id FROM Lead")
        before = exported(org, tmp_path / "before.jsonl")
    with PracticeOrg(data=tmp_path / "org") as org:
        assert exported(org, tmp_path / "after.jsonl") == before
        client.org, client.base = org, f"{org.url}/services/data/v60.0"
        assert client.query("SELECT Id FROM Lead").status_code == 200


def test_what_was_switched_survives_a_kill(tmp_path: Path) -> None:
    with PracticeOrg(data=tmp_path) as org:
        made = fill(org)
        psutil.Process(org.pid).kill()
    with PracticeOrg(data=tmp_path) as org:
        assert org.control("GET", "clock")["now"].startswith("2026-11-18T12:00")
        assert org.control("GET", "salesforce/settings")["cursors"] == 3
        assert len(org.control("GET", "salesforce/transactions")["transactions"]) == 1
        fresh = org.create("Lead", [{"LastName": "Next", "Company": "C"}])[0]
        assert fresh > made["leads"][-1]
        refused = Client(org).call("POST", "sobjects/Lead", json={"LastName": "A", "Company": "C", "Title": "Nobody"})
        assert refused.json()[0]["message"] == "No nobodies"


def test_a_state_file_carries_the_orgs_from_one_run_to_the_next(tmp_path: Path) -> None:
    file = tmp_path / "state.zip"
    with PracticeOrg(state=file) as org:
        fill(org)
        before = org.control("GET", "salesforce/state")
    assert file.stat().st_size > 0
    with PracticeOrg(state=file) as org:
        assert org.control("GET", "salesforce/state") == before
        org.create("Account", [{"Name": "Later"}])
    with PracticeOrg(state=file) as org:
        assert Client(org).values("SELECT COUNT(Id) FROM Account WHERE Name = 'Later'") == [1]
