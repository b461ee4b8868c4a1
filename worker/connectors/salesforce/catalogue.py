"""
What we know of the organisation's objects: their descriptions, when they were read, and what they lack.

It keeps descriptions between runs (as ``learned`` JSON) and decides which are due. It makes no call: streams ask
Salesforce and hand the answers in.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from worker.connectors.http import Passing
from worker.connectors.salesforce.hosts import DOOR
from worker.connectors.salesforce.mapping import OPTIONAL, STAMPS, ObjectMap, Selection, chosen
from worker.connectors.salesforce.soql import checked_name

# What is kept of a field's description, where it is neither false nor zero.
_KEPT: Final = ("type", "length", "precision", "scale", "updateable", "filterable", "calculated", "restrictedPicklist")

Fields = Mapping[str, Sequence[str]]


class Catalogue:
    """
    The descriptions of the objects of some streams.

    ``write_fields`` and ``extra_fields`` are object -> field names. Raises Fatal for a name that cannot be one.
    """

    def __init__(self, write_fields: Fields, extra_fields: Fields, describe_every: timedelta) -> None:
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
            if not isinstance(entry, dict) or not {"described_at", "fields", "considered"} <= entry.keys():
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

    def described_at(self, source: ObjectMap) -> str:
        """
        When the object was described, in text that sorts by time; empty where it never was.
        """
        entry = self._objects.get(source.object_name)
        return "" if entry is None else str(entry["described_at"])

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
            new = set(fields) - set(before["fields"])
            if new:
                self._appeared[source.object_name] = sorted(new | set(self._appeared.get(source.object_name, ())))
        self._objects[source.object_name] = {
            "described_at": now.isoformat(),
            "considered": sorted(wanted),
            "fields": fields,
        }
        self._objects[source.object_name]["missing"] = self._chosen(source)[1]

    def selection(self, source: ObjectMap) -> Selection:
        """
        What to ask for. The object must have been described.
        """
        return self._chosen(source)[0]

    def census_selection(self, source: ObjectMap) -> Selection:
        """
        Ids, stamps and deletions alone. The object must have been described.
        """
        columns = {name: source.columns[name] for name in ("record_id", "is_deleted")}
        slim = ObjectMap(source.stream, source.object_name, source.shape, columns, has_bulk=source.has_bulk)
        return chosen(slim, self._objects[source.object_name]["fields"], (), ())[0]

    def learned(self) -> dict[str, Any]:
        """
        JSON for the next run: ``objects``, and ``appeared``, the wanted fields that have become visible meanwhile.
        """
        return {"objects": self._objects, "appeared": self._appeared}

    def _chosen(self, source: ObjectMap) -> tuple[Selection, dict[str, str]]:
        described = self._objects[source.object_name]["fields"]
        name = source.object_name
        return chosen(source, described, self._ours.get(name, ()), self._extra.get(name, ()))

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
