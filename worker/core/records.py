"""
The neutral shapes of source records: what a platform's payload becomes at the door, column by column.

A connector's mapping turns native rows into these columns and the store keeps them as received, one table a shape, one
row a (stream, record id). Nothing downstream knows a platform's own field names. All values travel as text and are
typed by PostgreSQL when a page is saved, so that one bad value costs one record and not the page.

Column types are PostgreSQL's. ``*_ref`` holds another record's id as its platform spells it.
"""

from typing import Final

# Present in every shape and filled for every record.
#   stream      "salesforce.lead"; record_id the platform's own id (Salesforce: 18 characters)
#   stamp_at    the platform's own change stamp, the one its cursor runs on
#   is_deleted  deleted, or merged away (then merged_into names the survivor)
#   ours        the fields we write, as last read, {"HW_Engaged__c": "true"}; empty ones are absent
#   extra       further fields that the rules name, {"Rating": "Hot"}
ENVELOPE: Final[dict[str, str]] = {
    "stream": "text",
    "record_id": "text",
    "stamp_at": "timestamptz",
    "created_at": "timestamptz",
    "is_deleted": "boolean",
    "merged_into": "text",
    "ours": "jsonb",
    "extra": "jsonb",
}

# Leads, contacts, the marketing platform's people.
PERSON: Final[dict[str, str]] = {
    "email": "text",
    "first_name": "text",
    "last_name": "text",
    "title": "text",
    "phone": "text",
    "mobile_phone": "text",
    "company": "text",
    "website": "text",
    "industry": "text",
    "employees": "numeric",
    "annual_revenue": "numeric",
    "street": "text",
    "city": "text",
    "state": "text",
    "postal_code": "text",
    "country": "text",
    "lead_source": "text",
    "status": "text",
    "rating": "text",
    "owner_ref": "text",
    "opted_out": "boolean",
    "do_not_call": "boolean",
    "is_person_account": "boolean",  # a contact that is one half of an account which is a person
    "account_ref": "text",  # a contact's account; the platform's own link to a Salesforce account
    "lead_ref": "text",  # the marketing platform's link to a Salesforce lead
    "contact_ref": "text",  # the marketing platform's link to a Salesforce contact
    "converted_at": "timestamptz",
    "converted_contact_ref": "text",
    "converted_account_ref": "text",
    "converted_opportunity_ref": "text",
}

ACCOUNT: Final[dict[str, str]] = {
    "name": "text",
    "website": "text",
    "industry": "text",
    "employees": "numeric",
    "annual_revenue": "numeric",
    "type": "text",
    "phone": "text",
    "city": "text",
    "country": "text",
    "parent_ref": "text",
    "owner_ref": "text",
    "is_person": "boolean",  # no company: one person, whose other half is the contact person_ref
    "person_ref": "text",
}

OPPORTUNITY: Final[dict[str, str]] = {
    "name": "text",
    "account_ref": "text",
    "amount": "numeric",
    "currency": "text",
    "stage": "text",
    "is_closed": "boolean",
    "is_won": "boolean",
    "close_on": "date",
    "type": "text",
    "record_type_ref": "text",
    "campaign_ref": "text",
    "lead_source": "text",
    "owner_ref": "text",
}

ROLE: Final[dict[str, str]] = {
    "opportunity_ref": "text",
    "contact_ref": "text",
    "role": "text",
    "is_primary": "boolean",
}

# One row a change of a deal's stage; the first is its creation.
STAGE_CHANGE: Final[dict[str, str]] = {
    "opportunity_ref": "text",
    "stage": "text",
    "amount": "numeric",
    "close_on": "date",
    "probability": "numeric",
}

# The stages an organisation uses, read from it and never named in code.
STAGE: Final[dict[str, str]] = {
    "name": "text",
    "is_closed": "boolean",
    "is_won": "boolean",
    "sort_order": "numeric",
}

CAMPAIGN: Final[dict[str, str]] = {
    "name": "text",
    "type": "text",  # Salesforce's campaign type, the platform's program channel
    "status": "text",
    "start_on": "date",
    "end_on": "date",
    "cost": "numeric",
    "currency": "text",  # of the cost; empty = the organisation's own
    "parent_ref": "text",
    "linked_ref": "text",  # the platform's link to the Salesforce campaign of the same thing
}

MEMBER: Final[dict[str, str]] = {
    "campaign_ref": "text",
    "lead_ref": "text",
    "contact_ref": "text",
    "status": "text",
    "has_responded": "boolean",
    "responded_on": "date",
}

