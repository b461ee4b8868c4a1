"""
What else happens in an organisation when we write: active flows, triggers, validation and duplicate rules on each
object, and who else writes, or may write, the same fields.

It reads and never writes. ``headwater doctor --writes`` calls it. What it cannot know it says: a flow of another object
that changes this one, the processes of Process Builder (their objects are not told), and who changed a field whose
history is not tracked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from worker.connectors.salesforce.catalogue import Fields
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.doctor import Finding
from worker.connectors.salesforce.soql import checked_name, quoted_id
from worker.core.errors import HeadwaterError

DAYS: Final = 30
# Where an object's changes are kept, field by field, when field history is tracked.
_HISTORIES: Final[Mapping[str, str]] = {
    "Account": "AccountHistory",
    "Contact": "ContactHistory",
    "Lead": "LeadHistory",
    "Opportunity": "OpportunityFieldHistory",
}
_MOMENTS: Final[Mapping[str, str]] = {"RecordBeforeSave": "before save", "RecordAfterSave": "after save"}
_SHOWN: Final = 8
_EXEMPTION: Final = (
    "Exempt the integration user where it should not run: the shipped custom permission Headwater_Exempt, in a formula "
    "$Permission.Headwater_Exempt"
)

Row = Mapping[str, Any]
Objects = Sequence[str]


@dataclass(frozen=True)
class _Look:
    """
    One kind of thing that runs on a write: how it is asked for, which object a row is about, and how it is told.

    ``what`` is its plural in a sentence; ``where`` is where a person sees it in Setup.
    """

    what: str
    where: str
    soql: Callable[[Objects], str]
    object_of: Callable[[Row], str]
    told: Callable[[Row], str | None]
    is_tooling: bool = False
    actions: Sequence[str] = field(default=(_EXEMPTION,))


def _quoted(objects: Objects) -> str:
    return ", ".join(f"'{checked_name(name)}'" for name in objects)


def _flow(row: Row) -> str | None:
    # A flow that starts on creation alone never runs for us.
    if row.get("TriggerType") not in _MOMENTS or row.get("RecordTriggerType") not in ("Update", "CreateAndUpdate"):
        return None
    return f"{_named(row, 'ApiName')} ({_MOMENTS[str(row['TriggerType'])]})"


def _trigger(row: Row) -> str | None:
    moments = [words for key, words in (("Before", "before"), ("After", "after")) if row.get(f"Usage{key}Update")]
    return f"{_named(row, 'Name')} ({' and '.join(moments)} update)" if moments else None


def _validation(row: Row) -> str:
    about = f" on {row['ErrorDisplayField']}" if row.get("ErrorDisplayField") else ""
    return f"{_named(row, 'ValidationName')}{about}: {str(row.get('ErrorMessage') or '')[:100]}"


def _named(row: Row, key: str) -> str:
    prefix = f"{row['NamespacePrefix']}__" if row.get("NamespacePrefix") else ""
    return f"{prefix}{row.get(key)}"


_LOOKS: Final = (
    _Look(
        "flows that run when a record is updated",
        "Setup > Flows",
        # Objects are told by name where they are standard ones, which all of ours are.
        lambda objects: (
            "SELECT ApiName, ProcessType, TriggerType, RecordTriggerType, TriggerObjectOrEventId, NamespacePrefix "
            f"FROM FlowDefinitionView WHERE IsActive = true AND TriggerObjectOrEventId IN ({_quoted(objects)})"
        ),
        lambda row: str(row.get("TriggerObjectOrEventId")),
        _flow,
    ),
    _Look(
        "duplicate rules",
        "Setup > Duplicate Rules",
        lambda objects: (
            "SELECT DeveloperName, SobjectType, NamespacePrefix FROM DuplicateRule "
            f"WHERE IsActive = true AND SobjectType IN ({_quoted(objects)})"
        ),
        lambda row: str(row.get("SobjectType")),
        lambda row: _named(row, "DeveloperName"),
        actions=(
            "A rule that alerts lets our updates pass (allowSave); one that blocks parks the record.",
            "Let it bypass the integration user: Setup > Duplicate Rules > Conditions",
        ),
    ),
    _Look(
        "Apex triggers that run when a record is updated",
        "Setup > Apex Triggers",
        lambda objects: (
            "SELECT Name, TableEnumOrId, UsageBeforeUpdate, UsageAfterUpdate, NamespacePrefix FROM ApexTrigger "
            f"WHERE Status = 'Active' AND TableEnumOrId IN ({_quoted(objects)})"
        ),
        lambda row: str(row.get("TableEnumOrId")),
        _trigger,
        is_tooling=True,
    ),
    _Look(
        "validation rules",
        "Setup > Object Manager > the object > Validation Rules",
        lambda objects: (
            "SELECT ValidationName, ErrorDisplayField, ErrorMessage, NamespacePrefix, EntityDefinition.QualifiedApiName"
            " FROM ValidationRule "
            f"WHERE Active = true AND EntityDefinition.QualifiedApiName IN ({_quoted(objects)})"
        ),
        lambda row: str((row.get("EntityDefinition") or {}).get("QualifiedApiName")),
        _validation,
        is_tooling=True,
    ),
)


def examine_writes(client: SalesforceClient, write_fields: Fields) -> list[Finding]:
    """
    What runs and who writes on the objects of ``write_fields`` (object -> field names), in three calls.

    What the integration user may not look at is a finding of its own. Raises what concerns the whole organisation.
    """
    objects = sorted(checked_name(name) for name in write_fields)
    if not objects:
        return [Finding("writes", "ok", "nothing is written: no field is mapped under write: in fields.yaml")]
    by_rest = [look for look in _LOOKS if not look.is_tooling]
    me = quoted_id(client.user_id() or "")
    questions = [look.soql(objects) for look in by_rest]
    questions += [_may_write(write_fields, me), *(_who_wrote(name, write_fields[name], me) for name in objects)]
    answers = [_rows(part.result) for part in client.batch([client.query_path(each) for each in questions])]
    findings: list[Finding] = []
    for look, rows in zip(by_rest, answers, strict=False):
        findings += _automation(look, rows, objects)
    for look in _LOOKS:
        if look.is_tooling:
            findings += _automation(look, _rows(partial(_tooling, client, look.soql(objects))), objects)
    findings.append(_permitted(answers[len(by_rest)]))
    findings += _writers(objects, answers[len(by_rest) + 1 :])
    return findings


def _tooling(client: SalesforceClient, soql: str) -> Row:
    answer = client.ask("GET", "tooling/query", params={"q": soql})
    return answer if isinstance(answer, dict) else {}


def _rows(ask: Callable[[], Row]) -> list[Row] | HeadwaterError:
    try:
        records = ask().get("records")
    except HeadwaterError as error:
        return error
    return [row for row in records if isinstance(row, dict)] if isinstance(records, list) else []


def _automation(look: _Look, rows: list[Row] | HeadwaterError, objects: Objects) -> Iterator[Finding]:
    if isinstance(rows, HeadwaterError):
        message = f"the {look.what} cannot be seen by the integration user"
        yield Finding(
            "writes",
            "warning",
            f"{message} ({rows.vendor})" if rows.vendor else message,
            (f"Look under {look.where}, or give the user View Setup and Configuration while doctor looks.",),
            "HW-239",
        )
        return
    for name in objects:
        told = [words for row in rows if look.object_of(row) == name and (words := look.told(row)) is not None]
        if told:
            yield Finding("writes", "warning", f"{name}: {_listed(look.what, told)}", tuple(look.actions), "HW-239")
        else:
            yield Finding("writes", "ok", f"{name}: no active {look.what}")


def _listed(what: str, told: Sequence[str]) -> str:
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return f"active {what} ({len(told)}): {'; '.join(sorted(told)[:_SHOWN])}{more}"


def _may_write(write_fields: Fields, me: str) -> str:
    names = ", ".join(
        f"'{checked_name(name)}.{checked_name(each)}'" for name in sorted(write_fields) for each in write_fields[name]
    )
    return (
        "SELECT Field, Parent.Label, Parent.IsOwnedByProfile, Parent.Profile.Name FROM FieldPermissions "
        f"WHERE PermissionsEdit = true AND Field IN ({names}) "
        f"AND ParentId NOT IN (SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = {me})"
    )


def _permitted(rows: list[Row] | HeadwaterError) -> Finding:
    cure = "Take Edit on these fields from everybody but the integration user: Setup > Permission Sets, Profiles"
    if isinstance(rows, HeadwaterError):
        return Finding("writers", "warning", "who else may edit our fields cannot be asked here", (cure,), "HW-240")
    by_parent: dict[str, int] = {}
    for row in rows:
        parent = row.get("Parent") or {}
        profile = (parent.get("Profile") or {}).get("Name")
        name = f"profile {profile}" if parent.get("IsOwnedByProfile") and profile else str(parent.get("Label"))
        by_parent[name] = by_parent.get(name, 0) + 1
    if not by_parent:
        return Finding("writers", "ok", "nobody else was given Edit on a field that we write")
    told = ", ".join(f"{name} ({count} fields)" for name, count in sorted(by_parent.items()))
    return Finding("writers", "warning", f"others may edit fields that we write: {told}", (cure,), "HW-240")


def _who_wrote(name: str, fields: Sequence[str], me: str) -> str:
    history = _HISTORIES.get(name, f"{name.removesuffix('__c')}__History")
    names = ", ".join(f"'{checked_name(each)}'" for each in fields)
    return (
        f"SELECT Field, CreatedBy.Name who, CreatedBy.Profile.Name profile, COUNT(Id) changes FROM {history} "
        f"WHERE Field IN ({names}) AND CreatedById != {me} AND CreatedDate = LAST_N_DAYS:{DAYS} "
        "GROUP BY Field, CreatedBy.Name, CreatedBy.Profile.Name"
    )


def _writers(objects: Objects, answers: Sequence[list[Row] | HeadwaterError]) -> Iterator[Finding]:
    silent: list[str] = []
    for name, rows in zip(objects, answers, strict=True):
        if isinstance(rows, HeadwaterError) or not rows:
            silent.append(name)
            continue
        told = [
            f"{row.get('Field')} by {row.get('who')} ({row.get('profile')}), {row.get('changes')} times" for row in rows
        ]
        message = f"{name}: others changed fields that we write in the last {DAYS} days: {'; '.join(sorted(told))}"
        cure = "Map one of the two to another field, or stop the other: two that write one field undo each other."
        yield Finding("writers", "warning", message, (cure,), "HW-240")
    if silent:
        message = (
            f"{', '.join(silent)}: no change of our fields by others is known. Only tracked fields tell: "
            "Setup > Object Manager > the object > Fields > Set History Tracking"
        )
        yield Finding("writers", "ok", message)
