"""
Bulk API 1.0 as its old clients speak it: XML for CSV jobs, JSON for JSON jobs, PK chunking, writes row by row.
"""

import json
import time
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from simple_salesforce.api import Salesforce

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

JSON, XML = {"Content-Type": "application/json"}, {"Content-Type": "application/xml; charset=utf-8"}
SPACE = "{http://www.force.com/2009/06/asyncapi/dataload}"


class Old:
    """
    A client of the old API that knows its session by the old header.
    """

    def __init__(self, client: Client) -> None:
        token = str(client.session.headers["Authorization"]).removeprefix("Bearer ")
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-SFDC-Session"] = token
        self.base = f"{client.org.url}/services/async/59.0"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        given = json.dumps(body) if isinstance(body, dict | list) else body
        return self.session.request(method, f"{self.base}/{path}", data=given, headers=headers, timeout=30)

    def job(self, **body: Any) -> str:
        answer = self.call("POST", "job", body, **JSON)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def state(self, job: str, batch: str) -> dict[str, str]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            answer = self.call("GET", f"job/{job}/batch/{batch}")
            as_json = answer.headers["Content-Type"].startswith("application/json")
            found = answer.json() if as_json else fields(read_xml(answer.text))
            if found["state"] not in {"Queued", "InProgress"}:
                return dict(found)
            time.sleep(0.02)
        raise AssertionError("the batch did not end")


