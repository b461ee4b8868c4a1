"""
Who else writes, or may write, the fields that we write: by their field history, by who was given Edit on them, by who
changed those records last of which our value was changed.

It reads and never writes; ``automation`` makes the reads in a call of its own. It cannot know who changed a field whose
history is not tracked, nor what the last change of a record was about.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.connectors.salesforce.catalogue import Fields
from worker.connectors.salesforce.findings import Finding
from worker.connectors.salesforce.soql import checked_name, is_record_id, quoted_id
from worker.core.errors import HeadwaterError

DAYS: Final = 30
# So many records of an object are asked for by their ids: an address must stay under 16,384 bytes.
ASKED_FOR: Final = 200
# Where an object's changes are kept, field by field, when field history is tracked.
_HISTORIES: Final[Mapping[str, str]] = {
    "Account": "AccountHistory",
    "Contact": "ContactHistory",
    "Lead": "LeadHistory",
    "Opportunity": "OpportunityFieldHistory",
}
_TWO_WRITERS: Final = (
    "Map one of the two to another field, or stop the other: two that write one field undo each other."
)
_TAKE_EDIT: Final = (
    "Take Edit on these fields from everybody but the integration user: Setup > Permission Sets, Profiles"
)

Row = Mapping[str, Any]
Rows = Sequence[Row] | HeadwaterError


def rows_of(ask: Callable[[], Row]) -> list[Row] | HeadwaterError:
    """
    The records of an answer; the error where it was refused.
    """
    try:
        records = ask().get("records")
    except HeadwaterError as error:
        return error
    return [row for row in records if isinstance(row, dict)] if isinstance(records, list) else []


@dataclass(frozen=True)
class Writers:
    """
    ``write_fields`` is object -> field names, ``me`` the integration user's id, ``changed`` object -> ids of records of
    which somebody has changed a field of ours.
    """

    write_fields: Fields
    me: str
    changed: Mapping[str, Sequence[str]]

    def questions(self) -> list[str]:
        """
        The queries, in the order in which ``findings`` takes their answers.
        """
        return [
            *self._permission_questions(),
            *(self._history_question(name) for name in self._objects),
            *(self._last_question(name) for name in self._suspects),
        ]

    def findings(self, answers: Sequence[Rows]) -> Iterator[Finding]:
        """
        Who they are.
        """
        grants, users, integrations, *others = answers
        yield from _permitted(grants, users, integrations)
        yield from _history(self._objects, others[: len(self._objects)])
        for name, rows in zip(self._suspects, others[len(self._objects) :], strict=True):
            yield from _last(name, len(self.changed[name]), rows)

    @property
    def _objects(self) -> list[str]:
        return sorted(self.write_fields)

    @property
    def _suspects(self) -> list[str]:
        return sorted(name for name in self.changed if name in self.write_fields and self._asked_for(name))

    def _asked_for(self, name: str) -> list[str]:
        return [quoted_id(each) for each in self.changed[name] if is_record_id(each)][:ASKED_FOR]

    def _permission_questions(self) -> list[str]:
        names = ", ".join(
            f"'{checked_name(name)}.{checked_name(each)}'" for name in self._objects for each in self.write_fields[name]
        )
        me = quoted_id(self.me)
        edited = f"PermissionsEdit = true AND Field IN ({names})"
        grants = (
            "SELECT ParentId, Field, Parent.Label, Parent.IsOwnedByProfile, Parent.Profile.Name FROM FieldPermissions "
            f"WHERE {edited} AND ParentId NOT IN (SELECT PermissionSetId FROM PermissionSetAssignment "
            f"WHERE AssigneeId = {me})"
        )
        users = (
            "SELECT PermissionSetId, COUNT(Id) users FROM PermissionSetAssignment "
            f"WHERE AssigneeId != {me} AND Assignee.IsActive = true "
            f"AND PermissionSetId IN (SELECT ParentId FROM FieldPermissions WHERE {edited}) GROUP BY PermissionSetId"
        )
        programs = (
            "SELECT Name, (SELECT PermissionSetId FROM PermissionSetAssignments) FROM User "
            f"WHERE IsActive = true AND Id != {me} AND Id IN (SELECT AssigneeId FROM PermissionSetAssignment "
            "WHERE PermissionSet.PermissionsApiUserOnly = true)"
        )
        return [grants, users, programs]

    def _history_question(self, name: str) -> str:
        history = _HISTORIES.get(name, f"{checked_name(name).removesuffix('__c')}__History")
        names = ", ".join(f"'{checked_name(each)}'" for each in self.write_fields[name])
        return (
            f"SELECT Field, CreatedBy.Name who, CreatedBy.Profile.Name profile, COUNT(Id) changes FROM {history} "
            f"WHERE Field IN ({names}) AND CreatedById != {quoted_id(self.me)} AND CreatedDate = LAST_N_DAYS:{DAYS} "
            "GROUP BY Field, CreatedBy.Name, CreatedBy.Profile.Name"
        )

    def _last_question(self, name: str) -> str:
        ids = ", ".join(self._asked_for(name))
        return (
            f"SELECT LastModifiedBy.Name who, LastModifiedBy.Profile.Name profile, COUNT(Id) records "
            f"FROM {checked_name(name)} WHERE LastModifiedById != {quoted_id(self.me)} AND Id IN ({ids}) "
            "GROUP BY LastModifiedBy.Name, LastModifiedBy.Profile.Name"
        )


def _permitted(grants: Rows, users: Rows, integrations: Rows) -> Iterator[Finding]:
    if isinstance(grants, HeadwaterError):
        message = "who else may edit our fields cannot be asked here"
        yield Finding("writers", "warning", message, (_TAKE_EDIT,), "HW-240")
        return
    sets = {str(row.get("ParentId")): _named(row.get("Parent") or {}) for row in grants}
    fields = Counter(str(row.get("ParentId")) for row in grants)
    counted = None if isinstance(users, HeadwaterError) else {str(row.get("PermissionSetId")): row for row in users}
    held = {each: _users_of(each, counted) for each in sets}
    told = [f"{name} ({fields[each]} fields{held[each][1]})" for each, name in sets.items() if held[each][0]]
    if told:
        message = f"others may edit fields that we write: {', '.join(sorted(told))}"
        yield Finding("writers", "warning", message, (_TAKE_EDIT,), "HW-240")
    else:
        yield Finding("writers", "ok", "nobody else was given Edit on a field that we write")
    yield from _integrations(sets, [] if isinstance(integrations, HeadwaterError) else integrations)


def _named(parent: Row) -> str:
    profile = (parent.get("Profile") or {}).get("Name")
    return f"profile {profile}" if parent.get("IsOwnedByProfile") and profile else str(parent.get("Label"))


def _users_of(permission_set: str, counted: Mapping[str, Row] | None) -> tuple[bool, str]:
    # Whether somebody has it, as far as that is known, and the words for how many.
    if counted is None:
        return True, ""
    number = counted.get(permission_set, {}).get("users") or 0
    return bool(number), f", {number:,} users"


def _integrations(sets: Mapping[str, str], users: Sequence[Row]) -> Iterator[Finding]:
    # A user who may come by the API alone is a program.
    told = []
    for user in users:
        assigned = (user.get("PermissionSetAssignments") or {}).get("records") or []
        through = sorted({sets[key] for row in assigned if (key := str(row.get("PermissionSetId"))) in sets})
        if through:
            told.append(f"{user.get('Name')} (through {', '.join(through)})")
    if told:
        message = f"other integrations (API Only users) may edit fields that we write: {'; '.join(sorted(told))}"
        yield Finding("writers", "warning", message, (_TAKE_EDIT, _TWO_WRITERS), "HW-240")


def _history(objects: Sequence[str], answers: Sequence[Rows]) -> Iterator[Finding]:
    silent: list[str] = []
    for name, rows in zip(objects, answers, strict=True):
        if isinstance(rows, HeadwaterError) or not rows:
            silent.append(name)
            continue
        told = [
            f"{row.get('Field')} by {row.get('who')} ({row.get('profile')}), {row.get('changes')} times" for row in rows
        ]
        message = f"{name}: others changed fields that we write in the last {DAYS} days: {'; '.join(sorted(told))}"
        yield Finding("writers", "warning", message, (_TWO_WRITERS,), "HW-240")
    if silent:
        message = (
            f"{', '.join(silent)}: no change of our fields by others is known. Only tracked fields tell: "
            "Setup > Object Manager > the object > Fields > Set History Tracking"
        )
        yield Finding("writers", "ok", message)


def _last(name: str, count: int, rows: Rows) -> Iterator[Finding]:
    if isinstance(rows, HeadwaterError) or not rows:
        return
    told = [f"{row.get('who')} ({row.get('profile')}) {row.get('records'):,}" for row in rows]
    asked = f"{count:,}" if count <= ASKED_FOR else f"{ASKED_FOR} of {count:,}"
    message = (
        f"{name}: of {asked} records whose value of ours was changed after we wrote it, these changed so many last, "
        f"that field or another: {'; '.join(sorted(told))}"
    )
    yield Finding("writers", "warning", message, (_TWO_WRITERS,), "HW-240")
