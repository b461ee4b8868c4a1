"""
What a Marketo subscription knows by itself: the fields of a person and the types of activities with their attributes.

Names, numbers and data types are the platform's. The list of fields is the part of its standard fields that people
use, not all of them. Read by every module of this package; decides nothing.
"""

from typing import Any, Final, NamedTuple


class Field(NamedTuple):
    """
    A field of a person: its number in change rows, REST name, label, data type and length (None where there is none).
    """

    number: int
    name: str
    label: str
    data_type: str
    length: int | None = None
    read_only: bool = False


_STRING = 255

FIELDS: Final[tuple[Field, ...]] = (
    Field(1, "id", "Id", "integer", None, read_only=True),
    Field(2, "company", "Company Name", "string", _STRING),
    Field(3, "site", "Site", "string", _STRING),
    Field(5, "website", "Website", "url", _STRING),
    Field(7, "numberOfEmployees", "Num Employees", "integer"),
    Field(8, "annualRevenue", "Annual Revenue", "currency"),
    Field(9, "industry", "Industry", "string", _STRING),
    Field(10, "billingCountry", "Billing Country", "string", _STRING),
    Field(46, "salutation", "Salutation", "string", _STRING),
    Field(48, "firstName", "First Name", "string", _STRING),
    Field(50, "lastName", "Last Name", "string", _STRING),
    Field(51, "email", "Email Address", "email", _STRING),
    Field(52, "phone", "Phone Number", "phone", _STRING),
    Field(53, "mobilePhone", "Mobile Phone Number", "phone", _STRING),
    Field(54, "title", "Job Title", "string", _STRING),
    Field(55, "department", "Department", "string", _STRING),
    Field(56, "address", "Address", "text"),
    Field(57, "city", "City", "string", _STRING),
    Field(58, "state", "State", "string", _STRING),
    Field(59, "country", "Country", "string", _STRING),
    Field(60, "postalCode", "Postal Code", "string", _STRING),
    Field(61, "leadSource", "Lead Source", "string", _STRING),
    Field(62, "leadStatus", "Lead Status", "string", _STRING),
    Field(63, "rating", "Lead Rating", "string", _STRING),
    Field(64, "leadScore", "Lead Score", "integer"),
    Field(65, "unsubscribed", "Unsubscribed", "boolean"),
    Field(66, "doNotCall", "Do Not Call", "boolean"),
    Field(67, "emailInvalid", "Email Invalid", "boolean"),
    Field(68, "marketingSuspended", "Marketing Suspended", "boolean"),
    Field(69, "blackListed", "Black Listed", "boolean"),
    Field(70, "isAnonymous", "Is Anonymous", "boolean", None, read_only=True),
    Field(71, "originalSourceType", "Original Source Type", "string", _STRING, read_only=True),
    Field(72, "originalSourceInfo", "Original Source Info", "string", _STRING, read_only=True),
    Field(73, "originalReferrer", "Original Referrer", "url", 2000, read_only=True),
    Field(74, "originalSearchEngine", "Original Search Engine", "string", _STRING, read_only=True),
    Field(75, "originalSearchPhrase", "Original Search Phrase", "string", _STRING, read_only=True),
    Field(76, "acquisitionProgramId", "Acquisition Program", "integer"),
    Field(77, "acquisitionDate", "Acquisition Date", "datetime"),
    Field(80, "createdAt", "Created At", "datetime", None, read_only=True),
    Field(81, "updatedAt", "Updated At", "datetime", None, read_only=True),
    Field(90, "sfdcId", "SFDC Id", "string", _STRING, read_only=True),
    Field(91, "sfdcType", "SFDC Type", "string", _STRING, read_only=True),
    Field(92, "sfdcLeadId", "SFDC Lead Id", "string", 18, read_only=True),
    Field(93, "sfdcContactId", "SFDC Contact Id", "string", 18, read_only=True),
    Field(94, "sfdcAccountId", "SFDC Account Id", "string", 18, read_only=True),
    Field(95, "sfdcLeadOwnerId", "SFDC Lead Owner Id", "string", 18, read_only=True),
)

# Given when a reader names no fields.
DEFAULT_FIELDS: Final = ("id", "email", "updatedAt", "createdAt", "firstName", "lastName")

# What people may be looked up by. There is no filter on updatedAt, by design of the platform.
SEARCHABLE: Final = ("id", "email", "sfdcLeadId", "sfdcContactId", "sfdcAccountId")

# A formula field: the platform shows it in describe and answers null for every person.
ALWAYS_NULL: Final = "sfdcId"

NEW_PERSON: Final = 12
CHANGE_DATA_VALUE: Final = 13
MERGE_PEOPLE: Final = 32
DELETE_PERSON: Final = 37

