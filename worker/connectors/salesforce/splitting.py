"""
Finds the records because of which an organisation's own code refuses a whole call: an Apex trigger that fails for one
record fails for all that came with it, and none of them may hold the others up.

A call that was refused as one is sent again in halves, and a refused half in halves, so that one such record among 200
costs about sixteen calls. The writer calls it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from worker.connectors.base import Result
from worker.core.errors import HeadwaterError

# A trigger or a flow of theirs ended with an error of its own.
_THEIR_CODE: Final = frozenset({"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER"})
# Calls more than one that a chunk may cost: three bad records among 200 are found, of more some of the good ones wait.
MOST_CALLS: Final = 40

# So many records that are refused one and all say something of the code, fewer of themselves alone.
_TELLING: Final = 10

Ids = Sequence[str]
Records = Sequence[Any]
Send = Callable[[Ids, Records], list[Result]]


class Splitter:
    """
    Sends chunks for one writer. ``begin`` tells that a new run of writing begins.
    """

    def __init__(self) -> None:
        self._is_vain = False
        self._left = 0

    def begin(self) -> None:
        """
        Try again, also where nothing was gained before.
        """
        self._is_vain = False

    def sent(self, ids: Ids, records: Records, send: Send) -> list[Result]:
        """
        Each record's result, in the order sent. Once no record of a refused chunk went through, further chunks of the
        run are left as they are: code that always fails is not searched for exceptions.
        """
        results = send(ids, records)
        if self._is_vain or not _is_refused_as_one(results):
            return results
        self._left = MOST_CALLS
        results = self._in_halves(ids, records, results, send)
        self._is_vain = len(ids) >= _TELLING and _is_refused_as_one(results)
        return results

    def _in_halves(self, ids: Ids, records: Records, refused: list[Result], send: Send) -> list[Result]:
        middle = len(ids) // 2
        return [
            result
            for half in (slice(None, middle), slice(middle, None))
            for result in self._half(ids[half], records[half], refused[half], send)
        ]

    def _half(self, ids: Ids, records: Records, refused: list[Result], send: Send) -> list[Result]:
        if not self._left:
            return refused
        self._left -= 1
        try:
            results = send(ids, records)
        except HeadwaterError:
            # A write raises where nothing was sent. The chunk's other half may have been written: what is known stays.
            self._left = 0
            return refused
        return self._in_halves(ids, records, results, send) if _is_refused_as_one(results) else results


def _is_refused_as_one(results: Sequence[Result]) -> bool:
    return len(results) > 1 and all(result.verdict == "parked" and result.code in _THEIR_CODE for result in results)
