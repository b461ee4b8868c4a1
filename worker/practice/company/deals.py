"""
Decides the made-up company's opportunities: which firm, when, through which stages, with which contacts, and what
sales did on the way.

Opportunities open as ``interest`` says. Called by ``generate`` before anybody acts, because a firm that has one open is
no longer looking. Writes opportunities, stage history, contact roles, tasks and events.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from random import Random
from typing import Final

from worker.practice.company.calendar import day, instant
from worker.practice.company.cast import NO_BUYERS, Firm, Human
from worker.practice.company.interest import live
from worker.practice.company.model import HISTORY_DAYS, Company, Ref

RENEWALS: Final = 10
_STAGES: Final = (
    ("Prospecting", 10),
    ("Qualification", 10),
    ("Needs Analysis", 20),
    ("Value Proposition", 50),
    ("Proposal/Price Quote", 75),
    ("Negotiation/Review", 90),
)
WON: Final = ("Closed Won", 100)
LOST: Final = ("Closed Lost", 0)
# By the state in which it opened: the share that is won. Who was called out of the blue mostly says no.
_WINS: Final = {"calm": 0.2, "aware": 0.25, "researching": 0.3, "choosing": 0.38}
_WHAT: Final = {"New Customer": "Spend Platform", "Existing Customer - Upgrade": "Cards Upgrade", "Renewal": "Renewal"}


@dataclass
class Deal:
    """
    One opportunity: the stages it reached with their moments, the last one its present one.
    """

    key: str
    firm: Firm
    name: str
    type: str
    amount: float | None
    owner: str
    created_at: datetime
    stages: list[tuple[str, int, datetime]] = field(default_factory=list)
    people: list[Human] = field(default_factory=list)
    typed_close: datetime | None = None

    @property
    def closed_at(self) -> datetime | None:
        """
        When it was closed, None while open.
        """
        stage, _, at = self.stages[-1]
        return at if stage in {WON[0], LOST[0]} else None


class Pipeline:
    """
    Draws deals and writes them down.
    """

    def __init__(self, company: Company, random: Random, sellers: list[str]) -> None:
        self._company = company
        self._random = random
        self._sellers = sellers
        self.deals: list[Deal] = []

    def draw(self, firms: list[Firm]) -> None:
        """
        The deals of all who may buy, as their interest opens them, and a few renewals.
        """
        buyers = [firm for firm in firms if firm.type not in NO_BUYERS]
        today = self._company.now.date()
        for firm in buyers:
            customer = (firm.type or "").startswith("Customer")
            kind = "Existing Customer - Upgrade" if customer else "New Customer"
            opens = partial(self._opened, firm, kind)
            firm.interest = live(self._random, firm.appetite, today - timedelta(days=HISTORY_DAYS), today, opens)
            self._company.interest[firm.key] = firm.interest
        customers = [firm for firm in buyers if (firm.type or "").startswith("Customer")]
        for firm in self._random.sample(customers, RENEWALS):
            on = today - timedelta(days=self._random.randrange(4, HISTORY_DAYS))
            self._draw_deal(firm, "Renewal", on, win=0.85)

    def _opened(self, firm: Firm, kind: str, on: date, state: str) -> date | None:
        closed_at = self._draw_deal(firm, kind, on, win=_WINS[state]).closed_at
        return None if closed_at is None else closed_at.date()

    def _draw_deal(self, firm: Firm, kind: str, on: date, *, win: float) -> Deal:
        random = self._random
        created_at = datetime.combine(on, time(random.randrange(8, 18), random.randrange(60)), UTC)
        amount = round(min(650_000.0, random.lognormvariate(10.7, 0.8)), -2)
        deal = Deal(
            key=f"deal-{len(self.deals)}",
            firm=firm,
            name=f"{firm.name} - {_WHAT[kind]}",
            type=kind,
            amount=None if random.random() < 0.03 else 0.0 if random.random() < 0.01 else amount,
            owner=random.choice(self._sellers),
            created_at=min(created_at, self._company.now - timedelta(hours=1)),
        )
        self._walk(deal, win=win)
        if random.random() < 0.67:
            self._choose_people(deal)
        self.deals.append(deal)
        return deal

    def _walk(self, deal: Deal, *, win: float) -> None:
        random, now = self._random, self._company.now
        at = deal.created_at
        wins = random.random() < win
        leaves_at = len(_STAGES) if wins else random.randrange(1, len(_STAGES) + 1)
        # A tenth start further on, because the representative typed them in late.
        first = 2 if random.random() < 0.1 else 0
        for stage, probability in _STAGES[first : max(leaves_at, first + 1)]:
            deal.stages.append((stage, probability, at))
            at += timedelta(days=random.lognormvariate(2.35, 0.75), minutes=random.randrange(300))
            if at > now:
                return
        deal.stages.append((*(WON if wins else LOST), at))
        if random.random() < 0.25:
            deal.typed_close = at - timedelta(days=random.randrange(1, 9))
        if not wins and random.random() < 0.06 and at + timedelta(days=25) < now:
            deal.stages.append((*_STAGES[2], at + timedelta(days=25)))

    def _choose_people(self, deal: Deal) -> None:
        # Mostly those who looked for it, and now and then somebody whom only sales knows.
        team, firm = deal.firm.team, deal.firm
        others = [human for human in firm.humans if human not in team and human.standing != "none"]
        self._random.shuffle(others)
        likely = [human for human in team if human.standing != "none" and self._random.random() < 0.8]
        chosen = [*likely, *others][: self._random.choices((1, 2, 3, 4), (30, 34, 24, 12))[0]]
        for human in chosen:
            if human.standing == "lead":
                convert(human, deal.created_at, deal.key)
        for human in chosen:
            # Somebody has to be known before they can be put on a deal.
            latest = deal.created_at - timedelta(days=self._random.uniform(0.5, 60))
            human.created_at = min(human.created_at, latest)
        deal.people = chosen

    def write(self) -> None:
        """
        Opportunities, their history, roles, and what sales did.
        """
        for deal in self.deals:
            self._write_deal(deal)
            self._write_work(deal)

    def _write_deal(self, deal: Deal) -> None:
        stage, probability, at = deal.stages[-1]
        closed = deal.closed_at
        close_on = deal.typed_close or closed or deal.created_at + timedelta(days=90)
        opportunity = self._company.add(
            "Opportunity",
            deal.key,
            Name=deal.name,
            AccountId=Ref("Account", deal.firm.key),
            StageName=stage,
            Amount=deal.amount,
            Probability=probability,
            CloseDate=day(close_on),
            Type=deal.type,
            OwnerId=Ref("User", deal.owner),
            CreatedDate=instant(deal.created_at),
            LastModifiedDate=instant(at),
        )
        for place, (name, chance, moment) in enumerate(deal.stages):
            self._company.add(
                "OpportunityHistory",
                f"{deal.key}-{place}",
                OpportunityId=opportunity,
                StageName=name,
                Probability=chance,
                Amount=deal.amount,
                CloseDate=day(close_on),
                CreatedDate=instant(moment),
                SystemModstamp=instant(moment),
            )
        for place, human in enumerate(deal.people):
            self._company.add(
                "OpportunityContactRole",
                f"{deal.key}-role-{place}",
                OpportunityId=opportunity,
                ContactId=Ref("Contact", human.key),
                Role=human.role,
                IsPrimary=place == 0,
                CreatedDate=instant(deal.created_at + timedelta(hours=place)),
            )

    def _write_work(self, deal: Deal) -> None:
        random = self._random
        known = [human for human in deal.firm.humans if human.standing in {"contact", "converted"}]
        people = deal.people or known[:1]
        what = Ref("Opportunity", deal.key)
        end = deal.closed_at or self._company.now
        span = max((end - deal.created_at).total_seconds(), 3600)
        for number in range(random.randrange(1, 6)):
            who = random.choice(people) if people else None
            at = deal.created_at + timedelta(seconds=random.random() * span)
            kind = random.choice(("Call", "Email", "Email"))
            write_task(self._company, f"{deal.key}-task-{number}", kind, at, deal.owner, who, what)
        for number in range(random.choices((0, 1, 2, 3), (25, 40, 25, 10))[0]):
            who = random.choice(people) if people else None
            at = deal.created_at + timedelta(seconds=random.random() * span)
            write_meeting(self._company, f"{deal.key}-event-{number}", at, deal.owner, who, what)

    def cold_calls(self, humans: list[Human]) -> None:
        """
        Calls and mails to leads that nobody had asked for.
        """
        random = self._random
        leads = [human for human in humans if human.standing == "lead" and human.firm is not None]
        for human in random.sample(leads, len(leads) // 4):
            for number in range(random.choice((1, 1, 2))):
                at = human.created_at + timedelta(days=random.uniform(0.2, 40))
                if at < self._company.now:
                    kind = random.choice(("Call", "Email"))
                    write_task(
                        self._company, f"{human.key}-cold-{number}", kind, at, random.choice(self._sellers), human, None
                    )


def convert(human: Human, at: datetime, deal: str | None) -> None:
    """
    A lead becomes a contact at a moment, with the deal it was converted into.
    """
    human.standing = "converted"
    human.created_at = min(human.created_at, at - timedelta(hours=1))
    human.converted_at = at
    human.deal = deal


def who_ref(human: Human) -> Ref:
    """
    The record that activities of sales hang on: the contact, or the lead as long as it is one.
    """
    return Ref("Lead" if human.standing == "lead" else "Contact", human.key)


def write_task(
    company: Company, key: str, kind: str, at: datetime, owner: str, who: Human | None, what: Ref | None
) -> None:
    """
    A completed call or mail of a seller's.
    """
    company.add(
        "Task",
        key,
        Subject=kind if kind == "Call" else "Email: following up",
        TaskSubtype=kind,
        Type=kind,
        Status="Completed",
        ActivityDate=day(at),
        CompletedDateTime=instant(at),
        CreatedDate=instant(at),
        OwnerId=Ref("User", owner),
        WhoId=None if who is None else who_ref(who),
        WhatId=what,
    )


def write_meeting(company: Company, key: str, at: datetime, owner: str, who: Human | None, what: Ref | None) -> None:
    """
    A meeting of a seller's, half an hour long.
    """
    company.add(
        "Event",
        key,
        Subject="Meeting",
        Type="Meeting",
        StartDateTime=instant(at),
        DurationInMinutes=30,
        CreatedDate=instant(at - timedelta(days=2)),
        OwnerId=Ref("User", owner),
        WhoId=None if who is None else who_ref(who),
        WhatId=what,
    )
