"""
From Salesforce's fields to neutral columns.
"""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.connectors.salesforce.mapping import OBJECTS, canonical_instant, chosen, plain_number, text_of
from worker.core.records import ENVELOPE, SHAPES

LEAD = OBJECTS["salesforce.lead"]
TASK = OBJECTS["salesforce.task"]
EVENT = OBJECTS["salesforce.event"]


def described(*names: str, **types: str) -> dict[str, dict[str, Any]]:
    return {name: {"type": types.get(name, "string"), "filterable": True} for name in (*names, *types)}


def everything(source: Any) -> dict[str, dict[str, Any]]:
    names = [name for candidates in source.columns.values() for name in candidates] + list(source.inputs)
    instants = dict.fromkeys(("SystemModstamp", "CreatedDate", "CompletedDateTime", "ActivityDateTime"), "datetime")
    return described(*names) | described(**instants)


@pytest.mark.parametrize("source", OBJECTS.values(), ids=lambda source: source.stream)
def test_every_column_is_one_of_its_shape(source: Any) -> None:
    selection, missing = chosen(source, everything(source), ["HW_A__c"], ["Rating__c"])
    allowed = set(ENVELOPE) | set(SHAPES[source.shape])
    assert missing == dict.fromkeys(("HW_A__c", "Rating__c"), "absent, or not visible to the integration user")
    assert set(selection.columns) <= allowed
    assert len(set(selection.columns)) == len(selection.columns)
    assert {"record_id", "stamp_at"} <= set(selection.columns)
    assert "created_at" in selection.columns or source.is_setting


@pytest.mark.parametrize("source", OBJECTS.values(), ids=lambda source: source.stream)
def test_only_what_is_worked_out_needs_a_look_at_each_row(source: Any) -> None:
    selection, _ = chosen(source, everything(source), [], [])
    worked_out = ("salesforce.task", "salesforce.event", "salesforce.business_hours")
    assert selection.is_straight == (source.stream not in worked_out)


def test_a_hidden_field_is_left_out_and_named() -> None:
    fields = everything(LEAD)
    del fields["Email"]
    selection, missing = chosen(LEAD, fields, [], [])
    assert "Email" not in selection.fields
    assert missing == {"Email": "not visible to the integration user"}


def test_currency_is_not_missed_where_there_is_only_one() -> None:
    fields = everything(OBJECTS["salesforce.opportunity"])
    del fields["CurrencyIsoCode"]
    _, missing = chosen(OBJECTS["salesforce.opportunity"], fields, [], [])
    assert missing == {}


@pytest.mark.parametrize(
    ("unfilterable", "stamp"),
    [
        ((), "SystemModstamp"),
        (("SystemModstamp",), "LastModifiedDate"),
        (("SystemModstamp", "LastModifiedDate"), "CreatedDate"),
        (("SystemModstamp", "LastModifiedDate", "CreatedDate"), None),
    ],
)
def test_a_window_runs_on_the_best_stamp_that_can_be_filtered(unfilterable: tuple[str, ...], stamp: str) -> None:
    fields = everything(LEAD) | described(LastModifiedDate="datetime")
    for name in unfilterable:
        fields[name] = {"type": "datetime", "filterable": False}
    assert chosen(LEAD, fields, [], [])[0].stamp == stamp


def test_our_fields_and_the_rules_own_come_under_their_names() -> None:
    fields = everything(LEAD) | described("HW_Cycle__c", "Rating__c")
    selection, _ = chosen(LEAD, fields, ["HW_Cycle__c"], ["Rating__c", "HW_Cycle__c"])
    assert selection.columns[-2:] == ("ours.HW_Cycle__c", "extra.Rating__c")


def test_free_text_is_not_copied() -> None:
    fields = everything(LEAD) | described(Notes__c="textarea")
    selection, missing = chosen(LEAD, fields, [], ["Notes__c"])
    assert "Notes__c" not in selection.fields
    assert missing == {"Notes__c": "a field of type textarea is not copied"}


def row_of(source: Any, **values: Any) -> dict[str, str | None]:
    selection, _ = chosen(source, everything(source), [], [])
    return dict(zip(selection.columns, selection.record_row(values), strict=True))


def test_a_finished_call_happened_when_it_was_finished() -> None:
    row = row_of(
        TASK,
        Id="00T1",
        WhoId="003A",
        AccountId="001A",
        ActivityDate="2026-11-10",
        CompletedDateTime="2026-11-09T08:30:00.000+0000",
        CreatedDate="2026-11-01T00:00:00.000+0000",
        TaskSubtype="Call",
        Type="Follow-up",
        Status="Completed",
        Subject="secret words",
    )
    assert row["occurred_at"] == "2026-11-09T08:30:00.000Z"
    assert row["native_type"] == "Task:Call"
    assert row["person_ref"] == "003A"
    assert row["account_ref"] is None
    assert row["attributes"] == '{"Type": "Follow-up", "Status": "Completed", "TaskSubtype": "Call"}'
    assert "secret" not in str(row)


def test_a_task_without_a_person_belongs_to_its_account() -> None:
    row = row_of(TASK, Id="00T1", AccountId="001A", ActivityDate="2026-11-10", Type="Letter")
    assert (row["person_ref"], row["account_ref"]) == (None, "001A")
    assert (row["occurred_at"], row["native_type"]) == ("2026-11-10T00:00:00.000Z", "Task:Letter")


def test_a_meeting_happens_at_its_hour_or_on_its_day() -> None:
    assert row_of(EVENT, ActivityDateTime="2026-11-10T15:00:00.000+0000", ActivityDate="2026-11-10")["occurred_at"] == (
        "2026-11-10T15:00:00.000Z"
    )
    assert row_of(EVENT, ActivityDate="2026-11-10")["occurred_at"] == "2026-11-10T00:00:00.000Z"
    assert row_of(EVENT)["native_type"] == "Event"


def test_instants_come_in_one_form() -> None:
    row = row_of(LEAD, Id="00Q1", SystemModstamp="2026-11-18T09:30:00.000+0000", ConvertedDate="2026-11-18")
    assert row["stamp_at"] == "2026-11-18T09:30:00.000Z"
    assert row["converted_at"] == "2026-11-18"
    assert canonical_instant("2026-11-18T09:30:00.000Z") == "2026-11-18T09:30:00.000Z"
    assert canonical_instant(None) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (Decimal("62.50"), "62.5"),
        (Decimal("100.0"), "100"),
        (Decimal("1E+7"), "10000000"),
        (Decimal("1.0E-3"), "0.001"),
        (Decimal("-0.0"), "0"),
        (Decimal("123456789012345.67"), "123456789012345.67"),
        ("plain", "plain"),
        ("a\0b", "ab"),
        ("", ""),
        ("\u2028", "\u2028"),
    ],
)
def test_a_value_is_written_one_way(value: Any, text: str | None) -> None:
    assert text_of(value) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=4))
def test_a_number_keeps_its_worth_and_has_no_exponent(number: Decimal) -> None:
    text = plain_number(number)
    assert Decimal(text) == number
    assert "e" not in text.lower()


def test_a_number_of_a_million_digits_does_not_fill_the_memory() -> None:
    assert plain_number(Decimal("1E+999999")) == "1E+999999"
