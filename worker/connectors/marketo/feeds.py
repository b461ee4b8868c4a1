"""
Reading Marketo's log of activities by paging token: the loop that all token streams share.

A token is a place in the log that stays good; each call looks at 300 activities of all types, so a page without rows is
normal and not the end. Activities and people build on it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.mapping import spelled
from worker.connectors.marketo.refusals import CallRefused
from worker.core.errors import Retriable

# What is gathered before it is handed on: a transaction for each 300 rows would cost more than it saves.
GATHERED_ROWS: Final = 3_000
GATHERED_CALLS: Final = 20
# How far behind a lost token the next one begins: commits may be late by so much.
_TOKEN_OVERLAP: Final = timedelta(days=1)
_STUCK_PAUSE: Final = timedelta(minutes=15)


@dataclass
class Feed:
    """
    One log reading: its path, what narrows it, and the token it continues from (None before the first).
    """

    path: str
    params: Mapping[str, str]
    token: str | None = None


def first_token(client: MarketoClient, since: datetime) -> str:
    """
    The token from which everything dated at or after ``since`` is read.
    """
    answer = client.get("/rest/v1/activities/pagingtoken.json", {"sinceDatetime": spelled(since)})
    return _token_of(answer)


def gathered(client: MarketoClient, feed: Feed, since: datetime) -> Iterator[Sequence[Mapping[str, Any]]]:
    """
    The feed's entries to its present end, in portions; ``feed.token`` is the place after each portion.

    ``since`` is where a first token, or one in place of a token that Marketo has forgotten, begins.
    Raises Retriable HW-310 when the log does not move on.
    """
    if feed.token is None:
        feed.token = first_token(client, since)
    portion: list[Mapping[str, Any]] = []
    calls = 0
    while True:
        before = feed.token
        answer = _read(client, feed, since)
        calls += 1
        feed.token = _token_of(answer)
        entries = answer.get("result") or ()
        portion += entries
        if not answer.get("moreResult"):
            break
        if feed.token == before and not entries:
            raise Retriable(
                "HW-310", f"Marketo's log stands still at {feed.path} and says that more follows", after=_STUCK_PAUSE
            )
        if len(portion) >= GATHERED_ROWS or calls >= GATHERED_CALLS:
            yield portion
            portion, calls = [], 0
    yield portion


def _read(client: MarketoClient, feed: Feed, since: datetime) -> dict[str, Any]:
    try:
        return client.get(feed.path, {**feed.params, "nextPageToken": feed.token or ""})
    except CallRefused as error:
        if "token" not in (error.vendor or "").lower():
            raise
        feed.token = first_token(client, since - _TOKEN_OVERLAP)
        return client.get(feed.path, {**feed.params, "nextPageToken": feed.token})


def _token_of(answer: Mapping[str, Any]) -> str:
    token = answer.get("nextPageToken")
    if not isinstance(token, str) or not token:
        raise Retriable("HW-303", "Marketo's answer holds no paging token")
    return token
