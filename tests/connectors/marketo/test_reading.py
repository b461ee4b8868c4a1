"""
Reading a practice subscription, as a real process: tokens, silent pages, late commits, merges, refusals inside a 200.
"""

from typing import Any

import pytest

from tests.connectors.marketo.conftest import CLICKS, FORMS, PROGRESS, VISITS, Subscription
from tests.connectors.reader import Reader, Stopped, rows_of
from worker.connectors.http import HttpOptions
from worker.connectors.marketo.client import MarketoClient
from worker.core.errors import Fatal, HeadwaterError, Retriable

pytestmark = pytest.mark.slow

PROGRAM, LEAD, ACTIVITY = "marketo.program", "marketo.lead", "marketo.activity"


def click(person: str, at: str, **values: Any) -> dict[str, Any]:
    return {"leadId": int(person), "activityDate": at, "activityTypeId": CLICKS, **values}


def test_people_programs_and_activities_come_and_an_idle_cycle_is_five_calls(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "dana@acme.com", "firstName": "Dana", "sfdcLeadId": "00Q000000000001AAA"})
    (program,) = marketo.org.control(
        "POST",
        "marketo/programs",
        {
            "records": [
                {
                    "name": "Cost Control",
                    "type": "Event",
                    "channel": "Webinar",
                    "sfdcId": "701000000000001AAA",
                    "costs": [{"startDate": "2026-01-01", "cost": 1000}, {"startDate": "2026-02-01", "cost": 250.5}],
                }
            ]
        },
    )["ids"]
    (act,) = marketo.activities(click(person, marketo.now_text()))
    source = marketo.source()
    reader = Reader(PROGRAM, LEAD, ACTIVITY)
    marketo.org.advance(2)
    reader.read(source)
    assert reader.rows[LEAD][person]["lead_ref"] == "00Q000000000001AAA"
    assert reader.rows[ACTIVITY][act]["person_ref"] == person
    row = reader.rows[PROGRAM][str(program)]
    assert (row["cost"], row["linked_ref"], row["type"]) == ("1250.5", "701000000000001AAA", "Webinar")
    after = marketo.org.control("GET", "journal")["next"]
    reader.read(source)
    paths = [entry["path"] for entry in marketo.org.journal("marketo", after)]
    assert sorted(paths) == [
        "/rest/asset/v1/programs.json",
        "/rest/v1/activities.json",
        "/rest/v1/activities.json",
        "/rest/v1/activities/deletedleads.json",
        "/rest/v1/activities/leadchanges.json",
    ]


def test_pages_without_a_single_row_are_not_the_end(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "d@acme.com"})
    marketo.activities(*[click(person, marketo.now_text(seconds=1), activityTypeId=10)] * 1_500)
    (act,) = marketo.activities(click(person, marketo.now_text(), activityTypeId=FORMS))
    reader = Reader(ACTIVITY)
    reader.read(marketo.source(FORMS))
    assert list(reader.rows[ACTIVITY]) == [act]


def test_a_killed_reader_goes_on_at_its_token(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "d@acme.com"})
    ids = marketo.activities(*[click(person, marketo.now_text())] * 7_000)
    reader = Reader(ACTIVITY)
    with pytest.raises(Stopped):
        reader.read(marketo.source(), stop_after=1)
    assert 0 < reader.received[ACTIVITY] < 7_000
    reader.read(marketo.source())
    assert set(reader.rows[ACTIVITY]) == set(ids)
    assert reader.received[ACTIVITY] == 7_000


@pytest.mark.parametrize("numbering", ["absent", "repeating"])
def test_activities_are_told_apart_without_their_old_ids(marketo: Subscription, numbering: str) -> None:
    marketo.org.control("POST", "marketo/numbering", {"activity_ids": numbering})
    (person,) = marketo.people({"email": "d@acme.com"})
    marketo.activities(*[click(person, marketo.now_text())] * 1_100)
    reader = Reader(ACTIVITY)
    reader.read(marketo.source())
    assert len(reader.rows[ACTIVITY]) == 1_100


def test_more_than_ten_types_are_read_by_several_calls_into_one_stream(marketo: Subscription) -> None:
    types = (1, 2, 3, 6, 7, 8, 9, 10, 11, 27, 41, 104)
    (person,) = marketo.people({"email": "d@acme.com"})
    ids = marketo.activities(*(click(person, marketo.now_text(), activityTypeId=number) for number in types))
    reader = Reader(ACTIVITY)
    reader.read(marketo.source(*types))
    assert set(reader.rows[ACTIVITY]) == set(ids)


def test_a_type_added_to_the_rules_is_read_from_the_start_date(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "d@acme.com"})
    clicked, filled = marketo.activities(
        click(person, marketo.now_text()), click(person, marketo.now_text(), activityTypeId=FORMS)
    )
    reader = Reader(ACTIVITY)
    reader.read(marketo.source(CLICKS))
    assert set(reader.rows[ACTIVITY]) == {clicked}
    reader.read(marketo.source(CLICKS, FORMS))
    assert set(reader.rows[ACTIVITY]) == {clicked, filled}
    assert reader.received[ACTIVITY] == 2


