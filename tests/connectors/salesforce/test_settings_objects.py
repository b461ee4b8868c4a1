"""
Reading what surrounds the records: labels, calendars, rates, history of fields, person accounts, custom objects whose
rows are acts. What few organisations have is asked for and not missed, and none of it costs a call of its own.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.connectors.reader import Reader, Row
from tests.connectors.salesforce.test_reading import calls, mark
from tests.practice_org import PracticeOrg
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.mapping import OBJECTS, activity_object
from worker.connectors.salesforce.streams import SETTINGS_EVERY, ReadLimits, SalesforceSource

pytestmark = pytest.mark.slow

Make = Callable[..., SalesforceSource]
SETTINGS = [name for name, each in OBJECTS.items() if each.is_setting]
DEMO = activity_object(
    "Demo_Request__c",
    {"person_ref": ("Lead__c", "Contact__c"), "occurred_at": ("Asked_On__c",), "asset": ("Product__c",)},
    ("Region__c",),
)


@pytest.fixture
def make(connect: Callable[[], SalesforceClient]) -> Make:
    def source(**options: Any) -> SalesforceSource:
        return SalesforceSource(connect(), **options)

    return source


def read(source: SalesforceSource, *streams: str) -> Reader:
    reader = Reader(*streams)
    reader.read(source)
    return reader


def rows(reader: Reader, stream: str) -> list[Row]:
    return list(reader.rows[stream].values())


def test_the_fiscal_calendar_and_the_business_hours_are_the_organisations_own(org: PracticeOrg, make: Make) -> None:
    reader = read(make(), "salesforce.period", "salesforce.business_hours", "salesforce.organization")
    year = [row for row in rows(reader, "salesforce.period") if row["type"] == "Year"]
    assert [(row["start_on"] or "")[4:] for row in year] == ["-01-01"]
    assert sum(row["type"] == "Quarter" for row in rows(reader, "salesforce.period")) == 4
    (hours,) = rows(reader, "salesforce.business_hours")
    assert (hours["is_default"], hours["zone"]) == ("true", "America/New_York")
    assert json.loads(hours["hours"] or "")["Monday"] == ["00:00", "00:00"]
    (organisation,) = rows(reader, "salesforce.organization")
    assert (organisation["zone"], organisation["fiscal_year_month"]) == ("America/New_York", "1")


def test_record_types_roles_and_queues_come_with_their_words(org: PracticeOrg, make: Make) -> None:
    kind = {"Name": "Partner deal", "DeveloperName": "Partner_Deal", "SobjectType": "Opportunity"}
    (record_type,) = org.create("RecordType", [kind])
    (role,) = org.create("UserRole", [{"Name": "Sales North", "DeveloperName": "Sales_North"}])
    queue, group = org.create("Group", [{"Name": "Inbound", "Type": "Queue"}, {"Name": "All", "Type": "Regular"}])
    reader = read(make(), "salesforce.record_type", "salesforce.user_role", "salesforce.group")
    named = reader.rows["salesforce.record_type"][record_type]
    assert (named["api_name"], named["of_object"]) == ("Partner_Deal", "Opportunity")
    assert reader.rows["salesforce.user_role"][role]["name"] == "Sales North"
    assert reader.rows["salesforce.group"][queue]["name"] == "Inbound"
    assert group not in reader.rows["salesforce.group"]


def test_only_changes_that_somebody_reads_are_kept_of_a_fields_history(org: PracticeOrg, make: Make) -> None:
    (lead,) = org.create("Lead", [{"LastName": "Doe", "Company": "Acme"}])
    words = {"LeadId": lead, "OldValue": "Open - Not Contacted", "NewValue": "Working - Contacted"}
    status, _ = org.create("LeadHistory", [{**words, "Field": "Status"}, {**words, "Field": "Phone"}])
    org.advance(5)
    for limits in (ReadLimits(), ReadLimits(bulk_above=0)):
        reader = Reader("salesforce.lead_history")
        reader.read_until_done(make(limits=limits), between=lambda: None, cycles=2_000)
        found = {row["record_id"]: row for row in rows(reader, "salesforce.lead_history") if row["record_ref"] == lead}
        assert list(found) == [status]
        assert (found[status]["field"], found[status]["new_value"]) == ("Status", "Working - Contacted")


def test_what_administrators_set_up_is_looked_at_once_an_hour_and_costs_no_call(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = Reader(*(stream.name for stream in source.streams))
    reader.read(source)
    org.advance(300)
    (role,) = org.create("UserRole", [{"Name": "Sales South"}])
    org.advance(300)
    for _ in range(2):
        reader.read(source)
        assert role not in reader.rows["salesforce.user_role"]
    org.advance(SETTINGS_EVERY.total_seconds())
    before = mark(org)
    for _ in range(3):
        reader.read(source)
    assert reader.rows["salesforce.user_role"][role]["name"] == "Sales South"
    assert calls(org, before) == [("POST", "/services/data/v64.0/composite/batch")] * 3
    assert not [name for name in SETTINGS if reader.cursors[name].watermark is None]


def test_an_organisation_with_one_currency_is_not_missed_the_others(org: PracticeOrg, make: Make) -> None:
    source = make()
    reader = read(source, "salesforce.currency_type", "salesforce.dated_conversion_rate")
    assert reader.rows == {"salesforce.currency_type": {}, "salesforce.dated_conversion_rate": {}}
    assert all(cursor.watermark for cursor in reader.cursors.values())
    assert source.learned()["unreadable"] == {}
    before = mark(org)
    reader.read(source)
    assert calls(org, before) == []


def test_an_object_that_we_may_not_read_is_said_and_costs_no_call_of_its_own(org: PracticeOrg, make: Make) -> None:
    source = make(activities=[activity_object("Nowhere__c", {"person_ref": ("Lead__c",)}, ())])
    reader = read(source, "salesforce.nowhere", "salesforce.user")
    assert list(source.learned()["unreadable"]) == ["salesforce.nowhere"]
    before = mark(org)
    reader.read(source)
    assert len(calls(org, before)) == 1
    assert list(source.learned()["unreadable"]) == ["salesforce.nowhere"]


def test_a_custom_objects_rows_are_acts(org: PracticeOrg, make: Make) -> None:
    org.control(
        "POST",
        "salesforce/objects",
        {
            "name": "Demo_Request__c",
            "fields": [
                {"name": "Lead__c", "type": "reference", "referenceTo": ["Lead"]},
                {"name": "Contact__c", "type": "reference", "referenceTo": ["Contact"]},
                {"name": "Asked_On__c", "type": "date"},
                {"name": "Product__c", "type": "string", "length": 80},
                {"name": "Region__c", "type": "string", "length": 80},
            ],
        },
    )
    (lead,) = org.create("Lead", [{"LastName": "Doe", "Company": "Acme"}])
    (contact,) = org.create("Contact", [{"LastName": "Roe"}])
    dated, undated = org.create(
        "Demo_Request__c",
        [
            {"Lead__c": lead, "Asked_On__c": "2026-07-01", "Product__c": "Cost Control", "Region__c": "North"},
            {"Contact__c": contact, "CreatedDate": "2026-07-02T10:00:00.000Z"},
        ],
    )
    org.advance(5)
    stream = "salesforce.demo_request"
    for limits in (ReadLimits(zone="America/New_York"), ReadLimits(zone="America/New_York", bulk_above=0)):
        reader = Reader(stream)
        reader.read_until_done(make(activities=[DEMO], limits=limits), between=lambda: None, cycles=2_000)
        act = reader.rows[stream][dated]
        assert (act["person_ref"], act["native_type"], act["asset"]) == (lead, "Demo_Request__c", "Cost Control")
        assert act["occurred_at"] == "2026-07-01T04:00:00.000Z", "the day begins where the organisation is"
        assert json.loads(act["attributes"] or "") == {"Region__c": "North"}
        assert reader.rows[stream][undated]["person_ref"] == contact
        assert reader.rows[stream][undated]["occurred_at"] == "2026-07-02T10:00:00.000Z"


@pytest.mark.parametrize(
    ("day", "began_at"),
    [("2026-07-01", "2026-07-01T04:00:00.000Z"), ("2026-12-01", "2026-12-01T05:00:00.000Z")],
    ids=["summer", "winter"],
)
def test_a_task_without_a_time_happened_on_the_organisations_day(
    org: PracticeOrg, make: Make, day: str, began_at: str
) -> None:
    (task,) = org.create("Task", [{"Subject": "Call", "ActivityDate": day}])
    org.advance(5)
    reader = read(make(limits=ReadLimits(zone="America/New_York")), "salesforce.task")
    assert reader.rows["salesforce.task"][task]["occurred_at"] == began_at


def test_several_currencies_come_with_their_rates_and_the_rates_ids(org: PracticeOrg, make: Make) -> None:
    source = make(limits=ReadLimits(describe_every=timedelta(0)))
    reader = read(source, "salesforce.currency_type", "salesforce.dated_conversion_rate", "salesforce.opportunity")
    org.control("POST", "salesforce/features", {"currencies": {"EUR": 0.9}, "corporate": "USD", "dated_rates": True})
    rate = {"IsoCode": "EUR", "StartDate": "2026-01-01", "NextStartDate": "2026-07-01", "ConversionRate": 0.85}
    (dated,) = org.create("DatedConversionRate", [rate])
    deal = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-12-31", "CurrencyIsoCode": "EUR"}
    (made,) = org.create("Opportunity", [deal])
    org.advance(SETTINGS_EVERY.total_seconds() + 5)
    for _ in range(3):
        reader.read(source)
    by_code = {row["currency"]: row for row in rows(reader, "salesforce.currency_type")}
    assert (by_code["USD"]["is_corporate"], by_code["EUR"]["rate"]) == ("true", "0.9")
    held = reader.rows["salesforce.dated_conversion_rate"][dated]
    assert (held["start_on"], held["until_on"], held["rate"]) == ("2026-01-01", "2026-07-01", "0.85")
    assert reader.rows["salesforce.opportunity"][made]["currency"] == "EUR"


def test_a_person_account_is_an_account_that_says_so_and_a_contact(
    org: PracticeOrg, make: Make, connect: Callable[[], SalesforceClient]
) -> None:
    org.control("POST", "salesforce/features", {"person_accounts": True})
    client = connect()
    person = client.tell("POST", "sobjects/Account", {"LastName": "Doe", "PersonEmail": "doe@home.example"})["id"]
    (company,) = org.create("Account", [{"Name": "Acme"}])
    org.advance(5)
    reader = read(make(), "salesforce.account", "salesforce.contact")
    assert reader.rows["salesforce.account"][company]["is_person"] == "false"
    half = reader.rows["salesforce.account"][person]
    assert half["is_person"] == "true"
    contact = reader.rows["salesforce.contact"][str(half["person_ref"])]
    assert (contact["is_person_account"], contact["email"], contact["account_ref"]) == (
        "true",
        "doe@home.example",
        person,
    )
