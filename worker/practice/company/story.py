"""
The two things worth looking at, the same for every seed: an account that becomes engaged in the last weeks, and a won
deal whose credit falls on several touches.

Alder Robotics has been quiet; then the VP Finance and the IT manager attend the webinar, two people of IT look at the
pricing page, and the VP asks for a demo. Brackwater Foods' deal begins with a paid search click, becomes a lead after
a webinar, is opened by a demo request, and has a trade show, a paper and another webinar in between.
"""

from datetime import datetime, timedelta
from typing import Final

from worker.practice.company.calendar import Calendar, day, instant
from worker.practice.company.cast import Firm, Human, Standing
from worker.practice.company.deals import WON, convert, write_meeting, write_task
from worker.practice.company.diary import Diary
from worker.practice.company.model import STORY, Company, Ref

DEAL: Final = "deal-story"
OPENED_DAYS_AGO: Final = 112
WON_DAYS_AGO: Final = 41


def story_humans(firms: list[Firm], now: datetime) -> list[Human]:
    """
    The people of the two firms; they do nothing by chance.
    """
    alder, brackwater = firms[0], firms[1]
    people: tuple[tuple[Firm, str, str, str, str, Standing, int], ...] = (
        (alder, "Marian", "Holloway", "VP Finance", "Economic Buyer", "contact", 420),
        (alder, "Théo", "Lefèvre", "IT Manager", "Technical Buyer", "contact", 300),
        (alder, "Priya", "Rao", "IT Systems Analyst", "Technical Buyer", "lead", 30),
        (alder, "Owen", "Stanhope", "Operations Manager", "Influencer", "contact", 600),
        (brackwater, "Dylan", "Mercer", "IT Manager", "Technical Buyer", "lead", 262),
        (brackwater, "Claire", "Okafor", "Director of Procurement", "Decision Maker", "contact", 205),
        (brackwater, "Hugo", "Bellamy", "Accounts Payable Manager", "Business User", "contact", 150),
        (brackwater, "Ruth", "Langford", "Chief Financial Officer", "Economic Buyer", "lead", 118),
    )
    humans: list[Human] = []
    for firm, given, family, title, role, standing, days_ago in people:
        spelled = {"Théo": "theo", "Lefèvre": "lefevre"}
        address = f"{spelled.get(given, given.lower())}.{spelled.get(family, family.lower())}@{firm.domain}"
        human = Human(
            key=f"story-{len(humans)}",
            given=given,
            family=family,
            title=title,
            role=role,
            email=address,
            company=firm.name,
            firm=firm,
            standing=standing,
            tie="id",
            created_at=now - timedelta(days=days_ago),
            phone=f"+1 614 555 01{20 + len(humans)}",
        )
        firm.humans.append(human)
        humans.append(human)
    return humans


