"""
What a person does to whole records in the org's pages: converting leads and merging duplicates.

Neither exists in REST for us; the control API calls them. Both leave what a real org leaves: ids that point on,
children that moved, stamps that show it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.rows import Values, fetch
from worker.practice.salesforce.schema import SObject
from worker.practice.salesforce.values import parse_datetime

CONVERTED_STATUS = "Closed - Converted"
MERGE_LIMIT = 2  # losers at a time
# Lead field -> field of the contact or account it becomes.
TO_CONTACT = {
    **{name: name for name in ("FirstName", "LastName", "Salutation", "Title", "Email", "Phone", "MobilePhone", "Fax",
                               "LeadSource", "OwnerId", "HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall",
                               "Description")},
    **{name: f"Mailing{name}" for name in ("Street", "City", "State", "PostalCode", "Country")},
}  # fmt: skip
TO_ACCOUNT = {
    "Company": "Name", "Phone": "Phone", "Fax": "Fax", "Website": "Website", "Industry": "Industry",
    "Rating": "Rating", "AnnualRevenue": "AnnualRevenue", "NumberOfEmployees": "NumberOfEmployees",
    "OwnerId": "OwnerId", "LeadSource": "AccountSource",
    **{name: f"Billing{name}" for name in ("Street", "City", "State", "PostalCode", "Country")},
}  # fmt: skip


def convert_lead(org: Org, conversion: Mapping[str, Any]) -> dict[str, str | None]:
    """
    Convert one lead: ``{"leadId", "at", "account", "contact", "opportunity", "role"}`` as ``docs/practice.md`` says.

    Returns the ids. Raises ``ValueError`` for a lead that is not there, deleted, or converted already.
    """
    lead_id = _id(conversion, "leadId")
    with org.database.write() as connection:
        leads = org.schema["Lead"]
        lead = fetch(connection, leads, lead_id)
        if lead is None or lead["IsDeleted"]:
            raise ValueError(f"there is no lead {lead_id}")
        if lead["IsConverted"]:
            raise ValueError(f"lead {lead_id} is converted already")
        given = conversion.get("at")
        at = parse_datetime(str(given)) if given else org.records.now()
        if at is None:
            raise ValueError(f"'at' is no moment: {given!r}")
        made = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), at)
        account_id = _target(org, "Account", conversion.get("account"), _mapped(lead, TO_ACCOUNT, org, "Account"), made)
        contact_id = _target(
            org,
            "Contact",
            conversion.get("contact"),
            {**_mapped(lead, TO_CONTACT, org, "Contact"), "AccountId": account_id},
            made,
        )
        opportunity_id = role_id = None
        if conversion.get("opportunity") is not None:
            opportunity_id, role_id = _opportunity(org, conversion, lead, account_id, contact_id, made)
        connection.execute(
            'UPDATE "Lead" SET IsConverted = 1, Status = ?, ConvertedDate = ?, ConvertedAccountId = ?, '
            "ConvertedContactId = ?, ConvertedOpportunityId = ?, LastModifiedDate = ?, SystemModstamp = ?, "
            "IsUnreadByOwner = 0, LastModifiedById = ? WHERE Id = ?",
            (CONVERTED_STATUS, at[:10], account_id, contact_id, opportunity_id, at, at, org.admin_id, lead_id),
        )
        _move_children(org, lead_id, contact_id, account_id, opportunity_id, at)
    return {
        "leadId": lead_id,
        "accountId": account_id,
        "contactId": contact_id,
        "opportunityId": opportunity_id,
        "roleId": role_id,
    }


def merge_records(
    org: Org, sobject: SObject, winner: str, losers: Sequence[str], fields: Mapping[str, Any] | None = None
) -> None:
    """
    Merge ``losers`` into ``winner``: children move, losers are deleted with MasterRecordId. ``fields`` are the values
    the winner is to have, where the person merging chose another record's. Raises ``ValueError``.
    """
    if not sobject.get("MasterRecordId"):
        raise ValueError(f"{sobject.name} records cannot be merged")
    if not losers or len(losers) > MERGE_LIMIT:
        raise ValueError(f"a merge takes one or {MERGE_LIMIT} losers, got {len(losers)}")
    with org.database.write() as connection:
        now = org.records.now()
        for each in (winner, *losers):
            found = fetch(connection, sobject, each)
            if found is None or found["IsDeleted"]:
                raise ValueError(f"there is no {sobject.name} {each}")
            if found.get("IsConverted"):
                raise ValueError(f"lead {each} is converted, and converted leads cannot be merged")
        if len({winner, *losers}) != len(losers) + 1:
            raise ValueError("a record cannot be merged with itself")
        for loser in losers:
            _move_to_winner(org, sobject, winner, loser, now)
            connection.execute(
                f'UPDATE "{sobject.name}" SET IsDeleted = 1, MasterRecordId = ?, SystemModstamp = ?, '
                "LastModifiedDate = ?, LastModifiedById = ? WHERE Id = ?",
                (winner, now, now, org.admin_id, loser),
            )
            org.bin.log(sobject, loser, now)
        org.loading.update(sobject, [{**dict(fields or {}), "Id": winner}])


def _move_to_winner(org: Org, sobject: SObject, winner: str, loser: str, now: str) -> None:
    connection = org.database.writer
    if sobject.name in {"Lead", "Contact"}:
        # A campaign has a person once: where both were members, the loser's membership goes.
        column = f"{sobject.name}Id"
        doubled = connection.execute(
            f'SELECT Id FROM "CampaignMember" WHERE "{column}" = ? AND CampaignId IN '
            f'(SELECT CampaignId FROM "CampaignMember" WHERE "{column}" = ?)',
            (loser, winner),
        ).fetchall()
        org.bin.delete(org.schema["CampaignMember"], [row[0] for row in doubled], org.admin_id, now)
    for child in org.schema.children(sobject):
        if not child.field.stored or child.field.name == "MasterRecordId":
            continue
        stamped = ", SystemModstamp = ?" if org.schema[child.sobject].get("SystemModstamp") else ""
        values = [winner, now, loser] if stamped else [winner, loser]
        connection.execute(
            f'UPDATE "{child.sobject}" SET "{child.field.name}" = ?{stamped} WHERE "{child.field.name}" = ?', values
        )


def _target(org: Org, name: str, given: Any, copied: Values, stamps: Values) -> str:
    given = dict(given or {})
    if given.get("Id"):
        return _existing(org, name, given, copied, stamps)
    return org.loading.create(org.schema[name], [{**copied, **stamps, **given}])[0]


def _existing(org: Org, name: str, given: Values, copied: Values, stamps: Values) -> str:
    """
    A record that was there before takes what it lacks from the lead, and what is given beside its id.
    """
    record_id = to18(str(given["Id"])) or ""
    found = fetch(org.database.writer, org.schema[name], record_id)
    if found is None or found.get("IsDeleted"):
        raise ValueError(f"there is no {name} {given['Id']}")
    lacking = {key: value for key, value in copied.items() if found.get(key) is None}
    changes = {**lacking, **{key: value for key, value in given.items() if key != "Id"}}
    if changes:
        org.loading.update(org.schema[name], [{**changes, "Id": record_id, "SystemModstamp": stamps["SystemModstamp"]}])
    return record_id


def _opportunity(
    org: Org, conversion: Mapping[str, Any], lead: Values, account_id: str, contact_id: str, stamps: Values
) -> tuple[str, str]:
    """
    The opportunity of a conversion, new or one that was there before, and its contact role. The campaign of a new one
    is the lead's latest unless given.
    """
    given = dict(conversion["opportunity"])
    if given.get("Id"):
        opportunity_id = _existing(org, "Opportunity", given, {}, stamps)
        return opportunity_id, _role(org, conversion, opportunity_id, contact_id, stamps, primary=False)
    latest = org.database.writer.execute(
        'SELECT CampaignId FROM "CampaignMember" WHERE LeadId = ? ORDER BY CreatedDate DESC, Id DESC LIMIT 1',
        (lead["Id"],),
    ).fetchone()
    record = {
        "Name": f"{lead['Company']}-",
        "StageName": "Prospecting",
        "CloseDate": stamps["CreatedDate"][:10],
        "LeadSource": lead["LeadSource"],
        "OwnerId": lead["OwnerId"] if str(lead["OwnerId"]).startswith("005") else org.admin_id,
        "CampaignId": latest[0] if latest else None,
        **stamps,
        **given,
        "AccountId": given.get("AccountId", account_id),
    }
    opportunity_id = org.loading.create(org.schema["Opportunity"], [record])[0]
    return opportunity_id, _role(org, conversion, opportunity_id, contact_id, stamps, primary=True)


def _role(
    org: Org, conversion: Mapping[str, Any], opportunity_id: str, contact_id: str, stamps: Values, *, primary: bool
) -> str:
    """
    The contact's role in the opportunity: the one it has, or a new one.
    """
    statement = 'SELECT Id FROM "OpportunityContactRole" WHERE OpportunityId = ? AND ContactId = ?'
    found = org.database.writer.execute(statement, (opportunity_id, contact_id)).fetchone()
    if found is not None:
        return str(found[0])
    role = {"IsPrimary": primary, **dict(conversion.get("role") or {})}
    made = {**stamps, **role, "OpportunityId": opportunity_id, "ContactId": contact_id}
    return org.loading.create(org.schema["OpportunityContactRole"], [made])[0]


def _mapped(lead: Values, mapping: Mapping[str, str], org: Org, name: str) -> Values:
    """
    What a lead's fields become: the standard mapping, and custom fields of the same name.
    """
    target = org.schema[name]
    values = {to: lead[source] for source, to in mapping.items() if lead.get(source) is not None}
    if name != "Lead" and not str(values.get("OwnerId", "005")).startswith("005"):
        del values["OwnerId"]
    if name == "Contact":
        for each in org.schema["Lead"].stored_fields:
            twin = target.get(each.name)
            if each.custom and twin is not None and twin.type == each.type and lead.get(each.name) is not None:
                values[twin.name] = lead[each.name]
    return values


def _move_children(
    org: Org, lead_id: str, contact_id: str, account_id: str, opportunity_id: str | None, at: str
) -> None:
    """
    Campaign members keep their lead and gain the contact; tasks and events move to the contact.
    """
    connection = org.database.writer
    connection.execute(
        'UPDATE "CampaignMember" SET ContactId = ?, SystemModstamp = ? WHERE LeadId = ?', (contact_id, at, lead_id)
    )
    for name in ("Task", "Event"):
        connection.execute(
            f'UPDATE "{name}" SET WhoId = ?, WhatId = COALESCE(WhatId, ?), AccountId = ?, SystemModstamp = ? '
            "WHERE WhoId = ?",
            (contact_id, opportunity_id or account_id, account_id, at, lead_id),
        )


def _id(body: Mapping[str, Any], name: str) -> str:
    made = to18(str(body[name]))
    if made is None:
        raise ValueError(f"{name} is no id: {body[name]!r}")
    return made
