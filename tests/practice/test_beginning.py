"""
What a practice server begins with: a seed, faults, a clock, and what is wrong with them in words.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.practice.salesforce.conftest import Client
from tests.practice_org import REPOSITORY, PracticeOrg
from worker.practice.beginning import Beginning
from worker.practice.clock import Clock
from worker.practice.salesforce.org import Org
from worker.practice.state import PracticeState

SEED: dict[str, Any] = {
    "salesforce": {
        "fields": [{"object": "Lead", "fields": [{"name": "Score__c", "type": "Number", "precision": 5, "scale": 2}]}],
        "settings": {"small_pages": True},
        "records": {
            "Account": [{"ref": "acme", "Name": "Acme"}, {"ref": "unit", "Name": "Unit", "ParentId": {"ref": "acme"}}],
            "Lead": [{"ref": "ray", "LastName": "Ray", "Company": "R", "Score__c": 7.5}],
            "Contact": [{"LastName": "Ng", "AccountId": {"ref": "acme"}}],
        },
        "calls": [{"call": "delete", "object": "Lead", "ids": [{"ref": "ray"}]}],
    },
    "marketo": {"people": [{"email": "ada@ray.example"}]},
}


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_seed_fills_a_new_org_and_no_old_one(tmp_path: Path) -> None:
    seed = written(tmp_path / "seed.json", SEED)
    for _ in range(2):
        with PracticeOrg(data=tmp_path / "org", seed=seed, clock="2026-11-18T09:30:00Z") as org:
            client = Client(org)
            rows = client.rows("SELECT Name, Parent.Name FROM Account ORDER BY Id")
            assert [row["Name"] for row in rows] == ["Acme", "Unit"]
            assert rows[1]["Parent"]["Name"] == "Acme"
            assert client.rows("SELECT IsDeleted, Score__c FROM Lead", everything=True) == [
                {"IsDeleted": True, "Score__c": 7.5}
            ]
            assert client.rows("SELECT Account.Name FROM Contact")[0]["Account"]["Name"] == "Acme"
            assert org.control("GET", "salesforce/settings")["small_pages"] is True
            assert org.control("GET", "marketo/counts")["people"] == 1


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("seed", {"salesforce": {"records": {"Lead": [{"LastName": "A", "Shoe__c": 1}]}}}, "no stored field 'Shoe__c'"),
        ("seed", {"salesforce": {"records": {"Shoe__c": [{}]}}}, "the org has no object 'Shoe__c'"),
        ("seed", {"salesforce": {"records": {"Lead": [{"OwnerId": {"ref": "no"}}]}}}, "no record above is called 'no'"),
        ("seed", {"salesforce": {"rows": {}}}, "a part of a seed has objects"),
        ("seed", {"calls": []}, "a seed is an object with 'salesforce' and 'marketo'"),
        ("faults", [{"kind": "nothing"}], "there is no kind 'nothing'"),
        ("faults", {"kind": "html"}, "a faults file is a list of faults"),
        ("state", "no zip", "is no snapshot"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_the_file(tmp_path: Path, option: str, content: Any, words: str) -> None:
    file = written(tmp_path / "file", content)
    named: dict[str, Any] = {option: file}
    clock = Clock()
    org = Org(clock, tmp_path, public_key=b"")
    try:
        with pytest.raises(ValueError, match=re.escape(words)) as caught:
            Beginning(**named).begin(PracticeState(tmp_path, clock, salesforce=org), is_new=True)
    finally:
        org.close()
    assert str(file) in str(caught.value)


def test_a_mistake_in_a_file_ends_the_command_with_a_code(tmp_path: Path) -> None:
    file, option, words = written(tmp_path / "file", {"salesforce": {"rows": {}}}), "seed", "a part of a seed has"
    command = [sys.executable, "-m", "worker.cli", "practice", "serve", "--http-port", "0", "--https-port", "0"]
    ended = subprocess.run(
        [*command, "--data", str(tmp_path / "org"), f"--{option}", str(file)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "HW-574" in ended.stderr
    assert words in " ".join(ended.stderr.split())


def test_a_faults_file_is_in_force_from_the_first_call(tmp_path: Path) -> None:
    faults = written(tmp_path / "faults.json", [{"kind": "token_error", "times": 1}])
    with PracticeOrg(faults=faults) as org:
        assert requests.post(f"{org.url}/services/oauth2/token", data={}, timeout=10).status_code == 500
        assert Client(org).call("GET", "limits").status_code == 200


def test_the_command_line_serves_saves_and_puts_back_without_a_database(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    options: dict[str, Any] = {"cwd": REPOSITORY, "env": environment, "text": True, "stdout": subprocess.PIPE}

    def run(*words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "worker.cli", "practice", *words, "--data", str(tmp_path / "org"), "--json"]
        done = subprocess.run(command, **options, timeout=60, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    ports = ["--http-port", "0", "--https-port", "0", "--clock", "2026-11-18T09:30:00Z"]
    serving = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "practice", "serve", *ports, "--data", str(tmp_path / "org"), "--json"],
        **options,
    )
    try:
        url = run("env")["result"]["MARKETO_URL"]
        create = f"{url}/__practice__/salesforce/create"
        requests.post(create, json={"object": "Account", "records": [{"Name": "Acme"}]}, timeout=10)
        before = requests.get(f"{url}/__practice__/salesforce/state", timeout=10).json()
        run("snapshot", str(tmp_path / "acme.zip"))
        requests.post(create, json={"object": "Account", "records": [{"Name": "Other"}]}, timeout=10)
        assert requests.get(f"{url}/__practice__/salesforce/state", timeout=10).json() != before
        run("restore", str(tmp_path / "acme.zip"))
        assert requests.get(f"{url}/__practice__/salesforce/state", timeout=10).json() == before
    finally:
        serving.send_signal(signal.SIGINT)
        serving.wait(timeout=20)
        if serving.stdout is not None:
            serving.stdout.close()


def test_a_state_that_is_not_there_yet_is_a_new_org_whatever_the_folder_held(tmp_path: Path) -> None:
    with PracticeOrg(data=tmp_path / "org") as org:
        org.create("Account", [{"Name": "Before"}])
    with PracticeOrg(data=tmp_path / "org", state=tmp_path / "state.zip") as org:
        assert Client(org).values("SELECT COUNT(Id) FROM Account") == [0]
