"""
What is wrong with the made-up company's data, as it is everywhere: twice the same person, merged people, people who
changed firms, shared mailboxes, own staff, test records, mistyped names.

Adds records and acts beside those of the people as cast. Called by ``generate`` after the touches and before the
people are written.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Final

from worker.practice.company import words
from worker.practice.company.calendar import Calendar, instant
from worker.practice.company.cast import Firm, Human
from worker.practice.company.diary import Diary
from worker.practice.company.model import STORY, Company, Ref

DUPLICATE_LEADS: Final = 150
MERGED_LEADS: Final = 60
DUPLICATE_PEOPLE: Final = 60
MERGED_PEOPLE: Final = 40
JOB_CHANGES: Final = 40
SHARED_MAILBOXES: Final = 45
STAFF: Final = 12
TESTERS: Final = 4


class Dirt:
    """
    Works on the cast of one company; ``numbers`` gives Marketo ids.
    """

    def __init__(self, company: Company, diary: Diary, random: Random, numbers: Iterator[int]) -> None:
        self._company = company
        self._diary = diary
        self._random = random
        self._numbers = numbers

    def own_firms(self, owner: str) -> list[Firm]:
        """
        The company's own account and the one somebody tests with; both busy, neither a buyer.
        """
        at = self._company.now - timedelta(days=900)
        return [
            Firm(
                key=key,
                name=name,
                domain=domain,
                trade="Technology",
                employees=310,
                type=kind,
                tongue=words.ENGLISH,
                city="Boston",
                country="United States",
                created_at=at,
                owner=owner,
            )
            for key, name, domain, kind in (
                ("firm-own", STORY.company, STORY.own_domain, "Other"),
                ("firm-test", "Test Account DO NOT USE", "test-account.example", "Test"),
            )
        ]

    def insiders(self, firms: list[Firm], calendar: Calendar) -> list[Human]:
        """
        Staff who read their own site all day, and testers who fill in every form.
        """
        own, test = firms
        humans = []
        for index in range(STAFF + TESTERS):
            firm = own if index < STAFF else test
            given, family = (
                (self._random.choice(words.ENGLISH.given), self._random.choice(words.ENGLISH.family))
                if firm is own
                else (("Test", "test"), (f"Test{index}", f"test{index}"))
            )
            human = Human(
                key=f"insider-{index}",
                given=given[0],
                family=family[0],
                title="Account Executive" if firm is own else "test",
                role="Other",
                email=f"{given[1]}.{family[1]}.{index}@{firm.domain}",
                company=firm.name,
                firm=firm,
                standing="contact" if firm is test or index % 3 == 0 else "none",
                tie="id",
                created_at=self._company.now - timedelta(days=400),
                number=next(self._numbers),
            )
            firm.humans.append(human)
            humans.append(human)
            for _ in range(12):
                self._diary.visit(human, self._recently(60), self._random.choice(words.SALES_PAGES))
            if firm is test:
                for name in words.HAND_RAISES:
                    self._diary.form(human, self._recently(20), name, "/demo")
            else:
                webinar = calendar.webinars[0]
                self._diary.status(human, webinar, webinar.starts_at, "Attended", success=True)
        return humans

    def shared_mailboxes(self, firms: list[Firm]) -> list[Human]:
        """
        Addresses that several people read: info@, office@ and the like, with what was filled in under them.
        """
        humans = []
        for index, firm in enumerate(self._random.sample(firms[2:], SHARED_MAILBOXES)):
            box = self._random.choice(("info", "office", "finance", "purchasing", "kontakt"))
            human = Human(
                key=f"mailbox-{index}",
                given="",
                family=box.title(),
                title="",
                role="Other",
                email=f"{box}@{firm.domain}",
                company=firm.name,
                firm=firm,
                standing="lead" if self._random.random() < 0.6 else "none",
                tie="email",
                created_at=self._company.now - timedelta(days=self._random.uniform(60, 500)),
                number=next(self._numbers),
            )
            humans.append(human)
            self._diary.form(human, self._recently(340), self._random.choice(words.CONTENT), "/library")
        return humans

    def duplicate_leads(self, humans: list[Human]) -> None:
        """
        Second leads of people whom Salesforce has already: other spellings, a private address, no title.
        """
        known = [human for human in humans if human.standing in {"lead", "contact"} and human.firm]
        for index, human in enumerate(self._random.sample(known, DUPLICATE_LEADS)):
            private = self._random.random() < 0.3
            assert human.email is not None  # noqa: S101  (the cast all have one)
            email = (
                f"{human.email.split('@')[0]}@{self._random.choice(STORY.free_mail_domains)}"
                if private
                else human.email
            )
            self._lead(f"duplicate-{index}", human, email, self._recently(300), mistyped=self._random.random() < 0.4)

    def merged_leads(self, humans: list[Human]) -> None:
        """
        Leads that somebody merged into another one.
        """
        known = [human for human in humans if human.standing == "lead" and human.firm]
        for index, human in enumerate(self._random.sample(known, MERGED_LEADS)):
            at = max(human.created_at, self._recently(320))
            lead = self._lead(f"merged-{index}", human, human.email, at, mistyped=True)
            lead |= {"IsDeleted": True, "MasterRecordId": Ref("Lead", human.key)}

    def _lead(self, key: str, human: Human, email: str | None, at: datetime, *, mistyped: bool) -> dict[str, object]:
        company = mistype(human.company, self._random) if mistyped else human.company.upper()
        self._company.add(
            "Lead",
            key,
            FirstName=human.given[:1] if mistyped else human.given or None,
            LastName=mistype(human.family, self._random) if mistyped else human.family,
            Company=company,
            Email=email,
            LeadSource="Purchased List" if mistyped else "Web",
            CreatedDate=instant(at),
            LastModifiedDate=instant(at),
        )
        return self._company.salesforce["Lead"][-1].fields

    def duplicate_people(self, humans: list[Human]) -> list[Human]:
        """
        People whom Marketo has twice under the same address; the second one visited too.
        """
        known = [human for human in humans if human.number and human.firm]
        twins = []
        for index, human in enumerate(self._random.sample(known, DUPLICATE_PEOPLE)):
            at = self._recently(200)
            twin = self._twin(human, f"twin-{index}", at)
            self._diary.visit(twin, at, self._random.choice(words.PAGES), self._diary.arrival("organic"))
            twins.append(twin)
        return twins

    def merged_people(self, humans: list[Human]) -> None:
        """
        People whom Marketo had twice until somebody merged them: the loser is gone, what it did stays under its id.
        """
        known = [human for human in humans if human.number and human.firm]
        for index, human in enumerate(self._random.sample(known, MERGED_PEOPLE)):
            made, merged = self._recently(300), self._recently(90)
            made = min(made, merged - timedelta(days=2))
            human.created_at = min(human.created_at, made)
            loser = self._twin(human, f"loser-{index}", made)
            self._diary.raw({"leadId": loser.number, "activityDate": instant(made), "activityTypeId": 12})
            self._diary.visit(loser, made + timedelta(hours=1), "/pricing", self._diary.arrival("organic"))
            name = f"{human.given} {human.family}".strip()
            facts = {"Merge IDs": f"[{loser.number}]", "Merge Source": "Web service API", "Master Updated": False}
            for number, kind, attributes in ((human.number, 32, facts), (loser.number, 37, {"Remove from CRM": False})):
                activity = {"leadId": number, "activityDate": instant(merged), "activityTypeId": kind}
                named = {"primaryAttributeValueId": number, "primaryAttributeValue": name, "attributes": attributes}
                self._diary.raw({**activity, **named})

    def _twin(self, human: Human, key: str, at: datetime) -> Human:
        return Human(
            key=key,
            given=human.given,
            family=human.family,
            title="",
            role="Other",
            email=human.email,
            company=mistype(human.company, self._random),
            firm=None,
            standing="none",
            tie="email",
            created_at=at,
            number=next(self._numbers),
        )

    def job_changes(self, humans: list[Human], firms: list[Firm]) -> None:
        """
        Contacts who went to another firm: Marketo learnt the new address, Salesforce has the old contact and a new
        lead.
        """
        long_ago = self._company.now - timedelta(days=200)
        settled = (human for human in humans if human.standing == "contact" and human.created_at < long_ago)
        movers = [human for human in settled if human.tie == "id" and human.firm]
        for index, human in enumerate(self._random.sample(movers, JOB_CHANGES)):
            target = self._random.choice([firm for firm in firms[2:] if firm is not human.firm])
            at = self._recently(180)
            assert human.email is not None  # noqa: S101  (the cast all have one)
            email = f"{human.email.split('@')[0]}@{target.domain}"
            change = {"id": human.number, "email": email, "company": target.name, "updatedAt": instant(at)}
            self._company.changes.append(change)
            self._company.add(
                "Lead",
                f"mover-{index}",
                FirstName=human.given,
                LastName=human.family,
                Title=human.title,
                Company=target.name,
                Email=email,
                LeadSource="Web",
                CreatedDate=instant(min(at + timedelta(days=1), self._company.now)),
                LastModifiedDate=instant(min(at + timedelta(days=1), self._company.now)),
            )

    def latecomers(self, humans: list[Human], calendar: Calendar) -> None:
        """
        Acts of the last hours that the platform shows only in the next minutes.
        """
        known = [human for human in humans if human.number and human.firm]
        for index, human in enumerate(self._random.sample(known, 12)):
            opened = self._company.now - timedelta(minutes=20 + index * 7)
            late = self._company.now - opened + timedelta(minutes=1 + index)
            self._diary.open(human, calendar.newsletters[0], opened, late=late)

    def _recently(self, days: float) -> datetime:
        return self._company.now - timedelta(days=self._random.random() * days, hours=1)


def mistype(text: str, random: Random) -> str:
    """
    The text with two neighbours swapped or one letter lost.
    """
    if len(text) < 4:
        return text
    place = random.randrange(1, len(text) - 1)
    if random.random() < 0.5:
        return text[:place] + text[place + 1 :]
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
