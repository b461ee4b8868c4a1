"""
From Salesforce's fields to the neutral columns: one table an object, and how a value is written as text.

It is pure: which fields to ask for is decided from the table, the names the rules want, and the object's description.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

Values = Mapping[str, str | None]
# The values of a record's inputs, and the organisation's time zone.
Projection = Callable[[Values, str], list[str | None]]

# Stamps that a window may run on, best first (the later ones do not move on every change).
STAMPS: Final = ("SystemModstamp", "LastModifiedDate", "CreatedDate")
# Fields that many organisations rightly do not have.
OPTIONAL: Final = frozenset(
    {
        "CurrencyIsoCode",
        "RecordTypeId",
        "MasterRecordId",
        "IsDeleted",
        "TaskSubtype",
        "IsPersonAccount",
        "PersonContactId",
    }
)
# Types that are not copied as further fields: free text, files, and compounds that repeat their parts.
_UNCOPIED_TYPES: Final = frozenset({"textarea", "base64", "address", "location", "encryptedstring", "complexvalue"})
_NUMBER_TYPES: Final = frozenset({"double", "currency", "percent", "int", "long"})
_SALESFORCE_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")
_NUMBER_DIGITS: Final = 60


@dataclass(frozen=True)
class ObjectMap:
    """
    One stream: its object, its shape, and neutral column -> field (the first that is visible of several).

    ``inputs`` and ``project`` serve streams whose rows are worked out from several fields: ``computed`` names the
    columns that ``project`` gives, in order. ``has_bulk`` is false where Bulk refuses the object. ``conditions`` narrow
    what is read at all. ``is_setting`` is what administrators set up: it is looked at once in a while. ``is_optional``
    objects are rightly absent in many organisations, and count as empty there.
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
    conditions: Sequence[str] = ()
    is_setting: bool = False
    is_optional: bool = False


