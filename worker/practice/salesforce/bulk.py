"""
Bulk API 2.0 query jobs: created, run in the background, read page by page from a finished file.

A job's rows are rendered to CSV by SQLite itself and written to one file with the offset of every row, so that a page
is a stretch of that file and memory stays flat however many rows there are. Jobs live as long as the server.
"""

import base64
import itertools
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.errors import ApiError
from worker.practice.salesforce.schema import COMPOUND_TYPES
from worker.practice.salesforce.soql.asker import Asker
from worker.practice.salesforce.soql.compiler import compile_query
from worker.practice.salesforce.soql.parser import parse
from worker.practice.salesforce.soql.plan import ChildSelect, Compiled, Leaf, Node, Parent, TypeSelect
from worker.practice.salesforce.values import csv_row, csv_value, show_datetime, stamp

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

DELIMITERS = {"COMMA": ",", "TAB": "\t", "PIPE": "|", "SEMICOLON": ";", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
# What REST queries and the Bulk APIs do not: learnt by other people's clients, which tried each object of real orgs.
UNSUPPORTED = frozenset(
    {
        "AcceptedEventRelation",
        "CaseStatus",
        "ContractStatus",
        "DeclinedEventRelation",
        "FieldSecurityClassification",
        "OrderStatus",
        "PartnerRole",
        "RecentlyViewed",
        "SolutionStatus",
        "TaskPriority",
        "TaskStatus",
        "UndecidedEventRelation",
        "UserRecordAccess",
    }
)
JOB_PREFIX = "750"
FETCH_ROWS = 5_000
CHUNK_BYTES = 1 << 20
MEGABYTE = 1 << 20
JOBS, VOLUME = "DailyBulkV2QueryJobs", "DailyBulkV2QueryFileStorageMB"
KEPT = timedelta(days=7)  # how long an org keeps a job's results
RUNNING = frozenset({"Open", "UploadComplete", "InProgress"})
QUEUE_LOOK_SECONDS = 0.05


@dataclass
class QueryJob:
    """
    One job. ``offsets`` is where each row begins in ``file``, and the end of the last.
    """

    id: str
    operation: str
    sobject: str
    user_id: str
    version: str
    delimiter: str
    line_ending: str
    created: str
    header: bytes
    statement: str
    parameters: list[object]
    file: Path
    state: str = "UploadComplete"
    changed: str = ""
    offsets: "array[int]" = field(default_factory=lambda: array("q", [0]))
    started_at: float = 0.0
    milliseconds: int = 0
    error: str | None = None

    @property
    def rows(self) -> int:
        """
        How many rows the job has found so far.
        """
        return len(self.offsets) - 1

    def info(self, *, full: bool) -> dict[str, Any]:
        """
        The job as JSON shows it: short at creation, ``full`` when asked for.
        """
        body: dict[str, Any] = {
            "id": self.id,
            "operation": self.operation,
            "object": self.sobject,
            "createdById": self.user_id,
            "createdDate": show_datetime(self.created),
            "systemModstamp": show_datetime(self.changed or self.created),
            "state": self.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(self.version),
        }
        if full:
            body["jobType"] = "V2Query"
        body |= {"lineEnding": self.line_ending, "columnDelimiter": self.delimiter}
        if full:
            body |= {"retries": 0, "totalProcessingTime": self.milliseconds, "isPkChunkingSupported": True}
            if self.state in {"JobComplete", "InProgress", "Aborted"}:
                body["numberRecordsProcessed"] = self.rows
            if self.error:
                body["errorMessage"] = self.error
        return body


@dataclass(frozen=True)
class ResultPage:
    """
    One page of results: bytes with a header line, how many there are, and the next locator (``null`` at the end).
    """

    chunks: Iterator[bytes]
    length: int
    rows: int
    locator: str


class BulkJobs:
    """
    The query jobs of one org.
    """

    def __init__(self, org: "Org", folder: Path) -> None:
        self.org = org
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for left in folder.glob(f"{JOB_PREFIX}*.csv"):
            left.unlink()
        self.jobs: dict[str, QueryJob] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="practice-bulk")

    def close(self) -> None:
        """
        Stop running jobs and remove their files.
        """
        self._closing.set()
        self._workers.shutdown(wait=True, cancel_futures=True)
        for job in self.jobs.values():
            job.file.unlink(missing_ok=True)

    def forget(self) -> None:
        """
        Abort what runs and forget all jobs.
        """
        with self._lock:
            jobs, self.jobs = self.jobs, {}
            for job in jobs.values():
                if job.state in {"UploadComplete", "InProgress"}:
                    self._enter(job, "Aborted")
        for job in jobs.values():
            job.file.unlink(missing_ok=True)

    def create(self, body: dict[str, Any], user_id: str, version: str) -> QueryJob:
        """
        Take a job and start it. Raises ``ApiError`` for what the Bulk API does not take.
        """
        operation = body.get("operation")
        if operation not in {"query", "queryAll"}:
            raise ApiError(400, "INVALIDJOB", f"Invalid operation: {operation}")
        self._check_limits()
        delimiter = str(body.get("columnDelimiter") or "COMMA")
        line_ending = str(body.get("lineEnding") or "LF")
        if delimiter not in DELIMITERS or line_ending not in LINE_ENDINGS:
            raise ApiError(400, "INVALIDJOB", f"Invalid columnDelimiter or lineEnding: {delimiter}, {line_ending}")
        if str(body.get("contentType") or "CSV") != "CSV":
            raise ApiError(400, "INVALIDJOB", "ContentType not supported. Only CSV is supported.")
        compiled = compile_bulk(self.org.asker(user_id), str(body.get("query") or ""), all_rows=operation == "queryAll")
        columns = list(csv_columns(compiled.nodes, compiled))
        separator, end = DELIMITERS[delimiter], LINE_ENDINGS[line_ending]
        job_id = self.org.ids.take(JOB_PREFIX)[0]
        job = QueryJob(
            id=job_id,
            operation=operation,
            sobject=compiled.sobject.name,
            user_id=user_id,
            version=version,
            delimiter=delimiter,
            line_ending=line_ending,
            created=self._now(),
            header=(separator.join(f'"{name}"' for name, _ in columns) + end).encode(),
            statement=compiled.statement([csv_row([value for _, value in columns], separator, end)]),
            parameters=compiled.parameters,
            file=self.folder / f"{job_id}.csv",
        )
        self.org.usage.spend(JOBS, 1)
        with self._lock:
            self.jobs[job.id] = job
        if not self.org.settings.hold_bulk_jobs:
            self.release(job)
        return job

    def _check_limits(self) -> None:
        """
        Refuse a job beyond the day's jobs or the day's volume of results. Raises ``ApiError``.
        """
        usage = self.org.usage
        if usage.is_short(JOBS):
            words = f"Max bulk v2 query jobs ({usage.limits[JOBS]}) per 24 hrs has been reached"
            raise ApiError(400, "LIMIT_EXCEEDED", words)
        if usage.is_short(VOLUME):
            # The limit is 1,000,000,000 KB, which the limits resource tells in whole MB.
            size = int((usage.limits[VOLUME] + 0.5) * 1024)
            words = f"Max bulk v2 query result size stored ({size}) kb per 24 hrs has been exceeded"
            raise ApiError(400, "LIMIT_EXCEEDED", words)

    def forget_old(self) -> None:
        """
        Forget the jobs whose results an org would not keep any longer.
        """
        oldest = stamp(self.org.clock.now() - KEPT)
        with self._lock:
            old = [job for job in self.jobs.values() if job.created < oldest and job.state not in RUNNING]
            for job in old:
                del self.jobs[job.id]
        for job in old:
            job.file.unlink(missing_ok=True)

    def release(self, job: QueryJob) -> None:
        """
        Let a job run.
        """
        self._workers.submit(self._run, job)

    def find(self, job_id: str) -> QueryJob:
        """
        A job by its id of 15 or 18 characters. Raises the 404.
        """
        self.forget_old()
        job = next((each for key, each in self.jobs.items() if key[:15] == job_id[:15]), None)
        if job is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return job

    def abort(self, job: QueryJob) -> None:
        """
        Abort a job that has not ended. Raises INVALIDJOBSTATE.
        """
        with self._lock:
            if job.state not in {"UploadComplete", "InProgress"}:
                raise ApiError(400, "INVALIDJOBSTATE", f"Cannot abort a job in state {job.state}")
            self._enter(job, "Aborted")

    def fail(self, job: QueryJob, message: str | None) -> None:
        """
        Fail a job that has not ended; real ones often fail without a message. Raises INVALIDJOBSTATE.
        """
        with self._lock:
            if job.state not in {"UploadComplete", "InProgress"}:
                raise ApiError(400, "INVALIDJOBSTATE", f"Cannot fail a job in state {job.state}")
            job.error = message
            self._enter(job, "Failed")

    def delete(self, job: QueryJob) -> None:
        """
        Forget a job that has ended and its results. Raises INVALIDJOBSTATE.
        """
        with self._lock:
            if job.state in {"UploadComplete", "InProgress"}:
                raise ApiError(400, "INVALIDJOBSTATE", f"Cannot delete a job in state {job.state}")
            del self.jobs[job.id]
        job.file.unlink(missing_ok=True)

    def results(self, job: QueryJob, version: str, most: int | None, locator: str | None) -> ResultPage:
        """
        One page of a finished job's rows. Raises ``ApiError`` if it is not finished, for a locator it never gave, and
        409 for another API version than the job was made with.
        """
        if version != job.version:
            words = f"results must be read with the API version of the job, {job.version}, not {version}"
            raise ApiError(409, "VERSION_MISMATCH", words)
        if job.state != "JobComplete":
            raise ApiError(400, "INVALIDJOBSTATE", f"Job is not complete: state is {job.state}")
        first = 0
        if locator:
            first = self._place(locator)
            if not 0 < first < job.rows:
                raise ApiError(400, "INVALID_LOCATOR", f"invalid locator: {locator}")
        settings = self.org.settings
        after = min(job.rows, first + min(most or settings.bulk_page_rows, settings.bulk_page_most))
        start, stop = job.offsets[first], job.offsets[after]
        following = base64.urlsafe_b64encode(str(after).encode()).decode().rstrip("=") if after < job.rows else "null"
        length = len(job.header) + stop - start
        return ResultPage(_read(job.header, job.file, start, stop), length, after - first, following)

    def _place(self, locator: str) -> int:
        try:
            return int(base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)))
        except ValueError:
            return -1

    def _run(self, job: QueryJob) -> None:
        started = time.monotonic()
        if not self._wait_until(job, started + self.org.settings.bulk_seconds / 2) or not self._wait_in_queue(job):
            return
        with self._lock:
            if job.state != "UploadComplete":
                return
            self._enter(job, "InProgress")
        self.org.late.settle()
        try:
            self._write(job)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a job fails the job, not the server
            with self._lock:
                if job.state == "InProgress":
                    job.error = f"{type(error).__name__}: {error}"
                    self._enter(job, "Failed")
            return
        if not self._wait_until(job, started + self.org.settings.bulk_seconds):
            return
        with self._lock:
            if job.state == "InProgress":
                job.milliseconds = int((time.monotonic() - started) * 1000)
                self.org.usage.spend(VOLUME, -(-job.offsets[-1] // MEGABYTE))
                self._enter(job, "JobComplete")

    def _wait_in_queue(self, job: QueryJob) -> bool:
        """
        Wait for ``Settings.bulk_queue_seconds`` of the practice clock to pass; false if the job was ended meanwhile.
        """
        while job.state == "UploadComplete" and not self._closing.is_set():
            due = stamp(self.org.clock.now() - timedelta(seconds=self.org.settings.bulk_queue_seconds))
            if due >= job.created:
                return True
            self._closing.wait(QUEUE_LOOK_SECONDS)
        return False

    def _write(self, job: QueryJob) -> None:
        size = 0
        with self.org.database.snapshot() as connection, job.file.open("wb") as file:
            cursor = connection.execute(job.statement, job.parameters)
            while job.state == "InProgress" and not self._closing.is_set():
                rows = [row[0] for row in cursor.fetchmany(FETCH_ROWS)]
                if not rows:
                    return
                file.write(b"".join(rows))
                ends = list(itertools.accumulate(map(len, rows), initial=size))
                size = ends[-1]
                job.offsets.extend(ends[1:])

    def _wait_until(self, job: QueryJob, moment: float) -> bool:
        while time.monotonic() < moment:
            if self._closing.wait(min(0.05, max(0.0, moment - time.monotonic()))) or job.state == "Aborted":
                return False
        return not self._closing.is_set()

    def _enter(self, job: QueryJob, state: str) -> None:
        job.state = state
        job.changed = self._now()

    def _now(self) -> str:
        return stamp(self.org.clock.now())


def compile_bulk(asker: Asker, text: str, *, all_rows: bool) -> Compiled:
    """
    A query as the Bulk APIs take it. Raises ``ApiError`` for what they do not.
    """
    query = parse(text)
    if query.sobject in UNSUPPORTED:
        raise ApiError(400, "INVALIDENTITY", f"Entity '{query.sobject}' is not supported by the Bulk API.")
    compiled = compile_query(asker, query, all_rows=all_rows)
    if compiled.aggregate or compiled.grouping:
        raise ApiError(400, "API_ERROR", "Aggregate functions and GROUP BY are not supported in Bulk Query")
    if compiled.offset:
        raise ApiError(400, "API_ERROR", "OFFSET is not supported in Bulk Query")
    if any(isinstance(node, ChildSelect) for node in compiled.nodes):
        raise ApiError(400, "API_ERROR", "Aggregate Relationships not supported in Bulk Query")
    if any(isinstance(node, TypeSelect) for node in compiled.nodes):
        raise ApiError(400, "API_ERROR", "TYPEOF is not supported in Bulk Query")
    if _has_compound(compiled.nodes):
        raise ApiError(400, "API_ERROR", "Selecting compound data not supported in Bulk Query")
    return compiled


def csv_columns(nodes: Sequence[Node], compiled: Compiled, path: str = "") -> Iterator[tuple[str, str]]:
    """
    Name and SQL of each CSV column, parents' fields by their path.
    """
    for node in nodes:
        if isinstance(node, Leaf):
            yield f"{path}{node.key}", csv_value(node.field, compiled.columns[node.index])
        elif isinstance(node, Parent):
            yield from csv_columns(node.nodes, compiled, f"{path}{node.key}.")


def _has_compound(nodes: Sequence[Node]) -> bool:
    return any(
        _has_compound(node.nodes)
        if isinstance(node, Parent)
        else not isinstance(node, (Leaf, ChildSelect)) or (isinstance(node, Leaf) and node.field.type in COMPOUND_TYPES)
        for node in nodes
    )


def _read(header: bytes, file: Path, start: int, stop: int) -> Iterator[bytes]:
    yield header
    with file.open("rb") as source:
        source.seek(start)
        left = stop - start
        while left > 0:
            chunk = source.read(min(CHUNK_BYTES, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
