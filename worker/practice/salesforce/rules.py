"""
What administrators and luck put in a writer's way, switched on by control calls: validation rules, duplicate rules,
assignment rules, flows, row locks.

Kept per org and asked by ``records.py``; nothing here touches the database.
"""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.practice.salesforce.errors import RowError, lock_refusal


@dataclass
class Lock:
    """
    Records somebody else holds: until a stamp of the practice clock, or for so many attempts, or for good. Without ids
    it is bad luck instead: any record is found locked with the given ``chance``, drawn from ``seed``.
    """

    ids: frozenset[str]
    until: str | None
    times: int | None
    chance: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        self.lot = random.Random(self.seed)

    def holds(self, wanted: Sequence[str]) -> str | None:
        """
        One of the wanted records that is found locked, or None.
        """
        if self.ids:
            return next((each for each in wanted if each in self.ids), None)
        return wanted[0] if wanted and self.lot.random() < self.chance else None


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

    def dump(self) -> dict[str, Any]:
        """
        The rules as JSON takes them.
        """
        with self._guard:
            return {
                "validation": list(self.validation),
                "assignment": dict(self.assignment),
                "duplicates": list(self.duplicates),
                "flows": list(self.flows),
                "locks": [
                    {
                        "ids": sorted(each.ids),
                        "until": each.until,
                        "times": each.times,
                        "chance": each.chance,
                        "seed": each.seed,
                    }
                    for each in self.locks
                ],
            }

    @classmethod
    def load(cls, given: Mapping[str, Any]) -> "Rules":
        """
        What ``dump`` gave.
        """
        locks = [Lock(**{**each, "ids": frozenset(each["ids"])}) for each in given["locks"]]
        return cls(given["validation"], given["assignment"], given["duplicates"], given["flows"], locks)

    def validate(self, sobject: str, record: Mapping[str, Any]) -> None:
        """
        Refuse a record about to be saved when a validation rule is true of it, whichever field the writer touched.

        A rule is ``{"object", "field", "value", "message"}``: the field having that stored value is an error. A value
        None refuses an empty field. Raises ``RowError``.
        """
        for rule in self.validation:
            if rule["object"] == sobject and not rule.get("where") and record.get(rule["field"]) == rule["value"]:
                raise validation_refusal(rule)

    def conditions(self, sobject: str) -> list[dict[str, Any]]:
        """
        The validation rules of an object that are a SOQL condition, to be asked of the record as saved.
        """
        return [rule for rule in self.validation if rule["object"] == sobject and rule.get("where")]

    def check_locks(self, ids: Sequence[str | None], now: str) -> None:
        """
        Refuse when one of the records, the one being written first, is locked. Raises ``RowError`` UNABLE_TO_LOCK_ROW.
        """
        wanted = [each for each in ids if each]
        with self._guard:
            for lock in list(self.locks):
                if lock.until is not None and now >= lock.until:
                    self.locks.remove(lock)
                    continue
                held = lock.holds(wanted)
                if held is None:
                    continue
                if lock.times is not None:
                    lock.times -= 1
                    if lock.times <= 0:
                        self.locks.remove(lock)
                raise lock_refusal(held)

    def owner_by_assignment(self, sobject: str) -> str | None:
        """
        Whom the active assignment rule of an object gives its records to, or None without a rule.
        """
        return self.assignment.get(sobject)

    def after_save(self, sobject: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """
        What flows change in a record just saved. A flow is ``{"object", "field", "value", "set": {...}}``: it fires
        when the field has the value (no field: always); ``copy`` names fields that take another field's value.
        """
        changes: dict[str, Any] = {}
        for flow in self.flows:
            if flow["object"] != sobject:
                continue
            if flow.get("field") is None or record.get(flow["field"]) == flow.get("value"):
                changes |= flow["set"]
                changes |= {to: record.get(source) for to, source in flow.get("copy", {}).items()}
        return changes


def validation_refusal(rule: Mapping[str, Any]) -> RowError:
    """
    What a validation rule says.
    """
    return RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", str(rule["message"]), list(rule.get("fields", ())))


def duplicate_details(sobject: str, rule: Mapping[str, str], ids: Sequence[str]) -> dict[str, Any]:
    """
    What a duplicate rule tells of the records it found.
    """
    records = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {"attributes": {"type": sobject}, "Id": each},
        }
        for each in ids
    ]
    match = {
        "entityType": sobject,
        "errors": [],
        "matchEngine": "ExactMatchEngine",
        "matchRecords": records,
        "rule": f"Same_{rule['field']}",
        "size": len(records),
        "success": True,
    }
    return {
        "duplicateResult": {
            "allowSave": rule["action"] == "alert",
            "duplicateRule": f"{sobject}_{rule['field']}",
            "duplicateRuleEntityType": sobject,
            "errorMessage": "Use one of these records?",
            "matchResults": [match],
        }
    }
