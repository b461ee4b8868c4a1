"""
Collections: up to 200 records of one or several objects in one call, each with a result of its own.

The answer is 200 whatever became of the records, in the order of the request. With ``allOrNone`` one refusal takes all
the others back.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker.practice.salesforce.errors import ApiError, RowError, not_found
from worker.practice.salesforce.exchange import Answer, Call
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.records import Caller
from worker.practice.salesforce.schema import SObject

ROW_LIMIT = 200
READ_LIMIT = 2000
RUN_LIMIT = 10
ROLLED_BACK = "Record rolled back because not all records were valid and the request was using AllOrNone header"

Result = dict[str, Any]
RowWork = Callable[[Mapping[str, Any]], Result]


class _RollBack(Exception):
    """
    Ends the transaction of an all-or-none request that has had a refusal.
    """


def create(org: Org, call: Call) -> Answer:
    """
    POST ``composite/sobjects``.
    """
    caller = Caller(call.user_id, auto_assign=call.auto_assign, allow_duplicates=call.allow_duplicates)

    def work(record: Mapping[str, Any]) -> Result:
        record_id = org.records.create(_typed(org, record), record, caller)
        return {"id": record_id, "success": True, "errors": []}

    return _each(org, call, work)


def update(org: Org, call: Call) -> Answer:
    """
    PATCH ``composite/sobjects``.
    """
    caller = Caller(call.user_id, auto_assign=call.auto_assign, allow_duplicates=call.allow_duplicates)

    def work(record: Mapping[str, Any]) -> Result:
        sobject = _typed(org, record)
        given = next((value for name, value in record.items() if name.lower() == "id"), None)
        if not given:
            raise RowError("MISSING_ARGUMENT", "Id not specified in an update call", ["Id"])
        record_id = to18(str(given))
        if record_id is None or record_id[:3] != sobject.prefix:
            raise RowError("MALFORMED_ID", f"Record ID: id value of incorrect type: {given}", ["Id"])
        org.records.update(sobject, record_id, record, caller)
        return {"id": record_id, "success": True, "errors": []}

    return _each(org, call, work)


def upsert(org: Org, call: Call) -> Answer:
    """
    PATCH ``composite/sobjects/Object/ExternalId__c``.
    """
    caller = Caller(call.user_id, auto_assign=call.auto_assign, allow_duplicates=call.allow_duplicates)
    sobject = org.schema.get(call.segments[2])
    if sobject is None:
        raise not_found()
    key = org.schema_for(call.user_id).visible(sobject, call.segments[3])
    if key is None or not (key.external_id or key.id_lookup):
        words = f"Provided external ID field does not exist or is not accessible: {call.segments[3]}"
        raise ApiError(404, "NOT_FOUND", words)

    def work(record: Mapping[str, Any]) -> Result:
        if _typed(org, record) is not sobject:
            raise RowError("INVALID_TYPE", f"The record's type must be {sobject.name}")
        value = next((value for name, value in record.items() if name.lower() == key.name.lower()), None)
        if value in (None, "") and key.name != "Id":
            raise RowError("MISSING_ARGUMENT", f"{key.name} not specified", [key.name])
        record_id, created = org.records.upsert(sobject, key, value, record, caller)
        return {"id": record_id, "success": True, "errors": [], "created": created}

    return _each(org, call, work)


def delete(org: Org, call: Call) -> Answer:
    """
    DELETE ``composite/sobjects?ids=...``.
    """
    caller = Caller(call.user_id)
    ids = [each.strip() for each in call.query.get("ids", "").split(",") if each.strip()]
    if not ids or len(ids) > ROW_LIMIT:
        raise ApiError(400, "EXCEEDED_ID_LIMIT", f"The number of ids must be between 1 and {ROW_LIMIT}")

    def work(record: Mapping[str, Any]) -> Result:
        record_id = to18(record["id"])
        sobject = org.schema.of_id(record_id) if record_id else None
        if record_id is None or sobject is None:
            raise RowError("MALFORMED_ID", "malformed id " + str(record["id"]))
        org.records.delete(sobject, record_id, caller)
        return {"id": record_id, "success": True, "errors": []}

    every = call.query.get("allOrNone", "false").lower() == "true"
    return _run(org, [{"id": each} for each in ids], work, all_or_none=every)


def read(org: Org, call: Call) -> Answer:
    """
    POST (or GET) ``composite/sobjects/Object``: records by id in the order asked for, null for one that is not there.
    """
    sobject = org.schema.get(call.segments[2])
    if sobject is None:
        raise not_found()
    if call.method == "POST":
        body = call.json_object()
        ids, fields = body.get("ids"), body.get("fields")
    else:
        ids, fields = call.query.get("ids", "").split(","), call.query.get("fields", "").split(",")
    if not isinstance(ids, list) or not isinstance(fields, list) or not ids or not fields:
        raise ApiError(400, "MISSING_ARGUMENT", "The ids and fields parameters are required")
    if len(ids) > READ_LIMIT:
        raise ApiError(400, "EXCEEDED_ID_LIMIT", f"The number of ids must not exceed {READ_LIMIT}")
    wanted = [to18(str(each)) for each in ids]
    found = org.queries.fetch(
        sobject.name, [each for each in wanted if each], [str(each) for each in fields], call.user_id, call.root
    )
    return Answer(body=[found.get(each) if each else None for each in wanted], rows=len(found), kind="read")


def _typed(org: Org, record: Mapping[str, Any]) -> SObject:
    attributes = record.get("attributes")
    name = attributes.get("type") if isinstance(attributes, Mapping) else None
    found = org.schema.get(str(name)) if name else None
    if found is None:
        words = f"sObject type '{name}' is not supported." if name else "Object type is not specified in attributes"
        raise RowError("INVALID_TYPE", words)
    return found


def _each(org: Org, call: Call, work: RowWork) -> Answer:
    body = call.json_object()
    records = body.get("records")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ApiError(400, "JSON_PARSER_ERROR", "records must be a list of objects")
    if len(records) > ROW_LIMIT:
        words = f"The number of records must not exceed {ROW_LIMIT}, was {len(records)}"
        raise ApiError(400, "EXCEEDED_ID_LIMIT", words)
    if _runs(records) > RUN_LIMIT:
        words = f"The number of chunks of records of the same type must not exceed {RUN_LIMIT}"
        raise ApiError(400, "INVALID_INPUT", words)
    return _run(org, records, work, all_or_none=bool(body.get("allOrNone", False)))


def _runs(records: Sequence[Mapping[str, Any]]) -> int:
    types = [str((record.get("attributes") or {}).get("type", "")).lower() for record in records]
    return sum(1 for place, name in enumerate(types) if place == 0 or types[place - 1] != name)


def _run(org: Org, records: Sequence[Mapping[str, Any]], work: RowWork, *, all_or_none: bool) -> Answer:
    results: list[Result] = []
    refused: list[int] = []
    try:
        with org.database.write():
            for place, record in enumerate(records):
                try:
                    with org.database.write():
                        results.append(work(record))
                except RowError as error:
                    refused.append(place)
                    results.append({"success": False, "errors": [error.as_row()]})
                except OverflowError as error:
                    refused.append(place)
                    wrong = RowError("NUMBER_OUTSIDE_VALID_RANGE", str(error))
                    results.append({"success": False, "errors": [wrong.as_row()]})
            if refused and all_or_none:
                raise _RollBack  # noqa: TRY301 - leaving the block is what rolls the transaction back
    except _RollBack:
        innocent = RowError("ALL_OR_NONE_OPERATION_ROLLED_BACK", ROLLED_BACK).as_row()
        results = [
            result if place in refused else {"success": False, "errors": [innocent]}
            for place, result in enumerate(results)
        ]
    return Answer(body=results, rows=len(records), kind="write")
