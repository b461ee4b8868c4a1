"""
Draws the made-up company's firms and the people who work there, as they are before anything happens.

Pure: a ``Random`` and the moment in, firms and humans out. What they do is ``touches``' business, how they stand in
the two systems ``records``'.
"""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final, Literal

from worker.practice.company import words
from worker.practice.company.interest import Interest
from worker.practice.company.model import HISTORY_DAYS, STORY
from worker.practice.company.words import Tongue

FIRMS: Final = 400
HUMANS: Final = 5_000
UNATTACHED: Final = 520  # of them: no firm among the 400

# Firms of these types are nobody's prospects.
NO_BUYERS: Final = frozenset({"Channel Partner / Reseller", "Technology Partner", "Competitor", "Test"})

TEAM: Final = 5

# How a human stands in Salesforce and how Marketo is tied to it.
Standing = Literal["contact", "lead", "converted", "none"]
Tie = Literal["id", "email", "absent"]

_SPELLINGS: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "ı": "i", "đ": "d"})
_ROMAN: Final = {"みどり": "midori", "ひかり": "hikari"}


@dataclass
class Firm:
    """
    One account. ``team`` are those who look when it looks for something, in the order in which they join; ``bustle``
    is how much its people do by habit, 1 in the middle.
    """

    key: str
    name: str
    domain: str
    trade: str
    employees: int
    type: str | None
    tongue: Tongue
    city: str
    country: str
    created_at: datetime
    owner: str
    parent: str | None = None
    humans: list["Human"] = field(default_factory=list)
    team: list["Human"] = field(default_factory=list)
    bustle: float = 1.0
    interest: Interest | None = None

    @property
    def appetite(self) -> float:
        """
        How readily it opens an opportunity, 1 in the middle: the larger the readier.
        """
        return 0.4 if self.employees < 50 else 2.0 if self.employees >= 1_000 else 1.0


@dataclass
class Human:
    """
    One person and how the two systems know them. ``number`` is the Marketo person's id, 0 if Marketo has none;
    ``synced_after`` is how long after Marketo Salesforce got the lead.
    """

    key: str
    given: str
    family: str
    title: str
    role: str
    email: str | None
    company: str
    firm: Firm | None
    standing: Standing
    tie: Tie
    created_at: datetime
    number: int = 0
    source: str = "Web"
    phone: str | None = None
    opted_out: bool = False
    converted_at: datetime | None = None
    deal: str | None = None
    synced_after: timedelta = timedelta(minutes=7)


def ascii_slug(text: str) -> str:
    """
    A text as it would stand in an address: lower-case ASCII letters, digits and hyphens.
    """
    for word, roman in _ROMAN.items():
        text = text.replace(word, roman)
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLINGS)).encode("ascii", "ignore").decode().lower()
    kept = "".join(c if c.isalnum() else "-" for c in plain)
    return "-".join(part for part in kept.split("-") if part)


def pick(random: Random, weighted: tuple[tuple[object, int], ...]) -> object:
    """
    One of some things, each with its weight.
    """
    return random.choices([thing for thing, _ in weighted], [weight for _, weight in weighted])[0]


def cast_firms(random: Random, now: datetime, owners: list[str]) -> list[Firm]:
    """
    The firms: the two of the story first, then prospects, customers, partners, competitors, tests.
    """
    firms: list[Firm] = []
    taken: set[str] = set()
    for name, domain, trade in (
        (STORY.account, STORY.account_domain, "Machinery"),
        (STORY.deal_account, STORY.deal_domain, "Food & Beverage"),
    ):
        firms.append(
            Firm(
                key=f"firm-{len(firms)}",
                name=name,
                domain=domain,
                trade=trade,
                employees=640 if name == STORY.account else 1_900,
                type="Prospect" if name == STORY.account else "Customer - Direct",
                tongue=words.ENGLISH,
                city="Columbus" if name == STORY.account else "Chicago",
                country="United States",
                created_at=now - timedelta(days=610),
                owner=owners[0],
            )
        )
        taken.add(domain)
    while len(firms) < FIRMS:
        firm = _draw_firm(random, now, owners, len(firms))
        if firm.domain not in taken:
            taken.add(firm.domain)
            firms.append(firm)
    for firm in random.sample(firms[2:], 24):
        firm.parent = random.choice([other for other in firms[2:60] if other is not firm]).key
    for firm in firms[2:60]:
        firm.parent = None
    return firms


_TYPES: Final = (
    ("Prospect", 62),
    ("Customer - Direct", 22),
    ("Customer - Channel", 3),
    ("Channel Partner / Reseller", 4),
    ("Technology Partner", 2),
    ("Competitor", 2),
    (None, 5),
)


def _draw_firm(random: Random, now: datetime, owners: list[str], index: int) -> Firm:
    tongue = pick(random, words.TONGUES)
    assert isinstance(tongue, Tongue)  # noqa: S101  (pick is for any kind of thing)
    second, trade = random.choice(words.TRADES)
    first = random.choice(words.FIRM_FIRST if tongue is words.ENGLISH else words.FIRM_FIRST + words.FIRM_LOCAL)
    form = random.choice(tongue.forms)
    city, country = random.choice(tongue.places)
    kind = pick(random, _TYPES)
    return Firm(
        key=f"firm-{index}",
        name=f"{first} {second} {form}".strip(),
        domain=f"{ascii_slug(f'{first} {second}')}.example",
        trade=trade,
        employees=max(4, int(random.lognormvariate(5.6, 1.35))),
        type=None if kind is None else str(kind),
        tongue=tongue,
        city=city,
        country=country,
        created_at=now - timedelta(days=random.uniform(HISTORY_DAYS + 10, 1_500)),
        owner=random.choice(owners),
        bustle=random.lognormvariate(0, 1.0),
    )


