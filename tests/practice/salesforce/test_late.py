"""
Transactions that commit later: every call that changes records can be one, and nobody sees or writes its rows before.
"""

from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

WINDOW = {"start": "2026-11-18T09:00:00Z", "end": "2026-11-18T10:00:00Z"}
SHOWN = "Id, LastName, IsDeleted, MasterRecordId, IsConverted, SystemModstamp, LastModifiedDate"
EVERYTHING = f"SELECT {SHOWN} FROM Lead ORDER BY Id"


@pytest.fixture
def leads(org: PracticeOrg) -> list[str]:
    made = org.create("Lead", [{"LastName": name, "Company": "C"} for name in ("Ray", "Ng", "Ode")])
    org.control("POST", "clock", {"frozen": True, "now": "2026-11-18T09:40:00Z"})
    return made


def run(org: PracticeOrg, call: str, body: dict[str, Any], seconds: float = 300) -> dict[str, Any]:
    answer: dict[str, Any] = org.control("POST", f"salesforce/{call}", {**body, "commit_after_seconds": seconds})
    return answer


@pytest.mark.parametrize(
    ("call", "more"),
    [
        ("update", {"records": [{"Id": 0, "LastName": "Ray-Moore"}]}),
        ("touch", {"ids": [0]}),
        ("delete", {"ids": [0]}),
        ("hard_delete", {"ids": [0]}),
        ("merge", {"winner": 0, "losers": [1]}),
        ("convert", {"conversions": [{"leadId": 0, "opportunity": {}}]}),
        ("create", {"records": [{"LastName": "New", "Company": "C"}]}),
    ],
)
def test_what_a_transaction_does_is_stamped_when_done_and_seen_when_committed(
    client: Client, org: PracticeOrg, leads: list[str], call: str, more: dict[str, Any]
) -> None:
    before = client.rows(EVERYTHING, everything=True)
    made = run(org, call, {"object": "Lead", **_with_ids(more, leads)})
    assert made["commits_at"] == "2026-11-18T09:45:00Z"
    org.advance(299)
    assert client.rows(EVERYTHING, everything=True) == before
    covered = client.call("GET", "sobjects/Lead/deleted", params=WINDOW).json()["latestDateCovered"]
    assert covered == "2026-11-18T09:40:00.000+0000"
    org.advance(1)
    after = client.rows(EVERYTHING, everything=True)
    assert after != before
    moved = {row["SystemModstamp"] for row in after} - {row["SystemModstamp"] for row in before}
    assert moved == (set() if call == "hard_delete" else {"2026-11-18T09:40:00.000+0000"})
    assert org.control("GET", "salesforce/transactions") == {"transactions": []}


def test_a_late_delete_is_dated_in_the_log_by_its_statement(client: Client, org: PracticeOrg, leads: list[str]) -> None:
    run(org, "delete", {"object": "Lead", "ids": leads[:1]})
    org.advance(301)
    gone = client.call("GET", "sobjects/Lead/deleted", params=WINDOW).json()
    assert gone["deletedRecords"] == [{"deletedDate": "2026-11-18T09:40:00.000+0000", "id": leads[0]}]


def test_an_undelete_can_be_late_too(client: Client, org: PracticeOrg, leads: list[str]) -> None:
    org.control("POST", "salesforce/delete", {"object": "Lead", "ids": leads[:1]})
    run(org, "undelete", {"object": "Lead", "ids": leads[:1]})
    assert client.values("SELECT Id FROM Lead") == leads[1:]
    org.advance(300)
    assert client.values("SELECT Id FROM Lead ORDER BY Id") == leads


