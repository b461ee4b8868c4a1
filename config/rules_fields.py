"""
The shape of ``fields.yaml``: which source a golden value comes from, and which Salesforce field each of ours goes to.

The names of golden fields and of our own values are fixed here; what an organisation may choose is in the file. The
picklist values below are what the shipped metadata declares.
"""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_serializer, model_validator

from config.rulemodel import ApiName, ApiNames, Days, Domains, RuleModel, Text, Texts, YesNo, as_list, spelt

BANDS: Final = ("High", "Medium", "Low", "None")
TEAMS: Final = ("Marketing", "Sales", "Partner", "Customer success")
CREDIT_BASES: Final = ("Contact roles", "Primary contact role", "Account")
CREDIT_STATES: Final = ("Open", "Final", "Lost")
LIFECYCLE_STAGES: Final = ("Inquiry", "MQL", "SAL", "SQL", "Opportunity", "Won", "Lost")

GOLDEN_PERSON: Final = frozenset(
    {
        "email",
        "first_name",
        "last_name",
        "title",
        "phone",
        "mobile_phone",
        "company",
        "website",
        "industry",
        "employees",
        "annual_revenue",
        "street",
        "city",
        "state",
        "postal_code",
        "country",
        "lead_source",
        "status",
        "rating",
        "owner_ref",
        "opted_out",
        "do_not_call",
    }
)
GOLDEN_ACCOUNT: Final = frozenset(
    {
        "name",
        "website",
        "industry",
        "employees",
        "annual_revenue",
        "type",
        "phone",
        "city",
        "country",
        "parent_ref",
        "owner_ref",
    }
)
GOLDEN_OPPORTUNITY: Final = frozenset(
    {
        "name",
        "account_ref",
        "amount",
        "currency",
        "stage",
        "is_closed",
        "is_won",
        "close_on",
        "type",
        "record_type_ref",
        "campaign_ref",
        "lead_source",
        "owner_ref",
    }
)

_PERSON_VALUES: Final = {
    "lifecycle": "Picklist",
    "lifecycle_since": "DateTime",
    "cycle": "Number",
    "original_source": "Text",
    "handover_due": "DateTime",
}

# Everything Headwater can write, by object and our own name, with the kind of field it needs.
WRITABLE: Final[dict[str, dict[str, str]]] = {
    "Account": {
        "engaged": "Checkbox",
        "engaged_since": "Date",
        "engaged_until": "Date",
        "engagement_band": "Picklist",
        "engaged_why": "Text",
    },
    "Opportunity": {
        "source_team": "Picklist",
        "source_channel": "Text",
        "source_offer": "Text",
        "influenced": "Checkbox",
        "marketing_share": "Percent",
        "credit_basis": "Picklist",
        "credit_state": "Picklist",
        "attribution_why": "Text",
    },
    "Lead": _PERSON_VALUES | {"matched_account": "Lookup", "match_why": "Text", "screened": "Text"},
    "Contact": _PERSON_VALUES,
    "HW_Touch__c": {
        "key": "Text",
        "opportunity": "MasterDetail",
        "contact": "Lookup",
        "campaign": "Lookup",
        "touched_on": "Date",
        "type": "Text",
        "channel": "Text",
        "offer": "Text",
        "team": "Text",
        "positions": "Text",
        "model": "Text",
        "pipeline_share": "Percent",
        "revenue_share": "Percent",
        "pipeline_amount": "Currency",
        "revenue_amount": "Currency",
        "pipeline_amount_corporate": "Number",
        "revenue_amount_corporate": "Number",
    },
}

# Where a list of allowed values stands behind a picklist of ours.
PICKLISTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("Account", "engagement_band"): BANDS,
    ("Opportunity", "source_team"): TEAMS,
    ("Opportunity", "credit_basis"): CREDIT_BASES,
    ("Opportunity", "credit_state"): CREDIT_STATES,
    ("Lead", "lifecycle"): LIFECYCLE_STAGES,
    ("Contact", "lifecycle"): LIFECYCLE_STAGES,
}

Kind = Literal[
    "Checkbox", "Date", "DateTime", "Picklist", "Text", "Number", "Percent", "Currency", "Lookup", "MasterDetail"
]
Keep = Literal["salesforce", "platform", "newest", "first_filled", "any_true", "largest", "smallest"]
Compare = Literal["text", "exact", "digits", "address", "never"]

StreamName = Annotated[Text, spelt(r"[a-z_]{2,40}\.[a-z_]{2,40}", "stream; write salesforce.contact")]

CustomObject = Annotated[
    Text, spelt(r"[A-Za-z][A-Za-z0-9_]{0,76}__c", "custom object; its name ends in __c, as Demo_Request__c")
]

# Headwater writes no standard field, because people and other tools type into those.
CustomField = Annotated[
    Text, spelt(r"[A-Za-z][A-Za-z0-9_]{0,76}__c", "custom field; only those are written, their names end in __c")
]

_TYPE: Final = re.compile(r"^(?P<kind>[A-Za-z]+)(?:\((?P<inner>[^()]*)\))?$")


class GoldenField(RuleModel):
    """
    Which value of several survives, what a blank means, and when two systems' values count as the same.
    """

    keep: Keep
    blank_wins: YesNo = False
    compare: Compare = "text"

    @model_validator(mode="after")
    def _blank_has_a_first(self) -> Self:
        if self.blank_wins and self.keep in ("any_true", "largest", "smallest"):
            raise ValueError(f'"blank_wins" says nothing where "keep" is {self.keep}: no record comes first')
        return self


