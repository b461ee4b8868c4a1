"""
The control API's common half: clock, journal, faults and gates under ``/__practice__/``.

Each org adds its own control calls beside its routes. Control calls are JSON in and out; a mistake in one is answered
400 with ``{"error": "..."}``. Never counted, never journalled, never disturbed.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.practice import archive
from worker.practice.clock import parse_moment
from worker.practice.disturbances import KINDS
from worker.practice.state import PracticeState

Endpoint = Callable[[Request], Awaitable[Response]]


def control(endpoint: Endpoint) -> Endpoint:
    """
    Answer 400 with the words of a ``ValueError``, ``KeyError`` or ``TypeError`` instead of failing.
    """

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except KeyError as error:
            return JSONResponse({"error": f"missing or unknown: {error.args[0]!r}"}, status_code=400)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return guarded


async def object_body(request: Request) -> dict[str, Any]:
    """
    The request's JSON object; an absent body is an empty one. Raises ``ValueError`` for any other JSON.
    """
    if not await request.body():
        return {}
    body = await request.json()
    if not isinstance(body, dict):
        raise ValueError("the body of a control call is a JSON object")  # noqa: TRY004 - it is answered as a 400
    return body


def routes(state: PracticeState) -> list[Route]:
    """
    The common control routes.
    """
    endpoints = _Control(state)
    table: list[tuple[str, str, Endpoint]] = [
        ("/__practice__/clock", "GET", endpoints.read_clock),
        ("/__practice__/clock", "POST", endpoints.set_clock),
        ("/__practice__/journal", "GET", endpoints.read_journal),
        ("/__practice__/journal", "DELETE", endpoints.clear_journal),
        ("/__practice__/faults", "GET", endpoints.read_faults),
        ("/__practice__/faults", "POST", endpoints.add_fault),
        ("/__practice__/faults", "DELETE", endpoints.clear_faults),
        ("/__practice__/faults/kinds", "GET", endpoints.list_kinds),
        ("/__practice__/faults/{number:int}", "DELETE", endpoints.clear_faults),
        ("/__practice__/snapshot", "POST", endpoints.snapshot),
        ("/__practice__/restore", "POST", endpoints.restore),
        ("/__practice__/gates", "GET", endpoints.read_gates),
        ("/__practice__/gates/{name}/open", "POST", endpoints.open_gate),
    ]
    return [Route(path, control(endpoint), methods=[method]) for path, method, endpoint in table]


class _Control:
    def __init__(self, state: PracticeState) -> None:
        self.state = state

    async def read_clock(self, _: Request) -> Response:
        return self._clock_answer()

    async def set_clock(self, request: Request) -> Response:
        body = await object_body(request)
        clock = self.state.clock
        known = {"now", "advance_seconds", "frozen"}
        if not body or body.keys() - known:
            raise ValueError(f"the clock takes {', '.join(sorted(known))}; got {sorted(body)}")
        if body.get("frozen") is True:
            clock.freeze()
        if "now" in body:
            clock.set(parse_moment(str(body["now"])))
        if "advance_seconds" in body:
            clock.advance(float(body["advance_seconds"]))
        if body.get("frozen") is False:
            clock.run()
        return self._clock_answer()

    async def read_journal(self, request: Request) -> Response:
        after = int(request.query_params.get("after", "0"))
        last = self.state.journal.last
        entries = self.state.journal.entries(request.query_params.get("system"), after)
        return JSONResponse({"entries": entries, "next": max([last, *(entry["seq"] for entry in entries)])})

    async def clear_journal(self, _: Request) -> Response:
        self.state.journal.clear()
        return Response(status_code=204)

    async def read_faults(self, _: Request) -> Response:
        return JSONResponse({"faults": self.state.faults.in_force()})

    async def add_fault(self, request: Request) -> Response:
        return JSONResponse({"id": self.state.faults.order(await object_body(request))})

    async def list_kinds(self, _: Request) -> Response:
        return JSONResponse({name: kind.note for name, kind in KINDS.items()})

    async def clear_faults(self, request: Request) -> Response:
        number = request.path_params.get("number")
        self.state.faults.clear(None if number is None else int(number))
        return Response(status_code=204)

    async def snapshot(self, request: Request) -> Response:
        file = Path(str((await object_body(request))["file"]))
        size = await run_in_threadpool(archive.save, self.state, file)
        return JSONResponse({"file": str(file), "bytes": size})

    async def restore(self, request: Request) -> Response:
        file = Path(str((await object_body(request))["file"]))
        await run_in_threadpool(archive.restore, self.state, file)
        return self._clock_answer()

    async def read_gates(self, _: Request) -> Response:
        return JSONResponse({"gates": self.state.faults.gates.waiting()})

    async def open_gate(self, request: Request) -> Response:
        return JSONResponse({"released": self.state.faults.gates.open(request.path_params["name"])})

    def _clock_answer(self) -> Response:
        now: datetime = self.state.clock.now()
        return JSONResponse({"now": now.isoformat(), "frozen": self.state.clock.frozen})
