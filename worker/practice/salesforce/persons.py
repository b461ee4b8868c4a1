"""
Person accounts: one human as an account and a contact that live, change and die together.

The contact's fields stand on the account as ``PersonEmail``, ``LastName``, ``X__pc`` and are written through it; the
contact itself is read only, and is deleted with the account. ``records.py`` calls this where an account or a contact is
saved, in an org that has person accounts.
"""

from collections.abc import Mapping
from typing import Any

from worker.practice.salesforce.errors import RowError
from worker.practice.salesforce.ground import Ground
from worker.practice.salesforce.rows import Values, fetch, insert, update_changed
from worker.practice.salesforce.schema import SObject

SHARED = ("OwnerId", "CreatedById", "CreatedDate", "LastModifiedById", "LastModifiedDate", "SystemModstamp")


def take_person(sobject: SObject, values: Values) -> Values:
    """
    Remove from an account's values those of its person, and return them by the contact's field names.
    """
    taken = {}
    for name in list(values):
        field = sobject.get(name)
        if field is not None and field.source is not None:
            taken[field.source] = values.pop(name)
    return taken


def full_name(person: Mapping[str, Any]) -> str:
    """
    What a person's account is called.
    """
    return " ".join(part for part in (person.get("FirstName"), person.get("LastName")) if part)


def check_person(org: Ground, sobject: SObject, values: Values, person: Values) -> None:
    """
    Complete a new account that has a person's fields: its name, its record type. Raises ``RowError`` where it is a
    company too, or nobody's, and for a company without a name.
    """
    if not person:
        if sobject.name == "Account" and not values.get("Name"):
            raise RowError("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ["Name"])
        return
    if not person.get("LastName"):
        raise RowError("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", ["LastName"])
    if values.get("Name"):
        words = "Unable to create/update fields: Name. A person account takes its name from LastName and FirstName."
        raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", words, ["Name"])
    types = org.database.writer.execute(
        "SELECT Id FROM \"RecordType\" WHERE SobjectType = 'Account' AND IsPersonType = 1 AND IsActive = 1"
    ).fetchall()
    ids = [row[0] for row in types]
    if values.get("RecordTypeId") is None:
        values["RecordTypeId"] = ids[0] if ids else None
    elif values["RecordTypeId"] not in ids:
        words = "a business record type on an account with a person's fields"
        raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", words, ["RecordTypeId"])
    values["Name"] = full_name(person)
    values["IsPersonAccount"] = 1


def create_contact(org: Ground, account: Values, person: Values) -> None:
    """
    The contact of a new person account, and the account's reference to it.
    """
    contact = org.schema["Contact"]
    values: Values = {}
    for each in contact.stored_fields:
        values[each.name] = int(bool(each.default)) if each.type == "boolean" else each.default
    values |= {name: account[name] for name in SHARED} | person
    values |= {
        "Id": org.ids.take(contact.prefix)[0],
        "AccountId": account["Id"],
        "Name": account["Name"],
        "IsPersonAccount": 1,
    }
    insert(org.database.writer, contact, values)
    org.database.writer.execute('UPDATE "Account" SET PersonContactId = ? WHERE Id = ?', (values["Id"], account["Id"]))


def update_contact(org: Ground, account: Values, person: Values) -> None:
    """
    The contact of a person account that was changed: the person's values, and the account's stamps.
    """
    contact = org.schema["Contact"]
    old = fetch(org.database.writer, contact, account["PersonContactId"])
    if old is None:
        return
    new = {**old, **person, "Name": account["Name"]}
    new |= {name: account[name] for name in ("OwnerId", "LastModifiedById", "LastModifiedDate", "SystemModstamp")}
    update_changed(org.database.writer, contact, old, new)


def renamed(org: Ground, account: Values, person: Values) -> str:
    """
    What a person account is called after a change of the person's names. Raises ``RowError`` for a company, which has
    no person.
    """
    if not account.get("IsPersonAccount"):
        words = "Unable to create/update fields: a business account has no fields of a person"
        raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", words)
    old = fetch(org.database.writer, org.schema["Contact"], account["PersonContactId"], ("FirstName", "LastName"))
    return full_name({**(old or {}), **person})


def refuse_contact(old: Values) -> None:
    """
    Refuse a change of the contact itself. Which words a real org has for it was not seen.
    """
    if old.get("IsPersonAccount"):
        words = "cannot edit the contact of a person account: edit the account"
        raise RowError("INSUFFICIENT_ACCESS_OR_READONLY", words)
