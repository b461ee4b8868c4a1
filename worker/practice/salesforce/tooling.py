"""
The Tooling API's slice: queries of what administrators have made, and custom fields as records with their metadata.

``CustomField`` and ``CustomObject`` rows follow the schema, ``automation.py`` has the rest. Apex is not run here, and
whoever asks is told so in the words of a compiler.
"""

import re
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.components import KINDS, show_field
from worker.practice.salesforce.errors import ApiError, not_found
from worker.practice.salesforce.exchange import Answer, Call
from worker.practice.salesforce.ids import numbered_id, to18
from worker.practice.salesforce.schema import Field, SObject
from worker.practice.salesforce.tooling_objects import FIELD_PREFIX

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org


def show_definitions(org: "Org") -> None:
    """
    Make the rows of CustomField and CustomObject what the schema is now. A component keeps its id as long as it is
    there.
    """
    fields = {
        (sobject.name, field.name): field
        for sobject in org.schema
        for field in sobject.fields.values()
        if field.custom and field.source is None
    }
    objects = [each.name for each in org.schema if each.custom]
    with org.database.write() as connection:
        known = {
            (row[1], f"{row[2]}__c"): row[0]
            for row in connection.execute('SELECT Id, TableEnumOrId, DeveloperName FROM "CustomField"')
        }
        gone = [(record_id,) for key, record_id in known.items() if key not in fields]
        connection.executemany('DELETE FROM "CustomField" WHERE Id = ?', gone)
        fresh = [key for key in fields if key not in known]
        rows = [_row(table, fields[table, name]) for table, name in fresh]
        org.loading.create(org.schema["CustomField"], rows)
        there = {row[0] for row in connection.execute('SELECT DeveloperName FROM "CustomObject"')}
        made = [name.removesuffix("__c") for name in objects]
        connection.executemany(
            'DELETE FROM "CustomObject" WHERE DeveloperName = ?', [(name,) for name in there if name not in made]
        )
        org.loading.create(
            org.schema["CustomObject"],
            [{"DeveloperName": name, "SharingModel": "ReadWrite"} for name in made if name not in there],
        )


def _row(table: str, field: Field) -> dict[str, Any]:
    return {
        "DeveloperName": field.name.removesuffix("__c"),
        "TableEnumOrId": table,
        "Length": field.length or None,
        "Precision": field.precision or None,
        "Scale": field.scale if field.precision else None,
        "InlineHelpText": field.help,
    }


# -- resources below ``tooling``


def create_component(org: "Org", call: Call) -> Answer:
    """
    POST ``tooling/sobjects/CustomField`` with FullName and Metadata.
    """
    _check_custom_field(org, call)
    body = {name.lower(): value for name, value in call.json_object().items()}
    full_name, metadata = str(body.get("fullname") or ""), body.get("metadata")
    if not isinstance(metadata, dict):
        raise ApiError(400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Metadata]", ["Metadata"])
    kind = KINDS["CustomField"]
    if kind.read(org, full_name) is not None:
        words = f"There is already a field named {full_name.rpartition('.')[2]}."
        raise ApiError(400, "DUPLICATE_DEVELOPER_NAME", words, ["FullName"])
    kind.save(org, full_name, metadata)
    sobject, _, name = full_name.partition(".")
    return Answer(201, _saved(_id_of(org, "Task" if sobject == "Activity" else sobject, name)), rows=1)


def read_component(org: "Org", call: Call) -> Answer:
    """
    GET ``tooling/sobjects/CustomField/ID``: the row, with FullName and Metadata.
    """
    _check_custom_field(org, call)
    record_id, sobject, field = _component(org, call)
    found = org.queries.fetch("CustomField", [record_id], [], call.user_id, call.root)[record_id]
    found["attributes"]["url"] = f"{call.root}/tooling/sobjects/CustomField/{record_id}"
    more = {"FullName": f"{sobject.name}.{field.name}", "Metadata": show_field(field)}
    return Answer(body={**found, **more}, rows=1, kind="read")


def update_component(org: "Org", call: Call) -> Answer:
    """
    PATCH ``tooling/sobjects/CustomField/ID`` with Metadata.
    """
    _check_custom_field(org, call)
    _, sobject, field = _component(org, call)
    body = {name.lower(): value for name, value in call.json_object().items()}
    if not isinstance(body.get("metadata"), dict):
        raise ApiError(400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Metadata]", ["Metadata"])
    KINDS["CustomField"].save(org, f"{sobject.name}.{field.name}", body["metadata"])
    return Answer(204, rows=1)


def delete_component(org: "Org", call: Call) -> Answer:
    """
    DELETE ``tooling/sobjects/CustomField/ID``.
    """
    _check_custom_field(org, call)
    _, sobject, field = _component(org, call)
    KINDS["CustomField"].remove(org, f"{sobject.name}.{field.name}")
    return Answer(204, rows=1)


def execute_anonymous(_: "Org", call: Call) -> Answer:
    """
    GET ``tooling/executeAnonymous``: there is no Apex here, so nothing compiles.
    """
    if call.query.get("anonymousBody") is None:
        raise ApiError(400, "INVALID_QUERY_FILTER_OPERATOR", "anonymousBody is required")
    problem = "Apex is not run by a practice org"
    body = {
        "line": 1, "column": 1, "compiled": False, "success": False, "compileProblem": problem,
        "exceptionStackTrace": None, "exceptionMessage": None,
    }  # fmt: skip
    return Answer(body=body)


def _check_custom_field(org: "Org", call: Call) -> None:
    if call.segments[2].lower() != "customfield":
        raise not_found()
    if call.method != "GET" and not org.access.of(call.user_id).administers:
        words = "insufficient access rights on cross-reference id"
        raise ApiError(403, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", words)


def _component(org: "Org", call: Call) -> tuple[str, SObject, Field]:
    record_id = to18(call.segments[3])
    row = org.database.reader.execute(
        'SELECT TableEnumOrId, DeveloperName FROM "CustomField" WHERE Id = ?', (record_id,)
    ).fetchone()
    sobject = org.schema.get(row[0]) if row else None
    field = sobject.get(f"{row[1]}__c") if sobject else None
    if record_id is None or sobject is None or field is None:
        raise not_found()
    return record_id, sobject, field


def _id_of(org: "Org", sobject: str, name: str) -> str:
    row = org.database.reader.execute(
        'SELECT Id FROM "CustomField" WHERE TableEnumOrId = ? AND DeveloperName = ?',
        (sobject, re.sub("__c$", "", name)),
    ).fetchone()
    return str(row[0]) if row else numbered_id(FIELD_PREFIX, 0)


def _saved(record_id: str) -> dict[str, Any]:
    return {"id": record_id, "success": True, "errors": [], "warnings": [], "infos": []}
