"""
SOSL: what a search finds, what it shows of it, and what it does not understand.
"""

from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg


@pytest.fixture
def people(org: PracticeOrg) -> dict[str, str]:
    """
    Ids by last name of four contacts, and by name of an account.
    """
    account = org.create("Account", [{"Name": "Ødegård & Ng Holding", "Phone": "+49 30 1234-567"}])[0]
    contacts = [
        {"FirstName": "Bo", "LastName": "Ng", "Email": "bo.ng@acme.example", "AccountId": account},
        {"FirstName": "Bo", "LastName": "Ray", "Description": "Met Bo Ng in Spring", "AccountId": account},
        {"FirstName": "Zoë", "LastName": "Ødegård", "Phone": "030 1234-567"},
        {"FirstName": "Ann", "LastName": "Nguyen"},
    ]
    ids = org.create("Contact", contacts)
    return {"Holding": account, **dict(zip(["Ng", "Ray", "Ødegård", "Nguyen"], ids, strict=True))}


def _search(client: Client, text: str) -> list[dict[str, Any]]:
    answer = client.call("GET", "search", params={"q": text})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["searchRecords"]
    return found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("Ng", {"Ng", "Ray"}),
        ("bo ng", {"Ng", "Ray"}),
        ('"Bo Ng"', {"Ray", "Ng"}),
        ('"Ng in Spring"', {"Ray"}),
        ("Bo AND NOT Spring", {"Ng"}),
        ("spring OR nguyen", {"Ray", "Nguyen"}),
        ("(spring OR nguyen) AND bo", {"Ray"}),
        ("Ng*", {"Ng", "Ray", "Nguyen"}),
        ("ngu?en", {"Nguyen"}),
        ("ødegård", {"Ødegård"}),
        ("bo.ng@acme.example", {"Ng"}),
        ("1234\\-567", {"Ødegård"}),
        ("nobody", set()),
    ],
)
def test_words_find_contacts(client: Client, people: dict[str, str], words: str, found: set[str]) -> None:
    rows = _search(client, f"FIND {{{words}}} IN ALL FIELDS RETURNING Contact")
    assert {row["Id"] for row in rows} == {people[name] for name in found}


@pytest.mark.parametrize(
    ("scope", "found"), [("NAME", {"Ng"}), ("EMAIL", {"Ng"}), ("PHONE", set()), ("ALL", {"Ng", "Ray"})]
)
def test_a_scope_narrows_the_fields(client: Client, people: dict[str, str], scope: str, found: set[str]) -> None:
    rows = _search(client, f"FIND {{Ng}} IN {scope} FIELDS RETURNING Contact(Id)")
    assert {row["Id"] for row in rows} == {people[name] for name in found}


def test_it_shows_the_fields_asked_for_of_the_records_that_fit(client: Client, people: dict[str, str]) -> None:
    text = (
        "FIND {Ng} RETURNING Contact(LastName, Account.Name WHERE FirstName = 'Bo' AND LastName != ')' "
        "ORDER BY LastName DESC LIMIT 1), Account(Name)"
    )
    person, firm = _search(client, text)
    assert person["attributes"]["type"] == "Contact"
    assert (person["LastName"], person["Account"]["Name"]) == ("Ray", "Ødegård & Ng Holding")
    assert (firm["attributes"]["type"], firm["Name"]) == ("Account", "Ødegård & Ng Holding")


def test_without_objects_it_looks_everywhere_and_shows_ids(client: Client, people: dict[str, str]) -> None:
    rows = _search(client, "FIND {Ødegård}")
    assert {row["Id"] for row in rows} == {people["Holding"], people["Ødegård"]}
    assert len(_search(client, "FIND {Ødegård} LIMIT 1")) == 1


def test_the_bin_and_hidden_fields_are_not_searched(client: Client, org: PracticeOrg, people: dict[str, str]) -> None:
    org.control("POST", "salesforce/delete", {"object": "Contact", "ids": [people["Ng"]]})
    org.control("POST", "salesforce/hide_fields", {"object": "Contact", "fields": ["Description"]})
    assert _search(client, "FIND {Ng} RETURNING Contact") == []


def test_the_parameterized_form_finds_the_same(client: Client, people: dict[str, str]) -> None:
    rows = client.call("GET", "parameterizedSearch", params={"q": "Ng", "sobject": "Contact", "fields": "LastName"})
    assert sorted(row["LastName"] for row in rows.json()["searchRecords"]) == ["Ng", "Ray"]
    body = {
        "q": "Ng",
        "in": "ALL",
        "fields": ["Id"],
        "sobjects": [{"name": "Contact", "fields": ["LastName"], "where": "LastName = 'Ray'", "limit": 5}],
        "overallLimit": 5,
    }
    rows = client.call("POST", "parameterizedSearch", json=body)
    assert [row["LastName"] for row in rows.json()["searchRecords"]] == ["Ray"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("SELECT Id FROM Lead", "MALFORMED_SEARCH", "begins with FIND"),
        ("FIND {a}", "MALFORMED_SEARCH", "longer than one character"),
        ("FIND {}", "MALFORMED_SEARCH", "longer than one character"),
        ("FIND {(ng}", "MALFORMED_SEARCH", "parenthesis"),
        ("FIND {ng} RETURNING Contact(Id", "MALFORMED_SEARCH", "parenthesis"),
        ("FIND {ng} WITH DATA CATEGORY x", "MALFORMED_SEARCH", "unexpected: WITH"),
        ("FIND {ng} RETURNING Shoe__c", "INVALID_TYPE", "sObject type 'Shoe__c' is not supported"),
        ("FIND {ng} RETURNING Contact(Shoe__c)", "INVALID_FIELD", "No such column 'Shoe__c'"),
        ("FIND {ng} RETURNING OpportunityContactRole", "INVALID_TYPE", "is not searchable"),
        ("", "MALFORMED_SEARCH", "has to be specified"),
    ],
)
def test_what_is_no_search_is_refused(client: Client, text: str, code: str, words: str) -> None:
    answer = client.call("GET", "search", params={"q": text})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)
    assert words in answer.json()[0]["message"]


def test_a_parameterized_search_of_another_form_is_refused(client: Client) -> None:
    for body in ({"q": "ng", "sobjects": ["Contact"]}, {"q": "ng", "overallLimit": "many"}):
        answer = client.call("POST", "parameterizedSearch", json=body)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")
