"""
Bulk API 2.0 ingest jobs: upload, states, results, and an unchanged client.
"""

import csv
import io
import time
from typing import Any

import pytest
import requests
from simple_salesforce import Salesforce

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg


def _open(client: Client, operation: str, **options: Any) -> str:
    body = {"object": "Account", "operation": operation, "contentType": "CSV", "lineEnding": "LF", **options}
    answer = client.call("POST", "jobs/ingest", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "Open"
    assert answer.json()["contentUrl"] == f"services/data/v60.0/jobs/ingest/{answer.json()['id']}/batches"
    job: str = answer.json()["id"]
    return job


def _upload(client: Client, job: str, text: str) -> None:
    headers = {"Content-Type": "text/csv"}
    assert client.call("PUT", f"jobs/ingest/{job}/batches", data=text.encode(), headers=headers).status_code == 201
    assert client.call("PATCH", f"jobs/ingest/{job}", json={"state": "UploadComplete"}).status_code == 200


def _finish(client: Client, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        body: dict[str, Any] = client.call("GET", f"jobs/ingest/{job}").json()
        if body["state"] in {"JobComplete", "Failed", "Aborted"}:
            return body
        time.sleep(0.02)
    raise AssertionError(f"job {job} did not end: {body}")


def _results(client: Client, job: str, kind: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.call("GET", f"jobs/ingest/{job}/{kind}").text)))


def test_good_rows_are_written_and_bad_ones_come_back_with_the_reason(client: Client, org: PracticeOrg) -> None:
    ids = org.create("Account", [{"Name": f"A{n}", "Rating": "Cold", "Site": "HQ"} for n in range(300)])
    rows = "".join(f'"{each}","Hot","#N/A",""\n' for each in ids)
    job = _open(client, "update")
    _upload(
        client, job, f'"Id","Rating","Site","Phone"\n{rows}"{ids[0]}","Hot","{"x" * 81}",""\n"nonsense","Hot","",""\n'
    )
    done = _finish(client, job)
    assert (done["state"], done["numberRecordsProcessed"], done["numberRecordsFailed"]) == ("JobComplete", 302, 2)
    assert client.rows("SELECT Rating, Site, COUNT(Id) n FROM Account GROUP BY Rating, Site") == [
        {"Rating": "Hot", "Site": None, "n": 300}
    ]
    good = _results(client, job, "successfulResults")
    assert sorted(row["sf__Id"] for row in good) == ids
    assert [row["sf__Id"] for row in good] != ids
    assert {row["sf__Created"] for row in good} == {"false"}
    errors = {row["Id"]: row["sf__Error"] for row in _results(client, job, "failedResults")}
    assert errors[ids[0]] == f"STRING_TOO_LONG:Account Site: data value too large: {'x' * 81} (max length=80):Site --"
    assert errors["nonsense"].startswith("MALFORMED_ID:")
    assert _results(client, job, "unprocessedrecords") == []


def test_insert_upsert_delete_and_hard_delete(client: Client, org: PracticeOrg) -> None:
    field = {"name": "Key__c", "type": "Text", "length": 20, "externalId": True, "unique": True}
    org.control("POST", "salesforce/fields", {"object": "Account", "fields": [field]})
    insert = _open(client, "insert")
    _upload(client, insert, "Name,Key__c\nOne,k1\nTwo,k2\nThree,k3\n")
    assert _finish(client, insert)["numberRecordsFailed"] == 0
    upsert = _open(client, "upsert", externalIdFieldName="Key__c")
    _upload(client, upsert, "Key__c,Name,Parent.Key__c\nk2,Zwei,k1\nk4,Four,k1\n")
    _finish(client, upsert)
    assert sorted(row["sf__Created"] for row in _results(client, upsert, "successfulResults")) == ["false", "true"]
    rows = client.rows("SELECT Id, Name, Parent.Name FROM Account WHERE Parent.Name = 'One' ORDER BY Key__c")
    assert [row["Name"] for row in rows] == ["Zwei", "Four"]
    for operation, each, left in (("delete", rows[0]["Id"], True), ("hardDelete", rows[1]["Id"], False)):
        job = _open(client, operation)
        _upload(client, job, f"Id\n{each}\n")
        _finish(client, job)
        found = client.values(f"SELECT IsDeleted FROM Account WHERE Id = '{each}'", everything=True)
        assert found == ([True] if left else [])


def test_a_job_takes_one_upload_and_may_be_aborted(client: Client, org: PracticeOrg) -> None:
    job = _open(client, "insert")
    client.call("PUT", f"jobs/ingest/{job}/batches", data=b"Name\nOne\n")
    twice = client.call("PUT", f"jobs/ingest/{job}/batches", data=b"Name\nTwo\n")
    assert (twice.status_code, twice.json()[0]["errorCode"]) == (400, "INVALIDJOBSTATE")
    assert client.call("PATCH", f"jobs/ingest/{job}", json={"state": "Aborted"}).json()["state"] == "Aborted"
    assert client.call("PATCH", f"jobs/ingest/{job}", json={"state": "UploadComplete"}).status_code == 400
    assert client.call("DELETE", f"jobs/ingest/{job}").status_code == 204
    assert client.values("SELECT COUNT(Id) FROM Account") == [0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Name,Shoe__c\nOne,1\n", "InvalidBatch : Field name not found : Shoe__c"),
        ("Name\r\nOne\r\n", "LineEnding is invalid"),
    ],
)
def test_an_unreadable_upload_fails_the_job(client: Client, content: str, words: str) -> None:
    job = _open(client, "insert")
    _upload(client, job, content)
    done = _finish(client, job)
    assert done["state"] == "Failed"
    assert words in done["errorMessage"]


def test_a_client_we_did_not_write_loads_and_updates(org: PracticeOrg) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = org.ca_file
        form = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}
        token = session.post(f"{org.https_url}/services/oauth2/token", data=form, timeout=30).json()
        salesforce = Salesforce(session_id=token["access_token"], instance_url=org.https_url, session=session)
        made = salesforce.bulk2.Contact.insert(records=[{"LastName": f"L{n}"} for n in range(300)])
        assert [(each["numberRecordsProcessed"], each["numberRecordsFailed"]) for each in made] == [(300, 0)]
        ids = [row["Id"] for row in salesforce.query_all("SELECT Id FROM Contact")["records"]]
        done = salesforce.bulk2.Contact.update(records=[{"Id": each, "Title": "VP"} for each in ids])
        assert done[0]["numberRecordsProcessed"] == 300
        assert "sf__Id" in salesforce.bulk2.Contact.get_successful_records(done[0]["job_id"])
        assert salesforce.query("SELECT COUNT() FROM Contact WHERE Title = 'VP'")["totalSize"] == 300
