"""
The practice Marketo answers as the real one does, errors and oddities included.
"""

from typing import Any

import pytest

from tests.practice.marketo.conftest import Practice

ADA = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada@analytical.example",
    "createdAt": "2026-10-01T08:00:00Z",
}
CHARLES = {"firstName": "Charles", "lastName": "Babbage", "email": "charles@analytical.example"}


def visit(person: int, at: str, page: str = "/pricing", **more: Any) -> dict[str, Any]:
    return {"leadId": person, "activityDate": at, "activityTypeId": 1, "primaryAttributeValue": page, **more}


# Access


def test_the_same_token_comes_again_with_less_time_until_it_expires(practice: Practice) -> None:
    first = practice.sign_in().json()
    practice.state.clock.advance(600)
    second = practice.sign_in().json()
    assert (first["expires_in"], second["expires_in"]) == (3599, 2999)
    assert first["access_token"] == second["access_token"]
    practice.state.clock.advance(3000)
    assert practice.refused("v1/activities/types.json") == "602"
    assert practice.sign_in().json()["access_token"] != first["access_token"]
    assert practice.get("v1/activities/types.json")["success"]


def test_only_a_wrong_secret_is_a_401(practice: Practice) -> None:
    assert practice.sign_in("wrong").status_code == 401
    practice.token = "made-up"
    assert practice.refused("v1/activities/types.json") == "601"
    practice.token = ""
    assert practice.refused("v1/activities/types.json") == "600"


def test_a_token_can_be_invalidated_while_its_holder_thinks_it_lives(practice: Practice) -> None:
    practice.get("v1/activities/types.json")
    practice.control("marketo/token", {"invalidate": True})
    assert practice.refused("v1/activities/types.json") == "601"
    practice.sign_in()
    practice.control("marketo/token", {"expire": True})
    assert practice.refused("v1/activities/types.json") == "602"


def test_a_token_in_the_address_is_no_longer_accepted(practice: Practice) -> None:
    practice.sign_in()
    answer = practice.session.get(
        f"{practice.url}/rest/v1/activities/types.json", params={"access_token": practice.token}
    )
    assert answer.json()["errors"][0]["code"] == "600"


def test_the_rate_limit_refuses_the_hundred_and_first_call_in_twenty_seconds(practice: Practice) -> None:
    practice.control("marketo/limits", {"rate": True})
    for _ in range(100):
        assert practice.get("v1/stats/usage.json")["success"]
    assert practice.refused("v1/stats/usage.json") == "606"
    practice.state.clock.advance(20)
    assert practice.get("v1/stats/usage.json")["success"]


def test_the_quota_ends_the_day_until_midnight_in_chicago(practice: Practice) -> None:
    practice.control("marketo/limits", {"quota": 500, "used": 499})
    assert practice.get("v1/activities/types.json")["success"]
    assert practice.refused("v1/activities/types.json") == "607"
    practice.state.clock.advance(17 * 3600)  # 05:00 UTC is 23:00 in Chicago
    practice.sign_in()
    assert practice.refused("v1/activities/types.json") == "607"
    practice.state.clock.advance(3600)
    practice.sign_in()
    assert practice.get("v1/stats/usage.json")["result"][0]["total"] == 1


def test_refusals_for_a_dead_token_count_towards_nothing(practice: Practice) -> None:
    practice.token = "made-up"
    for _ in range(5):
        practice.refused("v1/activities/types.json")
    practice.sign_in()
    assert practice.get("v1/stats/usage.json")["result"][0]["total"] == 1
    assert practice.get("v1/stats/errors.json")["result"][0]["errors"] == [{"errorCode": "601", "count": 5}]


def test_an_ordered_error_comes_inside_http_200_as_often_as_ordered(practice: Practice) -> None:
    practice.control("marketo/errors", {"code": "713", "times": 2, "path_contains": "types"})
    assert practice.get("v1/leads/describe2.json")["success"]
    assert [practice.refused("v1/activities/types.json") for _ in range(2)] == ["713", "713"]
    assert practice.get("v1/activities/types.json")["success"]


