"""
The schema's changes: custom objects and fields added, renamed, retyped and removed, and all of it kept with the
records.

Standard objects and a source folder give the schema an org starts with. What is changed later is written into the
database beside the records, so that a restart and a snapshot find it. Called by the Tooling and Metadata APIs and by
control calls, which check what they are given.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.database import column_definition
from worker.practice.salesforce.errors import RowError
from worker.practice.salesforce.features import Features, install
from worker.practice.salesforce.schema import Field, Schema, SObject
from worker.practice.salesforce.tooling import show_definitions
from worker.practice.salesforce.values import store

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

FACT = "schema"
_TUPLES = ("values", "labels", "reference_to")
_OBJECT_KEYS = tuple(each.name for each in fields(SObject) if each.name not in {"fields", "scopes", "links", "typed"})


class Definitions:
    """
    The changes of one org's schema. Everything takes effect at once, for every user who may see it.
    """

    def __init__(self, org: "Org") -> None:
        self.org = org
        self.features = Features()
        self.removed: set[tuple[str, str]] = set()
        self.picklists: dict[str, dict[str, dict[str, list[str]]]] = {}

    def load(self) -> None:
        """
        Bring the schema to where it was left, as the database tells.
        """
        self.features, self.removed, self.picklists = Features(), set(), {}
        row = self.org.database.writer.execute("SELECT value FROM _facts WHERE name = ?", (FACT,)).fetchone()
        if row is None:
            return
        kept = json.loads(row[0])
        self.features = Features(**kept["features"])
        schema = self.org.schema
        for each in kept["objects"]:
            schema.add(SObject(**each))
        for name, own in kept["fields"].items():
            schema[name].add(_field(each) for each in own)
        self.removed = {(name, field) for name, field in kept["removed"]}
        for name, gone in self.removed:
            schema[name].fields.pop(gone.lower(), None)
        self.picklists = kept["picklists"]
        for name, lists in self.picklists.items():
            schema[name].add(_with_lists(schema[name][field], kept_lists) for field, kept_lists in lists.items())
        schema.hidden = {name: set(hidden) for name, hidden in kept["hidden"].items()}
        install(schema, self.features)
        self.org.database.ensure_schema(schema)

    def keep(self) -> None:
        """
        Carry out what the schema has gained, and write all changes down.
        """
        schema, original = self.org.schema, self.org.first_schema()
        for each in (schema, original):
            install(each, self.features)
        self.org.change_schema()
        own = {each.name: [asdict(one) for one in _changed(each, original)] for each in schema}
        kept = {
            "features": asdict(self.features),
            "objects": [{key: getattr(each, key) for key in _OBJECT_KEYS} for each in schema if each.custom],
            "fields": {name: each for name, each in own.items() if each},
            "removed": sorted(self.removed),
            "picklists": self.picklists,
            "hidden": {name: sorted(hidden) for name, hidden in schema.hidden.items() if hidden},
        }
        with self.org.database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO _facts VALUES (?, ?)", (FACT, json.dumps(kept)))
        show_definitions(self.org)

    def undo(self) -> None:
        """
        Forget what has been changed since the database was last written, after a transaction was rolled back.
        """
        self.org.schema = self.org.first_schema()
        self.load()
        self.org.change_schema()

    def add_object(self, sobject: SObject) -> None:
        """
        Add a custom object.
        """
        self.org.schema.add(sobject)
        self.keep()

    def remove_object(self, sobject: SObject) -> None:
        """
        Remove a custom object with all its records.
        """
        with self.org.database.write() as connection:
            connection.execute(f'DROP TABLE IF EXISTS "{sobject.name}"')
            connection.execute('DELETE FROM "FieldPermissions" WHERE SobjectType = ?', (sobject.name,))
        self.org.schema.remove(sobject)
        self.keep()

    def add_fields(self, sobject: SObject, made: list[Field]) -> None:
        """
        Add custom fields. One that was there under the name before comes back empty.
        """
        sobject.add(made)
        self.removed -= {(sobject.name, each.name) for each in made}
        self.keep()

    def change_values(self, sobject: SObject, field: Field) -> None:
        """
        Take a picklist, a standard one or a custom one, with other values and labels.
        """
        sobject.add([field])
        lists = {"values": list(field.values), "labels": list(field.labels)}
        self.picklists.setdefault(sobject.name, {})[field.name] = lists
        self.keep()

    def remove_field(self, sobject: SObject, field: Field) -> None:
        """
        Remove a custom field and its values. No record's stamp moves.
        """
        del sobject.fields[field.name.lower()]
        self.removed.add((sobject.name, field.name))
        with self.org.database.write() as connection:
            if field.stored:
                connection.execute(f'DROP INDEX IF EXISTS "{sobject.name}_{field.name}"')
                connection.execute(f'ALTER TABLE "{sobject.name}" DROP COLUMN "{field.name}"')
            connection.execute('DELETE FROM "FieldPermissions" WHERE Field = ?', (f"{sobject.name}.{field.name}",))
        self.keep()

    def rename_field(self, sobject: SObject, field: Field, name: str) -> None:
        """
        Give a custom field another API name; its values and permissions go with it.
        """
        sobject.fields = {
            (name.lower() if key == field.name.lower() else key): (
                replace(each, name=name) if key == field.name.lower() else each
            )
            for key, each in sobject.fields.items()
        }
        self.removed.add((sobject.name, field.name))
        self.removed.discard((sobject.name, name))
        with self.org.database.write() as connection:
            connection.execute(f'DROP INDEX IF EXISTS "{sobject.name}_{field.name}"')
            connection.execute(f'ALTER TABLE "{sobject.name}" RENAME COLUMN "{field.name}" TO "{name}"')
            connection.execute(
                'UPDATE "FieldPermissions" SET Field = ? WHERE Field = ?',
                (f"{sobject.name}.{name}", f"{sobject.name}.{field.name}"),
            )
        self.keep()

    def retype_field(self, sobject: SObject, field: Field, made: Field) -> None:
        """
        Change a custom field's type. Values the new type cannot hold are lost, as Salesforce warns; no stamp moves.
        Nothing changes where an open transaction holds a row: raises ``RowError`` UNABLE_TO_LOCK_ROW.
        """
        with self.org.database.write() as connection:
            values = connection.execute(
                f'SELECT Id, "{field.name}" FROM "{sobject.name}" WHERE "{field.name}" IS NOT NULL'
            ).fetchall()
            connection.execute(f'DROP INDEX IF EXISTS "{sobject.name}_{field.name}"')
            connection.execute(f'ALTER TABLE "{sobject.name}" DROP COLUMN "{field.name}"')
            connection.execute(f'ALTER TABLE "{sobject.name}" ADD COLUMN {column_definition(made)}')
            connection.executemany(
                f'UPDATE "{sobject.name}" SET "{made.name}" = ? WHERE Id = ?',
                [(_converted(field, made, value), record_id) for record_id, value in values],
            )
        sobject.fields[field.name.lower()] = made
        self.keep()


def _changed(sobject: SObject, original: Schema) -> list[Field]:
    """
    The fields that are not as the org had them at first.
    """
    before = original.get(sobject.name)
    old = {} if before is None else before.fields
    return [each for key, each in sobject.fields.items() if each != old.get(key) and each.source is None]


def _field(kept: dict[str, Any]) -> Field:
    values: dict[str, Any] = {key: tuple(value) if key in _TUPLES else value for key, value in kept.items()}
    return Field(**values)


def _with_lists(field: Field, lists: dict[str, list[str]]) -> Field:
    return replace(field, values=tuple(lists["values"]), labels=tuple(lists["labels"]))


def _converted(old: Field, new: Field, value: Any) -> Any:
    shown: Callable[[Any], Any] = str
    if old.type == "boolean":
        shown = lambda stored: "true" if stored else "false"  # noqa: E731 - one of two, chosen by type
    elif new.type == "boolean":
        return 0
    try:
        return store(new, shown(value))
    except RowError:
        return int(bool(new.default)) if new.type == "boolean" else None
