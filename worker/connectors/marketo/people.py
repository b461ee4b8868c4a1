"""
The stream of people: whoever the log says was made, changed, linked, merged or deleted is read as they stand now.

Marketo cannot be asked for people by change time, so three feeds of its log name them. The token it stores is JSON: the
three tokens, and recent merges, since a loser's deletion may be told after its merge.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from worker.connectors.base import Cursor, Page
from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.feeds import Feed, gathered
from worker.connectors.marketo.mapping import (
    MERGE_TYPE,
    NEEDED_FIELDS,
    PERSON_FIELDS,
    Row,
    activity_row,
    gone_row,
    merges_of,
    person_columns,
    person_row,
    text_of,
)
from worker.connectors.marketo.refusals import UNKNOWN_FIELD, CallRefused
from worker.core.errors import Fatal, Retriable

# Synced to or converted in Salesforce, deleted or merged there, merged here: each changes a person without a change of
# a field that the log of changes would tell.
_FATE_TYPES: Final = (19, 21, 28, 29, 30, 31, MERGE_TYPE)
# People in one call, a limit of Marketo's (read 2026-11).
_PER_CALL: Final = 300
_MERGES_KEPT: Final = 500
_LOOK_AGAIN_AFTER: Final = timedelta(days=1)
_UNWATCHED: Final = frozenset({"id", "createdAt", "updatedAt"})
_FEEDS: Final = ("fates", "deletions", "changes")


class PeopleReader:
    """
    Reads people with ``extra`` further fields; the log from ``start_at`` on.
    """

    def __init__(self, client: MarketoClient, extra: Sequence[str], start_at: datetime) -> None:
        self._client = client
        self._extra = tuple(extra)
        self._start_at = start_at
        self._absent: set[str] = set()
        self._looked_at: str | None = None

    def recall(self, known: Mapping[str, Any]) -> None:
        """
        Take over which fields an earlier run found absent; forgotten after a day, or when other fields are wanted.
        """
        looked_at = known.get("looked_at")
        if self._looked_at is not None or looked_at is None or known.get("wanted") != self._wanted():
            return
        if datetime.now(UTC) - datetime.fromisoformat(looked_at) < _LOOK_AGAIN_AFTER:
            self._absent, self._looked_at = set(known.get("absent") or ()), looked_at

    def learned(self) -> dict[str, Any]:
        """
        ``absent`` fields, of the ``wanted`` ones, and when that was found (None: never needed).
        """
        return {"absent": sorted(self._absent), "wanted": self._wanted(), "looked_at": self._looked_at}

    def pages(self, cursor: Cursor) -> Iterator[Page]:
        """
        Everybody the log names since the last time; the last page has no rows.
        """
        state = json.loads(cursor.token) if cursor.token else {**dict.fromkeys(_FEEDS), "merged": {}}
        since = cursor.watermark or self._start_at
        for name in _FEEDS:
            for entries in self._portions(name, state, since if state[name] else self._start_at):
                if entries:
                    rows = self._rows(name, entries, state["merged"])
                    yield self._page(cursor.stream, rows, json.dumps(state))
        yield Page(stream=cursor.stream, token=json.dumps(state), last=True)

    def records(self, stream: str, person_ids: Sequence[str]) -> Iterator[Page]:
        """
        The named people as they stand; those who are gone are given as deleted.
        """
        wrong = [each for each in person_ids if not each.isdecimal()]
        if wrong:
            raise Fatal("HW-314", f"{wrong[0][:40]!r} is not the number of a person in Marketo")
        for group in _groups(list(dict.fromkeys(person_ids))):
            people = self._people(group)
            columns = self._columns()
            found = {text_of(person.get("id")) for person in people}
            rows = [person_row(person, columns) for person in people]
            rows += [gone_row(each, None, None, columns) for each in group if each not in found]
            yield Page(stream=stream, columns=columns, rows=rows, count=len(rows))

    def _portions(self, name: str, state: dict[str, Any], since: datetime) -> Iterator[Sequence[Mapping[str, Any]]]:
        try:
            yield from self._feed(name, state, since)
        except CallRefused as error:
            if error.vendor_code != UNKNOWN_FIELD:
                raise
        else:
            return
        self._look_at_fields()
        yield from self._feed(name, state, since)

    def _feed(self, name: str, state: dict[str, Any], since: datetime) -> Iterator[Sequence[Mapping[str, Any]]]:
        feed = Feed(*self._reading(name), state[name])
        for entries in gathered(self._client, feed, since):
            state[name] = feed.token
            yield entries

    def _reading(self, name: str) -> tuple[str, dict[str, str]]:
        if name == "fates":
            return "/rest/v1/activities.json", {"activityTypeIds": ",".join(map(str, _FATE_TYPES))}
        if name == "deletions":
            return "/rest/v1/activities/deletedleads.json", {}
        watched = [field for field in self._fields() if field not in _UNWATCHED]
        return "/rest/v1/activities/leadchanges.json", {"fields": ",".join(watched)}

    def _rows(self, name: str, entries: Iterable[Mapping[str, Any]], merged: dict[str, str]) -> list[Row]:
        gone: dict[str, str | None] = {}
        touched: dict[str, None] = {}
        for entry in entries:
            person_id, at = text_of(entry.get("leadId")), activity_row(entry)[1]
            if person_id is None:
                continue
            if name == "deletions":
                gone[person_id] = at
                continue
            touched[person_id] = None
            if entry.get("activityTypeId") == MERGE_TYPE:
                losers = merges_of(entry)
                merged |= losers
                gone |= dict.fromkeys(losers, at)
        for old in list(merged)[: max(0, len(merged) - _MERGES_KEPT)]:
            del merged[old]
        rows: list[Row] = []
        for group in _groups([each for each in touched if each not in gone]):
            rows += [person_row(person, self._columns()) for person in self._people(group)]
        return rows + [gone_row(each, at, merged.get(each), self._columns()) for each, at in gone.items()]

    def _people(self, person_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        try:
            return self._look_up(person_ids)
        except CallRefused as error:
            if error.vendor_code != UNKNOWN_FIELD:
                raise
        self._look_at_fields()
        return self._look_up(person_ids)

    def _look_up(self, person_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        params = {"filterType": "id", "filterValues": ",".join(person_ids), "fields": ",".join(self._fields())}
        people: list[Mapping[str, Any]] = []
        while True:
            answer = self._client.get("/rest/v1/leads.json", params)
            entries = answer.get("result") or []
            people += entries
            following = answer.get("nextPageToken")
            if not following or not entries or following == params.get("nextPageToken"):
                return people
            params["nextPageToken"] = following

    def _look_at_fields(self) -> None:
        answer = self._client.get("/rest/v1/leads/describe2.json", {})
        described = (answer.get("result") or [{}])[0].get("fields")
        if not isinstance(described, list) or not all(isinstance(entry, dict) for entry in described):
            raise Retriable("HW-303", "Marketo described people with something that is no description")
        names = {str(entry.get("name")) for entry in described}
        self._absent = set(self._wanted()) - names
        self._looked_at = datetime.now(UTC).isoformat()
        needed = sorted(NEEDED_FIELDS & self._absent)
        if needed:
            raise Fatal("HW-309", f"Marketo shows no field {', '.join(needed)} of people")

    def _wanted(self) -> list[str]:
        return list(dict.fromkeys([*PERSON_FIELDS.values(), *self._extra]))

    def _fields(self) -> list[str]:
        return [name for name in self._wanted() if name not in self._absent]

    def _columns(self) -> list[str]:
        return person_columns(self._fields(), self._extra)

    def _page(self, stream: str, rows: Sequence[Row], token: str) -> Page:
        return Page(stream=stream, columns=self._columns(), rows=rows, count=len(rows), token=token)


def _groups(ids: Sequence[str]) -> list[list[str]]:
    return [list(ids[start : start + _PER_CALL]) for start in range(0, len(ids), _PER_CALL)]
