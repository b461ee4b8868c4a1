"""
Bulk API 2.0 ingest jobs: one upload of CSV, worked off in the background in batches of 200, results row by row.

Results come in another order than the rows, as from a real org, shuffled the same way for the same job. Jobs live as
long as the server; results are kept in memory.
"""

import csv
import io
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.bulk import DELIMITERS, JOB_PREFIX, KEPT, LINE_ENDINGS, RUNNING
from worker.practice.salesforce.errors import ApiError, RowError
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.records import Caller
from worker.practice.salesforce.schema import Field, SObject
from worker.practice.salesforce.values import show_datetime, stamp

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

OPERATIONS = frozenset({"insert", "update", "upsert", "delete", "hardDelete"})
BATCH_ROWS = 200
STAMPED_ROWS = 10_000  # rows of one internal batch, which all carry one second
NULL = "#N/A"
LEADING: dict[str, list[str]] = {
    "successfulresults": ["sf__Id", "sf__Created"],
    "failedresults": ["sf__Id", "sf__Error"],
    "unprocessedrecords": [],
}


@dataclass
class IngestJob:
    """
    One job. ``rows`` are the uploaded rows as text; ``done`` and ``failed`` hold (leading cells, row); ``at`` is the
    stamp of the internal batch that is being written.
    """

    id: str
    operation: str
    sobject: SObject
    user_id: str
    version: str
    delimiter: str
    line_ending: str
    key: Field | None
    auto_assign: bool
    created: str
    state: str = "Open"
    changed: str = ""
    error: str | None = None
    milliseconds: int = 0
    content: bytes | None = None
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    worked: int = 0
    at: str | None = None
    done: list[tuple[str, str, list[str]]] = field(default_factory=list)
    failed: list[tuple[str, str, list[str]]] = field(default_factory=list)

    def info(self, *, full: bool) -> dict[str, Any]:
        """
        The job as JSON shows it: short at creation, ``full`` when asked for.
        """
        body: dict[str, Any] = {
            "id": self.id,
            "operation": self.operation,
            "object": self.sobject.name,
            "createdById": self.user_id,
            "createdDate": show_datetime(self.created),
            "systemModstamp": show_datetime(self.changed or self.created),
            "state": self.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(self.version),
            "contentUrl": f"services/data/v{self.version}/jobs/ingest/{self.id}/batches",
            "lineEnding": self.line_ending,
            "columnDelimiter": self.delimiter,
        }
        if self.key is not None:
            body["externalIdFieldName"] = self.key.name
        if full:
            body |= {
                "jobType": "V2Ingest",
                "retries": 0,
                "totalProcessingTime": self.milliseconds,
                "apiActiveProcessingTime": self.milliseconds,
                "apexProcessingTime": 0,
                "numberRecordsProcessed": len(self.done) + len(self.failed),
                "numberRecordsFailed": len(self.failed),
            }
            if self.error:
                body["errorMessage"] = self.error
        return body


