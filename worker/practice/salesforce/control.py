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
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.late import Pending
from worker.practice.salesforce.lifecycle import convert_lead, merge_records
from worker.practice.salesforce.org import Org, Settings
from worker.practice.salesforce.package import custom_field, custom_object
from worker.practice.salesforce.rules import Lock
from worker.practice.salesforce.schema import Field, SObject
from worker.practice.salesforce.values import stamp, store

PREFIX = "/__practice__/salesforce"
Body = dict[str, Any]
Action = Callable[[Body], Any]

# Describe types and the Metadata API's names for them, so that a control call may use either.
METADATA_NAMES = {
    "string": "Text", "boolean": "Checkbox", "date": "Date", "datetime": "DateTime", "double": "Number",
    "currency": "Currency", "percent": "Percent", "picklist": "Picklist", "multipicklist": "MultiselectPicklist",
    "email": "Email", "phone": "Phone", "url": "Url", "textarea": "LongTextArea", "reference": "Lookup",
}  # fmt: skip


def routes(org: Org) -> list[Route]:
    """
    The control routes of one org.
    """
    actions = _Actions(org)
    table: list[tuple[str, str, Action]] = [
        ("create", "POST", actions.create),
        ("update", "POST", actions.update),
        ("touch", "POST", actions.touch),
        ("delete", "POST", actions.delete),
        ("undelete", "POST", actions.undelete),
        ("hard_delete", "POST", actions.hard_delete),
        ("empty_bin", "POST", actions.empty_bin),
        ("archive", "POST", actions.archive),
        ("late", "POST", actions.late),
        ("convert", "POST", actions.convert),
        ("merge", "POST", actions.merge),
        ("objects", "POST", actions.add_object),
        ("fields", "POST", actions.add_fields),
        ("hide_fields", "POST", actions.hide_fields),
        ("show_fields", "POST", actions.show_fields),
        ("hide_records", "POST", actions.hide_records),
        ("show_records", "POST", actions.show_records),
        ("limits", "POST", actions.set_limits),
        ("settings", "POST", actions.change_settings),
        ("settings", "GET", actions.read_settings),
        ("expire_sessions", "POST", actions.expire_sessions),
        ("drop_cursors", "POST", actions.drop_cursors),
        ("release_jobs", "POST", actions.release_jobs),
        ("fail_job", "POST", actions.fail_job),
        ("validation_rule", "POST", actions.add_validation_rule),
        ("validation_rule", "DELETE", actions.clear_validation_rules),
        ("duplicate_rule", "POST", actions.add_duplicate_rule),
        ("duplicate_rule", "DELETE", actions.clear_duplicate_rules),
        ("assignment_rule", "POST", actions.set_assignment_rule),
        ("flow", "POST", actions.add_flow),
        ("flow", "DELETE", actions.clear_flows),
        ("locks", "POST", actions.lock),
        ("locks", "DELETE", actions.clear_locks),
        ("counts", "GET", actions.counts),
        ("reset", "POST", actions.reset),
        ("snapshot", "POST", actions.snapshot),
    ]
    return [Route(f"{PREFIX}/{path}", _endpoint(org, action), methods=[method]) for path, method, action in table]


def _endpoint(org: Org, action: Action) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        body = await object_body(request)
        return JSONResponse(await org.in_thread(action, body))

    return control(endpoint)


