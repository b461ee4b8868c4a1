"""
Custom objects, custom fields, permission sets and profiles in the Metadata API's words: read, made, changed, removed.

A component is its kind, its full name (``Lead.Fit__c``) and nested plain values, as the XML files, the SOAP calls and
the Tooling API's JSON all have them; booleans may be words. A field made here is seen by nobody until a permission set
grants it. Refusals are ``RowError``. ``metadata.py``, ``deploy.py`` and ``tooling.py`` call this.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.errors import RowError
from worker.practice.salesforce.package import TYPES, custom_field, custom_object
from worker.practice.salesforce.schema import Field, Schema, SObject

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

Values = Mapping[str, Any]
DEFAULT_LABEL_LENGTH = 40
ADMIN_PROFILE = "Admin"  # what the Metadata API calls the System Administrator
_PLAIN = ("length", "precision", "scale", "relationshipName", "defaultValue", "displayFormat", "inlineHelpText")
_FLAGS = ("required", "unique", "externalId", "caseSensitive")
_ACTIVITY = "Activity"
_OBJECT_POWERS = {
    "allowCreate": "PermissionsCreate", "allowRead": "PermissionsRead", "allowEdit": "PermissionsEdit",
    "allowDelete": "PermissionsDelete", "viewAllRecords": "PermissionsViewAllRecords",
    "modifyAllRecords": "PermissionsModifyAllRecords",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """
    How one kind of component is kept: ``read`` gives its values or None, ``save`` makes or changes it, ``remove``
    removes it, ``names`` lists all. ``folder`` and ``suffix`` are its files' in a package.
    """

    name: str
    folder: str
    suffix: str
    read: Callable[["Org", str], dict[str, Any] | None]
    save: Callable[["Org", str, Values], None]
    remove: Callable[["Org", str], None]
    names: Callable[["Org"], list[str]]
    children: tuple[str, ...] = ()


def is_true(value: Any) -> bool:
    """
    A boolean, or its word in XML.
    """
    return value is True or str(value).strip().lower() == "true"


def as_list(value: Any) -> list[Any]:
    """
    What may come once or several times.
    """
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


# -- custom fields


def split_name(full_name: str) -> tuple[str, str]:
    """
    Object and field of ``Lead.Fit__c``. Raises ``RowError`` for a name that is none.
    """
    sobject, _, name = full_name.partition(".")
    if not sobject or not name:
        raise RowError("INVALID_FULL_NAME", f"{full_name} is not the full name of a field: Object.Field__c is needed")
    return sobject, name


def find_objects(schema: Schema, name: str) -> list[SObject]:
    """
    The objects a field of ``name`` is put on: two for Activity. Raises ``RowError``.
    """
    if name in {"Task", "Event"}:
        words = f"Entity Enumeration Or ID: bad value for restricted picklist field: {name}"
        raise RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", words)
    found = [schema.get(each) for each in (("Task", "Event") if name == _ACTIVITY else (name,))]
    present = [each for each in found if each is not None]
    if not present:
        words = f"In field: fullName - no CustomObject named {name} found"
        raise RowError("INVALID_CROSS_REFERENCE_KEY", words)
    return present


def field_of(full_name: str, values: Values, *, guarded: bool = True) -> Field:
    """
    The field that the values say. Raises ``RowError`` for what an org would not make.
    """
    _, name = split_name(full_name)
    kind, label = str(values.get("type") or ""), str(values.get("label") or "")
    if kind not in TYPES:
        raise RowError(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f"'{kind}' is not a valid value for the enum 'FieldType'"
        )
    if not label or len(label) > DEFAULT_LABEL_LENGTH:
        raise RowError("REQUIRED_FIELD_MISSING", f"{name}: a label of 1 to {DEFAULT_LABEL_LENGTH} characters is needed")
    options: dict[str, object] = {key: values.get(key) for key in _PLAIN} | {"guarded": guarded}
    options |= {key: is_true(values.get(key)) for key in _FLAGS}
    options["referenceTo"] = next(iter(as_list(values.get("referenceTo"))), None)
    if kind == "Number" and not values.get("precision"):
        raise RowError("FIELD_INTEGRITY_EXCEPTION", "Must specify 'precision' for a CustomField of type Number")
    if kind in {"Text", "LongTextArea", "Html"} and not values.get("length"):
        raise RowError("FIELD_INTEGRITY_EXCEPTION", f"Must specify 'length' for a CustomField of type {kind}")
    value_set = values.get("valueSet") or {}
    definition = value_set.get("valueSetDefinition") or {}
    entries = as_list(definition.get("value"))
    if kind in {"Picklist", "MultiselectPicklist"}:
        if not entries:
            raise RowError("FIELD_INTEGRITY_EXCEPTION", f"Must specify a valueSet for a CustomField of type {kind}")
        options["restricted"] = is_true(value_set.get("restricted"))
        options["values"] = [str(each.get("fullName") or "") for each in entries]
        options["defaultValue"] = next((e.get("fullName") for e in entries if is_true(e.get("default"))), None)
    if kind not in {"Checkbox", "Picklist"} and options.get("defaultValue") is not None:
        options["defaultValueFormula"] = options["defaultValue"]
    try:
        return custom_field(name, kind, label, options)
    except ValueError as error:
        raise RowError("INVALID_FIELD", str(error)) from error


def metadata_type(field: Field) -> str:
    """
    A field's type as the Metadata API calls it.
    """
    if field.auto_number is not None:
        return "AutoNumber"
    if field.type == "reference":
        return "MasterDetail" if field.cascade else "Lookup"
    if field.type == "textarea":
        long = "Html" if field.extra == "richtextarea" else "LongTextArea"
        return "TextArea" if field.filterable else long
    return next(name for name, kind in TYPES.items() if kind == field.type)


def show_field(field: Field) -> dict[str, Any]:
    """
    A field's values, without its full name.
    """
    kind = metadata_type(field)
    shown: dict[str, Any] = {
        "externalId": field.external_id,
        "label": field.label,
        "required": not field.nillable and field.type != "boolean",
        "trackTrending": False,
        "type": kind,
        "unique": field.unique,
    }
    if field.length and kind in {"Text", "LongTextArea", "Html"}:
        shown["length"] = field.length
    if field.precision and kind in {"Number", "Currency", "Percent"}:
        shown |= {"precision": field.precision, "scale": field.scale}
    if field.reference_to:
        children = field.children.removesuffix("__r") if field.children else None
        shown |= {"referenceTo": field.reference_to[0], "relationshipName": children}
    if kind == "Checkbox":
        shown["defaultValue"] = str(bool(field.default)).lower()
    if field.auto_number is not None:
        shown["displayFormat"] = field.auto_number
    if field.help:
        shown["inlineHelpText"] = field.help
    if field.values:
        entries = [
            {"fullName": value, "default": value == field.default, "label": label}
            for value, label in zip(field.values, field.labels or field.values, strict=True)
        ]
        shown["valueSet"] = {
            "restricted": field.restricted,
            "valueSetDefinition": {"sorted": False, "value": entries},
        }
    return {name: value for name, value in sorted(shown.items()) if value is not None}


def _read_field(org: "Org", full_name: str) -> dict[str, Any] | None:
    sobject, name = split_name(full_name)
    target = org.schema.get("Task" if sobject == _ACTIVITY else sobject)
    found = target.get(name) if target is not None else None
    return show_field(found) if found is not None and found.custom else None


def _save_field(org: "Org", full_name: str, values: Values) -> None:
    sobject, name = split_name(full_name)
    for target in find_objects(org.schema, sobject):
        old = target.get(name)
        made = field_of(full_name, values)
        if made.reference_to and org.schema.get(made.reference_to[0]) is None:
            words = f"referenceTo value of '{made.reference_to[0]}' does not resolve to a valid sObject type"
            raise RowError("INVALID_CROSS_REFERENCE_KEY", words)
        if old is None:
            org.definitions.add_fields(target, [made])
        elif not old.custom:
            raise RowError("INVALID_FIELD", f"{full_name} is a standard field")
        elif (old.type, old.length, old.precision, old.scale) != (made.type, made.length, made.precision, made.scale):
            org.definitions.retype_field(target, old, replace(made, guarded=old.guarded))
        else:
            org.definitions.add_fields(target, [replace(made, guarded=old.guarded)])


def _remove_field(org: "Org", full_name: str) -> None:
    sobject, name = split_name(full_name)
    targets = [org.schema.get(each) for each in (("Task", "Event") if sobject == _ACTIVITY else (sobject,))]
    for target in targets:
        found = target.get(name) if target is not None else None
        if target is None or found is None or not found.custom:
            words = f"no CustomField named {full_name} found"
            raise RowError("INVALID_CROSS_REFERENCE_KEY", words)
        org.definitions.remove_field(target, found)


def _field_names(org: "Org") -> list[str]:
    return [
        f"{sobject.name}.{field.name}"
        for sobject in org.schema
        for field in sobject.fields.values()
        if field.custom and field.source is None
    ]


# -- custom objects


def _read_object(org: "Org", full_name: str) -> dict[str, Any] | None:
    found = org.schema.get(full_name)
    if found is None:
        return None
    own = [each for each in found.fields.values() if each.custom and each.source is None]
    shown: dict[str, Any] = {"fields": [{"fullName": each.name, **show_field(each)} for each in own]}
    if found.custom:
        naming = found.name_field
        automatic = naming is not None and naming.auto_number is not None
        name_field: dict[str, Any] = {"label": naming.label if naming else "Name"}
        name_field["type"] = "AutoNumber" if automatic else "Text"
        if naming is not None and automatic:
            name_field["displayFormat"] = naming.auto_number
        shown |= {
            "deploymentStatus": "Deployed",
            "label": found.label,
            "nameField": name_field,
            "pluralLabel": found.plural,
            "sharingModel": "ReadWrite" if found.get("OwnerId") else "ControlledByParent",
        }
    return dict(sorted(shown.items()))


def _save_object(org: "Org", full_name: str, values: Values) -> None:
    found = org.schema.get(full_name)
    if found is None:
        if not full_name.endswith("__c"):
            raise RowError("INVALID_FULL_NAME", f"{full_name}: the name of a custom object ends in __c")
        label = str(values.get("label") or "")
        if not label or not values.get("nameField"):
            raise RowError("REQUIRED_FIELD_MISSING", f"{full_name}: label and nameField are needed")
        naming = values["nameField"]
        automatic = naming.get("type") == "AutoNumber"
        name_field = Field(
            "Name", "string", str(naming.get("label") or "Name"), length=30 if automatic else 80, name_field=True,
            id_lookup=True, createable=not automatic, updateable=not automatic,
            auto_number=str(naming.get("displayFormat") or "{0}") if automatic else None,
        )  # fmt: skip
        made = custom_object(org.schema, full_name, label, str(values.get("pluralLabel") or label), name_field)
        org.definitions.add_object(made)
    elif found.custom and values.get("label"):
        found.label, found.plural = str(values["label"]), str(values.get("pluralLabel") or found.plural)
    for each in as_list(values.get("fields")):
        _save_field(org, f"{full_name}.{each.get('fullName')}", each)
    org.definitions.keep()


def _remove_object(org: "Org", full_name: str) -> None:
    found = org.schema.get(full_name)
    if found is None or not found.custom:
        raise RowError("INVALID_CROSS_REFERENCE_KEY", f"no CustomObject named {full_name} found")
    org.definitions.remove_object(found)


def _object_names(org: "Org") -> list[str]:
    return [each.name for each in org.schema if each.custom or any(f.custom for f in each.fields.values())]


# -- permission sets and profiles


def _set_id(org: "Org", name: str, *, profile: bool) -> str | None:
    if profile:
        wanted = "System Administrator" if name == ADMIN_PROFILE else name
        row = org.database.reader.execute(
            'SELECT s.Id FROM "PermissionSet" s JOIN "Profile" p ON p.Id = s.ProfileId WHERE p.Name = ?', (wanted,)
        ).fetchone()
    else:
        row = org.database.reader.execute(
            'SELECT Id FROM "PermissionSet" WHERE Name = ? AND IsOwnedByProfile = 0', (name,)
        ).fetchone()
    return None if row is None else str(row[0])


def _read_permissions(org: "Org", name: str, *, profile: bool) -> dict[str, Any] | None:
    set_id = _set_id(org, name, profile=profile)
    if set_id is None:
        return None
    reader = org.database.reader
    label = reader.execute('SELECT Label, Description FROM "PermissionSet" WHERE Id = ?', (set_id,)).fetchone()
    fields = reader.execute(
        'SELECT Field, PermissionsRead, PermissionsEdit FROM "FieldPermissions" WHERE ParentId = ? ORDER BY Field',
        (set_id,),
    ).fetchall()
    columns = list(_OBJECT_POWERS.values())
    objects = reader.execute(
        f'SELECT SobjectType, {", ".join(columns)} FROM "ObjectPermissions" WHERE ParentId = ? ORDER BY SobjectType',
        (set_id,),
    ).fetchall()
    powers = _powers(org.schema["PermissionSet"])
    held = reader.execute(f'SELECT {", ".join(powers)} FROM "PermissionSet" WHERE Id = ?', (set_id,)).fetchone()
    shown: dict[str, Any] = {
        "fieldPermissions": [
            {"editable": bool(edit), "field": field, "readable": bool(read or edit)} for field, read, edit in fields
        ],
        "objectPermissions": [
            {"object": row[0]} | {word: bool(value) for word, value in zip(_OBJECT_POWERS, row[1:], strict=True)}
            for row in objects
        ],
        "userPermissions": [
            {"enabled": True, "name": power.removeprefix("Permissions")}
            for power, value in zip(powers, held, strict=True)
            if value
        ],
    }
    return shown if profile else {"label": label[0], "description": label[1], **shown}


def _save_permissions(org: "Org", name: str, values: Values, *, profile: bool) -> None:
    set_id = _set_id(org, name, profile=profile)
    if set_id is None and profile:
        raise RowError("INVALID_CROSS_REFERENCE_KEY", f"no Profile named {name} found")
    sets = org.schema["PermissionSet"]
    powers = {
        f"Permissions{each['name']}": is_true(each.get("enabled")) for each in as_list(values.get("userPermissions"))
    }
    # A permission no practice org knows changes nothing in it.
    known = {power: value for power, value in powers.items() if sets.get(power) is not None}
    told = {key: values[word] for word, key in (("label", "Label"), ("description", "Description")) if values.get(word)}
    if set_id is None:
        if not values.get("label"):
            raise RowError("REQUIRED_FIELD_MISSING", f"{name}: label is needed")
        set_id = org.loading.create(sets, [{"Name": name, "IsCustom": True, **told, **known}])[0]
    elif known or told:
        org.loading.update(sets, [{"Id": set_id, **({} if profile else told), **known}])
    for each in as_list(values.get("fieldPermissions")):
        _grant_field(org, set_id, each)
    for each in as_list(values.get("objectPermissions")):
        _grant_object(org, set_id, each)


def _grant_field(org: "Org", set_id: str, values: Values) -> None:
    full_name = str(values.get("field") or "")
    sobject, name = split_name(full_name)
    for each in ("Task", "Event") if sobject == _ACTIVITY else (sobject,):
        target = org.schema.get(each)
        found = target.get(name) if target is not None else None
        if target is None or found is None:
            raise RowError("INVALID_CROSS_REFERENCE_KEY", f"In field: field - no CustomField named {full_name} found")
        stored = f"{target.name}.{found.name}"
        read, edit = is_true(values.get("readable")), is_true(values.get("editable"))
        with org.database.write() as connection:
            connection.execute('DELETE FROM "FieldPermissions" WHERE ParentId = ? AND Field = ?', (set_id, stored))
        if read or edit:
            names = {"ParentId": set_id, "SobjectType": target.name, "Field": stored}
            row = {**names, "PermissionsRead": True, "PermissionsEdit": edit}
            org.loading.create(org.schema["FieldPermissions"], [row])


def _grant_object(org: "Org", set_id: str, values: Values) -> None:
    target = org.schema.get(str(values.get("object") or ""))
    if target is None:
        raise RowError("INVALID_CROSS_REFERENCE_KEY", f"no CustomObject named {values.get('object')} found")
    with org.database.write() as connection:
        connection.execute(
            'DELETE FROM "ObjectPermissions" WHERE ParentId = ? AND SobjectType = ?', (set_id, target.name)
        )
    granted = {column: is_true(values.get(word)) for word, column in _OBJECT_POWERS.items()}
    if any(granted.values()):
        row = {"ParentId": set_id, "SobjectType": target.name, **granted}
        org.loading.create(org.schema["ObjectPermissions"], [row])


def _remove_permissions(org: "Org", name: str, *, profile: bool) -> None:
    set_id = _set_id(org, name, profile=profile)
    if set_id is None or profile:
        raise RowError("INVALID_CROSS_REFERENCE_KEY", f"no PermissionSet named {name} found")
    with org.database.write() as connection:
        for table in ("FieldPermissions", "ObjectPermissions"):
            connection.execute(f'DELETE FROM "{table}" WHERE ParentId = ?', (set_id,))
        connection.execute('DELETE FROM "PermissionSetAssignment" WHERE PermissionSetId = ?', (set_id,))
        connection.execute('DELETE FROM "PermissionSet" WHERE Id = ?', (set_id,))


def _powers(sets: SObject) -> list[str]:
    return [each.name for each in sets.fields.values() if each.name.startswith("Permissions")]


def _set_names(org: "Org") -> list[str]:
    rows = org.database.reader.execute('SELECT Name FROM "PermissionSet" WHERE IsOwnedByProfile = 0 ORDER BY Name')
    return [row[0] for row in rows]


def _profile_names(org: "Org") -> list[str]:
    rows: Iterable[tuple[str]] = org.database.reader.execute('SELECT Name FROM "Profile" ORDER BY Name')
    return [ADMIN_PROFILE if row[0] == "System Administrator" else row[0] for row in rows]


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("CustomObject", "objects", "object", _read_object, _save_object, _remove_object, _object_names,
             children=("CustomField",)),
        Kind("CustomField", "", "", _read_field, _save_field, _remove_field, _field_names),
        Kind("PermissionSet", "permissionsets", "permissionset",
             lambda org, name: _read_permissions(org, name, profile=False),
             lambda org, name, values: _save_permissions(org, name, values, profile=False),
             lambda org, name: _remove_permissions(org, name, profile=False), _set_names),
        Kind("Profile", "profiles", "profile",
             lambda org, name: _read_permissions(org, name, profile=True),
             lambda org, name, values: _save_permissions(org, name, values, profile=True),
             lambda org, name: _remove_permissions(org, name, profile=True), _profile_names),
    )
}  # fmt: skip


def find_kind(name: str) -> Kind:
    """
    The kind of that name. Raises ``RowError`` for one that a practice org does not keep.
    """
    if name not in KINDS:
        words = f"This org keeps {', '.join(KINDS)} and no {name}"
        raise RowError("INVALID_TYPE", words)
    return KINDS[name]


def rename(org: "Org", kind: str, old: str, new: str) -> None:
    """
    Give a custom field another full name on the same object. Raises ``RowError``.
    """
    if kind != "CustomField":
        raise RowError("INVALID_TYPE", f"{kind} cannot be renamed in this org")
    (sobject, name), (same, wanted) = split_name(old), split_name(new)
    target = org.schema.get(sobject)
    found = target.get(name) if target is not None else None
    if target is None or found is None or not found.custom:
        raise RowError("INVALID_CROSS_REFERENCE_KEY", f"no CustomField named {old} found")
    if same != sobject or not wanted.endswith("__c") or target.get(wanted) is not None:
        raise RowError("DUPLICATE_DEVELOPER_NAME", f"{new} is not a free name on {sobject}")
    org.definitions.rename_field(target, found, wanted)