def test_an_address_over_eight_kilobytes_is_a_414_and_works_as_a_post(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    practice.sign_in()
    headers = {"Authorization": f"Bearer {practice.token}"}
    emails = ",".join([ADA["email"], *(f"nobody-with-a-long-name-{n}@nowhere.example" for n in range(250))])
    address = f"{practice.url}/rest/v1/leads.json"
    query = {"filterType": "email", "filterValues": emails}
    assert practice.session.get(address, params=query, headers=headers).status_code == 414
    answer = practice.session.post(f"{address}?_method=GET", data=query, headers=headers).json()
    assert [person["id"] for person in answer["result"]] == [ada]
    assert practice.session.post(address, data=query, headers=headers).json()["errors"][0]["code"] == "605"


def test_an_unknown_path_is_a_610(practice: Practice) -> None:
    assert practice.refused("v1/leeds.json") == "610"


# People


def test_people_are_found_by_id_email_and_salesforce_ids(practice: Practice) -> None:
    ada, charles = practice.people(
        {**ADA, "sfdcLeadId": "00Q000000000001AAA", "sfdcType": "lead"},
        {**CHARLES, "sfdcContactId": "003000000000001AAA", "sfdcAccountId": "001000000000001AAA"},
    )

    def found(kind: str, values: str) -> list[int]:
        answer = practice.get("v1/leads.json", filterType=kind, filterValues=values)
        return [person["id"] for person in answer["result"]]

    assert found("id", f"{charles},{ada},99") == [ada, charles]
    assert found("email", "ADA@analytical.example") == [ada]
    assert found("sfdcLeadId", "00Q000000000001AAA") == [ada]
    assert found("sfdcContactId", "003000000000001AAA") == [charles]
    assert found("sfdcAccountId", "001000000000001AAA") == [charles]
    assert found("email", "nobody@nowhere.example") == []


def test_a_field_without_value_is_null_and_sfdc_id_always_is(practice: Practice) -> None:
    (ada,) = practice.people({**ADA, "sfdcLeadId": "00Q000000000001AAA"})
    query = {"filterType": "id", "filterValues": ada, "fields": "email,title,sfdcId,sfdcLeadId"}
    (person,) = practice.get("v1/leads.json", **query)["result"]
    lead = "00Q000000000001AAA"
    assert person == {"id": ada, "email": ADA["email"], "title": None, "sfdcId": None, "sfdcLeadId": lead}
    (person,) = practice.get("v1/leads.json", filterType="id", filterValues=ada)["result"]
    assert set(person) == {"id", "email", "updatedAt", "createdAt", "firstName", "lastName"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"filterValues": "1"}, "1002"),
        ({"filterType": "id"}, "1002"),
        ({"filterType": "id", "filterValues": "one"}, "1001"),
        ({"filterType": "updatedAt", "filterValues": "2026-11-01"}, "1011"),
        ({"filterType": "shoeSize", "filterValues": "44"}, "1006"),
        ({"filterType": "id", "filterValues": "1", "fields": "email,shoeSize"}, "1006"),
        ({"filterType": "id", "filterValues": ",".join(map(str, range(301)))}, "1003"),
    ],
)
def test_a_wrong_question_for_people_is_refused_with_its_code(practice: Practice, query: Any, code: str) -> None:
    assert practice.refused("v1/leads.json", **query) == code


def test_more_than_a_thousand_matches_are_refused(practice: Practice) -> None:
    practice.control("marketo/fields", {"fields": [{"name": "region"}]})
    practice.people(*({"lastName": f"P{n}", "region": "North" if n < 1001 else "South"} for n in range(1401)))
    assert practice.refused("v1/leads.json", filterType="region", filterValues="North") == "1003"
    page = practice.get("v1/leads.json", filterType="region", filterValues="South")
    assert len(page["result"]) == 300
    rest = practice.get("v1/leads.json", filterType="region", filterValues="South", nextPageToken=page["nextPageToken"])
    assert len(rest["result"]) == 100
    assert "nextPageToken" not in rest


def test_describe2_names_the_fields_and_what_can_be_searched(practice: Practice) -> None:
    practice.control("marketo/fields", {"fields": [{"name": "region", "dataType": "string", "length": 40}]})
    (shape,) = practice.get("v1/leads/describe2.json")["result"]
    fields = {field["name"]: field for field in shape["fields"]}
    assert fields["region"]["length"] == 40
    assert fields["sfdcLeadId"]["updateable"] is False
    assert ["region"] in shape["searchableFields"]
    assert ["updatedAt"] not in shape["searchableFields"]


