"""
What an administrator does to the values of a picklist. Called by the control API.
"""

from dataclasses import replace

from worker.practice.salesforce.org import Org
from worker.practice.salesforce.schema import Field, SObject


def rename_value(org: Org, sobject: SObject, field: Field, old: str, new: str) -> int:
    """
    Rename ``old`` to ``new``: in the field's list, in every record that has it, deleted ones too. SystemModstamp of
    those records moves, nobody is named as their modifier. A stage takes its row of OpportunityStage along.

    How many records it met. Raises ``ValueError`` for a value the list does not have.
    """
    if old not in field.values or new in field.values:
        raise ValueError(f"{sobject.name}.{field.name} must have {old!r} and not yet {new!r}; it has {field.values}")
    values = tuple(new if each == old else each for each in field.values)
    labels = tuple(new if each == old else each for each in field.labels)
    default = new if field.default == old else field.default
    with org.database.write() as connection:
        now = org.records.now()
        stamped = ", SystemModstamp = ?" if sobject.get("SystemModstamp") else ""
        found = [new, *([now] if stamped else []), old]
        count = connection.execute(
            f'UPDATE "{sobject.name}" SET "{field.name}" = ?{stamped} WHERE "{field.name}" = ?', found
        ).rowcount
        if (sobject.name, field.name) == ("Opportunity", "StageName"):
            connection.execute(
                'UPDATE "OpportunityStage" SET MasterLabel = ?, SystemModstamp = ? WHERE MasterLabel = ?',
                (new, now, old),
            )
    org.definitions.change_values(sobject, replace(field, values=values, labels=labels, default=default))
    return count
