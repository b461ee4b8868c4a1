"""
The objects that only the Tooling API shows: what administrators have made. ``tooling.py`` keeps their rows.
"""

from worker.practice.salesforce.lines import AUDIT, Table

FIELD_PREFIX, OBJECT_PREFIX = "00N", "01I"

CUSTOM_FIELD = f"""
DeveloperName string(80) ro name | Field Name
TableEnumOrId picklist(40) ro | Custom Object Definition ID
NamespacePrefix string(15) ro | Namespace Prefix
Length int ro | Length
Precision int ro | Precision
Scale int ro | Scale
InlineHelpText string(510) ro | Inline Help Text
{AUDIT}
"""
CUSTOM_OBJECT = f"""
DeveloperName string(80) ro name | Object Name
NamespacePrefix string(15) ro | Namespace Prefix
ExternalSharingModel picklist(40) ro | External Sharing Model
SharingModel picklist(40) ro | Sharing Model
{AUDIT}
"""
_SHOWN_ONLY = "createable updateable deletable undeletable mergeable replicateable searchable triggerable layoutable"

TOOLING_TABLES: tuple[Table, ...] = (
    Table("CustomField", "Custom Fields", FIELD_PREFIX, CUSTOM_FIELD, without=_SHOWN_ONLY, label="Custom Field",
          more="tooling", bin=False),
    Table("CustomObject", "Custom Objects", OBJECT_PREFIX, CUSTOM_OBJECT, without=_SHOWN_ONLY, label="Custom Object",
          more="tooling", bin=False),
)  # fmt: skip
