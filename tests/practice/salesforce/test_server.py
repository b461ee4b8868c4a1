"""
The practice server itself: clock, journal, faults, gates, restart, and how it stops.
"""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import requests

from tests.practice.salesforce.conftest import Client
from tests.practice_org import REPOSITORY, PracticeOrg


def test_the_date_header_and_the_stamps_follow_the_practice_clock(client: Client, org: PracticeOrg) -> None:
    org.control("POST", "clock", {"now": "2031-02-03T04:05:06Z", "frozen": True})
    fresh = Client(org)
    answer = fresh.call("POST", "sobjects/Account", json={"Name": "Acme"})
    assert answer.headers["Date"] == "Mon, 03 Feb 2031 04:05:06 GMT"
    assert fresh.values("SELECT SystemModstamp FROM Account") == ["2031-02-03T04:05:06.000+0000"]
    org.advance(1.5)
    assert org.control("GET", "clock") == {"now": "2031-02-03T04:05:07.500000+00:00", "frozen": True}
    assert org.control("POST", "clock", {"frozen": False})["frozen"] is False


def test_the_journal_tells_what_was_asked_and_how_it_went(client: Client, org: PracticeOrg) -> None:
    before = org.journal()[-1]["seq"]
    account = org.create("Account", [{"Name": "Acme"}])[0]
    client.call(
        "PATCH",
        "composite/sobjects",
        json={"records": [{"attributes": {"type": "Account"}, "id": account, "Rating": "Hot"}]},
        headers={"Sforce-Auto-Assign": "FALSE"},
    )
    client.query("SELECT Id FROM Account")
    written, read = org.journal("salesforce", after=before)
    assert (written["method"], written["path"]) == ("PATCH", "/services/data/v60.0/composite/sobjects")
    assert (written["status"], written["rows"], written["kind"], written["system"]) == (200, 1, "write", "salesforce")
    assert written["headers"]["sforce-auto-assign"] == "FALSE"
    assert '"Rating": "Hot"' in written["body"]
    assert (read["kind"], read["rows"], read["body"]) == ("read", 1, None)
    assert "q=SELECT+Id" in read["query"]
    token = org.journal()[0]
    assert (token["kind"], token["path"]) == ("token", "/services/oauth2/token")


def test_half_a_request_of_a_sender_who_is_gone_is_no_request(client: Client, org: PracticeOrg) -> None:
    csv = b"Name\nWhole\nHalf\n"
    job = client.call("POST", "jobs/ingest", json={"object": "Account", "operation": "insert"}).json()["id"]
    mark = org.journal()[-1]["seq"]
    host, port = org.url.removeprefix("http://").split(":")
    bearer = client.session.headers["Authorization"]
    head = [f"PUT /services/data/v60.0/jobs/ingest/{job}/batches HTTP/1.1", f"Host: {host}", f"Authorization: {bearer}"]
    head += ["Content-Type: text/csv", f"Content-Length: {len(csv)}", "", ""]
    for sent in (b"", csv[: csv.index(b"Half")]):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall("\r\n".join(head).encode() + sent)
    # What comes after both of them on a connection of its own is answered, and nothing else was asked.
    assert client.call("GET", f"jobs/ingest/{job}").json()["state"] == "Open"
    assert [entry["method"] for entry in org.journal("salesforce", after=mark)] == ["GET"]
    assert client.values("SELECT Name FROM Account") == []


def test_a_fault_answers_instead_of_the_org_as_often_as_ordered(client: Client, org: PracticeOrg) -> None:
    org.fault(
        {"status": 503, "body": "<html>down</html>", "content_type": "text/html"},
        system="salesforce",
        method="GET",
        path_contains="/query",
        times=2,
        skip=1,
    )
    codes = [client.query("SELECT Id FROM Lead").status_code for _ in range(4)]
    assert codes == [200, 503, 503, 200]
    assert [entry["status"] for entry in org.journal("salesforce")][-4:] == [200, 503, 503, 200]


