"""
Bulk API 1.0 jobs: the slice that clients older than Bulk 2.0 use, for queries and for writes.

A job is opened, gets batches (a query, or rows), is closed; each batch is worked off in the background. With PK
chunking the first batch stays unprocessed and one batch for each range of ids takes its place. How it looks on the wire
is in ``bulk1_wire.py``. Jobs and results live as long as the server.
"""

import csv
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.bulk import compile_bulk, csv_columns
from worker.practice.salesforce.bulk1_rows import QUERIES, Batch, Job, in_epoch, read_records
from worker.practice.salesforce.errors import ApiError, RowError
from worker.practice.salesforce.ingest import OPERATIONS, apply_record
from worker.practice.salesforce.records import Caller
from worker.practice.salesforce.soql.plan import Compiled
from worker.practice.salesforce.values import csv_row, stamp

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

JOB_PREFIX, BATCH_PREFIX, RESULT_PREFIX = "750", "751", "752"
BATCH_ROWS = 10_000
SAVED_ROWS = 200  # rows of a batch written in one transaction
CHUNK_ROWS, CHUNK_MOST = 100_000, 250_000
FETCH_ROWS = 2_000
EMPTY = b"Records not found for this query"


class Bulk1Jobs:
    """
    The Bulk 1.0 jobs of one org.
    """

    def __init__(self, org: "Org", folder: Path) -> None:
        self.org = org
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for left in folder.glob(f"{RESULT_PREFIX}*"):
            left.unlink()
        self.jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="practice-bulk1")

    def close(self) -> None:
        """
        Stop running batches and remove their files.
        """
        self._closing.set()
        self._workers.shutdown(wait=True, cancel_futures=True)
        self.forget()

    def forget(self) -> None:
        """
        Abort what runs and forget all jobs.
        """
        jobs, self.jobs = self.jobs, {}
        for job in jobs.values():
            job.state = "Aborted"
            for batch in job.batches.values():
                for file in batch.results.values():
                    file.unlink(missing_ok=True)

    def create(self, body: dict[str, Any], user_id: str, version: str, *, chunking: str = "") -> Job:
        """
        Open a job. ``chunking`` is the value of Sforce-Enable-PKChunking. Raises ``ApiError`` InvalidJob and the like.
        """
        operation, content_type = str(body.get("operation")), str(body.get("contentType") or "XML").upper()
        if operation not in OPERATIONS | QUERIES:
            raise ApiError(400, "InvalidJob", f"Unable to parse Job: operation {operation}")
        if content_type not in {"CSV", "JSON"}:
            raise ApiError(400, "FeatureNotEnabled", f"content type {content_type} is not served here: CSV or JSON")
        sobject = self.org.schema.get(str(body.get("object")))
        if sobject is None:
            raise ApiError(400, "InvalidJob", f"Unable to find object: {body.get('object')}")
        key = None
        if operation == "upsert":
            key = self.org.schema_for(user_id).visible(sobject, str(body.get("externalIdFieldName") or ""))
            if key is None or not (key.external_id or key.id_lookup):
                raise ApiError(400, "InvalidJob", f"External ID was blank or is none for {sobject.name}")
        job = Job(
            id=self.org.ids.take(JOB_PREFIX)[0],
            operation=operation,
            sobject=sobject,
            content_type=content_type,
            concurrency="Serial" if str(body.get("concurrencyMode")) in {"1", "Serial"} else "Parallel",
            user_id=user_id,
            version=version,
            created=self._now(),
            key=key,
            chunk_rows=_chunk_rows(chunking) if operation in QUERIES else None,
            assign=bool(body.get("assignmentRuleId")),
        )
        with self._lock:
            self.jobs[job.id] = job
        return job

    def find(self, job_id: str) -> Job:
        """
        A job by its id of 15 or 18 characters. Raises InvalidJob.
        """
        job = next((each for key, each in self.jobs.items() if key[:15] == job_id[:15]), None)
        if job is None:
            raise ApiError(400, "InvalidJob", f"Unable to find job for id: {job_id}")
        return job

    def find_batch(self, job: Job, batch_id: str) -> Batch:
        """
        A batch by its id. Raises InvalidBatch.
        """
        batch = next((each for key, each in job.batches.items() if key[:15] == batch_id[:15]), None)
        if batch is None:
            raise ApiError(400, "InvalidBatch", f"Unable to find batch for id: {batch_id}")
        return batch

    def change(self, job: Job, state: str) -> None:
        """
        Close or abort a job. Raises InvalidJobState.
        """
        if state not in {"Closed", "Aborted"} or job.state not in {"Open", state}:
            raise ApiError(400, "InvalidJobState", f"job {job.id} in state {job.state} cannot be set to {state}")
        job.state = state
        if state == "Aborted":
            for batch in job.batches.values():
                if batch.state == "Queued":
                    self._enter(batch, "NotProcessed")

    def add(self, job: Job, content: bytes) -> Batch:
        """
        Take a batch and start it. Raises InvalidJobState for a job that is not open.
        """
        if job.state != "Open":
            raise ApiError(400, "InvalidJobState", f"job {job.id} is not open")
        batch = self._batch(job, content)
        self.org.usage.spend("DailyBulkApiBatches", 1)
        if job.chunk_rows is not None:
            self._chunk(job, batch, job.chunk_rows)
        elif not self.org.settings.hold_bulk_jobs:
            self._workers.submit(self._run, job, batch)
        return batch

    def release(self) -> int:
        """
        Let the batches run that were held; how many.
        """
        held = [(job, batch) for job in self.jobs.values() for batch in job.batches.values() if batch.state == "Queued"]
        for job, batch in held:
            self._workers.submit(self._run, job, batch)
        return len(held)

    def _batch(self, job: Job, content: bytes, id_range: tuple[str, str] | None = None) -> Batch:
        batch = Batch(self.org.ids.take(BATCH_PREFIX)[0], content, self._now(), id_range=id_range)
        with self._lock:
            job.batches[batch.id] = batch
        return batch

    def _chunk(self, job: Job, first: Batch, size: int) -> None:
        """
        Put a batch for each range of ids in place of the first one.
        """
        self._enter(first, "NotProcessed")
        bounds = [
            row[0]
            for row in self.org.database.reader.execute(
                f'SELECT Id FROM (SELECT Id, ROW_NUMBER() OVER (ORDER BY Id) AS n FROM "{job.sobject.name}") '
                "WHERE (n - 1) % ? = 0 ORDER BY Id",
                (size,),
            )
        ]
        for low, high in zip(bounds, [*bounds[1:], "~"], strict=True):
            batch = self._batch(job, first.content, (low, high))
            if not self.org.settings.hold_bulk_jobs:
                self._workers.submit(self._run, job, batch)

    def _run(self, job: Job, batch: Batch) -> None:
        started = time.monotonic()
        self._closing.wait(self.org.settings.bulk_seconds / 2)
        if batch.state != "Queued" or self._closing.is_set():
            return
        self._enter(batch, "InProgress")
        try:
            self.org.late.settle()
            if job.operation in QUERIES:
                self._query(job, batch)
            else:
                self._write(job, batch)
        except ApiError as error:
            batch.message = f"InvalidBatch : {error.message}" if job.operation in OPERATIONS else error.message
        except (ValueError, csv.Error) as error:
            batch.message = f"InvalidBatch : {error}"
        self._closing.wait(max(0.0, started + self.org.settings.bulk_seconds - time.monotonic()))
        batch.milliseconds = int((time.monotonic() - started) * 1000)
        self._enter(batch, "Failed" if batch.message is not None else "Completed")

    # -- queries

    def _query(self, job: Job, batch: Batch) -> None:
        text = batch.content.decode("utf-8", errors="replace").strip()
        compiled = compile_bulk(self.org.asker(job.user_id), text, all_rows=job.operation == "queryAll")
        if compiled.sobject.name != job.sobject.name:
            raise ApiError(400, "InvalidBatch", f"the job is for {job.sobject.name}, the query for another object")
        if batch.id_range is not None:
            compiled.where += f"{' AND' if compiled.where else ' WHERE'} t.Id >= ? AND t.Id < ?"
            compiled.parameters = [*compiled.parameters, *batch.id_range]
        try:
            self.org.queries.check_cost(compiled)
        except ApiError as error:
            # A batch's state message has the code in front; chunks of ids are what helps.
            raise ApiError(400, error.code, f"{error.code}: {error.message}") from error
        file = self.folder / self.org.ids.take(RESULT_PREFIX)[0]
        with self.org.database.snapshot() as connection, file.open("wb") as out:
            if job.content_type == "CSV":
                columns = list(csv_columns(compiled.nodes, compiled))
                statement = compiled.statement([csv_row([value for _, value in columns], ",", "\n")])
                out.write((",".join(f'"{name}"' for name, _ in columns) + "\n").encode())
                cursor = connection.execute(statement, compiled.parameters)
                for rows in iter(lambda: cursor.fetchmany(FETCH_ROWS), []):
                    out.write(b"".join(row[0] for row in rows))
                    batch.processed += len(rows)
            else:
                cursor = connection.execute(compiled.statement(), compiled.parameters)
                self._write_json(job, batch, compiled, cursor, out)
        if batch.processed == 0 and job.content_type == "CSV":
            file.write_bytes(EMPTY)
        batch.results[file.name] = file

    def _write_json(self, job: Job, batch: Batch, compiled: Compiled, cursor: Any, out: Any) -> None:
        shown = replace(compiled, nodes=in_epoch(compiled.nodes))
        root = f"/services/data/v{job.version}"
        out.write(b"[")
        for rows in iter(lambda: cursor.fetchmany(FETCH_ROWS), []):
            for record in self.org.queries.records(shown, rows, root):
                out.write(b" , " if batch.processed else b" ")
                out.write(json.dumps(record, ensure_ascii=False).encode())
                batch.processed += 1
        out.write(b" ]")

    # -- writes

    def _write(self, job: Job, batch: Batch) -> None:
        records = list(read_records(job, batch.content))
        if len(records) > BATCH_ROWS:
            raise ApiError(400, "InvalidBatch", f"Records not processed: {len(records)} exceed {BATCH_ROWS} in a batch")
        caller = Caller(job.user_id, auto_assign=job.assign)
        for start in range(0, len(records), SAVED_ROWS):
            with self.org.database.write():
                for record in records[start : start + SAVED_ROWS]:
                    batch.rows.append(self._apply(job, record, caller))
        batch.processed = len(records)
        batch.failed = sum(1 for _, success, _, _ in batch.rows if not success)

    def _apply(self, job: Job, record: dict[str, Any], caller: Caller) -> tuple[str, bool, bool, RowError | None]:
        try:
            with self.org.database.write():
                record_id, created = apply_record(self.org, job.operation, job.sobject, job.key, record, caller)
        except RowError as error:
            return "", False, False, error
        return record_id, True, created, None

    def _enter(self, batch: Batch, state: str) -> None:
        batch.state = state
        batch.changed = self._now()

    def _now(self) -> str:
        return stamp(self.org.clock.now())


def _chunk_rows(header: str) -> int | None:
    """
    The chunk size a Sforce-Enable-PKChunking header asks for, None where it asks for no chunking. Raises ``ApiError``.
    """
    parts = [part.strip() for part in header.split(";") if part.strip()]
    if not parts or parts[0].lower() == "false":
        return None
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    size = options.get("chunkSize", str(CHUNK_ROWS)).strip()
    if not size.isdigit() or not 0 < int(size) <= CHUNK_MOST:
        raise ApiError(400, "InvalidJob", f"chunkSize must be between 1 and {CHUNK_MOST}, was {size}")
    return int(size)
