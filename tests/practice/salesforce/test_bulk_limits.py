"""
What an org allows of Bulk work, how long it queues, and how long it keeps results.
"""

import time

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

QUERY = {"operation": "query", "query": "SELECT Id, LastName FROM Lead"}


@pytest.fixture
def quick(org: PracticeOrg) -> PracticeOrg:
    org.control("POST", "salesforce/settings", {"bulk_seconds": 0})
    return org


def ended(client: Client, path: str) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        job: dict[str, object] = client.call("GET", path).json()
        if job["state"] not in {"Open", "UploadComplete", "InProgress"}:
            return job
        time.sleep(0.02)
    raise AssertionError(f"{path} did not end")


def test_the_days_jobs_and_volume_are_counted_and_end(client: Client, quick: PracticeOrg) -> None:
    quick.control("POST", "salesforce/limits", {"name": "DailyBulkV2QueryJobs", "allowed": 1})
    job = client.call("POST", "jobs/query", json=QUERY).json()["id"]
    ended(client, f"jobs/query/{job}")
    refused = client.call("POST", "jobs/query", json=QUERY)
    assert (refused.status_code, refused.json()) == (
        400,
        [{"message": "Max bulk v2 query jobs (1) per 24 hrs has been reached", "errorCode": "LIMIT_EXCEEDED"}],
    )
    assert client.call("GET", "limits").json()["DailyBulkV2QueryJobs"] == {"Max": 1, "Remaining": 0}
    quick.control("POST", "salesforce/limits", {"name": "DailyBulkV2QueryJobs", "allowed": 10_000})
    quick.control("POST", "salesforce/limits", {"name": "DailyBulkV2QueryFileStorageMB", "used": 976_562})
    words = client.call("POST", "jobs/query", json=QUERY).json()[0]["message"]
    assert words == "Max bulk v2 query result size stored (1000000000) kb per 24 hrs has been exceeded"
    quick.advance(86_401)
    assert Client(quick).call("POST", "jobs/query", json=QUERY).status_code == 200


def test_a_job_waits_in_the_queue_by_the_practice_clock(client: Client, quick: PracticeOrg) -> None:
    quick.control("POST", "salesforce/settings", {"bulk_queue_seconds": 120})
    quick.control("POST", "clock", {"frozen": True})
    job = client.call("POST", "jobs/query", json=QUERY).json()["id"]
    quick.advance(119)
    time.sleep(0.3)
    assert client.call("GET", f"jobs/query/{job}").json()["state"] == "UploadComplete"
    quick.advance(1)
    assert ended(client, f"jobs/query/{job}")["state"] == "JobComplete"
    waiting = client.call("POST", "jobs/query", json=QUERY).json()["id"]
    assert client.call("PATCH", f"jobs/query/{waiting}", json={"state": "Aborted"}).json()["state"] == "Aborted"


def test_results_are_kept_for_seven_days(client: Client, quick: PracticeOrg) -> None:
    job = client.call("POST", "jobs/query", json=QUERY).json()["id"]
    ended(client, f"jobs/query/{job}")
    quick.advance(6.9 * 86_400)
    client = Client(quick)
    assert client.call("GET", f"jobs/query/{job}/results").status_code == 200
    quick.advance(0.2 * 86_400)
    gone = Client(quick).call("GET", f"jobs/query/{job}/results")
    assert (gone.status_code, gone.json()[0]["errorCode"]) == (404, "NOT_FOUND")


def test_a_job_sees_what_commits_while_it_queues(client: Client, quick: PracticeOrg) -> None:
    quick.control("POST", "clock", {"frozen": True})
    quick.control("POST", "salesforce/settings", {"hold_bulk_jobs": True})
    late = {"object": "Lead", "records": [{"LastName": "Late", "Company": "C"}], "commit_after_seconds": 60}
    quick.control("POST", "salesforce/create", late)
    job = client.call("POST", "jobs/query", json=QUERY).json()["id"]
    quick.advance(60)
    quick.control("POST", "salesforce/release_jobs")
    assert ended(client, f"jobs/query/{job}")["numberRecordsProcessed"] == 1


@pytest.mark.parametrize(("declared", "sent"), [("LF", "\r\n"), ("CRLF", "\n")])
def test_another_line_ending_than_the_declared_one_fails_the_job(
    client: Client, quick: PracticeOrg, declared: str, sent: str
) -> None:
    body = {"object": "Lead", "operation": "insert", "lineEnding": declared}
    job = client.call("POST", "jobs/ingest", json=body).json()["id"]
    rows = sent.join(['"LastName","Company"', '"Ray","C"', ""]).encode()
    client.call("PUT", f"jobs/ingest/{job}/batches", data=rows, headers={"Content-Type": "text/csv"})
    client.call("PATCH", f"jobs/ingest/{job}", json={"state": "UploadComplete"})
    done = ended(client, f"jobs/ingest/{job}")
    assert done["state"] == "Failed"
    assert f"Current LineEnding setting is {declared}" in str(done["errorMessage"])


def test_an_upload_beyond_the_size_is_refused(client: Client, quick: PracticeOrg) -> None:
    quick.control("POST", "salesforce/settings", {"bulk_upload_bytes": 100})
    job = client.call("POST", "jobs/ingest", json={"object": "Lead", "operation": "insert"}).json()["id"]
    put = client.call("PUT", f"jobs/ingest/{job}/batches", data=b"x" * 101, headers={"Content-Type": "text/csv"})
    assert put.status_code == 413


def test_the_rows_of_an_ingest_share_one_second(client: Client, quick: PracticeOrg) -> None:
    job = client.call("POST", "jobs/ingest", json={"object": "Lead", "operation": "insert"}).json()["id"]
    rows = "LastName,Company\n" + "".join(f"L{n},C\n" for n in range(1_500))
    client.call("PUT", f"jobs/ingest/{job}/batches", data=rows.encode(), headers={"Content-Type": "text/csv"})
    client.call("PATCH", f"jobs/ingest/{job}", json={"state": "UploadComplete"})
    assert ended(client, f"jobs/ingest/{job}")["numberRecordsProcessed"] == 1_500
    found = client.rows("SELECT MIN(SystemModstamp) first, MAX(SystemModstamp) last, COUNT(Id) n FROM Lead")[0]
    assert (found["first"], found["n"]) == (found["last"], 1_500)


def test_a_composite_request_holds_five_queries(client: Client, quick: PracticeOrg) -> None:
    url = "/services/data/v60.0/query?q=SELECT+Id+FROM+Lead"
    parts = [{"method": "GET", "url": url, "referenceId": f"r{n}"} for n in range(6)]
    assert client.call("POST", "composite", json={"compositeRequest": parts}).status_code == 400
    assert client.call("POST", "composite", json={"compositeRequest": parts[:5]}).status_code == 200
    quick.control("POST", "salesforce/settings", {"composite_queries": 25})
    assert client.call("POST", "composite", json={"compositeRequest": parts}).status_code == 200
