"""
The REST resources below ``/services/data/vXX.X/``: which call goes where, and the answers of the plain ones.

Collections, composite requests and Bulk jobs have modules of their own. Names are matched without regard to case and a
trailing slash is as good as none.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from worker.practice.salesforce import collections as collection_calls
from worker.practice.salesforce import composite, sosl, tooling, userinfo
from worker.practice.salesforce.describe import describe_global, describe_object
from worker.practice.salesforce.errors import ApiError, RowError, from_row, not_found
from worker.practice.salesforce.exchange import Answer, Call, refusal
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.query import Page
from worker.practice.salesforce.records import Caller
from worker.practice.salesforce.rows import fetch
from worker.practice.salesforce.schema import SObject
from worker.practice.salesforce.values import parse_datetime, show_datetime, stamp, store

VERSIONS = range(31, 68)
RELEASES = ("Summer", "Winter", "Spring")
FIRST_YEAR = 14  # version 31 was Summer '14
UPDATED_DAYS = 30
DELETED_DAYS = 15
REPLICATION_IDS = 600_000

Resource = Callable[[Org, Call], Answer]


def caller_of(call: Call) -> Caller:
    """
    Who writes, and how the headers want it.
    """
    return Caller(call.user_id, auto_assign=call.auto_assign, allow_duplicates=call.allow_duplicates)


def answer(org: Org, call: Call) -> Answer:
    """
    Answer one call; errors become answers too.
    """
    try:
        return find_resource(call)(org, call)
    except ApiError as error:
        return refusal(error)
    except RowError as error:
        return refusal(from_row(error))


def find_resource(call: Call) -> Resource:
    """
    The resource a call is for. Raises 404 for an unknown path and 405 for a method the path does not have.
    """
    allowed: list[str] = []
    for pattern, methods in _RESOURCES:
        if _matches(pattern, call.segments):
            if call.method in methods:
                return methods[call.method]
            if call.method == "HEAD" and "GET" in methods:
                return methods["GET"]
            allowed += methods
    if allowed:
        words = f"HTTP Method '{call.method}' not allowed. Allowed are {','.join(sorted(set(allowed)))}"
        raise ApiError(405, "METHOD_NOT_ALLOWED", words)
    raise not_found()


def _matches(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    return len(pattern) == len(segments) and all(
        want == "*" or want == have.lower() for want, have in zip(pattern, segments, strict=True)
    )


def parse_target(url: str) -> tuple[str, tuple[str, ...], dict[str, str]] | None:
    """
    Version, segments and parameters of a host-relative API address, or None if it is none.
    """
    parts = urlsplit(url)
    match = re.fullmatch(r"/services/data/v(\d+\.\d)(/.*)?", parts.path)
    if match is None:
        return None
    segments = tuple(unquote(part) for part in (match[2] or "").split("/") if part)
    return match[1], segments, parse_parameters(parts.query)


def parse_parameters(query: str) -> dict[str, str]:
    """
    A query string's parameters, the last of each name; plus signs are spaces.
    """
    found = {}
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if name or equals:
            found[unquote(name.replace("+", " "))] = unquote(value.replace("+", " "))
    return found


def sobject_of(org: Org, name: str) -> SObject:
    """
    An object named in a path. Raises the 404.
    """
    found = org.schema.get(name)
    if found is None or found.tooling:
        raise not_found()
    return found


# -- versions and the root


def versions() -> list[dict[str, str]]:
    """
    The body of ``/services/data``.
    """
    made = []
    for number in VERSIONS:
        since = number - VERSIONS.start
        label = f"{RELEASES[since % 3]} '{FIRST_YEAR + (since + 2) // 3}"
        made.append({"label": label, "url": f"/services/data/v{number}.0", "version": f"{number}.0"})
    return made


def resource_map(org: Org, call: Call) -> Answer:
    names = ("sobjects", "query", "queryAll", "limits", "composite", "jobs", "search", "recent", "parameterizedSearch")
    body = {name: f"{call.root}/{name}" for name in names}
    body["identity"] = f"{call.base_url}/id/{org.organization_id}/{call.user_id}"
    return Answer(body=body)


# -- queries


def query(org: Org, call: Call) -> Answer:
    return _run_query(org, call, all_rows=False)


def query_all(org: Org, call: Call) -> Answer:
    return _run_query(org, call, all_rows=True)


def _run_query(org: Org, call: Call, *, all_rows: bool) -> Answer:
    soql = call.query.get("q")
    if soql is None:
        raise ApiError(400, "MALFORMED_QUERY", "A query string has to be specified")
    match = re.search(r"batchSize\s*=\s*(\d+)", call.headers.get("sforce-query-options", ""), re.IGNORECASE)
    batch = int(match[1]) if match else None
    asker = org.asker(call.user_id, tooling=call.segments[0].lower() == "tooling")
    return _page(org.queries.run(soql, asker, call.root, all_rows=all_rows, batch=batch), call)


def query_more(org: Org, call: Call) -> Answer:
    return _page(org.queries.more(call.segments[1], call.user_id, call.root), call)


def _page(page: Page, call: Call) -> Answer:
    body: dict[str, Any] = {"totalSize": page.total, "done": page.more is None}
    if page.more is not None:
        body["nextRecordsUrl"] = f"{call.root}/query/{page.more}"
    body["records"] = page.records
    return Answer(body=body, rows=len(page.records), kind="read")


# -- describe


def global_describe(org: Org, call: Call) -> Answer:
    return _unless_unchanged(org, call, lambda: describe_global(org.schema_for(call.user_id), call.root))


def object_describe(org: Org, call: Call) -> Answer:
    sobject = sobject_of(org, call.segments[1])
    return _unless_unchanged(org, call, lambda: _describe(org, sobject, call))


def object_basic(org: Org, call: Call) -> Answer:
    sobject = sobject_of(org, call.segments[1])
    body = _describe(org, sobject, call)
    short = {key: value for key, value in body.items() if not isinstance(value, list)}
    return Answer(body={"objectDescribe": short, "recentItems": []})


def _describe(org: Org, sobject: SObject, call: Call) -> dict[str, Any]:
    rows = org.database.reader.execute(
        'SELECT Id, Name, DeveloperName, IsActive FROM "RecordType" WHERE SobjectType = ?', (sobject.name,)
    ).fetchall()
    names = ("Id", "Name", "DeveloperName", "IsActive")
    types = [dict(zip(names, row, strict=True)) for row in rows]
    return describe_object(org.schema_for(call.user_id), sobject, call.root, call.base_url, types)


def _unless_unchanged(org: Org, call: Call, body: Callable[[], dict[str, Any]]) -> Answer:
    org.access.of(call.user_id)
    changed = org.schema_changed_at.replace(microsecond=0)
    headers = {"Last-Modified": format_datetime(changed, usegmt=True), "ETag": f'"{int(changed.timestamp()):x}"'}
    since = call.headers.get("if-modified-since")
    if since:
        try:
            unchanged = parsedate_to_datetime(since).astimezone(UTC) >= changed
        except ValueError:
            unchanged = False
        if unchanged:
            return Answer(304, headers=headers)
    return Answer(body=body(), headers=headers)


# -- rows


def create_row(org: Org, call: Call) -> Answer:
    sobject = sobject_of(org, call.segments[1])
    record_id = org.records.create(sobject, call.json_object(), caller_of(call))
    location = f"{call.root}/sobjects/{sobject.name}/{record_id}"
    body = {"id": record_id, "success": True, "errors": []}
    return Answer(201, body, headers={"Location": location}, rows=1)


def read_row(org: Org, call: Call) -> Answer:
    sobject = sobject_of(org, call.segments[1])
    record_id = _row_id(org, sobject, call.segments[2], call.user_id)
    fields = [name.strip() for name in call.query.get("fields", "").split(",") if name.strip()]
    found = org.queries.fetch(sobject.name, [record_id], fields, call.user_id, call.root).get(record_id)
    if found is None:
        raise not_found()
    return Answer(body=found, rows=1)


def update_row(org: Org, call: Call) -> Answer:
    sobject = sobject_of(org, call.segments[1])
    record_id = _row_id(org, sobject, call.segments[2], call.user_id)
    _check_unmodified(org, sobject, record_id, call)
    body = call.json_object()
    if any(name.lower() == "id" for name in body):
        words = "The Id field should not be specified in the sobject data."
        raise ApiError(400, "INVALID_FIELD", words, ["Id"])
    org.records.update(sobject, record_id, body, caller_of(call))
    return Answer(204, rows=1)


def delete_row(org: Org, call: Call) -> Answer:
    sobject = sobject_of(org, call.segments[1])
    org.records.delete(sobject, _row_id(org, sobject, call.segments[2], call.user_id), caller_of(call))
    return Answer(204, rows=1)


def post_row(org: Org, call: Call) -> Answer:
    """
    POST with ``_HttpMethod=PATCH``, for clients that cannot send a PATCH.
    """
    if call.query.get("_HttpMethod", "").upper() != "PATCH":
        raise ApiError(405, "METHOD_NOT_ALLOWED", "HTTP Method 'POST' not allowed. Allowed are DELETE,GET,HEAD,PATCH")
    return update_row(org, call) if len(call.segments) == 3 else upsert_row(org, call)


def read_by_external_id(org: Org, call: Call) -> Answer:
    sobject, ids = _by_external_id(org, call)
    if not ids:
        raise not_found()
    if len(ids) > 1:
        return _several(call, sobject, ids)
    fields = [name.strip() for name in call.query.get("fields", "").split(",") if name.strip()]
    return Answer(body=org.queries.fetch(sobject.name, ids, fields, call.user_id, call.root)[ids[0]], rows=1)


def upsert_row(org: Org, call: Call) -> Answer:
    sobject, ids = _by_external_id(org, call)
    if len(ids) > 1:
        return _several(call, sobject, ids)
    key = sobject[call.segments[2]]
    body = call.json_object()
    if any(name.lower() == key.name.lower() for name in body):
        words = f"The {key.name} field should not be specified in the sobject data."
        raise ApiError(400, "INVALID_FIELD", words, [key.name])
    record_id, created = org.records.upsert(sobject, key, call.segments[3], body, caller_of(call))
    shown = {"id": record_id, "success": True, "errors": [], "created": created}
    return Answer(201 if created else 200, shown, rows=1)


def delete_by_external_id(org: Org, call: Call) -> Answer:
    sobject, ids = _by_external_id(org, call)
    if not ids:
        raise not_found()
    if len(ids) > 1:
        return _several(call, sobject, ids)
    org.records.delete(sobject, ids[0], caller_of(call))
    return Answer(204, rows=1)


def _by_external_id(org: Org, call: Call) -> tuple[SObject, list[str]]:
    sobject = sobject_of(org, call.segments[1])
    key = org.schema_for(call.user_id).visible(sobject, call.segments[2])
    if key is None or not (key.external_id or key.id_lookup):
        words = f"Provided external ID field does not exist or is not accessible: {call.segments[2]}"
        raise ApiError(404, "NOT_FOUND", words)
    with org.database.lock:
        if key.name == "Id":
            record_id = to18(call.segments[3])
            return sobject, [record_id] if record_id else []
        return sobject, org.records.find_by(sobject, key, store(key, call.segments[3]))


def _several(call: Call, sobject: SObject, ids: list[str]) -> Answer:
    return Answer(300, [f"{call.root}/sobjects/{sobject.name}/{each}" for each in ids])


def _row_id(org: Org, sobject: SObject, text: str, user_id: str) -> str:
    """
    The 18-character id of a record that is there. Raises 404, and ENTITY_IS_DELETED for one in the bin.
    """
    record_id = to18(text)
    if record_id is None or record_id[:3] != sobject.prefix:
        raise not_found()
    columns = ("Id", "IsDeleted") if sobject.soft_deletes else ("Id",)
    # What is about to be written is looked up where it is written: reading may lag behind.
    with org.database.lock:
        found = fetch(org.database.writer, sobject, record_id, columns)
    if found is None or not org.records.is_shared(sobject, record_id, user_id):
        raise not_found()
    if found.get("IsDeleted"):
        raise ApiError(404, "ENTITY_IS_DELETED", "entity is deleted", [])
    return record_id


def _check_unmodified(org: Org, sobject: SObject, record_id: str, call: Call) -> None:
    since = call.headers.get("if-unmodified-since")
    if not since or not sobject.get("LastModifiedDate"):
        return
    try:
        limit = stamp(parsedate_to_datetime(since))
    except ValueError:
        return
    with org.database.lock:
        found = fetch(org.database.writer, sobject, record_id, ("LastModifiedDate",))
    if found is not None and found["LastModifiedDate"] > limit:
        raise ApiError(412, "PRECONDITION_FAILED", "The record has been modified since the given time")


# -- replication


def updated(org: Org, call: Call) -> Answer:
    sobject, start, end = _window(org, call, UPDATED_DAYS)
    shared = org.schema_for(call.user_id).restriction(sobject, "t")
    more = (" AND t.IsDeleted = 0" if sobject.soft_deletes else "") + (f" AND ({shared})" if shared else "")
    rows = org.database.reader.execute(
        f'SELECT t.Id FROM "{sobject.name}" t WHERE t.SystemModstamp >= ? AND t.SystemModstamp < ?{more} LIMIT ?',
        (start, end, REPLICATION_IDS + 1),
    ).fetchall()
    if len(rows) > REPLICATION_IDS:
        raise ApiError(400, "EXCEEDED_ID_LIMIT", "too many ids; use a smaller window")
    covered = show_datetime(min(end, org.late.oldest_start() or end))
    return Answer(body={"ids": [row[0] for row in rows], "latestDateCovered": covered}, rows=len(rows))


def deleted(org: Org, call: Call) -> Answer:
    sobject, start, end = _window(org, call, DELETED_DAYS)
    earliest = max(stamp(org.clock.now() - timedelta(days=DELETED_DAYS)), org.bin.deletions_since() or "")
    rows = org.database.reader.execute(
        "SELECT id, at FROM _deletions WHERE object = ? AND at >= ? AND at < ? "
        "AND id NOT IN (SELECT id FROM _hidden) ORDER BY at, id LIMIT ?",
        (sobject.name, max(start, earliest), end, REPLICATION_IDS + 1),
    ).fetchall()
    if len(rows) > REPLICATION_IDS:
        raise ApiError(400, "EXCEEDED_ID_LIMIT", "too many ids; use a smaller window")
    body = {
        "deletedRecords": [{"deletedDate": show_datetime(at), "id": record_id} for record_id, at in rows],
        "earliestDateAvailable": show_datetime(earliest),
        "latestDateCovered": show_datetime(min(end, org.late.oldest_start() or end)),
    }
    return Answer(body=body, rows=len(rows))


def _window(org: Org, call: Call, days: int) -> tuple[SObject, str, str]:
    """
    Object, start and end of a replication window, seconds cut off. Raises INVALID_REPLICATION_DATE.
    """
    sobject = sobject_of(org, call.segments[1])
    if not sobject.replicateable:
        raise ApiError(400, "INVALID_TYPE", f"sObject type '{sobject.name}' is not replicateable")
    start = parse_datetime(call.query.get("start", "").replace(" ", "+"))
    end = parse_datetime(call.query.get("end", "").replace(" ", "+"))
    if start is None or end is None:
        raise ApiError(400, "INVALID_REPLICATION_DATE", "startDate and endDate are needed as ISO 8601 datetimes")
    start, end = f"{start[:16]}:00", f"{end[:16]}:00"
    if start >= end:
        raise ApiError(400, "INVALID_REPLICATION_DATE", "endDate must be at least one minute greater than startDate")
    if start < stamp(org.clock.now() - timedelta(days=days)):
        words = f"startDate cannot be more than {days} days ago"
        raise ApiError(400, "INVALID_REPLICATION_DATE", words)
    return sobject, start, end


# -- limits, and the organisation itself


def about_the_organization(org: Org, call: Call) -> Answer:
    return Answer(body=userinfo.organization(org, call.user_id))


def limits(org: Org, _: Call) -> Answer:
    body = org.usage.resource()
    if org.settings.storage_full:
        body["DataStorageMB"]["Remaining"] = 0
    return Answer(body=body)


def record_count(org: Org, call: Call) -> Answer:
    named = [name for name in call.query.get("sObjects", "").split(",") if name]
    chosen = [org.schema.get(name) for name in named] if named else list(org.schema)
    counts = []
    for sobject in chosen:
        if sobject is None:
            continue
        alive = " WHERE IsDeleted = 0" if sobject.soft_deletes else ""
        count = org.database.reader.execute(f'SELECT COUNT(*) FROM "{sobject.name}"{alive}').fetchone()[0]
        if count:
            counts.append({"count": count, "name": sobject.name})
    return Answer(body={"sObjects": counts})


# -- Bulk 2.0 query jobs


def create_job(org: Org, call: Call) -> Answer:
    return Answer(body=org.bulk.create(call.json_object(), call.user_id, call.version).info(full=False), kind="read")


def list_jobs(org: Org, _: Call) -> Answer:
    records = [job.info(full=True) for job in org.bulk.jobs.values()]
    return Answer(body={"done": True, "records": records, "nextRecordsUrl": None})


def read_job(org: Org, call: Call) -> Answer:
    return Answer(body=org.bulk.find(call.segments[2]).info(full=True))


def change_job(org: Org, call: Call) -> Answer:
    job = org.bulk.find(call.segments[2])
    if call.json_object().get("state") != "Aborted":
        raise ApiError(400, "INVALIDJOBSTATE", "a query job can only be set to Aborted")
    org.bulk.abort(job)
    return Answer(body=job.info(full=False), kind="other")


def delete_job(org: Org, call: Call) -> Answer:
    org.bulk.delete(org.bulk.find(call.segments[2]))
    return Answer(204, kind="other")


def job_results(org: Org, call: Call) -> Answer:
    most = call.query.get("maxRecords")
    if most is not None and (not most.isdigit() or int(most) == 0):
        raise ApiError(400, "INVALID_ARGUMENT", f"maxRecords must be a positive number: {most}")
    job = org.bulk.find(call.segments[2])
    page = org.bulk.results(job, call.version, int(most) if most else None, call.query.get("locator"))
    return Answer(
        chunks=page.chunks,
        length=page.length,
        content_type="text/csv",
        headers={"Sforce-NumberOfRecords": str(page.rows), "Sforce-Locator": page.locator},
        rows=page.rows,
    )


# -- Bulk 2.0 ingest jobs


def create_ingest(org: Org, call: Call) -> Answer:
    job = org.ingest.create(call.json_object(), call.user_id, call.version)
    return Answer(body=job.info(full=False), kind="other")


def list_ingest(org: Org, _: Call) -> Answer:
    records = [job.info(full=True) for job in org.ingest.jobs.values()]
    return Answer(body={"done": True, "records": records, "nextRecordsUrl": None})


def read_ingest(org: Org, call: Call) -> Answer:
    return Answer(body=org.ingest.find(call.segments[2]).info(full=True))


def change_ingest(org: Org, call: Call) -> Answer:
    job = org.ingest.find(call.segments[2])
    org.ingest.change(job, str(call.json_object().get("state")))
    return Answer(body=job.info(full=False), kind="other")


def delete_ingest(org: Org, call: Call) -> Answer:
    org.ingest.delete(org.ingest.find(call.segments[2]))
    return Answer(204, kind="other")


def upload(org: Org, call: Call) -> Answer:
    """
    PUT of a job's CSV. The journal counts its lines as rows written.
    """
    content = call.content()
    org.ingest.upload(org.ingest.find(call.segments[2]), content)
    return Answer(201, rows=max(0, content.count(b"\n") - 1), kind="write")


def ingest_results(org: Org, call: Call) -> Answer:
    job = org.ingest.find(call.segments[2])
    if job.state in {"Open", "UploadComplete", "InProgress"}:
        raise ApiError(400, "INVALIDJOBSTATE", f"Job is not complete: state is {job.state}")
    return Answer(chunks=org.ingest.results(job, call.segments[3].lower()), content_type="text/csv")


_RESOURCES: list[tuple[tuple[str, ...], Mapping[str, Resource]]] = [
    ((), {"GET": resource_map}),
    (("query",), {"GET": query}),
    (("queryall",), {"GET": query_all}),
    (("query", "*"), {"GET": query_more}),
    (("tooling", "query"), {"GET": query}),
    (("tooling", "query", "*"), {"GET": lambda org, call: query_more(org, replace(call, segments=call.segments[1:]))}),
    (("tooling", "executeanonymous"), {"GET": tooling.execute_anonymous}),
    (("tooling", "sobjects", "*"), {"POST": tooling.create_component}),
    (
        ("tooling", "sobjects", "*", "*"),
        {
            "GET": tooling.read_component,
            "PATCH": tooling.update_component,
            "DELETE": tooling.delete_component,
        },
    ),
    (("queryall", "*"), {"GET": query_more}),
    (("sobjects",), {"GET": global_describe}),
    (("sobjects", "*"), {"GET": object_basic, "POST": create_row}),
    (("sobjects", "*", "describe"), {"GET": object_describe}),
    (("sobjects", "*", "updated"), {"GET": updated}),
    (("sobjects", "*", "deleted"), {"GET": deleted}),
    (("sobjects", "*", "*"), {"GET": read_row, "PATCH": update_row, "DELETE": delete_row, "POST": post_row}),
    (
        ("sobjects", "*", "*", "*"),
        {"GET": read_by_external_id, "PATCH": upsert_row, "DELETE": delete_by_external_id, "POST": post_row},
    ),
    (("search",), {"GET": sosl.search}),
    (("parameterizedsearch",), {"GET": sosl.parameterized_search, "POST": sosl.parameterized_search}),
    (("connect", "organization"), {"GET": about_the_organization}),
    (("limits",), {"GET": limits}),
    (("limits", "recordcount"), {"GET": record_count}),
    (("jobs", "query"), {"GET": list_jobs, "POST": create_job}),
    (("jobs", "query", "*"), {"GET": read_job, "PATCH": change_job, "DELETE": delete_job}),
    (("jobs", "query", "*", "results"), {"GET": job_results}),
    (("jobs", "ingest"), {"GET": list_ingest, "POST": create_ingest}),
    (("jobs", "ingest", "*"), {"GET": read_ingest, "PATCH": change_ingest, "DELETE": delete_ingest}),
    (("jobs", "ingest", "*", "batches"), {"PUT": upload}),
    (("jobs", "ingest", "*", "successfulresults"), {"GET": ingest_results}),
    (("jobs", "ingest", "*", "failedresults"), {"GET": ingest_results}),
    (("jobs", "ingest", "*", "unprocessedrecords"), {"GET": ingest_results}),
    (
        ("composite", "sobjects"),
        {
            "POST": collection_calls.create,
            "PATCH": collection_calls.update,
            "DELETE": collection_calls.delete,
        },
    ),
    (("composite", "sobjects", "*"), {"GET": collection_calls.read, "POST": collection_calls.read}),
    (("composite", "sobjects", "*", "*"), {"PATCH": collection_calls.upsert}),
    (("composite", "batch"), {"POST": lambda org, call: composite.batch(org, call, answer, parse_target)}),
    (("composite",), {"POST": lambda org, call: composite.composite(org, call, answer, parse_target)}),
]