# Activities


def test_history_stands_in_the_order_of_its_own_time_whatever_order_it_was_put_in(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    for day in ("2026-11-03", "2026-11-01", "2026-11-02"):
        practice.activities(visit(ada, f"{day}T09:00:00Z"))
    rows, _ = practice.read_all(practice.token_since("2026-11-02T00:00:00Z"), "1")
    assert [row["activityDate"][:10] for row in rows] == ["2026-11-02", "2026-11-03"]


def test_a_page_scans_300_activities_of_all_types_so_a_page_may_have_no_result(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    practice.activities(*(visit(ada, "2026-11-01T09:00:00Z") for _ in range(600)))
    practice.activities({"leadId": ada, "activityDate": "2026-11-01T10:00:00Z", "activityTypeId": 2})
    token = practice.token_since("2026-11-01T00:00:00Z")
    pages = []
    for _ in range(3):
        pages.append(practice.get("v1/activities.json", nextPageToken=token, activityTypeIds="2"))
        token = pages[-1]["nextPageToken"]
    assert ["result" in page for page in pages] == [False, False, True]
    assert [page["moreResult"] for page in pages] == [True, True, False]


def test_the_last_token_is_a_cursor_that_goes_on_where_it_stood(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    practice.activities(visit(ada, "2026-11-01T09:00:00Z"))
    rows, token = practice.read_all(practice.token_since("2026-10-01T00:00:00Z"), "1")
    assert len(rows) == 1
    again, token = practice.read_all(token, "1")
    assert again == []
    practice.activities(visit(ada, "2026-11-19T09:00:00Z"))
    later, _ = practice.read_all(token, "1")
    assert [row["activityDate"] for row in later] == ["2026-11-19T09:00:00Z"]


def test_a_late_activity_appears_when_it_is_committed_behind_newer_ones(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    _, token = practice.read_all(practice.token_since("2026-10-01T00:00:00Z"), "1")
    late = visit(ada, "2026-11-20T11:00:00Z", "/late", committed_at="2026-11-20T14:00:00Z")
    practice.activities(late, visit(ada, "2026-11-20T11:30:00Z", "/punctual"))
    seen, token = practice.read_all(token, "1")
    assert [row["primaryAttributeValue"] for row in seen] == ["/punctual"]
    practice.state.clock.advance(2 * 3600)
    practice.sign_in()
    seen, _ = practice.read_all(token, "1")
    assert [row["primaryAttributeValue"] for row in seen] == ["/late"]


def test_an_activity_put_behind_is_seen_by_a_fresh_token_only(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    practice.activities(*(visit(ada, f"2026-11-{day:02}T09:00:00Z", f"/{day}") for day in (1, 2, 3)))
    _, cursor = practice.read_all(practice.token_since("2026-10-01T00:00:00Z"), "1")
    practice.activities(visit(ada, "2026-11-02T07:00:00Z", "/hidden", behind=True))
    assert practice.read_all(cursor, "1")[0] == []
    seen, _ = practice.read_all(practice.token_since("2026-11-02T00:00:00Z"), "1")
    assert [row["primaryAttributeValue"] for row in seen] == ["/hidden", "/2", "/3"]


def test_an_activity_of_the_future_is_seen_when_its_time_has_come(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    token = practice.token_since("2026-11-01T00:00:00Z")
    practice.activities(visit(ada, "2026-11-20T12:30:00Z"))
    assert practice.read_all(token, "1")[0] == []
    practice.state.clock.advance(1800)
    assert len(practice.read_all(token, "1")[0]) == 1


def test_the_guid_stays_unique_where_the_old_ids_are_absent_or_repeat(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    practice.activities(*(visit(ada, "2026-11-01T09:00:00Z") for _ in range(2000)))
    token = practice.token_since("2026-10-01T00:00:00Z")
    practice.control("marketo/numbering", {"activity_ids": "repeating"})
    rows, _ = practice.read_all(token, "1")
    assert len({row["marketoGUID"] for row in rows}) == 2000
    assert len({row["id"] for row in rows}) == 1000
    practice.control("marketo/numbering", {"activity_ids": "absent"})
    assert "id" not in practice.read_all(token, "1")[0][0]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"activityTypeIds": "1"}, "1002"),
        ({"nextPageToken": "GIYDAOBNGEYS2MBWKQYDAORQ", "activityTypeIds": "1"}, "1003"),
        ({"activityTypeIds": ",".join(map(str, range(1, 12)))}, "1003"),
        ({"activityTypeIds": "click"}, "1001"),
    ],
)
def test_a_wrong_question_for_activities_is_refused_with_its_code(practice: Practice, query: Any, code: str) -> None:
    given = {"nextPageToken": practice.token_since("2026-11-01T00:00:00Z")} if code != "1002" else {}
    assert practice.refused("v1/activities.json", **{**given, **query}) == code
    assert practice.refused("v1/activities/pagingtoken.json", sinceDatetime="yesterday") == "1001"


def test_making_and_changing_people_is_told_as_changes(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    token = practice.token_since("2026-10-01T00:00:00Z")
    practice.people({"id": ada, "title": "Countess", "phone": "+44 20 7946 0000", "email": ADA["email"]})
    page = practice.get("v1/activities/leadchanges.json", nextPageToken=token, fields="title,email")
    made, changed = page["result"]
    assert (made["activityTypeId"], made["leadId"]) == (12, ada)
    assert changed["activityTypeId"] == 13
    (change,) = changed["fields"]
    assert (change["name"], change["oldValue"], change["newValue"]) == ("title", None, "Countess")
    assert practice.refused("v1/activities/leadchanges.json", nextPageToken=token) == "1002"


def test_a_merge_leaves_a_32_at_the_winner_and_a_37_at_the_loser(practice: Practice) -> None:
    winner, loser = practice.people(ADA, {**CHARLES, "title": "Mathematician"})
    token = practice.token_since("2026-11-20T12:00:00Z")
    practice.control("marketo/merge", {"winner": winner, "losers": [loser]})
    merged, _ = practice.read_all(token, "32")
    attributes = {item["name"]: item["value"] for item in merged[0]["attributes"]}
    assert (merged[0]["leadId"], attributes["Merge IDs"]) == (winner, f"[{loser}]")
    (gone,) = practice.get("v1/activities/deletedleads.json", nextPageToken=token)["result"]
    assert (gone["leadId"], gone["primaryAttributeValue"]) == (loser, "Charles Babbage")
    people = practice.get("v1/leads.json", filterType="id", filterValues=f"{winner},{loser}", fields="title")
    assert people["result"] == [{"id": winner, "title": "Mathematician"}]


def test_deletions_are_told_for_fourteen_days_only(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    token = practice.token_since("2026-11-20T12:00:00Z")
    practice.control("marketo/delete", {"ids": [ada]})
    practice.state.clock.advance(13 * 86_400)
    practice.sign_in()
    assert len(practice.get("v1/activities/deletedleads.json", nextPageToken=token)["result"]) == 1
    practice.state.clock.advance(2 * 86_400)
    practice.sign_in()
    assert "result" not in practice.get("v1/activities/deletedleads.json", nextPageToken=token)
    assert practice.people(CHARLES) == [ada + 1]


def test_types_are_described_with_their_attributes(practice: Practice) -> None:
    types = {shape["id"]: shape for shape in practice.get("v1/activities/types.json")["result"]}
    assert types[2]["primaryAttribute"] == {"name": "Webform ID", "dataType": "integer"}
    assert {"name": "Is Bot Activity", "dataType": "boolean"} in types[11]["attributes"]
    assert "primaryAttribute" not in types[12]


# Programs and members


def programs(practice: Practice, *days: int) -> list[int]:
    records = [
        {"name": f"Webinar {day}", "type": "Event", "channel": "Webinar", "createdAt": f"2026-10-{day:02}T10:00:00Z"}
        for day in days
    ]
    return list(practice.control("marketo/programs", {"records": records})["ids"])


def test_programs_come_in_pages_and_end_with_a_warning_alone(practice: Practice) -> None:
    programs(practice, *range(1, 26))
    first = practice.get("asset/v1/programs.json")["result"]
    assert len(first) == 20
    assert first[0]["createdAt"] == "2026-10-01T10:00:00Z+0000"
    assert "tags" not in first[0]
    assert len(practice.get("asset/v1/programs.json", maxReturn=200, offset=20)["result"]) == 5
    past = practice.get("asset/v1/programs.json", maxReturn=200, offset=25)
    assert past["warnings"] == ["No assets found for the given search criteria."]
    assert past["success"] is True
    assert "result" not in past
    assert practice.refused("asset/v1/programs.json", maxReturn=201) == "1003"


def test_programs_are_found_by_when_they_changed(practice: Practice) -> None:
    early, _, late = programs(practice, 1, 10, 20)
    window = {"earliestUpdatedAt": "2026-10-05T00:00:00Z", "latestUpdatedAt": "2026-10-20T10:00:00Z"}
    assert [p["id"] for p in practice.get("asset/v1/programs.json", **window)["result"]] == [early + 1, late]
    practice.control("marketo/programs", {"records": [{"id": early, "name": "Webinar renamed"}]})
    since = {"earliestUpdatedAt": "2026-11-20T07:00:01-05:00"}
    assert "result" not in practice.get("asset/v1/programs.json", **since)
    practice.state.clock.advance(86_400)
    practice.control("marketo/programs", {"records": [{"id": early, "name": "Webinar again", "costs": [{"cost": 9}]}]})
    practice.sign_in()
    (changed,) = practice.get("asset/v1/programs.json", **since)["result"]
    assert (changed["id"], changed["name"]) == (early, "Webinar again")
    (full,) = practice.get(f"asset/v1/program/{early}.json")["result"]
    assert full["costs"] == [{"cost": 9}]


def test_members_are_filtered_by_status_and_by_a_week_of_changes(practice: Practice) -> None:
    (webinar,) = programs(practice, 1)
    ada, charles = practice.people(ADA, CHARLES)
    status = {"programId": webinar, "statusName": "Registered", "membershipDate": "2026-11-01T10:00:00Z"}
    records = [{**status, "leadId": ada}, {**status, "leadId": charles}]
    assert practice.control("marketo/members", {"records": records})["saved"] == 2
    attended = {"programId": webinar, "leadId": ada, "statusName": "Attended", "reachedSuccess": True}
    practice.control("marketo/members", {"records": [{**attended, "updatedAt": "2026-11-08T10:00:00Z"}]})
    path = f"v1/programs/{webinar}/members.json"
    (row,) = practice.get(path, filterType="statusName", filterValues="Attended")["result"]
    assert row == {
        "seq": 0,
        "leadId": ada,
        "programId": webinar,
        "reachedSuccess": True,
        "acquiredBy": False,
        "membershipDate": "2026-11-01T10:00:00Z",
    }
    week = {"filterType": "updatedAt", "startAt": "2026-11-05T00:00:00Z", "endAt": "2026-11-12T00:00:00Z"}
    named = practice.get(path, fields="leadId,statusName", **week)["result"]
    assert named == [{"seq": 0, "leadId": ada, "statusName": "Attended"}]
    assert practice.refused(path, **{**week, "endAt": "2026-11-12T00:00:01Z"}) == "1003"
    assert practice.refused(path, filterType="statusName", filterValues="Attended", fields="shoe") == "1006"


def test_members_of_a_large_program_come_in_pages(practice: Practice) -> None:
    (webinar,) = programs(practice, 1)
    ids = practice.people(*({"lastName": f"P{n}"} for n in range(700)))
    rows = [{"programId": webinar, "leadId": number, "statusName": "Invited"} for number in ids]
    practice.control("marketo/members", {"records": rows})
    query = {"filterType": "statusName", "filterValues": "Invited"}
    seen, token = [], {}
    for more in (True, True, False):
        page = practice.get(f"v1/programs/{webinar}/members.json", **query, **token)
        seen += [row["leadId"] for row in page["result"]]
        assert page["moreResult"] is more
        token = {"nextPageToken": page.get("nextPageToken")}
    assert seen == ids


# The journal


def test_the_journal_knows_reads_tokens_and_rows(practice: Practice) -> None:
    (ada,) = practice.people(ADA)
    practice.get("v1/leads.json", filterType="id", filterValues=ada)
    entries = practice.control("journal?system=marketo", method="GET")["entries"]
    assert [(entry["kind"], entry["rows"]) for entry in entries] == [("token", None), ("read", 1)]
