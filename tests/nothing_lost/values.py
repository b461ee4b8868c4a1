"""
What records of a history hold when they are made, and what people type into them later.
"""

import random
from typing import Any, Final

EDITED: Final = {
    "Lead": ("Title", "Company", "City", "Rating", "Salutation"),
    "Contact": ("Title", "Phone", "MailingCity", "Salutation"),
    "Account": ("Name", "Industry", "BillingCity"),
    "Opportunity": ("Name", "Amount", "LeadSource"),
    "OpportunityContactRole": ("Role",),
    "Campaign": ("Name", "ActualCost"),
    "CampaignMember": ("Status",),
    "Task": ("Status", "Type"),
}
# What a record points at; those of the second set it cannot be without. Of several names for one, one is drawn.
POINTS_AT: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "Contact": (("AccountId",),),
    "Opportunity": (("AccountId",),),
    "OpportunityContactRole": (("OpportunityId",), ("ContactId",)),
    "CampaignMember": (("CampaignId",), ("LeadId", "ContactId")),
    "Task": (("WhoId",),),
}
NEEDS_ALL: Final = frozenset({"OpportunityContactRole", "CampaignMember"})

_NEEDED: Final = frozenset({"Company", "Name"})
_WORDS: Final = {
    "CampaignMember.Status": ("Sent", "Responded"),
    "Task.Status": ("Open", "Completed"),
    "Salutation": ("Mr.", "Ms.", None),
    "Rating": ("Hot", "Warm", "Cold"),
    "Industry": ("Banking", "Energy", None),
    "LeadSource": ("Web", "Other", None),
    "Role": ("Evaluator", "Decision Maker", None),
    "Type": ("Call", "Other", None),
}


def first_values(name: str, luck: random.Random) -> dict[str, Any]:
    """
    The values of a new record, references aside.
    """
    number = luck.randint(1, 999)
    match name:
        case "Account":
            return {"Name": f"Company {number}"}
        case "Contact":
            return {"LastName": f"Contact {number}"}
        case "Lead":
            return {"LastName": f"Lead {number}", "Company": f"Company {number}"}
        case "Opportunity":
            day = f"2027-01-{number % 28 + 1:02d}"
            return {"Name": f"Deal {number}", "StageName": "Prospecting", "CloseDate": day}
        case "OpportunityContactRole":
            return {"Role": "Evaluator"}
        case "Campaign":
            return {"Name": f"Campaign {number}"}
        case "CampaignMember":
            return {"Status": "Sent"}
        case _:
            return {"Subject": "Call", "Status": "Completed", "ActivityDate": "2026-01-02"}


def typed_values(name: str, luck: random.Random) -> dict[str, Any]:
    """
    One field of a record as somebody leaves it, perhaps empty.
    """
    target = luck.choice(EDITED[name])
    number = luck.randint(1, 9_999)
    match target:
        case "Status":
            return {target: luck.choice(_WORDS[f"{name}.Status"])}
        case "Amount" | "ActualCost":
            return {target: number}
        case "Rating" | "Salutation" | "Industry" | "LeadSource" | "Role" | "Type":
            return {target: luck.choice(_WORDS[target])}
        case _:
            empty = "z" if target in _NEEDED else None
            return {target: luck.choice((f"{target} {number}", 'Zoë "x", y', empty))}
