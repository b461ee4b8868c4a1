"""
Who may see and change what: profiles and permission sets, field-level security, sharing.

All of it is read from the org's own records, so that whoever changes PermissionSet, PermissionSetAssignment,
FieldPermissions, ObjectPermissions or the organisation's defaults changes what users see, by the API or by a control
call. A user with View All Data sees every record; without it, records of an object whose organisation-wide default is
private are seen by their owner, by whom their parent lets see them, and by nobody else. Left out: role hierarchy,
sharing rules, teams, territories.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from worker.practice.salesforce.schema import Schema, SeenSchema, Sight, SObject

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

ADMINISTRATOR = "System Administrator"
# The tables users' permissions are read from; a change of any makes what was read before worthless.
WATCHED = (
    "User", "Profile", "PermissionSet", "PermissionSetAssignment", "FieldPermissions", "ObjectPermissions",
    "Organization", "RecordType",
)  # fmt: skip
PRIVATE = "None"
# Object -> the organisation's field with its default.
DEFAULTS = {
    "Account": "DefaultAccountAccess",
    "Contact": "DefaultContactAccess",
    "Opportunity": "DefaultOpportunityAccess",
    "Lead": "DefaultLeadAccess",
    "Case": "DefaultCaseAccess",
    "Campaign": "DefaultCampaignAccess",
}
# Objects without an owner of their own, and the parents whoever sees one of which sees them.
CONTROLLED = {
    "Contact": ("AccountId",),
    "OpportunityContactRole": ("OpportunityId",),
    "OpportunityHistory": ("OpportunityId",),
    "OpportunityFieldHistory": ("OpportunityId",),
    "LeadHistory": ("LeadId",),
    "CampaignMember": ("CampaignId",),
    "CampaignMemberStatus": ("CampaignId",),
    "Task": ("WhatId", "WhoId"),
    "Event": ("WhatId", "WhoId"),
}
# Whoever owns one of these sees the account it belongs to.
IMPLICIT = ("Opportunity", "Contact", "Case")


@dataclass(frozen=True)
class Permissions:
    """
    What a user's permission sets add up to. ``fields`` and ``edits`` are names of fields in lower case, ``objects``
    those whose records are all seen; ``private`` the objects whose default is private.
    """

    administrator: bool
    view_all: bool
    modify_all: bool
    api_enabled: bool
    hard_delete: bool
    administers: bool
    fields: frozenset[str]
    edits: frozenset[str]
    objects: frozenset[str]
    private: frozenset[str]


class Access:
    """
    The permissions of the users of one org. Safe to use from any thread.
    """

    def __init__(self, org: "Org") -> None:
        self.org = org
        self._known: dict[str, tuple[int, Permissions]] = {}

    def watch(self) -> None:
        """
        Count every change of the watched tables, by triggers. Called whenever the tables are made anew.
        """
        with self.org.database.write() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS _permissions (version INTEGER)")
            connection.execute("INSERT INTO _permissions SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM _permissions)")
            for table in WATCHED:
                for event in ("INSERT", "UPDATE", "DELETE"):
                    connection.execute(
                        f'CREATE TRIGGER IF NOT EXISTS "_watch_{table}_{event}" AFTER {event} ON "{table}" '
                        "BEGIN UPDATE _permissions SET version = version + 1; END"
                    )
        self._known.clear()

    def schema_of(self, user_id: str) -> Schema:
        """
        The schema as the user sees it.
        """
        found = self.of(user_id)
        rows = partial(shared_rows, self.org.schema, user_id, found)
        return SeenSchema(self.org.schema, Sight(found.administrator, found.fields, found.edits, rows))

    def of(self, user_id: str) -> Permissions:
        """
        A user's permissions, read again when anything they rest on has changed.
        """
        version = int(self.org.database.reader.execute("SELECT version FROM _permissions").fetchone()[0])
        known = self._known.get(user_id)
        if known is not None and known[0] == version:
            return known[1]
        found = self._read(user_id)
        typed = self._note_record_types()
        if typed or (known is not None and known[1] != found):
            # Whoever asks whether a describe is unchanged has to hear of fields that were granted or taken.
            self.org.note_schema_change()
        self._known[user_id] = (version, found)
        return found

    def _read(self, user_id: str) -> Permissions:
        reader = self.org.database.reader
        assigned = (
            'FROM "PermissionSet" p JOIN "PermissionSetAssignment" a ON a.PermissionSetId = p.Id WHERE a.AssigneeId = ?'
        )
        rows = reader.execute(
            "SELECT p.PermissionsViewAllData, p.PermissionsModifyAllData, p.PermissionsApiEnabled, "
            f"p.PermissionsBulkApiHardDelete, p.PermissionsModifyMetadata {assigned}",
            (user_id,),
        ).fetchall()
        view, modify, enabled, hard, metadata = (any(row[place] for row in rows) for place in range(5))
        of_user = f"ParentId IN (SELECT p.Id {assigned})"
        fields = reader.execute(
            f'SELECT Field, PermissionsRead, PermissionsEdit FROM "FieldPermissions" WHERE {of_user}', (user_id,)
        ).fetchall()
        all_records = "PermissionsViewAllRecords = 1 OR PermissionsModifyAllRecords = 1"
        objects = reader.execute(
            f'SELECT SobjectType FROM "ObjectPermissions" WHERE ({all_records}) AND {of_user}', (user_id,)
        ).fetchall()
        profile = reader.execute(
            'SELECT p.Name FROM "User" u JOIN "Profile" p ON p.Id = u.ProfileId WHERE u.Id = ?', (user_id,)
        ).fetchone()
        columns = ", ".join(DEFAULTS.values())
        defaults = reader.execute(f'SELECT {columns} FROM "Organization"').fetchone()
        return Permissions(
            administrator=profile is not None and profile[0] == ADMINISTRATOR,
            view_all=view or modify,
            modify_all=modify,
            api_enabled=enabled,
            hard_delete=hard,
            administers=modify or metadata,
            fields=frozenset(name.lower() for name, read, edit in fields if read or edit),
            edits=frozenset(name.lower() for name, _, edit in fields if edit),
            objects=frozenset(row[0] for row in objects),
            private=frozenset(name for name, default in zip(DEFAULTS, defaults, strict=True) if default == PRIVATE),
        )

    def _note_record_types(self) -> bool:
        """
        RecordTypeId is there for the objects that have record types, and for no others; whether that has changed.
        """
        rows = self.org.database.reader.execute('SELECT DISTINCT SobjectType FROM "RecordType"').fetchall()
        typed = {row[0] for row in rows}
        changed = [each for each in self.org.schema if each.typed != (each.name in typed)]
        for sobject in changed:
            sobject.typed = sobject.name in typed
        return bool(changed)


def shared_rows(schema: Schema, user_id: str, permissions: Permissions, sobject: SObject, alias: str) -> str:
    """
    SQL that is true for the records of ``sobject`` that sharing gives the user; empty where it gives all.
    """
    if permissions.view_all or sobject.name in permissions.objects or not permissions.private:
        return ""
    inner = partial(shared_rows, schema, user_id, permissions)
    own = f"{alias}.OwnerId = '{user_id}'"
    if sobject.name in permissions.private:
        parts = [own]
        if sobject.name == "Account":
            same = f"WHERE i.AccountId = {alias}.Id AND i.OwnerId = '{user_id}'"
            parts += [f'EXISTS (SELECT 1 FROM "{name}" i {same})' for name in IMPLICIT]
        return " OR ".join(parts)
    if sobject.name not in CONTROLLED:
        return ""
    parts = [own] if sobject.get("OwnerId") else []
    restricted = False
    for reference in CONTROLLED[sobject.name]:
        for name in sobject[reference].reference_to:
            target = schema.get(name)
            if target is None:
                continue
            parent = f"{alias}_{name.lower()}"
            condition = inner(target, parent)
            restricted = restricted or bool(condition)
            joined = f" AND ({condition})" if condition else ""
            parts.append(
                f'EXISTS (SELECT 1 FROM "{target.name}" {parent} WHERE {parent}.Id = {alias}.{reference}{joined})'
            )
    return " OR ".join(parts) if restricted else ""
