"""
Formula and roll-up fields: computed when read, never stored, never moving a stamp.
"""

from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

DEAL = {"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-12-31"}


def add(org: PracticeOrg, sobject: str, **field: Any) -> None:
    org.control("POST", "salesforce/fields", {"object": sobject, "fields": [{"type": "Number", "scale": 2, **field}]})


def test_a_formula_over_a_parent_changes_without_any_stamp(client: Client, org: PracticeOrg) -> None:
    add(org, "Opportunity", name="Weight__c", formula="Account.AnnualRevenue * 0.1 + Amount")
    account = org.create("Account", [{"Name": "Acme", "AnnualRevenue": 1_000}])[0]
    org.create("Opportunity", [{**DEAL, "AccountId": account, "Amount": 5}])
    soql = "SELECT Weight__c, SystemModstamp FROM Opportunity"
    before = client.rows(soql)[0]
    org.advance(600)
    client.call("PATCH", f"sobjects/Account/{account}", json={"AnnualRevenue": 2_000})
    after = client.rows(soql)[0]
    assert (before["Weight__c"], after["Weight__c"]) == (105.0, 205.0)
    assert before["SystemModstamp"] == after["SystemModstamp"]
    assert client.values("SELECT Id FROM Opportunity WHERE Weight__c > 200") != []


def test_a_roll_up_follows_its_children_without_any_stamp(client: Client, org: PracticeOrg) -> None:
    add(org, "Account", name="Deals__c", rollup={"function": "COUNT", "child": "Opportunity.AccountId"})
    rollup = {"function": "SUM", "child": "Opportunity.AccountId", "field": "Amount"}
    add(org, "Account", name="Worth__c", rollup=rollup)
    account = org.create("Account", [{"Name": "Acme"}])[0]
    stamp = client.values("SELECT SystemModstamp FROM Account")
    org.advance(600)
    ids = org.create("Opportunity", [{**DEAL, "AccountId": account, "Amount": n} for n in (5, 7)])
    assert client.rows("SELECT Deals__c, Worth__c FROM Account") == [{"Deals__c": 2.0, "Worth__c": 12.0}]
    org.control("POST", "salesforce/delete", {"object": "Opportunity", "ids": ids[:1]})
    assert client.rows("SELECT Deals__c, Worth__c FROM Account") == [{"Deals__c": 1.0, "Worth__c": 7.0}]
    assert client.values("SELECT SystemModstamp FROM Account") == stamp


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("IF(ISBLANK(Title), 0, 1)", 1.0),
        ("IF(AND(ISPICKVAL(Rating, 'Hot'), NumberOfEmployees >= 10), 2 * 3 - 1, 0)", 5.0),
        ("LEN(FirstName & ' ' & LastName)", 7.0),
        ('IF(Company = "R{}\'s" || FALSE, 10 / 4, -1)', 2.5),
        ("BLANKVALUE(AnnualRevenue, 3)", 3.0),
        ("IF(CONTAINS(Email, '@c.') && NOT(HasOptedOutOfEmail), 1, 0)", 1.0),
        ("ROUND(NumberOfEmployees / 7, 1)", 1.4),
    ],
)
def test_a_formula_computes(client: Client, org: PracticeOrg, formula: str, value: float) -> None:
    add(org, "Lead", name="F__c", formula=formula)
    lead = {"FirstName": "Ada", "LastName": "Ray", "Company": "R{}'s", "Title": "VP", "Rating": "Hot"}
    org.create("Lead", [{**lead, "NumberOfEmployees": 10, "Email": "a@c.example"}])
    assert client.values("SELECT F__c FROM Lead") == [value]


def test_a_computed_field_is_described_and_cannot_be_written(client: Client, org: PracticeOrg) -> None:
    add(org, "Lead", name="F__c", formula="NumberOfEmployees + 1")
    fields = client.call("GET", "sobjects/Lead/describe").json()["fields"]
    (found,) = [each for each in fields if each["name"] == "F__c"]
    assert (found["calculated"], found["calculatedFormula"]) == (True, "NumberOfEmployees + 1")
    assert (found["createable"], found["updateable"]) == (False, False)
    refused = client.call("POST", "sobjects/Lead", json={"LastName": "A", "Company": "C", "F__c": 1})
    assert refused.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("TODAY()", "TODAY is not computed"),
        ("Shoe__c + 1", "Lead has no field Shoe__c"),
        ("Title * 2", "takes numbers"),
        ("IF(TRUE, 1)", "IF takes 3 arguments"),
        ("(1 + 2", "')' is missing"),
        ("1 2", "unexpected '2'"),
        ("Owner.Name", "leads from Lead to no one object"),
        ("1 # 2", "not understood at '# 2'"),
    ],
)
def test_a_formula_that_is_not_understood_is_refused(org: PracticeOrg, formula: str, words: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        add(org, "Lead", name="F__c", formula=formula)
    assert words in str(caught.value)
