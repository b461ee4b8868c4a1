"""
The rules by which a native activity becomes a touchpoint, as plain data. Wiring makes them from the rule file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Test = Literal["in", "contains", "words", "starts_with", "missing", "differs_from"]


@dataclass(frozen=True)
class Predicate:
    """
    One test of one value of an activity: a ``field`` of ours, an ``attribute`` of the platform's, a ``utm`` parameter.

    Comparisons are trimmed and in any case. A missing value passes no test but ``missing``; ``negated`` turns it.
    """

    source: Literal["field", "attribute", "utm"]
    name: str
    test: Test
    values: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class TouchType:
    """
    What a type is called in sentences, whether it may earn credit for its team, and whether it is response-grade.
    """

    label: str
    eligible: bool
    response: bool


@dataclass(frozen=True)
class TouchRule:
    """
    Which native activities are touches of ``type`` by ``team``. No ``native_type`` fits any; ``X*`` fits a beginning.
    """

    from_: str
    native_type: tuple[str, ...]
    where: tuple[Predicate, ...]
    type: str
    team: str


@dataclass(frozen=True)
class ChannelRule:
    """
    The channel of touches that fit: a name, or taken from the medium or the campaign's type.
    """

    types: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    from_: tuple[str, ...] = ()
    where: tuple[Predicate, ...] = ()
    channel: str | None = None
    take: Literal["medium", "campaign_type"] | None = None


@dataclass(frozen=True)
class TakeRule:
    """
    Where the offer, or the campaign, of a touch of these types (none: of all) is found: the first filled of ``take``.
    """

    types: tuple[str, ...]
    take: tuple[str, ...]


@dataclass(frozen=True)
class Attributes:
    """
    Which native attributes hold the query string, the referrer and the page, and the names of the UTM parameters.
    """

    query: tuple[str, ...]
    referrer: tuple[str, ...]
    page: tuple[str, ...]
    utm: Mapping[str, str]


@dataclass(frozen=True)
class MachineRules:
    """
    What gives a machine away: a flag of the platform's, a click too soon after delivery, several links in one second.
    """

    where: tuple[Predicate, ...] = ()
    within_seconds_of_delivery: int = 60
    links_in_one_second_count: int = 2


MemberDate = Literal["responded", "campaign_start", "member_created"]


@dataclass(frozen=True)
class MemberRules:
    """
    Which campaign members count and, by campaign type, which of their dates.
    """

    responded_only: bool = True
    date: Mapping[str, MemberDate] = field(default_factory=dict)
    date_otherwise: MemberDate = "responded"


@dataclass(frozen=True)
class TouchpointRules:
    """
    Everything that decides what a native activity is.
    """

    version: int
    types: Mapping[str, TouchType]
    attributes: Attributes
    machines: MachineRules
    touches: tuple[TouchRule, ...]
    channels: tuple[ChannelRule, ...]
    offers: tuple[TakeRule, ...]
    mediums: Mapping[str, str]
    campaigns: tuple[TakeRule, ...] = (TakeRule((), ("campaign_name",)),)
    utm_campaigns: Mapping[str, str] = field(default_factory=dict)  # a UTM campaign in lower case: the campaign's name
    members: MemberRules = field(default_factory=MemberRules)
    empty_medium: str = "(empty)"
    other_channel: str = "Other"
    same_touch_hours: int = 24
    other_warning_percent: Decimal = field(default_factory=lambda: Decimal(10))