_WEB: Final = "Client IP Address, Query Parameters, Referrer URL, User Agent"
_MAIL: Final = "Campaign Run ID, Choice Number, Step ID, Test Variant"
_BOT: Final = "Is Bot Activity, Bot Activity Pattern"
_BOUNCE: Final = f"{_MAIL}, Category, Details, Email"
_OPEN: Final = f"{_MAIL}, {_BOT}, Device, Is Mobile Device, Platform, User Agent"
_PROGRESSION: Final = (
    "Acquired By, New Status, New Status ID, Old Status, Old Status ID, Program Member ID, Reason, Status Reason, "
    "Success"
)

# Number, name, primary attribute ("" where there is none), further attributes.
_TYPES: Final[tuple[tuple[int, str, str, str], ...]] = (
    (1, "Visit Webpage", "Webpage ID", f"{_WEB}, Search Engine, Search Query, Webpage URL"),
    (2, "Fill Out Form", "Webform ID", f"{_WEB}, Form Fields, Webpage ID"),
    (3, "Click Link", "Link ID", f"{_WEB}, Webpage ID"),
    (6, "Send Email", "Mailing ID", _MAIL),
    (7, "Email Delivered", "Mailing ID", _MAIL),
    (8, "Email Bounced", "Mailing ID", _BOUNCE),
    (9, "Unsubscribe Email", "Mailing ID", f"{_MAIL}, {_WEB}, Form Fields, Webform ID"),
    (10, "Open Email", "Mailing ID", _OPEN),
    (11, "Click Email", "Mailing ID", f"{_OPEN}, Is Predictive, Link, Link ID"),
    (12, "New Lead", "", "Created Date, Form Name, Lead Source, SFDC Type, Source Type"),
    (13, "Change Data Value", "Attribute Name", "New Value, Old Value, Reason, Source"),
    (19, "Sync Lead to SFDC", "", "Reason, Source"),
    (21, "Convert Lead", "", "Account ID, Contact ID, Opportunity ID"),
    (24, "Add to List", "List ID", "Source"),
    (25, "Remove from List", "List ID", "Source"),
    (27, "Email Bounced Soft", "Mailing ID", _BOUNCE),
    (28, "Lead is deleted from SFDC", "", ""),
    (29, "Contact is deleted from SFDC", "", ""),
    (30, "Leads merged in SFDC", "", "Merge IDs"),
    (31, "Contacts merged in SFDC", "", "Merge IDs"),
    (32, "Merge Leads", "Lead ID", "Master Updated, Merge Fields, Merge IDs, Merge Source, Merged in Sales"),
    (37, "Delete Lead", "Lead ID", "Campaign, Remove from CRM"),
    (41, "Click Sales Email", "Artifact ID", f"{_BOT}, Link, Sales Email URL"),
    (42, "Add to SFDC Campaign", "Campaign ID", "Status"),
    (43, "Remove from SFDC Campaign", "Campaign ID", ""),
    (44, "Change Status in SFDC Campaign", "Campaign ID", "New Status, Old Status"),
    (46, "Interesting Moment", "Interesting Moment Type", "Date, Description, Source"),
    (104, "Change Status in Progression", "Program ID", _PROGRESSION),
    (131, "Fill Out Facebook Lead Ads Form", "Lead Ads Form ID", "Facebook Page ID, Form Fields"),
    (
        147,
        "Fill Out LinkedIn Lead Gen Form",
        "Lead Gen Form ID",
        "Account Name, Campaign Name, Form Fields, Lead Gen Form Name",
    ),
)

_NUMBERS: Final = frozenset(number for number, *_ in _TYPES)

# Every other attribute is a string.
_DATA_TYPES: Final = {
    "Acquired By": "boolean",
    "Campaign Run ID": "integer",
    "Choice Number": "integer",
    "Created Date": "date",
    "Date": "datetime",
    "Description": "text",
    "Details": "text",
    "Form Fields": "text",
    "Is Bot Activity": "boolean",
    "Is Mobile Device": "boolean",
    "Is Predictive": "boolean",
    "Master Updated": "boolean",
    "Merged in Sales": "boolean",
    "New Status ID": "integer",
    "New Value": "text",
    "Old Status ID": "integer",
    "Old Value": "text",
    "Program Member ID": "integer",
    "Remove from CRM": "boolean",
    "Step ID": "integer",
    "Success": "boolean",
    "Test Variant": "integer",
    "Webform ID": "integer",
    "Webpage ID": "integer",
}


def activity_types() -> list[dict[str, Any]]:
    """
    Every activity type in the shape of ``/rest/v1/activities/types.json``, by number.
    """
    shapes: list[dict[str, Any]] = []
    for number, name, primary, attributes in _TYPES:
        shape: dict[str, Any] = {"id": number, "name": name, "description": name}
        if primary:
            shape["primaryAttribute"] = {"name": primary, "dataType": "integer" if primary.endswith("ID") else "string"}
        names = attributes.split(", ") if attributes else []
        shape["attributes"] = [{"name": label, "dataType": _DATA_TYPES.get(label, "string")} for label in names]
        shapes.append(shape)
    return shapes


def knows_type(number: int) -> bool:
    """
    Whether the subscription has this activity type; custom types stand at 100,000 and above.
    """
    return number in _NUMBERS or number >= 100_000
