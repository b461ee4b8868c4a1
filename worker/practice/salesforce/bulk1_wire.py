"""
Bulk API 1.0 on the wire: addresses below ``/services/async/NN.0/``, XML and JSON.

A job is shown in the form of the request (JSON if its Content-Type says so, else XML), a batch in the form of its job:
XML for CSV jobs, JSON for JSON jobs, whatever the request says. Errors follow the request.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from worker.practice.salesforce.bulk1 import Bulk1Jobs
from worker.practice.salesforce.bulk1_rows import QUERIES, Batch, Job, result_rows
from worker.practice.salesforce.errors import ApiError
from worker.practice.salesforce.exchange import Answer
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.values import show_datetime

NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
XML_TYPE, JSON_TYPE, CSV_TYPE = "application/xml", "application/json", "text/csv"
OLDEST = 31

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """
    A request: ``path`` is what follows ``/services/async/``, ``headers`` have lower-case names, ``body`` is unpacked.
    """

    method: str
    path: str
    headers: Headers
    body: bytes


def answer(org: Org, call: Call, open_session: Callable[[], str]) -> Answer:
    """
    Answer one call. ``open_session`` gives the calling user's id or raises the refusal.
    """
    try:
        return _answer(org, call, open_session())
    except ApiError as error:
        return _refusal(error, call.headers)


def _answer(org: Org, call: Call, user_id: str) -> Answer:
    version, *segments = [part for part in call.path.split("/") if part] or [""]
    number = version.partition(".")[0]
    if not number.isdigit() or int(number) < OLDEST:
        raise ApiError(400, "InvalidVersion", f"Api version {version} is not supported")
    match segments:
        case ["job"] if call.method == "POST":
            chunking = call.headers.get("sforce-enable-pkchunking", "")
            job = org.bulk1.create(_given(call), user_id, version, chunking=chunking)
            return _job(job, call.headers, 201, kind="read" if job.operation in QUERIES else "write")
        case ["job", job_id]:
            job = org.bulk1.find(job_id)
            if call.method == "POST":
                org.bulk1.change(job, str(_given(call).get("state")))
            return _job(job, call.headers, kind="other")
        case ["job", job_id, "batch", *rest]:
            found = _batch_answer(org.bulk1, org.bulk1.find(job_id), call, rest)
            if found is not None:
                return found
    raise ApiError(404, "InvalidUrl", f"{'/'.join(segments)} is no resource")


def _batch_answer(jobs: Bulk1Jobs, job: Job, call: Call, rest: list[str]) -> Answer | None:
    if not rest:
        if call.method == "POST":
            return _shown(job, {"batchInfo": _batch_info(job, jobs.add(job, call.body))}, 201)
        return _shown(job, {"batchInfoList": {"batchInfo": [_batch_info(job, each) for each in job.batches.values()]}})
    batch = jobs.find_batch(job, rest[0])
    match rest[1:]:
        case []:
            return _shown(job, {"batchInfo": _batch_info(job, batch)})
        case ["request"]:
            return Answer(chunks=[batch.content], length=len(batch.content), content_type=_data_type(job))
        case ["result"]:
            return _results(job, batch)
        case ["result", result_id]:
            named = jobs.org.settings.bulk1_result_charset
            return _result(job, batch, result_id, ";charset=UTF-8" if named and job.content_type == "CSV" else "")
    return None


def _results(job: Job, batch: Batch) -> Answer:
    if batch.state != "Completed":
        raise ApiError(400, "InvalidBatch", f"Batch not completed: {batch.state}")
    if job.operation in QUERIES:
        ids = list(batch.results)
        return _shown(job, {"result-list": {"result": ids}} if job.content_type == "CSV" else ids)
    data = result_rows(job, batch)
    return Answer(chunks=[data], length=len(data), content_type=_data_type(job), rows=len(batch.rows))


def _result(job: Job, batch: Batch, result_id: str, charset: str) -> Answer:
    file = batch.results.get(result_id)
    if file is None:
        raise ApiError(400, "InvalidBatch", f"Unable to find result for id: {result_id}")
    size = file.stat().st_size
    return Answer(chunks=_read(file), length=size, content_type=f"{_data_type(job)}{charset}", rows=batch.processed)


def _read(file: Path) -> Any:
    with file.open("rb") as source:
        yield from iter(lambda: source.read(1 << 20), b"")


def _given(call: Call) -> dict[str, Any]:
    """
    A job as sent, in JSON or XML. Raises InvalidJob.
    """
    try:
        if _wants_json(call.headers):
            given = json.loads(call.body)
            if isinstance(given, dict):
                return given
        else:
            root = ET.fromstring(call.body.decode("utf-8", errors="replace").strip())  # noqa: S314 - a client on loopback
            return {child.tag.rpartition("}")[2]: child.text for child in root}
    except (ValueError, ET.ParseError) as error:
        raise ApiError(400, "InvalidJob", f"Unable to parse Job: {error}") from error
    raise ApiError(400, "InvalidJob", "Unable to parse Job")


def _wants_json(headers: Headers) -> bool:
    return "json" in headers.get("content-type", "").lower()


def _job(job: Job, headers: Headers, status: int = 200, kind: str | None = None) -> Answer:
    wanted = _wants_json(headers)
    info = _job_info(job, json_dates=wanted)
    return _encoded(info if wanted else {"jobInfo": info}, as_json=wanted, status=status, kind=kind)


def _shown(job: Job, body: Any, status: int = 200) -> Answer:
    as_json = job.content_type == "JSON"
    if as_json and isinstance(body, dict):
        body = body.get("batchInfo") or {"batchInfo": body["batchInfoList"]["batchInfo"]}
    return _encoded(body, as_json=as_json, status=status)


def _encoded(body: Any, *, as_json: bool, status: int, kind: str | None = None) -> Answer:
    text = json.dumps(body, ensure_ascii=False) if as_json else f'<?xml version="1.0" encoding="UTF-8"?>{_xml(body)}'
    data = text.encode()
    return Answer(status, chunks=[data], length=len(data), content_type=JSON_TYPE if as_json else XML_TYPE, kind=kind)


def _xml(body: Mapping[str, Any], namespace: str = f' xmlns="{NAMESPACE}"') -> str:
    parts = []
    for name, value in body.items():
        for each in value if isinstance(value, list) else [value]:
            inner = _xml(each, "") if isinstance(each, Mapping) else escape(_text(each))
            parts.append(f"<{name}{namespace}>{inner}</{name}>")
    return "".join(parts)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _job_info(job: Job, *, json_dates: bool) -> dict[str, Any]:
    batches = list(job.batches.values())
    states = [batch.state for batch in batches]
    changed = max([job.created, *(batch.changed for batch in batches)])
    info: dict[str, Any] = {
        "id": job.id,
        "operation": job.operation,
        "object": job.sobject.name,
        "createdById": job.user_id,
        "createdDate": _date(job.created, json_dates=json_dates),
        "systemModstamp": _date(changed, json_dates=json_dates),
        "state": job.state,
    }
    if job.key is not None:
        info["externalIdFieldName"] = job.key.name
    return info | {
        "concurrencyMode": job.concurrency,
        "contentType": job.content_type,
        "numberBatchesQueued": states.count("Queued"),
        "numberBatchesInProgress": states.count("InProgress"),
        "numberBatchesCompleted": states.count("Completed"),
        "numberBatchesFailed": states.count("Failed"),
        "numberBatchesTotal": len(batches),
        "numberRecordsProcessed": sum(batch.processed for batch in batches),
        "numberRetries": 0,
        "apiVersion": float(job.version),
        "numberRecordsFailed": sum(batch.failed for batch in batches),
        "totalProcessingTime": sum(batch.milliseconds for batch in batches),
        "apiActiveProcessingTime": sum(batch.milliseconds for batch in batches),
        "apexProcessingTime": 0,
    }


def _batch_info(job: Job, batch: Batch) -> dict[str, Any]:
    as_json = job.content_type == "JSON"
    # XML spells this one state in two words.
    state = "Not Processed" if batch.state == "NotProcessed" and not as_json else batch.state
    info: dict[str, Any] = {"id": batch.id, "jobId": job.id, "state": state}
    if batch.message is not None:
        info["stateMessage"] = batch.message
    return info | {
        "createdDate": _date(batch.created, json_dates=as_json),
        "systemModstamp": _date(batch.changed or batch.created, json_dates=as_json),
        "numberRecordsProcessed": batch.processed,
        "numberRecordsFailed": batch.failed,
        "totalProcessingTime": batch.milliseconds,
        "apiActiveProcessingTime": batch.milliseconds,
        "apexProcessingTime": 0,
    }


def _date(stored: str, *, json_dates: bool) -> str | None:
    return show_datetime(stored) if json_dates else f"{stored}.000Z"


def _data_type(job: Job) -> str:
    return CSV_TYPE if job.content_type == "CSV" else JSON_TYPE


def _refusal(error: ApiError, headers: Headers) -> Answer:
    body = {"exceptionCode": error.code, "exceptionMessage": error.message}
    as_json = _wants_json(headers)
    return _encoded(body if as_json else {"error": body}, as_json=as_json, status=error.status)
