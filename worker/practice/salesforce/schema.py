"""
The schema of the practice org: objects, fields, relationships, key prefixes, and who may see which field.

Only the model and its lookups; ``standard.py`` has the objects every org has, ``package.py`` reads the custom ones from
a source folder, ``describe.py`` renders it, ``database.py`` makes tables of it. Names are looked up without regard to
case, as Salesforce does.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

TEXT_TYPES = frozenset(
    {"string", "textarea", "email", "phone", "url", "picklist", "multipicklist", "combobox", "encryptedstring"}
)
ID_TYPES = frozenset({"id", "reference"})
NUMBER_TYPES = frozenset({"double", "currency", "percent"})
COMPOUND_TYPES = frozenset({"address", "location"})
STANDARD_LINKS = ("compactLayouts", "approvalLayouts", "listviews", "quickActions", "layouts")


@dataclass(frozen=True)
class Field:
    """
    One field. ``length`` is characters, ``precision`` all digits and ``scale`` those after the point.

    ``expression`` is SQL over ``{t}``, the row's table alias, for a value computed when read (roll-ups, copies of a
    related record's fields); it is not stored and never moves a stamp. ``formula`` is what describe shows of it.
    ``children`` is what the relationship is called from the other side. ``compound`` names the compound field this is a
    part of.

    ``source`` names the field of a person's contact whose value the account's field is. ``guarded`` is a field nobody
    sees until a permission set grants it, as all are that the API has made.

    ``sort``, ``group``, ``permit``, ``prefilter`` and ``aggregate`` are given only where Salesforce's own answer is not
    what the rest of the field implies; ``digits`` is a whole number's, ``single_byte`` a text's that holds ASCII alone.
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
    labels: tuple[str, ...] = ()
    restrict: bool = False
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    children: str | None = None
    cascade: bool = False
    compound: str | None = None
    extra: str | None = None
    expression: str | None = None
    formula: str | None = None
    name_field: bool = False
    auto_number: str | None = None
    guarded: bool = False
    source: str | None = None
    help: str | None = None
    default_formula: str | None = None
    digits: int = 8
    single_byte: bool = False
    sort: bool | None = None
    group: bool | None = None
    permit: bool | None = None
    prefilter: bool | None = None
    aggregate: bool | None = None

    @property
    def sortable(self) -> bool:
        """
        Whether ORDER BY takes the field.
        """
        if self.sort is not None:
            return self.sort
        return self.filterable and self.type not in COMPOUND_TYPES and self.type != "multipicklist"

    @property
    def groupable(self) -> bool:
        """
        Whether GROUP BY takes the field.
        """
        if self.group is not None:
            return self.group
        return self.sortable and self.type not in NUMBER_TYPES and self.type not in {"datetime", "combobox"}

    @property
    def aggregatable(self) -> bool:
        """
        Whether MIN, MAX, COUNT and the like take the field.
        """
        if self.aggregate is not None:
            return self.aggregate
        return (self.sortable and self.type not in {"boolean", "combobox"}) or self.type == "combobox"

    @property
    def permissionable(self) -> bool:
        """
        Whether field-level security can take the field away: what may be left empty and is not the record's name.
        """
        if self.permit is not None:
            return self.permit
        written = self.createable or self.updateable or self.type == "address"
        return self.custom or (self.nillable and written and self.compound != "Name")

    @property
    def prefilterable(self) -> bool:
        """
        Whether a search can be narrowed by the field before it runs.
        """
        if self.prefilter is not None:
            return self.prefilter
        return self.type == "reference" and self.nillable and self.filterable

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
    One object. ``fields`` is keyed by lower-case name, in order. ``scopes`` are (name, label) pairs, and ``links`` the
    addresses describe lists beside those every object has. ``typed`` says that there are record types of it,
    ``tooling`` that only the Tooling API has it. ``shown_prefix`` is false where describe keeps the key
    prefix to itself, as it does for history objects.
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
    layoutable: bool = True
    triggerable: bool = True
    feed_enabled: bool = False
    deep_cloneable: bool = False
    record_types: bool = False
    tooling: bool = False
    typed: bool = False
    shown_prefix: bool = True
    scopes: tuple[tuple[str, str], ...] = ()
    links: tuple[str, ...] = STANDARD_LINKS
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
    A relationship seen from the parent: ``sobject``'s field ``field`` points here and is called ``name``. With
    ``person`` it points at the contact of the account seen.
    """

    sobject: str
    field: Field
    name: str | None
    person: bool = False


def _of_person(name: str | None) -> str | None:
    """
    What the relationship of a contact is called on a person account.
    """
    if name is None:
        return None
    return f"{name[:-1]}pr" if name.endswith("__r") else f"Person{name}"


class Schema:
    """
    All objects of one org. ``hidden`` are the fields that were taken from everybody but administrators, by lower-case
    names; ``rows_hidden`` says that there are records taken likewise, listed in the table ``_hidden``.

    This is the org as it is. What a user sees of it is a ``SeenSchema``.
    """

    def __init__(self, objects: Iterable[SObject]) -> None:
        self._objects = {each.name.lower(): each for each in objects}
        self.hidden: dict[str, set[str]] = {}
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
        taken = {each.prefix for each in self}
        return next(prefix for prefix in (f"a{number:02d}" for number in range(100)) if prefix not in taken)

    def children(self, sobject: SObject) -> list[Child]:
        """
        The relationships that point at ``sobject``.
        """
        return [
            Child(each.name, one, one.children)
            for each in self
            for one in each.fields.values()
            if sobject.name in one.reference_to and one.source is None
        ]

    def relationships(self, sobject: SObject) -> list[Child]:
        """
        What child queries may name: the children of the object, and on accounts those of the person behind each.
        """
        found = self.children(sobject)
        person = sobject.get("PersonContactId")
        if person is not None:
            for child in self.children(self["Contact"]):
                if child.sobject not in {"Contact", "ContactHistory"} and child.field is not person:
                    found.append(replace(child, name=_of_person(child.name), person=True))
        return found

    def remove(self, sobject: SObject) -> None:
        """
        Remove an object and the fields that point at it alone.
        """
        del self._objects[sobject.name.lower()]
        for each in self:
            for key in [key for key, one in each.fields.items() if one.reference_to == (sobject.name,)]:
                del each.fields[key]

    def hide(self, sobject: SObject, names: Sequence[str], *, hidden: bool = True) -> None:
        """
        Take fields away from all but administrators, or give them back. Raises ``KeyError`` for a field there is not.
        """
        wanted = {sobject[name].name.lower() for name in names}
        current = self.hidden.setdefault(sobject.name.lower(), set())
        if hidden:
            current |= wanted
        else:
            current -= wanted

    def visible(self, sobject: SObject, name: str) -> Field | None:
        """
        The field if there is one the user may see, as the user may use it, else None.
        """
        return sobject.get(name)

    def visible_fields(self, sobject: SObject) -> list[Field]:
        """
        The fields the user may see, in order.
        """
        shown = (self.visible(sobject, name) for name in sobject.fields)
        return [each for each in shown if each is not None]

    def restriction(self, _sobject: SObject, _alias: str, /) -> str:
        """
        SQL over the table of that alias that is true for the records the user may see; empty where that is all.
        """
        return ""


@dataclass(frozen=True)
class Sight:
    """
    What one user may see: ``fields`` and ``edits`` are the guarded fields (``Lead.Fit__c``, lower case) the user may
    read and write, ``rows`` gives the condition of ``Schema.restriction``. ``everything`` is an administrator.
    """

    everything: bool
    fields: frozenset[str]
    edits: frozenset[str]
    rows: Callable[[SObject, str], str]


class SeenSchema(Schema):
    """
    A schema as one user sees it. Shares the objects with the schema it was made of, so it is cheap to make and dies
    with the request.
    """

    def __init__(self, whole: Schema, sight: Sight) -> None:
        self._objects = whole._objects  # noqa: SLF001 - a view of the same class
        self.hidden = whole.hidden
        self.rows_hidden = whole.rows_hidden
        self._sight = sight

    def visible(self, sobject: SObject, name: str) -> Field | None:
        """
        The field if field-level security lets the user see it, read-only where it lets no more.
        """
        found = sobject.get(name)
        if found is None or (found.name == "RecordTypeId" and not sobject.typed):
            return None
        if not self._sight.everything and found.name.lower() in self.hidden.get(sobject.name.lower(), ()):
            return None
        if found.guarded:
            key = f"{sobject.name}.{found.name}".lower()
            if key not in self._sight.fields:
                return None
            if key not in self._sight.edits:
                return replace(found, createable=False, updateable=False)
        return found

    def restriction(self, sobject: SObject, alias: str, /) -> str:
        """
        Sharing, and the records that were taken from the user.
        """
        parts = []
        if self.rows_hidden and not self._sight.everything:
            parts.append(f"NOT EXISTS (SELECT 1 FROM _hidden h WHERE h.id = {alias}.Id)")
        shared = self._sight.rows(sobject, alias)
        if shared:
            parts.append(f"({shared})")
        return " AND ".join(parts)


_LINE = re.compile(r"(?P<name>\w+)\s+(?P<type>\w+)(?:\((?P<size>[^)]*)\))?(?P<options>[^|]*)\|\s*(?P<label>.+)")


# A schema is made anew for every reset and every change of it, always of the same lines.
@cache
def parse_field(line: str, *, custom: bool = False) -> Field:
    """
    A field from one line of the tables in ``standard.py``:

    ``Name type(size) option option ... | Label``. The size is a length, ``precision,scale``, or the objects a reference
    points at. Options: ``req`` (no null, caller must give it), ``auto`` (no null, the org fills it), ``filled`` (may be
    null, the org fills it), ``notnull``, ``norel`` (no parent relationship), ``ro``, ``noupdate``, ``nocreate``,
    ``restricted``, ``lookup``, ``name``, ``cascade``, ``restrict``, ``nofilter``, ``true`` (a boolean's default),
    ``default=X``, ``rel=X``, ``children=X``, ``part=X``, ``extra=X``. What describe says against expectation: ``sort``,
    ``group``, ``nogroup``, ``agg``, ``noagg``, ``perm``, ``noperm``, ``noprefilter``, ``ascii``, ``digits=N``.
    ``number={00}`` counts up by itself in that form. Raises ``ValueError`` for a line that does not parse.
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
    if key == "digits" and value.isdigit():
        return replace(made, digits=int(value))
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
    "restrict": {"restrict": True},
    "nofilter": {"filterable": False},
    "true": {"default": True},
    "sort": {"sort": True},
    "group": {"group": True},
    "nogroup": {"group": False},
    "agg": {"aggregate": True},
    "noagg": {"aggregate": False},
    "perm": {"permit": True},
    "noperm": {"permit": False},
    "noprefilter": {"prefilter": False},
    "ascii": {"single_byte": True},
}
_VALUE_OPTIONS = {"rel": "relationship", "children": "children", "part": "compound", "extra": "extra",
                  "number": "auto_number"}  # fmt: skip
