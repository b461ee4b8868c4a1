"""
Decides who of the made-up company's market did what in twelve months: times of interest in which several people of a
firm read, came, attended and asked, and the thin traffic between them.

Only people whom Marketo knows act. Called by ``generate``; writes through the diary.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Final

from worker.practice.company import words
from worker.practice.company.calendar import Calendar, Program
from worker.practice.company.cast import NO_BUYERS, Firm, Human
from worker.practice.company.diary import Diary

_CHANNELS: Final = ("cpc", "organic", "paidsocial", "social", "email", "referral", "direct")
_CHANNEL_WEIGHTS: Final = (28, 27, 10, 9, 12, 8, 6)
_YEAR_DAYS: Final = 365
HOT_FIRMS: Final = 32  # whose time of interest ends in the last days
LATEST_DAYS: Final = 9
READERS: Final = 900  # who gets the newsletter


class Market:
    """
    The people of the firms, acting.
    """

    def __init__(self, diary: Diary, calendar: Calendar, random: Random) -> None:
        self._diary = diary
        self._calendar = calendar
        self._random = random

    def plan_bursts(self, firms: list[Firm]) -> None:
        """
        Give firms their times of interest: most have one or none in the year, a few two or three, and a few are in the
        middle of one now.
        """
        for firm in firms:
            for _ in range(self._random.choices((0, 1, 2, 3), (34, 41, 18, 7))[0]):
                firm.bursts.append(self._random.randrange(LATEST_DAYS, _YEAR_DAYS - 40))
        buyers = [firm for firm in firms if firm.type not in NO_BUYERS]
        for firm in self._random.sample(buyers, HOT_FIRMS):
            firm.bursts.append(self._random.randrange(LATEST_DAYS))
        for firm in firms:
            firm.bursts.sort(reverse=True)

    def act(self, firms: list[Firm], humans: list[Human]) -> None:
        """
        Everything that anybody does: bursts, thin traffic, mails, and the partner campaign.
        """
        for firm in firms:
            for ended_days_ago in firm.bursts:
                self._burst(firm, ended_days_ago)
        known = [human for human in humans if human.number]
        for human in known:
            self._thin_traffic(human)
        self._mails(known)
        partners = [human for human in humans if human.firm and (human.firm.type or "").startswith("Customer")]
        for human in self._random.sample(partners, 40):
            at = self._diary.now - timedelta(days=75 - self._random.random() * 20)
            self._diary.respond(human, self._calendar.partner, at, "Responded")

    def _burst(self, firm: Firm, ended_days_ago: int) -> None:
        known = [human for human in firm.humans if human.number]
        if len(known) < 2:
            return
        length = self._random.uniform(14, 34)
        team = self._random.sample(known, min(len(known), self._random.choices((2, 3, 4, 5), (30, 36, 22, 12))[0]))
        start = self._diary.now - timedelta(days=ended_days_ago + length)
        channel = self._channel()
        for place, human in enumerate(team):
            # The first one finds it and brings the others, who mostly come straight to the site.
            came_by = channel if place == 0 else self._random.choice((channel, "direct", "organic", "email"))
            self._interest(human, start + timedelta(days=place * 2.5), length - place * 2.5, came_by)
        if self._random.random() < 0.5:
            asker = max(team, key=lambda human: _rank(human.title))
            at = self._working(ended_days_ago + self._random.random())
            name = self._random.choice(words.HAND_RAISES)
            page = "/pricing" if name == "Pricing Request" else "/demo" if name == "Demo Request" else "/contact"
            self._diary.form(asker, at, name, page)

    def _interest(self, human: Human, start: datetime, length: float, channel: str) -> None:
        random, diary = self._random, self._diary
        campaign = random.choice(words.SEARCH_CAMPAIGNS if channel == "cpc" else words.SOCIAL_CAMPAIGNS)
        arrival = diary.arrival(channel, campaign)
        first = self._at_work(start + timedelta(days=random.random() * 2))
        name = random.choice(words.CONTENT)
        if channel == "paidsocial" and random.random() < 0.4:
            diary.lead_ad(human, first, f"LinkedIn {name}")
        elif random.random() < 0.6:
            diary.form(human, first, name, "/library", arrival)
        else:
            diary.visit(human, first, random.choice(words.PAGES), arrival)
        for _ in range(random.randrange(1, 4)):
            diary.visit(
                human, self._at_work(start + timedelta(days=random.random() * length)), random.choice(words.PAGES)
            )
        for _ in range(random.choices((0, 1, 2), (45, 35, 20))[0]):
            page = random.choice(words.SALES_PAGES)
            diary.visit(human, self._at_work(start + timedelta(days=random.random() * length)), page)
        for program in [*self._calendar.webinars, *self._calendar.events]:
            if start < program.starts_at < start + timedelta(days=length) and random.random() < 0.45:
                self._take_part(human, program, comes=random.random() < 0.62)

    def _take_part(self, human: Human, program: Program, *, comes: bool) -> None:
        registered = program.starts_at - timedelta(
            days=self._random.uniform(0.5, 12), minutes=self._random.randrange(600)
        )
        self._diary.status(human, program, registered, "Registered")
        minutes = self._random.randrange(2, 15)
        if comes:
            self._diary.status(human, program, program.starts_at + timedelta(minutes=minutes), "Attended", success=True)
        else:
            self._diary.status(human, program, program.starts_at + timedelta(hours=3), "No Show")

    def _thin_traffic(self, human: Human) -> None:
        random, diary = self._random, self._diary
        for _ in range(self._poisson(1.1)):
            page = random.choice(words.PAGES) if random.random() < 0.92 else random.choice(words.DULL_PAGES)
            channel = self._channel()
            campaign = random.choice(words.SEARCH_CAMPAIGNS if channel == "cpc" else words.SOCIAL_CAMPAIGNS)
            diary.visit(human, self._any_time(), page, diary.arrival(channel, campaign))
        if random.random() < 0.09:
            diary.form(
                human,
                self._any_time(),
                random.choice(words.CONTENT),
                "/library",
                diary.arrival(self._channel(), "brand"),
            )
        if random.random() < 0.012:
            diary.form(human, self._any_time(), "Career Application", "/careers/controller")
        if random.random() < 0.11:
            self._take_part(human, random.choice(self._calendar.webinars[1:]), comes=random.random() < 0.5)
        if random.random() < 0.04:
            self._take_part(human, random.choice(self._calendar.events), comes=random.random() < 0.6)

    def _mails(self, known: list[Human]) -> None:
        random, diary = self._random, self._diary
        readers = random.sample([human for human in known if not human.opted_out], READERS)
        scanned = {human.firm.key for human in random.sample(readers, 40) if human.firm}
        for program in self._calendar.newsletters:
            for human in readers:
                if human.created_at > program.starts_at:
                    continue
                sent = program.starts_at + timedelta(seconds=random.randrange(5_400))
                delivered = diary.mail(human, program, sent)
                late = timedelta(minutes=random.randrange(40, 600)) if random.random() < 0.03 else None
                if human.firm and human.firm.key in scanned:
                    self._scan(human, program, delivered)
                if random.random() < 0.27:
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
        return self._working(self._random.random() * _YEAR_DAYS)

    def _working(self, days_ago: float) -> datetime:
        return self._at_work(self._diary.now - timedelta(days=days_ago))

    def _at_work(self, moment: datetime) -> datetime:
        """
        About that moment, mostly on a weekday between seven and nineteen o'clock UTC, never after the present.
        """
        if moment.weekday() >= 5 and self._random.random() < 0.85:
            moment -= timedelta(days=moment.weekday() - 4)
        worked = moment.replace(hour=self._random.randrange(7, 19), minute=self._random.randrange(60))
        worked = worked.replace(second=self._random.randrange(60), microsecond=0)
        return worked if worked <= self._diary.now else worked - timedelta(days=1)


def _rank(title: str) -> int:
    """
    How high a title stands, roughly: who of a team would ask for a demo.
    """
    for rank, marks in (
        (3, ("Chief", "CFO", "CEO", "CIO", "VP", "Vice")),
        (2, ("Director", "Head")),
        (1, ("Manager",)),
    ):
        if any(mark in title for mark in marks):
            return rank
    return 0
