"""
From Salesforce's fields to the neutral columns: one table an object, and how a value is written as text.

It is pure: which fields to ask for is decided from the table, the names the rules want, and the object's description.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

Values = Mapping[str, str | None]
Projection = Callable[[Values], list[str | None]]

# Stamps that a window may run on, best first (the later ones do not move on every change).
STAMPS: Final = ("SystemModstamp", "LastModifiedDate", "CreatedDate")
# Fields that many organisations rightly do not have.
OPTIONAL: Final = frozenset({"CurrencyIsoCode", "RecordTypeId", "MasterRecordId", "IsDeleted", "TaskSubtype"})
# Types that are not copied as further fields: free text, files, and compounds that repeat their parts.
_UNCOPIED_TYPES: Final = frozenset({"textarea", "base64", "address", "location", "encryptedstring", "complexvalue"})
_SALESFORCE_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")
_NUMBER_DIGITS: Final = 60


@dataclass(frozen=True)
class ObjectMap:
    """
    One stream: its object, its shape, and neutral column -> field (the first that is visible of several).

    ``inputs`` and ``project`` serve streams whose rows are worked out from several fields: ``computed`` names the
    columns that ``project`` gives, in order. ``has_bulk`` is false where Bulk refuses the object.
    """

    stream: str
    object_name: str
    shape: str
    columns: Mapping[str, Sequence[str]]
    inputs: Sequence[str] = ()
    computed: Sequence[str] = ()
    project: Projection | None = None
    has_bulk: bool = True
    is_required: bool = True


@dataclass(frozen=True)
class Selection:
    """
    What is asked for and what becomes of it.

    ``fields`` in the order of the query; ``columns`` in the order of the rows given on. Where ``is_straight``, the two
    correspond one to one and a CSV can go on untouched.
    """

    source: ObjectMap
    fields: tuple[str, ...]
    names: tuple[tuple[str, str], ...]  # neutral column, field; in the order of the columns
    stamp: str | None
    instants: frozenset[str] = field(default=frozenset())

    @property
    def columns(self) -> tuple[str, ...]:
        """
        The neutral columns of a row.
        """
        return tuple(column for column, _ in self.names) + tuple(self.source.computed)

    @property
    def is_straight(self) -> bool:
        """
        Whether columns and fields correspond one to one.
        """
        return self.source.project is None and tuple(name for _, name in self.names) == self.fields

    def row(self, values: Values) -> list[str | None]:
        """
        The row of one record's field values.
        """
        row = [values.get(name) for _, name in self.names]
        if self.source.project is not None:
            row += self.source.project(values)
        return row

    def record_row(self, record: Mapping[str, Any]) -> list[str | None]:
        """
        The row of one record as REST answers it.
        """
        values = {name: text_of(record.get(name)) for name in self.fields}
        for name in self.instants:
            values[name] = canonical_instant(values.get(name))
        return self.row(values)

    def renamed(self, fields: Sequence[str]) -> tuple[str, ...]:
        """
        The neutral columns of the fields, for a CSV in another order of columns. Raises KeyError for an unknown field.
        """
        column_of = {name.casefold(): column for column, name in self.names}
        return tuple(column_of[name.casefold()] for name in fields)


def chosen(
    source: ObjectMap, described: Mapping[str, Mapping[str, Any]], ours: Sequence[str], extra: Sequence[str]
) -> tuple[Selection, dict[str, str]]:
    """
    The selection for one stream, and the wanted fields that are missing with the reason.

    ``described`` is field name -> its description ("type", "filterable" ...), ``ours`` the fields we write, ``extra``
    further ones the rules name.
    """
    missing: dict[str, str] = {}
    names: list[tuple[str, str]] = []
    stamp = next((name for name in STAMPS if described.get(name, {}).get("filterable")), None)
    wanted = {**source.columns, "stamp_at": (stamp,) if stamp else STAMPS}
    for column, candidates in wanted.items():
        found = next((name for name in candidates if name in described), None)
        if found is not None:
            names.append((column, found))
        elif candidates[0] not in OPTIONAL:
            missing[candidates[0]] = "not visible to the integration user"
    taken = set(ours)
    further = [("ours", name) for name in ours] + [("extra", name) for name in extra if name not in taken]
    for kind, name in further:
        reason = _why_not(described.get(name), is_ours=kind == "ours")
        if reason is None:
            names.append((f"{kind}.{name}", name))
        else:
            missing[name] = reason
    fields = list(dict.fromkeys(name for _, name in names))
    for name in source.inputs:
        if name in described:
            fields += [name] if name not in fields else []
        elif name not in OPTIONAL:
            missing[name] = "not visible to the integration user"
    instants = frozenset(name for name in fields if described[name].get("type") == "datetime")
    return Selection(source, tuple(fields), tuple(names), stamp, instants), missing


def _why_not(description: Mapping[str, Any] | None, *, is_ours: bool) -> str | None:
    if description is None:
        return "absent, or not visible to the integration user"
    if not is_ours and description.get("type") in _UNCOPIED_TYPES:
        return f"a field of type {description['type']} is not copied"
    return None


def text_of(value: Any) -> str | None:
    """
    A JSON value as canonical text: true/false, the shortest plain decimal, text without NUL; None stays None.
    """
    if value is None or isinstance(value, bool):
        return None if value is None else ("true" if value else "false")
    if isinstance(value, Decimal | int):
        return plain_number(Decimal(value))
    if isinstance(value, str):
        return value.replace("\0", "") if "\0" in value else value
    return json.dumps(value, default=str)


def plain_number(number: Decimal) -> str:
    """
    The shortest decimal without exponent: 62.50 -> "62.5", 1E+2 -> "100".
    """
    if not number.is_finite() or abs(number.adjusted()) > _NUMBER_DIGITS:
        return str(number)  # no number of a business: the store's own check puts the value aside
    text = format(number.normalize(), "f")
    return "0" if text == "-0" else text


def canonical_instant(text: str | None) -> str | None:
    """
    "2026-11-18T09:30:00.000+0000" as "2026-11-18T09:30:00.000Z", the form that Bulk answers; another form stays.
    """
    if text is not None and _SALESFORCE_INSTANT.fullmatch(text):
        return text[:-5] + "Z"
    return text


def _midnight(day: str | None) -> str | None:
    # A day without a time counts from its beginning in UTC.
    return f"{day}T00:00:00.000Z" if day else None


def _attributes(values: Values, names: Sequence[str]) -> str:
    return json.dumps({name: values[name] for name in names if values.get(name)}, ensure_ascii=False)


def _account_without_person(values: Values) -> str | None:
    return None if values.get("WhoId") else values.get("AccountId")


def _task_row(values: Values) -> list[str | None]:
    kind = values.get("TaskSubtype") or values.get("Type")
    occurred_at = values.get("CompletedDateTime") or _midnight(values.get("ActivityDate")) or values.get("CreatedDate")
    return [
        _account_without_person(values),
        canonical_instant(occurred_at),
        f"Task:{kind}" if kind else "Task",
        _attributes(values, ("Type", "Status", "TaskSubtype")),
    ]


def _event_row(values: Values) -> list[str | None]:
    occurred_at = values.get("ActivityDateTime") or _midnight(values.get("ActivityDate")) or values.get("CreatedDate")
    return [
        _account_without_person(values),
        canonical_instant(occurred_at),
        "Event",
        _attributes(values, ("Type",)),
    ]


_ENVELOPE: Final[dict[str, Sequence[str]]] = {
    "record_id": ("Id",),
    "created_at": ("CreatedDate",),
    "is_deleted": ("IsDeleted",),
}
_MERGED: Final[dict[str, Sequence[str]]] = {"merged_into": ("MasterRecordId",)}
_NAMED_PERSON: Final[dict[str, Sequence[str]]] = {
    "email": ("Email",),
    "first_name": ("FirstName",),
    "last_name": ("LastName",),
    "title": ("Title",),
    "phone": ("Phone",),
    "mobile_phone": ("MobilePhone",),
    "lead_source": ("LeadSource",),
    "owner_ref": ("OwnerId",),
    "opted_out": ("HasOptedOutOfEmail",),
    "do_not_call": ("DoNotCall",),
}
_ACT: Final = ("account_ref", "occurred_at", "native_type", "attributes")

_LEAD: Final = ObjectMap(
    "salesforce.lead",
    "Lead",
    "person",
    {
        **_ENVELOPE,
        **_MERGED,
        **_NAMED_PERSON,
        "company": ("Company",),
        "website": ("Website",),
        "industry": ("Industry",),
        "employees": ("NumberOfEmployees",),
        "annual_revenue": ("AnnualRevenue",),
        "street": ("Street",),
        "city": ("City",),
        "state": ("State",),
        "postal_code": ("PostalCode",),
        "country": ("Country",),
        "status": ("Status",),
        "rating": ("Rating",),
        "converted_at": ("ConvertedDate",),
        "converted_contact_ref": ("ConvertedContactId",),
        "converted_account_ref": ("ConvertedAccountId",),
        "converted_opportunity_ref": ("ConvertedOpportunityId",),
    },
)
_CONTACT: Final = ObjectMap(
    "salesforce.contact",
    "Contact",
    "person",
    {
        **_ENVELOPE,
        **_MERGED,
        **_NAMED_PERSON,
        "street": ("MailingStreet",),
        "city": ("MailingCity",),
        "state": ("MailingState",),
        "postal_code": ("MailingPostalCode",),
        "country": ("MailingCountry",),
        "account_ref": ("AccountId",),
    },
)
_ACCOUNT: Final = ObjectMap(
    "salesforce.account",
    "Account",
    "account",
    {
        **_ENVELOPE,
        **_MERGED,
        "name": ("Name",),
        "website": ("Website",),
        "industry": ("Industry",),
        "employees": ("NumberOfEmployees",),
        "annual_revenue": ("AnnualRevenue",),
        "type": ("Type",),
        "phone": ("Phone",),
        "city": ("BillingCity",),
        "country": ("BillingCountry",),
        "parent_ref": ("ParentId",),
        "owner_ref": ("OwnerId",),
    },
)
_OPPORTUNITY: Final = ObjectMap(
    "salesforce.opportunity",
    "Opportunity",
    "opportunity",
    {
        **_ENVELOPE,
        "name": ("Name",),
        "account_ref": ("AccountId",),
        "amount": ("Amount",),
        "currency": ("CurrencyIsoCode",),
        "stage": ("StageName",),
        "is_closed": ("IsClosed",),
        "is_won": ("IsWon",),
        "close_on": ("CloseDate",),
        "type": ("Type",),
        "record_type_ref": ("RecordTypeId",),
        "campaign_ref": ("CampaignId",),
        "lead_source": ("LeadSource",),
        "owner_ref": ("OwnerId",),
    },
)
_ROLE: Final = ObjectMap(
    "salesforce.opportunity_contact_role",
    "OpportunityContactRole",
    "role",
    {
        **_ENVELOPE,
        "opportunity_ref": ("OpportunityId",),
        "contact_ref": ("ContactId",),
        "role": ("Role",),
        "is_primary": ("IsPrimary",),
    },
)
_HISTORY: Final = ObjectMap(
    "salesforce.opportunity_history",
    "OpportunityHistory",
    "stage_change",
    {
        **_ENVELOPE,
        "opportunity_ref": ("OpportunityId",),
        "stage": ("StageName",),
        "amount": ("Amount",),
        "close_on": ("CloseDate",),
        "probability": ("Probability",),
    },
    is_required=False,
)
_STAGE: Final = ObjectMap(
    "salesforce.opportunity_stage",
    "OpportunityStage",
    "stage",
    {
        **_ENVELOPE,
        "name": ("ApiName", "MasterLabel"),
        "is_closed": ("IsClosed",),
        "is_won": ("IsWon",),
        "sort_order": ("SortOrder",),
    },
    has_bulk=False,
)
_CAMPAIGN: Final = ObjectMap(
    "salesforce.campaign",
    "Campaign",
    "campaign",
    {
        **_ENVELOPE,
        "name": ("Name",),
        "type": ("Type",),
        "status": ("Status",),
        "start_on": ("StartDate",),
        "end_on": ("EndDate",),
        "cost": ("ActualCost",),
        "parent_ref": ("ParentId",),
    },
)
_MEMBER: Final = ObjectMap(
    "salesforce.campaign_member",
    "CampaignMember",
    "member",
    {
        **_ENVELOPE,
        "campaign_ref": ("CampaignId",),
        "lead_ref": ("LeadId",),
        "contact_ref": ("ContactId",),
        "status": ("Status",),
        "has_responded": ("HasResponded",),
        "responded_on": ("FirstRespondedDate",),
    },
)
_TASK: Final = ObjectMap(
    "salesforce.task",
    "Task",
    "activity",
    {**_ENVELOPE, "person_ref": ("WhoId",), "actor_ref": ("OwnerId",)},
    inputs=("AccountId", "ActivityDate", "CompletedDateTime", "Type", "Status", "TaskSubtype"),
    computed=_ACT,
    project=_task_row,
    is_required=False,
)
_EVENT: Final = ObjectMap(
    "salesforce.event",
    "Event",
    "activity",
    {**_ENVELOPE, "person_ref": ("WhoId",), "actor_ref": ("OwnerId",)},
    inputs=("AccountId", "ActivityDateTime", "ActivityDate", "Type"),
    computed=_ACT,
    project=_event_row,
    is_required=False,
)
_USER: Final = ObjectMap(
    "salesforce.user",
    "User",
    "user",
    {
        **_ENVELOPE,
        "name": ("Name",),
        "is_active": ("IsActive",),
        "user_type": ("UserType",),
        "department": ("Department",),
        "title": ("Title",),
    },
)

OBJECTS: Final[dict[str, ObjectMap]] = {
    each.stream: each
    for each in (
        _USER,
        _STAGE,
        _ACCOUNT,
        _CONTACT,
        _LEAD,
        _CAMPAIGN,
        _MEMBER,
        _OPPORTUNITY,
        _ROLE,
        _HISTORY,
        _TASK,
        _EVENT,
    )
}