def test_what_was_committed_behind_the_token_is_found_by_the_second_look(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "d@acme.com"})
    marketo.activities(click(person, marketo.now_text()))
    reader = Reader(ACTIVITY)
    reader.read(marketo.source())
    marketo.org.advance(7_200)
    marketo.activities(click(person, marketo.now_text()))
    reader.read(marketo.source())
    (late,) = marketo.activities(click(person, marketo.now_text(hours=1), behind=True))
    reader.read(marketo.source())
    assert late not in reader.rows[ACTIVITY]
    marketo.org.advance(22.5 * 3600)
    reader.read(marketo.source())
    assert late in reader.rows[ACTIVITY]
    after = marketo.org.control("GET", "journal")["next"]
    reader.read(marketo.source())
    assert len([e for e in marketo.org.journal("marketo", after) if e["kind"] == "read"]) == 1


def test_a_changed_person_is_read_as_they_stand_now(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "d@acme.com", "title": "Analyst"})
    reader = Reader(LEAD)
    reader.read(marketo.source())
    marketo.people({"id": int(person), "title": "VP Finance"})
    reader.read(marketo.source())
    assert reader.rows[LEAD][person]["title"] == "VP Finance"


def test_more_people_than_one_call_takes_all_come(marketo: Subscription) -> None:
    people = marketo.people(*({"email": f"p{number}@acme.com"} for number in range(1_000)))
    reader = Reader(LEAD)
    reader.read(marketo.source())
    assert set(reader.rows[LEAD]) == set(people)


def test_the_deleted_and_the_merged_are_told_apart(marketo: Subscription) -> None:
    winner, loser, deleted = marketo.people(*({"email": f"{name}@acme.com"} for name in "abc"))
    reader = Reader(LEAD)
    reader.read(marketo.source())
    marketo.org.control("POST", "marketo/merge", {"winner": int(winner), "losers": [int(loser)]})
    marketo.org.control("POST", "marketo/delete", {"ids": [int(deleted)]})
    reader.read(marketo.source())
    rows = reader.rows[LEAD]
    assert (rows[winner]["is_deleted"], rows[winner]["merged_into"]) == ("false", None)
    assert (rows[loser]["is_deleted"], rows[loser]["merged_into"]) == ("true", winner)
    assert (rows[deleted]["is_deleted"], rows[deleted]["merged_into"]) == ("true", None)


def test_a_field_that_marketo_does_not_have_is_left_out_and_named(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "d@acme.com", "leadScore": 40})
    reader = Reader(LEAD)
    source = marketo.source(extra_fields=["leadScore", "nobodyHasThis"])
    reader.read(source)
    assert reader.rows[LEAD][person]["extra.leadScore"] == "40"
    assert reader.known["people"]["absent"] == ["nobodyHasThis"]
    after = marketo.org.control("GET", "journal")["next"]
    reader.read(marketo.source(extra_fields=["leadScore", "nobodyHasThis"]))
    assert all("describe" not in entry["path"] for entry in marketo.org.journal("marketo", after))


@pytest.mark.parametrize("how", ["invalidate", "expire"])
def test_a_token_ended_from_outside_is_renewed_once(marketo: Subscription, how: str) -> None:
    source = marketo.source()
    reader = Reader(ACTIVITY)
    reader.read(source)
    marketo.org.control("POST", "marketo/token", {how: True})
    after = marketo.org.control("GET", "journal")["next"]
    reader.read(source)
    kinds = [entry["kind"] for entry in marketo.org.journal("marketo", after)]
    assert kinds.count("token") == 1


def test_a_token_refused_for_good_is_not_stormed(marketo: Subscription) -> None:
    marketo.org.control("POST", "marketo/errors", {"code": "601", "times": None})
    after = marketo.org.control("GET", "journal")["next"]
    with pytest.raises(Retriable) as caught:
        Reader(ACTIVITY).read(marketo.source())
    assert caught.value.code == "HW-312"
    assert len(marketo.org.journal("marketo", after)) <= 5


@pytest.mark.parametrize(
    ("code", "ours", "kind"),
    [
        ("606", "HW-306", Retriable),
        ("607", "HW-307", Retriable),
        ("615", "HW-308", Retriable),
        ("603", "HW-305", Fatal),
        ("1002", "HW-309", Fatal),
        ("4711", "HW-311", Fatal),
    ],
)
def test_a_refusal_within_a_200_is_named_for_what_to_do(
    marketo: Subscription, code: str, ours: str, kind: type[HeadwaterError]
) -> None:
    marketo.org.control("POST", "marketo/errors", {"code": code, "times": 1})
    after = marketo.org.control("GET", "journal")["next"]
    with pytest.raises(kind) as caught:
        Reader(ACTIVITY).read(marketo.source())
    assert caught.value.code == ours
    # Asked once: none of these is hammered at.
    assert len([e for e in marketo.org.journal("marketo", after) if e["kind"] != "token"]) == 1


