"""
The schema as the describe resources show it, with every key a real org sends, used or not.
"""

from typing import Any

from worker.practice.salesforce.schema import ID_TYPES, Child, Field, Schema, SObject

SOAP_TYPES = {
    "id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "int": "xsd:int", "double": "xsd:double",
    "currency": "xsd:double", "percent": "xsd:double", "date": "xsd:date", "datetime": "xsd:dateTime",
    "time": "xsd:time", "address": "urn:address", "location": "urn:location",
}  # fmt: skip
BYTES_PER_CHARACTER = 3
NEWER_KEYS_SINCE = 50  # version 48 was recorded without them, 52 with them
_NO_CHILD = frozenset({"MasterRecordId", "PersonContactId"})
RecordType = dict[str, Any]


def describe_global(schema: Schema, root: str) -> dict[str, Any]:
    """
    The body of ``sobjects``.
    """
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [_summary(each, root) for each in sorted(schema, key=lambda each: each.name) if not each.tooling],
    }


def describe_object(
    schema: Schema, sobject: SObject, root: str, host: str, record_types: list[RecordType]
) -> dict[str, Any]:
    """
    The body of ``sobjects/X/describe``. ``record_types`` are stored RecordType rows of the object, ``host`` is the
    address the pages of the user interface would have. Fields the user may not see are absent.
    """
    summary = _summary(sobject, root)
    base = f"{root}/sobjects/{sobject.name}"
    types = _record_types(sobject, record_types)
    return {
        "actionOverrides": [],
        **{key: value for key, value in summary.items() if key not in {"urls", "labelPlural", "name", "label"}},
        "childRelationships": [
            _child(each) for each in schema.relationships(sobject) if each.field.name not in _NO_CHILD
        ],
        "compactLayoutable": True,
        "defaultImplementation": None,
        "extendedBy": None,
        "extendsInterfaces": None,
        "fields": [describe_field(schema, each) for each in schema.visible_fields(sobject)],
        "implementedBy": None,
        "implementsInterfaces": None,
        "label": sobject.label,
        "labelPlural": sobject.plural,
        "listviewable": None,
        "lookupLayoutable": None,
        "name": sobject.name,
        "namedLayoutInfos": [],
        "networkScopeFieldName": None,
        "recordTypeInfos": [_record_type(each, base) for each in types],
        "searchLayoutable": sobject.searchable,
        **({} if _is_old(root) else {"sobjectDescribeOption": "FULL"}),
        "supportedScopes": _scopes(sobject, old=_is_old(root)),
        "urls": {
            **summary["urls"],
            **({"defaultValues": f"{base}/defaultValues?recordTypeId&fields"} if _is_old(root) else {}),
            "uiDetailTemplate": f"{host}/{{ID}}",
            "uiEditTemplate": f"{host}/{{ID}}/e",
            "uiNewRecord": f"{host}/{sobject.prefix}/e",
        },
    }


def _is_old(root: str) -> bool:
    """
    Whether the version in ``/services/data/vXX.X`` is one that lacks the newer keys.
    """
    return int(root.rpartition("/v")[2].partition(".")[0]) < NEWER_KEYS_SINCE


def _scopes(sobject: SObject, *, old: bool) -> list[dict[str, str]]:
    found = {"everything": f"All {sobject.plural.lower()}", **dict(sobject.scopes)}
    return [{"label": found[name], "name": name} for name in sorted(found) if not (old and name == "scopingRule")]


def _record_types(sobject: SObject, stored: list[RecordType]) -> list[RecordType]:
    """
    The record types of an object, the nameless one last. The first active one is the user's default.
    """
    if not sobject.record_types:
        return []
    default = next((each["Id"] for each in stored if each["IsActive"]), _MASTER["Id"])
    return [{**each, "default": each["Id"] == default} for each in [*stored, _MASTER]]


