"""
Reading a practice org, as a real process over TLS: windows, ties, lost cursors, expired sessions, jobs, hidden fields.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.connectors.reader import Reader, Stopped, rows_of
from tests.practice_org import PracticeOrg
from worker.connectors.base import Cursor
from worker.connectors.salesforce.client import Credentials, SalesforceClient
from worker.connectors.salesforce.streams import ReadLimits, SalesforceSource
from worker.core.errors import Fatal, HeadwaterError, Retriable

pytestmark = pytest.mark.slow

LEAD = "salesforce.lead"
Make = Callable[..., SalesforceSource]


@pytest.fixture
def make(connect: Callable[[], SalesforceClient]) -> Make:
    def source(**options: Any) -> SalesforceSource:
        return SalesforceSource(connect(), **options)

    return source


def leads(count: int, **values: Any) -> list[dict[str, Any]]:
    return [{"LastName": f"Lead {number:05}", "Company": "Acme", **values} for number in range(count)]


def calls(org: PracticeOrg, after: int) -> list[tuple[str, str]]:
    entries = org.journal("salesforce", after)
    return [(entry["method"], entry["path"]) for entry in entries if entry["kind"] != "token"]


def mark(org: PracticeOrg) -> int:
    number: int = org.control("GET", "journal")["next"]
    return number


def incremental(org: PracticeOrg, source: SalesforceSource, *streams: str) -> Reader:
    reader = Reader(*streams)
    reader.begin_at(source.now())
    return reader


def test_an_idle_cycle_over_all_objects_is_one_call(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = Reader(*(stream.name for stream in source.streams))
    reader.read(source)
    assert len(reader.cursors) == 23
    before = mark(org)
    reader.read(source)
    assert calls(org, before) == [("POST", "/services/data/v64.0/composite/batch")]


def test_an_idle_cycle_is_one_call_also_when_every_description_is_due(org: PracticeOrg, make: Make) -> None:
    source = make(limits=ReadLimits(describe_every=timedelta(0)))
    reader = Reader(*(stream.name for stream in source.streams))
    reader.read(source)
    before = mark(org)
    reader.read(source)
    assert len(calls(org, before)) == 1


def test_a_worker_that_knows_the_objects_describes_none(org: PracticeOrg, make: Make) -> None:
    first = make()
    reader = Reader(*(stream.name for stream in first.streams))
    reader.read(first)
    before = mark(org)
    reader.read(make())
    assert len(calls(org, before)) == 1


def test_a_row_created_this_second_is_in_this_window(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = incremental(org, source, LEAD)
    (lead,) = org.create("Lead", leads(1))
    reader.read(source)
    assert lead in reader.rows[LEAD]


def test_a_practice_org_on_plain_http_is_read_too(org: PracticeOrg) -> None:
    credentials = Credentials(org.url, "headwater", client_secret="practice-secret")
    source = SalesforceSource(SalesforceClient(credentials))
    reader = incremental(org, source, LEAD)
    (lead,) = org.create("Lead", leads(1))
    reader.read(source)
    assert lead in reader.rows[LEAD]
    by_bulk = SalesforceSource(SalesforceClient(credentials), limits=ReadLimits(bulk_above=0))
    loaded = Reader(LEAD)
    loaded.read_until_done(by_bulk, between=_nap)
    assert lead in loaded.rows[LEAD]


def test_five_thousand_rows_of_one_second_all_come(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = incremental(org, source, LEAD)
    ids = org.create("Lead", leads(5_000, SystemModstamp=_stamp(source)))
    org.advance(5)
    reader.read(make())
    assert set(reader.rows[LEAD]) >= set(ids)
    assert reader.received[LEAD] == 5_000
    assert [page.last for page in reader.pages] == [False, False, True]


def test_a_killed_reader_goes_on_behind_its_last_page(org: PracticeOrg, make: Make) -> None:
    reader = incremental(org, make(), LEAD)
    ids = org.create("Lead", leads(5_000))
    with pytest.raises(Stopped):
        reader.read(make(), stop_after=1)
    hi = reader.cursors[LEAD].hi
    reader.read(make())
    assert set(reader.rows[LEAD]) == set(ids)
    assert reader.received[LEAD] == 5_000
    assert reader.cursors[LEAD].watermark == hi


@pytest.mark.parametrize("is_one_second", [True, False], ids=["ties", "spread over seconds"])
def test_a_dropped_cursor_loses_and_doubles_nothing(org: PracticeOrg, make: Make, is_one_second: bool) -> None:
    source = make()
    reader = incremental(org, source, LEAD)
    began = source.now()
    seconds = [0] * 5_000 if is_one_second else [number // 700 for number in range(5_000)]
    rows = [
        {**row, "SystemModstamp": _text(began + timedelta(seconds=second))}
        for row, second in zip(leads(5_000), seconds, strict=True)
    ]
    ids = org.create("Lead", rows)
    org.advance(60)
    for stop in (1, 1):
        with pytest.raises(Stopped):
            reader.read(make(), stop_after=stop)
        org.control("POST", "salesforce/drop_cursors")
    reader.read(make())
    assert set(reader.rows[LEAD]) == set(ids)
    assert reader.received[LEAD] == 5_000


def test_a_session_that_expires_between_pages_is_renewed(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = incremental(org, source, LEAD)
    ids = org.create("Lead", leads(4_500))
    with pytest.raises(Stopped):
        reader.read(source, stop_after=1)
    before = mark(org)
    org.control("POST", "salesforce/expire_sessions")
    reader.read(source)
    assert set(reader.rows[LEAD]) == set(ids)
    logins = [entry for entry in org.journal("salesforce", before) if entry["kind"] == "token"]
    assert len(logins) == 1


def test_what_commits_late_is_found_by_the_overlap(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = incremental(org, source, LEAD)
    late = org.control("POST", "salesforce/late", {"object": "Lead", "create": leads(1), "commit_after_seconds": 590})[
        "ids"
    ]
    org.advance(60)
    reader.read(make())
    assert late[0] not in reader.rows[LEAD]
    org.advance(600)
    reader.read(make())
    assert late[0] in reader.rows[LEAD]


def test_deletion_merge_and_conversion_arrive_as_such(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = incremental(org, source, LEAD, "salesforce.contact")
    gone, loser, winner, converted = org.create("Lead", leads(4, Email="d@acme.com"))
    reader.read(source)
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": [gone]})
    org.control("POST", "salesforce/merge", {"object": "Lead", "winner": winner, "losers": [loser]})
    result = org.control(
        "POST",
        "salesforce/convert",
        {"conversions": [{"leadId": converted, "account": {}, "contact": {}, "opportunity": None}]},
    )["results"][0]
    org.advance(5)
    reader.read(make())
    rows = reader.rows[LEAD]
    assert (rows[gone]["is_deleted"], rows[gone]["merged_into"]) == ("true", None)
    assert (rows[loser]["is_deleted"], rows[loser]["merged_into"]) == ("true", winner)
    assert rows[converted]["converted_contact_ref"] == result["contactId"]
    assert rows[converted]["converted_at"] is not None
    assert result["contactId"] in reader.rows["salesforce.contact"]


def test_a_field_hidden_between_two_polls_costs_that_field_only(org: PracticeOrg, make: Make) -> None:
    source = make(extra_fields={"Lead": ["NumberOfEmployees"]})
    reader = incremental(org, source, LEAD, "salesforce.account")
    reader.read(source)
    org.control("POST", "salesforce/hide_fields", {"object": "Lead", "fields": ["Rating"]})
    try:
        (lead,) = org.create("Lead", leads(1))
        (account,) = org.create("Account", [{"Name": "Acme"}])
        org.advance(5)
        reader.read(make())
    finally:
        org.control("POST", "salesforce/show_fields", {"object": "Lead", "fields": ["Rating"]})
    assert lead in reader.rows[LEAD]
    assert "rating" not in reader.rows[LEAD][lead]
    assert account in reader.rows["salesforce.account"]
    assert reader.known["objects"]["Lead"]["missing"] == {"Rating": "not visible to the integration user"}


def test_a_field_that_becomes_visible_is_named(org: PracticeOrg, make: Make) -> None:
    wanted = {"write_fields": {"Account": ["HW_Late__c"]}, "limits": ReadLimits(describe_every=timedelta(0))}
    reader = Reader("salesforce.account")
    reader.read(make(**wanted))
    assert "HW_Late__c" in reader.known["objects"]["Account"]["missing"]
    fields = [{"name": "HW_Late__c", "type": "string", "length": 80}]
    org.control("POST", "salesforce/fields", {"object": "Account", "fields": fields})
    reader.read(make(**wanted))
    assert reader.known["appeared"] == {"salesforce.account": ["HW_Late__c"]}
    assert reader.known["objects"]["Account"]["missing"] == {}
    reader.read(make(**wanted))
    assert reader.known["appeared"] == {}
    (account,) = org.create("Account", [{"Name": "Acme", "HW_Late__c": "here"}])
    reader.read(make(**wanted))
    assert reader.rows["salesforce.account"][account]["ours.HW_Late__c"] == "here"


def test_an_object_that_cannot_be_read_stops_the_pull_only_behind_the_others(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = incremental(org, source, "salesforce.campaign", LEAD)
    (lead,) = org.create("Lead", leads(1))
    org.control("POST", "salesforce/hide_fields", {"object": "Campaign", "fields": ["Id"]})
    try:
        with pytest.raises((Fatal, Retriable)):
            reader.read(source)
    finally:
        org.control("POST", "salesforce/show_fields", {"object": "Campaign", "fields": ["Id"]})
    assert lead in reader.rows[LEAD]
    assert reader.cursors["salesforce.campaign"].hi is not None


def test_a_large_first_load_goes_by_bulk_and_its_watermark_was_taken_before(org: PracticeOrg, make: Make) -> None:
    ids = org.create(
        "Campaign", [{"Name": f'Webinar "{number}", part\n2', "ActualCost": 1250} for number in range(2_500)]
    )
    org.advance(5)
    stream = "salesforce.campaign"
    reader = Reader(stream)
    options = {"limits": ReadLimits(bulk_above=2_000, bulk_page=1_000)}
    before = mark(org)
    reader.read(make(**options))
    hi = reader.cursors[stream].hi
    assert hi is not None
    assert "job" in (reader.cursors[stream].place or {})
    reader.read_until_done(make(**options), between=_nap)
    assert set(reader.rows[stream]) >= set(ids)
    assert reader.cursors[stream].watermark == hi
    row = reader.rows[stream][ids[7]]
    assert (row["name"], row["parent_ref"]) == ('Webinar "7", part\n2', None)
    assert float(row["cost"] or 0) == 1250
    made = [path for method, path in calls(org, before) if method == "POST" and path.endswith("/jobs/query")]
    deleted = [path for method, path in calls(org, before) if method == "DELETE"]
    assert len(made) == len(deleted) == 1


def test_a_killed_download_goes_on_at_its_page(org: PracticeOrg, make: Make) -> None:
    stream = "salesforce.campaign"
    org.create("Campaign", [{"Name": f"Fair {number}"} for number in range(1_600)])
    org.advance(5)
    reader = Reader(stream)
    options = {"limits": ReadLimits(bulk_above=100, bulk_page=500)}
    reader.read(make(**options))
    for _ in range(40):
        _nap()
        try:
            reader.read(make(**options), stop_after=2)
        except Stopped:
            break
    read_before = reader.received[stream]
    assert read_before == 1_000
    reader.read_until_done(make(**options), between=_nap)
    assert reader.received[stream] == len(reader.rows[stream])


def test_a_job_that_fails_is_made_again_and_in_the_end_replaced_by_rest(org: PracticeOrg, make: Make) -> None:
    stream = "salesforce.campaign"
    ids = org.create("Campaign", [{"Name": f"Fair {number}"} for number in range(120)])
    org.advance(5)
    org.control("POST", "salesforce/settings", {"hold_bulk_jobs": True})
    reader = Reader(stream)
    options = {"limits": ReadLimits(bulk_above=100)}
    failed = []
    for _ in range(6):
        reader.read(make(**options))
        job = (reader.cursors[stream].place or {}).get("job")
        if job:
            failed.append(job)
            org.control("POST", "salesforce/fail_job", {"id": job})
    reader.read(make(**options))
    assert len(set(failed)) == 3
    assert reader.cursors[stream].watermark is not None
    assert set(reader.rows[stream]) >= set(ids)


def test_tasks_are_worked_out_from_bulk_as_from_rest(org: PracticeOrg, make: Make) -> None:
    tasks = [
        {
            "Subject": f"Call {number}, secret",
            "Status": "Completed",
            "ActivityDate": "2026-11-10",
            "TaskSubtype": "Call",
        }
        for number in range(50)
    ]
    org.create("Task", tasks)
    org.advance(5)
    by_rest, by_bulk = Reader("salesforce.task"), Reader("salesforce.task")
    by_rest.read(make())
    bulk = {"limits": ReadLimits(bulk_above=10, bulk_page=20)}
    by_bulk.read_until_done(make(**bulk), between=_nap)
    assert by_bulk.rows["salesforce.task"] == by_rest.rows["salesforce.task"]
    assert len(by_rest.rows["salesforce.task"]) >= 50
    assert "secret" not in str(by_bulk.rows)


@pytest.mark.parametrize("bulk_above", [2_000, 10], ids=["by rest", "by bulk"])
def test_a_census_finds_what_no_window_can_tell(org: PracticeOrg, make: Make, bulk_above: int) -> None:
    stream = "salesforce.opportunity"
    deal = {"StageName": "Prospecting", "CloseDate": "2026-12-31"}
    kept, purged, *_ = org.create("Opportunity", [{"Name": f"Deal {number}", **deal} for number in range(30)])
    org.advance(5)
    reader = Reader(stream)
    reader.read(make())
    org.control("POST", "salesforce/hard_delete", {"object": "Opportunity", "ids": [purged]})
    counted: dict[str | None, dict[str, str | None]] = {}
    cursor = Cursor(stream, only=())
    for _ in range(40):
        for page in make(limits=ReadLimits(bulk_above=bulk_above, bulk_page=7)).read([cursor], reader.known):
            counted |= {row["record_id"]: row for row in rows_of(page)}
            cursor = replace(cursor, place=page.place)
        if page.last:
            break
        _nap()
    assert page.last
    assert set(reader.rows[stream]) - set(counted) == {purged}
    stored = reader.rows[stream][kept]
    assert counted[kept] == {name: stored[name] for name in ("record_id", "is_deleted", "stamp_at")}


def test_named_records_come_as_they_stand_and_what_is_not_shown_is_deleted_only_where_the_log_says_so(
    org: PracticeOrg, make: Make
) -> None:
    source = make()
    kept, deleted, purged, hidden = org.create("Lead", leads(4))
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": [deleted]})
    org.control("POST", "salesforce/hard_delete", {"object": "Lead", "ids": [purged]})
    org.control("POST", "salesforce/hide_records", {"ids": [hidden]})
    nobody = "00Q000000000000AAA"
    shown, others = source.read_records(LEAD, [kept, deleted, purged, hidden, nobody], {})
    rows = {row["record_id"]: row["is_deleted"] for row in rows_of(shown)}
    assert rows == {kept: "false", deleted: "true"}
    assert list(rows_of(others)) == [{"record_id": purged, "is_deleted": "true"}]
    assert others.unseen == [hidden, nobody]
    assert shown.place is None
    org.control("POST", "salesforce/show_records", {"ids": [hidden]})


def test_an_id_that_is_none_is_refused_and_not_asked(org: PracticeOrg, make: Make) -> None:
    with pytest.raises(Fatal) as caught:
        list(make().read_records(LEAD, ["x' OR Name != '"], {}))
    assert caught.value.code == "HW-209"


def test_another_organisation_is_not_mixed_in(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = incremental(org, source, LEAD)
    reader.read(source)
    reader.known = {**reader.known, "org": "00D000000000099AAA"}
    with pytest.raises(Fatal) as caught:
        reader.read(make())
    assert caught.value.code == "HW-217"


def test_a_used_up_day_is_waited_out(org: PracticeOrg, make: Make) -> None:
    reader = incremental(org, make(), LEAD)
    org.control("POST", "salesforce/limits", {"used": 100_000, "allowed": 100_000})
    try:
        with pytest.raises(Retriable) as caught:
            reader.read(make())
    finally:
        org.control("POST", "salesforce/limits", {"used": 0})
    assert caught.value.code == "HW-206"


@pytest.mark.parametrize(
    "action",
    [
        {"reset": "before"},
        {"reset": "after"},
        {"cut_body_at": 200},
        {"status": 503, "body": "<html>maintenance</html>", "content_type": "text/html"},
        {"status": 200, "body": "<html>login</html>", "content_type": "text/html"},
    ],
    ids=["reset before", "reset after", "cut body", "503", "html"],
)
def test_a_disturbed_poll_is_repeated_and_nothing_is_lost(org: PracticeOrg, make: Make, action: dict[str, Any]) -> None:
    source = make()
    reader = incremental(org, source, LEAD)
    reader.read(source)
    (lead,) = org.create("Lead", leads(1))
    org.advance(2)
    org.fault(action, system="salesforce", path_contains="composite/batch", times=2)
    reader.read(make())
    assert lead in reader.rows[LEAD]


def test_a_disturbance_that_lasts_comes_out_as_one_error(org: PracticeOrg, make: Make) -> None:
    reader = incremental(org, make(), LEAD)
    org.fault({"status": 503, "body": ""}, system="salesforce", path_contains="composite/batch", times=None)
    with pytest.raises(HeadwaterError) as caught:
        reader.read(make())
    assert caught.value.code == "HW-202"
    assert isinstance(caught.value, Retriable)


def _stamp(source: SalesforceSource) -> str:
    return _text(source.now())


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _nap() -> None:
    time.sleep(0.15)