def read_xml(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - what this test's own server said


def fields(element: ET.Element) -> dict[str, str]:
    return {child.tag.removeprefix(SPACE): child.text or "" for child in element}


@pytest.fixture
def old(client: Client) -> Old:
    client.org.control("POST", "salesforce/settings", {"bulk_seconds": 0})
    return Old(client)


def test_a_csv_job_is_answered_in_xml_whatever_the_request_says(old: Old, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": "Ray", "Company": 'R "&" Co'}, {"LastName": "Ng", "Company": "N"}])
    job = old.job(operation="query", object="Lead", contentType="CSV")
    made = old.call("POST", f"job/{job}/batch", "SELECT LastName, Company FROM Lead", **{"Content-Type": "text/csv"})
    assert (made.status_code, made.headers["Content-Type"]) == (201, "application/xml")
    assert made.text.startswith('<?xml version="1.0" encoding="UTF-8"?><batchInfo xmlns="http://www.force.com/2009')
    batch = fields(read_xml(made.text))
    ended = old.state(job, batch["id"])
    assert (ended["state"], ended["numberRecordsProcessed"], ended["jobId"]) == ("Completed", "2", job)
    listed = read_xml(old.call("GET", f"job/{job}/batch", **JSON).text)
    assert [fields(each)["id"] for each in listed] == [batch["id"]]
    results = fields(read_xml(old.call("GET", f"job/{job}/batch/{batch['id']}/result").text))
    data = old.call("GET", f"job/{job}/batch/{batch['id']}/result/{results['result']}")
    assert data.text.splitlines() == ['"LastName","Company"', '"Ray","R ""&"" Co"', '"Ng","N"']
    assert old.call("POST", f"job/{job}", {"state": "Closed"}, **JSON).json()["state"] == "Closed"


@pytest.mark.parametrize(("named", "shown"), [(True, "text/csv;charset=UTF-8"), (False, "text/csv")])
def test_a_querys_csv_names_its_charset_or_does_not(old: Old, org: PracticeOrg, named: bool, shown: str) -> None:
    org.control("POST", "salesforce/settings", {"bulk1_result_charset": named})
    org.create("Lead", [{"LastName": "Ødegård", "Company": "Ω"}])
    job = old.job(operation="query", object="Lead", contentType="CSV")
    batch = fields(read_xml(old.call("POST", f"job/{job}/batch", "SELECT LastName, Company FROM Lead").text))
    old.state(job, batch["id"])
    result = fields(read_xml(old.call("GET", f"job/{job}/batch/{batch['id']}/result").text))["result"]
    data = old.call("GET", f"job/{job}/batch/{batch['id']}/result/{result}")
    assert data.headers["Content-Type"] == shown
    assert data.content.decode().splitlines()[1] == '"Ødegård","Ω"'


def test_a_json_job_shows_datetimes_as_milliseconds(old: Old, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": "Ray", "Company": "C", "CreatedDate": "2026-01-01T00:00:00Z"}])
    job = old.job(operation="queryAll", object="Lead", contentType="JSON")
    batch = old.call(
        "POST", f"job/{job}/batch", "SELECT Id, CreatedDate, CreatedBy.CreatedDate FROM Lead", **JSON
    ).json()
    assert old.state(job, batch["id"])["state"] == "Completed"
    (result,) = old.call("GET", f"job/{job}/batch/{batch['id']}/result").json()
    (row,) = old.call("GET", f"job/{job}/batch/{batch['id']}/result/{result}").json()
    assert row["attributes"]["type"] == "Lead"
    assert row["CreatedDate"] == 1_767_225_600_000
    assert isinstance(row["CreatedBy"]["CreatedDate"], int)


def test_pk_chunking_puts_a_batch_for_each_range_in_place_of_the_first(old: Old, org: PracticeOrg) -> None:
    ids = org.create("Lead", [{"LastName": f"L{n}", "Company": "C"} for n in range(25)])
    chunking = {"Sforce-Enable-PKChunking": "true; chunkSize=10"}
    answer = old.call("POST", "job", {"operation": "query", "object": "Lead", "contentType": "CSV"}, **JSON, **chunking)
    job = answer.json()["id"]
    old.call("POST", f"job/{job}/batch", "SELECT Id FROM Lead WHERE LastName != 'L3'", **{"Content-Type": "text/csv"})
    batches = [fields(each) for each in read_xml(old.call("GET", f"job/{job}/batch").text)]
    assert batches[0]["state"] == "Not Processed"
    found: list[str] = []
    for each in batches[1:]:
        assert old.state(job, each["id"])["state"] == "Completed"
        results = fields(read_xml(old.call("GET", f"job/{job}/batch/{each['id']}/result").text))
        text = old.call("GET", f"job/{job}/batch/{each['id']}/result/{results['result']}").text
        found += [line.strip('"') for line in text.splitlines()[1:]]
    assert (len(batches), sorted(found)) == (4, sorted(set(ids) - {ids[3]}))


def test_an_empty_csv_result_says_so_in_words(old: Old) -> None:
    job = old.job(operation="query", object="Lead", contentType="CSV")
    batch = fields(read_xml(old.call("POST", f"job/{job}/batch", "SELECT Id FROM Lead").text))
    old.state(job, batch["id"])
    results = fields(read_xml(old.call("GET", f"job/{job}/batch/{batch['id']}/result").text))
    data = old.call("GET", f"job/{job}/batch/{batch['id']}/result/{results['result']}")
    assert data.text == "Records not found for this query"


def test_a_query_that_cannot_be_run_fails_its_batch_with_the_reason(old: Old) -> None:
    job = old.job(operation="query", object="Lead", contentType="JSON")
    batch = old.call("POST", f"job/{job}/batch", "SELECT Shoe__c FROM Lead", **JSON).json()
    ended = old.state(job, batch["id"])
    assert ended["state"] == "Failed"
    assert "No such column 'Shoe__c'" in ended["stateMessage"]


def test_an_xml_client_writes_csv_and_reads_what_became_of_each_row(old: Old, client: Client) -> None:
    opened = old.call(
        "POST",
        "job",
        f'<?xml version="1.0"?><jobInfo xmlns="{SPACE.strip("{}")}"><operation>insert</operation>'
        "<object>Lead</object><contentType>CSV</contentType></jobInfo>",
        **XML,
    )
    job = fields(read_xml(opened.text))["id"]
    rows = "LastName,Company,Title\nRay,Ray Ltd,VP\n,Nobody,\n"
    batch = fields(read_xml(old.call("POST", f"job/{job}/batch", rows, **{"Content-Type": "text/csv"}).text))
    ended = old.state(job, batch["id"])
    assert (ended["numberRecordsProcessed"], ended["numberRecordsFailed"]) == ("2", "1")
    lines = old.call("GET", f"job/{job}/batch/{batch['id']}/result").text.splitlines()
    made = client.values("SELECT Id FROM Lead")
    assert lines == [
        '"Id","Success","Created","Error"',
        f'"{made[0]}","true","true",""',
        '"","false","false","REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"',
    ]


def test_errors_follow_the_form_of_the_request(old: Old) -> None:
    unknown = old.call("GET", "job/750000000000000", **JSON)
    assert unknown.status_code == 400
    assert unknown.json() == {
        "exceptionCode": "InvalidJob",
        "exceptionMessage": "Unable to find job for id: 750000000000000",
    }
    assert "<exceptionCode>InvalidJob</exceptionCode>" in old.call("GET", "job/750000000000000").text
    old.session.headers["X-SFDC-Session"] = "00D!gone"
    ended = old.call("GET", "job/750000000000000", **JSON)
    assert ended.json() == {"exceptionCode": "InvalidSessionId", "exceptionMessage": "Invalid session id"}


def test_each_batch_counts_against_the_daily_batches(old: Old, client: Client) -> None:
    before = client.call("GET", "limits").json()["DailyBulkApiBatches"]["Remaining"]
    job = old.job(operation="query", object="Lead", contentType="CSV")
    old.call("POST", f"job/{job}/batch", "SELECT Id FROM Lead")
    assert client.call("GET", "limits").json()["DailyBulkApiBatches"]["Remaining"] == before - 1


def test_the_bulk_helper_of_simple_salesforce_reads_and_writes(client: Client, org: PracticeOrg, old: Old) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = org.ca_file
        token = str(client.session.headers["Authorization"]).removeprefix("Bearer ")
        theirs: Any = Salesforce(session_id=token, instance_url=org.https_url, session=session)
        made = theirs.bulk.Lead.insert([{"LastName": "Ray", "Company": "R"}, {"LastName": "X"}], batch_size=1)
        assert [each["success"] for each in made] == [True, False]
        assert made[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
        changed = theirs.bulk.Lead.update([{"Id": made[0]["id"], "Title": "VP"}])
        assert changed == [{"success": True, "created": False, "id": made[0]["id"], "errors": []}]
        assert [row["Title"] for row in theirs.bulk.Lead.query("SELECT Title FROM Lead")] == ["VP"]
