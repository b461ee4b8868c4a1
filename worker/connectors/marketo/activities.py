"""
The stream of activities: live feeds of ten types each, and a second look at the last days for what was committed late.

The token it stores is JSON: the feeds with their types and tokens, and when the next second look is due. Types may be
added to the rules and taken away: added ones begin at the start date, with a feed of their own.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from worker.connectors.base import Cursor, Page
from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.feeds import Feed, first_token, gathered
from worker.connectors.marketo.mapping import ACTIVITY_COLUMNS, activity_row

_PATH: Final = "/rest/v1/activities.json"
# Types in one call, a limit of Marketo's (read 2026-11).
_TYPES_PER_CALL: Final = 10
# An activity's commit may follow its time by hours, behind a token that has passed: the last day is read again each day
# and the last week each week. An idle cycle pays nothing for it.
_LOOK_BACK_EVERY: Final = timedelta(days=1)
_LOOKS_A_WEEK: Final = 7


class ActivityReader:
    """
    Reads ``types`` from ``start_at`` on.
    """

    def __init__(self, client: MarketoClient, types: Sequence[int], start_at: datetime) -> None:
        self._client = client
        self._types = sorted(set(types))
        self._start_at = start_at

    def pages(self, cursor: Cursor) -> Iterator[Page]:
        """
        Everything that is new, then what a due second look brings; the last page has no rows.
        """
        now = self._client.now()
        state = self._state(cursor.token, now)
        since = cursor.watermark or self._start_at
        for feed in state["feeds"]:
            # A feed without a token has types that were never read: it begins at the start date.
            begins = since if feed["token"] else self._start_at
            yield from self._feed_pages(cursor.stream, feed, begins, state)
        if now >= datetime.fromisoformat(state["look_back_at"]) and not state["second_look"]:
            state["second_look"] = self._second_look(state, now)
        for feed in state["second_look"]:
            yield from self._feed_pages(cursor.stream, feed, since, state)
        if state["second_look"]:
            state["second_look"] = []
            state["looks"] += 1
            state["look_back_at"] = (now + _LOOK_BACK_EVERY).isoformat()
        yield Page(stream=cursor.stream, columns=ACTIVITY_COLUMNS, token=json.dumps(state), last=True)

    def _feed_pages(self, stream: str, feed: dict[str, Any], since: datetime, state: dict[str, Any]) -> Iterator[Page]:
        types = ",".join(str(number) for number in feed["types"])
        reading = Feed(_PATH, {"activityTypeIds": types}, feed["token"])
        for entries in gathered(self._client, reading, since):
            feed["token"] = reading.token
            if entries:
                rows = [activity_row(entry) for entry in entries]
                yield Page(stream=stream, columns=ACTIVITY_COLUMNS, rows=rows, count=len(rows), token=json.dumps(state))

    def _state(self, token: str | None, now: datetime) -> dict[str, Any]:
        state: dict[str, Any] = (
            json.loads(token)
            if token
            else {"feeds": [], "second_look": [], "look_back_at": (now + _LOOK_BACK_EVERY).isoformat(), "looks": 0}
        )
        for name in ("feeds", "second_look"):
            for feed in state[name]:
                feed["types"] = [number for number in feed["types"] if number in self._types]
            state[name] = [feed for feed in state[name] if feed["types"]]
        read = {number for feed in state["feeds"] for number in feed["types"]}
        state["feeds"] += [{"types": group, "token": None} for group in _groups(sorted(set(self._types) - read))]
        return state

    def _second_look(self, state: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
        is_weekly = state["looks"] % _LOOKS_A_WEEK == _LOOKS_A_WEEK - 1
        back = _LOOK_BACK_EVERY * _LOOKS_A_WEEK if is_weekly else _LOOK_BACK_EVERY
        token = first_token(self._client, max(now - back, self._start_at))
        return [{"types": group, "token": token} for group in _groups(self._types)]


def _groups(types: Sequence[int]) -> list[list[int]]:
    return [list(types[start : start + _TYPES_PER_CALL]) for start in range(0, len(types), _TYPES_PER_CALL)]