class StoryTeller:
    """
    Writes the story's touches, deal and sales work.
    """

    def __init__(self, company: Company, diary: Diary, calendar: Calendar, seller: str) -> None:
        self._company = company
        self._diary = diary
        self._calendar = calendar
        self._seller = seller

    def tell(self, humans: list[Human]) -> None:
        """
        Both halves; ``humans`` are those of ``story_humans``.
        """
        self._alder(humans[:4])
        self._brackwater(humans[4:])

    def _at(self, days_ago: float, hour: int = 14, minute: int = 5) -> datetime:
        moment = (self._company.now - timedelta(days=days_ago)).replace(
            hour=hour, minute=minute, second=10, microsecond=0
        )
        return moment if moment < self._company.now else moment - timedelta(days=1)

    def _alder(self, humans: list[Human]) -> None:
        diary, (finance, manager, analyst, operations) = self._diary, humans
        webinar = self._calendar.webinars[0]
        # Long ago, and worth nothing any more.
        diary.form(operations, self._at(210), "Whitepaper: Matching Invoices", "/library", diary.arrival("organic"))
        diary.visit(manager, self._at(96), "/product/invoices", diary.arrival("organic"))
        for human, ahead in ((finance, 5), (manager, 3)):
            diary.status(human, webinar, webinar.starts_at - timedelta(days=ahead, hours=2), "Registered")
            diary.status(human, webinar, webinar.starts_at + timedelta(minutes=4), "Attended", success=True)
        diary.visit(manager, self._at(7, 9, 40), "/pricing", diary.arrival("direct"))
        diary.visit(analyst, self._at(6, 15, 20), "/product", diary.arrival("organic"))
        diary.visit(analyst, self._at(5, 10, 15), "/pricing", diary.arrival("direct"))
        diary.form(finance, self._at(4, 16, 30), "Demo Request", "/demo", visited=False)

    def _brackwater(self, humans: list[Human]) -> None:
        diary, (manager, procurement, payables, finance) = self._diary, humans
        opened, won = self._at(OPENED_DAYS_AGO, 15, 0), self._at(WON_DAYS_AGO, 17, 45)
        paper, benchmark = "Guide to Spend Control", "Benchmark Report: Days to Close"
        # First touch: a paper found through paid search. Marketo has the person then, Salesforce not yet.
        manager.created_at = self._at(263, 11, 30)
        manager.synced_after = timedelta(days=30)
        diary.form(manager, self._at(262, 11, 42), paper, "/library", diary.arrival("cpc", "spend-management"))
        # Lead creation: the webinar after which the lead goes to Salesforce.
        webinar = self._calendar.webinars[8]
        diary.status(manager, webinar, webinar.starts_at - timedelta(days=4), "Registered")
        diary.status(manager, webinar, webinar.starts_at + timedelta(minutes=6), "Attended", success=True)
        # In the middle: a trade show and a paper.
        show = self._calendar.events[3]
        diary.status(procurement, show, show.starts_at + timedelta(hours=2), "Attended", success=True)
        diary.form(payables, self._at(140, 13, 12), benchmark, "/library", diary.arrival("email"))
        # Opportunity creation: the demo request of the day before.
        finance.created_at = self._at(OPENED_DAYS_AGO + 1, 9, 0)
        diary.form(finance, self._at(OPENED_DAYS_AGO + 1, 9, 30), "Demo Request", "/demo", diary.arrival("organic"))
        # Between creation and close: one more webinar.
        later = self._calendar.webinars[2]
        diary.status(payables, later, later.starts_at - timedelta(days=2), "Registered")
        diary.status(payables, later, later.starts_at + timedelta(minutes=3), "Attended", success=True)
        for human in (manager, finance):
            convert(human, opened, DEAL)
        self._deal(humans, opened, won)

    def _deal(self, humans: list[Human], opened: datetime, won: datetime) -> None:
        company = self._company
        stages = (
            ("Prospecting", 10, opened),
            ("Needs Analysis", 20, opened + timedelta(days=9)),
            ("Proposal/Price Quote", 75, opened + timedelta(days=33)),
            ("Negotiation/Review", 90, opened + timedelta(days=52)),
            (*WON, won),
        )
        amount = float(STORY.deal_amount)
        deal = company.add(
            "Opportunity",
            DEAL,
            Name=STORY.deal,
            AccountId=Ref("Account", "firm-1"),
            StageName=WON[0],
            Amount=amount,
            Probability=WON[1],
            CloseDate=day(won),
            Type="New Customer",
            OwnerId=Ref("User", self._seller),
            CreatedDate=instant(opened),
            LastModifiedDate=instant(won),
        )
        for place, (name, chance, at) in enumerate(stages):
            company.add(
                "OpportunityHistory",
                f"{DEAL}-{place}",
                OpportunityId=deal,
                StageName=name,
                Probability=chance,
                Amount=amount,
                CloseDate=day(won),
                CreatedDate=instant(at),
                SystemModstamp=instant(at),
            )
        manager, procurement, payables, finance = humans
        for place, human in enumerate((finance, manager, procurement, payables)):
            company.add(
                "OpportunityContactRole",
                f"{DEAL}-role-{place}",
                OpportunityId=deal,
                ContactId=Ref("Contact", human.key),
                Role=human.role,
                IsPrimary=place == 0,
                CreatedDate=instant(opened + timedelta(days=place)),
            )
        for number, (kind, who, days) in enumerate(
            (("Call", finance, 1), ("Email", procurement, 20), ("Call", manager, 50))
        ):
            write_task(company, f"{DEAL}-task-{number}", kind, opened + timedelta(days=days), self._seller, who, deal)
        write_meeting(company, f"{DEAL}-event-0", opened + timedelta(days=8), self._seller, finance, deal)
