"""
Pages and bulk results as no faithful org gives them: short, repeated, foreign, in another order, with NULs.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.connectors.reader import rows_of
from tests.connectors.salesforce.stand_in import (
    Reply,
    StandIn,
    client_of,
    describe_of,
    json_reply,
    page,
    refused,
    stand_in,
)
from worker.connectors.base import Cursor, Page
from worker.connectors.salesforce.streams import ReadLimits, SalesforceSource
from worker.core.errors import Fatal, Retriable

ROLE = "salesforce.opportunity_contact_role"
OBJECT = "OpportunityContactRole"
WINDOW = Cursor(ROLE, lo=datetime(2026, 11, 18, 9, 0, 0, tzinfo=UTC), hi=datetime(2026, 11, 18, 10, 0, 0, tzinfo=UTC))
FIRST = replace(WINDOW, lo=None)
NEXT = "/services/data/v64.0/query/0r8xx3QLbN4GTIrAYQ-2000"


def role(number: int, second: int = 0) -> dict[str, Any]:
    return {
        "attributes": {"type": OBJECT},
        "Id": f"00K{number:012}AAA",
        "SystemModstamp": f"2026-11-18T09:30:{second:02}.000+0000",
        "Role": "Decision Maker",
        "IsPrimary": True,
    }


@pytest.fixture
def org() -> Iterator[StandIn]:
    with stand_in() as standing:
        standing.describes(OBJECT)
        yield standing


def source(**options: Any) -> SalesforceSource:
    return SalesforceSource(client_of(), **options)


def read(cursor: Cursor, reading: SalesforceSource | None = None) -> list[Page]:
    return [
        replace(each, rows=list(each.rows), csv=None if each.csv is None else list(each.csv))
        for each in (reading or source()).read([cursor], {})
    ]


def queries(org: StandIn) -> list[str]:
    parts = [address for part in org.parts() for address in part if "queryAll" in address]
    return [address.partition("q=")[2] for address in parts]


def test_a_window_is_half_open_in_whole_seconds_and_ordered(org: StandIn) -> None:
    org.on("GET queryAll", json_reply(page([])))
    read(WINDOW)
    assert queries(org) == [
        (
            "SELECT Id, CreatedDate, IsDeleted, OpportunityId, ContactId, Role, IsPrimary, SystemModstamp "
            "FROM OpportunityContactRole "
            "WHERE SystemModstamp >= 2026-11-18T09:00:00Z AND SystemModstamp < 2026-11-18T10:00:00Z "
            "ORDER BY SystemModstamp, Id"
        )
    ]


def test_an_object_whose_stamp_cannot_be_filtered_falls_back(org: StandIn) -> None:
    description = describe_of(OBJECT, "LastModifiedDate")
    for field in description["fields"]:
        field["filterable"] = field["name"] != "SystemModstamp"
    org.on(f"GET sobjects/{OBJECT}/describe", json_reply(description))
    org.on("GET queryAll", json_reply(page([])))
    read(WINDOW)
    assert "WHERE LastModifiedDate >= " in queries(org)[0]
    assert "ORDER BY LastModifiedDate, Id" in queries(org)[0]


def test_a_lost_cursor_is_followed_by_two_queries_and_never_an_or(org: StandIn) -> None:
    asked: list[str] = []

    def answer(soql: str) -> Reply:
        asked.append(soql)
        if len(asked) == 1:
            return json_reply(page([role(1), role(2, 5)], NEXT, total=4))
        return json_reply(page([role(3, 5)]) if " = " in soql else page([role(4, 6)]))

    org.on("GET queryAll", answer)
    org.on("GET query/", refused(400, "INVALID_QUERY_LOCATOR"))
    pages = read(WINDOW)
    assert [row["record_id"] for each in pages for row in rows_of(each)] == [role(n)["Id"] for n in (1, 2, 3, 4)]
    assert "WHERE SystemModstamp = 2026-11-18T09:30:05Z AND Id > '00K000000000002AAA' ORDER BY Id" in asked[1]
    assert "WHERE SystemModstamp > 2026-11-18T09:30:05Z AND SystemModstamp < 2026-11-18T10:00:00Z" in asked[2]
    assert [each.last for each in pages] == [False, False, True]


def test_rows_that_are_short_begin_the_window_again_once(org: StandIn) -> None:
    answers = iter([page([role(1)], total=2), page([role(1), role(2)])])
    org.on("GET queryAll", lambda _: json_reply(next(answers)))
    pages = read(WINDOW)
    assert [each.last for each in pages] == [False, True]
    assert [len(list(each.rows)) for each in pages] == [1, 2]


def test_rows_that_stay_short_never_move_the_watermark(org: StandIn) -> None:
    org.on("GET queryAll", json_reply(page([role(1)], total=2)))
    given: list[Page] = []
    with pytest.raises(Retriable) as caught:
        given += source().read([WINDOW], {})
    assert caught.value.code == "HW-216"
    assert not any(each.last for each in given)


@pytest.mark.parametrize(
    "answer",
    [
        {"totalSize": 0, "done": True},
        {"records": [], "totalSize": 0},
        {"records": {}, "done": True},
        {"records": [], "done": False, "totalSize": 1},
        {"records": [], "done": "true", "totalSize": 0},
        {"records": [None], "done": True, "totalSize": 1},
        {"records": [{"Id": "00K1"}], "done": True, "totalSize": 1},
        {"records": [{**role(1), "Id": 5}], "done": True, "totalSize": 1},
        None,
        [],
        5,
        "text",
    ],
    ids=[
        "no-records",
        "no-done",
        "no-list",
        "no-next-page",
        "done-text",
        "record-null",
        "no-stamp",
        "id-number",
        "null",
        "list",
        "number",
        "text",
    ],
)
def test_a_page_of_another_shape_stops_its_stream_for_now(org: StandIn, answer: Any) -> None:
    org.on("GET queryAll", json_reply(answer))
    given: list[Page] = []
    with pytest.raises(Retriable) as caught:
        given += source().read([WINDOW], {})
    assert caught.value.code == "HW-203"
    assert given == []


def test_a_next_page_on_another_host_is_not_fetched(org: StandIn) -> None:
    org.on("GET queryAll", json_reply(page([role(1)], "https://evil.example/services/data/v64.0/query/x", total=2)))
    with pytest.raises(Fatal) as caught:
        read(WINDOW)
    assert caught.value.code == "HW-201"
    assert all("evil" not in str(each.url) for each in org.seen)


def test_the_same_empty_page_for_ever_is_noticed(org: StandIn) -> None:
    org.on("GET queryAll", json_reply(page([role(1)], NEXT, total=2)))
    org.on("GET query/", json_reply(page([], NEXT, total=2)))
    with pytest.raises(Retriable) as caught:
        read(WINDOW)
    assert caught.value.code == "HW-218"


def test_a_batch_with_too_few_answers_is_no_answer(org: StandIn) -> None:
    org.keep_parts = 0
    with pytest.raises(Retriable) as caught:
        read(WINDOW)
    assert caught.value.code == "HW-203"


def test_one_object_in_trouble_leaves_the_others_read(org: StandIn) -> None:
    org.describes("Campaign")
    org.on(
        "GET queryAll",
        lambda soql: refused(400, "MALFORMED_QUERY") if "FROM Campaign" in soql else json_reply(page([role(1)])),
    )
    campaigns = replace(WINDOW, stream="salesforce.campaign")
    given: list[Page] = []
    reading = source()
    with pytest.raises(Fatal):
        given += reading.read([campaigns, WINDOW], {})
    assert [(each.stream, each.last) for each in given] == [(ROLE, True)]
    assert "salesforce.campaign" in reading.learned()["unreadable"]


def test_an_optional_object_in_trouble_is_only_noted(org: StandIn) -> None:
    org.on("GET queryAll", json_reply(page([role(1)])))
    tasks = replace(WINDOW, stream="salesforce.task")
    reading = source()
    given = list(reading.read([tasks, WINDOW], {}))
    assert [each.stream for each in given] == [ROLE]
    assert "HW-208" in reading.learned()["unreadable"]["salesforce.task"]


def test_a_description_that_is_not_available_leaves_the_others_read(org: StandIn) -> None:
    org.on("GET sobjects/Campaign/describe", refused(503, "SERVER_UNAVAILABLE"))
    org.on("GET queryAll", json_reply(page([role(1)])))
    campaigns = replace(WINDOW, stream="salesforce.campaign")
    given: list[Page] = []
    with pytest.raises(Retriable):
        given += source().read([campaigns, WINDOW], {})
    assert [(each.stream, each.last) for each in given] == [(ROLE, True)]


def test_a_description_that_is_due_and_not_available_is_asked_for_another_time(org: StandIn) -> None:
    org.on("GET queryAll", json_reply(page([role(1)])))
    reading = source(limits=ReadLimits(describe_every=timedelta(0)))
    read(WINDOW, reading)
    org.on(f"GET sobjects/{OBJECT}/describe", refused(503, "SERVER_UNAVAILABLE"))
    assert [each.last for each in read(WINDOW, reading)] == [True]


def test_a_job_that_asks_for_a_vanished_field_is_made_without_it(bulk: StandIn) -> None:
    reading = source()
    bulk.on("GET queryAll", json_reply(page([])))
    read(WINDOW, reading)
    bulk.describes(OBJECT, without=("IsPrimary",))
    bulk.on("GET queryAll", json_reply({"totalSize": 5_000, "done": True, "records": []}))
    bulk.on(
        "POST jobs/query",
        lambda _: (
            refused(400, "INVALID_FIELD")
            if "IsPrimary" in str(bulk.seen[-1].body)
            else json_reply({"id": "750A", "state": "UploadComplete"})
        ),
    )
    result(bulk, (HEADER + LINE).replace(',"IsPrimary"', "").replace(',"true"', ""), 1)
    (end,) = [each for each in read(FIRST, reading) if each.last]
    assert "is_primary" not in end.columns
    assert reading.learned()["objects"][OBJECT]["missing"] == {"IsPrimary": "not visible to the integration user"}


def test_a_field_that_the_rules_want_from_now_on_is_asked_for_at_once(org: StandIn) -> None:
    org.on("GET queryAll", json_reply(page([])))
    first = source()
    read(WINDOW, first)
    org.describes(OBJECT, "Tier__c")
    list(source(extra_fields={OBJECT: ["Tier__c"]}).read([WINDOW], first.learned()))
    assert ["Tier__c" in soql for soql in queries(org)] == [False, True]


def test_one_part_that_is_not_available_is_asked_again_on_its_own(org: StandIn) -> None:
    answers = iter([refused(503, "SERVER_UNAVAILABLE"), json_reply(page([role(1)]))])
    org.on("GET queryAll", lambda _: next(answers))
    assert [len(list(each.rows)) for each in read(WINDOW)] == [1]


# Bulk

HEADER = '"Id","CreatedDate","IsDeleted","OpportunityId","ContactId","Role","IsPrimary","SystemModstamp"\n'
LINE = '"00K1","2026-11-01T00:00:00.000Z","false","006A","003A","Decision Maker","true","2026-11-18T09:30:00.000Z"\n'


@pytest.fixture
def bulk(org: StandIn) -> StandIn:
    org.on("GET queryAll", json_reply({"totalSize": 5_000, "done": True, "records": []}))
    org.on("POST jobs/query", json_reply({"id": "750A", "state": "UploadComplete"}))
    done(org, 1)
    result(org, HEADER + LINE, 1)
    return org


def done(org: StandIn, rows: int) -> None:
    org.on("GET jobs/query/750A", json_reply({"id": "750A", "state": "JobComplete", "numberRecordsProcessed": rows}))


def result(org: StandIn, body: str | bytes, rows: int | str, locator: str | None = "null") -> None:
    headers = {"Content-Type": "text/csv", "Sforce-NumberOfRecords": str(rows)}
    if locator is not None:
        headers["Sforce-Locator"] = locator
    org.on("GET jobs/query/750A/results", (200, headers, body))


def last_place(pages: list[Page]) -> Any:
    return pages[-1].place


def test_a_jobs_id_is_given_to_be_saved_before_it_is_polled(bulk: StandIn) -> None:
    pages = iter(source().read([FIRST], {}))
    announced = next(pages)
    assert (announced.count or 0, announced.last, list(announced.place or {})) == (
        0,
        False,
        ["making_since", "failures"],
    )
    assert bulk.calls("POST", "jobs/query") == []
    assert (next(pages).place or {})["job"] == "750A"
    assert bulk.calls("GET", "jobs/query") == []


def test_a_jobs_query_has_an_end_and_no_order(bulk: StandIn) -> None:
    read(FIRST)
    (made,) = bulk.calls("POST", "jobs/query")
    assert "WHERE SystemModstamp < 2026-11-18T10:00:00Z" in str(made.body)
    assert "ORDER" not in str(made.body)
    assert '"operation": "queryAll"' in str(made.body)


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (HEADER + LINE, 1),
        ("\ufeff" + HEADER + LINE, 1),
        (HEADER.replace("\n", "\r\n") + LINE, 1),
        (HEADER.upper() + LINE, 1),
        (HEADER + LINE.replace("Decision Maker", "Deci\0sion Ma\0ker"), 1),
        (HEADER + LINE.replace("2026-11-01", "2026-11-01 \u00e9"), 1),
        (HEADER, 0),
        ("", 0),
    ],
    ids=["plain", "byte order mark", "CRLF", "other capitals", "NUL", "no ASCII", "header only", "empty"],
)
def test_a_result_is_read_in_any_of_its_forms(bulk: StandIn, body: str, rows: int) -> None:
    done(bulk, rows)
    result(bulk, body.encode(), rows)
    (end,) = [each for each in read(FIRST) if each.last]
    assert [row["role"] for row in rows_of(end)] == ["Decision Maker"] * rows
    assert end.count == rows


def test_columns_are_told_apart_by_name(bulk: StandIn) -> None:
    result(bulk, '"Role","Id","CreatedDate","IsDeleted","OpportunityId","ContactId","IsPrimary","SystemModstamp"\n'
                 '"Evaluator","00K1","","false","006A","","true",""\n', 1)  # fmt: skip
    (end,) = [each for each in read(FIRST) if each.last]
    (row,) = rows_of(end)
    assert (row["record_id"], row["role"], row["contact_ref"]) == ("00K1", "Evaluator", None)


@pytest.mark.parametrize(
    ("body", "rows", "processed"),
    [
        ('"Id"\n"00K1"\n', 1, 1),
        (HEADER.replace('"Role"', '"Id"') + LINE, 1, 1),
        (HEADER + LINE, 1, 2),
        ("x" * 300_000, 1, 1),
    ],
    ids=["columns missing", "a column twice", "rows short", "no header"],
)
def test_a_result_that_does_not_fit_is_made_again(bulk: StandIn, body: str, rows: int, processed: int) -> None:
    done(bulk, processed)
    result(bulk, body, rows)
    pages = read(FIRST)
    assert not any(each.last for each in pages)
    assert last_place(pages) == {"failures": 1}
    assert pages[-1].again_after is not None


def test_a_missing_locator_is_the_end_and_not_the_beginning(bulk: StandIn) -> None:
    result(bulk, HEADER + LINE, 1, locator=None)
    assert [each.last for each in read(FIRST)] == [False, False, True]
    assert len(bulk.calls("GET", "/results")) == 1


@pytest.mark.parametrize("state", ["Failed", "Aborted"])
def test_a_job_that_ends_badly_is_made_again(bulk: StandIn, state: str) -> None:
    bulk.on("GET jobs/query/750A", json_reply({"id": "750A", "state": state}))
    assert last_place(read(FIRST)) == {"failures": 1}


@pytest.mark.parametrize("status", [404, 409])
def test_a_job_that_is_gone_or_of_another_version_is_made_again(bulk: StandIn, status: int) -> None:
    bulk.on("GET jobs/query/750A", refused(status, "NOT_FOUND"))
    assert last_place(read(FIRST)) == {"failures": 1}


def test_a_job_is_polled_with_growing_pauses_and_never_waited_for(bulk: StandIn) -> None:
    bulk.on("GET jobs/query/750A", json_reply({"id": "750A", "state": "InProgress"}))
    pauses: list[float] = []
    cursor = FIRST
    for _ in range(11):
        end = read(cursor)[-1]
        assert end.again_after is not None
        pauses.append(end.again_after.total_seconds())
        cursor = replace(cursor, place=end.place)
    assert pauses == [0.2, 0.5, 1, 2, 4, 8, 15, 30, 60, 60, 60]


def test_a_poll_of_a_job_is_one_call(bulk: StandIn) -> None:
    bulk.on("GET jobs/query/750A", json_reply({"id": "750A", "state": "InProgress"}))
    reading = source()
    begun = read(FIRST, reading)[-1].place
    before = len(bulk.seen)
    read(replace(FIRST, place=begun), reading)
    assert [f"{each.method} {each.url}" for each in bulk.seen[before:]] == [
        "GET https://acme.my.salesforce.com/services/data/v64.0/jobs/query/750A"
    ]


def test_a_job_that_never_ends_is_given_up(bulk: StandIn) -> None:
    bulk.on("GET jobs/query/750A", json_reply({"id": "750A", "state": "InProgress"}))
    begun = read(FIRST)[-1].place
    end = read(replace(FIRST, place={**(begun or {}), "polls": 10_000}))[-1]
    assert end.place == {"failures": 1}
    assert "Aborted" in str(bulk.calls("PATCH", "jobs/query/750A")[0].body)


def test_an_object_that_bulk_refuses_is_read_by_rest(bulk: StandIn) -> None:
    bulk.on("POST jobs/query", refused(400, "INVALIDENTITY", "is not supported by the Bulk API"))
    bulk.on(
        "GET queryAll",
        lambda soql: json_reply(
            {"totalSize": 5_000, "done": True, "records": []} if "COUNT()" in soql else page([role(1)])
        ),
    )
    assert [each.last for each in read(FIRST)] == [False, True]


def test_a_count_that_times_out_means_large(bulk: StandIn) -> None:
    bulk.on("GET queryAll", refused(400, "QUERY_TIMEOUT"))
    read(FIRST)
    assert len(bulk.calls("POST", "jobs/query")) == 1


def test_a_small_object_is_not_worth_a_job(bulk: StandIn) -> None:
    bulk.on(
        "GET queryAll",
        lambda soql: json_reply({"totalSize": 10, "done": True, "records": []} if "COUNT()" in soql else page([])),
    )
    read(FIRST, source(limits=ReadLimits(bulk_above=10)))
    assert bulk.calls("POST", "jobs/query") == []
