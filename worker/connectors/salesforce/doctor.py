"""
Looking a Salesforce organisation over before it is trusted: each finding says what is wrong and how to cure it.

It reads and never writes. The command line's ``doctor`` calls it. What else runs when we write is ``automation``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from worker.connectors.salesforce import persons
from worker.connectors.salesforce.catalogue import Fields, fields_of
from worker.connectors.salesforce.client import Part, SalesforceClient
from worker.connectors.salesforce.company import Company, company_findings, questions
from worker.connectors.salesforce.findings import Finding, Level, finding_of
from worker.connectors.salesforce.hosts import DOOR, LOGIN_HOSTS
from worker.connectors.salesforce.mapping import OBJECTS, OPTIONAL, ObjectMap
from worker.connectors.salesforce.soql import checked_name, quoted_id
from worker.core.errors import HeadwaterError

Described = Mapping[str, Mapping[str, Any]]

# A clock that is further off than this breaks JWT logins; reading is unharmed, it runs on Salesforce's clock.
_SKEW_WARNING_SECONDS: Final = 60.0
_QUOTA_WARNING_SHARE: Final = 0.8
_CERTIFICATE_WARNING: Final = timedelta(days=30)
# Objects that records are shared of one by one; those of all others are seen with their parents.
_SHARED_OBJECTS: Final = ("Account", "Contact", "Lead", "Opportunity", "Campaign")
_VIEW_ALL_CURE: Final = (
    "Give the integration user's permission set View All on each of these objects, or View All Data."
)
_QUOTA_CODES: Final = frozenset({"HW-206"})
_NO_ANSWER: Final = frozenset({DOOR.unreachable, DOOR.garbled})
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
_ASSIGN_CURE: Final = "Assign the permission set Headwater_Integration to the integration user."
_SWITCH_CURE: Final = "Or write none: touch_records: {enabled: false} in fields.yaml"
# Less than this part left, an organisation runs full before anybody looks again.
_STORAGE_WARNING_SHARE: Final = 0.05
_PERMISSION_CURE: Final = "Assign the shipped permission set to the integration user, or add the field to yours."


def examine(
    client: SalesforceClient,
    *,
    write_fields: Fields | None = None,
    extra_fields: Fields | None = None,
    company: Company | None = None,
) -> list[Finding]:
    """
    Everything that can be known without writing, in a login and three calls; stops early where nothing further can be
    asked.

    ``write_fields`` and ``extra_fields`` are object -> field names, as for SalesforceSource; ``company`` is what the
    rules say of the organisation, where that is to be compared.
    """
    try:
        host = client.host()
    except HeadwaterError as error:
        return [_no_login(client, error)]
    findings = [Finding("login", "ok", f"logged in to {host}"), _host(client)]
    try:
        findings.append(_version(client))
    except HeadwaterError as error:
        is_quota = error.code in _QUOTA_CODES
        findings += [finding_of("quota" if is_quota else "version", error), _skew(client)]
        if is_quota:
            return findings  # every other question would be refused in the same way
    else:
        findings += [_quota(client), _skew(client)]
    findings += _guarded("fields", lambda: _looked_up(client, write_fields or {}, extra_fields or {}, company))
    return findings


def certificate_finding(certificate: bytes, private_key: str, now: datetime) -> Finding:
    """
    Whether the certificate that was uploaded to Salesforce (PEM) is the private key's, and how long it holds.
    """
    cure = (
        "openssl req -new -x509 -days 730 -key headwater.key -subj /CN=headwater -out headwater.crt",
        "Upload headwater.crt in the External Client App's OAuth settings, and keep the key.",
    )
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        message = "SALESFORCE_CERTIFICATE_FILE is no certificate in PEM form"
        return Finding("certificate", "error", message, cure[:1], "HW-238")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ours = load_pem_private_key(private_key.encode(), password=None).public_key()
    if found.public_key().public_bytes(*form) != ours.public_bytes(*form):
        message = "the certificate is of another key than SALESFORCE_PRIVATE_KEY: Salesforce refuses what we sign"
        return Finding("certificate", "error", message, cure, "HW-238")
    ends_at = found.not_valid_after_utc
    if ends_at <= now:
        return Finding("certificate", "error", f"the certificate has expired on {ends_at:%Y-%m-%d}", cure, "HW-238")
    if ends_at - now < _CERTIFICATE_WARNING:
        message = f"the certificate expires on {ends_at:%Y-%m-%d}, in {(ends_at - now).days} days"
        return Finding("certificate", "warning", message, cure, "HW-238")
    return Finding("certificate", "ok", f"the certificate is the key's and holds until {ends_at:%Y-%m-%d}")


def _no_login(client: SalesforceClient, error: HeadwaterError) -> Finding:
    if error.code not in _NO_ANSWER:
        return finding_of("host" if error.code in (DOOR.address, DOOR.certificate) else "login", error)
    message = f"{client.login_host} does not answer as Salesforce does"
    words = f"{message} ({error.vendor})" if error.vendor else message
    actions = (
        "Compare SALESFORCE_LOGIN_URL with Setup > My Domain: https://YOURCOMPANY.my.salesforce.com",
        f"curl -sS -o /dev/null -w '%{{http_code}}\\n' https://{client.login_host}/services/data   # 200 is right",
    )
    return Finding("host", "error", words, actions, error.code)


def _host(client: SalesforceClient) -> Finding:
    if client.login_host in LOGIN_HOSTS:
        message = f"logging in through {client.login_host} works, and fails now and then: My Domain does not"
        return Finding("host", "warning", message, (f"Set SALESFORCE_LOGIN_URL to https://{client.host()}",))
    return Finding("host", "ok", f"{client.login_host} is the organisation's own address")


def _guarded(check: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except HeadwaterError as error:
        return [finding_of(check, error)]


def _version(client: SalesforceClient) -> Finding:
    resources = client.ask("GET", "")
    if not isinstance(resources, dict) or "sobjects" not in resources:
        return Finding(
            "version", "error", f"API version {client.version} is not served", ("Use version 64.0.",), "HW-210"
        )
    if notice := client.notice():
        message = f"API version {client.version} is served with a warning: {notice}"
        cure = "Set salesforce.api_version in service.yaml to a later one: headwater doctor says whether it is served."
        return Finding("version", "warning", message, (cure,), "HW-210")
    return Finding("version", "ok", f"API version {client.version} is served")


def _quota(client: SalesforceClient) -> Finding:
    usage = client.usage()
    if usage is None:
        return Finding("quota", "warning", "Salesforce does not say how many API calls are left")
    message = f"{usage.used:,} of {usage.allowed:,} API calls of the last 24 hours are used"
    cure = ("headwater status", "Setup > Company Information > API Requests, Last 24 Hours: who uses them")
    if usage.allowed and usage.used >= usage.allowed:
        return Finding("quota", "error", message, cure, "HW-206")
    if usage.allowed and usage.used / usage.allowed > _QUOTA_WARNING_SHARE:
        return Finding("quota", "warning", message, cure, "HW-206")
    return Finding("quota", "ok", message)


def _skew(client: SalesforceClient) -> Finding:
    # The offset is an upper bound: it holds up to a second of rounding and the time of the call itself.
    skew = (client.session.clock_offset or 0.0) - 1.0
    if abs(skew) > _SKEW_WARNING_SECONDS:
        message = (
            f"this machine's clock is {abs(skew):,.0f} s {'behind' if skew > 0 else 'ahead of'} Salesforce's: a signed "
            "login may be refused as expired"
        )
        return Finding("clock", "warning", message, ("timedatectl set-ntp true",), "HW-237")
    return Finding("clock", "ok", "this machine's clock agrees with Salesforce's")


def _looked_up(
    client: SalesforceClient, write_fields: Fields, extra_fields: Fields, company: Company | None
) -> list[Finding]:
    by_object: dict[str, ObjectMap | None] = {each.object_name: each for each in OBJECTS.values()}
    for name in (*write_fields, *extra_fields):
        by_object.setdefault(checked_name(name), None)
    user = quoted_id(client.user_id() or "")
    assigned = f"FROM PermissionSetAssignment WHERE AssigneeId = {user}"
    data = (
        "SELECT Assignee.Username, Assignee.Profile.Name, PermissionSet.PermissionsViewAllData, "
        f"PermissionSet.PermissionsModifyAllData {assigned}"
    )
    grants = f"ParentId IN (SELECT PermissionSetId {assigned})"
    records = f"SELECT SobjectType FROM ObjectPermissions WHERE PermissionsViewAllRecords = true AND {grants}"
    describes = [f"{client.path}/sobjects/{name}/describe" for name in by_object]
    about = questions(client) if company is not None else []
    room = [f"{client.path}/limits"]
    parts = client.batch([*describes, client.query_path(data), client.query_path(records), *room, *about])
    findings = _permissions(*parts[len(describes) : len(describes) + 2])
    making = [
        name for name, part in zip(by_object, parts, strict=False) if _makes_records(write_fields.get(name, ()), part)
    ]
    findings += [_storage(parts[len(describes) + 2], making[0])] if making else []
    if company is not None:
        findings += company_findings(parts[-len(about) :], company, client.now())
    for (name, source), part in zip(by_object.items(), parts, strict=False):
        findings += _object(name, source, part, write_fields.get(name, ()), extra_fields.get(name, ()))
        if name == persons.ACCOUNT and part.status < 300:
            findings += _of_persons(fields_of(part.result()), write_fields.get(persons.CONTACT, ()))
    return findings


def _of_persons(account: Described, written: Sequence[str]) -> list[Finding]:
    # A contact that is one half of a person account is written through the account.
    if persons.TELLTALE not in account or not written:
        return []
    twins = [persons.twin_of(field) for field in written if field.endswith("__c")]
    wrong = [each for twin in twins for each in [_write_field(persons.ACCOUNT, twin, account)] if each.level == "error"]
    message = "what is written to contacts can be written to person accounts too"
    return wrong or [Finding("write", "ok", message)]


def _permissions(sets: Part, view_all_records: Part) -> list[Finding]:
    # Every profile is a permission set too, so that these two answers hold all there is.
    try:
        assigned = _rows(sets)
        whole = {str(row.get("SobjectType")) for row in _rows(view_all_records)}
    except HeadwaterError:
        message = "whether the integration user sees all records cannot be asked here"
        return [Finding("permissions", "warning", message, (_VIEW_ALL_CURE,), "HW-236")]
    granted = [row.get("PermissionSet") or {} for row in assigned]
    sees_all = any(each.get("PermissionsViewAllData") for each in granted)
    findings = [_who(assigned[0])] if assigned else []
    findings.append(_sees_all(whole, sees_all=sees_all))
    if any(each.get("PermissionsModifyAllData") for each in granted):
        message = "the integration user has Modify All Data: far more than it needs, should its key ever be stolen"
        cure = "Give it a profile without, and the shipped permission set Headwater_Integration."
        findings.append(Finding("permissions", "warning", message, (cure,), "HW-241"))
    return findings


def _rows(part: Part) -> list[Mapping[str, Any]]:
    return [row for row in part.result().get("records") or [] if isinstance(row, dict)]


def _who(row: Mapping[str, Any]) -> Finding:
    user = row.get("Assignee") or {}
    return Finding("user", "ok", f"{user.get('Username')}, profile {(user.get('Profile') or {}).get('Name')}")


def _sees_all(whole: Collection[str], *, sees_all: bool) -> Finding:
    partly = [name for name in _SHARED_OBJECTS if name not in whole]
    if sees_all or not partly:
        message = "View All Data" if sees_all else "View All on every object it reads"
        return Finding("permissions", "ok", f"the integration user has {message}")
    message = (
        f"the integration user has no View All Data, and no View All on {', '.join(partly)}: records that are not "
        "shared with it are neither read nor counted"
    )
    return Finding("permissions", "warning", message, (_VIEW_ALL_CURE,), "HW-236")


def _object(
    name: str, source: ObjectMap | None, part: Part, written: Sequence[str], extra: Sequence[str]
) -> Iterator[Finding]:
    if part.status == 404 and source is not None and source.is_optional:
        return
    if part.status == 404 and written and source is None:
        message = f"{name} is not there, or not visible to the integration user: no touch records are written"
        yield Finding("object", "error", message, (_PACKAGE_CURE, _ASSIGN_CURE, _SWITCH_CURE), "HW-226")
        return
    if part.status >= 300:
        level: Level = "error" if source is None or source.is_required else "warning"
        cure = f"Give the integration user's permission set Read and View All on {name}."
        yield Finding("object", level, f"{name} cannot be read", (cure,), "HW-208")
        return
    whole = part.result()
    described = fields_of(whole)
    yield _read_fields(name, source, described, extra)
    if _makes_records(written, part):
        yield _making(name, whole)
    for field in written:
        yield _write_field(name, field, described)


def _read_fields(name: str, source: ObjectMap | None, described: Described, extra: Sequence[str]) -> Finding:
    wanted = list(source.columns.values()) if source is not None else []
    needed = [names[0] for names in wanted if names[0] not in OPTIONAL and not any(each in described for each in names)]
    inputs = source.inputs if source is not None else ()
    absent = needed + [each for each in (*inputs, *extra) if each not in described and each not in OPTIONAL]
    if absent:
        message = f"{name}: {len(absent)} fields that are read are not visible: {', '.join(absent)}"
        return Finding("read", "warning", message, (_PERMISSION_CURE,), "HW-209")
    return Finding("read", "ok", f"{name}: every field that is read is visible")


def _is_masters(entry: Mapping[str, Any]) -> bool:
    # Set when a record is made, and never after: only records that we make ourselves have such a field of ours.
    is_fixed = bool(entry.get("createable")) and not entry.get("updateable") and not entry.get("nillable")
    return entry.get("type") == "reference" and is_fixed


def _makes_records(written: Sequence[str], part: Part) -> bool:
    if part.status >= 300:
        return False
    described = fields_of(part.result())
    return any(_is_masters(described.get(field, {})) for field in written)


def _making(name: str, description: Mapping[str, Any]) -> Finding:
    rights = {"createable": "Create", "updateable": "Edit", "deletable": "Delete"}
    lacking = [right for trait, right in rights.items() if not description.get(trait)]
    if lacking:
        message = f"{name}: the integration user lacks {', '.join(lacking)}: no touch records are written"
        cure = f"Give the integration user's permission set Read, Create, Edit and Delete on {name}."
        return Finding("write", "error", message, (_ASSIGN_CURE, cure, _SWITCH_CURE), "HW-226")
    return Finding("write", "ok", f"{name}: records can be made, changed and deleted")


def _storage(limits: Part, made: str) -> Finding:
    said = limits.result().get("DataStorageMB") if limits.status < 300 else None
    if not isinstance(said, dict) or not all(isinstance(said.get(name), int) for name in ("Max", "Remaining")):
        message = "how much data storage is left cannot be asked here"
        return Finding("storage", "warning", message, ("Setup > Storage Usage",), "HW-243")
    cures = ("Setup > Storage Usage: delete or archive what takes it, or have more added.", _SWITCH_CURE)
    if said["Remaining"] <= 0:
        return Finding("storage", "error", f"no data storage is left: new records of {made} wait", cures, "HW-243")
    message = f"{said['Remaining']:,} of {said['Max']:,} MB of data storage are left"
    if said["Remaining"] < said["Max"] * _STORAGE_WARNING_SHARE:
        return Finding("storage", "warning", f"{message}; each record of {made} takes 2 kB", cures[:1], "HW-243")
    return Finding("storage", "ok", message)


def _write_field(name: str, field: str, described: Described) -> Finding:
    label = f"{name}.{field}"
    entry = described.get(field)
    if entry is None:
        message = f"{label} does not exist or is not visible"
        return Finding("write", "error", message, (_PACKAGE_CURE, _PERMISSION_CURE), "HW-209")
    if not entry.get("updateable") and not _is_masters(entry):
        message = f"{label} cannot be edited by the integration user"
        return Finding("write", "error", message, (_PERMISSION_CURE,), "HW-234")
    kind, length = PACKAGE_FIELDS.get(field, (entry.get("type"), None))
    if entry.get("type") != kind:
        message = f"{label} is a {entry.get('type')}, not a {kind}"
        return Finding("write", "error", message, (_PACKAGE_CURE,), "HW-235")
    if length is not None and int(entry.get("length") or 0) < length:
        message = f"{label} holds {entry.get('length')} characters, {length} are needed"
        return Finding("write", "error", message, (_PACKAGE_CURE,), "HW-235")
    if entry.get("restrictedPicklist"):
        message = f"{label} is a restricted picklist: record types refuse values"
        return Finding("write", "warning", message, (f"Untick 'Restrict picklist' on {label}.",), "HW-235")
    return Finding("write", "ok", f"{label} can be written")
