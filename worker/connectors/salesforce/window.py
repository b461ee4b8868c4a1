"""
One stream's window read by REST: a query in stamp order, its further pages, and the way on when Salesforce drops them.

The place after each page holds the next page's address and the last record's stamp and id; when the address is dropped,
two queries (the rest of that second, then everything later) go on behind that record. Streams calls it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from worker.connectors.base import Cursor, Page
from worker.connectors.salesforce.classify import LocatorLost
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.mapping import Selection
from worker.connectors.salesforce.soql import instant, instant_of, quoted_id, select
from worker.core.errors import Retriable

Answer = Mapping[str, Any]
_RETRY_AFTER: Final = timedelta(minutes=1)


@dataclass
class _Place:
    """
    How far the window is read.

    ``part`` is "window" (from its beginning), "tie" (the rest of one second) or "past" (everything after that second).
    ``stamp`` and ``record_id`` are the last committed record's. ``seen`` of ``total`` rows of the present query were
    given. ``restarts`` counts how often rows were short.
    """

    fields: str
    part: Literal["window", "tie", "past"] = "window"
    next: str | None = None
    stamp: str | None = None
    record_id: str | None = None
    seen: int = 0
    total: int | None = None
    restarts: int = 0

    def go_behind_the_last_record(self) -> None:
        """
        Forget the dropped query.
        """
        self.part = "tie" if self.stamp else "window"
        self.begin_query()

    def begin_query(self) -> None:
        """
        The next page is a new query's first.
        """
        self.next, self.seen, self.total = None, 0, None


class RestWindow:
    """
    The pages of one stream's frozen window.
    """

    def __init__(self, client: SalesforceClient, selection: Selection, cursor: Cursor) -> None:
        self._client = client
        self._selection = selection
        self._cursor = cursor
        self._place = self._remembered()

    @property
    def is_at_start(self) -> bool:
        """
        Whether the first page is still to be asked for: its query can travel with others.
        """
        return self._place.part == "window" and self._place.next is None

    def query(self) -> str:
        """
        The query that the next page begins with.
        """
        place, stamp = self._place, self._selection.stamp
        where: list[str] = []
        order: list[str] = []
        source = self._selection.source
        if stamp is not None:
            order = [stamp, "Id"]
            if place.part == "tie":
                where = [f"{stamp} = {instant_of(place.stamp or '')}", f"Id > {quoted_id(place.record_id or '')}"]
                order = ["Id"]
            elif place.part == "past":
                where = [f"{stamp} > {instant_of(place.stamp or '')}"]
            elif self._cursor.lo is not None:
                where = [f"{stamp} >= {instant(self._cursor.lo)}"]
            if place.part != "tie" and self._cursor.hi is not None:
                where.append(f"{stamp} < {instant(self._cursor.hi)}")
        return select(self._selection.fields, source.object_name, [*where, *source.conditions], order)

    def pages(self, answer: Answer | None = None) -> Iterator[Page]:
        """
        The window's remaining pages; ``answer`` is the first one where it has come already.
        """
        while True:
            if answer is None:
                answer = self._ask()
            page = self._page(answer)
            yield page
            if page.last:
                return
            answer = None

    def _ask(self) -> Answer:
        if self._place.next is not None:
            try:
                return self._client.more(self._place.next)
            except LocatorLost:
                self._place.go_behind_the_last_record()
        return self._client.query(self.query())

    def _page(self, answer: Answer) -> Page:
        records, is_done, following = page_of(answer, self._selection.stamp)
        place = self._place
        asked = place.next
        if place.total is None:
            place.total = answer.get("totalSize")
        place.seen += len(records)
        if records and self._selection.stamp is not None:
            place.stamp, place.record_id = records[-1][self._selection.stamp], records[-1]["Id"]
        place.next = following
        is_last = False
        if is_done:
            is_last = self._end_query()
        elif following == asked and not records:
            raise Retriable("HW-218", f"Salesforce gives the same empty page of {self._cursor.stream} again and again")
        rows = (self._selection.record_row(record) for record in records)
        return Page(
            stream=self._cursor.stream,
            columns=self._selection.columns,
            rows=rows,
            count=len(records),
            place=None if is_last else asdict(place),
            last=is_last,
        )

    def _end_query(self) -> bool:
        # Whether the window is read to its end.
        place = self._place
        if isinstance(place.total, int) and place.seen < place.total:
            return self._restart_short(place.total)
        if place.part == "tie":
            place.part = "past"
            place.begin_query()
            return False
        return True

    def _restart_short(self, total: int) -> bool:
        place = self._place
        if place.restarts:
            raise Retriable(
                "HW-216",
                f"Salesforce counted {total} records of {self._cursor.stream} and gave {place.seen}, twice",
                after=_RETRY_AFTER,
            )
        place.restarts += 1
        place.part, place.stamp, place.record_id = "window", None, None
        place.begin_query()
        return False

    def _remembered(self) -> _Place:
        digest = sha256(",".join(self._selection.fields).encode()).hexdigest()[:12]
        if not self._cursor.place:
            return _Place(digest)
        place = _Place(**self._cursor.place)
        if place.fields != digest:
            # The pages still to come would lack fields that are wanted now.
            place.fields = digest
            place.go_behind_the_last_record()
        return place


def page_of(answer: Answer, stamp: str | None = None) -> tuple[list[dict[str, Any]], bool, str | None]:
    """
    The records of a query's page, whether it is the last, and the next one's address.

    Each record has its Id, and the field ``stamp`` where one is named. Raises Retriable HW-203 for anything else.
    """
    records, is_done, following = answer.get("records"), answer.get("done"), answer.get("nextRecordsUrl")
    needed = ["Id"] if stamp is None else ["Id", stamp]
    if (
        not isinstance(records, list)
        or not isinstance(is_done, bool)
        or not (is_done or following)
        or not all(_has_texts(record, needed) for record in records)
    ):
        raise Retriable("HW-203", "Salesforce answered a query with something that is not a page of records")
    return records, is_done, None if is_done else str(following)


def _has_texts(record: Any, names: Sequence[str]) -> bool:
    return isinstance(record, dict) and all(isinstance(record.get(name), str) for name in names)
