"""
Marketo as a source: programs, people and activities.

It hands each stream to its reader and keeps one stream's trouble from stopping the others. An idle cycle is a handful
of calls: one for programs, three for people, one for each ten types of activities.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from worker.connectors.base import Cursor, Page, Stream, Usage
from worker.connectors.marketo.activities import ActivityReader
from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.people import PeopleReader
from worker.connectors.marketo.programs import ProgramReader
from worker.connectors.marketo.refusals import SUBSCRIPTION_WIDE
from worker.core.errors import Fatal, HeadwaterError

PROGRAM: Final = "marketo.program"
LEAD: Final = "marketo.lead"
ACTIVITY: Final = "marketo.activity"


class MarketoSource:
    """
    Reads one subscription. The log of activities is read from ``start_at`` on, ``activity_types`` of it are given on;
    ``extra_fields`` of people become ``extra.X``.
    """

    def __init__(
        self,
        client: MarketoClient,
        *,
        start_at: datetime,
        activity_types: Sequence[int],
        extra_fields: Sequence[str] = (),
        overlap: timedelta = timedelta(minutes=15),
    ) -> None:
        if start_at.tzinfo is None:
            raise Fatal("HW-901", "the start date of Marketo's log has no time zone")
        self._client = client
        self._programs = ProgramReader(client)
        self._people = PeopleReader(client, extra_fields, start_at)
        self._activities = ActivityReader(client, activity_types, start_at)
        self._streams = (
            Stream(PROGRAM, "campaign", overlap),
            Stream(LEAD, "person", timedelta(0)),
            Stream(ACTIVITY, "activity", timedelta(0)),
        )

    @property
    def name(self) -> str:
        """
        "marketo".
        """
        return "marketo"

    @property
    def streams(self) -> Sequence[Stream]:
        """
        Programs by window, people and activities by token.
        """
        return self._streams

    def now(self) -> datetime:
        """
        The platform's present instant, rounded up to the second. A call (for a token) only before any answer.
        """
        return self._client.now()

    def usage(self) -> Usage | None:
        """
        None: Marketo's answers do not say.
        """
        return None

    def calls(self) -> int:
        """
        The calls of this process so far.
        """
        return self._client.calls

    def learned(self) -> Mapping[str, Any]:
        """
        JSON for the next run: costs of programs, fields of people that Marketo does not have.
        """
        return {"programs": self._programs.learned(), "people": self._people.learned()}

    def read(self, cursors: Sequence[Cursor], known: Mapping[str, Any]) -> Iterator[Page]:
        """
        Every stream to its end. Raises at once what concerns the subscription, a single stream's error at the end.
        """
        self._recall(known)
        troubles: list[HeadwaterError] = []
        for cursor in cursors:
            try:
                yield from self._reader(cursor.stream).pages(cursor)
            except HeadwaterError as error:
                if error.code in SUBSCRIPTION_WIDE:
                    raise
                troubles.append(error)
        if troubles:
            raise troubles[0]

    def read_records(self, stream: str, record_ids: Sequence[str], known: Mapping[str, Any]) -> Iterator[Page]:
        """
        The named people or programs. Marketo gives no single activity: asking for one is Fatal.
        """
        self._recall(known)
        reader = self._reader(stream)
        if isinstance(reader, ActivityReader):
            raise Fatal(
                "HW-314",
                "Marketo cannot be asked for single activities",
                actions=["Resync the people they belong to, or the stream from an earlier date."],
            )
        yield from reader.records(stream, record_ids)

    def _recall(self, known: Mapping[str, Any]) -> None:
        self._programs.recall(known.get("programs") or {})
        self._people.recall(known.get("people") or {})

    def _reader(self, stream: str) -> ProgramReader | PeopleReader | ActivityReader:
        readers: dict[str, ProgramReader | PeopleReader | ActivityReader] = {
            PROGRAM: self._programs,
            LEAD: self._people,
            ACTIVITY: self._activities,
        }
        if stream not in readers:
            raise Fatal("HW-315", f"there is no stream {stream!r}", actions=[f"Use one of: {', '.join(readers)}"])
        return readers[stream]
