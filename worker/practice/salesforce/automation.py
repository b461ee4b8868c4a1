"""
The org's automation as its administrators list it: flows, Apex triggers, validation and duplicate rules, as rows that
can be asked for.

What they do is in ``rules.py``; here they are only shown. ``show_rules`` writes the rows anew whenever a control call
has changed the rules. Field histories of accounts and contacts, which an org has when they are tracked, are here too.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.lines import Table

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

ENTITY = """
QualifiedApiName string(70) ro name | Qualified API Name
DeveloperName string(40) ro | Developer Name
Label string(80) ro | Label
"""

FLOW = """
ApiName string(80) ro name | API Name
Label string(255) ro | Flow Label
ProcessType picklist(40) ro | Process Type
TriggerType picklist(40) ro | Trigger
RecordTriggerType picklist(40) ro | Record Trigger
TriggerObjectOrEventId string(255) ro | Triggering Object or Event ID
TriggerObjectOrEventLabel string(255) ro | Triggering Object or Event Label
NamespacePrefix string(15) ro | Namespace Prefix
IsActive boolean ro | Active
"""

TRIGGER = """
Name string(255) ro name | Name
TableEnumOrId picklist(40) ro | Custom Object Definition ID
UsageBeforeInsert boolean ro | Before Insert
UsageBeforeUpdate boolean ro | Before Update
UsageAfterInsert boolean ro | After Insert
UsageAfterUpdate boolean ro | After Update
Status picklist(40) ro | Status
NamespacePrefix string(15) ro | Namespace Prefix
"""

VALIDATION = """
ValidationName string(40) ro name | Name
EntityDefinitionId reference(EntityDefinition) ro rel=EntityDefinition | Entity Definition ID
Active boolean ro | Is Active
ErrorDisplayField string(80) ro | Error Display Field
ErrorMessage string(255) ro | Error Message
NamespacePrefix string(15) ro | Namespace Prefix
"""

DUPLICATE = """
DeveloperName string(80) ro name | Name
MasterLabel string(80) ro | Rule Name
SobjectType picklist(40) ro | Object
IsActive boolean ro | Active
NamespacePrefix string(15) ro | Namespace Prefix
"""


def _history(parent: str) -> str:
    return f"""
{parent}Id reference({parent}) auto ro children=Histories cascade | {parent} ID
CreatedById reference(User) auto ro rel=CreatedBy | Created By ID
CreatedDate datetime auto ro | Created Date
Field picklist(255) ro | Changed Field
DataType picklist(40) ro | Datatype
OldValue string(255) ro nofilter | Old Value
NewValue string(255) ro nofilter | New Value
"""


_SHOWN_ONLY = "createable updateable deletable undeletable mergeable replicateable searchable triggerable layoutable"

AUTOMATION_TABLES: tuple[Table, ...] = (
    Table("EntityDefinition", "Entity Definitions", "4ie", ENTITY, without=_SHOWN_ONLY, label="Entity Definition",
          bin=False),
    Table("FlowDefinitionView", "Flow Definitions", "3dd", FLOW, without=_SHOWN_ONLY, label="Flow Definition",
          bin=False),
    Table("ApexTrigger", "Apex Triggers", "01q", TRIGGER, without=_SHOWN_ONLY, label="Apex Trigger", bin=False,
          more="tooling"),
    Table("ValidationRule", "Validation Rules", "03d", VALIDATION, without=_SHOWN_ONLY, label="Validation Rule",
          bin=False, more="tooling"),
    Table("DuplicateRule", "Duplicate Rules", "0Bm", DUPLICATE, without=_SHOWN_ONLY, label="Duplicate Rule",
          bin=False),
    Table("AccountHistory", "Account History", "017", _history("Account"), without=_SHOWN_ONLY,
          label="Account History", bin=False),
    Table("ContactHistory", "Contact History", "03j", _history("Contact"), without=_SHOWN_ONLY,
          label="Contact History", bin=False),
    Table("LeadHistory", "Lead History", "01h", _history("Lead"), without=_SHOWN_ONLY,
          label="Lead History", bin=False),
    Table("OpportunityFieldHistory", "Opportunity Field History", "01i", _history("Opportunity"), without=_SHOWN_ONLY,
          label="Opportunity Field History", bin=False),
)  # fmt: skip


def show_rules(org: "Org") -> None:
    """
    Make the rows what the rules are now.
    """
    rules = org.rules
    entities = {str(rule["object"]) for rule in rules.validation}
    with org.database.write() as connection:
        for table in AUTOMATION_TABLES[:5]:
            connection.execute(f'DELETE FROM "{table.name}"')
        ids = org.loading.create(
            org.schema["EntityDefinition"],
            [{"QualifiedApiName": name, "DeveloperName": name, "Label": org.schema[name].label} for name in entities],
        )
        entity_ids = dict(zip(entities, ids, strict=True))
        for name, rows in (
            ("FlowDefinitionView", _flows(org)),
            ("ApexTrigger", _triggers(rules.flows)),
            ("ValidationRule", _validations(rules.validation, entity_ids)),
            ("DuplicateRule", _duplicates(rules.duplicates)),
        ):
            org.loading.create(org.schema[name], list(rows))


def _flows(org: "Org") -> Iterable[dict[str, Any]]:
    for number, flow in enumerate(org.rules.flows, start=1):
        if not flow.get("apex"):
            yield {
                "ApiName": flow.get("name") or f"Flow_{number}",
                "Label": flow.get("name") or f"Flow {number}",
                "ProcessType": "AutoLaunchedFlow",
                "TriggerType": "RecordAfterSave",
                "RecordTriggerType": "CreateAndUpdate",
                "TriggerObjectOrEventId": flow["object"],
                "TriggerObjectOrEventLabel": org.schema[str(flow["object"])].label,
                "IsActive": True,
            }


def _triggers(flows: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for number, flow in enumerate(flows, start=1):
        if flow.get("apex"):
            yield {
                "Name": flow.get("name") or f"Trigger_{number}",
                "TableEnumOrId": flow["object"],
                "UsageAfterInsert": True,
                "UsageAfterUpdate": True,
                "Status": "Active",
            }


def _validations(rules: Iterable[Mapping[str, Any]], entities: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    for number, rule in enumerate(rules, start=1):
        yield {
            "ValidationName": rule.get("name") or f"Rule_{number}",
            "EntityDefinitionId": entities[str(rule["object"])],
            "Active": True,
            "ErrorDisplayField": (rule.get("fields") or [None])[0],
            "ErrorMessage": rule["message"],
        }


def _duplicates(rules: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for number, rule in enumerate(rules, start=1):
        name = str(rule.get("name") or f"Same_{rule['field']}_{number}")
        yield {"DeveloperName": name, "MasterLabel": name, "SobjectType": rule["object"], "IsActive": True}
