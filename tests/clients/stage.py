"""
The practice org the clients meet: known records, and what the org holds of them at any later moment, asked by plain
requests that share no code with any client.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

# Yesterday by the machine's clock: some clients distrust a record that is younger than their own clock.
START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=1)
# Around the moment the known records were made.
WINDOW = tuple((START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ") for minutes in (-1, 2))
USERNAME = "integration@practice.test"
PASSWORD = "practice-password"
LEADS = 4500  # three pages of a query
COMPANY = "Known Ltd"
TROUBLE = 'Zoë "Ødegård", O\'Neil\nsecond line; \\n <&>'


class Stage:
    """
    A running org with 4,500 leads and one in the bin, 12 accounts, 40 contacts, 20 tasks, and a little of the rest.
    """

    def __init__(self, org: PracticeOrg) -> None:
        self.org = org
        owner = {"OwnerId": self.client.values(f"SELECT Id FROM User WHERE Username = '{USERNAME}'")[0]}
        # A second apart each, so that a client that reads on from its last one has little to read again.
        stamps = [(START - timedelta(seconds=LEADS + 1 - n)).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(LEADS + 1)]
        leads = [
            {"LastName": f"Lead {n:04}", "Company": COMPANY, "SystemModstamp": stamp, **owner}
            for n, stamp in enumerate(stamps)
        ]
        leads[0]["Description"] = TROUBLE
        ids = org.create("Lead", leads)
        org.control("POST", "salesforce/delete", {"object": "Lead", "ids": ids[-1:]})
        self.leads = dict(zip([row["LastName"] for row in leads[:-1]], ids[:-1], strict=True))
        self.deleted_lead = ids[-1]
        self.accounts = org.create("Account", [{"Name": f"Account {n:02}", **owner} for n in range(12)])
        contacts = [{"LastName": f"Contact {n:02}", "AccountId": self.accounts[n % 10], **owner} for n in range(40)]
        self.contacts = org.create("Contact", contacts)
        tasks = [{"Subject": f"Call {n}", "WhoId": self.contacts[n], "Status": "Completed", **owner} for n in range(20)]
        org.create("Task", tasks)
        self._sell(owner)
        # What clients write from here on stays out of the window of the known records.
        org.advance(180)

    def _sell(self, owner: dict[str, str]) -> None:
        day = START.date().isoformat()
        deals = [
            {"Name": f"Deal {n}", "AccountId": self.accounts[n], "StageName": "Prospecting", "CloseDate": day, **owner}
            for n in range(5)
        ]
        deals[0] |= {"Amount": 1234567.89, "Description": TROUBLE}
        made = self.org.create("Opportunity", deals)
        roles = [
            {"OpportunityId": deal, "ContactId": self.contacts[n], "IsPrimary": True} for n, deal in enumerate(made)
        ]
        self.org.create("OpportunityContactRole", roles)
        campaign = self.org.create("Campaign", [{"Name": "Spring", "IsActive": True, **owner}])[0]
        members = [{"CampaignId": campaign, "LeadId": each, "Status": "Sent"} for each in list(self.leads.values())[:3]]
        self.org.create("CampaignMember", members)
        start = START.isoformat()
        event = {"Subject": "Visit", "WhoId": self.contacts[0], "ActivityDateTime": start, "DurationInMinutes": 30}
        self.org.create("Event", [{**event, **owner}])
        self.org.create("UserRole", [{"Name": "Chief"}])

    @cached_property
    def client(self) -> Client:
        """
        The plain requests.
        """
        return Client(self.org)

    @property
    def names(self) -> list[str]:
        """
        Last names of the known leads that are alive, sorted.
        """
        return sorted(self.leads)

    def rows(self, soql: str, *, everything: bool = False) -> list[dict[str, Any]]:
        """
        All rows of a query, pages followed, without their attributes.
        """
        answer = self.client.query(soql, everything=everything).json()
        records = answer["records"]
        while not answer["done"]:
            answer = self.client.call("GET", answer["nextRecordsUrl"]).json()
            records += answer["records"]
        return [{key: value for key, value in row.items() if key != "attributes"} for row in records]

    def count(self, condition: str) -> int:
        """
        How many records ``OBJECT WHERE ...`` are there now.
        """
        total: int = self.client.query(f"SELECT COUNT() FROM {condition}").json()["totalSize"]
        return total


@contextmanager
def stage() -> Iterator[Stage]:
    """
    A stage on free ports, gone at the end.
    """
    with PracticeOrg(clock=START.isoformat()) as org:
        yield Stage(org)
