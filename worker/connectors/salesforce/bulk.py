"""
One stream's window read by Bulk API 2.0: a job on their side, polled without sleeping, its CSV passed on as it comes.

The place says that a job is about to be made before it is, holds its id before it is first polled, then the locator of
the next result page; a job that failed or is gone begins again. Streams calls it for first loads of large objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import requests
import structlog

from worker.connectors.base import Cursor, Page
from worker.connectors.http import Ambiguous
from worker.connectors.salesforce.classify import CallRefused
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.csvtext import NoHeader, cells, clean, split_header
from worker.connectors.salesforce.mapping import Selection
from worker.connectors.salesforce.soql import instant, select
from worker.core.errors import HeadwaterError, Retriable

log = structlog.get_logger()

# Pauses between polls of a job, in seconds; the last one holds for all further ones.
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
# After so many failed jobs the window is read by REST: slow, and it always ends.
MOST_FAILURES: Final = 3
# A job that is unfinished after so many polls (about two hours) is given up.
_MOST_POLLS: Final = 130
_COUNT_DIGITS: Final = 15


class JobLost(Retriable):
    """
    The job failed, was aborted or is gone: the window begins again with another.
    """


def failures_of(cursor: Cursor) -> int:
    """
    How many jobs of this window have failed.
    """
    return int((cursor.place or {}).get("failures", 0))


def announced_at(cursor: Cursor) -> datetime | None:
    """
    When a job was about to be made whose id was never kept, by the organisation's clock; None where none was.
    """
    at = (cursor.place or {}).get("making_since")
    return datetime.fromisoformat(at) if at else None


def is_job(cursor: Cursor) -> bool:
    """
    Whether the window is being read by a job.
    """
    return "job" in (cursor.place or {})


class BulkWindow:
    """
    The pages of one stream's frozen window, from a job.
    """

    def __init__(self, client: SalesforceClient, selection: Selection, cursor: Cursor, page_rows: int) -> None:
        self._client = client
        self._selection = selection
        self._cursor = cursor
        self._page_rows = page_rows
        self._place: dict[str, Any] = dict(cursor.place or {})

    def announced(self) -> Page:
        """
        A page that has nothing but a place: a job is about to be made. It is to be saved before ``start``, so that one
        whose id is never kept can be found again.
        """
        place = {"making_since": self._client.now().isoformat(), "failures": failures_of(self._cursor)}
        return Page(stream=self._cursor.stream, place=place)

    def start(self) -> Page:
        """
        Make the job. The page has no rows: its place is to be saved before the job is polled.

        There is no order in the query: sorting would keep Salesforce from splitting the work.
        """
        where = list(self._selection.source.conditions)
        if self._selection.stamp is not None:
            if self._cursor.lo is not None:
                where.append(f"{self._selection.stamp} >= {instant(self._cursor.lo)}")
            if self._cursor.hi is not None:
                where.append(f"{self._selection.stamp} < {instant(self._cursor.hi)}")
        body = {
            "operation": "queryAll",
            "query": select(self._selection.fields, self._selection.source.object_name, where),
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }
        answer = self._client.tell("POST", "jobs/query", body)
        job = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(job, str) or not (job.isascii() and job.isalnum()):
            raise Ambiguous("HW-203", f"Salesforce took a bulk job for {self._cursor.stream} and named no job")
        self._place = {
            "job": job,
            "polls": 0,
            "locator": None,
            "read": 0,
            "fields": list(self._selection.fields),
            "failures": failures_of(self._cursor),
        }
        return Page(stream=self._cursor.stream, place=dict(self._place))

    def pages(self) -> Iterator[Page]:
        """
        The result's pages, or one page that says when to come again. The job is deleted behind the last.
        """
        try:
            expected = self._finished()
            if expected is None:
                yield self._come_again()
                return
            yield from self._results(expected)
        except JobLost as lost:
            log.warning("bulk job begun again", stream=self._cursor.stream, code=lost.code, reason=lost.message)
            # The place is saved first, so that the next run begins a new job and knows of this one's failure.
            yield Page(
                stream=self._cursor.stream, place={"failures": int(self._place["failures"]) + 1}, again_after=lost.after
            )
            return
        self._delete_job()

    def _finished(self) -> int | None:
        # The rows of the finished job; None while it runs.
        job = self._job_call()
        state = job.get("state")
        if state == "JobComplete":
            return self._number(job.get("numberRecordsProcessed"))
        if state in ("Failed", "Aborted"):
            words = str(job.get("errorMessage") or "no reason given")[:300]
            raise JobLost("HW-215", f"a bulk job for {self._cursor.stream} ended as {state}", vendor=words)
        if self._place["polls"] >= _MOST_POLLS:
            self._abort_job()
            raise JobLost("HW-215", f"a bulk job for {self._cursor.stream} did not end in two hours")
        return None

    def _job_call(self) -> Mapping[str, Any]:
        try:
            job = self._client.ask("GET", f"jobs/query/{self._place['job']}")
        except HeadwaterError as error:
            raise self._lost_or(error) from error
        return job if isinstance(job, dict) else {}

    def _come_again(self) -> Page:
        pause = _PAUSES[min(self._place["polls"], len(_PAUSES) - 1)]
        self._place["polls"] += 1
        return Page(stream=self._cursor.stream, place=dict(self._place), again_after=timedelta(seconds=pause))

    def _results(self, expected: int) -> Iterator[Page]:
        while True:
            params = {"maxRecords": str(self._page_rows)}
            if self._place["locator"] is not None:
                params["locator"] = self._place["locator"]
            try:
                response = self._client.open_csv(f"jobs/query/{self._place['job']}/results", params)
            except HeadwaterError as error:
                raise self._lost_or(error) from error
            try:
                page = self._page(response, expected)
                yield page
            finally:
                response.close()
            if page.last:
                return

    def _page(self, response: requests.Response, expected: int) -> Page:
        count = self._number(response.headers.get("Sforce-NumberOfRecords"))
        # The end is a locator that says "null" in words; a missing one would otherwise begin at the first page again.
        locator = response.headers.get("Sforce-Locator") or "null"
        is_last = locator == "null"
        read = int(self._place["read"]) + count
        if is_last and read != expected:
            raise JobLost(
                "HW-216", f"a bulk job for {self._cursor.stream} processed {expected} records and gave {read}"
            )
        self._place |= {"locator": None if is_last else locator, "read": read}
        try:
            header, chunks = split_header(clean(self._client, response))
        except NoHeader as error:
            raise JobLost(error.code, error.message) from error
        columns, rows, passed_on = self._content(header, chunks)
        return Page(
            stream=self._cursor.stream,
            columns=columns,
            rows=rows,
            csv=passed_on,
            numbers=self._selection.own_numbers,
            count=count,
            place=None if is_last else dict(self._place),
            last=is_last,
        )

    def _number(self, stated: Any) -> int:
        text = str(stated or 0)
        if not text.isascii() or not text.isdigit() or len(text) > _COUNT_DIGITS:
            raise JobLost("HW-216", f"a bulk job for {self._cursor.stream} counted {text[:40]!r} records")
        return int(text)

    def _content(
        self, header: list[str], chunks: Iterator[bytes]
    ) -> tuple[Sequence[str], Iterator[list[str | None]], Iterator[bytes] | None]:
        fields = list(self._place["fields"])
        names = header or fields  # an empty body is an empty result
        if sorted(map(str.casefold, names)) != sorted(map(str.casefold, fields)):
            raise JobLost(
                "HW-203", f"a bulk job for {self._cursor.stream} gave {len(names)} other columns than asked for"
            )
        if self._selection.is_straight and tuple(fields) == self._selection.fields:
            return self._selection.renamed(names), iter(()), chunks
        return self._selection.columns, self._worked_out(names, chunks), None

    def _worked_out(self, names: Sequence[str], chunks: Iterator[bytes]) -> Iterator[list[str | None]]:
        spelled = {name.casefold(): name for name in self._place["fields"]}
        names = [spelled[name.casefold()] for name in names]
        for line in cells(chunks):
            if len(line) != len(names):
                raise Retriable("HW-203", f"a line of {self._cursor.stream} has {len(line)} values, not {len(names)}")
            yield self._selection.csv_row({name: cell or None for name, cell in zip(names, line, strict=True)})

    def _lost_or(self, error: HeadwaterError) -> HeadwaterError:
        # A job that is gone, or that another version of the API made.
        if isinstance(error, CallRefused) and error.status in (404, 409):
            return JobLost("HW-215", f"a bulk job for {self._cursor.stream} is gone", vendor=error.vendor)
        return error

    def _abort_job(self) -> None:
        self._try("PATCH", {"state": "Aborted"})

    def _delete_job(self) -> None:
        self._try("DELETE", None)

    def _try(self, method: str, body: Any) -> None:
        # Tidying: Salesforce removes the job after seven days in any case.
        try:
            self._client.tell(method, f"jobs/query/{self._place['job']}", body)
        except HeadwaterError:
            return
