"""
Bulk API 2.0 ingest: one job on Salesforce's side that updates, upserts or deletes many records, and what it says became
of each.

Nothing is taken for done or for not done on our own word: a job's state and its results are read. Bulk takes the text
``#N/A`` for an empty field and an empty cell for a field that is left alone. The writer calls it.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

from worker.connectors.base import Result
from worker.connectors.http import Ambiguous
from worker.connectors.salesforce.classify import CallRefused, verdict_of
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.csvtext import cells, clean, split_header
from worker.connectors.salesforce.soql import checked_name
from worker.core.errors import HeadwaterError, Retriable

EMPTY: Final = "#N/A"
_RUNNING: Final = frozenset({"UploadComplete", "InProgress"})
_ENDED: Final = frozenset({"JobComplete", "Failed", "Aborted"})
_SHORT: Final = 400

Cells = Mapping[str, str]


def open_job(
    client: SalesforceClient,
    object_name: str,
    operation: Literal["update", "upsert", "delete"] = "update",
    key: str | None = None,
) -> str:
    """
    The id of a new job for an object; an upsert goes by the external id ``key``. Raises CallRefused where Bulk does not
    take the object.
    """
    body = {
        "object": checked_name(object_name),
        "operation": operation,
        **({"externalIdFieldName": key} if key else {}),
        "contentType": "CSV",
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
    }
    answer = client.tell("POST", "jobs/ingest", body)
    job = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(job, str) or not (job.isascii() and job.isalnum()):
        raise Retriable("HW-203", f"Salesforce took a bulk job for {object_name} and named no job")
    return job


def run_job(client: SalesforceClient, job: str, records: Sequence[Cells]) -> None:
    """
    Upload the records (field -> cell, the field that names the record first) and let the job run. An answer that never
    comes is no trouble here: the job's state tells.
    """
    try:
        client.send_csv(f"jobs/ingest/{job}/batches", as_csv(records))
        client.tell("PATCH", f"jobs/ingest/{job}", {"state": "UploadComplete"})
    except Ambiguous:
        return


def as_csv(records: Sequence[Cells]) -> bytes:
    """
    The upload: a column for every field that some record sets, the first record's first field before the others.
    """
    named_by = next(iter(records[0]))
    names = [named_by, *sorted({name for record in records for name in record} - {named_by})]
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    lines.writerow(names)
    lines.writerows([record.get(name, "") for name in names] for record in records)
    return text.getvalue().encode()


def results_of(
    client: SalesforceClient, job: str, record_ids: Sequence[str], *, give_up: bool, key: str | None = None
) -> Sequence[Result] | None:
    """
    What became of the records; None while the job runs. ``give_up`` ends a job that runs. With ``key`` the records are
    named by that external id, and what came about has its ``vendor_id``.
    """
    try:
        facts = _facts(client, job)
        if facts["state"] == "Open" or (give_up and facts["state"] in _RUNNING):
            facts = _aborted(client, job)
    except CallRefused as error:
        if error.status != 404:
            raise
        return [Result(each, "unknown", "HW-215", "the bulk job is gone") for each in record_ids]
    if facts["state"] not in _ENDED:
        return None
    processed, failed = _number(facts, "numberRecordsProcessed"), _number(facts, "numberRecordsFailed")
    if facts["state"] != "JobComplete" and processed == 0:
        words = str(facts.get("errorMessage") or f"the bulk job ended as {facts['state']}")[:_SHORT]
        return [Result(each, "retry", "HW-215", words) for each in record_ids]
    if not key and facts["state"] == "JobComplete" and failed == 0 and processed == len(record_ids):
        return [Result(each, "done") for each in record_ids]
    told = _told(client, job, key)
    return [
        told.get(each if key else each[:15])
        or Result(each, "unknown", "HW-216", "the bulk job's results do not name it")
        for each in record_ids
    ]


def drop_job(client: SalesforceClient, job: str) -> None:
    """
    Delete a job that has ended. Salesforce removes it after seven days in any case.
    """
    try:
        client.tell("DELETE", f"jobs/ingest/{job}", None)
    except HeadwaterError:
        return


def _facts(client: SalesforceClient, job: str) -> dict[str, Any]:
    facts = client.ask("GET", f"jobs/ingest/{job}")
    if not isinstance(facts, dict) or not isinstance(facts.get("state"), str):
        raise Retriable("HW-203", "Salesforce answered a question for a bulk job with something else")
    return facts


def _aborted(client: SalesforceClient, job: str) -> dict[str, Any]:
    # Whether our word came before or after the job's own end: its state is asked again.
    with suppress(CallRefused, Ambiguous):
        client.tell("PATCH", f"jobs/ingest/{job}", {"state": "Aborted"})
    return _facts(client, job)


def _number(facts: Mapping[str, Any], name: str) -> int:
    stated = str(facts.get(name) or 0)
    # A count that is none makes no sum come out right: the results are read.
    return int(stated) if stated.isascii() and stated.isdigit() else -1


def _told(client: SalesforceClient, job: str, key: str | None) -> dict[str, Result]:
    """
    What the job's results say, by the records' key, or by the first 15 characters of their id: the rest only checks
    them.
    """
    column, length = (key.casefold(), None) if key else ("id", 15)
    told = {}
    for line in _lines(client, job, "successfulResults", column):
        record_id = line[column] or line["sf__id"]
        told[record_id[:length]] = Result(record_id, "done", vendor_id=line["sf__id"] if key else None)
    for line in _lines(client, job, "failedResults", column):
        record_id = line[column] or line["sf__id"]
        code, _, rest = line["sf__error"].partition(":")
        message, _, fields = rest.rpartition(":")
        named = fields.removesuffix("--").strip()
        words = f"{message or rest}{f' ({named})' if named else ''}"[:_SHORT]
        told[record_id[:length]] = Result(record_id, verdict_of(code), code, words)
    return told


def _lines(client: SalesforceClient, job: str, kind: str, column: str) -> Iterator[dict[str, str]]:
    response = client.open_csv(f"jobs/ingest/{job}/{kind}", {})
    try:
        names, chunks = split_header(clean(client, response))
        keys = [name.casefold() for name in names]
        needed = {column, "sf__id"} | ({"sf__error"} if kind == "failedResults" else set())
        if keys and not needed <= set(keys):
            raise Retriable("HW-203", f"the {kind} of a bulk job lack {', '.join(sorted(needed - set(keys)))}")
        for line in cells(chunks):
            if len(line) != len(keys):
                raise Retriable("HW-203", f"a line of a bulk job's {kind} has {len(line)} values, not {len(keys)}")
            yield dict(zip(keys, line, strict=True))
    finally:
        response.close()
