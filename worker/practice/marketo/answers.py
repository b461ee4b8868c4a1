"""
How the practice Marketo's answers look: the envelope, people, activities, changes, programs, members and describe.

Pure: records in, JSON-ready dictionaries out. Called by ``routes``.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from worker.practice.marketo.catalogue import ALWAYS_NULL, CHANGE_DATA_VALUE, Field
from worker.practice.marketo.log import Activity
from worker.practice.marketo.refusal import Refusal
from worker.practice.marketo.times import parse_instant, spell, spell_asset

_MEMBER_DEFAULTS: Final = ("acquiredBy", "leadId", "membershipDate", "programId", "reachedSuccess")
MEMBER_FIELDS: Final = frozenset(
    {*_MEMBER_DEFAULTS, "createdAt", "updatedAt", "statusName", "statusReason", "reachedSuccessDate", "program"}
)


def request_id(count: int) -> str:
    """
    An id in the platform's shape, different for every call.
    """
    digest = hashlib.sha256(str(count).encode()).hexdigest()
    return f"{digest[:5]}#{digest[5:16]}"


def write_token(kind: str, *numbers: int) -> str:
    """
    An opaque token of a kind and some numbers, with a check on it.
    """
    text = ":".join((kind, *map(str, numbers)))
    return base64.b32encode(f"{_check(text)}{text}".encode()).decode()


def read_token(kind: str, token: str) -> list[int]:
    """
    The numbers of a token that ``write_token`` made; any other text is refused.
    """
    try:
        text = base64.b32decode(token.encode()).decode()
    except ValueError as error:
        raise Refusal("1003", "Invalid nextPageToken") from error
    check, text = text[:6], text[6:]
    name, *numbers = text.split(":")
    if check != _check(text) or name != kind:
        raise Refusal("1003", "Invalid nextPageToken")
    return [int(number) for number in numbers]


def _check(text: str) -> str:
    return hashlib.sha256(f"practice:{text}".encode()).hexdigest()[:6]


def person_shape(person: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """
    The asked fields of a person, null where there is no value.
    """
    return {name: None if name == ALWAYS_NULL else person.get(name) for name in ("id", *fields)}


def activity_shape(activity: Activity, numbering: str) -> dict[str, Any]:
    """
    One activity; see ``MarketoOrg`` for ``numbering``.
    """
    shape = _head(activity, numbering)
    if activity.campaign is not None:
        shape["campaignId"] = activity.campaign
    if activity.primary_id is not None:
        shape["primaryAttributeValueId"] = activity.primary_id
    if activity.primary_value is not None:
        shape["primaryAttributeValue"] = activity.primary_value
    shape["attributes"] = json.loads(activity.attributes)
    return shape


def change_shape(activity: Activity, numbering: str, fields: frozenset[str]) -> dict[str, Any] | None:
    """
    A type 12 or 13 with the changes of the asked fields; None for a type 13 that changed none of them.
    """
    changes = [change for change in json.loads(activity.changes or "[]") if change["name"] in fields]
    if activity.type == CHANGE_DATA_VALUE and not changes:
        return None
    attributes = [a for a in json.loads(activity.attributes) if a["name"] not in {"New Value", "Old Value"}]
    lead = {"name": "Lead ID", "value": activity.person}
    return {**_head(activity, numbering), "fields": changes, "attributes": [*attributes, lead]}


def _head(activity: Activity, numbering: str) -> dict[str, Any]:
    shape: dict[str, Any] = {"id": activity.number}
    if numbering == "absent":
        shape = {}
    elif numbering == "repeating":
        shape = {"id": activity.number % 1000}
    return {
        **shape,
        "marketoGUID": str(activity.number),
        "leadId": activity.person,
        "activityDate": spell(activity.at),
        "activityTypeId": activity.type,
    }


def program_shape(program: Mapping[str, Any], *, full: bool) -> dict[str, Any]:
    """
    A program; tags and costs are given only where one program is asked for.
    """
    shape = {name: value for name, value in program.items() if name not in {"tags", "costs"}}
    stamps = {name: spell_asset(parse_instant(program[name])) for name in ("createdAt", "updatedAt")}
    shape = {"description": "", "headStart": False, **shape, **stamps}
    shape.setdefault("folder", {"type": "Folder", "value": 28, "folderName": "Marketing Activities"})
    shape.setdefault("url", f"https://app-practice.marketo.test/#PG{program['id']}A1")
    if full:
        shape |= {"tags": program.get("tags"), "costs": program.get("costs")}
    return shape


def member_shape(member: Mapping[str, Any], fields: Sequence[str], seq: int) -> dict[str, Any]:
    """
    One membership with the asked fields.
    """
    return {"seq": seq, **{name: member.get(name) for name in fields or _MEMBER_DEFAULTS}}


def describe2(fields: Iterable[Field], searchable: Iterable[str]) -> list[dict[str, Any]]:
    """
    ``/rest/v1/leads/describe2.json``: the fields and which of them people can be looked up by.
    """
    shapes = []
    for field in fields:
        shape: dict[str, Any] = {"name": field.name, "displayName": field.label, "dataType": field.data_type}
        if field.length is not None:
            shape["length"] = field.length
        shape |= {"updateable": not field.read_only, "crmManaged": field.name.startswith("sfdc")}
        shapes.append(shape)
    searchable_fields = [[name] for name in searchable]
    return [{"name": "API Lead", "searchableFields": searchable_fields, "fields": shapes}]


def describe(fields: Iterable[Field]) -> list[dict[str, Any]]:
    """
    ``/rest/v1/leads/describe.json``: the older description.
    """
    return [
        {
            "id": field.number,
            "displayName": field.label,
            "dataType": field.data_type,
            **({"length": field.length} if field.length is not None else {}),
            "rest": {"name": field.name, "readOnly": field.read_only},
        }
        for field in fields
    ]
