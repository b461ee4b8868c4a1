"""
A small company with enough of everything that a first load has many pages and a first plan many calls.

The same seed and moment give the same company. Some people stand in Salesforce twice and most also in Marketo, so that
what the service decides depends on having read all of it.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Final

from worker.practice.company.model import Company, Ref

SEED: Final = 1_926
ACCOUNTS: Final = 300
LEADS_EACH: Final = 5
STRANGERS: Final = 90
STAGES: Final = ("Prospecting", "Qualification", "Proposal/Price Quote")
FORMS: Final = ("Request a demo", "Download the report", "Webinar registration", "Newsletter")
STAMPED: Final = ("Account", "Contact", "Lead", "Opportunity", "OpportunityContactRole", "CampaignMember", "Task")
CHANNELS: Final = ("Webinar", "Conference", "Email", "Partners")


def small_company(seed: int, now: datetime) -> Company:
    """
    300 accounts, 600 contacts, about 1,600 leads, 500 opportunities, and what 1,500 of the people did in Marketo.
    """
    company = Company(seed, now)
    random = Random(f"faults:{seed}")
    _staff(company)
    _campaigns(company)
    number = 0
    for index in range(ACCOUNTS):
        _account(company, random, index)
        for seat in range(2):
            number += 1
            _contact(company, random, index, seat, number if seat == 0 else 0)
        for seat in range(LEADS_EACH):
            number += 1
            _lead(company, random, index, seat, number if seat < 3 else 0)
        for deal in range(1 + index % 3):
            _deal(company, random, index, deal)
    for index in range(STRANGERS):
        company.add(
            "Lead",
            f"stranger-{index}",
            LastName=f"Stranger{index}",
            Company=f"Nowhere {index}",
            Email=f"stranger{index}@freemail-{index}.example",
            CreatedDate=_text(_ago(company, 40 + index)),
        )
    company.activities.sort(key=lambda each: str(each["activityDate"]))
    for object_name in STAMPED:
        for record in company.salesforce[object_name]:
            # Made long ago and not touched since: else every poll would read all of it again for its overlap.
            record.fields["SystemModstamp"] = record.fields["LastModifiedDate"] = record.fields["CreatedDate"]
    return company


def _staff(company: Company) -> None:
    company.add(
        "User",
        "seller",
        Username="seller@faults.example",
        FirstName="Ada",
        LastName="Seller",
        Email="seller@faults.example",
        Alias="seller",
        Department="Sales",
        Title="Account Executive",
        UserType="Standard",
        IsActive=True,
    )


def _campaigns(company: Company) -> None:
    for index, channel in enumerate(CHANNELS):
        campaign = company.add(
            "Campaign",
            f"campaign-{index}",
            Name=f"{channel} {index}",
            Type=channel,
            Status="In Progress",
            StartDate=f"{_ago(company, 60 + index):%Y-%m-%d}",
            CreatedDate=_text(_ago(company, 90)),
        )
        company.programs.append(
            {
                "id": 100 + index,
                "name": f"{channel} {index}",
                "type": "Default",
                "channel": channel,
                "status": "on",
                "sfdcId": campaign,
                "sfdcName": f"{channel} {index}",
                "createdAt": _text(_ago(company, 90)),
                "updatedAt": _text(_ago(company, 90)),
            }
        )


def _account(company: Company, random: Random, index: int) -> None:
    company.add(
        "Account",
        f"account-{index}",
        Name=f"Firm {index}",
        Website=f"https://www.firm-{index}.example",
        Industry="Machinery",
        Type="Competitor" if index % 29 == 0 else "Prospect",
        NumberOfEmployees=random.randrange(10, 900),
        OwnerId=Ref("User", "seller"),
        CreatedDate=_text(_ago(company, 500)),
    )


def _contact(company: Company, random: Random, index: int, seat: int, number: int) -> None:
    contact = company.add(
        "Contact",
        f"contact-{index}-{seat}",
        AccountId=Ref("Account", f"account-{index}"),
        FirstName="Con",
        LastName=f"Tact{index}x{seat}",
        Email=f"contact{seat}@firm-{index}.example",
        Title=random.choice(("VP Finance", "Director of IT", "Analyst")),
        OwnerId=Ref("User", "seller"),
        CreatedDate=_text(_ago(company, 300 + seat)),
    )
    if number:
        person = {
            "id": number,
            "firstName": "Con",
            "lastName": f"Tact{index}x{seat}",
            "email": f"contact{seat}@firm-{index}.example",
            "company": f"Firm {index}",
            "sfdcType": "contact",
            "sfdcContactId": contact,
            "createdAt": _text(_ago(company, 310)),
        }
        company.people.append(person)
        _acts(company, random, number)
    if seat == 1 and index % 2:
        company.add(
            "CampaignMember",
            f"member-{index}",
            CampaignId=Ref("Campaign", f"campaign-{index % len(CHANNELS)}"),
            ContactId=contact,
            Status="Responded",
            HasResponded=True,
            FirstRespondedDate=f"{_ago(company, 20 + index % 50):%Y-%m-%d}",
            CreatedDate=_text(_ago(company, 55)),
        )


def _lead(company: Company, random: Random, index: int, seat: int, number: int) -> None:
    # The first lead of every fourth firm is its first contact once more.
    is_double = seat == 0 and index % 4 == 0
    address = f"contact0@firm-{index}.example" if is_double else f"lead{seat}@firm-{index}.example"
    lead = company.add(
        "Lead",
        f"lead-{index}-{seat}",
        FirstName="Lea",
        LastName=f"D{index}x{seat}",
        Company=f"Firm {index}",
        Email=address,
        Title=random.choice(("Controller", "CFO", "Student")),
        Status="Open - Not Contacted",
        LeadSource="Web",
        OwnerId=Ref("User", "seller"),
        CreatedDate=_text(_ago(company, 100 + seat)),
    )
    if number:
        person = {
            "id": number,
            "firstName": "Lea",
            "lastName": f"D{index}x{seat}",
            "email": address,
            "company": f"Firm {index}",
            "createdAt": _text(_ago(company, 120)),
        }
        # Half of them are tied to Salesforce by id, half only by their address.
        if seat % 2:
            person |= {"sfdcType": "lead", "sfdcLeadId": lead}
        company.people.append(person)
        _acts(company, random, number)
    if seat == 4:
        company.add(
            "Task",
            f"call-{index}",
            WhoId=lead,
            Subject="Call",
            Status="Completed",
            Priority="Normal",
            TaskSubtype="Call",
            ActivityDate=f"{_ago(company, 5 + index % 40):%Y-%m-%d}",
            OwnerId=Ref("User", "seller"),
            CreatedDate=_text(_ago(company, 5 + index % 40)),
        )


def _acts(company: Company, random: Random, number: int) -> None:
    for _ in range(1 + number % 2):
        at = _ago(company, random.randrange(2, 80)) - timedelta(seconds=random.randrange(9_999))
        company.activities.append(
            {
                "leadId": number,
                "activityDate": _text(at),
                "activityTypeId": 2,
                "primaryAttributeValue": random.choices(FORMS, (1, 6, 6, 8))[0],
                "primaryAttributeValueId": 1,
                "attributes": {"Query Parameters": random.choice(("utm_medium=cpc", "utm_medium=email", ""))},
            }
        )


def _deal(company: Company, random: Random, index: int, number: int) -> None:
    stage = random.choice((*STAGES, "Closed Won", "Closed Lost"))
    is_closed = stage.startswith("Closed")
    opened = _ago(company, random.randrange(12, 70))
    deal = company.add(
        "Opportunity",
        f"deal-{index}-{number}",
        Name=f"Firm {index} - deal {number}",
        AccountId=Ref("Account", f"account-{index}"),
        StageName=stage,
        Amount=random.randrange(1, 400) * 100.25,
        CloseDate=f"{_ago(company, 4 if is_closed else -30):%Y-%m-%d}",
        Type="New Customer",
        OwnerId=Ref("User", "seller"),
        CreatedDate=_text(opened),
    )
    for at, reached in ((opened, "Prospecting"), (_ago(company, 4), stage)):
        company.add(
            "OpportunityHistory",
            f"history-{index}-{number}-{reached}",
            OpportunityId=deal,
            StageName=reached,
            Amount=1_000,
            CloseDate=f"{_ago(company, 4):%Y-%m-%d}",
            CreatedDate=_text(at),
        )
    if number < 2:
        company.add(
            "OpportunityContactRole",
            f"role-{index}-{number}",
            OpportunityId=deal,
            ContactId=Ref("Contact", f"contact-{index}-{number}"),
            Role="Decision Maker",
            IsPrimary=True,
            CreatedDate=_text(opened),
        )


def _ago(company: Company, days: int) -> datetime:
    return company.now - timedelta(days=days)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"
