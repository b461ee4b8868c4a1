"""
The Metadata API over SOAP, ``/services/Soap/m``: create, read, update, upsert, delete, rename, list and describe of the
components that ``components.py`` keeps, and ``deploy`` of a zip file with its status. Other calls are refused by name.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from worker.practice.salesforce.components import KINDS, as_list, find_kind, is_true, rename
from worker.practice.salesforce.deploy import Deployment
from worker.practice.salesforce.errors import ApiError, RowError
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.partner import ENVELOPE, INSTANCE, fault, parse_envelope, write_envelope
from worker.practice.salesforce.values import stamp

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
CALL_LIMIT = 10  # components a call
LIST_LIMIT = 3  # queries a listMetadata
OLDEST = 31
_TYPE = f"{{{INSTANCE}}}type"


def answer(org: Org, version: str, content: bytes) -> tuple[int, str]:
    """
    Status and envelope for one request to ``/services/Soap/m/{version}``.
    """
    try:
        operation = _admit(org, version, content)
        name = _local(operation)
        body = _CALLS[name](org, operation)
    except (ApiError, RowError) as error:
        return 500, fault(error.code, error.message, NAMESPACE)
    return 200, write_envelope(f"<{name}Response>{body}</{name}Response>", NAMESPACE)


def _admit(org: Org, version: str, content: bytes) -> ET.Element:
    """
    The call a request makes, once it is known to be one and its user may make it. Counts it as an API call.
    """
    number = version.partition(".")[0]
    if not number.isdigit() or int(number) < OLDEST:
        raise ApiError(500, "UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL")
    root = parse_envelope(content)
    header = root.find(f"{{{ENVELOPE}}}Header")
    given = () if header is None else header.iter()
    token = next((each.text or "" for each in given if _local(each) == "sessionId"), "")
    user_id = org.sessions.find({"authorization": f"Bearer {token}"}).user_id
    org.settle()
    org.usage.count()
    if not org.access.of(user_id).administers:
        words = "You do not have the proper permissions to access the Metadata API."
        raise ApiError(500, "INSUFFICIENT_ACCESS", words)
    operation = root.find(f"{{{ENVELOPE}}}Body/*")
    if operation is None or _local(operation) not in _CALLS:
        name = _local(operation) if operation is not None else ""
        raise ApiError(500, "UNKNOWN_EXCEPTION", f"No operation available for request {{{NAMESPACE}}}{name}")
    return operation


# -- the calls


def _create(org: Org, operation: ET.Element) -> str:
    def work(kind: str, name: str, values: Mapping[str, Any]) -> bool:
        if find_kind(kind).read(org, name) is not None:
            code = "DUPLICATE_DEVELOPER_NAME"
            raise RowError(code, f"There is already a {kind} named {name.rpartition('.')[2]}", ["fullName"])
        find_kind(kind).save(org, name, values)
        return True

    return _each(operation, work, tells_created=False)


def _update(org: Org, operation: ET.Element) -> str:
    def work(kind: str, name: str, values: Mapping[str, Any]) -> bool:
        if find_kind(kind).read(org, name) is None:
            raise RowError("INVALID_CROSS_REFERENCE_KEY", f"In field: fullName - no {kind} named {name} found")
        find_kind(kind).save(org, name, values)
        return False

    return _each(operation, work, tells_created=False)


def _upsert(org: Org, operation: ET.Element) -> str:
    def work(kind: str, name: str, values: Mapping[str, Any]) -> bool:
        created = find_kind(kind).read(org, name) is None
        find_kind(kind).save(org, name, values)
        return created

    return _each(operation, work, tells_created=True)


def _each(operation: ET.Element, work: Callable[[str, str, Mapping[str, Any]], bool], *, tells_created: bool) -> str:
    components = list(operation)
    if len(components) > CALL_LIMIT:
        raise ApiError(500, "LIMIT_EXCEEDED", f"record limit reached. cannot submit more than {CALL_LIMIT} records")
    results = []
    for each in components:
        kind = each.get(_TYPE, "").rpartition(":")[2]
        values = read_values(each)
        name = str(values.pop("fullName", "")) if isinstance(values, dict) else ""
        results.append(_result(name, lambda: work(kind, name, values), tells_created=tells_created))  # noqa: B023 - called at once
    return "".join(results)


def _result(name: str, work: Callable[[], bool], *, tells_created: bool) -> str:
    created, errors = False, ""
    try:
        created = work()
    except RowError as error:
        fields = "".join(f"<fields>{escape(each)}</fields>" for each in error.fields)
        errors = (
            f"<errors>{fields}<message>{escape(error.message)}</message><statusCode>{error.code}</statusCode></errors>"
        )
    told = f"<created>{_word(created)}</created>" if tells_created else ""
    return f"<result>{told}{errors}<fullName>{escape(name)}</fullName><success>{_word(not errors)}</success></result>"


def _read(org: Org, operation: ET.Element) -> str:
    kind = _text(operation, "type")
    shown = []
    for name in _texts(operation, "fullNames"):
        values = find_kind(kind).read(org, name)
        if values is None:
            shown.append('<records xsi:nil="true"/>')
        else:
            # A component's own name comes among its elements in the order of the alphabet, as an org writes it.
            inner = write_values({**values, "fullName": name})
            shown.append(f'<records xsi:type="{kind}">{inner}</records>')
    return f"<result>{''.join(shown)}</result>"


def _delete(org: Org, operation: ET.Element) -> str:
    kind = _text(operation, "type")

    def remove(name: str) -> bool:
        find_kind(kind).remove(org, name)
        return False

    names = _texts(operation, "fullNames")
    return "".join(_result(name, lambda: remove(name), tells_created=False) for name in names)  # noqa: B023 - called at once


def _rename(org: Org, operation: ET.Element) -> str:
    old, new = _text(operation, "oldFullName"), _text(operation, "newFullName")

    def work() -> bool:
        rename(org, _text(operation, "type"), old, new)
        return False

    return _result(new, work, tells_created=False)


def _list(org: Org, operation: ET.Element) -> str:
    queries = [each for each in operation if _local(each) == "queries"]
    if len(queries) > LIST_LIMIT:
        raise ApiError(500, "LIMIT_EXCEEDED", f"cannot submit more than {LIST_LIMIT} queries")
    now = f"{stamp(org.schema_changed_at)}.000Z"
    admin = f"<%sById>{org.admin_id}</%sById><%sByName>Ada Administrator</%sByName><%sDate>{now}</%sDate>"
    shown = []
    for query in queries:
        kind = find_kind(_text(query, "type"))
        for name in kind.names(org):
            file = f"{kind.folder or 'objects'}/{name.partition('.')[0]}.{kind.suffix or 'object'}"
            shown.append(
                f"<result>{admin.replace('%s', 'created')}<fileName>{escape(file)}</fileName>"
                f"<fullName>{escape(name)}</fullName><id></id>{admin.replace('%s', 'lastModified')}"
                f"<manageableState>unmanaged</manageableState><type>{kind.name}</type></result>"
            )
    return "".join(shown)


def _describe(_: Org, __: ET.Element) -> str:
    objects = []
    for kind in KINDS.values():
        if kind.folder:
            children = "".join(f"<childXmlNames>{each}</childXmlNames>" for each in kind.children)
            objects.append(
                f"<metadataObjects>{children}<directoryName>{kind.folder}</directoryName><inFolder>false</inFolder>"
                f"<metaFile>false</metaFile><suffix>{kind.suffix}</suffix><xmlName>{kind.name}</xmlName></metadataObjects>"
            )
    rest = "<organizationNamespace></organizationNamespace><partialSaveAllowed>true</partialSaveAllowed>"
    return f"<result>{''.join(objects)}{rest}<testRequired>false</testRequired></result>"


def _describe_value_type(_: Org, operation: ET.Element) -> str:
    find_kind(_text(operation, "type").rpartition("}")[2])
    able = "".join(f"<api{power}>true</api{power}>" for power in ("Creatable", "Deletable", "Readable", "Updatable"))
    name = (
        "<valueTypeFields><isForeignKey>false</isForeignKey><isNameField>true</isNameField><minOccurs>0</minOccurs>"
        "<name>fullName</name><soapType>string</soapType></valueTypeFields>"
    )
    return f"<result>{able}{name}</result>"


def _deploy(org: Org, operation: ET.Element) -> str:
    values = {name.lower(): value for name, value in dict(read_values(operation)).items()}
    options = dict(values.get("deployoptions") or {})
    try:
        content = base64.b64decode(str(values.get("zipfile") or ""), validate=False)
    except binascii.Error as error:
        raise ApiError(500, "INVALID_OPERATION", f"the ZipFile is not base64: {error}") from error
    made = Deployment(
        id=org.ids.take("0Af")[0],
        content=content,
        check_only=is_true(options.get("checkOnly")),
        rolls_back=is_true(options.get("rollbackOnError", True)),
    )
    org.deployments[made.id] = made
    made.run(org, read_values)
    return f"<result><done>false</done><id>{made.id}</id><state>Queued</state></result>"


def _check_deploy(org: Org, operation: ET.Element) -> str:
    asked = _text(operation, "asyncProcessId") or _text(operation, "id")
    found = org.deployments.get(asked) or next((d for d in org.deployments.values() if d.id[:15] == asked[:15]), None)
    if found is None:
        raise ApiError(500, "INVALID_CROSS_REFERENCE_KEY", f"no deployment {asked}")
    return f"<result>{write_values(found.show(details=is_true(_text(operation, 'includeDetails'))))}</result>"


_CALLS: Mapping[str, Callable[[Org, ET.Element], str]] = {
    "createMetadata": _create,
    "updateMetadata": _update,
    "upsertMetadata": _upsert,
    "readMetadata": _read,
    "deleteMetadata": _delete,
    "renameMetadata": _rename,
    "listMetadata": _list,
    "describeMetadata": _describe,
    "describeValueType": _describe_value_type,
    "deploy": _deploy,
    "checkDeployStatus": _check_deploy,
}


# -- XML and plain values


def read_values(element: ET.Element) -> Any:
    """
    An element as plain values: text, or a dictionary in which an element that came several times is a list.
    """
    if not len(element):
        return (element.text or "").strip()
    made: dict[str, Any] = {}
    for child in element:
        name, value = _local(child), read_values(child)
        if child.get(f"{{{INSTANCE}}}nil") == "true":
            continue
        made[name] = [*as_list(made[name]), value] if name in made else value
    return made


def write_values(values: Mapping[str, Any]) -> str:
    """
    Plain values as elements in the order of the alphabet; None is left out, a list is an element repeated.
    """
    parts = []
    for name, value in sorted(values.items()):
        for each in as_list(value):
            if isinstance(each, Mapping):
                inner = write_values(each)
            else:
                inner = _word(each) if isinstance(each, bool) else escape(str(each))
            parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def _word(value: bool) -> str:
    return "true" if value else "false"


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _texts(element: ET.Element, name: str) -> list[str]:
    return [(each.text or "").strip() for each in element if _local(each) == name]


def _text(element: ET.Element, name: str) -> str:
    return next(iter(_texts(element, name)), "")
