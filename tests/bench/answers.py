"""
A Salesforce that has just answered: the rows a benchmark hands it, as one page, with no network in between.
"""
# ruff: noqa: ARG002 - the arguments are those of every source

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from worker.connectors.base import Cursor, Page, Stream, Usage
from worker.connectors.salesforce.mapping import OBJECTS

LEADS: Final = Stream("salesforce.lead", "person", timedelta(minutes=15))
# What a lead comes with where an organisation shows every field: all it has a column for, and its stamp.
COLUMNS: Final = (*OBJECTS[LEADS.name].columns, "stamp_at")

Row = dict[str, Any]


class Answers:
    """
    A source whose next page is ``rows``: text or None by column.
    """

    name = "salesforce"
    streams: Sequence[Stream] = (LEADS,)

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.rows: Sequence[Row] = ()
        self._known = known

    def now(self) -> datetime:
        return datetime.now(UTC)

    def read(self, cursors: Sequence[Cursor], known: Mapping[str, Any]) -> Iterator[Page]:
        rows = [[row[name] for name in COLUMNS] for row in self.rows]
        yield Page(LEADS.name, COLUMNS, rows, count=len(rows), last=True)

    def read_records(self, stream: str, record_ids: Sequence[str], known: Mapping[str, Any]) -> Iterator[Page]:
        return iter(())

    def calls(self) -> int:
        return 0

    def learned(self) -> Mapping[str, Any]:
        return self._known

    def usage(self) -> Usage | None:
        return None