class IngestJobs:
    """
    The ingest jobs of one org.
    """

    def __init__(self, org: "Org") -> None:
        self.org = org
        self.jobs: dict[str, IngestJob] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="practice-ingest")

    def close(self) -> None:
        """
        Stop running jobs.
        """
        self._closing.set()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def forget(self) -> None:
        """
        Abort what runs and forget all jobs.
        """
        with self._lock:
            for job in self.jobs.values():
                job.state = "Aborted"
            self.jobs = {}

    def create(self, body: dict[str, Any], user_id: str, version: str) -> IngestJob:
        """
        Open a job. Raises ``ApiError`` INVALIDJOB and the like.
        """
        operation = str(body.get("operation"))
        if operation not in OPERATIONS:
            raise ApiError(400, "INVALIDJOB", f"Invalid operation: {operation}")
        if operation == "hardDelete" and not self.org.access.of(user_id).hard_delete:
            words = "hardDelete operation requires special user profile permission, please contact your administrator"
            raise ApiError(400, "FEATURENOTENABLED", words)
        sobject = self.org.schema.get(str(body.get("object")))
        if sobject is None:
            raise ApiError(400, "INVALIDENTITY", f"Entity '{body.get('object')}' is not supported by the Bulk API.")
        delimiter, line_ending = str(body.get("columnDelimiter") or "COMMA"), str(body.get("lineEnding") or "LF")
        if delimiter not in DELIMITERS or line_ending not in LINE_ENDINGS:
            raise ApiError(400, "INVALIDJOB", f"Invalid columnDelimiter or lineEnding: {delimiter}, {line_ending}")
        key = None
        if operation == "upsert":
            key = self.org.schema_for(user_id).visible(sobject, str(body.get("externalIdFieldName") or ""))
            if key is None or not (key.external_id or key.id_lookup):
                words = f"InvalidJob : Field name provided, {body.get('externalIdFieldName')} is not an External ID"
                raise ApiError(400, "INVALIDJOB", words)
        job = IngestJob(
            id=self.org.ids.take(JOB_PREFIX)[0],
            operation=operation,
            sobject=sobject,
            user_id=user_id,
            version=version,
            delimiter=delimiter,
            line_ending=line_ending,
            key=key,
            auto_assign=bool(body.get("assignmentRuleId")),
            created=self._now(),
        )
        with self._lock:
            self.jobs[job.id] = job
        return job

    def find(self, job_id: str) -> IngestJob:
        """
        A job by its id of 15 or 18 characters. Raises the 404.
        """
        oldest = stamp(self.org.clock.now() - KEPT)
        with self._lock:
            self.jobs = {
                key: each for key, each in self.jobs.items() if each.created >= oldest or each.state in RUNNING
            }
        job = next((each for key, each in self.jobs.items() if key[:15] == job_id[:15]), None)
        if job is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return job

    def upload(self, job: IngestJob, content: bytes) -> None:
        """
        Take a job's one upload. Raises INVALIDJOBSTATE for a second one.
        """
        with self._lock:
            if job.state != "Open" or job.content is not None:
                raise ApiError(400, "INVALIDJOBSTATE", f"Found multiple contents for job: <{job.id}>")
            most = self.org.settings.bulk_upload_bytes
            if len(content) > most:
                raise ApiError(413, "REQUEST_ENTITY_TOO_LARGE", f"Maximum allowed size is {most} bytes")
            job.content = content

    def change(self, job: IngestJob, state: str) -> None:
        """
        Close a job's upload, or abort it. Raises INVALIDJOBSTATE.
        """
        with self._lock:
            if state == "UploadComplete" and job.state == "Open":
                self._enter(job, state)
            elif state == "Aborted" and job.state in {"Open", "UploadComplete", "InProgress"}:
                self._enter(job, state)
                return
            else:
                raise ApiError(400, "INVALIDJOBSTATE", f"A job in state {job.state} cannot be set to {state}")
        self._workers.submit(self._run, job)

    def delete(self, job: IngestJob) -> None:
        """
        Forget a job that has ended. Raises INVALIDJOBSTATE.
        """
        with self._lock:
            if job.state in {"Open", "InProgress"}:
                raise ApiError(400, "INVALIDJOBSTATE", f"Cannot delete a job in state {job.state}")
            del self.jobs[job.id]

    def results(self, job: IngestJob, kind: str) -> Iterator[bytes]:
        """
        ``successfulresults``, ``failedresults`` or ``unprocessedrecords`` as CSV, header first.
        """
        leading = LEADING[kind]
        rows: Sequence[tuple[str, str, list[str]]]
        if kind == "unprocessedrecords":
            rows = [("", "", row) for row in job.rows[job.worked :]] if job.state in {"Aborted", "Failed"} else []
        else:
            rows = list(job.done if kind == "successfulresults" else job.failed)
            random.Random(job.id).shuffle(rows)
        yield self._line(job, [*leading, *job.header])
        for first, second, row in rows:
            yield self._line(job, [*([first, second] if leading else []), *row])

    def _line(self, job: IngestJob, cells: Sequence[str]) -> bytes:
        quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
        return (DELIMITERS[job.delimiter].join(quoted) + LINE_ENDINGS[job.line_ending]).encode()

    def _run(self, job: IngestJob) -> None:
        started = time.monotonic()
        if self._closing.wait(self.org.settings.bulk_seconds / 2):
            return
        with self._lock:
            if job.state != "UploadComplete":
                return
            self._enter(job, "InProgress")
        try:
            self._read(job)
            while job.worked < len(job.rows) and job.state == "InProgress" and not self._closing.is_set():
                self._batch(job, job.rows[job.worked : job.worked + BATCH_ROWS])
        except (ApiError, csv.Error, UnicodeDecodeError) as error:
            job.error = error.message if isinstance(error, ApiError) else f"InvalidBatch : {error}"
        self._closing.wait(max(0.0, started + self.org.settings.bulk_seconds - time.monotonic()))
        with self._lock:
            if job.state == "InProgress":
                job.milliseconds = int((time.monotonic() - started) * 1000)
                self._enter(job, "Failed" if job.error else "JobComplete")

    def _read(self, job: IngestJob) -> None:
        """
        The upload's header and rows. Raises ``ApiError`` for columns the object does not have.
        """
        text = (job.content or b"").decode("utf-8-sig")
        first, newline, _ = text.partition("\n")
        if newline and first.endswith("\r") != (job.line_ending == "CRLF"):
            words = f"LineEnding is invalid on user data. Current LineEnding setting is {job.line_ending}"
            raise ApiError(400, "INVALIDBATCH", f"ClientInputError : {words}")
        csv.field_size_limit(len(text) + 1)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[job.delimiter])
        job.header = next(lines, [])
        schema = self.org.schema_for(job.user_id)
        for name in job.header:
            relationship = name.partition(".")[0] if "." in name else None
            if relationship is None and schema.visible(job.sobject, name) is None:
                words = f"InvalidBatch : Field name not found : {name}"
                raise ApiError(400, "INVALIDBATCH", words)
        job.rows = [row for row in lines if row]

    def _batch(self, job: IngestJob, rows: Sequence[list[str]]) -> None:
        if job.worked % STAMPED_ROWS == 0:
            job.at = self._now()
        caller = Caller(job.user_id, auto_assign=job.auto_assign, at=job.at)
        done: list[tuple[str, str, list[str]]] = []
        failed: list[tuple[str, str, list[str]]] = []
        with self.org.database.write():
            for row in rows:
                try:
                    with self.org.database.write():
                        record_id, created = self._row(job, row, caller)
                    done.append((record_id, "true" if created else "false", row))
                except RowError as error:
                    failed.append((self._given_id(job, row), show_row_error(error), row))
        job.done += done
        job.failed += failed
        job.worked += len(rows)

    def _row(self, job: IngestJob, row: list[str], caller: Caller) -> tuple[str, bool]:
        record = record_of(job.header, row)
        return apply_record(self.org, job.operation, job.sobject, job.key, record, caller)

    def _given_id(self, job: IngestJob, row: list[str]) -> str:
        return next((cell for name, cell in zip(job.header, row, strict=False) if name.lower() == "id"), "")

    def _enter(self, job: IngestJob, state: str) -> None:
        job.state = state
        job.changed = self._now()

    def _now(self) -> str:
        return stamp(self.org.clock.now())


