"""
What the tables of objects share: the row of a table, and the field lines that many objects have.

``schema.parse_field`` says how a line reads; ``standard.py``, ``setup_objects.py`` and ``features.py`` hold the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.practice.salesforce.schema import STANDARD_LINKS

AUDIT = """
CreatedDate datetime auto ro | Created Date
CreatedById reference(User) auto ro rel=CreatedBy | Created By ID
LastModifiedDate datetime auto ro | Last Modified Date
LastModifiedById reference(User) auto ro rel=LastModifiedBy | Last Modified By ID
SystemModstamp datetime auto ro | System Modstamp
"""
VIEWED = """
LastActivityDate date ro | Last Activity
LastViewedDate datetime ro | Last Viewed Date
LastReferencedDate datetime ro | Last Referenced Date
"""
ID = "Id id lookup | Record ID"
DELETED = "IsDeleted boolean ro | Deleted"


def address(prefix: str, label: str) -> str:
    """
    The lines of an address field and its parts.
    """
    part = f"part={prefix}Address"
    return f"""
{prefix}Street textarea(255) extra=plaintextarea {part} | {label} Street
{prefix}City string(40) {part} | {label} City
{prefix}State string(80) {part} | {label} State/Province
{prefix}PostalCode string(20) {part} | {label} Zip/Postal Code
{prefix}Country string(80) {part} | {label} Country
{prefix}Latitude double(18,15) {part} | {label} Latitude
{prefix}Longitude double(18,15) {part} | {label} Longitude
{prefix}GeocodeAccuracy picklist(40) restricted {part} | {label} Geocode Accuracy
{prefix}Address address | {label} Address
"""


@dataclass(frozen=True)
class Table:
    """
    One object as a table of field lines. ``without`` names flags of ``SObject`` that are not set, ``more`` those that
    are; ``bin`` says that deleted records go to the recycle bin. ``{}`` in a scope's label stands for the plural.
    """

    name: str
    plural: str
    prefix: str
    fields: str
    without: str = ""
    more: str = ""
    label: str | None = None
    id_label: str | None = None
    bin: bool = True
    expressions: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[tuple[str, str], ...] = ()
    links: tuple[str, ...] = STANDARD_LINKS