class _Actions:
    def __init__(self, org: Org) -> None:
        self.org = org

    # -- records

    def create(self, body: Body) -> Body:
        return {"ids": self.org.loading.create(self.sobject(body), _records(body))}

    def update(self, body: Body) -> Body:
        records = [{**record, "Id": _id(record.get("Id"))} for record in _records(body)]
        self.org.loading.update(self.sobject(body), records)
        return {"updated": len(records)}

    def touch(self, body: Body) -> Body:
        return {"touched": self.org.loading.touch(self.sobject(body), _ids(body))}

    def delete(self, body: Body) -> Body:
        with self.org.database.write():
            return {"deleted": self.org.bin.delete(self.sobject(body), _ids(body), self.org.admin_id, self.now)}

    def undelete(self, body: Body) -> Body:
        with self.org.database.write():
            return {"undeleted": self.org.bin.undelete(_ids(body), self.org.admin_id, self.now)}

    def hard_delete(self, body: Body) -> Body:
        with self.org.database.write():
            return {"purged": self.org.bin.purge(self.sobject(body), _ids(body), self.now)}

    def empty_bin(self, body: Body) -> Body:
        days = body.get("older_than_days")
        before = None if days is None else stamp(self.org.clock.now() - timedelta(days=float(days)))
        with self.org.database.write():
            return {"purged": self.org.bin.empty(before)}

    def archive(self, body: Body) -> Body:
        """
        Archive tasks and events older than so many days (365 unless given), as the org does overnight.
        """
        day = stamp(self.org.clock.now() - timedelta(days=float(body.get("older_than_days", 365))))[:10]
        count = 0
        with self.org.database.write() as connection:
            for name in ("Task", "Event"):
                closed = " AND IsClosed = 1" if name == "Task" else ""
                count += connection.execute(
                    f'UPDATE "{name}" SET IsArchived = 1 WHERE IsArchived = 0 AND ActivityDate < ?{closed}', (day,)
                ).rowcount
        return {"archived": count}

    def late(self, body: Body) -> Body:
        """
        Creations and updates stamped now that become visible ``commit_after_seconds`` later.
        """
        sobject = self.sobject(body)
        now = self.org.clock.now()
        creations, updates = list(body.get("create") or []), list(body.get("update") or [])
        stamps = {"SystemModstamp": f"{stamp(now)}Z"}
        created = {"CreatedDate": f"{stamp(now)}Z", **stamps}
        ids = self.org.ids.take(sobject.prefix, len(creations))
        rows = [{**created, **row, "Id": record_id} for row, record_id in zip(creations, ids, strict=True)]
        changes = [{**stamps, **row, "Id": _id(row.get("Id"))} for row in updates]

        def apply() -> None:
            with self.org.database.write():
                if rows:
                    self.org.loading.create(sobject, rows)
                if changes:
                    self.org.loading.update(sobject, changes)

        commits = stamp(now + timedelta(seconds=float(body["commit_after_seconds"])))
        self.org.late.add(Pending(stamp(now), commits, apply))
        return {"ids": ids}

    def convert(self, body: Body) -> Body:
        with self.org.database.write():
            return {"results": [convert_lead(self.org, dict(each)) for each in body["conversions"]]}

    def merge(self, body: Body) -> Body:
        losers = [_id(each) for each in body["losers"]]
        merge_records(self.org, self.sobject(body), _id(body["winner"]), losers)
        return {"merged": len(losers)}

    # -- schema

    def add_object(self, body: Body) -> Body:
        name = str(body["name"])
        if not name.endswith("__c") or self.org.schema.get(name) is not None:
            raise ValueError(f"{name!r} must end in __c and be new")
        label = str(body.get("label") or name.removesuffix("__c"))
        name_field = Field("Name", "string", "Name", length=80, name_field=True, id_lookup=True)
        made = custom_object(self.org.schema, name, label, str(body.get("plural") or f"{label}s"), name_field)
        self._extend(made, body)
        self.org.schema.add(made)
        self.org.change_schema()
        return {"name": name, "keyPrefix": made.prefix}

    def add_fields(self, body: Body) -> Body:
        sobject = self.sobject(body)
        added = self._extend(sobject, body)
        self.org.change_schema()
        return {"added": added}

    def hide_fields(self, body: Body) -> Body:
        self.org.schema.hide(self.sobject(body), [str(name) for name in body["fields"]])
        return {"hidden": body["fields"]}

    def show_fields(self, body: Body) -> Body:
        self.org.schema.hide(self.sobject(body), [str(name) for name in body["fields"]], hidden=False)
        return {"shown": body["fields"]}

    def hide_records(self, body: Body) -> Body:
        return {"hidden": self.org.hide_records(_ids(body))}

    def show_records(self, body: Body) -> Body:
        return {"hidden": self.org.hide_records(_ids(body), hidden=False)}

    def _extend(self, sobject: SObject, body: Body) -> list[str]:
        added = []
        for each in body.get("fields") or []:
            options = dict(each)
            name, kind = str(options.pop("name")), str(options.pop("type"))
            label = str(options.pop("label", name.removesuffix("__c").replace("_", " ")))
            made = custom_field(name, METADATA_NAMES.get(kind, kind), label, options)
            if sobject.get(name) is not None:
                raise ValueError(f"{sobject.name} has a field {name} already")
            sobject.add([made])
            added.append(name)
        return added

    # -- switches

    def set_limits(self, body: Body) -> Body:
        self.org.usage.set(used=body.get("used"), allowed=body.get("allowed"))
        return {"used": self.org.usage.used, "allowed": self.org.usage.allowed}

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
        return {"released": len(held)}

    def fail_job(self, body: Body) -> Body:
        """
        Fail a job that has not ended: ``{"id", "message"}``; without a message it fails without one.
        """
        self.org.bulk.fail(self.org.bulk.find(str(body["id"])), body.get("message"))
        return {"failed": body["id"]}

    # -- rules

    def add_validation_rule(self, body: Body) -> Body:
        sobject = self.sobject(body)
        target = sobject[str(body["field"])]
        value = body.get("value")
        rule = {
            "object": sobject.name,
            "field": target.name,
            "value": None if value is None else store(target, value),
            "message": str(body.get("message") or f"{target.label} must not be {value}"),
            "fields": [target.name] if body.get("at_field") else [],
        }
        self.org.rules.validation.append(rule)
        return {"rules": len(self.org.rules.validation)}

    def clear_validation_rules(self, _: Body) -> Body:
        self.org.rules.validation.clear()
        return {"rules": 0}

    def add_duplicate_rule(self, body: Body) -> Body:
        sobject = self.sobject(body)
        action = str(body.get("action", "alert"))
        if action not in {"alert", "block"}:
            raise ValueError(f"a duplicate rule's action is alert or block, not {action!r}")
        rule = {"object": sobject.name, "field": sobject[str(body["field"])].name, "action": action}
        self.org.rules.duplicates.append(rule)
        return {"rules": len(self.org.rules.duplicates)}

    def clear_duplicate_rules(self, _: Body) -> Body:
        self.org.rules.duplicates.clear()
        return {"rules": 0}

    def set_assignment_rule(self, body: Body) -> Body:
        sobject = self.sobject(body)
        owner = body.get("owner_id")
        if owner is None:
            self.org.rules.assignment.pop(sobject.name, None)
        else:
            self.org.rules.assignment[sobject.name] = _id(owner)
        return {"assignment": dict(self.org.rules.assignment)}

    def add_flow(self, body: Body) -> Body:
        sobject = self.sobject(body)
        named = body.get("field")
        target = sobject[str(named)] if named is not None else None
        changes = {sobject[name].name: value for name, value in dict(body["set"]).items()}
        value = store(target, body.get("value")) if target is not None else None
        self.org.rules.flows.append(
            {"object": sobject.name, "field": target.name if target else None, "value": value, "set": changes}
        )
        return {"flows": len(self.org.rules.flows)}

    def clear_flows(self, _: Body) -> Body:
        self.org.rules.flows.clear()
        return {"flows": 0}

    def lock(self, body: Body) -> Body:
        seconds, times = body.get("seconds"), body.get("times")
        until = None if seconds is None else stamp(self.org.clock.now() + timedelta(seconds=float(seconds)))
        self.org.rules.locks.append(Lock(frozenset(_ids(body)), until, None if times is None else int(times)))
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
        Copy all records into a new SQLite file, which a folder given to ``serve`` may hold as ``salesforce.sqlite``.
        """
        file = Path(str(body["file"]))
        if file.exists() or not file.parent.is_dir():
            raise ValueError(f"{file} must be a new file in a folder that is there")
        with self.org.database.lock:
            self.org.database.writer.execute("VACUUM INTO ?", (str(file),))
        return {"file": str(file), "bytes": file.stat().st_size}

    # -- reading bodies

    @property
    def now(self) -> str:
        return stamp(self.org.clock.now())

    def sobject(self, body: Mapping[str, Any]) -> SObject:
        found = self.org.schema.get(str(body["object"]))
        if found is None:
            raise ValueError(f"the org has no object {body['object']!r}")
        return found


def _records(body: Body) -> list[dict[str, Any]]:
    records = body["records"]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("records must be a list of objects")
    return records


def _ids(body: Body) -> list[str]:
    return [_id(each) for each in body["ids"]]


def _id(value: Any) -> str:
    made = to18(str(value))
    if made is None:
        raise ValueError(f"{value!r} is no record id")
    return made
