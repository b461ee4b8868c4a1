"""
Decides who of the made-up company's market did what in eighteen months: what people do out of interest, by how far
their firm has come (``interest``), and what they do anyway.

Much of what happens means nothing: firms differ in how much their people read by habit, some people read everything,
customers come to use what they have, students need it for their studies. And some firms buy almost unseen. Only people
whom Marketo knows act. Called by ``generate``; writes through the diary.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from random import Random
from types import MappingProxyType
from typing import Final, NamedTuple

from worker.practice.company import words
from worker.practice.company.calendar import Calendar, Program
from worker.practice.company.cast import Firm, Human, rank
from worker.practice.company.diary import Diary
from worker.practice.company.interest import BUYING, Spell
from worker.practice.company.model import HISTORY_DAYS

_CHANNELS: Final = ("cpc", "organic", "paidsocial", "social", "email", "referral", "direct")
_CHANNEL_WEIGHTS: Final = (28, 27, 10, 9, 12, 8, 6)
READERS: Final = 160  # who gets the newsletter


class Habit(NamedTuple):
    """
    How people of a firm in one state act: how many of its team, how often each (acts a day), what (page, paper, sales
    page, request: the weights), and the chance that each registers for a webinar or event in that time.
    """

    people: int
    a_day: float
    weights: tuple[int, int, int, int]
    registers: float


KEEN: Final[Mapping[str, Habit]] = MappingProxyType(
    {
        "aware": Habit(3, 0.066, (4, 66, 30, 0), 0.1),
        "researching": Habit(4, 0.053, (4, 46, 48, 2), 0.13),
        "choosing": Habit(5, 0.052, (4, 22, 68, 6), 0.14),
        BUYING: Habit(4, 0.03, (40, 14, 46, 0), 0.08),
    }
)
QUIET_SHARE: Final = 0.04  # of journeys: hardly anything of it is seen
QUIETLY: Final = 0.4
VISITS_A_YEAR: Final = 0.4  # of anybody, by habit
CUSTOMERS_VISIT: Final = 11.0  # times as much
HABIT_PAGES: Final = (94, 2, 4)  # any, of sales, of no interest
PAPERS_A_YEAR: Final = 0.035
WEBINARS_A_YEAR: Final = 0.035
STUDENTS_TAKE: Final = 40.0  # times as many papers and webinars
BOOKWORM_SHARE: Final = 0.012
BOOKWORM_VISITS_A_YEAR: Final = 36.0


class Market:
    """
    The people of the firms, acting.
    """

    def __init__(self, diary: Diary, calendar: Calendar, random: Random) -> None:
        self._diary = diary
        self._calendar = calendar
        self._random = random

    def act(self, firms: list[Firm], humans: list[Human]) -> None:
        """
        Everything that anybody does: out of interest, by habit, with mails, and at the partner campaign.
        """
        for firm in firms:
            for journey in firm.interest.journeys() if firm.interest else ():
                self._journey(firm, journey)
        known = [human for human in humans if human.number]
        for human in known:
            self._by_habit(human)
        self._mails(known)
        partners = [human for human in humans if human.firm and (human.firm.type or "").startswith("Customer")]
        for human in self._random.sample(partners, 40):
            at = self._diary.now - timedelta(days=75 - self._random.random() * 20)
            self._diary.respond(human, self._calendar.partner, at, "Responded")

    def _journey(self, firm: Firm, journey: list[Spell]) -> None:
        """
        What a firm's team does from the first thought to the close, or until it lets it be.
        """
        seen = QUIETLY if self._random.random() < QUIET_SHARE else 1.0
        channel = self._channel()
        arrived: set[str] = set()
        for spell in journey:
            habit = KEEN[spell.state]
            for human in firm.team[: habit.people]:
                # The first one finds it and brings the others, who mostly come straight to the site.
                came_by = self._random.choice((channel, "direct", "organic", "email")) if arrived else channel
                self._keen(human, spell, habit, seen, None if human.key in arrived else came_by)
                arrived.add(human.key)

    def _keen(self, human: Human, spell: Spell, habit: Habit, seen: float, came_by: str | None) -> None:
        random, diary = self._random, self._diary
        start = datetime.combine(spell.first_on, time(), UTC)
        days = (spell.last_on - spell.first_on).days + 1
        for day in sorted(random.random() * days for _ in range(self._poisson(habit.a_day * days * seen))):
            at = self._at_work(start + timedelta(days=day))
            arrival = ("", "")
            if came_by is not None:
                campaign = random.choice(words.SEARCH_CAMPAIGNS if came_by == "cpc" else words.SOCIAL_CAMPAIGNS)
                arrival = diary.arrival(came_by, campaign)
            (what,) = random.choices(("page", "paper", "sales page", "request"), habit.weights)
            if what == "paper" and came_by == "paidsocial" and random.random() < 0.4:
                diary.lead_ad(human, at, f"LinkedIn {random.choice(words.CONTENT)}")
            elif what == "paper":
                # Half of all browsers keep the visit to themselves.
                diary.form(human, at, random.choice(words.CONTENT), "/library", arrival, visited=random.random() < 0.5)
            elif what == "request" and rank(human.title) > 0:
                self._request(human, at)
            else:
                diary.visit(human, at, random.choice(words.PAGES if what == "page" else words.SALES_PAGES), arrival)
            came_by = None
        for program in [*self._calendar.webinars, *self._calendar.events]:
            if spell.first_on < program.starts_at.date() <= spell.last_on and random.random() < habit.registers * seen:
                self._take_part(human, program, comes=random.random() < 0.62, not_before=start)

    def _request(self, human: Human, at: datetime) -> None:
        name = self._random.choice(words.HAND_RAISES)
        page = "/pricing" if name == "Pricing Request" else "/demo" if name == "Demo Request" else "/contact"
        self._diary.form(human, at, name, page)

    def _take_part(self, human: Human, program: Program, *, comes: bool, not_before: datetime | None = None) -> None:
        earliest = program.starts_at - timedelta(days=12)
        earliest = earliest if not_before is None else max(earliest, not_before)
        registered = earliest + (program.starts_at - earliest) * self._random.uniform(0, 0.95)
        self._diary.status(human, program, registered, "Registered")
        minutes = self._random.randrange(2, 15)
        if comes:
            self._diary.status(human, program, program.starts_at + timedelta(minutes=minutes), "Attended", success=True)
        else:
            self._diary.status(human, program, program.starts_at + timedelta(hours=3), "No Show")

    def _by_habit(self, human: Human) -> None:
        """
        What somebody does whether or not their firm looks for anything.
        """
        random, diary, firm = self._random, self._diary, human.firm
        is_student = rank(human.title) < 0
        is_bookworm = is_student or random.random() < BOOKWORM_SHARE
        bustle = 1.0 if firm is None else firm.bustle
        if firm is not None and (firm.type or "").startswith("Customer"):
            bustle *= CUSTOMERS_VISIT
        years = HISTORY_DAYS / 365
        for _ in range(self._poisson(years * (BOOKWORM_VISITS_A_YEAR if is_bookworm else VISITS_A_YEAR * bustle))):
            page = random.choices(
                (random.choice(words.PAGES), random.choice(words.SALES_PAGES), random.choice(words.DULL_PAGES)),
                HABIT_PAGES,
            )[0]
            channel = self._channel()
            campaign = random.choice(words.SEARCH_CAMPAIGNS if channel == "cpc" else words.SOCIAL_CAMPAIGNS)
            diary.visit(human, self._any_time(), page, diary.arrival(channel, campaign))
        for _ in range(self._poisson(years * PAPERS_A_YEAR * (STUDENTS_TAKE if is_student else 1.0))):
            arrival = diary.arrival(self._channel(), "brand")
            diary.form(human, self._any_time(), random.choice(words.CONTENT), "/library", arrival)
        if random.random() < 0.012:
            diary.form(human, self._any_time(), "Career Application", "/careers/controller")
        for _ in range(self._poisson(years * WEBINARS_A_YEAR * (STUDENTS_TAKE if is_student else 1.0))):
            self._take_part(human, random.choice(self._calendar.webinars[1:]), comes=random.random() < 0.5)
        if random.random() < 0.04:
            self._take_part(human, random.choice(self._calendar.events), comes=random.random() < 0.6)

    def _mails(self, known: list[Human]) -> None:
        random, diary = self._random, self._diary
        readers = random.sample([human for human in known if not human.opted_out], READERS)
        scanned = {human.firm.key for human in random.sample(readers, 20) if human.firm}
        opens = {human.key: random.choices((0.06, 0.25, 0.6), (50, 35, 15))[0] for human in readers}
        for program in self._calendar.newsletters:
            for human in readers:
                if human.created_at > program.starts_at:
                    continue
                sent = program.starts_at + timedelta(seconds=random.randrange(5_400))
                delivered = diary.mail(human, program, sent)
                late = timedelta(minutes=random.randrange(40, 600)) if random.random() < 0.03 else None
                if human.firm and human.firm.key in scanned:
                    self._scan(human, program, delivered)
                if random.random() < opens[human.key]:
                    opened = delivered + timedelta(minutes=random.randrange(3, 2_800))
                    diary.open(human, program, opened, late=late)
                    if random.random() < 0.17:
                        page = random.choice(words.PAGES)
                        diary.click(
                            human, program, opened + timedelta(seconds=random.randrange(15, 400)), page, late=late
                        )

    def _scan(self, human: Human, program: Program, delivered: datetime) -> None:
        """
        A mail filter opens every link within seconds; the platform notices about half of them.
        """
        noticed = self._random.random() < 0.5
        at = delivered + timedelta(seconds=self._random.randrange(2, 12))
        self._diary.open(human, program, at, bot=noticed)
        for page in self._random.sample(words.PAGES, 3):
            self._diary.click(human, program, at, page, bot=noticed)

    def _channel(self) -> str:
        return self._random.choices(_CHANNELS, _CHANNEL_WEIGHTS)[0]

    def _poisson(self, mean: float) -> int:
        count, left = 0, self._random.expovariate(1)
        while left < mean:
            count += 1
            left += self._random.expovariate(1)
        return count

    def _any_time(self) -> datetime:
        return self._working(self._random.random() * HISTORY_DAYS)

    def _working(self, days_ago: float) -> datetime:
        return self._at_work(self._diary.now - timedelta(days=days_ago))

    def _at_work(self, moment: datetime) -> datetime:
        """
        About that moment or soon after it, mostly on a weekday between seven and nineteen o'clock UTC, never after the
        present.
        """
        if moment.weekday() >= 5 and self._random.random() < 0.85:
            moment += timedelta(days=7 - moment.weekday())
        worked = moment.replace(hour=self._random.randrange(7, 19), minute=self._random.randrange(60))
        worked = worked.replace(second=self._random.randrange(60), microsecond=0)
        while worked > self._diary.now:
            worked -= timedelta(days=1)
        return worked
