"""
What an org has before anybody has done anything: itself, its users, profiles, stages.
"""

from collections.abc import Mapping
from typing import Any

ADMIN = "admin@practice.test"
STAGES: tuple[tuple[str, int, str, str, bool, bool], ...] = (
    ("Prospecting", 10, "Pipeline", "Pipeline", False, False),
    ("Qualification", 10, "Pipeline", "Pipeline", False, False),
    ("Needs Analysis", 20, "Pipeline", "Pipeline", False, False),
    ("Value Proposition", 50, "Pipeline", "Pipeline", False, False),
    ("Id. Decision Makers", 60, "Pipeline", "Pipeline", False, False),
    ("Perception Analysis", 70, "Pipeline", "Pipeline", False, False),
    ("Proposal/Price Quote", 75, "Pipeline", "Pipeline", False, False),
    ("Negotiation/Review", 90, "Pipeline", "Pipeline", False, False),
    ("Closed Won", 100, "Closed", "Closed", True, True),
    ("Closed Lost", 0, "Omitted", "Omitted", True, False),
)


def seed_records(username: str, now: str) -> Mapping[str, list[dict[str, Any]]]:
    """
    The first records by object, in order of creation. ``username`` is the integration user, made second.
    """
    stamps = {"CreatedDate": now, "LastModifiedDate": now, "SystemModstamp": now}
    return {
        "Profile": [
            {"Name": "System Administrator", "UserType": "Standard", **stamps},
            {"Name": "Integration", "UserType": "Standard", **stamps},
        ],
        "User": [
            {
                "Username": ADMIN,
                "FirstName": "Ada",
                "LastName": "Administrator",
                "Email": ADMIN,
                "Alias": "admin",
                **stamps,
            },
            {"Username": username, "LastName": "Headwater Integration", "Email": username, "Alias": "headw", **stamps},
        ],
        "Organization": [
            {
                "Name": "Practice Company",
                "Country": "US",
                "TimeZoneSidKey": "America/Los_Angeles",
                "DefaultLocaleSidKey": "en_US",
                "LanguageLocaleKey": "en_US",
                "FiscalYearStartMonth": 1,
                "OrganizationType": "Enterprise Edition",
                "InstanceName": "HW1",
                "IsSandbox": True,
                **stamps,
            }
        ],
        "OpportunityStage": [
            {
                "MasterLabel": name,
                "ApiName": name,
                "IsActive": True,
                "SortOrder": place,
                "DefaultProbability": probability,
                "ForecastCategory": category,
                "ForecastCategoryName": category_name,
                "IsClosed": closed,
                "IsWon": won,
                **stamps,
            }
            for place, (name, probability, category, category_name, closed, won) in enumerate(STAGES, start=1)
        ],
    }
