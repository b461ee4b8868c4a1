"""
Turns hints that records have changed into an urgent look at just those records. The door for a push feed: whoever
receives one calls ``heed`` inside a transaction and rings for the flow ``reread``.

A hint is never data and moves no watermark. A lost one costs time, a doubled one nothing: ids that wait already wait
once, and what is known to be as new as the hint is not looked at.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from worker.connectors.base import ChangeHint, Stream
from worker.store import dues, jobs, scopes

# Hints of so many seconds share a call; a change may also be hinted at before it can be read.
GATHER: Final = timedelta(seconds=3)


def heed(connection: Connection, streams: Sequence[Stream], hints: Iterable[ChangeHint]) -> int:
    """
    Have the records that hints name read soon. Returns how many; objects that nobody reads are passed over.
    """
    by_object = {stream.object.lower(): stream for stream in streams if stream.object}
    count = 0
    for hint in hints:
        stream = by_object.get(hint.object.lower())
        if stream is None:
            continue
        wanted = scopes.older_than(connection, stream.name, stream.shape, hint.ids, hint.at)
        dues.note(connection, "reread", stream.name, wanted)
        count += len(wanted)
    if count:
        jobs.enqueue(connection, "reread", priority=jobs.ASKED_FOR, after=GATHER, requested_by="a hint")
    return count
