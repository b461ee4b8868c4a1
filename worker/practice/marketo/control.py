"""
The back door of the practice Marketo under ``/__practice__/marketo/``: what tests, the demo and the loader do to the
org.

No access is checked and nothing is counted. JSON in and out; a mistake is answered 400 with ``{"error": "..."}``.
"""

from typing import Any, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.practice.control import Endpoint, control, object_body
from worker.practice.marketo.access import Ordered
from worker.practice.marketo.org import MarketoOrg, Numbering
from worker.practice.marketo.times import parse_instant
from worker.practice.state import PracticeState

PREFIX = "/__practice__/marketo"


def routes(_: PracticeState, org: MarketoOrg) -> list[Route]:
    """
    The control calls of one org.
    """
    calls = _Control(org)
    table: list[tuple[str, str, Endpoint]] = [
        ("people", "POST", calls.save_people),
        ("activities", "POST", calls.put_activities),
        ("programs", "POST", calls.save_programs),
        ("members", "POST", calls.save_members),
        ("delete", "POST", calls.delete),
        ("merge", "POST", calls.merge),
        ("fields", "POST", calls.add_fields),
        ("purge", "POST", calls.purge),
        ("token", "POST", calls.spoil_token),
        ("limits", "POST", calls.set_limits),
        ("errors", "POST", calls.order_error),
        ("errors", "DELETE", calls.lift_errors),
        ("numbering", "POST", calls.set_numbering),
        ("counts", "GET", calls.counts),
    ]
    return [Route(f"{PREFIX}/{path}", control(endpoint), methods=[method]) for path, method, endpoint in table]


