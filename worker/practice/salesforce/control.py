"""
The control calls of the Salesforce org, under ``/__practice__/salesforce/``: what loaders and tests do to it that no
API client could.

``docs/practice.md`` lists them with their bodies. Mistakes are answered 400 with the words of the ``ValueError``.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.practice.control import Endpoint, control, object_body
from worker.practice.salesforce.automation import show_rules
from worker.practice.salesforce.errors import ApiError, RowError
from worker.practice.salesforce.limits import REQUESTS
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.record_control import RecordActions, as_id, as_ids, find_sobject
from worker.practice.salesforce.rules import Lock
from worker.practice.salesforce.schema import SObject
from worker.practice.salesforce.schema_control import SchemaActions
from worker.practice.salesforce.settings import Settings
from worker.practice.salesforce.values import stamp, store

PREFIX = "/__practice__/salesforce"
Body = dict[str, Any]
Action = Callable[[Body], Any]
Row = tuple[str, str, Action]  # path, method, what it does


def routes(org: Org) -> list[Route]:
    """
    The control routes of one org.
    """
    return [
        Route(f"{PREFIX}/{path}", _endpoint(org, action, keeps=keeps), methods=[method])
        for calls, keeps in zip(_tables(org), (False, True), strict=True)
        for path, method, action in calls
    ]


def actions_of(org: Org) -> dict[str, Action]:
    """
    What the POST calls do, by their path, for a caller inside the server.
    """
    return {path: action for calls in _tables(org) for path, method, action in calls if method == "POST"}


def _tables(org: Org) -> tuple[list[Row], list[Row]]:
    """
    The calls, and those among them that switch something the tables do not know.
    """
    actions = _Actions(org)
    switches: list[Row] = [
        ("limits", "POST", actions.set_limits),
        ("settings", "POST", actions.change_settings),
        ("settings", "GET", actions.read_settings),
        ("expire_sessions", "POST", actions.expire_sessions),
        ("drop_cursors", "POST", actions.drop_cursors),
        ("release_jobs", "POST", actions.release_jobs),
        ("fail_job", "POST", actions.fail_job),
        ("forget_jobs", "POST", actions.forget_jobs),
        ("validation_rule", "POST", actions.add_validation_rule),
        ("validation_rule", "DELETE", actions.clear_validation_rules),
        ("duplicate_rule", "POST", actions.add_duplicate_rule),
        ("duplicate_rule", "DELETE", actions.clear_duplicate_rules),
        ("assignment_rule", "POST", actions.set_assignment_rule),
        ("flow", "POST", actions.add_flow),
        ("flow", "DELETE", actions.clear_flows),
        ("locks", "POST", actions.lock),
        ("locks", "DELETE", actions.clear_locks),
        ("reset", "POST", actions.reset),
    ]
    table: list[Row] = [
        *RecordActions(org).table,
        *SchemaActions(org).table,
        ("counts", "GET", actions.counts),
        ("snapshot", "POST", actions.snapshot),
        ("restore", "POST", actions.restore),
        ("export", "POST", actions.export),
        ("state", "GET", actions.state),
    ]
    return table, switches


def _endpoint(org: Org, action: Action, *, keeps: bool) -> Endpoint:
    """
    A call on the web. Where it ``keeps``, what it changed outside the tables is written down for a restart.
    """

    def settled(body: Body) -> Any:
        org.late.settle()
        try:
            answer = action(body)
        except RowError as error:
            raise ValueError(str(error)) from error
        except ApiError as error:
            raise ValueError(error.message.strip()) from error
        if keeps:
            org.snapshots.remember()
        return answer

    async def endpoint(request: Request) -> Response:
        body = await object_body(request)
        return JSONResponse(await org.in_thread(settled, body))

    return control(endpoint)


class _Actions:
    def __init__(self, org: Org) -> None:
        self.org = org

    # -- switches

    def set_limits(self, body: Body) -> Body:
        name = str(body.get("name", REQUESTS))
        self.org.usage.set(used=body.get("used"), allowed=body.get("allowed"), name=name)
        return {"used": self.org.usage.spent(name), "allowed": self.org.usage.limits[name]}

    def change_settings(self, body: Body) -> Body:
        known = {each.name: each for each in fields(Settings)}
        for name, value in body.items():
            if name not in known:
                raise ValueError(f"there is no setting {name!r}; there are {', '.join(sorted(known))}")
            kind = type(getattr(self.org.settings, name))
            if kind is bool and not isinstance(value, bool):
                raise ValueError(f"{name} is true or false, not {value!r}")
            setattr(self.org.settings, name, kind(value))
        return self.read_settings({})

    def read_settings(self, _: Body) -> Body:
        return dict(vars(self.org.settings))

    def expire_sessions(self, _: Body) -> Body:
        return {"expired": self.org.sessions.expire()}

    def drop_cursors(self, _: Body) -> Body:
        return {"dropped": self.org.queries.drop_cursors()}

    def release_jobs(self, _: Body) -> Body:
        held = [job for job in self.org.bulk.jobs.values() if job.state == "UploadComplete"]
        for job in held:
            self.org.bulk.release(job)
        return {"released": len(held) + self.org.bulk1.release()}

    def forget_jobs(self, _: Body) -> Body:
        """
        Have all Bulk jobs gone, as after the seven days that an org keeps them.
        """
        self.org.bulk.forget()
        self.org.ingest.forget()
        self.org.bulk1.forget()
        return {"forgotten": True}

    def fail_job(self, body: Body) -> Body:
        """
        Fail a job that has not ended: ``{"id", "message"}``; without a message it fails without one.
        """
        self.org.bulk.fail(self.org.bulk.find(str(body["id"])), body.get("message"))
        return {"failed": body["id"]}

    # -- rules

    def add_validation_rule(self, body: Body) -> Body:
        sobject = self.sobject(body)
        rule = {**self._refused(sobject, body), "object": sobject.name, "name": body.get("name")}
        self.org.rules.validation.append(rule)
        show_rules(self.org)
        return {"rules": len(self.org.rules.validation)}

    def _refused(self, sobject: SObject, body: Body) -> Body:
        """
        When a validation rule is broken: a field has a value, or a SOQL condition is true of the record.
        """
        where = body.get("where")
        target = sobject[str(body["field"])] if where is None or body.get("field") else None
        at_field = [target.name] if target is not None and body.get("at_field") else []
        if where is not None:
            try:
                self.org.records.is_true_of(sobject, str(where), self.org.admin_id)
            except ApiError as error:
                raise ValueError(f"{where!r} is no condition: {error.message.strip()}") from error
            message = str(body.get("message") or f"A record must not have {where}")
            return {"where": str(where), "field": None, "value": None, "message": message, "fields": at_field}
        value = body.get("value")
        named = sobject[str(body["field"])]
        return {
            "field": named.name,
            "value": None if value is None else store(named, value),
            "message": str(body.get("message") or f"{named.label} must not be {value}"),
            "fields": at_field,
        }

    def clear_validation_rules(self, _: Body) -> Body:
        self.org.rules.validation.clear()
        show_rules(self.org)
        return {"rules": 0}

    def add_duplicate_rule(self, body: Body) -> Body:
        sobject = self.sobject(body)
        action = str(body.get("action", "alert"))
        if action not in {"alert", "block"}:
            raise ValueError(f"a duplicate rule's action is alert or block, not {action!r}")
        rule = {"object": sobject.name, "field": sobject[str(body["field"])].name, "action": action}
        if body.get("name"):
            rule["name"] = str(body["name"])
        self.org.rules.duplicates.append(rule)
        show_rules(self.org)
        return {"rules": len(self.org.rules.duplicates)}

    def clear_duplicate_rules(self, _: Body) -> Body:
        self.org.rules.duplicates.clear()
        show_rules(self.org)
        return {"rules": 0}

    def set_assignment_rule(self, body: Body) -> Body:
        sobject = self.sobject(body)
        owner = body.get("owner_id")
        if owner is None:
            self.org.rules.assignment.pop(sobject.name, None)
        else:
            self.org.rules.assignment[sobject.name] = as_id(owner)
        return {"assignment": dict(self.org.rules.assignment)}

    def add_flow(self, body: Body) -> Body:
        sobject = self.sobject(body)
        named = body.get("field")
        target = sobject[str(named)] if named is not None else None
        changes = {sobject[name].name: value for name, value in dict(body.get("set") or {}).items()}
        copies = {sobject[to].name: sobject[str(name)].name for to, name in dict(body.get("copy") or {}).items()}
        if "set" not in body and not copies:
            raise ValueError("a flow has something to set or to copy")
        value = store(target, body.get("value")) if target is not None else None
        self.org.rules.flows.append(
            {
                "object": sobject.name,
                "field": target.name if target else None,
                "value": value,
                "set": changes,
                "copy": copies,
                "name": body.get("name"),
                "apex": bool(body.get("apex")),  # an Apex trigger, which does the same and is listed elsewhere
            }
        )
        show_rules(self.org)
        return {"flows": len(self.org.rules.flows)}

    def clear_flows(self, _: Body) -> Body:
        self.org.rules.flows.clear()
        show_rules(self.org)
        return {"flows": 0}

    def lock(self, body: Body) -> Body:
        seconds, times = body.get("seconds"), body.get("times")
        until = None if seconds is None else stamp(self.org.clock.now() + timedelta(seconds=float(seconds)))
        ids = frozenset(as_ids(body)) if "chance" not in body else frozenset()
        chance, seed = float(body.get("chance", 1.0)), int(body.get("seed", 0))
        self.org.rules.locks.append(Lock(ids, until, None if times is None else int(times), chance, seed))
        return {"locks": len(self.org.rules.locks)}

    def clear_locks(self, _: Body) -> Body:
        self.org.rules.locks.clear()
        return {"locks": 0}

    def counts(self, _: Body) -> Body:
        return {
            sobject.name: self.org.database.reader.execute(f'SELECT COUNT(*) FROM "{sobject.name}"').fetchone()[0]
            for sobject in self.org.schema
        }

    def reset(self, _: Body) -> Body:
        self.org.reset()
        return {"reset": True}

    def snapshot(self, body: Body) -> Body:
        """
        Copy the org into a new SQLite file, which a folder given to ``serve`` may hold as ``salesforce.sqlite``.
        """
        file = Path(str(body["file"]))
        self.org.snapshots.save(file)
        return {"file": str(file), "bytes": file.stat().st_size}

    def restore(self, body: Body) -> Body:
        """
        Make the org what it was when the file was copied, the clock too.
        """
        self.org.snapshots.restore(Path(str(body["file"])))
        return self.state({})

    def export(self, body: Body) -> Body:
        """
        Write the whole state into a new text file, one line a record, always in the same order.
        """
        file = Path(str(body["file"]))
        return {"file": str(file), "bytes": self.org.snapshots.export(file), "sha256": self.org.snapshots.digest()}

    def state(self, _: Body) -> Body:
        """
        A hash of the whole state: two orgs of the same hash are equal to the byte.
        """
        return {"sha256": self.org.snapshots.digest()}

    # -- reading bodies

    def sobject(self, body: Mapping[str, Any]) -> SObject:
        return find_sobject(self.org, body)
