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
INT_DIGITS = 8
BYTES_PER_CHARACTER = 3
RecordType = dict[str, Any]


def describe_global(schema: Schema, root: str) -> dict[str, Any]:
    """
    The body of ``sobjects``.
    """
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [_summary(each, root) for each in sorted(schema, key=lambda each: each.name)],
    }


def describe_object(schema: Schema, sobject: SObject, root: str, record_types: list[RecordType]) -> dict[str, Any]:
    """
    The body of ``sobjects/X/describe``. ``record_types`` are stored RecordType rows of the object. Fields the user may
    not see are absent.
    """
    summary = _summary(sobject, root)
    base = f"{root}/sobjects/{sobject.name}"
    return {
        "actionOverrides": [],
        **{key: value for key, value in summary.items() if key not in {"urls", "labelPlural", "name", "label"}},
        "childRelationships": [
            _child(each) for each in schema.children(sobject) if each.field.name != "MasterRecordId"
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
        "recordTypeInfos": [_record_type(each, base) for each in [_MASTER, *record_types]],
        "searchLayoutable": sobject.searchable,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [
            {"label": f"All {sobject.plural.lower()}", "name": "everything"},
            {"label": f"My {sobject.plural.lower()}", "name": "mine"},
        ],
        "urls": {
            **summary["urls"],
            "uiDetailTemplate": "https://practice.my.salesforce.com/{ID}",
            "uiEditTemplate": "https://practice.my.salesforce.com/{ID}/e",
            "uiNewRecord": f"https://practice.my.salesforce.com/{sobject.prefix}/e",
        },
    }


def describe_field(schema: Schema, field: Field) -> dict[str, Any]:
    """
    One entry of ``fields``.
    """
    return {
        "aggregatable": field.aggregatable,
        "aiPredictionField": False,
        "autoNumber": field.auto_number is not None,
        "byteLength": field.length if field.type in ID_TYPES else field.length * BYTES_PER_CHARACTER,
        "calculated": False,
        "calculatedFormula": None,
        "cascadeDelete": field.cascade and field.custom,
        "caseSensitive": field.case_sensitive,
        "compoundFieldName": field.compound,
        "controllerName": None,
        "createable": field.createable,
        "custom": field.custom,
        "defaultValue": field.default,
        "defaultValueFormula": None,
        "defaultedOnCreate": field.defaulted,
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": INT_DIGITS if field.type == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": False,
        "externalId": field.external_id,
        "extraTypeInfo": field.extra,
        "filterable": field.filterable,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": field.groupable,
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": field.id_lookup,
        "inlineHelpText": None,
        "label": field.label,
        "length": field.length,
        "mask": None,
        "maskType": None,
        "name": field.name,
        "nameField": field.name_field,
        "namePointing": field.polymorphic,
        "nillable": field.nillable,
        "permissionable": _permissionable(field),
        "picklistValues": [
            {
                "active": True,
                "defaultValue": value == field.default,
                "label": value,
                "validFor": None,
                "value": value,
            }
            for value in field.values
        ],
        "polymorphicForeignKey": field.polymorphic,
        "precision": field.precision,
        "queryByDistance": field.type == "address",
        "referenceTargetField": None,
        "referenceTo": [name for name in field.reference_to if schema.get(name) is not None],
        "relationshipName": field.relationship,
        "relationshipOrder": 0 if field.cascade and field.custom else None,
        "restrictedDelete": False,
        "restrictedPicklist": field.restricted,
        "scale": field.scale,
        "searchPrefilterable": field.type == "reference" and field.nillable and field.filterable,
        "soapType": SOAP_TYPES.get(field.type, "xsd:string"),
        "sortable": field.sortable,
        "type": field.type,
        "unique": field.unique,
        "updateable": field.updateable,
        "writeRequiresMasterRead": False,
    }


def _permissionable(field: Field) -> bool:
    """
    Whether field-level security can take the field away: what may be left empty and is not the record's name.
    """
    written = field.createable or field.updateable or field.type == "address"
    return field.custom or (field.nillable and written and field.compound != "Name")


_MASTER: RecordType = {"Id": "012000000000000AAA", "Name": "Master", "DeveloperName": "Master", "IsActive": True}


def _summary(sobject: SObject, root: str) -> dict[str, Any]:
    base = f"{root}/sobjects/{sobject.name}"
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": sobject.createable,
        "custom": sobject.custom,
        "customSetting": False,
        "deepCloneable": False,
        "deletable": sobject.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": sobject.prefix,
        "label": sobject.label,
        "labelPlural": sobject.plural,
        "layoutable": True,
        "mergeable": sobject.mergeable,
        "mruEnabled": sobject.searchable,
        "name": sobject.name,
        "queryable": True,
        "replicateable": sobject.replicateable,
        "retrieveable": True,
        "searchable": sobject.searchable,
        "triggerable": True,
        "undeletable": sobject.undeletable,
        "updateable": sobject.updateable,
        "urls": {
            "compactLayouts": f"{base}/describe/compactLayouts",
            "rowTemplate": f"{base}/{{ID}}",
            "approvalLayouts": f"{base}/describe/approvalLayouts",
            "listviews": f"{base}/listviews",
            "describe": f"{base}/describe",
            "quickActions": f"{base}/quickActions",
            "layouts": f"{base}/describe/layouts",
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
        "restrictedDelete": False,
    }


def _record_type(row: RecordType, base: str) -> dict[str, Any]:
    master = row["Id"] == _MASTER["Id"]
    return {
        "active": bool(row["IsActive"]),
        "available": True,
        "defaultRecordTypeMapping": master,
        "developerName": row["DeveloperName"],
        "master": master,
        "name": row["Name"],
        "recordTypeId": row["Id"],
        "urls": {"layout": f"{base}/describe/layouts/{row['Id']}"},
    }
