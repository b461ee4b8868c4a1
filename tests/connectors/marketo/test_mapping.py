"""
From Marketo's fields to neutral columns.
"""

import json
from decimal import Decimal
from typing import Any

import pytest

from worker.connectors.marketo.mapping import (
    ACTIVITY_COLUMNS,
    PERSON_FIELDS,
    PROGRAM_COLUMNS,
    activity_row,
    canonical,
    cost_of,
    gone_row,
    instant,
    merges_of,
    person_columns,
    person_row,
    program_row,
    text_of,
)
from worker.core.records import ENVELOPE, SHAPES


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-16T23:32:19Z", "2026-01-16T23:32:19.000Z"),
        ("2026-01-16T23:32:19+0000", "2026-01-16T23:32:19.000Z"),
        ("2026-01-16T23:32:19Z+0000", "2026-01-16T23:32:19.000Z"),
        ("2026-01-21T11:47:30-08:00", "2026-01-21T19:47:30.000Z"),
        ("2026-01-21T11:47:30-0800", "2026-01-21T19:47:30.000Z"),
        ("2026-01-21T11:47:30.123Z", "2026-01-21T11:47:30.000Z"),
        ("2026-01-21 11:47:30Z", "2026-01-21T11:47:30.000Z"),
        ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z"),
    ],
)
def test_an_instant_is_read_in_each_of_marketos_forms(text: str, meant: str) -> None:
    at = instant(text)
    assert at is not None
    assert canonical(at) == meant


@pytest.mark.parametrize(
    "text", [None, "", "yesterday", "2026-01-16", "2026-01-16T23:32:19", "2026-02-30T00:00:00Z", "1768606339", 7]
)
def test_what_is_no_instant_is_not_guessed_at(text: Any) -> None:
    assert instant(text) is None


@pytest.mark.parametrize(
    ("columns", "shape"),
    [(ACTIVITY_COLUMNS, "activity"), (PROGRAM_COLUMNS, "campaign"), (tuple(PERSON_FIELDS), "person")],
)
def test_every_column_is_one_of_its_shape(columns: tuple[str, ...], shape: str) -> None:
    assert set(columns) <= set(ENVELOPE) | set(SHAPES[shape])


def activity(**values: Any) -> dict[str, str | None]:
    whole = {"marketoGUID": "9", "leadId": 1, "activityDate": "2026-01-16T23:32:19Z", "activityTypeId": 2} | values
    return dict(zip(ACTIVITY_COLUMNS, activity_row(whole), strict=True))


def test_an_activity_is_keyed_by_its_guid_and_only_else_by_its_id() -> None:
    assert activity(id=102988)["record_id"] == "9"
    assert activity(id=102988, marketoGUID=None)["record_id"] == "102988"


def test_a_change_of_status_belongs_to_its_program() -> None:
    row = activity(activityTypeId=104, primaryAttributeValueId=1001, primaryAttributeValue="Cost Control", campaignId=7)
    assert (row["campaign_ref"], row["asset"], row["native_type"]) == ("1001", "Cost Control", "104")
    assert json.loads(row["attributes"] or "") == {"campaignId": "7"}


def test_a_smart_campaign_is_not_taken_for_a_program() -> None:
    assert activity(campaignId=1142, primaryAttributeValueId=7)["campaign_ref"] is None


def test_attributes_are_texts_of_one_kind() -> None:
    given = [
        {"name": "Is Bot Activity", "value": False},
        {"name": "Campaign Run ID", "value": "20326"},
        {"name": "Choice Number", "value": 5},
        {"name": "Link", "value": "https://acme.com/a\u2028b\0c"},
        {"name": "Empty", "value": ""},
        {"name": "None", "value": None},
    ]
    assert json.loads(activity(attributes=given)["attributes"] or "") == {
        "Is Bot Activity": "false",
        "Campaign Run ID": "20326",
        "Choice Number": "5",
        "Link": "https://acme.com/a\u2028bc",
    }


def test_a_person_links_to_salesforce() -> None:
    columns = person_columns(list(PERSON_FIELDS.values()), ["leadScore"])
    person = {
        "id": 7,
        "sfdcLeadId": "00QA",
        "sfdcContactId": None,
        "unsubscribed": True,
        "annualRevenue": Decimal("1.50"),
    }
    row = dict(zip(columns, person_row(person, columns), strict=True))
    assert (row["record_id"], row["lead_ref"], row["contact_ref"]) == ("7", "00QA", None)
    assert (row["opted_out"], row["annual_revenue"], row["is_deleted"]) == ("true", "1.5", "false")


def test_a_merged_person_names_the_survivor_and_nothing_else() -> None:
    columns = person_columns(list(PERSON_FIELDS.values()), [])
    row = dict(zip(columns, gone_row("2", "2026-01-16T23:32:19.000Z", "1", columns), strict=True))
    assert {name: value for name, value in row.items() if value is not None} == {
        "record_id": "2",
        "stamp_at": "2026-01-16T23:32:19.000Z",
        "is_deleted": "true",
        "merged_into": "1",
    }


@pytest.mark.parametrize("ids", ["[2,3]", "2,3", "2; 3", "[2, 3, 1]"])
def test_merge_ids_are_read_in_any_punctuation(ids: str) -> None:
    assert merges_of({"leadId": 1, "attributes": [{"name": "Merge IDs", "value": ids}]}) == {"2": "1", "3": "1"}


def test_costs_are_added_to_the_cent() -> None:
    costs = [{"startDate": "2026-01-01", "cost": Decimal("0.1")}, {"startDate": "2026-02-01", "cost": Decimal("0.2")}]
    assert cost_of({"costs": costs}) == Decimal("0.3")
    assert cost_of({"costs": None}) is None
    assert cost_of({}) is None


def test_a_program_is_a_campaign_of_its_channel() -> None:
    program = {
        "id": 1107,
        "name": "Fair",
        "channel": "Trade Show",
        "sfdcId": "701A",
        "startDate": "2026-03-01T00:00:00Z",
    }
    row = dict(zip(PROGRAM_COLUMNS, program_row(program, Decimal("250.50")), strict=True))
    assert (row["type"], row["linked_ref"], row["start_on"], row["cost"]) == (
        "Trade Show",
        "701A",
        "2026-03-01",
        "250.5",
    )


@pytest.mark.parametrize(
    ("value", "text"), [("", None), (0, "0"), (False, "false"), (Decimal("100.0"), "100"), ("NA", "NA")]
)
def test_a_value_is_written_one_way(value: Any, text: str | None) -> None:
    assert text_of(value) == text