def test_a_reset_before_leaves_nothing_and_one_after_leaves_the_record(client: Client, org: PracticeOrg) -> None:
    for when in ("before", "after"):
        org.fault({"reset": when}, path_contains="sobjects/Account", times=1)
        with pytest.raises(requests.ConnectionError, match=r"reset|Remote end closed|aborted"):
            client.call("POST", "sobjects/Account", json={"Name": when})
    assert client.values("SELECT Name FROM Account") == ["after"]


def test_a_cut_body_is_noticed_by_the_client(client: Client, org: PracticeOrg) -> None:
    org.create("Account", [{"Name": f"A{n}"} for n in range(100)])
    org.fault({"cut_body_at": 40}, path_contains="/query", times=1)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        client.query("SELECT Id, Name FROM Account", **{"Accept-Encoding": "identity"})
    assert client.query("SELECT Id, Name FROM Account").json()["totalSize"] == 100


def test_a_gate_holds_the_answer_of_what_is_already_done(client: Client, org: PracticeOrg) -> None:
    org.fault({"gate": "written"}, method="POST", path_contains="sobjects/Account", times=1)
    answers: list[int] = []
    sender = threading.Thread(
        target=lambda: answers.append(client.call("POST", "sobjects/Account", json={"Name": "Acme"}).status_code)
    )
    sender.start()
    org.wait_for_gate("written")
    assert Client(org).values("SELECT Name FROM Account") == ["Acme"]
    assert answers == []
    org.open_gate("written")
    sender.join(timeout=10)
    assert answers == [201]


def test_a_delay_takes_its_time(client: Client, org: PracticeOrg) -> None:
    org.fault({"delay_seconds": 0.3}, path_contains="/limits", times=1)
    started = time.monotonic()
    assert client.call("GET", "limits").status_code == 200
    assert time.monotonic() - started >= 0.3


def test_a_mistaken_control_call_is_told_what_is_wrong(org: PracticeOrg) -> None:
    for path, body, words in (
        ("faults", {"action": {"explode": True}}, "a fault's action needs one of"),
        ("clock", {"tomorrow": 1}, "the clock takes"),
        ("salesforce/settings", {"speed": 1}, "there is no setting 'speed'"),
        ("salesforce/create", {"object": "Shoe", "records": []}, "the org has no object 'Shoe'"),
        ("salesforce/create", {"records": []}, "missing or unknown: 'object'"),
    ):
        with pytest.raises(RuntimeError, match=words):
            org.control("POST", path, body)


def test_unknown_paths_methods_and_versions(client: Client, org: PracticeOrg) -> None:
    assert client.call("GET", "nowhere").status_code == 404
    assert client.call("PUT", "query").json()[0]["errorCode"] == "METHOD_NOT_ALLOWED"
    assert client.call("GET", "/services/data/v30.0/limits").status_code == 410
    assert client.call("GET", "/services/data/v99.0/limits").status_code == 404
    assert client.call("HEAD", "limits").status_code == 200
    assert client.call("GET", "LIMITS//").status_code == 200
    versions = requests.get(f"{org.url}/services/data", timeout=30).json()
    assert {"label": "Winter '24", "url": "/services/data/v59.0", "version": "59.0"} in versions
    long = client.call("GET", "query", params={"q": "SELECT Id FROM Lead WHERE Name = '" + "x" * 17_000 + "'"})
    assert long.status_code == 414
    identity = requests.get(
        client.call("GET", "").json()["identity"], headers=client.session.headers, timeout=30
    ).json()
    assert identity["username"] == "integration@practice.test"


def test_pretty_printing_puts_a_space_before_the_colon(client: Client) -> None:
    answer = client.query("SELECT COUNT() FROM Lead", **{"X-PrettyPrint": "1"})
    assert answer.text == '{\n  "totalSize" : 0,\n  "done" : true,\n  "records" : [ ]\n}'