class _Control:
    def __init__(self, org: MarketoOrg) -> None:
        self.org = org

    async def save_people(self, request: Request) -> Response:
        """
        ``{"records": [{field: value, "id"?}], "reason"?}``: makes (type 12) or changes (type 13) people ->
        ``{"ids"}``.
        """
        body = await object_body(request)
        reason = str(body.get("reason", "Web service API"))
        return JSONResponse({"ids": await run_in_threadpool(self.org.save_people, _records(body), reason=reason)})

    async def put_activities(self, request: Request) -> Response:
        """
        ``{"records": [{"leadId", "activityDate", "activityTypeId", "primaryAttributeValue"?,
        "primaryAttributeValueId"?, "campaignId"?, "attributes"?: {name: value}, "committed_at"?, "behind"?}]}`` ->
        ``{"ids"}``.

        ``committed_at`` is when a reader can first see it; ``behind`` puts it where cursors are already past.
        """
        body = await object_body(request)
        return JSONResponse({"ids": await run_in_threadpool(self.org.put_activities, _records(body))})

    async def save_programs(self, request: Request) -> Response:
        """
        ``{"records": [{"id"?, "name", "type", "channel", "status"?, "sfdcId"?, "sfdcName"?, "costs"?, "tags"?,
        "createdAt"?, "updatedAt"?}]}`` -> ``{"ids"}``.
        """
        body = await object_body(request)
        return JSONResponse({"ids": await run_in_threadpool(self.org.save_programs, _records(body))})

    async def save_members(self, request: Request) -> Response:
        """
        ``{"records": [{"programId", "leadId", "statusName", "reachedSuccess"?, "acquiredBy"?, "membershipDate"?,
        "updatedAt"?}]}`` -> ``{"saved": n}``.
        """
        body = await object_body(request)
        return JSONResponse({"saved": await run_in_threadpool(self.org.save_members, _records(body))})

    async def delete(self, request: Request) -> Response:
        """
        ``{"ids": [...]}`` -> ``{"deleted": [...]}``, those that were there.
        """
        body = await object_body(request)
        return JSONResponse({"deleted": self.org.delete_people([int(number) for number in body["ids"]])})

    async def merge(self, request: Request) -> Response:
        """
        ``{"winner", "losers": [...]}`` -> ``{"fields": [...]}``, those that the winner took from the losers.
        """
        body = await object_body(request)
        losers = [int(number) for number in body["losers"]]
        return JSONResponse({"fields": self.org.merge_people(int(body["winner"]), losers)})

    async def add_fields(self, request: Request) -> Response:
        """
        ``{"fields": [{"name", "label"?, "dataType"?, "length"?}]}``: custom fields of people.
        """
        body = await object_body(request)
        for field in body["fields"]:
            name = str(field["name"])
            self.org.add_field(name, field.get("label", name), field.get("dataType", "string"), field.get("length"))
        return JSONResponse({"fields": len(self.org.fields)})

    async def purge(self, request: Request) -> Response:
        """
        ``{"before": ISO}``: forget older activities, as the platform does -> ``{"purged": n}``.
        """
        body = await object_body(request)
        with self.org.lock:
            return JSONResponse({"purged": self.org.log.purge(parse_instant(str(body["before"])))})

    async def spoil_token(self, request: Request) -> Response:
        """
        ``{"invalidate": true}``: the present token gives 601 from now on; ``{"expire": true}``: it gives 602.
        """
        body = await object_body(request)
        if not (body.get("invalidate") or body.get("expire")):
            raise ValueError("say invalidate or expire")
        with self.org.lock:
            self.org.access.invalidate(expire=bool(body.get("expire")))
        return Response(status_code=204)

    async def set_limits(self, request: Request) -> Response:
        """
        ``{"quota"?: n, "used"?: n, "rate"?: bool, "concurrency"?: bool}``: the day's quota, what is used of it, whether
        the 100 calls in 20 s and the 10 calls at once are enforced.
        """
        body = await object_body(request)
        access = self.org.access
        with self.org.lock:
            if "quota" in body:
                access.quota = int(body["quota"])
            if "rate" in body:
                access.rate_limited = bool(body["rate"])
            if "concurrency" in body:
                access.concurrency_limited = bool(body["concurrency"])
            if "used" in body:
                access.set_used(int(body["used"]), self.org.clock.now())
            return JSONResponse({"quota": access.quota, "rate": access.rate_limited})

    async def order_error(self, request: Request) -> Response:
        """
        ``{"code", "message"?, "path_contains"?, "times"?: n or null}``: refuse the next calls inside HTTP 200.
        """
        body = await object_body(request)
        times = body.get("times", 1)
        order = Ordered(
            code=str(body["code"]),
            message=str(body.get("message", "Ordered by the practice control")),
            path_contains=body.get("path_contains"),
            times=None if times is None else int(times),
        )
        with self.org.lock:
            self.org.access.ordered.append(order)
        return Response(status_code=204)

    async def lift_errors(self, _: Request) -> Response:
        """
        No more ordered errors.
        """
        with self.org.lock:
            self.org.access.ordered.clear()
        return Response(status_code=204)

    async def set_numbering(self, request: Request) -> Response:
        """
        ``{"activity_ids": "unique" | "absent" | "repeating"}``: how activities carry their old integer id.
        """
        body = await object_body(request)
        wanted: Numbering = body["activity_ids"]
        if wanted not in get_args(Numbering):
            raise ValueError(f"activity_ids is one of {', '.join(get_args(Numbering))}, not {wanted!r}")
        self.org.numbering = wanted
        return Response(status_code=204)

    async def counts(self, _: Request) -> Response:
        """
        How many people, programs, memberships, and committed activities by type there are.
        """
        with self.org.lock:
            programs = self.org.programs.all()
            members = sum(self.org.programs.count_members(program["id"]) for program in programs)
            activities = self.org.log.counts(self.org.now())
            shape = {"people": self.org.people.count(), "programs": len(programs), "members": members}
            return JSONResponse({**shape, "activities": activities})


def _records(body: dict[str, Any]) -> list[dict[str, Any]]:
    records = body["records"]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("records is a list of objects")
    return records
