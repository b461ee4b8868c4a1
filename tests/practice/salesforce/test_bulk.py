"""
Bulk API 2.0 query jobs: states, pages, locators, CSV.
"""

import csv
import io
import time
from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg


def _create(client: Client, query: str, **options: Any) -> dict[str, Any]:
    answer = client.call("POST", "jobs/query", json={"operation": "query", "query": query, **options})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def _finish(client: Client, job: str, state: str = "JobComplete") -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        body: dict[str, Any] = client.call("GET", f"jobs/query/{job}").json()
        if body["state"] == state:
            return body
        time.sleep(0.02)
    raise AssertionError(f"job {job} did not reach {state}: {body}")


def _pages(client: Client, job: str, most: int) -> list[tuple[list[list[str]], str, str]]:
    pages = []
    locator = ""
    while locator != "null":
        parameters = {"maxRecords": most, **({"locator": locator} if locator else {})}
        answer = client.call("GET", f"jobs/query/{job}/results", params=parameters)
        assert answer.status_code == 200, answer.text
        locator = answer.headers["Sforce-Locator"]
        rows = list(csv.reader(io.StringIO(answer.content.decode())))
        pages.append((rows, answer.headers["Sforce-NumberOfRecords"], locator))
    return pages


def test_a_job_goes_through_its_states_and_gives_every_row_once(client: Client, org: PracticeOrg) -> None:
    ids = org.create("Lead", [{"LastName": f"L{n}", "Company": "C", "AnnualRevenue": n} for n in range(250)])
    made = _create(client, "SELECT Id, Name, Owner.Name, AnnualRevenue, IsDeleted, SystemModstamp FROM Lead")
    assert made["state"] == "UploadComplete"
    assert (made["object"], made["operation"], made["apiVersion"], made["contentType"]) == (
        "Lead",
        "query",
        60.0,
        "CSV",
    )
    early = client.call("GET", f"jobs/query/{made['id']}/results")
    assert early.status_code == 400
    done = _finish(client, made["id"])
    assert (done["jobType"], done["numberRecordsProcessed"], done["retries"]) == ("V2Query", 250, 0)
    assert done["totalProcessingTime"] >= 200
    pages = _pages(client, made["id"], 100)
    assert [(len(rows) - 1, number) for rows, number, _ in pages] == [(100, "100"), (100, "100"), (50, "50")]
    header = ["Id", "Name", "Owner.Name", "AnnualRevenue", "IsDeleted", "SystemModstamp"]
    assert all(rows[0] == header for rows, _, _ in pages)
    assert [row[0] for rows, _, _ in pages for row in rows[1:]] == ids
    assert pages[0][0][2][1:] == ["L1", "Ada Administrator", "1.0", "false", "2026-11-18T09:30:00.000Z"]


def test_awkward_text_survives_and_null_is_an_empty_cell(client: Client, org: PracticeOrg) -> None:
    text = 'He said "no",\r\nthen\n; left | ünïcødé 漢字'
    org.create("Account", [{"Name": text, "Description": "x" * 30_000}, {"Name": "NA"}])
    job = _create(client, "SELECT Name, Rating, Description, NumberOfEmployees FROM Account ORDER BY Name DESC")["id"]
    _finish(client, job)
    raw = client.call("GET", f"jobs/query/{job}/results").content.decode()
    assert raw.startswith('"Name","Rating","Description","NumberOfEmployees"\n"NA","","",""\n')
    rows = list(csv.reader(io.StringIO(raw, newline="")))
    assert rows[2] == [text, "", "x" * 30_000, ""]


def test_other_delimiters_and_line_endings_are_honoured(client: Client, org: PracticeOrg) -> None:
    org.create("Account", [{"Name": "Acme"}])
    job = _create(client, "SELECT Name, Rating FROM Account", columnDelimiter="PIPE", lineEnding="CRLF")["id"]
    _finish(client, job)
    assert client.call("GET", f"jobs/query/{job}/results").content == b'"Name"|"Rating"\r\n"Acme"|""\r\n'


def test_no_rows_are_a_header_and_a_zero(client: Client) -> None:
    job = _create(client, "SELECT Id FROM Lead")["id"]
    _finish(client, job)
    answer = client.call("GET", f"jobs/query/{job}/results")
    assert (answer.text, answer.headers["Sforce-NumberOfRecords"], answer.headers["Sforce-Locator"]) == (
        '"Id"\n',
        "0",
        "null",
    )