def record_of(header: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    """
    A row of CSV as a record: empty cells left out, ``#N/A`` null, ``Owner.Email`` nested. Raises ``RowError``.
    """
    if len(row) != len(header):
        raise RowError("INVALID_CSV_RECORD", f"{len(row)} values for {len(header)} columns")
    record: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        if cell == "":
            continue
        value = None if cell == NULL else cell
        relationship, dot, key = name.partition(".")
        record[relationship if dot else name] = {key: value} if dot else value
    return record


def apply_record(
    org: "Org", operation: str, sobject: SObject, key: Field | None, record: Mapping[str, Any], caller: Caller
) -> tuple[str, bool]:
    """
    Do a job's operation with one record; its id and whether it is new. Raises ``RowError``.
    """
    if operation == "insert":
        return org.records.create(sobject, record, caller), True
    if operation == "upsert" and key is not None:
        value = next((each for name, each in record.items() if name.lower() == key.name.lower()), None)
        if value is None and key.name != "Id":
            raise RowError("MISSING_ARGUMENT", f"{key.name} not specified", [key.name])
        return org.records.upsert(sobject, key, value, record, caller)
    given = str(next((each for name, each in record.items() if name.lower() == "id"), None) or "")
    record_id = to18(given)
    if record_id is None or record_id[:3] != sobject.prefix:
        raise RowError("MALFORMED_ID", f"Record ID: id value of incorrect type: {given}", ["Id"])
    if operation == "update":
        org.records.update(sobject, record_id, record, caller)
    elif operation == "delete":
        org.records.delete(sobject, record_id, caller)
    else:
        org.records.present(sobject, record_id, caller)
        org.bin.purge(sobject, [record_id], org.records.now())
    return record_id, False


def show_row_error(error: RowError) -> str:
    """
    An error as the failed results spell it: ``CODE:message:fields --``, ``CODE:message:--`` where it names no field.
    """
    fields = f"{' '.join(error.fields)} " if error.fields else ""
    return f"{error.code}:{error.message}:{fields}--"
