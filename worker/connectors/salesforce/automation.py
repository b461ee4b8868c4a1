"""
What else happens in an organisation when we write: active flows, triggers, validation and duplicate rules on each
object; and, of ``writers``, who else writes the same fields.

It reads and never writes. ``headwater doctor --writes`` calls it. What it cannot know it says: a flow of another object
that changes this one, and the processes of Process Builder (their objects are not told).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from worker.connectors.salesforce.catalogue import Fields
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.findings import Finding
from worker.connectors.salesforce.soql import checked_name
from worker.connectors.salesforce.writers import Row, Writers, rows_of
from worker.core.errors import HeadwaterError

_MOMENTS: Final[Mapping[str, str]] = {"RecordBeforeSave": "before save", "RecordAfterSave": "after save"}
_SHOWN: Final = 8
_EXEMPTION: Final = (
    "Exempt the integration user where it should not run: the shipped custom permission Headwater_Exempt, in a formula "
    "$Permission.Headwater_Exempt"
)

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


def examine_writes(
    client: SalesforceClient, write_fields: Fields, changed: Mapping[str, Sequence[str]] | None = None
) -> list[Finding]:
    """
    What runs and who writes on the objects of ``write_fields`` (object -> field names), in three calls. ``changed`` are
    records of which somebody has changed a field after us, object -> ids: who changed them last is asked along the way.

    What the integration user may not look at is a finding of its own. Raises what concerns the whole organisation.
    """
    objects = sorted(checked_name(name) for name in write_fields)
    if not objects:
        return [Finding("writes", "ok", "nothing is written: no field is mapped under write: in fields.yaml")]
    by_rest = [look for look in _LOOKS if not look.is_tooling]
    others = Writers(write_fields, client.user_id() or "", changed or {})
    questions = [*(look.soql(objects) for look in by_rest), *others.questions()]
    answers = [rows_of(part.result) for part in client.batch([client.query_path(each) for each in questions])]
    findings: list[Finding] = []
    for look, rows in zip(by_rest, answers, strict=False):
        findings += _automation(look, rows, objects)
    for look in _LOOKS:
        if look.is_tooling:
            findings += _automation(look, rows_of(partial(_tooling, client, look.soql(objects))), objects)
    return [*findings, *others.findings(answers[len(by_rest) :])]


def _tooling(client: SalesforceClient, soql: str) -> Row:
    answer = client.ask("GET", "tooling/query", params={"q": soql})
    return answer if isinstance(answer, dict) else {}


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
