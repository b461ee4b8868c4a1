"""
A trigger that fails for one record fails for all that came in the same call: those that it is not about go through.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest

from tests.connectors.salesforce.stand_in import Reply, StandIn, client_of, json_reply, refused, stand_in
from worker.connectors.base import RecordChange, Result
from worker.connectors.salesforce.splitting import MOST_CALLS
from worker.connectors.salesforce.writer import SalesforceSink

BAND = "HW_Engagement_Band__c"
KNOWN = {"objects": {"Account": {"fields": {BAND: {"type": "picklist"}}}}}


@pytest.fixture
def org() -> Iterator[StandIn]:
    with stand_in() as org:
        yield org


def accounts(count: int) -> list[str]:
    return [f"001{number:012d}" for number in range(count)]


def trigger_fails_for(org: StandIn, bad: Collection[str], code: str = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY") -> None:
    """
    An org whose trigger ends with an error of its own when one of these is among the records of a call.
    """
    error = {
        "statusCode": code,
        "message": "Rollup: execution of AfterUpdate caused by: NullPointerException",
        "fields": [],
    }

    def answer(_: str) -> Reply:
        ids = [record["id"] for record in json.loads(org.seen[-1].body or "{}")["records"]]
        if any(each in bad for each in ids):
            return json_reply([{"success": False, "errors": [error]} for _ in ids])
        return json_reply([{"id": each, "success": True, "errors": []} for each in ids])

    org.on("PATCH composite/sobjects", answer)


def written(sink: SalesforceSink, ids: Sequence[str]) -> list[Result]:
    results = sink.write("Account", [RecordChange(each, {BAND: "High"}) for each in ids])
    assert [result.record_id for result in results] == list(ids)
    return list(results)


def parked(results: Sequence[Result]) -> set[str]:
    assert {result.verdict for result in results} <= {"done", "parked"}
    return {result.record_id for result in results if result.verdict == "parked"}


def calls(org: StandIn) -> int:
    return len(org.calls("PATCH", "composite/sobjects"))


def test_one_bad_record_of_two_hundred_is_found_and_the_others_go_through(org: StandIn) -> None:
    ids = accounts(200)
    trigger_fails_for(org, {ids[137]})
    assert parked(written(SalesforceSink(client_of(), known=KNOWN), ids)) == {ids[137]}
    assert calls(org) <= 17


def test_three_bad_ones_far_apart_are_found_too(org: StandIn) -> None:
    ids = accounts(200)
    bad = {ids[0], ids[99], ids[199]}
    trigger_fails_for(org, bad)
    assert parked(written(SalesforceSink(client_of(), known=KNOWN), ids)) == bad
    assert calls(org) <= 1 + MOST_CALLS


def test_many_bad_ones_cost_a_bounded_number_of_calls_and_every_record_has_its_answer(org: StandIn) -> None:
    ids = accounts(200)
    bad = set(ids[::7])
    trigger_fails_for(org, bad)
    held = parked(written(SalesforceSink(client_of(), known=KNOWN), ids))
    assert held >= bad
    assert len(held) < 200
    assert calls(org) == 1 + MOST_CALLS


def test_a_trigger_that_always_fails_is_searched_once_a_run(org: StandIn) -> None:
    ids = accounts(400)
    trigger_fails_for(org, set(ids))
    sink = SalesforceSink(client_of(), known=KNOWN)
    assert parked(written(sink, ids[:200])) == set(ids[:200])
    before = calls(org)
    written(sink, ids[200:])
    assert calls(org) == before + 1
    sink.recall(KNOWN)
    written(sink, ids[200:])
    assert calls(org) > before + 2


@pytest.mark.parametrize("code", ["FIELD_CUSTOM_VALIDATION_EXCEPTION", "UNABLE_TO_LOCK_ROW", "ENTITY_IS_DELETED"])
def test_what_is_said_of_each_record_by_itself_is_not_searched(org: StandIn, code: str) -> None:
    ids = accounts(8)
    trigger_fails_for(org, set(ids), code)
    written(SalesforceSink(client_of(), known=KNOWN), ids)
    assert calls(org) == 1


def test_a_record_alone_has_nobody_to_be_told_apart_from(org: StandIn) -> None:
    trigger_fails_for(org, set(accounts(1)))
    assert parked(written(SalesforceSink(client_of(), known=KNOWN), accounts(1))) == set(accounts(1))
    assert calls(org) == 1


def test_a_day_that_ends_in_the_middle_loses_no_answer(org: StandIn) -> None:
    ids = accounts(8)
    trigger_fails_for(org, {ids[7]})
    whole: Any = org.replies["PATCH composite/sobjects"]

    def answer(soql: str) -> Reply:
        return (
            whole(soql) if calls(org) <= 2 else refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        )

    org.on("PATCH composite/sobjects", answer)
    results = written(SalesforceSink(client_of(), known=KNOWN), ids)
    assert [result.verdict for result in results] == ["done"] * 4 + ["parked"] * 4
    assert calls(org) == 3