def test_query_all_brings_the_deleted_and_a_job_is_a_snapshot(client: Client, org: PracticeOrg) -> None:
    leads = org.create("Lead", [{"LastName": "Kept", "Company": "C"}, {"LastName": "Gone", "Company": "C"}])
    client.call("DELETE", f"sobjects/Lead/{leads[1]}")
    job = _create(client, "SELECT LastName, IsDeleted FROM Lead ORDER BY LastName", operation="queryAll")["id"]
    _finish(client, job)
    org.create("Lead", [{"LastName": "Late", "Company": "C"}])
    assert _pages(client, job, 1)[0][0][1] == ["Gone", "true"]
    assert len(_pages(client, job, 1)) == 2


def test_a_page_can_be_read_again_and_a_foreign_locator_cannot(client: Client, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": str(n), "Company": "C"} for n in range(9)])
    job = _create(client, "SELECT LastName FROM Lead ORDER BY LastName")["id"]
    _finish(client, job)
    first = client.call("GET", f"jobs/query/{job}/results", params={"maxRecords": 4})
    again = {"maxRecords": 4, "locator": first.headers["Sforce-Locator"]}
    twice = [client.call("GET", f"jobs/query/{job}/results", params=again).content for _ in range(2)]
    assert twice[0] == twice[1] == b'"LastName"\n"4"\n"5"\n"6"\n"7"\n'
    assert client.call("GET", f"jobs/query/{job}/results", params={"locator": "MTAwMDA"}).status_code == 400
    other = client.call("GET", f"/services/data/v61.0/jobs/query/{job}/results")
    assert other.status_code == 409


def test_a_held_job_can_be_aborted_and_deleted(client: Client, org: PracticeOrg) -> None:
    org.control("POST", "salesforce/settings", {"hold_bulk_jobs": True})
    job = _create(client, "SELECT Id FROM Lead")["id"]
    time.sleep(0.3)
    assert client.call("GET", f"jobs/query/{job}").json()["state"] == "UploadComplete"
    assert client.call("DELETE", f"jobs/query/{job}").status_code == 400
    aborted = client.call("PATCH", f"jobs/query/{job[:15]}", json={"state": "Aborted"})
    assert (aborted.status_code, aborted.json()["state"]) == (200, "Aborted")
    assert client.call("DELETE", f"jobs/query/{job}").status_code == 204
    assert client.call("GET", f"jobs/query/{job}").status_code == 404


def test_a_job_can_fail_without_a_word(client: Client, org: PracticeOrg) -> None:
    org.control("POST", "salesforce/settings", {"hold_bulk_jobs": True})
    job = _create(client, "SELECT Id FROM Lead")["id"]
    org.control("POST", "salesforce/fail_job", {"id": job})
    body = client.call("GET", f"jobs/query/{job}").json()
    assert body["state"] == "Failed"
    assert "errorMessage" not in body
    with pytest.raises(RuntimeError, match=r"400 .*Cannot fail a job in state Failed"):
        org.control("POST", "salesforce/fail_job", {"id": job})


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("SELECT Id, Address FROM Lead", "API_ERROR", "Selecting compound data not supported in Bulk Query"),
        ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "API_ERROR", "Aggregate Relationships not supported"),
        ("SELECT COUNT(Id) FROM Lead", "API_ERROR", "Aggregate functions and GROUP BY are not supported"),
        ("SELECT Id FROM Lead LIMIT 5 OFFSET 5", "API_ERROR", "OFFSET is not supported"),
        ("SELECT Id FROM TaskStatus", "INVALIDENTITY", "is not supported by the Bulk API"),
        ("SELECT Shoe__c FROM Lead", "INVALID_FIELD", "No such column 'Shoe__c'"),
        ("SELECT Id FROM Lead WHERE", "MALFORMED_QUERY", "unexpected token"),
    ],
)
def test_what_bulk_does_not_take_is_refused_at_once(client: Client, query: str, code: str, words: str) -> None:
    answer = client.call("POST", "jobs/query", json={"operation": "query", "query": query})
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == code
    assert words in answer.json()[0]["message"]


def test_stages_and_record_types_come_by_bulk_as_other_objects_do(client: Client) -> None:
    for sobject, rows in (("OpportunityStage", 10), ("RecordType", 0)):
        job = _create(client, f"SELECT Id FROM {sobject}")["id"]
        _finish(client, job)
        answer = client.call("GET", f"jobs/query/{job}/results")
        assert answer.headers["Sforce-NumberOfRecords"] == str(rows)


def test_a_results_page_comes_zipped_to_whoever_asks(client: Client, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": "Same", "Company": "Same"} for _ in range(500)])
    job = _create(client, "SELECT Id, Company FROM Lead")["id"]
    _finish(client, job)
    zipped = client.call("GET", f"jobs/query/{job}/results", headers={"Accept-Encoding": "gzip"})
    plain = client.call("GET", f"jobs/query/{job}/results", headers={"Accept-Encoding": "identity"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert zipped.content == plain.content
    assert plain.headers["Content-Length"] == str(len(plain.content))
