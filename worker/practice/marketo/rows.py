"""
The rows that go into the log: those a caller gives, and those the platform writes itself about a person's fate.

Pure: dictionaries in, ``NewActivity`` out. Called by ``org``.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from worker.practice.marketo.catalogue import (
    CHANGE_DATA_VALUE,
    DELETE_PERSON,
    MERGE_PEOPLE,
    NEW_PERSON,
    Field,
    knows_type,
)
from worker.practice.marketo.log import NewActivity
from worker.practice.marketo.people import Person
from worker.practice.marketo.times import parse_instant


def attribute_json(attributes: Mapping[str, Any]) -> str:
    """
    Attributes as the platform lists them; one without value is left out, an empty text stays.
    """
    items = [{"name": name, "value": value} for name, value in attributes.items() if value is not None]
    return json.dumps(items, ensure_ascii=False, separators=(",", ":"))


def value_text(value: Any) -> str | None:
    """
    A field's value as change rows spell it.
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _full_name(person: Person) -> str:
    return " ".join(part for part in (person.get("firstName"), person.get("lastName")) if part)


def new_person_row(person: Person) -> NewActivity:
    """
    Type 12: a person was made, at its ``createdAt``.
    """
    attributes = {
        "Created Date": person["createdAt"][:10],
        "Lead Source": person.get("leadSource"),
        "SFDC Type": person.get("sfdcType"),
        "Source Type": person.get("originalSourceType"),
    }
    return NewActivity(
        person=person["id"],
        at=parse_instant(person["createdAt"]),
        type=NEW_PERSON,
        campaign=None,
        primary_id=None,
        primary_value=None,
        attributes=attribute_json(attributes),
        changes="[]",
    )


def change_row(person: Person, field: Field, old: Any, new: Any, reason: str) -> NewActivity:
    """
    Type 13: one field of a person changed, at the person's ``updatedAt``.
    """
    change = {"id": field.number, "name": field.name, "newValue": value_text(new), "oldValue": value_text(old)}
    attributes = {"New Value": value_text(new), "Old Value": value_text(old), "Reason": reason, "Source": reason}
    return NewActivity(
        person=person["id"],
        at=parse_instant(person["updatedAt"]),
        type=CHANGE_DATA_VALUE,
        campaign=None,
        primary_id=field.number,
        primary_value=field.label,
        attributes=attribute_json(attributes),
        changes=json.dumps([change], ensure_ascii=False),
    )


def deletion_row(person: Person, now: int) -> NewActivity:
    """
    Type 37: a person was deleted.
    """
    return NewActivity(
        person=person["id"],
        at=now,
        type=DELETE_PERSON,
        campaign=None,
        primary_id=person["id"],
        primary_value=_full_name(person),
        attributes=attribute_json({"Remove from CRM": False}),
    )


def merge_row(winner: Person, losers: Sequence[int], taken: Sequence[str], now: int) -> NewActivity:
    """
    Type 32 at the winner: who was merged into it and which of its fields came from them.
    """
    attributes = {
        "Master Updated": bool(taken),
        "Merge Fields": "[" + ",".join(taken) + "]",
        "Merge IDs": "[" + ",".join(map(str, losers)) + "]",
        "Merge Source": "Web service API",
        "Merged in Sales": False,
    }
    return NewActivity(
        person=winner["id"],
        at=now,
        type=MERGE_PEOPLE,
        campaign=None,
        primary_id=winner["id"],
        primary_value=_full_name(winner),
        attributes=attribute_json(attributes),
    )


def activity_of(record: Mapping[str, Any], index: int) -> NewActivity:
    """
    One activity as the control API gives it. Raises ValueError naming the record.
    """
    try:
        person, number = int(record["leadId"]), int(record["activityTypeId"])
        at = parse_instant(str(record["activityDate"]))
        committed = record.get("committed_at")
        committed_at = None if committed is None else parse_instant(str(committed))
    except KeyError as error:
        raise ValueError(f"activity {index}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"activity {index}: {error}") from error
    if not knows_type(number):
        raise ValueError(f"activity {index}: no activity type {number}")
    campaign, primary = record.get("campaignId"), record.get("primaryAttributeValueId")
    return NewActivity(
        person=person,
        at=at,
        type=number,
        campaign=None if campaign is None else int(campaign),
        primary_id=None if primary is None else int(primary),
        primary_value=record.get("primaryAttributeValue"),
        attributes=attribute_json(record.get("attributes") or {}),
        committed_at=committed_at,
        behind=bool(record.get("behind", False)),
    )
