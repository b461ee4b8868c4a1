"""
A few words for making accounts, people, acts and deals in the practice orgs, so that a test reads as what happened.

Days are counted back from the practice clock's moment. Nothing here knows how the service works.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from tests.service import Running


@dataclass(frozen=True)
class Sale:
    """
    The records of one sale: the account, its buyer (the contact, and the person in Marketo), and the deal.
    """

    account: str
    contact: str
    person: int
    deal: str


@dataclass
class World:
    """
    Makes records in the orgs that ``running`` looks at; ``name`` keeps one test's companies from another's.
    """

    running: Running
    name: str

    @property
    def domain(self) -> str:
        return f"{self.name}.example"

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.running.org.control("GET", "clock")["now"])

    def ago(self, days: float) -> str:
        return f"{self.now - timedelta(days=days):%Y-%m-%dT%H:%M:%S}Z"

    def day(self, ago: float = 0) -> date:
        """
        The day it was so many days ago where the organisation is.
        """
        zone = ZoneInfo(self.running.service.rules.zone)
        return (self.now - timedelta(days=ago)).astimezone(zone).date()

    def create(self, sobject: str, **fields: Any) -> str:
        (made,) = self.running.org.create(sobject, [fields])
        return made

    def account(self, **fields: Any) -> str:
        given = {"Name": self.name.title(), "Website": f"https://www.{self.domain}", "CreatedDate": self.ago(300)}
        return self.create("Account", **{**given, **fields})

    def contact(self, account: str, first: str, **fields: Any) -> str:
        email = f"{first.lower()}@{self.domain}"
        given = {"FirstName": first, "LastName": "Smith", "Email": email, "CreatedDate": self.ago(200)}
        return self.create("Contact", **{**given, "AccountId": account, **fields})

    def lead(self, first: str, **fields: Any) -> str:
        email = f"{first.lower()}@{self.domain}"
        given = {"FirstName": first, "LastName": "Jones", "Email": email, "Company": self.name.title()}
        return self.create("Lead", **{**given, "CreatedDate": self.ago(200), **fields})

    def deal(self, account: str, *, opened: float = 30, **fields: Any) -> str:
        given = {
            "Name": f"{self.name.title()} - platform",
            "AccountId": account,
            "StageName": "Prospecting",
            "Amount": 84_000,
            "CloseDate": self.ago(-60)[:10],
            "CreatedDate": self.ago(opened),
        }
        made = self.create("Opportunity", **{**given, **fields})
        self.create(
            "OpportunityHistory",
            OpportunityId=made,
            StageName="Prospecting",
            Amount=84_000,
            CloseDate=given["CloseDate"],
            CreatedDate=self.ago(opened),
        )
        return made

    def role(self, deal: str, contact: str, **fields: Any) -> str:
        return self.create("OpportunityContactRole", OpportunityId=deal, ContactId=contact, Role="User", **fields)

    def sale(self) -> Sale:
        """
        A deal of 30 days ago after a click on an ad, and a demo request of the same buyer since: enough to be engaged.
        """
        account = self.account(NumberOfEmployees=500)
        ada = self.contact(account, "Ada", Title="VP Finance")
        person = self.known(ada)
        self.form(person, 52, "cpc")
        self.form(person, 3, "organic", asset="Demo Request")
        deal = self.deal(account)
        self.role(deal, ada)
        return Sale(account, ada, person, deal)

    def known(self, record: str, **fields: Any) -> int:
        """
        The same person in Marketo, tied to a lead (00Q) or a contact (003) by id.
        """
        link = "sfdcLeadId" if record.startswith("00Q") else "sfdcContactId"
        kind = "lead" if record.startswith("00Q") else "contact"
        person = {"lastName": "Platform", "createdAt": self.ago(201), "sfdcType": kind, link: record, **fields}
        (number,) = self.running.org.control("POST", "marketo/people", {"records": [person]})["ids"]
        return int(number)

    def form(self, person: int, days_ago: float, medium: str, asset: str = "Newsletter sign-up") -> None:
        activity = {
            "leadId": person,
            "activityDate": self.ago(days_ago),
            "activityTypeId": 2,
            "primaryAttributeValue": asset,
            "attributes": {"Query Parameters": f"utm_medium={medium}"},
        }
        self.running.org.control("POST", "marketo/activities", {"records": [activity]})

    def campaign(self, kind: str = "Partners", **fields: Any) -> str:
        given = {"Name": f"{self.name.title()} {kind}", "Type": kind, "CreatedDate": self.ago(90)}
        return self.create("Campaign", **{**given, **fields})

    def response(self, campaign: str, person: str, days_ago: float) -> str:
        link = "LeadId" if person.startswith("00Q") else "ContactId"
        return self.create(
            "CampaignMember",
            **{"CampaignId": campaign, link: person, "Status": "Responded", "HasResponded": True},
            FirstRespondedDate=self.ago(days_ago)[:10],
            CreatedDate=self.ago(days_ago),
        )

    def shares(self, deal: str, clock: str = "revenue", model: str = "linear") -> dict[str, str]:
        """
        What each item of a deal gets by a model: channel of the touch, or pending or unassigned -> share, zeros left
        out. Every clock and model of the deal has to sum to one.
        """
        found: dict[str, Fraction] = {}
        sums: dict[tuple[str, str], Fraction] = {}
        for row in self.running.why("opportunity", deal)["credits"]:
            for name, credit in row["models"].items():
                share = Fraction(credit["share"])
                sums[row["clock"], name] = sums.get((row["clock"], name), Fraction(0)) + share
                if (row["clock"], name) == (clock, model) and share:
                    key = row["channel"] if row["item"] == "touch" else row["item"]
                    found[key] = found.get(key, Fraction(0)) + share
        assert set(sums.values()) == {Fraction(1)}, sums
        return {key: str(share) for key, share in found.items()}

    def decided(self, deal: str) -> dict[str, Any]:
        found: dict[str, Any] = self.running.why("opportunity", deal)["attribution"]
        return found
