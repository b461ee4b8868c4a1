"""
What an org may or may not have: several currencies, person accounts.

Switched on for good by a control call, as an administrator does it; an org never loses either. ``install`` gives the
schema their objects and fields; ``currencies.py`` converts amounts and ``persons.py`` keeps a person's account and
contact together.
"""

from dataclasses import dataclass, replace

from worker.practice.salesforce.lines import AUDIT, Table
from worker.practice.salesforce.schema import Field, Schema, SObject, parse_field
from worker.practice.salesforce.standard import build, with_values

# Objects whose records have a currency in an org with several. Custom objects all have one.
WITH_CURRENCY = (
    "Account", "Contact", "Lead", "Opportunity", "OpportunityContactRole", "OpportunityHistory", "Campaign",
    "CampaignMember", "Case", "Asset", "Pricebook2", "Task", "Event", "User",
)  # fmt: skip

CURRENCY_TYPE = f"""
IsoCode picklist(3) req noupdate restricted name | Currency ISO Code
ConversionRate double(18,6) req | Conversion Rate
DecimalPlaces int req | Decimal Places
IsActive boolean true | Active
IsCorporate boolean ro | Corporate Currency
{AUDIT}
"""
DATED_RATE = f"""
IsoCode picklist(3) req noupdate restricted name | Currency ISO Code
StartDate date req noupdate | Start Date
NextStartDate date ro | Next Start Date
ConversionRate double(18,6) req | Conversion Rate
{AUDIT}
"""
_SETUP = "deletable undeletable mergeable searchable triggerable layoutable"
_CURRENCY_TABLES = (
    Table("CurrencyType", "Currency Types", "01L", CURRENCY_TYPE, without=_SETUP, label="Currency Type", bin=False),
    Table("DatedConversionRate", "Dated Conversion Rates", "04w", DATED_RATE, without=_SETUP,
          label="Dated Conversion Rate", bin=False),
)  # fmt: skip

# Field of the account, and the contact's field that it shows. Lines say what describe says of them.
PERSON = """
LastName string(80) part=Name name extra=switchablepersonname | Last Name
FirstName string(40) part=Name name extra=switchablepersonname | First Name
Salutation picklist(40) part=Name extra=switchablepersonname | Salutation
PersonContactId reference(Contact) ro | Contact ID
IsPersonAccount boolean ro | Is Person Account
"""
PERSON_FIELDS = (
    "OtherStreet", "OtherCity", "OtherState", "OtherPostalCode", "OtherCountry", "OtherLatitude", "OtherLongitude",
    "OtherGeocodeAccuracy", "OtherAddress", "MailingStreet", "MailingCity", "MailingState", "MailingPostalCode",
    "MailingCountry", "MailingLatitude", "MailingLongitude", "MailingGeocodeAccuracy", "MailingAddress", "MobilePhone",
    "HomePhone", "OtherPhone", "AssistantPhone", "Email", "Title", "Department", "AssistantName", "LeadSource",
    "Birthdate", "HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall", "LastCURequestDate", "LastCUUpdateDate",
    "EmailBouncedReason", "EmailBouncedDate", "IndividualId", "Pronouns", "GenderIdentity",
)  # fmt: skip
NAME_PARTS = ("LastName", "FirstName", "Salutation")
# What the account says otherwise than the contact does.
_LABELS = {"MobilePhone": "Mobile", "AssistantName": "Assistant"}
_PERMITTED = frozenset({"HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"})
CONTACT = """
IsPersonAccount boolean ro | Is Person Account
Pronouns picklist(255) | Pronouns
GenderIdentity picklist(255) | Gender Identity
"""


@dataclass
class Features:
    """
    Which features an org has. ``currency`` is the corporate currency of an org with several, None in one with one;
    ``dated_rates`` is advanced currency management.
    """

    person_accounts: bool = False
    currency: str | None = None
    dated_rates: bool = False


def install(schema: Schema, features: Features) -> None:
    """
    Give the schema what the features bring, and nothing twice. Called again whenever custom fields have changed, since
    each of the contact's is one of person accounts too.
    """
    if features.currency is not None:
        _install_currencies(schema, features.currency)
    if features.person_accounts:
        _install_person_accounts(schema)


def _install_currencies(schema: Schema, corporate: str) -> None:
    for table in _CURRENCY_TABLES:
        if schema.get(table.name) is None:
            schema.add(build(table))
    for sobject in schema:
        if (sobject.custom or sobject.name in WITH_CURRENCY) and sobject.get("CurrencyIsoCode") is None:
            sobject.add([replace(_line(sobject, "CurrencyIsoCode picklist(3) restricted filled | Currency ISO Code"))])
            if sobject.name == "User":
                line = f"DefaultCurrencyIsoCode picklist(3) restricted default={corporate} | Default Currency ISO Code"
                sobject.add([_line(sobject, line)])


def _install_person_accounts(schema: Schema) -> None:
    account, contact = schema["Account"], schema["Contact"]
    if account.get("IsPersonAccount") is None:
        contact.add(_line(contact, line) for line in CONTACT.strip().splitlines())
        record_type = schema["RecordType"]
        record_type.add([_line(record_type, "IsPersonType boolean noupdate | Is Person Type")])
        account.add([replace(account["Name"], nillable=True)])
        own = {each.name: each for each in (_line(account, line) for line in PERSON.strip().splitlines())}
        account.add(_shown(each, name) if name in NAME_PARTS else each for name, each in own.items())
        account.add(_of_person(contact[name]) for name in PERSON_FIELDS)
    wanted = {
        f"{each.name[:-1]}pc": each for each in contact.fields.values() if each.custom and each.name[-3:] == "__c"
    }
    for key in [key for key, each in account.fields.items() if key.endswith("__pc") and each.name not in wanted]:
        del account.fields[key]
    account.add(_custom_of_person(name, each) for name, each in wanted.items())


def _line(sobject: SObject, line: str) -> Field:
    return with_values(sobject.name, parse_field(line))


def _shown(field: Field, source: str) -> Field:
    """
    A field of the account whose value is the person's contact's.
    """
    if field.type == "address":
        return replace(field, source=source)
    expression = f'(SELECT p."{source}" FROM "Contact" p WHERE p.Id = {{t}}.PersonContactId)'
    if field.type == "boolean":
        expression = f"IFNULL({expression}, 0)"
    return replace(field, source=source, expression=expression, children=None, cascade=False)


def _of_person(field: Field) -> Field:
    compound = f"Person{field.compound}" if field.compound else None
    relationship = f"Person{field.relationship}" if field.relationship else None
    prefilter = False if field.type == "reference" else None
    made = replace(
        field,
        name=f"Person{field.name}",
        label=_LABELS.get(field.name, field.label),
        length=80 if field.name == "Title" else field.length,
        compound=compound,
        relationship=relationship,
        id_lookup=False,
        permit=True if field.name in _PERMITTED else field.permit,
        prefilter=prefilter,
    )
    return _shown(made, field.name)


def _custom_of_person(name: str, field: Field) -> Field:
    relationship = f"{field.relationship[:-1]}pr" if field.relationship else None
    prefilter = False if field.type == "reference" else None
    made = replace(field, name=name, relationship=relationship, prefilter=prefilter)
    made = replace(made, external_id=False, unique=False, id_lookup=False)
    return _shown(made, field.name)
