"""
Bulk query jobs of ours that nobody knows any more are found among all others, ended, and nobody else's is touched.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.connectors.salesforce.stand_in import USER_ID, StandIn, client_of, json_reply, refused, stand_in
from worker.connectors.salesforce.orphans import end_orphans

SINCE = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)


@pytest.fixture
def org() -> Iterator[StandIn]:
    with stand_in() as org:
        org.on("PATCH jobs/query/", json_reply({"state": "Aborted"}))
        org.on("DELETE jobs/query/", (204, {}, ""))
        yield org


def job(number: int, **given: Any) -> dict[str, Any]:
    """
    The orphan as Salesforce lists it, or something else.
    """
    return {
        "id": f"750{number:012d}AAA",
        "operation": "queryAll",
        "object": "Lead",
        "createdById": USER_ID,
        "createdDate": "2026-11-18T09:30:02.000+0000",
        "state": "JobComplete",
        "apiVersion": 64.0,
        "jobType": "V2Query",
        **given,
    }


def listed(org: StandIn, *jobs: dict[str, Any]) -> None:
    org.on("GET jobs/query", json_reply({"done": True, "records": list(jobs), "nextRecordsUrl": None}))


def ended(org: StandIn) -> list[str]:
    return [str(each.url).rpartition("/")[2] for each in org.calls("DELETE", "jobs/query/")]


def test_the_job_that_was_made_right_then_is_ended(org: StandIn) -> None:
    listed(org, job(1))
    assert end_orphans(client_of(), "Lead", SINCE) == 1
    assert ended(org) == [job(1)["id"]]
    assert org.calls("PATCH", "jobs/query/") == [], "it had ended by itself"


@pytest.mark.parametrize("state", ["UploadComplete", "InProgress"])
def test_one_that_runs_is_aborted_first(org: StandIn, state: str) -> None:
    listed(org, job(1, state=state))
    end_orphans(client_of(), "Lead", SINCE)
    assert [each.method for each in org.seen if job(1)["id"] in str(each.url)] == ["PATCH", "DELETE"]


@pytest.mark.parametrize(
    "other",
    [
        {"createdById": "005000000000002AAA"},
        {"object": "Contact"},
        {"operation": "query"},
        {"apiVersion": 59.0},
        {"createdDate": "2026-11-18T09:29:50.000+0000"},
        {"createdDate": "2026-11-18T09:45:01.000+0000"},
        {"createdDate": "2026-11-18 09:30"},
        {"createdDate": None},
        {"id": "../../limits"},
    ],
)
def test_everybody_elses_jobs_are_left_alone(org: StandIn, other: dict[str, Any]) -> None:
    listed(org, job(1, **other))
    assert end_orphans(client_of(), "Lead", SINCE) == 0
    assert ended(org) == []


def test_the_list_is_read_page_by_page_and_not_for_ever(org: StandIn) -> None:
    endless = {
        "done": False,
        "records": [job(2, object="Contact")],
        "nextRecordsUrl": "/x/jobs/query?queryLocator=MTAwMA",
    }
    org.on("GET jobs/query", json_reply(endless))
    assert end_orphans(client_of(), "Lead", SINCE) == 0
    asked = [parse_qs(urlsplit(str(each.url)).query) for each in org.calls("GET", "jobs/query")]
    assert len(asked) == 10
    assert [each.get("queryLocator") for each in asked[:3]] == [None, ["MTAwMA"], ["MTAwMA"]]
    assert all(each["jobType"] == ["V2Query"] for each in asked)


def test_no_more_than_a_few_are_ended_at_a_time(org: StandIn) -> None:
    listed(org, *(job(number) for number in range(20)))
    assert end_orphans(client_of(), "Lead", SINCE) == 5


def test_what_cannot_be_tidied_away_stops_nobody(org: StandIn) -> None:
    org.on("GET jobs/query", refused(403, "INSUFFICIENT_ACCESS", "no"))
    assert end_orphans(client_of(), "Lead", SINCE) == 0
    listed(org, job(1, state="InProgress"))
    org.on("PATCH jobs/query/", refused(400, "INVALIDJOBSTATE", "it has ended"))
    org.on("DELETE jobs/query/", refused(404, "NOT_FOUND", "gone"))
    assert end_orphans(client_of(), "Lead", SINCE + timedelta(seconds=1)) == 1
