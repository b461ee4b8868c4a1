"""
Looking a Salesforce organisation over before it is trusted: each finding says what is wrong and how to cure it.

It reads and never writes. The command line's ``doctor`` and the console call it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from worker.connectors.salesforce.catalogue import Fields, fields_of
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.hosts import LOGIN_HOSTS
from worker.connectors.salesforce.mapping import OBJECTS, OPTIONAL, ObjectMap
from worker.connectors.salesforce.soql import checked_name, quoted_id
from worker.core.errors import HeadwaterError

Level = Literal["ok", "warning", "error"]
Described = Mapping[str, Mapping[str, Any]]

# A clock that is further off than this breaks JWT logins; reading is unharmed, it runs on Salesforce's clock.
_SKEW_WARNING_SECONDS: Final = 60.0
_QUOTA_WARNING_SHARE: Final = 0.8
# What the fields of the shipped package are; a mapped field of another name is checked for being writable only.
PACKAGE_FIELDS: Final[dict[str, tuple[str, int | None]]] = {
    "HW_Engaged__c": ("boolean", None),
    "HW_Engaged_Since__c": ("date", None),
    "HW_Engaged_Until__c": ("date", None),
    "HW_Engagement_Band__c": ("picklist", None),
    "HW_Engaged_Why__c": ("string", 255),
    "HW_Source_Team__c": ("picklist", None),
    "HW_Source_Channel__c": ("string", 80),
    "HW_Source_Offer__c": ("string", 255),
    "HW_Influenced__c": ("boolean", None),
    "HW_Marketing_Share__c": ("percent", None),
    "HW_Credit_Basis__c": ("picklist", None),
    "HW_Credit_State__c": ("picklist", None),
    "HW_Attribution_Why__c": ("string", 255),
    "HW_Lifecycle__c": ("picklist", None),
    "HW_Lifecycle_Since__c": ("datetime", None),
    "HW_Cycle__c": ("double", None),
    "HW_Original_Source__c": ("string", 80),
    "HW_Handover_Due__c": ("datetime", None),
    "HW_Matched_Account__c": ("reference", None),
    "HW_Match_Why__c": ("string", 255),
    "HW_Screened__c": ("string", 80),
}
_PACKAGE_CURE: Final = "Deploy the shipped package again: sf project deploy start --source-dir config/salesforce"
_PERMISSION_CURE: Final = "Assign the shipped permission set to the integration user, or add the field to yours."


@dataclass(frozen=True)
class Finding:
    """
    One thing looked at: what ``check`` found, how bad it is, and lines that cure it.
    """

    check: str
    level: Level
    message: str
    actions: tuple[str, ...] = ()


def examine(
    client: SalesforceClient, *, write_fields: Fields | None = None, extra_fields: Fields | None = None
) -> list[Finding]:
    """
    Everything that can be known without writing, in at most five calls; stops early where nothing further can be asked.

    ``write_fields`` and ``extra_fields`` are object -> field names, as for SalesforceSource.
    """
    try:
        host = client.host()
    except HeadwaterError as error:
        return [Finding("login", "error", str(error), error.actions)]
    findings = [Finding("login", "ok", f"logged in to {host}"), _host(client)]
    findings += _guarded("version", lambda: _version(client))
    findings += _guarded("quota", lambda: _quota(client))
    findings.append(_skew(client))
    findings += _guarded("permissions", lambda: _sees_all(client))
    findings += _guarded("fields", lambda: _fields(client, write_fields or {}, extra_fields or {}))
    return findings


def _host(client: SalesforceClient) -> Finding:
    if client.login_host in LOGIN_HOSTS:
        message = f"logging in through {client.login_host} works, and fails now and then: My Domain does not"
        return Finding("host", "warning", message, (f"Set SALESFORCE_LOGIN_URL to https://{client.host()}",))
    return Finding("host", "ok", f"{client.login_host} is the organisation's own address")


def _guarded(check: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except HeadwaterError as error:
        return [Finding(check, "error", str(error), error.actions)]


def _version(client: SalesforceClient) -> list[Finding]:
    resources = client.ask("GET", "")
    if not isinstance(resources, dict) or "sobjects" not in resources:
        return [Finding("version", "error", f"API version {client.version} is not served", ("Use version 64.0.",))]
    return [Finding("version", "ok", f"API version {client.version} is served")]


def _quota(client: SalesforceClient) -> list[Finding]:
    usage = client.usage()
    if usage is None:
        return [Finding("quota", "warning", "Salesforce does not say how many API calls are left")]
    message = f"{usage.used} of {usage.allowed} API calls of the last 24 hours are used"
    if usage.allowed and usage.used / usage.allowed > _QUOTA_WARNING_SHARE:
        return [Finding("quota", "warning", message, ("See Setup > Company Information for who uses them.",))]
    return [Finding("quota", "ok", message)]


def _skew(client: SalesforceClient) -> Finding:
    # The offset is an upper bound: it holds up to a second of rounding and the time of the call itself.
    skew = (client.session.clock_offset or 0.0) - 1.0
    if abs(skew) > _SKEW_WARNING_SECONDS:
        message = f"this machine's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} Salesforce's"
        return Finding("clock", "warning", message, ("timedatectl set-ntp true",))
    return Finding("clock", "ok", "this machine's clock agrees with Salesforce's")


def _sees_all(client: SalesforceClient) -> list[Finding]:
    # Only the user's own permission sets can be asked; an organisation may refuse even that.
    try:
        user = quoted_id(client.user_id() or "")
        where = [f"AssigneeId = {user}", "PermissionSet.PermissionsViewAllData = true"]
        answer = client.query(f"SELECT COUNT() FROM PermissionSetAssignment WHERE {' AND '.join(where)}")
    except HeadwaterError:
        message = "whether the integration user sees all records cannot be asked here"
        return [Finding("permissions", "warning", message, ("Check its permission set for View All on each object.",))]
    if answer.get("totalSize"):
        return [Finding("permissions", "ok", "the integration user has View All Data")]
    message = "the integration user has no View All Data: records it is not shared are neither read nor counted"
    return [Finding("permissions", "warning", message, ("Give its permission set View All on each object.",))]


def _fields(client: SalesforceClient, write_fields: Fields, extra_fields: Fields) -> list[Finding]:
    by_object: dict[str, ObjectMap | None] = {each.object_name: each for each in OBJECTS.values()}
    for name in (*write_fields, *extra_fields):
        by_object.setdefault(checked_name(name), None)
    parts = client.batch([f"{client.path}/sobjects/{name}/describe" for name in by_object])
    findings: list[Finding] = []
    for (name, source), part in zip(by_object.items(), parts, strict=True):
        if part.status >= 300:
            level: Level = "error" if source is None or source.is_required else "warning"
            cure = f"Give the integration user's permission set Read and View All on {name}."
            findings.append(Finding("object", level, f"{name} cannot be read", (cure,)))
            continue
        described = fields_of(part.result())
        findings += _read_fields(name, source, described, extra_fields.get(name, ()))
        findings += [_write_field(name, field, described) for field in write_fields.get(name, ())]
    return findings


def _read_fields(name: str, source: ObjectMap | None, described: Described, extra: Sequence[str]) -> list[Finding]:
    wanted = list(source.columns.values()) if source is not None else []
    needed = [names[0] for names in wanted if names[0] not in OPTIONAL and not any(each in described for each in names)]
    inputs = source.inputs if source is not None else ()
    absent = needed + [each for each in (*inputs, *extra) if each not in described and each not in OPTIONAL]
    if absent:
        message = f"{name}: {len(absent)} fields that are read are not visible: {', '.join(absent)}"
        return [Finding("read", "warning", message, (_PERMISSION_CURE,))]
    return [Finding("read", "ok", f"{name}: every field that is read is visible")]


def _write_field(name: str, field: str, described: Described) -> Finding:
    label = f"{name}.{field}"
    entry = described.get(field)
    if entry is None:
        message = f"{label} does not exist or is not visible"
        return Finding("write", "error", message, (_PACKAGE_CURE, _PERMISSION_CURE))
    if not entry.get("updateable"):
        return Finding("write", "error", f"{label} cannot be edited by the integration user", (_PERMISSION_CURE,))
    kind, length = PACKAGE_FIELDS.get(field, (entry.get("type"), None))
    if entry.get("type") != kind:
        return Finding("write", "error", f"{label} is a {entry.get('type')}, not a {kind}", (_PACKAGE_CURE,))
    if length is not None and int(entry.get("length") or 0) < length:
        message = f"{label} holds {entry.get('length')} characters, {length} are needed"
        return Finding("write", "error", message, (_PACKAGE_CURE,))
    if entry.get("restrictedPicklist"):
        message = f"{label} is a restricted picklist: record types refuse values"
        return Finding("write", "warning", message, (f"Untick 'Restrict picklist' on {label}.",))
    return Finding("write", "ok", f"{label} can be written")