# Everything a person did, or that was done towards one: platform activities, tasks, meetings.
ACTIVITY: Final[dict[str, str]] = {
    "person_ref": "text",  # whose: the platform's own person id, or a Salesforce lead or contact id
    "account_ref": "text",  # for an act without a person
    "occurred_at": "timestamptz",
    "native_type": "text",  # the platform's own word or number for the type ("2", "Task:Call")
    "asset": "text",  # the form, page, mail or program it happened on
    "campaign_ref": "text",  # the program or campaign it belongs to
    "actor_ref": "text",  # the user who did it, where a user did
    "attributes": "jsonb",  # the platform's further attributes, as text values
}

USER: Final[dict[str, str]] = {
    "name": "text",
    "is_active": "boolean",
    "user_type": "text",
    "department": "text",
    "title": "text",
    "role_ref": "text",
}

# One row a change of a single field, as the platform noted it.
FIELD_CHANGE: Final[dict[str, str]] = {
    "record_ref": "text",
    "field": "text",
    "old_value": "text",
    "new_value": "text",
    "actor_ref": "text",
}

# A status that members of one campaign may have.
MEMBER_STATUS: Final[dict[str, str]] = {
    "campaign_ref": "text",
    "name": "text",
    "has_responded": "boolean",
    "is_default": "boolean",
    "sort_order": "numeric",
}

# Words for an id: a record type, a user's role, a queue; the stream says which.
LABEL: Final[dict[str, str]] = {
    "name": "text",
    "api_name": "text",
    "of_object": "text",
    "parent_ref": "text",
    "is_active": "boolean",
}

# A month, quarter or year of the organisation's fiscal calendar, both days counted.
PERIOD: Final[dict[str, str]] = {
    "type": "text",
    "number": "numeric",
    "start_on": "date",
    "end_on": "date",
    "year_ref": "text",
    "name": "text",
}

BUSINESS_HOURS: Final[dict[str, str]] = {
    "name": "text",
    "is_default": "boolean",
    "is_active": "boolean",
    "zone": "text",
    "hours": "jsonb",  # {"Monday": ["09:00", "17:00"]}; equal ends are the whole day, a day that is absent is closed
}

# What one unit of the corporate currency is in another one. A rate without start_on holds for all days that no dated
# rate of its currency covers; until_on is the first day on which a dated one holds no more.
CURRENCY_RATE: Final[dict[str, str]] = {
    "currency": "text",
    "rate": "numeric",
    "start_on": "date",
    "until_on": "date",
    "is_corporate": "boolean",
    "is_active": "boolean",
    "decimal_places": "numeric",
}

ORGANIZATION: Final[dict[str, str]] = {
    "name": "text",
    "zone": "text",
    "fiscal_year_month": "numeric",
    "year_named_by_start": "boolean",  # by the calendar year in which it begins; else by that in which it ends
    "is_sandbox": "boolean",
}

# A record that we keep beneath a deal for one of its touches. It is read to be compared with what it should hold, and
# is no act and no source of anything.
TOUCH_RECORD: Final[dict[str, str]] = {
    "key": "text",  # our external id of it
    "opportunity_ref": "text",
}

SHAPES: Final[dict[str, dict[str, str]]] = {
    "person": PERSON,
    "account": ACCOUNT,
    "opportunity": OPPORTUNITY,
    "role": ROLE,
    "stage_change": STAGE_CHANGE,
    "stage": STAGE,
    "campaign": CAMPAIGN,
    "member": MEMBER,
    "activity": ACTIVITY,
    "user": USER,
    "field_change": FIELD_CHANGE,
    "member_status": MEMBER_STATUS,
    "label": LABEL,
    "period": PERIOD,
    "business_hours": BUSINESS_HOURS,
    "currency_rate": CURRENCY_RATE,
    "organization": ORGANIZATION,
    "touch_record": TOUCH_RECORD,
}

# Shapes that resolve looks at record by record. The others are looked up when something else is decided.
RESOLVED: Final = frozenset(
    {
        "person",
        "account",
        "opportunity",
        "role",
        "activity",
        "member",
        "campaign",
        "stage",
        "stage_change",
        "user",
        "label",
    }
)
# Shapes of nothing but fields of ours: whatever moves in such a record is the plan's to look at.
OURS_ALONE: Final = frozenset({"touch_record"})
# Columns that only tie a source record to others, or say what kind of record it is.
_TIES: Final = frozenset({"lead_ref", "contact_ref", "is_person_account", "is_person", "person_ref"})


def golden_fields(kind: str) -> dict[str, str]:
    """
    The columns that a golden person, account or opportunity may hold: those of its shape, less what only ties a source
    record to others.
    """
    return {
        name: type_ for name, type_ in SHAPES[kind].items() if name not in _TIES and not name.startswith("converted_")
    }