class GoldenRecord(RuleModel):
    """
    The fields of one kind of golden record. ``order``: which stream of one system comes first.
    """

    order: Annotated[tuple[StreamName, ...], BeforeValidator(as_list)]
    fields: dict[str, GoldenField]


class ScreenRule(RuleModel):
    """
    Who never reaches sales: anyone that any of the lists fits. ``label`` is the reason as people read it.

    ``email_prefixes`` are whole local parts (what stands before the @), ``title_words`` whole words or phrases.
    """

    label: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    domains: Domains = ()
    email_prefixes: Texts = ()
    title_words: Texts = ()

    @model_validator(mode="after")
    def _says_who(self) -> Self:
        if not (self.domains or self.email_prefixes or self.title_words):
            raise ValueError('needs one of "domains", "email_prefixes", "title_words"')
        return self


class FieldType(RuleModel):
    """
    A Salesforce field type as people write it: Checkbox, Text(255), Percent(5,2), Lookup(Account).

    ``precision`` counts all digits and ``scale`` those behind the point, as Salesforce's metadata does.
    """

    kind: Kind
    length: Annotated[int, Field(ge=1, le=255)] | None = None
    precision: Annotated[int, Field(ge=1, le=18)] | None = None
    scale: Annotated[int, Field(ge=0, le=17)] | None = None
    to: ApiName | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _TYPE.match(value.replace(" ", ""))
        if found is None:
            raise ValueError(f'"{value}" is no field type; write Text(80), Percent(5,2), Lookup(Account), Checkbox')
        kind, inner = found["kind"], found["inner"]
        if kind == "Text":
            return {"kind": kind, "length": inner}
        if kind in ("Number", "Percent", "Currency"):
            precision, _, scale = (inner or "").partition(",")
            return {"kind": kind, "precision": precision, "scale": scale}
        return {"kind": kind} | ({"to": inner} if inner is not None else {})

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs = {"Lookup": "to", "MasterDetail": "to"}.get(self.kind)
        if needs is not None and self.to is None:
            raise ValueError(f"{self.kind} needs the object it points to, as {self.kind}(Account)")
        if needs is None and self.to is not None:
            raise ValueError(f"{self.kind} takes nothing in brackets")
        if self.precision is not None and self.scale is not None and self.scale >= self.precision:
            raise ValueError(f"{self} leaves no digit before the point")
        return self

    @model_serializer
    def _to_text(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if self.length is not None:
            return f"{self.kind}({self.length})"
        if self.precision is not None:
            return f"{self.kind}({self.precision},{self.scale})"
        return f"{self.kind}({self.to})" if self.to is not None else self.kind


class WriteTarget(RuleModel):
    """
    The Salesforce field one of our values goes to. ``min_move_days``: a date that moves less is not rewritten.
    """

    field: CustomField
    type: FieldType
    external_id: YesNo = False
    min_move_days: Days | None = None


class ActivityObject(RuleModel):
    """
    Which fields of a custom object say whose act a row is, when it happened, and what else is kept of it.

    ``person`` are fields that hold a lead or a contact, ``account`` ones that hold an account: of several the first
    that is filled. ``at`` is a date or an instant; empty, the row's creation. ``type`` is a field whose value is put
    behind the object's name ("Demo_Request__c:Online").
    """

    person: ApiNames = ()
    account: ApiNames = ()
    at: ApiNames = ()
    type: ApiNames = ()
    asset: ApiNames = ()
    campaign: ApiNames = ()
    actor: ApiNames = ()
    attributes: ApiNames = ()

    @model_validator(mode="after")
    def _says_whose(self) -> Self:
        if not (self.person or self.account):
            raise ValueError('needs "person" or "account": a field that says whose act it was')
        return self


class TouchRecords(RuleModel):
    """
    Records beneath a deal, one a touch: at most so many a deal, beside one that sums the others. A deal that closed
    more than so many months ago is left as it is.
    """

    enabled: YesNo = True
    most_a_deal: Annotated[int, Field(ge=1, le=100)] = 10
    months_after_close: Annotated[int, Field(ge=1, le=120)] = 24


class FieldRules(RuleModel):
    """
    ``fields.yaml``. In ``write``, values that are switched ``off`` are absent.

    ``free_mail_domains`` and ``role_mailboxes`` come on top of the built-in lists; the ``not_`` ones leave them.
    """

    person: GoldenRecord
    account: GoldenRecord
    opportunity: GoldenRecord
    extra: dict[StreamName, ApiNames]
    activities: dict[CustomObject, ActivityObject]
    free_mail_domains: Domains
    not_free_mail_domains: Domains
    role_mailboxes: Texts
    not_role_mailboxes: Texts
    screens: tuple[ScreenRule, ...]
    touch_records: TouchRecords = TouchRecords()
    write: dict[Text, dict[Text, WriteTarget]]

    @field_validator("write", mode="before")
    @classmethod
    def _without_off(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: {ours: target for ours, target in targets.items() if target != "off"}
            if isinstance(targets, dict)
            else ({} if targets == "off" else targets)
            for name, targets in value.items()
        }
