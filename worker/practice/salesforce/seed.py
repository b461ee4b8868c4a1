"""
What an org has before anybody has done anything: itself, its users, profiles, stages.
"""

from calendar import day_name, monthrange
from collections.abc import Iterator, Mapping
from typing import Any

from worker.practice.identity import USERNAME
from worker.practice.salesforce.ids import numbered_id

ADMIN = "admin@practice.test"
RESTRICTED = "restricted@practice.test"
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


# Username -> profile, and what each profile may do beyond using the API.
PROFILES = {ADMIN: "System Administrator", USERNAME: "Integration", RESTRICTED: "Restricted Integration"}
POWERS: Mapping[str, tuple[str, ...]] = {
    "System Administrator": (
        "ViewAllData",
        "ModifyAllData",
        "BulkApiHardDelete",
        "ConvertLeads",
        "EditReadonlyFields",
        "CustomizeApplication",
        "ModifyMetadata",
    ),
    "Integration": ("ViewAllData", "BulkApiHardDelete", "ConvertLeads", "CustomizeApplication", "ModifyMetadata"),
    "Restricted Integration": (),
}


def seed_records(username: str, number: int, now: str) -> Mapping[str, list[dict[str, Any]]]:
    """
    The first records by object, in order of creation. ``username`` is the integration user, made second; ``number``
    makes the organisation's id. Leads, accounts, opportunities and cases are private, so that a user without View All
    Data sees what is shared with it.
    """
    stamps = {"CreatedDate": now, "LastModifiedDate": now, "SystemModstamp": now}
    return {
        "Profile": [
            {"Name": "System Administrator", "UserType": "Standard", **stamps},
            {"Name": "Integration", "UserType": "Standard", **stamps},
            {"Name": "Restricted Integration", "UserType": "Standard", **stamps},
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
            {
                "Username": RESTRICTED,
                "LastName": "Restricted Integration",
                "Email": RESTRICTED,
                "Alias": "restr",
                **stamps,
            },
        ],
        "Organization": [
            {
                "Id": numbered_id("00D", number),
                "Name": "Practice Company",
                "Country": "US",
                "TimeZoneSidKey": "America/New_York",
                "DefaultLocaleSidKey": "en_US",
                "LanguageLocaleKey": "en_US",
                "FiscalYearStartMonth": 1,
                "OrganizationType": "Enterprise Edition",
                "InstanceName": "HW1",
                "IsSandbox": True,
                "DefaultAccountAccess": "None",
                "DefaultContactAccess": "ControlledByParent",
                "DefaultOpportunityAccess": "None",
                "DefaultLeadAccess": "None",
                "DefaultCaseAccess": "None",
                "DefaultCalendarAccess": "HideDetailsInsert",
                "DefaultPricebookAccess": "ReadSelect",
                "DefaultCampaignAccess": "All",
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
        "BusinessHours": [
            {
                "Name": "Default",
                "IsActive": True,
                "IsDefault": True,
                "TimeZoneSidKey": "America/New_York",
                **{f"{day}{end}Time": "00:00:00.000Z" for day in day_name for end in ("Start", "End")},
                **stamps,
            }
        ],
        "Period": [{**each, "SystemModstamp": now} for each in _fiscal_year(int(now[:4]))],
    }


def _fiscal_year(year: int) -> Iterator[dict[str, Any]]:
    """
    A fiscal year that is the calendar's: the year itself, its quarters, its months.
    """
    for kind, months in (("Year", 12), ("Quarter", 3), ("Month", 1)):
        for number, first in enumerate(range(1, 13, months), start=1):
            last = first + months - 1
            yield {
                "Type": kind,
                "Number": number,
                "StartDate": f"{year}-{first:02d}-01",
                "EndDate": f"{year}-{last:02d}-{monthrange(year, last)[1]}",
                "FullyQualifiedLabel": f"{kind} {number} FY {year}" if months < 12 else f"FY {year}",
                "IsForecastPeriod": kind == "Month",
            }
