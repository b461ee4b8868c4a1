"""
Writes the people and firms of the made-up company as the two systems hold them: accounts, contacts, leads and their
conversion, Marketo's people with their ties, campaign members.

Called by ``generate`` last, when it is known who did what and who became whose contact.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from worker.practice.company.calendar import day, instant
from worker.practice.company.cast import Firm, Human
from worker.practice.company.diary import Diary, member_record
from worker.practice.company.dirt import mistype
from worker.practice.company.model import STORY, Company, Ref

_SELLERS: Final = (
    ("seller-0", "Imani", "Calloway", "Account Executive"),
    ("seller-1", "Marcus", "Winslow", "Account Executive"),
    ("seller-2", "Hélène", "Rousseau", "Account Executive"),
    ("seller-3", "Jürgen", "Vogelsang", "Account Executive"),
    ("seller-4", "Dev", "Chaudhary", "Account Executive"),
    ("seller-5", "Saga", "Nyström", "Account Executive"),
    ("developer-0", "Tessa", "Redfern", "Sales Development Representative"),
    ("developer-1", "Kwame", "Adeyemi", "Sales Development Representative"),
    ("developer-2", "Lucía", "Peña", "Sales Development Representative"),
)
_OTHERS: Final = (
    ("marketer-0", "Naomi", "Lockwood", "Marketing", "Demand Generation Manager"),
    ("marketer-1", "Felix", "Fairbanks", "Marketing", "Marketing Operations Manager"),
    ("sync", "Marketo", "Sync", "Integration", "Integration"),
)


def write_users(company: Company) -> list[str]:
    """
    Sales, marketing and the platform's own user; the keys of those who sell.
    """
    people = [(key, given, family, "Sales", title) for key, given, family, title in _SELLERS]
    for key, given, family, department, title in [*people, *_OTHERS]:
        company.add(
            "User",
            key,
            Username=f"{key}@{STORY.own_domain}",
            FirstName=given,
            LastName=family,
            Email=f"{key}@{STORY.own_domain}",
            Alias=key.replace("-", "")[:8],
            Department=department,
            Title=title,
            UserType="Standard",
            IsActive=key != "developer-2",
        )
    return [key for key, *_ in people]


def write_firms(company: Company, firms: list[Firm], random: Random) -> None:
    """
    Accounts; a few have no website, no size, or a name somebody mistyped.
    """
    for index, firm in enumerate(firms):
        careless = index > 1 and random.random() < 0.06
        company.add(
            "Account",
            firm.key,
            Name=mistype(firm.name, random) if careless else firm.name,
            Website=None if careless else f"https://www.{firm.domain}",
            Industry=firm.trade,
            Type=firm.type,
            NumberOfEmployees=None if index > 1 and random.random() < 0.07 else firm.employees,
            AnnualRevenue=firm.employees * 180_000,
            BillingCity=firm.city,
            BillingCountry=firm.country,
            ParentId=None if firm.parent is None else Ref("Account", firm.parent),
            OwnerId=Ref("User", firm.owner),
            CreatedDate=instant(firm.created_at),
            LastModifiedDate=instant(firm.created_at),
        )


class PeopleWriter:
    """
    Writes humans; ``random`` decides the small disagreements between the two systems.
    """

    def __init__(self, company: Company, random: Random) -> None:
        self._company = company
        self._random = random

    def write(self, humans: list[Human]) -> None:
        """
        Every human in every system that knows them.
        """
        for human in humans:
            if human.standing in {"contact", "converted"}:
                self._contact(human)
            if human.standing in {"lead", "converted"}:
                self._lead(human)
            if human.number:
                self._person(human)

    def _contact(self, human: Human) -> None:
        assert human.firm is not None  # noqa: S101  (only people of a firm become contacts)
        at = human.created_at + timedelta(hours=2)
        if human.standing == "converted":
            at = human.converted_at or human.created_at + timedelta(days=30)
        email = human.email
        if email and self._random.random() < 0.02:
            email = email.upper()
        self._company.add(
            "Contact",
            human.key,
            AccountId=Ref("Account", human.firm.key),
            FirstName=human.given or None,
            LastName=human.family,
            Email=None if self._random.random() < 0.02 and human.tie == "id" else email,
            Title=human.title or None,
            Phone=human.phone,
            MailingCity=human.firm.city,
            MailingCountry=human.firm.country,
            LeadSource=human.source,
            HasOptedOutOfEmail=human.opted_out,
            OwnerId=Ref("User", human.firm.owner),
            CreatedDate=instant(min(at, self._company.now)),
            LastModifiedDate=instant(min(at, self._company.now)),
        )

    def _lead_created_at(self, human: Human) -> datetime:
        latest = (human.converted_at or self._company.now) - timedelta(hours=1)
        return max(human.created_at, min(human.created_at + human.synced_after, latest))

    def _lead(self, human: Human) -> None:
        at = self._lead_created_at(human)
        fields: dict[str, Any] = {
            "FirstName": human.given or None,
            "LastName": human.family,
            "Company": mistype(human.company, self._random) if self._random.random() < 0.03 else human.company,
            "Email": human.email,
            "Title": human.title or None,
            "Phone": human.phone,
            "LeadSource": human.source,
            "HasOptedOutOfEmail": human.opted_out,
            "CreatedDate": instant(at),
            "LastModifiedDate": instant(at),
            "Status": self._random.choice(("Open - Not Contacted", "Open - Not Contacted", "Working - Contacted")),
        }
        if human.firm is not None:
            fields |= {
                "Country": human.firm.country,
                "City": human.firm.city,
                "NumberOfEmployees": human.firm.employees,
                "Industry": human.firm.trade,
                "OwnerId": Ref("User", human.firm.owner),
            }
        if human.standing == "converted":
            assert human.firm is not None  # noqa: S101  (only people of a firm are converted)
            converted_at = human.converted_at or human.created_at + timedelta(days=30)
            fields |= {
                "Status": "Closed - Converted",
                "IsConverted": True,
                "ConvertedDate": day(converted_at),
                "ConvertedAccountId": Ref("Account", human.firm.key),
                "ConvertedContactId": Ref("Contact", human.key),
                "ConvertedOpportunityId": None if human.deal is None else Ref("Opportunity", human.deal),
                "LastModifiedDate": instant(converted_at),
            }
        self._company.add("Lead", human.key, **fields)

    def _person(self, human: Human) -> None:
        firm = human.firm
        person: dict[str, Any] = {
            "id": human.number,
            "firstName": human.given or None,
            "lastName": mistype(human.family, self._random) if self._random.random() < 0.015 else human.family,
            "email": human.email,
            "title": human.title or None,
            "company": human.company,
            "phone": human.phone,
            "leadSource": human.source,
            "unsubscribed": human.opted_out,
            "createdAt": instant(human.created_at),
        }
        if firm is not None:
            person |= {
                "industry": firm.trade,
                "numberOfEmployees": firm.employees,
                "country": firm.country,
                "city": firm.city,
            }
        if human.tie == "id" and human.standing != "none":
            person["sfdcType"] = "lead" if human.standing == "lead" else "contact"
            if human.standing in {"lead", "converted"}:
                person["sfdcLeadId"] = Ref("Lead", human.key)
            if human.standing in {"contact", "converted"} and firm is not None:
                person["sfdcContactId"] = Ref("Contact", human.key)
                person["sfdcAccountId"] = Ref("Account", firm.key)
        self._company.people.append({name: value for name, value in person.items() if value is not None})

    def write_members(self, diary: Diary) -> None:
        """
        Salesforce's campaign members: the same statuses by the other route.
        """
        for number, ((campaign, _), (human, status, at)) in enumerate(diary.responses.items()):
            who: dict[str, Ref] = {}
            if human.standing in {"lead", "converted"}:
                who["LeadId"] = Ref("Lead", human.key)
            if human.standing in {"contact", "converted"}:
                who["ContactId"] = Ref("Contact", human.key)
            member_record(self._company, f"member-{number}", campaign, who, status, at)