def test_an_unchanged_describe_is_not_sent_again(client: Client, org: PracticeOrg) -> None:
    first = client.call("GET", "sobjects/Lead/describe")
    since = {"If-Modified-Since": first.headers["Last-Modified"]}
    assert client.call("GET", "sobjects/Lead/describe", headers=since).status_code == 304
    org.advance(5)
    field = {"name": "Shoe__c", "type": "Number", "precision": 3, "scale": 0}
    org.control("POST", "salesforce/fields", {"object": "Lead", "fields": [field]})
    changed = client.call("GET", "sobjects/Lead/describe", headers=since)
    assert changed.status_code == 200
    shoe = next(each for each in changed.json()["fields"] if each["name"] == "Shoe__c")
    assert (shoe["type"], shoe["precision"], shoe["scale"], shoe["custom"]) == ("double", 3, 0, True)


def test_state_kept_in_a_folder_survives_the_process(tmp_path: Path) -> None:
    with PracticeOrg(data=tmp_path, clock="2026-01-01T00:00:00Z") as org:
        first = org.create("Account", [{"Name": "Acme"}])[0]
        url_and_key = (org.ca_file, org.private_key_file)
    with PracticeOrg(data=tmp_path, clock="2026-01-02T00:00:00Z") as org:
        client = Client(org)
        assert client.rows("SELECT Id, Name FROM Account") == [{"Id": first, "Name": "Acme"}]
        assert org.create("Account", [{"Name": "Beta"}])[0] > first
        assert client.values("SELECT COUNT(Id) FROM User") == [3]
        assert (org.ca_file, org.private_key_file) == url_and_key


def test_state_kept_in_a_folder_survives_a_kill(tmp_path: Path) -> None:
    with PracticeOrg(data=tmp_path) as org:
        made = org.create("Lead", [{"LastName": str(n), "Company": "C"} for n in range(1000)])
        psutil.Process(org.pid).kill()
    with PracticeOrg(data=tmp_path) as org:
        assert Client(org).values("SELECT COUNT(Id) FROM Lead") == [1000]
        assert org.create("Lead", [{"LastName": "Next", "Company": "C"}])[0] > made[-1]


def test_a_snapshot_starts_another_org(client: Client, org: PracticeOrg, tmp_path: Path) -> None:
    account = org.create("Account", [{"Name": "Acme"}])[0]
    org.control("POST", "salesforce/snapshot", {"file": str(tmp_path / "salesforce.sqlite")})
    org.create("Account", [{"Name": "Later"}])
    with PracticeOrg(data=tmp_path) as other:
        assert Client(other).values("SELECT Id FROM Account") == [account]
    with pytest.raises(RuntimeError, match="must be a new file"):
        org.control("POST", "salesforce/snapshot", {"file": str(tmp_path / "salesforce.sqlite")})


def test_the_control_api_is_not_on_the_https_port(org: PracticeOrg) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = org.ca_file
        assert session.get(f"{org.https_url}/__practice__/clock", timeout=30).status_code == 404
        assert session.get(f"{org.https_url}/services/data", timeout=30).status_code == 200


def test_it_stops_when_the_one_who_started_it_is_gone() -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "worker.practice", "--http-port", "0", "--https-port", "0", "--stop-with-stdin"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert started.stdin is not None
    assert started.stdout is not None
    started.stdout.readline()
    started.stdin.close()
    assert started.wait(timeout=15) == 0
    started.stdout.close()


def test_a_taken_port_is_named(org: PracticeOrg) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "worker.practice", "--http-port", str(port), "--https-port", "0"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode != 0
    assert f"port {port} on 127.0.0.1 cannot be used" in ended.stderr


def test_many_parallel_readers_leave_no_connections_behind(client: Client, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": str(n), "Company": "C"} for n in range(300)])
    process = psutil.Process(org.pid)
    failures: list[int] = []

    def read() -> None:
        each = Client(org)
        for _ in range(10):
            answer = each.query("SELECT Id, Name, Owner.Name FROM Lead ORDER BY Name")
            if answer.status_code != 200 or answer.json()["totalSize"] != 300:
                failures.append(answer.status_code)
        each.session.close()

    readers = [threading.Thread(target=read) for _ in range(12)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=60)
    assert failures == []
    assert process.num_threads() < 60
