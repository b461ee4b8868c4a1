"""
What we know of the organisation's objects: their descriptions, when they were read, and what they lack.

It keeps descriptions between runs (as ``learned`` JSON) and decides which are due. It makes no call: streams ask
Salesforce and hand the answers in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from worker.connectors.http import Passing
from worker.connectors.salesforce.hosts import DOOR
from worker.connectors.salesforce.mapping import OPTIONAL, STAMPS, ObjectMap, Selection, chosen
from worker.connectors.salesforce.soql import checked_name

# What is kept of a field's description, where it is neither false nor zero.
_KEPT: Final = ("type", "length", "precision", "scale", "updateable", "filterable", "calculated", "restrictedPicklist")

# Nothing is looked at more often than the org is polled.
_CYCLE: Final = timedelta(minutes=5)
_CENSUS: Final = frozenset({"record_id", "stamp_at", "is_deleted"})
# What is kept of an object's own description.
_TRAITS: Final = ("createable", "updateable", "deletable", "undeletable", "replicateable")

Fields = Mapping[str, Sequence[str]]


class Catalogue:
    """
    The descriptions of the objects of some streams.

    ``write_fields`` and ``extra_fields`` are object -> field names, ``zone`` is the organisation's time zone. Raises
    Fatal for a name that cannot be one.
    """

    def __init__(
        self, write_fields: Fields, extra_fields: Fields, describe_every: timedelta, zone: str = "UTC"
    ) -> None:
        self._zone = zone
        self._ours = {name: tuple(map(checked_name, fields)) for name, fields in write_fields.items()}
        self._extra = {name: tuple(map(checked_name, fields)) for name, fields in extra_fields.items()}
        self._every = describe_every
        self._objects: dict[str, dict[str, Any]] = {}
        self._appeared: dict[str, list[str]] = {}

    def recall(self, known: Mapping[str, Any]) -> None:
        """
        Take over what an earlier run learned, where it is newer. This is a new run: nothing has appeared in it.
        """
        self._appeared = {}
        objects = known.get("objects")
        for name, entry in (objects if isinstance(objects, dict) else {}).items():
            if not isinstance(entry, dict) or not {"described_at", "fields", "considered", "traits"} <= entry.keys():
                continue
            ours = self._objects.get(name)
            if ours is None or ours["described_at"] < entry["described_at"]:
                self._objects[name] = dict(entry)

    def is_unknown(self, source: ObjectMap) -> bool:
        """
        Whether the object must be described before it is read: never was, or other fields are wanted now.
        """
        entry = self._objects.get(source.object_name)
        return entry is None or not set(self._wanted(source)) <= set(entry["considered"])

    def is_due(self, source: ObjectMap, now: datetime) -> bool:
        """
        Whether the description is old enough to be read again.
        """
        entry = self._objects.get(source.object_name)
        if entry is None:
            return True
        age = now - datetime.fromisoformat(entry["described_at"])
        # A clock that was set back must not keep an old description for ever.
        return age >= self._every or age < -self._every

    def overdue(self, source: ObjectMap, now: datetime) -> float:
        """
        How long ago the object was described, in terms of how often it should be; without end where it never was.
        """
        entry = self._objects.get(source.object_name)
        if entry is None:
            return math.inf
        return abs(now - datetime.fromisoformat(entry["described_at"])) / max(self._every, _CYCLE)

    def absorb(self, source: ObjectMap, description: Mapping[str, Any], now: datetime) -> None:
        """
        Take in an object's description as Salesforce answers it. Raises as ``fields_of`` does.
        """
        wanted = self._wanted(source)
        visible = fields_of(description)
        fields = {
            name: {key: visible[name][key] for key in _KEPT if visible[name].get(key)}
            for name in wanted
            if name in visible
        }
        before = self._objects.get(source.object_name)
        if before is not None:
            # A field of another type holds other values under its old name, and no stamp moves for that either.
            new = {name for name in fields if before["fields"].get(name, {}).get("type") != fields[name].get("type")}
            if new:
                self._appeared[source.stream] = sorted(new | set(self._appeared.get(source.stream, ())))
        self._objects[source.object_name] = {
            "described_at": now.isoformat(),
            "considered": sorted(wanted),
            "fields": fields,
            "traits": [name for name in _TRAITS if description.get(name)],
        }
        self._objects[source.object_name]["missing"] = self._chosen(source)[1]

    def note_absent(self, source: ObjectMap, now: datetime) -> None:
        """
        The object is not there for us. It is asked for again when its description would be.
        """
        self._objects[source.object_name] = {
            "described_at": now.isoformat(),
            "considered": sorted(self._wanted(source)),
            "fields": {},
            "traits": [],
            "missing": {},
        }

    def is_absent(self, source: ObjectMap) -> bool:
        """
        Whether the object was not there when it was last asked for.
        """
        entry = self._objects.get(source.object_name)
        return entry is not None and not entry["fields"]

    def selection(self, source: ObjectMap) -> Selection:
        """
        What to ask for. The object must have been described.
        """
        return self._chosen(source)[0]

    def census_selection(self, source: ObjectMap, fields: Sequence[str] = ()) -> Selection:
        """
        Ids, stamps and deletions, the given fields as far as they are read at all, and those that Salesforce works out
        without moving a stamp. The object must have been described.
        """
        whole = self.selection(source)
        described = self._objects[source.object_name]["fields"]
        wanted = {*fields, *(name for name in whole.fields if described[name].get("calculated"))}
        names = tuple(pair for pair in whole.names if pair[0] in _CENSUS or pair[1] in wanted)
        if wanted.isdisjoint(source.inputs):
            source = replace(source, inputs=(), computed=(), project=None)
        asked = dict.fromkeys([*(name for _, name in names), *(name for name in source.inputs if name in described)])
        return replace(whole, source=source, names=names, fields=tuple(asked))

    def has(self, source: ObjectMap, trait: str) -> bool:
        """
        Whether an object is ``deletable``, ``undeletable`` or ``replicateable``; false where it was never described.
        """
        entry = self._objects.get(source.object_name)
        return entry is not None and trait in entry["traits"]

    def learned(self) -> dict[str, Any]:
        """
        JSON for the next run: ``objects``, and ``appeared``, stream -> the wanted fields that have become visible, or
        have another type, since.
        """
        return {"objects": self._objects, "appeared": self._appeared}

    def _chosen(self, source: ObjectMap) -> tuple[Selection, dict[str, str]]:
        described = self._objects[source.object_name]["fields"]
        name = source.object_name
        return chosen(source, described, self._ours.get(name, ()), self._extra.get(name, ()), self._zone)

    def _wanted(self, source: ObjectMap) -> list[str]:
        names = [name for candidates in source.columns.values() for name in candidates]
        names += [*source.inputs, *STAMPS, *OPTIONAL & set(source.inputs)]
        names += [*self._ours.get(source.object_name, ()), *self._extra.get(source.object_name, ())]
        return list(dict.fromkeys(names))


def fields_of(description: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """
    The fields of an object's description by name. Raises Passing HW-203 where it is none.
    """
    fields = description.get("fields")
    if not isinstance(fields, list) or not all(_is_field(entry) for entry in fields):
        raise Passing(DOOR.garbled, "Salesforce described an object with something that is no description")
    return {entry["name"]: entry for entry in fields}


def _is_field(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str)