def test_a_row_of_an_open_transaction_is_held_against_every_other_writer(
    client: Client, org: PracticeOrg, leads: list[str]
) -> None:
    run(org, "update", {"object": "Lead", "records": [{"Id": leads[0], "Title": "VP"}]})
    refused = client.call("PATCH", f"sobjects/Lead/{leads[0]}", json={"Title": "CEO"})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "UNABLE_TO_LOCK_ROW")
    for call, body in (("update", {"records": [{"Id": leads[0], "Title": "CEO"}]}), ("delete", {"ids": leads})):
        with pytest.raises(RuntimeError, match="UNABLE_TO_LOCK_ROW"):
            org.control("POST", f"salesforce/{call}", {"object": "Lead", **body})
    assert client.call("PATCH", f"sobjects/Lead/{leads[1]}", json={"Title": "CEO"}).status_code == 204
    assert len(client.values("SELECT Id FROM Lead")) == 3
    org.advance(300)
    assert client.call("PATCH", f"sobjects/Lead/{leads[0]}", json={"Phone": "1"}).status_code == 204
    assert client.rows(f"SELECT Title, Phone FROM Lead WHERE Id = '{leads[0]}'") == [{"Title": "VP", "Phone": "1"}]


def test_a_mistake_is_found_when_the_transaction_is_opened(org: PracticeOrg, leads: list[str]) -> None:
    with pytest.raises(RuntimeError, match="row 1: Lead has no stored field"):
        run(org, "update", {"object": "Lead", "records": [{"Id": leads[0], "Shoe__c": 1}]})
    with pytest.raises(RuntimeError, match="commits now or later"):
        run(org, "touch", {"object": "Lead"}, seconds=-1)
    assert org.control("GET", "salesforce/transactions") == {"transactions": []}


def test_several_calls_make_one_transaction(client: Client, org: PracticeOrg, leads: list[str]) -> None:
    steps = [
        {"call": "create", "object": "Account", "records": [{"Name": "Acme"}]},
        {"call": "merge", "object": "Lead", "winner": leads[0], "losers": [leads[1]]},
        {"call": "delete", "object": "Lead", "ids": [leads[2]]},
    ]
    made = run(org, "transaction", {"steps": steps})
    assert [len(each.get("ids", [])) for each in made["results"]] == [1, 0, 0]
    assert len(client.values("SELECT Id FROM Lead")) == 3
    assert org.control("POST", "salesforce/commit", {"transaction": made["transaction"]}) == {"committed": 1}
    assert client.values("SELECT Id FROM Lead") == [leads[0]]
    assert client.values("SELECT Id FROM Account") == made["results"][0]["ids"]
    undone = run(org, "transaction", {"steps": [{"call": "touch", "object": "Lead"}]})
    assert org.control("POST", "salesforce/rollback", {"transaction": undone["transaction"]}) == {"rolled_back": 1}
    org.advance(600)
    assert client.values("SELECT COUNT(Id) FROM Lead WHERE SystemModstamp = 2026-11-18T09:40:00Z") == [1]


def test_a_step_that_fails_takes_the_others_along(client: Client, org: PracticeOrg, leads: list[str]) -> None:
    steps = [
        {"call": "delete", "object": "Lead", "ids": [leads[2]]},
        {"call": "merge", "object": "Lead", "winner": leads[0], "losers": [leads[2]]},
    ]
    with pytest.raises(RuntimeError, match="there is no Lead"):
        org.control("POST", "salesforce/transaction", {"steps": steps})
    assert len(client.values("SELECT Id FROM Lead")) == 3


def test_thousands_of_rows_share_one_second(client: Client, org: PracticeOrg) -> None:
    org.create("Lead", [{"LastName": str(n), "Company": "C"} for n in range(5_000)])
    org.control("POST", "clock", {"now": "2026-11-18T09:50:00Z"})
    assert org.control("POST", "salesforce/touch", {"object": "Lead"}) == {"touched": 5_000}
    stamps = client.rows("SELECT MIN(SystemModstamp) first, MAX(SystemModstamp) last, COUNT(Id) n FROM Lead")[0]
    assert (stamps["first"], stamps["n"]) == (stamps["last"], 5_000)


def _with_ids(given: Any, ids: list[str]) -> Any:
    if isinstance(given, dict):
        return {key: _with_ids(value, ids) for key, value in given.items()}
    if isinstance(given, list):
        return [_with_ids(value, ids) for value in given]
    return ids[given] if isinstance(given, int) else given
