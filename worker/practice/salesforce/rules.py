"""
What administrators and luck put in a writer's way, switched on by control calls: validation rules, duplicate rules,
assignment rules, flows, row locks.

Kept per org and asked by ``records.py``; nothing here touches the database.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.practice.salesforce.errors import RowError


@dataclass
class Lock:
    """
    Records somebody else holds: until an ISO moment of the practice clock, or for so many attempts, or for good.
    """

    ids: frozenset[str]
    until: str | None
    times: int | None


@dataclass
class Rules:
    """
    The rules in force. Safe to use from any thread. A duplicate rule is ``{"object", "field", "action"}``: another
    record with the same value is one; the action is ``alert`` or ``block``.
    """

    validation: list[dict[str, Any]] = field(default_factory=list)
    assignment: dict[str, str] = field(default_factory=dict)
    duplicates: list[dict[str, str]] = field(default_factory=list)
    flows: list[dict[str, Any]] = field(default_factory=list)
    locks: list[Lock] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def validate(self, sobject: str, record: Mapping[str, Any]) -> None:
        """
        Refuse a record about to be saved when a validation rule is true of it, whichever field the writer touched.

        A rule is ``{"object", "field", "value", "message"}``: the field having that stored value is an error. A value
        None refuses an empty field. Raises ``RowError``.
        """
        for rule in self.validation:
            if rule["object"] == sobject and record.get(rule["field"]) == rule["value"]:
                raise RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", str(rule["message"]), list(rule.get("fields", ())))

    def check_locks(self, ids: Sequence[str | None], now: str) -> None:
        """
        Refuse when one of the records is locked. Raises ``RowError`` UNABLE_TO_LOCK_ROW.
        """
        wanted = {each for each in ids if each}
        with self._guard:
            for lock in list(self.locks):
                if lock.until is not None and now >= lock.until:
                    self.locks.remove(lock)
                    continue
                held = sorted(lock.ids & wanted)
                if not held:
                    continue
                if lock.times is not None:
                    lock.times -= 1
                    if lock.times <= 0:
                        self.locks.remove(lock)
                words = f"unable to obtain exclusive access to this record or 1 records: {held[0]}"
                raise RowError("UNABLE_TO_LOCK_ROW", words)

    def owner_by_assignment(self, sobject: str) -> str | None:
        """
        Whom the active assignment rule of an object gives its records to, or None without a rule.
        """
        return self.assignment.get(sobject)

    def after_save(self, sobject: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """
        What flows change in a record just saved. A flow is ``{"object", "field", "value", "set": {...}}``: it fires
        when the field has the value (no field: always).
        """
        changes: dict[str, Any] = {}
        for flow in self.flows:
            if flow["object"] != sobject:
                continue
            if flow.get("field") is None or record.get(flow["field"]) == flow.get("value"):
                changes |= flow["set"]
        return changes
