"""
What a made-up company consists of, before anything is put anywhere: records that point at one another by key.

Carries only. ``generate`` makes it, ``fill`` reads it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from worker.practice.company.interest import Interest

HISTORY_DAYS: Final = 548  # eighteen months


class Ref(NamedTuple):
    """
    Another Salesforce record of the same company, whose id is known once it is filled in.
    """

    object_name: str
    key: str


class Record(NamedTuple):
    """
    A Salesforce record to be: its key among its object's records, and its fields.
    """

    key: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Story:
    """
    What the demo points at, the same for every seed.

    ``account`` crosses the engaged threshold in the last weeks; ``deal`` is won, and its credit falls on several
    touches. ``free_mail_domains`` are the made-up providers; ``own_domain`` is the company's own staff's.
    """

    company: str = "Kestrel Ledger"
    own_domain: str = "kestrel-ledger.example"
    account: str = "Alder Robotics"
    account_domain: str = "alder-robotics.example"
    webinar: str = "Cost Control"
    deal: str = "Brackwater Foods - Spend Platform"
    deal_account: str = "Brackwater Foods"
    deal_domain: str = "brackwater-foods.example"
    deal_amount: str = "84000.00"
    currency: str = "USD"
    free_mail_domains: tuple[str, ...] = ("freemail.example", "postbox.example", "webpost.example")


STORY: Final = Story()

# In the order in which they can be put in: what is pointed at comes first.
OBJECTS: Final = (
    "User",
    "Account",
    "Contact",
    "Campaign",
    "CampaignMemberStatus",
    "Opportunity",
    "Lead",
    "OpportunityContactRole",
    "OpportunityHistory",
    "CampaignMember",
    "Task",
    "Event",
)


@dataclass
class Company:
    """
    ``salesforce`` is object name -> records. The Marketo lists are what its control calls take; people and programs
    carry their numbers, and values may be ``Ref``. Instants are ISO text, UTC. ``interest`` is what no system knows: by
    the account's key, how close each possible buyer truly was, day by day.
    """

    seed: int
    now: datetime
    salesforce: dict[str, list[Record]] = field(default_factory=lambda: {name: [] for name in OBJECTS})
    programs: list[dict[str, Any]] = field(default_factory=list)
    people: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    interest: dict[str, Interest] = field(default_factory=dict)

    def add(self, object_name: str, key: str, **fields: Any) -> Ref:
        """
        A Salesforce record, and the reference to it. Fields without value are left out.
        """
        given = {name: value for name, value in fields.items() if value is not None}
        self.salesforce[object_name].append(Record(key, given))
        return Ref(object_name, key)
