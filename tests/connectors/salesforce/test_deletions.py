"""
Rows that are gone at once when they are deleted: told by the log of deletions, in the call that polls.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.connectors.reader import Reader, Stopped
from tests.connectors.salesforce.stand_in import Reply, StandIn, client_of, json_reply, page, refused, stand_in
from tests.practice_org import PracticeOrg
from worker.connectors.base import Cursor, Page
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.streams import ReadLimits, SalesforceSource

ROLE = "salesforce.opportunity_contact_role"
MEMBER = "salesforce.campaign_member"
OBJECT = "OpportunityContactRole"
COLUMNS = ("record_id", "is_deleted")
GONE, LATER = "00K000000000009AAA", "00K000000000010AAA"
NOW = datetime.now(UTC).replace(microsecond=0)
Told = Callable[..., None]


def at(before: timedelta) -> str:
    return (NOW - before).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


WINDOW = Cursor(ROLE, lo=NOW - timedelta(minutes=15), hi=NOW)


@pytest.fixture
def standing() -> Iterator[StandIn]:
    with stand_in() as org:
        org.describes(OBJECT)
        org.on("GET queryAll", json_reply(page([])))
        yield org


@pytest.fixture
def told(standing: StandIn) -> Told:
    def tell(*records: tuple[str, str], earliest: timedelta = timedelta(days=20), covered: str | None = None) -> None:
        body = {
            "deletedRecords": [{"id": record_id, "deletedDate": date} for record_id, date in records],
            "earliestDateAvailable": at(earliest),
            "latestDateCovered": covered or at(timedelta(0)),
        }
        standing.on(f"GET sobjects/{OBJECT}/deleted", json_reply(body))

    return tell


def read(cursor: Cursor, reading: SalesforceSource | None = None, known: Any = None) -> list[Page]:
    source = reading or SalesforceSource(client_of())
    return [replace(each, rows=list(each.rows)) for each in source.read([cursor], known or {})]


def asked(org: StandIn) -> list[tuple[datetime, datetime]]:
    found = []
    for part in (part for call in org.parts() for part in call if "/deleted?" in part):
        query = parse_qs(urlsplit(part.replace("+", "%2B")).query)
        found.append((datetime.fromisoformat(query["start"][0]), datetime.fromisoformat(query["end"][0])))
    return found


def role(record_id: str, stamp: str) -> dict[str, Any]:
    return {"Id": record_id, "SystemModstamp": stamp, "Role": "Evaluator", "IsDeleted": False}


def test_whole_minutes_around_the_window_are_asked_for(standing: StandIn, told: Told) -> None:
    told()
    read(WINDOW)
    ((start, end),) = asked(standing)
    assert WINDOW.lo is not None
    assert timedelta(0) <= WINDOW.lo - start < timedelta(minutes=1)
    assert timedelta(0) < end - NOW <= timedelta(minutes=1)
    assert (start.second, end.second) == (0, 0)


def test_a_window_of_a_second_is_widened_to_what_salesforce_takes(standing: StandIn, told: Told) -> None:
    told()
    read(replace(WINDOW, lo=NOW - timedelta(seconds=1)))
    ((start, end),) = asked(standing)
    assert end - start == timedelta(minutes=2)


def test_a_first_load_asks_for_none(standing: StandIn, told: Told) -> None:
    told((GONE, at(timedelta(minutes=5))))
    standing.on("GET queryAll", json_reply(page([], total=0)))
    assert [each.last for each in read(replace(WINDOW, lo=None))] == [True]
    assert asked(standing) == []


def test_deleted_rows_come_with_the_columns_they_have_and_end_the_window(standing: StandIn, told: Told) -> None:
    told((GONE, "2026-11-18T09:30:07.000+0000"))
    standing.on("GET queryAll", json_reply(page([role("00K000000000001AAA", at(timedelta(minutes=3)))])))
    first, second = read(WINDOW)
    assert [(each.last, each.count) for each in (first, second)] == [(False, 1), (True, 1)]
    assert first.place is None
    assert second.columns == COLUMNS
    assert second.rows == [[GONE, "true"]]


def test_a_window_of_deletions_alone_is_one_page(standing: StandIn, told: Told) -> None:
    told((GONE, at(timedelta(minutes=5))))
    (only,) = read(WINDOW)
    assert (only.last, only.columns) == (True, COLUMNS)


def test_many_deletions_come_in_pages_of_which_the_last_ends_the_window(standing: StandIn, told: Told) -> None:
    told(*((f"00K{number:012}AAA", at(timedelta(minutes=5))) for number in range(4_500)))
    pages = read(WINDOW)
    assert [each.count for each in pages] == [2_000, 2_000, 500]
    assert [each.last for each in pages] == [False, False, True]


@pytest.mark.parametrize(
    "reply",
    [
        refused(400, "INVALID_REPLICATION_DATE"),
        refused(404, "NOT_FOUND"),
        refused(403, "INSUFFICIENT_ACCESS"),
        refused(503, "SERVER_UNAVAILABLE"),
        json_reply(None),
        json_reply({"deletedRecords": None}),
        json_reply({"deletedRecords": [None]}),
        json_reply({"deletedRecords": [{"id": "' OR 1", "deletedDate": "2026-11-18T09:30:00.000+0000"}]}),
    ],
    ids=["400", "404", "403", "503", "null", "no list", "a null", "no id"],
)
def test_a_log_that_cannot_be_read_is_lost_alone_and_asked_again_from_there(
    standing: StandIn, told: Told, reply: Reply
) -> None:
    told((GONE, at(timedelta(minutes=5))))
    reading = SalesforceSource(client_of())
    read(WINDOW, reading)
    standing.on(f"GET sobjects/{OBJECT}/deleted", reply)
    hour = timedelta(hours=1)
    later = replace(WINDOW, lo=NOW + hour - timedelta(minutes=15), hi=NOW + hour)
    assert [each.last for each in read(later, reading)] == [True]
    learned = reading.learned()
    assert "HW-20" in learned["deletions"]["refused"][ROLE]
    assert learned["unreadable"] == {}
    told((GONE, at(timedelta(minutes=5))))
    again = SalesforceSource(client_of())
    (end,) = read(later, again, learned)
    assert end.columns == COLUMNS
    start, _ = asked(standing)[-1]
    assert timedelta(minutes=1) <= NOW - start < timedelta(minutes=2)  # what came right after the answer, too
    assert again.learned()["deletions"]["refused"] == {}


def test_an_organisation_that_takes_no_end_to_come_is_asked_for_whole_minutes_past(
    standing: StandIn, told: Told
) -> None:
    reading = SalesforceSource(client_of())
    standing.on(f"GET sobjects/{OBJECT}/deleted", refused(400, "INVALID_REPLICATION_DATE"))
    read(WINDOW, reading)
    told()
    read(WINDOW, reading)
    (_, first), (_, second) = asked(standing)
    assert first > NOW >= second


def test_what_long_transactions_hold_back_is_asked_for_again(standing: StandIn, told: Told) -> None:
    held = NOW - timedelta(hours=3)
    told(covered=held.strftime("%Y-%m-%dT%H:%M:%S.000+0000"))
    reading = SalesforceSource(client_of())
    read(WINDOW, reading)
    read(WINDOW, SalesforceSource(client_of()), reading.learned())
    start, _ = asked(standing)[-1]
    assert timedelta(minutes=1) <= held - start < timedelta(minutes=2)


def test_a_page_that_was_not_kept_is_given_again(standing: StandIn, told: Told) -> None:
    told((GONE, at(timedelta(minutes=5))))
    reading = SalesforceSource(client_of())
    next(iter(reading.read([WINDOW], {})))  # and the reader dies before it has saved it
    assert reading.learned()["deletions"]["read_to"] == {}


def test_a_log_that_begins_too_late_is_said_until_the_stream_is_read_anew(standing: StandIn, told: Told) -> None:
    told(earliest=timedelta(minutes=4))
    reading = SalesforceSource(client_of())
    read(WINDOW, reading)
    gap = reading.learned()["deletions"]["gaps"][ROLE]
    assert "deletions of OpportunityContactRole between" in gap
    told()
    read(WINDOW, reading, reading.learned())
    assert reading.learned()["deletions"]["gaps"] == {ROLE: gap}
    standing.on("GET queryAll", json_reply(page([], total=0)))
    read(replace(WINDOW, lo=None), reading, reading.learned())
    assert reading.learned()["deletions"]["gaps"] == {}


def test_no_more_than_fifteen_days_are_asked_for_and_the_rest_is_said(standing: StandIn, told: Told) -> None:
    told()
    date = {"Date": format_datetime(NOW, usegmt=True)}
    standing.on("GET queryAll", json_reply(page([]), headers=date))
    reading = SalesforceSource(client_of())
    read(replace(WINDOW, lo=NOW - timedelta(days=30)), reading)
    ((start, _),) = asked(standing)
    assert timedelta(days=14, hours=23) < NOW - start < timedelta(days=15)
    assert ROLE in reading.learned()["deletions"]["gaps"]


def test_a_window_that_ended_before_the_log_begins_is_read_without_it(standing: StandIn, told: Told) -> None:
    told()
    old = NOW - timedelta(days=30)
    reading = SalesforceSource(client_of())
    assert [each.last for each in read(replace(WINDOW, lo=old - timedelta(hours=1), hi=old), reading)] == [True]
    assert asked(standing) == []
    assert ROLE in reading.learned()["deletions"]["gaps"]


# The practice org


def deal_with_role(org: PracticeOrg) -> tuple[str, str, str]:
    (account,) = org.create("Account", [{"Name": "Acme"}])
    (contact,) = org.create("Contact", [{"LastName": "Bo", "AccountId": account}])
    deal = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-12-31", "AccountId": account}
    (opportunity,) = org.create("Opportunity", [deal])
    (made,) = org.create(OBJECT, [{"OpportunityId": opportunity, "ContactId": contact, "Role": "Evaluator"}])
    return opportunity, contact, made


def calls(org: PracticeOrg, after: int) -> list[tuple[str, str]]:
    entries = org.journal("salesforce", after)
    return [(entry["method"], entry["path"]) for entry in entries if entry["kind"] != "token"]


def mark(org: PracticeOrg) -> int:
    number: int = org.control("GET", "journal")["next"]
    return number


@pytest.mark.slow
def test_a_deleted_role_and_member_are_told_in_the_one_call_of_a_cycle(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    source = SalesforceSource(connect())
    reader = Reader(*(stream.name for stream in source.streams))
    _, contact, made = deal_with_role(org)
    (campaign,) = org.create("Campaign", [{"Name": "Webinar"}])
    (member,) = org.create("CampaignMember", [{"CampaignId": campaign, "ContactId": contact}])
    reader.read(source)
    assert (reader.rows[ROLE][made]["role"], reader.rows[ROLE][made]["is_deleted"]) == ("Evaluator", "false")
    org.advance(1)
    org.control("POST", "salesforce/delete", {"object": OBJECT, "ids": [made]})
    org.control("POST", "salesforce/delete", {"object": "CampaignMember", "ids": [member]})
    before = mark(org)
    reader.read(source)
    assert calls(org, before) == [("POST", "/services/data/v64.0/composite/batch")]
    assert reader.rows[ROLE][made] == {"record_id": made, "is_deleted": "true"}
    assert reader.rows[MEMBER][member] == {"record_id": member, "is_deleted": "true"}
    assert reader.cursors[ROLE].hi is reader.cursors[MEMBER].hi is None


@pytest.mark.slow
def test_members_of_a_deleted_contact_are_told_too(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    _, contact, made = deal_with_role(org)
    reader = Reader(ROLE, MEMBER)
    (campaign,) = org.create("Campaign", [{"Name": "Webinar"}])
    (member,) = org.create("CampaignMember", [{"CampaignId": campaign, "ContactId": contact}])
    reader.read(SalesforceSource(connect()))
    org.control("POST", "salesforce/delete", {"object": "Contact", "ids": [contact]})
    reader.read(SalesforceSource(connect()))
    assert reader.rows[MEMBER][member]["is_deleted"] == "true"
    assert reader.rows[ROLE][made]["is_deleted"] == "true"


@pytest.mark.slow
def test_a_cycle_with_every_description_due_is_one_call_and_none_is_left_out_for_long(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    source = SalesforceSource(connect(), limits=ReadLimits(describe_every=timedelta(0)))
    reader = Reader(*(stream.name for stream in source.streams))
    reader.read(source)
    first = {name: entry["described_at"] for name, entry in reader.known["objects"].items()}
    for _ in range(20):
        org.advance(300)
        source.now()
        before = mark(org)
        reader.read(source)
        assert len(calls(org, before)) <= 1
    assert reader.known["deletions"]["refused"] == {}
    assert {ROLE, MEMBER} < set(reader.known["deletions"]["read_to"])
    old = [name for name, entry in reader.known["objects"].items() if entry["described_at"] == first[name]]
    assert old == []


@pytest.mark.slow
def test_a_worker_away_for_sixteen_days_says_what_it_cannot_know(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    _, _, made = deal_with_role(org)
    reader = Reader(ROLE)
    reader.read(SalesforceSource(connect()))
    org.control("POST", "salesforce/delete", {"object": OBJECT, "ids": [made]})
    org.advance(16 * 86_400)
    _, _, recent = deal_with_role(org)
    org.control("POST", "salesforce/delete", {"object": OBJECT, "ids": [recent]})
    reader.read(SalesforceSource(connect()))
    assert reader.rows[ROLE][made]["is_deleted"] == "false"
    assert reader.rows[ROLE][recent]["is_deleted"] == "true"
    assert reader.known["deletions"]["refused"] == {}
    assert ROLE in reader.known["deletions"]["gaps"]


@pytest.mark.slow
def test_a_reader_killed_before_the_deletions_gets_them_the_next_time(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    _, _, made = deal_with_role(org)
    reader = Reader(ROLE)
    reader.read(SalesforceSource(connect()))
    org.advance(3_600)
    *_, other = deal_with_role(org)
    org.control("POST", "salesforce/delete", {"object": OBJECT, "ids": [made]})
    with pytest.raises(Stopped):
        reader.read(SalesforceSource(connect()), stop_after=1)
    assert reader.rows[ROLE][other]["is_deleted"] == "false"
    assert reader.rows[ROLE][made]["is_deleted"] == "false"
    reader.read(SalesforceSource(connect()))
    assert reader.rows[ROLE][made]["is_deleted"] == "true"
    assert reader.cursors[ROLE].hi is None