def describe_field(schema: Schema, field: Field) -> dict[str, Any]:
    """
    One entry of ``fields``.
    """
    return {
        "aggregatable": field.aggregatable,
        "aiPredictionField": False,
        "autoNumber": field.auto_number is not None,
        "byteLength": field.length * (1 if field.type in ID_TYPES or field.single_byte else BYTES_PER_CHARACTER),
        "calculated": field.custom and field.expression is not None and field.source is None,
        "calculatedFormula": field.formula,
        "cascadeDelete": field.cascade and field.custom,
        "caseSensitive": field.case_sensitive,
        "compoundFieldName": field.compound,
        "controllerName": None,
        "createable": field.createable,
        "custom": field.custom,
        "defaultValue": field.default,
        "defaultValueFormula": field.default_formula,
        "defaultedOnCreate": field.defaulted,
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": field.digits if field.type == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": False,
        "externalId": field.external_id,
        "extraTypeInfo": field.extra,
        "filterable": field.filterable,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": field.groupable,
        "highScaleNumber": False,
        "htmlFormatted": field.extra == "richtextarea",
        "idLookup": field.id_lookup,
        "inlineHelpText": field.help,
        "label": field.label,
        "length": field.length,
        "mask": None,
        "maskType": None,
        "name": field.name,
        "nameField": field.name_field,
        "namePointing": field.polymorphic,
        "nillable": field.nillable,
        "permissionable": field.permissionable,
        "picklistValues": [
            {
                "active": True,
                "defaultValue": value == field.default,
                "label": label,
                "validFor": None,
                "value": value,
            }
            for value, label in zip(field.values, field.labels or field.values, strict=True)
        ],
        "polymorphicForeignKey": field.polymorphic,
        "precision": field.precision,
        "queryByDistance": field.type == "address",
        "referenceTargetField": None,
        "referenceTo": [name for name in field.reference_to if schema.get(name) is not None],
        "relationshipName": field.relationship,
        "relationshipOrder": 0 if field.cascade and field.custom else None,
        "restrictedDelete": field.restrict and field.custom,
        "restrictedPicklist": field.restricted,
        "scale": field.scale,
        "searchPrefilterable": field.prefilterable,
        "soapType": SOAP_TYPES.get(field.type, "xsd:string"),
        "sortable": field.sortable,
        "type": field.type,
        "unique": field.unique,
        "updateable": field.updateable,
        "writeRequiresMasterRead": False,
    }


_LINK_PATHS = {
    "compactLayouts": "describe/compactLayouts",
    "approvalLayouts": "describe/approvalLayouts",
    "layouts": "describe/layouts",
    "namedLayouts": "describe/namedLayouts/{LayoutName}",
    "passwordUtilities": "{ID}/password",
    "eventSeriesUpdates": "{ID}/fromThisEventOnwards",
    "caseArticleSuggestions": "suggestedArticles",
    "caseRowArticleSuggestions": "{ID}/suggestedArticles",
}
_MASTER: RecordType = {"Id": "012000000000000AAA", "Name": "Master", "DeveloperName": "Master", "IsActive": True}


def _summary(sobject: SObject, root: str) -> dict[str, Any]:
    base = f"{root}/sobjects/{sobject.name}"
    return {
        "activateable": False,
        **({} if _is_old(root) else {"associateEntityType": None, "associateParentEntity": None}),
        "createable": sobject.createable,
        "custom": sobject.custom,
        "customSetting": False,
        "deepCloneable": sobject.deep_cloneable,
        "deletable": sobject.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": sobject.feed_enabled,
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": sobject.prefix if sobject.shown_prefix else None,
        "label": sobject.label,
        "labelPlural": sobject.plural,
        "layoutable": sobject.layoutable,
        "mergeable": sobject.mergeable,
        "mruEnabled": sobject.searchable and sobject.layoutable,
        "name": sobject.name,
        "queryable": True,
        "replicateable": sobject.replicateable,
        "retrieveable": True,
        "searchable": sobject.searchable,
        "triggerable": sobject.triggerable,
        "undeletable": sobject.undeletable,
        "updateable": sobject.updateable,
        "urls": {
            **{link: f"{base}/{_LINK_PATHS.get(link, link)}" for link in sobject.links},
            "rowTemplate": f"{base}/{{ID}}",
            "describe": f"{base}/describe",
            "sobject": base,
        },
    }


def _child(child: Child) -> dict[str, Any]:
    return {
        "cascadeDelete": child.field.cascade,
        "childSObject": child.sobject,
        "deprecatedAndHidden": False,
        "field": child.field.name,
        "junctionIdListNames": [],
        "junctionReferenceTo": [],
        "relationshipName": child.name,
        "restrictedDelete": child.field.restrict,
    }


def _record_type(row: RecordType, base: str) -> dict[str, Any]:
    master = row["Id"] == _MASTER["Id"]
    return {
        "active": bool(row["IsActive"]),
        "available": True,
        "defaultRecordTypeMapping": bool(row.get("default")),
        "developerName": row["DeveloperName"],
        "master": master,
        "name": row["Name"],
        "recordTypeId": row["Id"],
        "urls": {"layout": f"{base}/describe/layouts/{row['Id']}"},
    }
