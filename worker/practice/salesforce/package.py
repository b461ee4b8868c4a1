"""
Custom objects and fields from a Salesforce source folder (``force-app``), as an administrator's deployment would bring.

Reads ``objects/<Object>/<Object>.object-meta.xml`` and ``objects/<Object>/fields/*.field-meta.xml`` wherever they stand
below the folder. Everything else in a package (permission sets, reports, components) has no meaning to a practice org.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from worker.practice.salesforce.schema import Field, Schema, SObject
from worker.practice.salesforce.standard import custom_object_fields

NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"

# Metadata API type -> describe type.
TYPES = {
    "Text": "string", "Checkbox": "boolean", "Date": "date", "DateTime": "datetime", "Time": "time",
    "Number": "double", "Currency": "currency", "Percent": "percent", "Picklist": "picklist",
    "MultiselectPicklist": "multipicklist", "Email": "email", "Phone": "phone", "Url": "url", "TextArea": "textarea",
    "LongTextArea": "textarea", "Html": "textarea", "Lookup": "reference", "MasterDetail": "reference",
    "AutoNumber": "string",
}  # fmt: skip
EXTRAS = {"TextArea": "plaintextarea", "LongTextArea": "plaintextarea", "Html": "richtextarea"}
LENGTHS = {"Email": 80, "Phone": 40, "Url": 255, "TextArea": 255, "Picklist": 255, "MultiselectPicklist": 4099,
           "AutoNumber": 30, "Lookup": 18, "MasterDetail": 18}  # fmt: skip


def install_package(schema: Schema, folder: Path) -> list[str]:
    """
    Add the folder's objects and fields to the schema and return their full names.

    Raises ``ValueError`` naming the file for one that cannot be read, and if there is nothing to read at all.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder to read custom fields from")
    added = []
    for path in sorted(folder.glob("**/objects/*/*.object-meta.xml")):
        name = path.parent.name
        if name.endswith("__c") and schema.get(name) is None:
            schema.add(_read_object(schema, path))
            added.append(name)
    for path in sorted(folder.glob("**/objects/*/fields/*.field-meta.xml")):
        name = path.parent.parent.name
        sobject = schema.get("Task" if name == "Activity" else name)
        if sobject is None:
            raise ValueError(f"{path}: the org has no object {name}, and the folder does not define it")
        made = _read_field(path)
        for target in _objects_of(schema, name, sobject):
            target.add([made])
        added.append(f"{name}.{made.name}")
    if not added:
        raise ValueError(f"{folder}: no *.object-meta.xml and no *.field-meta.xml below it")
    return added


def custom_object(schema: Schema, name: str, label: str, plural: str, name_field: Field) -> SObject:
    """
    A custom object with the system fields every one has, and an owner unless a master-detail field is added later.
    """
    made = SObject(name, label, plural, schema.next_prefix(), custom=True)
    made.add([*custom_object_fields(name), name_field])
    made.add([Field("OwnerId", "reference", "Owner ID", length=18, nillable=False, defaulted=True,
                    reference_to=("Group", "User"), relationship="Owner")])  # fmt: skip
    return made