def cast_humans(random: Random, now: datetime, firms: list[Firm]) -> list[Human]:
    """
    The people: of each firm by its size, then those of no firm.
    """
    weights = [min(60.0, 3 + firm.employees**0.42) for firm in firms]
    share = (HUMANS - UNATTACHED) / sum(weights)
    humans: list[Human] = []
    for firm, weight in zip(firms, weights, strict=True):
        for _ in range(max(3, round(weight * share))):
            human = draw_human(random, now, firm, len(humans))
            firm.humans.append(human)
            humans.append(human)
    humans += [_draw_stranger(random, now, index) for index in range(len(humans), HUMANS)]
    return humans


def draw_human(random: Random, now: datetime, firm: Firm, index: int) -> Human:
    """
    A person who works at a firm.
    """
    given, family = random.choice(firm.tongue.given), random.choice(firm.tongue.family)
    titles = tuple(((title, role), weight) for title, weight, role in words.TITLES)
    chosen = pick(random, titles)
    assert isinstance(chosen, tuple)  # noqa: S101  (pick is for any kind of thing)
    title, role = chosen
    known = firm.type is not None and firm.type.startswith("Customer")
    standing = random.choices(("contact", "lead", "converted", "none"), (46, 28, 12, 14) if known else (26, 48, 8, 18))[
        0
    ]
    tie = random.choices(("id", "email", "absent"), (82, 10, 8))[0] if standing != "none" else "email"
    number = f"{firm.tongue.dialling}{random.randrange(100, 1000)}"
    return Human(
        key=f"human-{index}",
        given=given[0],
        family=family[0],
        title=str(title),
        role=str(role),
        # Two of the same name at one firm have different addresses, as a mail system sees to it.
        email=f"{given[1]}.{family[1]}{_suffix(firm, given[1], family[1])}@{firm.domain}",
        company=firm.name,
        firm=firm,
        standing=standing,  # type: ignore[arg-type]  # choices forgets that these are literals
        tie=tie,  # type: ignore[arg-type]  # the same
        created_at=max(firm.created_at, now - timedelta(days=random.uniform(20, 1_100))),
        source=str(pick(random, (("Web", 50), ("Purchased List", 14), ("Trade Show", 12), ("Partner Referral", 8)))),
        phone=number if random.random() < 0.6 else None,
        opted_out=random.random() < 0.03,
        # A quarter go over only when marketing finds them ready.
        synced_after=timedelta(days=random.uniform(1, 45)) if random.random() < 0.25 else timedelta(minutes=7),
    )


def _suffix(firm: Firm, given: str, family: str) -> str:
    start = f"{given}.{family}"
    same = sum(
        1 for human in firm.humans if human.email and human.email.rsplit("@", 1)[0].rstrip("0123456789") == start
    )
    return str(same + 1) if same else ""


def form_teams(random: Random, firms: list[Firm]) -> None:
    """
    Say who looks when a firm looks for something: up to five of those whom Marketo knows, the most senior of them not
    before the fourth.
    """
    for firm in firms:
        known = [human for human in firm.humans if human.number and rank(human.title) >= 0]
        team = random.sample(known, min(len(known), TEAM))
        if len(team) > 1:
            senior = max(team[1:], key=lambda human: rank(human.title))
            team.remove(senior)
            team.insert(3, senior)
        firm.team = team


def rank(title: str) -> int:
    """
    How high a title stands, roughly: 3 to 0; -1 is somebody who is there to learn.
    """
    for place, marks in (
        (-1, ("Student",)),
        (3, ("Chief", "CFO", "CEO", "CIO", "VP", "Vice")),
        (2, ("Director", "Head")),
        (1, ("Manager",)),
    ):
        if any(mark in title for mark in marks):
            return place
    return 0


def _draw_stranger(random: Random, now: datetime, index: int) -> Human:
    """
    Somebody of no firm among the accounts: a small firm's, a student, free mail only, made-up input.
    """
    tongue = pick(random, words.TONGUES)
    assert isinstance(tongue, Tongue)  # noqa: S101  (pick is for any kind of thing)
    given, family = random.choice(tongue.given), random.choice(tongue.family)
    strange = random.random() < 0.2
    free = random.random() < 0.55
    company = (
        f"{random.choice(words.FIRM_FIRST)} {random.choice(('Studio', 'Partners', 'Advisory', 'Works', 'Trading'))}"
    )
    host = random.choice(STORY.free_mail_domains) if free else f"{ascii_slug(company)}.example"
    lead = random.random() < 0.7
    return Human(
        key=f"human-{index}",
        given=given[0],
        family=family[0],
        title=random.choice(words.STRANGE_TITLES) if strange else random.choice(words.TITLES)[0],
        role="Other",
        email=f"{given[1]}.{family[1]}{index}@{host}",
        company="n/a" if strange else company,
        firm=None,
        standing="lead" if lead else "none",
        tie="email" if not lead or random.random() < 0.3 else "id",
        created_at=now - timedelta(days=random.uniform(3, 800)),
        source="Web",
    )
