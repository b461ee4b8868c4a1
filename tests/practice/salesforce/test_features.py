"""
What an org may or may not have: several currencies, person accounts, record types, an id of its own.
"""

from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

DEAL = {"StageName": "Prospecting", "CloseDate": "2026-06-15"}


def _names(client: Client, sobject: str) -> set[str]:
    return {each["name"] for each in client.call("GET", f"sobjects/{sobject}/describe").json()["fields"]}


@pytest.fixture
def euro(org: PracticeOrg) -> PracticeOrg:
    """
    An org with dollars, and euros at 0.80 for one.
    """
    org.control("POST", "salesforce/features", {"currencies": {"EUR": 0.8}, "corporate": "USD"})
    return org


def test_an_org_has_one_currency_and_no_word_of_it_until_it_has_several(org: PracticeOrg, client: Client) -> None:
    assert "CurrencyIsoCode" not in _names(client, "Opportunity")
    assert client.query("SELECT IsoCode FROM CurrencyType").json()[0]["errorCode"] == "INVALID_TYPE"
    assert client.query("SELECT convertCurrency(Amount) FROM Opportunity").json()[0]["errorCode"] == "INVALID_FIELD"
    org.control("POST", "salesforce/features", {"currencies": {"EUR": 0.8}})
    assert "CurrencyIsoCode" in _names(client, "Opportunity")
    rows = client.rows("SELECT IsoCode, ConversionRate, IsCorporate FROM CurrencyType ORDER BY IsoCode")
    assert [(row["IsoCode"], row["ConversionRate"], row["IsCorporate"]) for row in rows] == [
        ("EUR", 0.8, False),
        ("USD", 1.0, True),
    ]


def test_amounts_stand_in_their_own_currency_and_convert_when_asked(euro: PracticeOrg, client: Client) -> None:
    euro.create("Opportunity", [{**DEAL, "Name": "Euro", "Amount": 800, "CurrencyIsoCode": "EUR"}])
    made = client.call("POST", "sobjects/Opportunity", json={**DEAL, "Name": "Dollar", "Amount": 500}).json()["id"]
    assert client.rows(f"SELECT CurrencyIsoCode FROM Opportunity WHERE Id = '{made}'") == [{"CurrencyIsoCode": "USD"}]
    rows = client.rows("SELECT Name, Amount FROM Opportunity ORDER BY Amount")
    assert [row["Name"] for row in rows] == ["Dollar", "Euro"]
    assert client.values("SELECT convertCurrency(Amount) FROM Opportunity ORDER BY Name") == [500.0, 1000.0]
    assert client.values("SELECT SUM(Amount) FROM Opportunity") == [1500.0]
    assert client.values("SELECT Name FROM Opportunity WHERE Amount > USD900") == ["Euro"]
    assert client.values("SELECT Name FROM Opportunity WHERE Amount > EUR500") == ["Euro"]
    assert client.values("SELECT Name FROM Opportunity WHERE Amount > 700") == ["Euro"]


def test_a_rate_of_the_day_holds_for_opportunities_where_rates_are_dated(euro: PracticeOrg, client: Client) -> None:
    rates = [("2026-01-01", 0.5), ("2026-06-01", 0.8), ("2026-07-01", 1.0)]
    euro.create("DatedConversionRate", [{"IsoCode": "EUR", "StartDate": day, "ConversionRate": r} for day, r in rates])
    euro.create("Opportunity", [
        {**DEAL, "Name": "June", "Amount": 400, "CurrencyIsoCode": "EUR"},
        {**DEAL, "Name": "March", "Amount": 400, "CurrencyIsoCode": "EUR", "CloseDate": "2026-03-01"},
    ])  # fmt: skip
    asked = "SELECT convertCurrency(Amount) FROM Opportunity ORDER BY Name"
    assert client.values(asked) == [500.0, 500.0]
    euro.control("POST", "salesforce/features", {"dated_rates": True})
    assert client.values(asked) == [500.0, 800.0]


def test_a_user_converts_to_a_currency_of_their_own(euro: PracticeOrg, client: Client) -> None:
    euro.create("Opportunity", [{**DEAL, "Name": "Dollar", "Amount": 500}])
    user = client.values("SELECT Id FROM User WHERE Username = 'integration@practice.test'")[0]
    client.call("PATCH", f"sobjects/User/{user}", json={"DefaultCurrencyIsoCode": "EUR"})
    assert client.values("SELECT convertCurrency(Amount) FROM Opportunity") == [400.0]
    assert client.values("SELECT SUM(Amount) FROM Opportunity") == [400.0]
    assert client.values("SELECT SUM(Amount) FROM Opportunity GROUP BY StageName") == [500.0]


# -- persons


@pytest.fixture
def persons(org: PracticeOrg) -> PracticeOrg:
    """
    An org with person accounts and a field of the customer's on contacts.
    """
    org.control("POST", "salesforce/fields", {"object": "Contact", "fields": [{"name": "Size__c", "type": "Number"}]})
    org.control("POST", "salesforce/features", {"person_accounts": True})
    return org


def _person(client: Client, **fields: Any) -> str:
    answer = client.call("POST", "sobjects/Account", json={"LastName": "Ng", "FirstName": "Bo", **fields})
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


