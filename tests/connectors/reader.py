"""
What a pull does with a source, without a database: windows frozen first, a page's rows and its place kept together.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from worker.connectors.base import Cursor, Page, Source

Row = dict[str, str | None]


class Stopped(Exception):
    """
    The reader was told to stop, as a worker that is killed.
    """


class Reader:
    """
    Keeps cursors, rows by stream and record id (the newest page wins) and how many rows came, a row read twice counted
    twice.
    """

    def __init__(self, *streams: str) -> None:
        self.cursors = {name: Cursor(name) for name in streams}
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in streams}
        self.received: dict[str, int] = dict.fromkeys(streams, 0)
        self.pages: list[Page] = []
        self.known: Mapping[str, Any] = {}

    def begin_at(self, lo: datetime) -> None:
        """
        As if everything before ``lo`` had been read.
        """
        self.cursors = {name: replace(cursor, watermark=lo) for name, cursor in self.cursors.items()}

    def read(self, source: Source, *, stop_after: int | None = None) -> None:
        """
        One cycle. ``stop_after`` pages are kept, then the reader dies.
        """
        hi = source.now()
        overlaps = {stream.name: stream.overlap for stream in source.streams}
        for name, cursor in self.cursors.items():
            if cursor.hi is None:
                lo = cursor.watermark - overlaps[name] if cursor.watermark else None
                self.cursors[name] = replace(cursor, lo=lo, hi=hi)
        self.pages = []
        for page in source.read(list(self.cursors.values()), self.known):
            if stop_after is not None and len(self.pages) == stop_after:
                raise Stopped
            self._keep(page)
        self.known = source.learned()

    def read_until_done(self, source: Source, *, cycles: int = 200, between: Callable[[], None] = lambda: None) -> None:
        """
        Cycles until no stream waits for a job.
        """
        for _ in range(cycles):
            self.read(source)
            if all(cursor.hi is None for cursor in self.cursors.values()):
                return
            between()
        raise AssertionError(f"not done after {cycles} cycles")

    def _keep(self, page: Page) -> None:
        rows = list(rows_of(page))
        if page.count is not None:
            assert len(rows) == page.count, f"{page.stream}: {len(rows)} rows came, {page.count} were announced"
        for row in rows:
            self.rows[page.stream][str(row["record_id"])] = row
        self.received[page.stream] += len(rows)
        cursor = replace(self.cursors[page.stream], place=page.place, token=page.token or None)
        if page.last:
            cursor = replace(cursor, watermark=cursor.hi, lo=None, hi=None, place=None)
        self.cursors[page.stream] = cursor
        self.pages.append(page)


def rows_of(page: Page) -> Iterator[Row]:
    """
    A page's rows by column, from either form.
    """
    rows: Sequence[Sequence[str | None]] | Iterator[Sequence[str | None]] = list(page.rows)
    if page.csv is not None:
        text = b"".join(page.csv).decode()
        rows = [[cell or None for cell in cells] for cells in csv.reader(io.StringIO(text, newline=""))]
    for row in rows:
        yield dict(zip(page.columns, row, strict=True))
