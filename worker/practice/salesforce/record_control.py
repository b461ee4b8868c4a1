"""
The control calls that change records: loading, deleting, merging, converting, and transactions that commit later.

Any of them takes ``commit_after_seconds``: what it does is stamped now and visible so many seconds later. Bodies are in
``docs/practice.md``; ``control.py`` puts the calls on the web. Mistakes raise ``ValueError`` or ``RowError``.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.lifecycle import convert_lead, merge_records
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.picklists import rename_value
from worker.practice.salesforce.schema import SObject
from worker.practice.salesforce.values import stamp

Body = dict[str, Any]
Action = Callable[[Body], Body]
ARCHIVE_DAYS = 365


class RecordActions:
    """
    The calls of one org. ``table`` is all of them by name and method.
    """

    def __init__(self, org: Org) -> None:
        self.org = org
        self.timed: dict[str, Action] = {
            "create": self.create,
            "update": self.update,
            "touch": self.touch,
            "delete": self.delete,
            "undelete": self.undelete,
            "hard_delete": self.hard_delete,
            "archive": self.archive,
            "convert": self.convert,
            "merge": self.merge,
            "transaction": self.transaction,
        }
        self.table: list[tuple[str, str, Action]] = [
            *((name, "POST", self._in_time(action)) for name, action in self.timed.items()),
            ("late", "POST", self.late),
            ("transactions", "GET", self.transactions),
            ("commit", "POST", self.commit),
            ("rollback", "POST", self.rollback),
            ("empty_bin", "POST", self.empty_bin),
            ("purge_deletion_log", "POST", self.purge_deletion_log),
            ("rename_value", "POST", self.rename_value),
            ("hide_records", "POST", self.hide_records),
            ("show_records", "POST", self.show_records),
        ]

    def create(self, body: Body) -> Body:
        return {"ids": self.org.loading.create(self.sobject(body), _records(body))}

    def update(self, body: Body) -> Body:
        records = [{**record, "Id": as_id(record.get("Id"))} for record in _records(body)]
        self.org.loading.update(self.sobject(body), records)
        return {"updated": len(records)}

    def touch(self, body: Body) -> Body:
        """
        Move SystemModstamp of the named records, or of all records of the object.
        """
        return {"touched": self.org.loading.touch(self.sobject(body), as_ids(body) if "ids" in body else None)}

    def delete(self, body: Body) -> Body:
        with self.org.database.write():
            return {"deleted": self.org.bin.delete(self.sobject(body), as_ids(body), self.org.admin_id, self.now)}

    def undelete(self, body: Body) -> Body:
        with self.org.database.write():
            return {"undeleted": self.org.bin.undelete(as_ids(body), self.org.admin_id, self.now)}

    def hard_delete(self, body: Body) -> Body:
        with self.org.database.write():
            return {"purged": self.org.bin.purge(self.sobject(body), as_ids(body), self.now)}

    def archive(self, body: Body) -> Body:
        """
        Archive tasks and events older than so many days, as the org does overnight; no stamp moves.
        """
        return {"archived": self.org.bin.archive(self._day_before(body, ARCHIVE_DAYS)[:10])}

    def convert(self, body: Body) -> Body:
        with self.org.database.write():
            return {"results": [convert_lead(self.org, dict(each)) for each in body["conversions"]]}

    def merge(self, body: Body) -> Body:
        losers = [as_id(each) for each in body["losers"]]
        merge_records(self.org, self.sobject(body), as_id(body["winner"]), losers, body.get("fields") or {})
        return {"merged": len(losers)}

    # -- transactions

    def transaction(self, body: Body) -> Body:
        """
        Several of the calls above as one: all are done or none.
        """
        results = []
        with self.org.database.write():
            for step in body["steps"]:
                name = str(step["call"])
                if name not in self.timed or name == "transaction":
                    raise ValueError(f"a step's call is one of {', '.join(sorted(set(self.timed) - {'transaction'}))}")
                results.append(self.timed[name]({key: value for key, value in step.items() if key != "call"}))
        return {"results": results}

    def late(self, body: Body) -> Body:
        """
        Short for a transaction over one object: ``create`` and ``update`` rows, ``delete`` and ``undelete`` ids.
        """
        name = body["object"]
        steps: list[Body] = [
            {"call": call, "object": name, key: body[call]}
            for call, key in (("create", "records"), ("update", "records"), ("delete", "ids"), ("undelete", "ids"))
            if body.get(call)
        ]
        seconds = {"commit_after_seconds": body["commit_after_seconds"]}
        made = self._in_time(self.transaction)({"steps": steps, **seconds})
        ids = [each for result in made["results"] for each in result.get("ids", ())]
        return {"ids": ids, "transaction": made["transaction"], "commits_at": made["commits_at"]}

    def transactions(self, _: Body) -> Body:
        return {
            "transactions": [
                {"id": each.id, "started_at": f"{each.started}Z", "commits_at": f"{each.commits}Z", "ids": each.ids}
                for each in self.org.late.open()
            ]
        }

    def commit(self, body: Body) -> Body:
        return {"committed": self.org.late.end(_number(body), commit=True)}

    def rollback(self, body: Body) -> Body:
        return {"rolled_back": self.org.late.end(_number(body), commit=False)}

    def _in_time(self, action: Action) -> Action:
        def run(body: Body) -> Body:
            given = {key: value for key, value in body.items() if key != "commit_after_seconds"}
            if "commit_after_seconds" not in body:
                return action(given)
            answer, made = self.org.late.run(lambda: action(given), float(body["commit_after_seconds"]))
            return {**answer, "transaction": made.id, "commits_at": f"{made.commits}Z"}

        return run

    # -- what is never late

    def empty_bin(self, body: Body) -> Body:
        before = self._day_before(body) if body.get("older_than_days") is not None else None
        with self.org.database.write():
            return {"purged": self.org.bin.empty(before)}

    def purge_deletion_log(self, body: Body) -> Body:
        """
        Forget the older part of what getDeleted answers from, as an org does whose log has grown too large.
        """
        before = self._day_before(body, 0)
        return {"forgotten": self.org.bin.forget_deletions(before), "earliestDateAvailable": f"{before}Z"}

    def rename_value(self, body: Body) -> Body:
        """
        Rename a picklist value as an administrator does: every record that has it gets a new SystemModstamp.
        """
        sobject = self.sobject(body)
        count = rename_value(self.org, sobject, sobject[str(body["field"])], str(body["from"]), str(body["to"]))
        return {"touched": count}

    def hide_records(self, body: Body) -> Body:
        return {"hidden": self.org.hide_records(as_ids(body))}

    def show_records(self, body: Body) -> Body:
        return {"hidden": self.org.hide_records(as_ids(body), hidden=False)}

    # -- reading bodies

    @property
    def now(self) -> str:
        return stamp(self.org.clock.now())

    def sobject(self, body: Mapping[str, Any]) -> SObject:
        return find_sobject(self.org, body)

    def _day_before(self, body: Body, otherwise: float | None = None) -> str:
        days = float(body["older_than_days"] if otherwise is None else body.get("older_than_days", otherwise))
        return stamp(self.org.clock.now() - timedelta(days=days))


def find_sobject(org: Org, body: Mapping[str, Any]) -> SObject:
    """
    The object a body names. Raises ``ValueError``.
    """
    found = org.schema.get(str(body["object"]))
    if found is None:
        raise ValueError(f"the org has no object {body['object']!r}")
    return found


def as_ids(body: Mapping[str, Any]) -> list[str]:
    """
    The body's ``ids``, each of 18 characters. Raises ``ValueError``.
    """
    return [as_id(each) for each in body["ids"]]


def as_id(value: Any) -> str:
    """
    An id of 18 characters. Raises ``ValueError``.
    """
    made = to18(str(value))
    if made is None:
        raise ValueError(f"{value!r} is no record id")
    return made


def _records(body: Body) -> list[dict[str, Any]]:
    records = body["records"]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("records must be a list of objects")
    return records


def _number(body: Body) -> int | None:
    given = body.get("transaction")
    return None if given is None else int(given)