@pytest.mark.parametrize("code", ["604", "608", "611", "713", "614"])
def test_a_passing_refusal_is_waited_out(marketo: Subscription, code: str) -> None:
    (person,) = marketo.people({"email": "d@acme.com"})
    (act,) = marketo.activities(click(person, marketo.now_text()))
    marketo.org.control("POST", "marketo/errors", {"code": code, "times": 2})
    reader = Reader(ACTIVITY)
    reader.read(marketo.source())
    assert act in reader.rows[ACTIVITY]


def test_no_data_found_is_no_error(marketo: Subscription) -> None:
    marketo.org.control("POST", "marketo/errors", {"code": "702", "times": 1, "path_contains": "programs.json"})
    reader = Reader(PROGRAM)
    reader.read(marketo.source())
    assert reader.cursors[PROGRAM].watermark is not None


@pytest.mark.parametrize(
    "action",
    [
        {"status": 502, "body": "<html>bad gateway</html>", "content_type": "text/html"},
        {"status": 200, "body": "<html>login</html>", "content_type": "text/html"},
        {"status": 200, "body": "[]", "content_type": "application/json"},
        {"status": 200, "body": '{"success": false}', "content_type": "application/json"},
        {"reset": "after"},
        {"cut_body_at": 30},
    ],
    ids=["502", "html", "no envelope", "no error", "reset", "cut"],
)
def test_a_disturbed_read_is_repeated_and_nothing_is_lost(marketo: Subscription, action: dict[str, Any]) -> None:
    (person,) = marketo.people({"email": "d@acme.com"})
    (act,) = marketo.activities(click(person, marketo.now_text()))
    source = marketo.source()
    source.now()
    marketo.org.fault(action, system="marketo", path_contains="activities.json", times=2)
    reader = Reader(ACTIVITY)
    reader.read(source)
    assert act in reader.rows[ACTIVITY]


def test_a_wrong_secret_is_said_plainly_and_never_shown(marketo: Subscription) -> None:
    client = MarketoClient(marketo.org.url, "headwater", "wrong-secret", options=HttpOptions(pause_seconds=0.01))
    with pytest.raises(Fatal) as caught:
        client.now()
    assert caught.value.code == "HW-304"
    assert "wrong-secret" not in str(caught.value) + repr(client)


def test_the_secret_is_in_no_address(marketo: Subscription) -> None:
    marketo.source().now()
    for entry in marketo.org.journal("marketo"):
        assert "secret" not in str(entry["query"]).lower()


def test_named_people_and_programs_come_as_they_stand(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "d@acme.com"})
    source = marketo.source()
    (page,) = source.read_records(LEAD, [person, "999999"], {})
    rows = {row["record_id"]: row for row in rows_of(page)}
    assert (rows[person]["email"], rows["999999"]["is_deleted"]) == ("d@acme.com", "true")
    (page,) = source.read_records(PROGRAM, ["999999"], {})
    assert [row["is_deleted"] for row in rows_of(page)] == ["true"]
    with pytest.raises(Fatal):
        list(source.read_records(LEAD, ["7,8"], {}))
    with pytest.raises(Fatal):
        list(source.read_records(ACTIVITY, ["7"], {}))


def test_program_types_are_read_again_only_when_they_changed(marketo: Subscription) -> None:
    record = {
        "name": "Fair",
        "type": "Event",
        "channel": "Trade Show",
        "costs": [{"startDate": "2026-01-01", "cost": 5}],
    }
    (program,) = marketo.org.control("POST", "marketo/programs", {"records": [record]})["ids"]
    reader = Reader(PROGRAM)
    marketo.org.advance(2)
    reader.read(marketo.source())
    after = marketo.org.control("GET", "journal")["next"]
    reader.read(marketo.source())
    assert str(program) in reader.rows[PROGRAM]
    assert [e["path"] for e in marketo.org.journal("marketo", after) if e["kind"] == "read"] == [
        "/rest/asset/v1/programs.json"
    ]


def test_progress_and_visits_are_two_types_of_one_stream(marketo: Subscription) -> None:
    (person,) = marketo.people({"email": "d@acme.com"})
    marketo.activities(
        click(person, marketo.now_text(), activityTypeId=PROGRESS, primaryAttributeValueId=1001),
        click(person, marketo.now_text(), activityTypeId=VISITS),
    )
    reader = Reader(ACTIVITY)
    reader.read(marketo.source())
    assert sorted(str(row["native_type"]) for row in reader.rows[ACTIVITY].values()) == ["1", "104"]