@dataclass(frozen=True)
class Selection:
    """
    What is asked for and what becomes of it.

    ``fields`` in the order of the query; ``columns`` in the order of the rows given on. Where ``is_straight``, the two
    correspond one to one and a CSV can go on untouched. ``zone`` is where a day without a time begins.
    """

    source: ObjectMap
    fields: tuple[str, ...]
    names: tuple[tuple[str, str], ...]  # neutral column, field; in the order of the columns
    stamp: str | None
    instants: frozenset[str] = field(default=frozenset())
    zone: str = "UTC"
    numbers: frozenset[str] = field(default=frozenset())

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
            row += self.source.project(values, self.zone)
        return row

    @property
    def own_numbers(self) -> frozenset[str]:
        """
        The neutral columns of ``ours`` and ``extra`` that hold numbers.
        """
        return frozenset(column for column, name in self.names if name in self.numbers and "." in column)

    def csv_row(self, values: Values) -> list[str | None]:
        """
        The row of one record's field values as Bulk answers them, with numbers spelled as REST's are.
        """
        return self.row({name: _plain(cell) if name in self.numbers else cell for name, cell in values.items()})

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
    source: ObjectMap,
    described: Mapping[str, Mapping[str, Any]],
    ours: Sequence[str],
    extra: Sequence[str],
    zone: str = "UTC",
) -> tuple[Selection, dict[str, str]]:
    """
    The selection for one stream, and the wanted fields that are missing with the reason.

    ``described`` is field name -> its description ("type", "filterable" ...), ``ours`` the fields we write, ``extra``
    further ones the rules name, ``zone`` the organisation's time zone.
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
    kinds = {name: described[name].get("type") for name in fields}
    instants = frozenset(name for name, kind in kinds.items() if kind == "datetime")
    numbers = frozenset(name for name, kind in kinds.items() if kind in _NUMBER_TYPES)
    return Selection(source, tuple(fields), tuple(names), stamp, instants, zone, numbers), missing


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


def _plain(cell: str | None) -> str | None:
    try:
        return None if cell is None else plain_number(Decimal(cell))
    except InvalidOperation:
        return cell


def canonical_instant(text: str | None) -> str | None:
    """
    "2026-11-18T09:30:00.000+0000" as "2026-11-18T09:30:00.000Z", the form that Bulk answers; another form stays.
    """
    if text is not None and _SALESFORCE_INSTANT.fullmatch(text):
        return text[:-5] + "Z"
    return text


def _midnight(day: str | None, zone: str) -> str | None:
    # A day without a time counts from its beginning where the organisation is.
    if not day:
        return None
    try:
        began_at = datetime.combine(date.fromisoformat(day), time(), ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return day  # no day of a calendar: the store's own check puts the record aside
    return began_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _attributes(values: Values, names: Sequence[str]) -> str:
    return json.dumps({name: values[name] for name in names if values.get(name)}, ensure_ascii=False)


def _account_without_person(values: Values) -> str | None:
    return None if values.get("WhoId") else values.get("AccountId")


def _task_row(values: Values, zone: str) -> list[str | None]:
    kind = values.get("TaskSubtype") or values.get("Type")
    day = _midnight(values.get("ActivityDate"), zone)
    occurred_at = values.get("CompletedDateTime") or day or values.get("CreatedDate")
    return [
        _account_without_person(values),
        canonical_instant(occurred_at),
        f"Task:{kind}" if kind else "Task",
        _attributes(values, ("Type", "Status", "TaskSubtype")),
    ]


def _event_row(values: Values, zone: str) -> list[str | None]:
    day = _midnight(values.get("ActivityDate"), zone)
    occurred_at = values.get("ActivityDateTime") or day or values.get("CreatedDate")
    return [
        _account_without_person(values),
        canonical_instant(occurred_at),
        "Event",
        _attributes(values, ("Type",)),
    ]


_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _hours_row(values: Values, _zone: str) -> list[str | None]:
    # Equal ends are the whole day; a day without hours is closed.
    spans = {day: [values.get(f"{day}StartTime"), values.get(f"{day}EndTime")] for day in _DAYS}
    return [json.dumps({day: [(at or "")[:5] for at in span] for day, span in spans.items() if all(span)})]


def activity_object(object_name: str, fields: Mapping[str, Sequence[str]], attributes: Sequence[str]) -> ObjectMap:
    """
    A custom object whose rows are acts; its stream is "salesforce.demo_request" for Demo_Request__c. ``fields`` is
    column of the shape (person_ref, account_ref, occurred_at, asset,
    campaign_ref, actor_ref, native_type) -> the object's fields, the first that is filled of several. The native type
    is the object's name, with ":" and that field's value where one is named.
    """
    names = ("person_ref", "account_ref", "asset", "campaign_ref", "actor_ref")
    computed = (*(name for name in names if name in fields), "occurred_at", "native_type", "attributes")

    def first(values: Values, column: str) -> str | None:
        return next((values[name] for name in fields.get(column, ()) if values.get(name)), None)

    def project(values: Values, zone: str) -> list[str | None]:
        moment = first(values, "occurred_at") or values.get("CreatedDate")
        is_day = moment is not None and len(moment) == len("2026-11-18")
        kind = first(values, "native_type")
        row = {
            "occurred_at": _midnight(moment, zone) if is_day else canonical_instant(moment),
            "native_type": f"{object_name}:{kind}" if kind else object_name,
            "attributes": _attributes(values, attributes),
        }
        # An act of a person is not the account's own too.
        person = first(values, "person_ref")
        return [
            row[name] if name in row else None if name == "account_ref" and person else first(values, name)
            for name in computed
        ]

    inputs = tuple(dict.fromkeys([*(name for each in fields.values() for name in each), *attributes]))
    stream = f"salesforce.{object_name.removesuffix('__c').lower()}"
    return ObjectMap(
        stream, object_name, "activity", _ENVELOPE, inputs=inputs, computed=computed, project=project, is_required=False
    )


def touch_object(stream: str, object_name: str, key: str, parent: str) -> ObjectMap:
    """
    The records that we keep beneath deals, one a touch: known by our ``key``, beneath the deal in ``parent``. An
    organisation without them has none. Their creation is not read: it is ours, and no news when it is read back.
    """
    columns = {"record_id": ("Id",), "is_deleted": ("IsDeleted",), "key": (key,), "opportunity_ref": (parent,)}
    return ObjectMap(stream, object_name, "touch_record", columns, is_required=False, is_optional=True)


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
        "is_person_account": ("IsPersonAccount",),
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
        "is_person": ("IsPersonAccount",),
        "person_ref": ("PersonContactId",),
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
        "currency": ("CurrencyIsoCode",),
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
        "role_ref": ("UserRoleId",),
    },
)

# What Salesforce noted of changes of single fields. Lifecycle reads a lead's status and owner: who moved it on, and
# when. Funnel reads how often a deal was put off.
_CHANGE: Final[dict[str, Sequence[str]]] = {
    **_ENVELOPE,
    "field": ("Field",),
    "old_value": ("OldValue",),
    "new_value": ("NewValue",),
    "actor_ref": ("CreatedById",),
}
_LEAD_CHANGE: Final = ObjectMap(
    "salesforce.lead_history",
    "LeadHistory",
    "field_change",
    {**_CHANGE, "record_ref": ("LeadId",)},
    conditions=("Field IN ('Status', 'Owner', 'leadConverted')",),
    is_required=False,
)
_DEAL_CHANGE: Final = ObjectMap(
    "salesforce.opportunity_field_history",
    "OpportunityFieldHistory",
    "field_change",
    {**_CHANGE, "record_ref": ("OpportunityId",)},
    conditions=("Field IN ('StageName', 'Amount', 'CloseDate', 'Owner')",),
    is_required=False,
)
# Which status of a campaign is a response. Read by the readiness report: members never moved off the first one.
_MEMBER_STATUS: Final = ObjectMap(
    "salesforce.campaign_member_status",
    "CampaignMemberStatus",
    "member_status",
    {
        **_ENVELOPE,
        "campaign_ref": ("CampaignId",),
        "name": ("Label",),
        "has_responded": ("HasResponded",),
        "is_default": ("IsDefault",),
        "sort_order": ("SortOrder",),
    },
    is_required=False,
    is_setting=True,
)
# Words for ids. Record types are named in the rules of deals, roles and queues in those of teams and of the handover.
_RECORD_TYPE: Final = ObjectMap(
    "salesforce.record_type",
    "RecordType",
    "label",
    {
        "record_id": ("Id",),
        "created_at": ("CreatedDate",),
        "name": ("Name",),
        "api_name": ("DeveloperName",),
        "of_object": ("SobjectType",),
        "is_active": ("IsActive",),
    },
    has_bulk=False,
    is_required=False,
    is_setting=True,
)
_USER_ROLE: Final = ObjectMap(
    "salesforce.user_role",
    "UserRole",
    "label",
    {"record_id": ("Id",), "name": ("Name",), "api_name": ("DeveloperName",), "parent_ref": ("ParentRoleId",)},
    has_bulk=False,
    is_required=False,
    is_setting=True,
)
_QUEUE: Final = ObjectMap(
    "salesforce.group",
    "Group",
    "label",
    {"record_id": ("Id",), "created_at": ("CreatedDate",), "name": ("Name",), "api_name": ("DeveloperName",)},
    has_bulk=False,
    is_required=False,
    conditions=("Type = 'Queue'",),
    is_setting=True,
)
# The organisation's own calendar: reports by fiscal month, quarter and year, and the periods that can be locked.
_PERIOD: Final = ObjectMap(
    "salesforce.period",
    "Period",
    "period",
    {
        "record_id": ("Id",),
        "type": ("Type",),
        "number": ("Number",),
        "start_on": ("StartDate",),
        "end_on": ("EndDate",),
        "year_ref": ("FiscalYearSettingsId",),
        "name": ("FullyQualifiedLabel",),
    },
    has_bulk=False,
    is_required=False,
    is_setting=True,
)
# When sales work: the clock of a handover runs in these hours.
_HOURS: Final = ObjectMap(
    "salesforce.business_hours",
    "BusinessHours",
    "business_hours",
    {
        "record_id": ("Id",),
        "created_at": ("CreatedDate",),
        "name": ("Name",),
        "is_default": ("IsDefault",),
        "is_active": ("IsActive",),
        "zone": ("TimeZoneSidKey",),
    },
    inputs=tuple(f"{day}{end}Time" for day in _DAYS for end in ("Start", "End")),
    computed=("hours",),
    project=_hours_row,
    has_bulk=False,
    is_required=False,
    is_setting=True,
)
# Rates with their own ids, which a converted amount names; only organisations with several currencies have them.
_CURRENCY: Final = ObjectMap(
    "salesforce.currency_type",
    "CurrencyType",
    "currency_rate",
    {
        "record_id": ("Id",),
        "created_at": ("CreatedDate",),
        "currency": ("IsoCode",),
        "rate": ("ConversionRate",),
        "decimal_places": ("DecimalPlaces",),
        "is_corporate": ("IsCorporate",),
        "is_active": ("IsActive",),
    },
    has_bulk=False,
    is_required=False,
    is_setting=True,
    is_optional=True,
)
_DATED_RATE: Final = ObjectMap(
    "salesforce.dated_conversion_rate",
    "DatedConversionRate",
    "currency_rate",
    {
        "record_id": ("Id",),
        "created_at": ("CreatedDate",),
        "currency": ("IsoCode",),
        "rate": ("ConversionRate",),
        "start_on": ("StartDate",),
        "until_on": ("NextStartDate",),
    },
    has_bulk=False,
    is_required=False,
    is_setting=True,
    is_optional=True,
)
# Its time zone and fiscal year, to be held against what the rules say.
_ORGANIZATION: Final = ObjectMap(
    "salesforce.organization",
    "Organization",
    "organization",
    {
        "record_id": ("Id",),
        "created_at": ("CreatedDate",),
        "name": ("Name",),
        "zone": ("TimeZoneSidKey",),
        "fiscal_year_month": ("FiscalYearStartMonth",),
        "year_named_by_start": ("UsesStartDateAsFiscalYearName",),
        "is_sandbox": ("IsSandbox",),
    },
    has_bulk=False,
    is_required=False,
    is_setting=True,
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
        _LEAD_CHANGE,
        _DEAL_CHANGE,
        _MEMBER_STATUS,
        _RECORD_TYPE,
        _USER_ROLE,
        _QUEUE,
        _PERIOD,
        _HOURS,
        _CURRENCY,
        _DATED_RATE,
        _ORGANIZATION,
    )
}