def test_a_person_is_an_account_and_a_contact_that_change_together(persons: PracticeOrg, client: Client) -> None:
    account = _person(client, PersonEmail="Bo@Acme.example", Size__pc=3, PersonMailingCity="Oslo")
    row = client.rows("SELECT Name, IsPersonAccount, PersonContactId, PersonEmail, Size__pc, LastName FROM Account")[0]
    contact = row.pop("PersonContactId")
    assert row == {
        "Name": "Bo Ng", "IsPersonAccount": True, "PersonEmail": "bo@acme.example", "Size__pc": 3.0, "LastName": "Ng",
    }  # fmt: skip
    assert client.rows(
        f"SELECT AccountId, Name, Email, Size__c, IsPersonAccount FROM Contact WHERE Id = '{contact}'"
    ) == [{"AccountId": account, "Name": "Bo Ng", "Email": "bo@acme.example", "Size__c": 3.0, "IsPersonAccount": True}]
    persons.advance(60)
    change = {"LastName": "Ek", "PersonEmail": "ek@acme.example", "Phone": "1"}
    assert client.call("PATCH", f"sobjects/Account/{account}", json=change).status_code == 204
    assert client.values("SELECT Name FROM Account") == client.values("SELECT Name FROM Contact") == ["Bo Ek"]
    stamps = [client.values(f"SELECT SystemModstamp FROM {name}") for name in ("Account", "Contact")]
    assert stamps[0] == stamps[1] == ["2026-11-18T09:31:00.000+0000"]
    assert client.values("SELECT Id FROM Account WHERE PersonEmail = 'EK@acme.example'") == [account]
    assert client.rows("SELECT PersonMailingAddress FROM Account")[0]["PersonMailingAddress"]["city"] == "Oslo"


def test_the_contact_of_a_person_is_read_only_and_goes_with_the_account(persons: PracticeOrg, client: Client) -> None:
    account = _person(client)
    contact = client.values("SELECT PersonContactId FROM Account")[0]
    answer = client.call("PATCH", f"sobjects/Contact/{contact}", json={"Email": "x@y.example"})
    assert answer.json()[0]["errorCode"] == "INSUFFICIENT_ACCESS_OR_READONLY"
    assert client.call("DELETE", f"sobjects/Account/{account}").status_code == 204
    assert client.values("SELECT Id FROM Contact") == []
    assert client.values("SELECT IsDeleted FROM Contact", everything=True) == [True]


def test_companies_stay_companies(persons: PracticeOrg, client: Client) -> None:
    assert client.call("POST", "sobjects/Account", json={"Name": "Acme"}).status_code == 201
    row = client.rows("SELECT IsPersonAccount, PersonContactId, PersonEmail, LastName FROM Account")[0]
    assert row == {"IsPersonAccount": False, "PersonContactId": None, "PersonEmail": None, "LastName": None}
    acme = client.values("SELECT Id FROM Account")[0]
    late = client.call("PATCH", f"sobjects/Account/{acme}", json={"PersonEmail": "a@b.example"})
    assert late.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    both = client.call("POST", "sobjects/Account", json={"Name": "Acme", "LastName": "Ng"})
    assert both.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    nobody = client.call("POST", "sobjects/Account", json={"PersonEmail": "a@b.example"})
    assert nobody.json()[0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    nameless = client.call("POST", "sobjects/Account", json={"Phone": "1"})
    assert nameless.json()[0]["errorCode"] == "REQUIRED_FIELD_MISSING"


def test_campaign_members_of_a_person_hang_on_the_account_too(persons: PracticeOrg, client: Client) -> None:
    _person(client)
    contact = client.values("SELECT PersonContactId FROM Account")[0]
    campaign = persons.create("Campaign", [{"Name": "Fair"}])[0]
    persons.create("CampaignMember", [{"CampaignId": campaign, "ContactId": contact, "Status": "Sent"}])
    row = client.rows("SELECT Name, (SELECT Campaign.Name FROM PersonCampaignMembers) FROM Account")[0]
    assert row["PersonCampaignMembers"]["records"][0]["Campaign"]["Name"] == "Fair"


def test_person_fields_of_an_org_without_persons_are_unknown(client: Client) -> None:
    assert client.query("SELECT IsPersonAccount FROM Account").json()[0]["errorCode"] == "INVALID_FIELD"
    assert client.call("POST", "sobjects/Account", json={"LastName": "Ng"}).json()[0]["errorCode"] == "INVALID_FIELD"


# -- record types, and the org itself


def test_record_type_id_is_there_once_an_object_has_record_types(org: PracticeOrg, client: Client) -> None:
    assert "RecordTypeId" not in _names(client, "Lead")
    row = {"Name": "Partner", "DeveloperName": "Partner", "SobjectType": "Lead"}
    made = org.create("RecordType", [row])[0]
    assert "RecordTypeId" in _names(client, "Lead")
    assert "RecordTypeId" not in _names(client, "Contact")
    infos = client.call("GET", "sobjects/Lead/describe").json()["recordTypeInfos"]
    assert [(each["developerName"], each["defaultRecordTypeMapping"]) for each in infos] == [
        ("Partner", True),
        ("Master", False),
    ]
    client.call("POST", "sobjects/Lead", json={"LastName": "L", "Company": "C", "RecordTypeId": made})
    assert client.rows("SELECT RecordType.DeveloperName FROM Lead")[0]["RecordType"]["DeveloperName"] == "Partner"


def test_orgs_of_different_numbers_have_different_ids_and_the_same_number_the_same() -> None:
    ids = []
    for number in (None, 1, 7):
        with PracticeOrg(organization=number) as org:
            ids.append(Client(org).values("SELECT Id FROM Organization")[0])
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_a_refreshed_sandbox_is_another_org(org: PracticeOrg, client: Client) -> None:
    org.control("POST", "salesforce/organization", {"id": "00DZZ0000000001"})
    assert client.call("GET", "limits").status_code == 401
    fresh = Client(org)
    assert fresh.values("SELECT Id FROM Organization")[0].startswith("00DZZ0000000001")
    assert str(fresh.session.headers["Authorization"]).startswith("Bearer 00DZZ0000000001!")
