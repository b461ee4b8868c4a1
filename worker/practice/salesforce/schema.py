"""
The schema of the practice org: objects, fields, relationships, key prefixes, and who may see which field.

Only the model and its lookups; ``standard.py`` has the objects every org has, ``package.py`` reads the custom ones from
a source folder, ``describe.py`` renders it, ``database.py`` makes tables of it. Names are looked up without regard to
case, as Salesforce does.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

TEXT_TYPES = frozenset(
    {"string", "textarea", "email", "phone", "url", "picklist", "multipicklist", "combobox", "encryptedstring"}
)
ID_TYPES = frozenset({"id", "reference"})
NUMBER_TYPES = frozenset({"double", "currency", "percent"})
COMPOUND_TYPES = frozenset({"address", "location"})
FLAGS = ("createable", "updateable", "deletable", "undeletable", "mergeable", "replicateable", "searchable")


@dataclass(frozen=True)
class Field:
    """
    One field. ``length`` is characters, ``precision`` all digits and ``scale`` those after the point.

    ``expression`` is SQL over ``{t}``, the row's table alias, for a value computed when read (roll-ups, copies of a
    related record's fields); it is not stored and never moves a stamp. ``children`` is what the relationship is called
    from the other side. ``compound`` names the compound field this is a part of.
    """

    name: str
    type: str
    label: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    defaulted: bool = False
    filterable: bool = True
    custom: bool = False
    external_id: bool = False
    unique: bool = False
    case_sensitive: bool = False
    id_lookup: bool = False
    restricted: bool = False
    default: object = None
    values: tuple[str, ...] = ()
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    children: str | None = None
    cascade: bool = False
    compound: str | None = None
    extra: str | None = None
    expression: str | None = None
    name_field: bool = False
    auto_number: str | None = None

    @property
    def sortable(self) -> bool:
        """
        Whether ORDER BY takes the field.
        """
        return self.filterable and self.type not in COMPOUND_TYPES and self.type != "multipicklist"

    @property
    def groupable(self) -> bool:
        """
        Whether GROUP BY takes the field.
        """
        return self.sortable and self.type not in NUMBER_TYPES and self.type not in {"datetime", "combobox"}

    @property
    def aggregatable(self) -> bool:
        """
        Whether MIN, MAX, COUNT and the like take the field.
        """
        return (self.sortable and self.type not in {"boolean", "combobox"}) or self.type == "combobox"

    @property
    def polymorphic(self) -> bool:
        """
        Whether the field may point at records of more than one object.
        """
        return len(self.reference_to) > 1

    @property
    def required(self) -> bool:
        """
        Whether a record cannot be created without a value for it.
        """
        return not self.nillable and not self.defaulted and self.createable

    @property
    def stored(self) -> bool:
        """
        Whether the table has a column for it.
        """
        return self.expression is None and self.type not in COMPOUND_TYPES


@dataclass
class SObject:
    """
    One object. ``fields`` is keyed by lower-case name, in order.
    """

    name: str
    label: str
    plural: str
    prefix: str
    custom: bool = False
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    undeletable: bool = True
    mergeable: bool = False
    replicateable: bool = True
    searchable: bool = True
    fields: dict[str, Field] = field(default_factory=dict)

    def get(self, name: str) -> Field | None:
        """
        The field of that name in any case, or None.
        """
        return self.fields.get(name.lower())

    def __getitem__(self, name: str) -> Field:
        return self.fields[name.lower()]

    def add(self, fields: Iterable[Field]) -> None:
        """
        Append fields, or replace those of the same name.
        """
        for each in fields:
            self.fields[each.name.lower()] = each

    @property
    def soft_deletes(self) -> bool:
        """
        Whether deleted records go to the recycle bin (the object has IsDeleted).
        """
        return "isdeleted" in self.fields

    @property
    def stored_fields(self) -> list[Field]:
        """
        The fields the table has columns for, in order.
        """
        return [each for each in self.fields.values() if each.stored]

    @property
    def name_field(self) -> Field | None:
        """
        The field that names a record, if the object has one.
        """
        return next((each for each in self.fields.values() if each.name_field), None)


@dataclass(frozen=True)
class Child:
    """
    A relationship seen from the parent: ``sobject``'s field ``field`` points here and is called ``name``.
    """

    sobject: str
    field: Field
    name: str | None


class Schema:
    """
    All objects of one org, and which fields the calling user may not see. ``rows_hidden`` says that there are records
    sharing keeps from the user, listed in the table ``_hidden``.
    """

    def __init__(self, objects: Iterable[SObject]) -> None:
        self._objects = {each.name.lower(): each for each in objects}
        self._hidden: dict[str, set[str]] = {}
        self.rows_hidden = False

    def __iter__(self) -> Iterator[SObject]:
        return iter(self._objects.values())

    def get(self, name: str) -> SObject | None:
        """
        The object of that name in any case, or None.
        """
        return self._objects.get(name.lower())

    def __getitem__(self, name: str) -> SObject:
        return self._objects[name.lower()]

    def add(self, sobject: SObject) -> None:
        """
        Add an object.
        """
        self._objects[sobject.name.lower()] = sobject

    def of_id(self, record_id: str) -> SObject | None:
        """
        The object whose key prefix the id carries, or None.
        """
        return next((each for each in self if each.prefix == record_id[:3]), None)

    def next_prefix(self) -> str:
        """
        The key prefix for the next custom object: a00, a01 ...
        """
        return f"a{sum(1 for each in self if each.custom):02d}"

    def children(self, sobject: SObject) -> list[Child]:
        """
        The relationships that point at ``sobject``.
        """
        return [
            Child(each.name, one, one.children)
            for each in self
            for one in each.fields.values()
            if sobject.name in one.reference_to
        ]

    def hide(self, sobject: SObject, names: Sequence[str], *, hidden: bool = True) -> None:
        """
        Take fields away from the calling user, or give them back. Raises ``KeyError`` for a field there is not.
        """
        wanted = {sobject[name].name.lower() for name in names}
        current = self._hidden.setdefault(sobject.name.lower(), set())
        if hidden:
            current |= wanted
        else:
            current -= wanted

    def visible(self, sobject: SObject, name: str) -> Field | None:
        """
        The field if there is one the calling user may see, else None.
        """
        if name.lower() in self._hidden.get(sobject.name.lower(), ()):
            return None
        return sobject.get(name)

    def visible_fields(self, sobject: SObject) -> list[Field]:
        """
        The fields the calling user may see, in order.
        """
        hidden = self._hidden.get(sobject.name.lower(), ())
        return [each for key, each in sobject.fields.items() if key not in hidden]


_LINE = re.compile(r"(?P<name>\w+)\s+(?P<type>\w+)(?:\((?P<size>[^)]*)\))?(?P<options>[^|]*)\|\s*(?P<label>.+)")


def parse_field(line: str, *, custom: bool = False) -> Field:
    """
    A field from one line of the tables in ``standard.py``:

    ``Name type(size) option option ... | Label``. The size is a length, ``precision,scale``, or the objects a reference
    points at. Options: ``req`` (no null, caller must give it), ``auto`` (no null, the org fills it), ``filled`` (may be
    null, the org fills it), ``notnull``, ``norel`` (no parent relationship), ``ro``, ``noupdate``, ``nocreate``,
    ``restricted``, ``lookup``, ``name``, ``cascade``, ``nofilter``, ``true`` (a boolean's default), ``default=X``,
    ``rel=X``, ``children=X``, ``part=X``, ``extra=X``. Raises ``ValueError`` for a line that does not parse.
    """
    match = _LINE.match(line.strip())
    if match is None:
        raise ValueError(f"not a field line: {line!r}")
    made = _sized(match["name"], match["type"], match["size"] or "", match["label"].strip())
    if custom:
        made = replace(made, custom=True)
    for option in match["options"].split():
        made = _with_option(made, option)
    return made


def _sized(name: str, kind: str, size: str, label: str) -> Field:
    plain = Field(name, kind, label)
    if kind == "reference":
        targets = tuple(part.strip() for part in size.split(",") if part.strip())
        relationship = name.removesuffix("Id") if name.endswith("Id") else None
        return replace(plain, length=18, reference_to=targets, relationship=relationship)
    if kind == "id":
        return replace(plain, length=18, nillable=False, createable=False, updateable=False, defaulted=True)
    if kind == "boolean":
        return replace(plain, nillable=False, defaulted=True, default=False)
    if kind in NUMBER_TYPES:
        precision, _, scale = size.partition(",")
        return replace(plain, precision=int(precision), scale=int(scale or 0))
    if kind in COMPOUND_TYPES:
        return replace(plain, createable=False, updateable=False)
    if kind in TEXT_TYPES:
        length = int(size)
        return replace(plain, length=length, filterable=not (kind == "textarea" and length > 255))
    if kind in {"date", "datetime", "int", "time"}:
        return plain
    raise ValueError(f"{name}: unknown field type {kind!r}")


def _with_option(made: Field, option: str) -> Field:
    key, _, value = option.partition("=")
    if key in _FLAG_OPTIONS and not value:
        return replace(made, **_FLAG_OPTIONS[key])
    if key == "default" and value:
        # An underscore in a default stands for a space, and two for one of itself.
        text = value.replace("__", "\0").replace("_", " ").replace("\0", "_")
        return replace(made, default=text, defaulted=True)
    if key in _VALUE_OPTIONS and value:
        changes: dict[str, Any] = {_VALUE_OPTIONS[key]: value}
        return replace(made, **changes)
    raise ValueError(f"{made.name}: unknown option {option!r}")


_FLAG_OPTIONS: dict[str, dict[str, Any]] = {
    "req": {"nillable": False},
    "auto": {"nillable": False, "defaulted": True},
    "filled": {"defaulted": True},
    "notnull": {"nillable": False},
    "norel": {"relationship": None},
    "ro": {"createable": False, "updateable": False},
    "noupdate": {"updateable": False},
    "nocreate": {"createable": False},
    "restricted": {"restricted": True},
    "lookup": {"id_lookup": True},
    "name": {"name_field": True},
    "cascade": {"cascade": True},
    "nofilter": {"filterable": False},
    "true": {"default": True},
}
_VALUE_OPTIONS = {"rel": "relationship", "children": "children", "part": "compound", "extra": "extra"}
