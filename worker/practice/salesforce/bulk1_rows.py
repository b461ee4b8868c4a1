"""
Jobs and batches of the Bulk API 1.0, and their rows: as a client sent them, and as it is told what became of them.

Pure; ``bulk1.py`` does the work, ``bulk1_wire.py`` speaks to the client.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worker.practice.salesforce.errors import RowError
from worker.practice.salesforce.ingest import record_of, show_row_error
from worker.practice.salesforce.schema import Field, SObject
from worker.practice.salesforce.soql.plan import Leaf, Node, Parent
from worker.practice.salesforce.values import STORED_DATETIME

QUERIES = frozenset({"query", "queryAll"})


@dataclass
class Batch:
    """
    One batch. ``content`` is what was sent; ``results`` are the files of a query by result id; ``rows`` what became of
    each row sent, in order: (id, success, created, error or None).
    """

    id: str
    content: bytes
    created: str
    state: str = "Queued"
    changed: str = ""
    message: str | None = None
    processed: int = 0
    failed: int = 0
    milliseconds: int = 0
    id_range: tuple[str, str] | None = None
    results: dict[str, Path] = field(default_factory=dict)
    rows: list[tuple[str, bool, bool, RowError | None]] = field(default_factory=list)


@dataclass
class Job:
    """
    One job. ``content_type`` is CSV or JSON; ``chunk_rows`` is set where the client asked for PK chunking.
    """

    id: str
    operation: str
    sobject: SObject
    content_type: str
    concurrency: str
    user_id: str
    version: str
    created: str
    key: Field | None = None
    chunk_rows: int | None = None
    assign: bool = False
    state: str = "Open"
    batches: dict[str, Batch] = field(default_factory=dict)


def result_rows(job: Job, batch: Batch) -> bytes:
    """
    What became of each row of a write, in the order of the rows, in the job's form.
    """
    if job.content_type == "JSON":
        shown = [
            {
                "success": success,
                "created": created,
                "id": record_id or None,
                "errors": [] if error is None else [{**error.as_row(), "extendedErrorDetails": None}],
            }
            for record_id, success, created, error in batch.rows
        ]
        return json.dumps(shown, ensure_ascii=False).encode()
    text = io.StringIO()
    lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    lines.writerow(["Id", "Success", "Created", "Error"])
    for record_id, success, created, error in batch.rows:
        words = "" if error is None else show_row_error(error)
        lines.writerow([record_id, str(success).lower(), str(created).lower(), words])
    return text.getvalue().encode()


def read_records(job: Job, content: bytes) -> Iterator[dict[str, Any]]:
    """
    The records of a batch of rows. Raises ``ValueError`` for what is not in the job's form.
    """
    if job.content_type == "JSON":
        rows = json.loads(content)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("a JSON batch is a list of objects")
        yield from rows
        return
    csv.field_size_limit(len(content) + 1)
    lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    header = next(lines, [])
    for row in lines:
        if row:
            yield record_of(header, row)


def in_epoch(nodes: Sequence[Node]) -> list[Node]:
    """
    The plan with datetimes shown as milliseconds since 1970.
    """
    made: list[Node] = []
    for node in nodes:
        if isinstance(node, Leaf) and node.field.type == "datetime":
            made.append(replace(node, convert=_epoch))
        elif isinstance(node, Parent):
            made.append(replace(node, nodes=in_epoch(node.nodes)))
        else:
            made.append(node)
    return made


def _epoch(stored: str) -> int:
    return int(datetime.strptime(stored, STORED_DATETIME).replace(tzinfo=UTC).timestamp() * 1000)
