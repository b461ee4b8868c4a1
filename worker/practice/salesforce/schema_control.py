"""
The control calls that change what an org is: its objects, fields and features, who sees which field, its id.

Bodies are in ``docs/practice.md``; ``control.py`` puts the calls on the web. Mistakes raise ``ValueError`` or
``KeyError``.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from worker.practice.salesforce.formula import formula_expression, rollup_expression
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.package import custom_field, custom_object
from worker.practice.salesforce.schema import Field, Schema, SObject

Body = dict[str, Any]
Action = Callable[[Body], Body]

# Describe types and the Metadata API's names for them, so that a control call may use either.
METADATA_NAMES = {
    "string": "Text", "boolean": "Checkbox", "date": "Date", "datetime": "DateTime", "double": "Number",
    "currency": "Currency", "percent": "Percent", "picklist": "Picklist", "multipicklist": "MultiselectPicklist",
    "email": "Email", "phone": "Phone", "url": "Url", "textarea": "LongTextArea", "reference": "Lookup",
}  # fmt: skip
SHORT_TEXT = 255  # characters; a text area no longer than this is a TextArea, and can be filtered
CORPORATE = "USD"


class SchemaActions:
    """
    The calls of one org. ``table`` is all of them by name and method.
    """

    def __init__(self, org: Org) -> None:
        self.org = org
        self.table: list[tuple[str, str, Action]] = [
            ("objects", "POST", self.add_object),
            ("objects", "DELETE", self.remove_object),
            ("fields", "POST", self.add_fields),
            ("fields", "DELETE", self.remove_fields),
            ("rename_field", "POST", self.rename_field),
            ("retype_field", "POST", self.retype_field),
            ("hide_fields", "POST", self.hide_fields),
            ("show_fields", "POST", self.show_fields),
            ("object_rights", "POST", self.set_object_rights),
            ("features", "GET", self.read_features),
            ("features", "POST", self.set_features),
            ("organization", "POST", self.set_organization),
        ]

    def add_object(self, body: Body) -> Body:
        name = str(body["name"])
        if not name.endswith("__c") or self.org.schema.get(name) is not None:
            raise ValueError(f"{name!r} must end in __c and be new")
        label = str(body.get("label") or name.removesuffix("__c"))
        name_field = Field("Name", "string", "Name", length=80, name_field=True, id_lookup=True)
        made = custom_object(self.org.schema, name, label, str(body.get("plural") or f"{label}s"), name_field)
        made.add(_new_fields(self.org.schema, made, body))
        self.org.definitions.add_object(made)
        return {"name": name, "keyPrefix": made.prefix}

    def remove_object(self, body: Body) -> Body:
        sobject = self.sobject(body)
        if not sobject.custom:
            raise ValueError(f"{sobject.name} is a standard object")
        self.org.definitions.remove_object(sobject)
        return {"removed": sobject.name}

    def add_fields(self, body: Body) -> Body:
        sobject = self.sobject(body)
        made = _new_fields(self.org.schema, sobject, body)
        self.org.definitions.add_fields(sobject, made)
        return {"added": [each.name for each in made]}

    def remove_fields(self, body: Body) -> Body:
        sobject = self.sobject(body)
        fields = [_custom(sobject, name) for name in body["fields"]]
        for each in fields:
            self.org.definitions.remove_field(sobject, each)
        return {"removed": [each.name for each in fields]}

    def rename_field(self, body: Body) -> Body:
        sobject = self.sobject(body)
        field, name = _custom(sobject, body["field"]), str(body["name"])
        if not name.endswith("__c") or sobject.get(name) is not None:
            raise ValueError(f"{name!r} must end in __c and be new on {sobject.name}")
        self.org.definitions.rename_field(sobject, field, name)
        return {"renamed": field.name, "name": name}

    def retype_field(self, body: Body) -> Body:
        """
        ``{"object", "field", "type", "length", ...}``: the options of a new field, for one that is there.
        """
        sobject = self.sobject(body)
        field = _custom(sobject, body["field"])
        options = {key: value for key, value in body.items() if key not in {"object", "field"}}
        made = _made({"label": field.label, **options, "name": field.name})
        self.org.definitions.retype_field(sobject, field, made)
        return {"retyped": field.name, "type": made.type}

    def hide_fields(self, body: Body) -> Body:
        """
        Take fields from all users but administrators.
        """
        self.org.schema.hide(self.sobject(body), [str(name) for name in body["fields"]])
        self.org.definitions.keep()
        return {"hidden": body["fields"]}

    def show_fields(self, body: Body) -> Body:
        self.org.schema.hide(self.sobject(body), [str(name) for name in body["fields"]], hidden=False)
        self.org.definitions.keep()
        return {"shown": body["fields"]}

    def set_object_rights(self, body: Body) -> Body:
        """
        ``{"object", "createable", "updateable", "deletable"}``: what may be done with its records, by everybody.
        """
        sobject = self.sobject(body)
        rights = {name: bool(may) for name, may in body.items() if name != "object"}
        if rights.keys() - {"createable", "updateable", "deletable"}:
            raise ValueError(f"rights are createable, updateable, deletable; got {', '.join(sorted(rights))}")
        for name, may in rights.items():
            setattr(sobject, name, may)
        self.org.definitions.keep()
        return {"object": sobject.name, **rights}

    def read_features(self, _: Body) -> Body:
        return dict(vars(self.org.definitions.features))

    def set_features(self, body: Body) -> Body:
        """
        ``{"person_accounts": true}`` and ``{"currencies": {"EUR": 0.9, ...}, "corporate": "USD", "dated_rates":
        bool}``.
        """
        known = {"person_accounts", "currencies", "corporate", "dated_rates"}
        if body.keys() - known:
            raise ValueError(f"features are {', '.join(sorted(known))}; got {sorted(body.keys() - known)}")
        features = self.org.definitions.features
        if features.person_accounts and body.get("person_accounts") is False:
            raise ValueError("an org that has person accounts has them for good")
        if body.get("person_accounts"):
            self.org.have_person_accounts()
        if "currencies" in body:
            rates = {str(code): float(rate) for code, rate in dict(body["currencies"]).items()}
            self.org.have_currencies(str(body.get("corporate") or CORPORATE), rates)
        if "dated_rates" in body:
            features.dated_rates = bool(body["dated_rates"])
            self.org.definitions.keep()
        return self.read_features({})

    def set_organization(self, body: Body) -> Body:
        """
        Give the org another id, as a refreshed sandbox has: ``{"id": "00D..."}``.
        """
        made = to18(str(body["id"]))
        if made is None or not made.startswith("00D"):
            raise ValueError(f"{body['id']!r} is no id of an organisation")
        self.org.become(made)
        return {"id": made}

    def sobject(self, body: Body) -> SObject:
        found = self.org.schema.get(str(body["object"]))
        if found is None:
            raise ValueError(f"the org has no object {body['object']!r}")
        return found


def _new_fields(schema: Schema, sobject: SObject, body: Body) -> list[Field]:
    made = [_computed(schema, sobject, _made(dict(each)), each) for each in body.get("fields") or []]
    for each in made:
        if sobject.get(each.name) is not None:
            raise ValueError(f"{sobject.name} has a field {each.name} already")
    return made


def _computed(schema: Schema, sobject: SObject, field: Field, options: Body) -> Field:
    """
    The field as it is, or computed by its ``formula`` or its ``rollup`` (``{"function", "child", "field"}``).
    """
    formula, rollup = options.get("formula"), options.get("rollup")
    if formula is not None:
        expression = formula_expression(schema, sobject, field, str(formula))
    elif rollup is not None:
        given = dict(rollup)
        expression = rollup_expression(
            schema, sobject, str(given["function"]).upper(), str(given["child"]), given.get("field")
        )
    else:
        return field
    shown = str(formula) if formula is not None else None
    return replace(
        field, expression=expression, formula=shown, createable=False, updateable=False, nillable=True, defaulted=False
    )


def _made(options: Body) -> Field:
    name, kind = str(options.pop("name")), str(options.pop("type"))
    label = str(options.pop("label", name.removesuffix("__c").replace("_", " ")))
    wanted = METADATA_NAMES.get(kind, kind)
    if kind == "textarea" and 0 < int(options.get("length") or 0) <= SHORT_TEXT:
        wanted = "TextArea"
    return custom_field(name, wanted, label, options)


def _custom(sobject: SObject, name: Any) -> Field:
    found = sobject.get(str(name))
    if found is None or not found.custom:
        raise ValueError(f"{sobject.name} has no custom field {name!r}")
    return found