def custom_field(name: str, kind: str, label: str, options: dict[str, object]) -> Field:
    """
    A custom field from Metadata API words: ``kind`` as ``Text``, ``Lookup`` ...; options ``length``, ``precision``,
    ``scale``, ``required``, ``unique``, ``externalId``, ``caseSensitive``, ``referenceTo``, ``relationshipName``,
    ``defaultValue``, ``values``, ``restricted``. Raises ``ValueError`` for a kind an org does not have.
    """
    if kind not in TYPES:
        raise ValueError(f"{name}: {kind!r} is no field type; one of {', '.join(sorted(TYPES))}")
    if not name.endswith("__c"):
        raise ValueError(f"{name}: the name of a custom field ends in __c")
    master = kind == "MasterDetail"
    reference = str(options.get("referenceTo") or "")
    if kind in {"Lookup", "MasterDetail"} and not reference:
        raise ValueError(f"{name}: a {kind} field needs referenceTo")
    length = int(str(options.get("length") or LENGTHS.get(kind, 0)))
    boolean = kind == "Checkbox"
    children = options.get("relationshipName")
    values = options.get("values") or ()
    return Field(
        name,
        TYPES[kind],
        label,
        length=length,
        precision=int(str(options.get("precision") or 0)) or (18 if TYPES[kind] in {"double", "currency"} else 0),
        scale=int(str(options.get("scale") or 0)),
        nillable=not (master or boolean or bool(options.get("required"))),
        defaulted=boolean
        or kind == "AutoNumber"
        or bool(options.get("defaultValueFormula"))
        or _default(kind, options.get("defaultValue")) is not None,
        createable=kind != "AutoNumber",
        updateable=not master and kind != "AutoNumber",
        filterable=kind not in {"LongTextArea", "Html"},
        custom=True,
        external_id=bool(options.get("externalId")),
        id_lookup=bool(options.get("externalId")),
        unique=bool(options.get("unique")),
        case_sensitive=bool(options.get("caseSensitive")),
        restricted=bool(options.get("restricted")),
        default=_default(kind, options.get("defaultValue")),
        single_byte=kind == "MultiselectPicklist",
        values=tuple(str(value) for value in values) if isinstance(values, (list, tuple)) else (),
        labels=tuple(str(value) for value in values) if isinstance(values, (list, tuple)) else (),
        reference_to=(reference,) if reference else (),
        relationship=name.removesuffix("__c") + "__r" if reference else None,
        children=f"{children}__r" if children else None,
        cascade=master,
        extra=EXTRAS.get(kind),
        auto_number=str(options.get("displayFormat") or "{0}") if kind == "AutoNumber" else None,
        guarded=bool(options.get("guarded")),
        help=str(options["inlineHelpText"]) if options.get("inlineHelpText") else None,
        default_formula=str(options["defaultValueFormula"]) if options.get("defaultValueFormula") else None,
    )


def _default(kind: str, given: object) -> object:
    """
    What a field holds when nobody says. Formulas, which other kinds may have for a default, are not computed.
    """
    if kind == "Checkbox":
        return str(given or "").lower() == "true"
    return str(given) if kind == "Picklist" and given else None


def _objects_of(schema: Schema, name: str, sobject: SObject) -> Iterator[SObject]:
    yield sobject
    if name == "Activity":
        yield schema["Event"]


def _read_object(schema: Schema, path: Path) -> SObject:
    root = _parse(path)
    name = path.parent.name
    label = _text(root, "label") or name
    naming = root.find(f"{NAMESPACE}nameField")
    name_label = (_text(naming, "label") if naming is not None else None) or "Name"
    automatic = naming is not None and _text(naming, "type") == "AutoNumber"
    name_field = Field(
        "Name",
        "string",
        name_label,
        length=30 if automatic else 80,
        nillable=True,
        name_field=True,
        id_lookup=True,
        createable=not automatic,
        updateable=not automatic,
        auto_number=((_text(naming, "displayFormat") if naming is not None else None) or "{0}") if automatic else None,
    )
    made = custom_object(schema, name, label, _text(root, "pluralLabel") or label, name_field)
    if _text(root, "sharingModel") == "ControlledByParent" or _has_master(path.parent):
        del made.fields["ownerid"]
    return made


def _has_master(folder: Path) -> bool:
    return any(_text(_parse(path), "type") == "MasterDetail" for path in folder.glob("fields/*.field-meta.xml"))


def _read_field(path: Path) -> Field:
    root = _parse(path)
    name, kind = _text(root, "fullName"), _text(root, "type")
    if not name or not kind:
        raise ValueError(f"{path}: a field needs <fullName> and <type>")
    if _text(root, "formula"):
        raise ValueError(f"{path}: formula fields are not computed by a practice org")
    options: dict[str, object] = {
        key: _text(root, key)
        for key in ("length", "precision", "scale", "referenceTo", "relationshipName", "defaultValue", "displayFormat")
    }
    for key in ("required", "unique", "externalId", "caseSensitive"):
        options[key] = _text(root, key) == "true"
    value_set = root.find(f"{NAMESPACE}valueSet")
    if value_set is not None:
        options["restricted"] = _text(value_set, "restricted") == "true"
        options["values"] = [_text(value, "fullName") or "" for value in value_set.iterfind(f".//{NAMESPACE}value")]
    try:
        return custom_field(name, kind, _text(root, "label") or name, options)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _parse(path: Path) -> ET.Element:
    try:
        return ET.parse(path).getroot()  # noqa: S314 - the project's own package or the user's own files
    except ET.ParseError as error:
        raise ValueError(f"{path}: not readable as XML: {error}") from error


def _text(element: ET.Element, name: str) -> str | None:
    found = element.find(f"{NAMESPACE}{name}")
    return found.text.strip() if found is not None and found.text else None
