"""
The rules of survivorship: for each field which record's value is kept, what a blank means, how values are compared.

Carries the defaults for people, accounts and opportunities; a rule file may replace any of them. Nothing here computes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from worker.core.errors import Fatal

SALESFORCE: Final = "salesforce"
PLATFORM: Final = "platform"
NEWEST: Final = "newest"
FIRST_FILLED: Final = "first_filled"
ANY_TRUE: Final = "any_true"
LARGEST: Final = "largest"
SMALLEST: Final = "smallest"
KEEPS: Final = (SALESFORCE, PLATFORM, NEWEST, FIRST_FILLED, ANY_TRUE, LARGEST, SMALLEST)
COMPARES: Final = ("text", "exact", "digits", "address", "never")

_SYSTEM: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class FieldRule:
    """
    How one field survives.

    ``keep`` is one of KEEPS or the name of a system (the part of a stream before its dot, "marketo"):

    - salesforce, platform, a system: its records first, then the others; among them by the order of streams, then the
      newest change.
    - newest: the latest change. first_filled: the earliest created record, deleted ones included.
    - any_true: true where any live record says so. largest, smallest: by value.

    Everywhere but in first_filled a live record comes before a deleted one. ``blank_wins``: the first record's blank
    counts as its value; else the next filled one is kept. ``compare`` says when two systems disagree: text (without
    case and spacing), exact, digits (the last eight, for telephones), address (e-mail and web), never.
    """

    keep: str = SALESFORCE
    blank_wins: bool = False
    compare: str = "text"

    def __post_init__(self) -> None:
        if not _SYSTEM.fullmatch(self.keep):
            raise Fatal("HW-150", f"keep is {self.keep!r}; it must be a system's name or one of {', '.join(KEEPS)}")
        if self.compare not in COMPARES:
            raise Fatal("HW-150", f"compare is {self.compare!r}; it must be one of {', '.join(COMPARES)}")
        if self.blank_wins and self.keep in (ANY_TRUE, LARGEST, SMALLEST):
            raise Fatal("HW-150", f"a blank cannot win where keep is {self.keep}: there is no first record")


@dataclass(frozen=True)
class MergeRules:
    """
    The rules of all fields of one kind of record. ``stream_order`` settles who comes first within one system.
    """

    fields: Mapping[str, FieldRule]
    stream_order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))


def _all(names: str, rule: FieldRule) -> dict[str, FieldRule]:
    return dict.fromkeys(names.split(), rule)


_PLAIN: Final = FieldRule()
_REFERENCE: Final = FieldRule(compare="never")  # each system has ids of its own

PERSON_RULES: Final = MergeRules(
    {
        "email": FieldRule(compare="address"),
        **_all("first_name last_name title company industry employees annual_revenue", _PLAIN),
        **_all("street city state postal_code country lead_source status rating", _PLAIN),
        **_all("phone mobile_phone", FieldRule(compare="digits")),
        "website": FieldRule(compare="address"),
        "owner_ref": _REFERENCE,
        **_all("opted_out do_not_call", FieldRule(keep=ANY_TRUE, compare="exact")),
    },
    stream_order=("salesforce.contact", "salesforce.lead"),
)
ACCOUNT_RULES: Final = MergeRules(
    {
        **_all("name industry employees annual_revenue type city country", _PLAIN),
        "website": FieldRule(compare="address"),
        "phone": FieldRule(compare="digits"),
        **_all("parent_ref owner_ref", _REFERENCE),
    },
    stream_order=("salesforce.account",),
)
OPPORTUNITY_RULES: Final = MergeRules(
    {
        **_all("name amount currency stage is_closed is_won close_on type lead_source", _PLAIN),
        **_all("account_ref record_type_ref campaign_ref owner_ref", _REFERENCE),
    },
    stream_order=("salesforce.opportunity",),
)
