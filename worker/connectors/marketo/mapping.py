"""
From Marketo's fields to the neutral columns, and its four ways to write an instant.

It is pure: one answer's entry in, one row of text out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

Row = list[str | None]

# Person: neutral column -> field.
PERSON_FIELDS: Final[dict[str, str]] = {
    "record_id": "id",
    "stamp_at": "updatedAt",
    "created_at": "createdAt",
    "email": "email",
    "first_name": "firstName",
    "last_name": "lastName",
    "title": "title",
    "phone": "phone",
    "mobile_phone": "mobilePhone",
    "company": "company",
    "website": "website",
    "industry": "industry",
    "employees": "numberOfEmployees",
    "annual_revenue": "annualRevenue",
    "street": "address",
    "city": "city",
    "state": "state",
    "postal_code": "postalCode",
    "country": "country",
    "lead_source": "leadSource",
    "status": "leadStatus",
    "rating": "rating",
    "opted_out": "unsubscribed",
    "do_not_call": "doNotCall",
    "account_ref": "sfdcAccountId",
    "lead_ref": "sfdcLeadId",
    "contact_ref": "sfdcContactId",
}
# Without these a person cannot be read at all.
NEEDED_FIELDS: Final = frozenset({"id", "updatedAt"})
_INSTANTS: Final = frozenset({"stamp_at", "created_at"})

ACTIVITY_COLUMNS: Final = (
    "record_id",
    "stamp_at",
    "created_at",
    "is_deleted",
    "person_ref",
    "occurred_at",
    "native_type",
    "asset",
    "campaign_ref",
    "attributes",
)
PROGRAM_COLUMNS: Final = (
    "record_id",
    "stamp_at",
    "created_at",
    "is_deleted",
    "name",
    "type",
    "status",
    "start_on",
    "end_on",
    "cost",
    "linked_ref",
)
MERGE_TYPE: Final = 32
# Types whose asset is a program; the ``campaignId`` that others carry is a smart campaign's, another kind of thing.
_PROGRAM_TYPES: Final = frozenset({"104"})
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(Z?)([+-]\d\d:?\d\d)?")
_DIGITS: Final = re.compile(r"\d+")


def instant(text: Any) -> datetime | None:
    """
    An instant in any of Marketo's forms (…Z, …+0000, …Z+0000, …-08:00), aware UTC; None for anything else.

    An instant without zone is none: guessing one would move the day.
    """
    found = _INSTANT.fullmatch(str(text).strip()) if text is not None else None
    if found is None or not (found.group(3) or found.group(4)):
        return None
    zone = (found.group(4) or "+0000").replace(":", "")
    clock = found.group(2) if len(found.group(2)) == 8 else found.group(2) + ":00"
    try:
        return datetime.strptime(f"{found.group(1)}T{clock}{zone}", "%Y-%m-%dT%H:%M:%S%z").astimezone(UTC)
    except ValueError:
        return None


def spelled(at: datetime) -> str:
    """
    "2026-11-18T09:30:00Z", as Marketo takes the ends of a window.
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical(at: datetime) -> str:
    """
    "2026-11-18T09:30:00.000Z".
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def text_of(value: Any) -> str | None:
    """
    A JSON value as canonical text; empty text counts as no value, NUL is dropped.
    """
    if value is None or isinstance(value, bool):
        return None if value is None else ("true" if value else "false")
    if isinstance(value, Decimal | int):
        number = Decimal(value)
        return format(number.normalize(), "f") if abs(number.adjusted()) < 60 else str(number)
    if isinstance(value, str):
        return value.replace("\0", "") or None
    return json.dumps(value, default=str, ensure_ascii=False)


def _instant_text(value: Any) -> str | None:
    # What cannot be read as an instant goes on as it is: the store puts that one record aside, with the value.
    at = instant(value)
    return canonical(at) if at is not None else text_of(value)


def person_columns(fields: Sequence[str], extra: Sequence[str]) -> list[str]:
    """
    The columns of ``person_row`` for the fields that are asked for.
    """
    asked = [column for column, name in PERSON_FIELDS.items() if name in fields]
    return [*asked, "is_deleted", "merged_into", *(f"extra.{name}" for name in extra if name in fields)]


def person_row(person: Mapping[str, Any], columns: Sequence[str]) -> Row:
    """
    One person as leads.json gives it.
    """
    row: Row = []
    for column in columns:
        if column == "is_deleted":
            row.append("false")
        elif column == "merged_into":
            row.append(None)
        elif column in _INSTANTS:
            row.append(_instant_text(person.get(PERSON_FIELDS[column])))
        else:
            name = column.removeprefix("extra.") if column.startswith("extra.") else PERSON_FIELDS[column]
            row.append(text_of(person.get(name)))
    return row


def gone_row(person_id: str, at: str | None, winner: str | None, columns: Sequence[str]) -> Row:
    """
    A person that was deleted, or merged into ``winner``; everything else is null.
    """
    known = {"record_id": person_id, "stamp_at": at, "is_deleted": "true", "merged_into": winner}
    return [known.get(column) for column in columns]


def activity_row(activity: Mapping[str, Any]) -> Row:
    """
    One activity, in the order of ACTIVITY_COLUMNS. The key is ``marketoGUID``: ``id`` may be missing or repeat.
    """
    at = _instant_text(activity.get("activityDate"))
    native_type = text_of(activity.get("activityTypeId"))
    attributes = attributes_of(activity)
    campaign = attributes.get("Program ID")
    if native_type in _PROGRAM_TYPES:
        campaign = text_of(activity.get("primaryAttributeValueId"))
    if activity.get("campaignId") is not None:
        attributes["campaignId"] = text_of(activity["campaignId"]) or ""
    return [
        text_of(activity.get("marketoGUID")) or text_of(activity.get("id")),
        at,
        at,
        "false",
        text_of(activity.get("leadId")),
        at,
        native_type,
        text_of(activity.get("primaryAttributeValue")),
        campaign,
        json.dumps(attributes, ensure_ascii=False),
    ]


def attributes_of(activity: Mapping[str, Any]) -> dict[str, str]:
    """
    An activity's further attributes as texts; those without a value are left out.
    """
    texts: dict[str, str] = {}
    for entry in _objects(activity.get("attributes")):
        value = text_of(entry.get("value"))
        if value is not None:
            texts[text_of(entry.get("name")) or ""] = value
    return texts


def merges_of(activity: Mapping[str, Any]) -> dict[str, str]:
    """
    Loser -> winner of a merge activity, whose ``Merge IDs`` are numbers in any punctuation.
    """
    winner = text_of(activity.get("leadId"))
    losers = _DIGITS.findall(attributes_of(activity).get("Merge IDs", ""))
    return {loser: winner for loser in losers if winner is not None and loser != winner}


def program_row(program: Mapping[str, Any], cost: Decimal | None) -> Row:
    """
    One program, in the order of PROGRAM_COLUMNS.
    """
    return [
        text_of(program.get("id")),
        _instant_text(program.get("updatedAt")),
        _instant_text(program.get("createdAt")),
        "false",
        text_of(program.get("name")),
        text_of(program.get("channel")),
        text_of(program.get("status")),
        _day(program.get("startDate")),
        _day(program.get("endDate")),
        text_of(cost),
        text_of(program.get("sfdcId")),
    ]


def cost_of(program: Mapping[str, Any]) -> Decimal | None:
    """
    The sum of a program's period costs; None where it has none.
    """
    costs = [entry.get("cost") for entry in _objects(program.get("costs"))]
    numbers = [number for number in map(_number, costs) if number is not None]
    return sum(numbers, Decimal(0)) if numbers else None


def _number(value: Any) -> Decimal | None:
    # A number past the store's own bound would not even be added up.
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 60 else None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _day(value: Any) -> str | None:
    return str(value)[:10] if value else None
