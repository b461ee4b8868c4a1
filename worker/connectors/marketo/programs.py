"""
The stream of programs: those changed within a window, each with its cost.

Marketo tells costs for one program at a time, so a cost is asked for once a change and remembered. An idle cycle is one
call.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from worker.connectors.base import Cursor, Page
from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.mapping import PROGRAM_COLUMNS, Row, cost_of, program_row, spelled, text_of
from worker.core.errors import Fatal

# Programs in one call, a limit of Marketo's (read 2026-11).
_PER_CALL: Final = 200


class ProgramReader:
    """
    Reads programs, and remembers their costs.
    """

    def __init__(self, client: MarketoClient) -> None:
        self._client = client
        self._costs: dict[str, list[str | None]] = {}

    def recall(self, known: Mapping[str, Any]) -> None:
        """
        Take over the costs an earlier run learned: program id -> [updatedAt, cost].
        """
        self._costs = {**dict(known.get("costs") or {}), **self._costs}

    def learned(self) -> dict[str, Any]:
        """
        The costs known, for the next run.
        """
        return {"costs": self._costs}

    def pages(self, cursor: Cursor) -> Iterator[Page]:
        """
        The window's programs, 200 a page.
        """
        offset = int((cursor.place or {}).get("offset", 0))
        while True:
            params = {"maxReturn": str(_PER_CALL), "offset": str(offset)}
            if cursor.lo is not None:
                params["earliestUpdatedAt"] = spelled(cursor.lo)
            if cursor.hi is not None:
                params["latestUpdatedAt"] = spelled(cursor.hi)
            programs = self._client.get("/rest/asset/v1/programs.json", params).get("result") or []
            offset += len(programs)
            is_last = len(programs) < _PER_CALL
            yield Page(
                stream=cursor.stream,
                columns=PROGRAM_COLUMNS,
                rows=[self._row(program) for program in programs],
                count=len(programs),
                place=None if is_last else {"offset": offset},
                last=is_last,
            )
            if is_last:
                return

    def records(self, stream: str, program_ids: Sequence[str]) -> Iterator[Page]:
        """
        The named programs as they stand; those that are gone are given as deleted.
        """
        rows: list[Row] = []
        for program_id in program_ids:
            program = self._program(program_id)
            if program is None:
                gone = dict.fromkeys(PROGRAM_COLUMNS) | {"record_id": program_id, "is_deleted": "true"}
                rows.append(list(gone.values()))
            else:
                rows.append(program_row(program, cost_of(program)))
        yield Page(stream=stream, columns=PROGRAM_COLUMNS, rows=rows, count=len(rows))

    def _row(self, program: Mapping[str, Any]) -> Row:
        program_id, changed = text_of(program.get("id")) or "", text_of(program.get("updatedAt"))
        before = self._costs.get(program_id)
        if before is None or before[0] != changed:
            whole = self._program(program_id)
            self._costs[program_id] = [changed, text_of(cost_of(whole)) if whole is not None else None]
        cost = self._costs[program_id][1]
        return program_row(program, None if cost is None else Decimal(cost))

    def _program(self, program_id: str) -> Mapping[str, Any] | None:
        if not program_id.isdecimal():
            raise Fatal("HW-314", f"{program_id[:40]!r} is not the number of a program in Marketo")
        found = self._client.get(f"/rest/asset/v1/program/{program_id}.json", {}).get("result") or []
        return found[0] if found else None
