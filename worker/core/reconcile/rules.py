"""
The rules of writing back: which of our values goes to which field of which object, and how much may change unasked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal


@dataclass(frozen=True)
class Target:
    """
    One field we own: its API name, its kind (Checkbox, Date, Text ...), its length or its digits after the point.

    ``min_move_days`` holds a date back until it moves at least so far.
    """

    field: str
    kind: str
    length: int | None = None
    scale: int | None = None
    min_move_days: int | None = None


@dataclass(frozen=True)
class TouchRecordRules:
    """
    Records beneath a deal, one a touch: whether they are written, at most how many a deal beside the one that sums the
    others, and how long after its close a deal is left alone.

    ``object`` has them, ``key_field`` is their external id there and ``parent_field`` names their deal. They are read
    by ``stream``; their deals by ``parent_stream``.
    """

    enabled: bool = True
    most_a_deal: int = 10
    months_after_close: int = 24
    object: str = "HW_Touch__c"
    key_field: str = "HW_Key__c"
    parent_field: str = "HW_Opportunity__c"
    stream: str = "salesforce.touch_record"
    parent_stream: str = "salesforce.opportunity"


@dataclass(frozen=True)
class WriteRules:
    """
    ``targets`` is object -> our name -> field; ``streams`` says which stream an object's records are read by.

    A plan that changes more than ``guard_percent`` of an object's records (and more than ``guard_floor_records``), or
    flips more than ``guard_flips`` flags, is held until a person approves it.
    """

    targets: Mapping[str, Mapping[str, Target]]
    streams: Mapping[str, str]
    kinds: Mapping[str, str]  # object -> golden kind
    guard_percent: Decimal = Decimal(5)
    guard_flips: int = 200
    guard_floor_records: int = 20
    touches: TouchRecordRules = field(default_factory=TouchRecordRules)

    def object_of(self, stream: str) -> str | None:
        """
        The object whose records come by ``stream``; None where we write none.
        """
        return next((name for name, read_by in self.streams.items() if read_by == stream), None)


def fitted(targets: Mapping[str, Target], lengths: Mapping[str, int]) -> dict[str, Target]:
    """
    The targets, those of text no longer than their fields are in the organisation (field -> characters).
    """
    return {
        name: replace(target, length=min(target.length, lengths[target.field]))
        if target.length is not None and lengths.get(target.field)
        else target
        for name, target in targets.items()
    }
