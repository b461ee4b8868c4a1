"""
Writes down what people of the made-up company's market did: one method an act, in the shape the platform records it.

Decides nothing about who does what; ``touches``, ``dirt`` and ``story`` do. An act after the present is not written.
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from worker.practice.company import words
from worker.practice.company.calendar import Program, day, instant
from worker.practice.company.cast import Human
from worker.practice.company.model import STORY, Company, Ref

SITE: Final = f"www.{STORY.own_domain}"

VISIT: Final = 1
FORM: Final = 2
LINK: Final = 3
SENT: Final = 6
DELIVERED: Final = 7
OPEN: Final = 10
CLICK: Final = 11
STATUS: Final = 104
LINKEDIN_FORM: Final = 147

# How a visitor came: the query of the landing address, and the referrer.
ARRIVALS: Final = {
    "cpc": (
        "utm_source=searchfirst&utm_medium=cpc&utm_campaign={campaign}&gclid=practice-{mark}",
        "https://search.example/",
    ),
    "paidsocial": ("utm_source=linkedin&utm_medium=paidsocial&utm_campaign={campaign}", "https://social.example/feed"),
    "organic": ("utm_source=searchfirst&utm_medium=organic", "https://search.example/"),
    "social": ("utm_source=linkedin&utm_medium=social", "https://social.example/feed"),
    "email": ("utm_source=newsletter&utm_medium=email&utm_campaign=newsletter", ""),
    "referral": ("utm_source=ledger-review&utm_medium=referral", "https://ledger-review.example/spend"),
    "direct": ("", ""),
}


class Diary:
    """
    The acts of one company. ``random`` is for details that mean nothing (addresses, seconds).
    """

    def __init__(self, company: Company, random: Random) -> None:
        self._company = company
        self._random = random
        self._assets: dict[str, int] = {}
        self._statuses: dict[tuple[int, int], str] = {}
        self.responses: dict[tuple[Ref, str], tuple[Human, str, datetime]] = {}

    @property
    def now(self) -> datetime:
        """
        The present; nothing is written after it.
        """
        return self._company.now

    def arrival(self, channel: str, campaign: str = "") -> tuple[str, str]:
        """
        Query and referrer of somebody arriving through a channel of ``ARRIVALS``.
        """
        query, referrer = ARRIVALS[channel]
        return query.format(campaign=campaign, mark=f"{self._random.randrange(16**8):08x}"), referrer

    def visit(self, human: Human, at: datetime, page: str, arrival: tuple[str, str] = ("", "")) -> None:
        """
        A page was visited.
        """
        query, referrer = arrival
        attributes = {**self._web(query, referrer), "Webpage URL": page}
        self._act(human, at, VISIT, f"{SITE}{page}", attributes)

    def form(
        self,
        human: Human,
        at: datetime,
        name: str,
        page: str,
        arrival: tuple[str, str] = ("", ""),
        *,
        visited: bool = True,
    ) -> None:
        """
        A form was filled in, on a page that was visited a minute before (unless the visit was blocked).
        """
        query, referrer = arrival
        if visited:
            self.visit(human, at - timedelta(seconds=self._random.randrange(35, 120)), page, arrival)
        attributes = {**self._web(query, referrer), "Webpage ID": self._asset(f"{SITE}{page}")}
        self._act(human, at, FORM, name, attributes)

    def lead_ad(self, human: Human, at: datetime, name: str) -> None:
        """
        A form inside a LinkedIn ad was filled in.
        """
        self._act(human, at, LINKEDIN_FORM, name, {"Lead Gen Form Name": name, "Campaign Name": "LinkedIn"})

    def mail(self, human: Human, program: Program, at: datetime) -> datetime:
        """
        A mail was sent and delivered; the instant of delivery.
        """
        run: dict[str, Any] = {"Campaign Run ID": program.number * 10, "Choice Number": 0, "Step ID": 1}
        delivered = at + timedelta(seconds=self._random.randrange(2, 25))
        self._act(human, at, SENT, f"{program.name}.Mail", run)
        self._act(human, delivered, DELIVERED, f"{program.name}.Mail", run)
        return delivered

    def open(
        self, human: Human, program: Program, at: datetime, *, bot: bool = False, late: timedelta | None = None
    ) -> None:
        """
        A mail was opened; ``late`` is how long after it the platform shows the act.
        """
        self._act(human, at, OPEN, f"{program.name}.Mail", self._reader(bot=bot), late)

    def click(
        self,
        human: Human,
        program: Program,
        at: datetime,
        page: str,
        *,
        bot: bool = False,
        late: timedelta | None = None,
    ) -> None:
        """
        A link of a mail was clicked; ``bot`` is whether the platform took it for a machine's.
        """
        attributes = {**self._reader(bot=bot), "Link": f"https://{SITE}{page}", "Is Predictive": False}
        self._act(human, at, CLICK, f"{program.name}.Mail", attributes, late)

    def status(self, human: Human, program: Program, at: datetime, new: str, *, success: bool = False) -> None:
        """
        Somebody's status in a program changed; noted at the tied campaign too, as the platform's own sync does.
        """
        place = (program.number, human.number)
        old = self._statuses.get(place)
        if at > self.now:
            return
        self._statuses[place] = new
        attributes: dict[str, Any] = {"Old Status": old, "New Status": new, "Success": success, "Acquired By": False}
        attributes |= {"Program Member ID": program.number * 100_000 + human.number, "Reason": "Changed by flow step"}
        self._act(human, at, STATUS, program.name, attributes, primary=program.number)
        member = {"programId": program.number, "leadId": human.number, "statusName": new, "reachedSuccess": success}
        stamps = {"membershipDate": instant(at), "updatedAt": instant(at)}
        self._company.members.append({**member, **stamps})
        if program.campaign is not None:
            self.respond(human, program.campaign, at, new)

    def respond(self, human: Human, campaign: Ref, at: datetime, status: str) -> None:
        """
        A status in a Salesforce campaign; written with the people, because it needs to know lead or contact.
        """
        if at <= self.now and human.standing != "none" and human.tie != "email":
            first = self.responses.get((campaign, human.key), (human, status, at))[2]
            self.responses[campaign, human.key] = (human, status, first)

    def raw(self, activity: dict[str, Any]) -> None:
        """
        Any other activity, as the platform's control takes it.
        """
        self._company.activities.append(activity)

    def _act(
        self,
        human: Human,
        at: datetime,
        kind: int,
        asset: str,
        attributes: dict[str, Any],
        late: timedelta | None = None,
        primary: int | None = None,
    ) -> None:
        if at > self.now or human.number == 0:
            return
        human.created_at = min(human.created_at, at - timedelta(seconds=1))
        activity: dict[str, Any] = {
            "leadId": human.number,
            "activityDate": instant(at),
            "activityTypeId": kind,
            "primaryAttributeValueId": primary or self._asset(asset),
            "primaryAttributeValue": asset,
            "attributes": attributes,
        }
        if late is not None:
            activity["committed_at"] = instant(at + late)
        self._company.activities.append(activity)

    def _asset(self, name: str) -> int:
        return self._assets.setdefault(name, 100 + len(self._assets))

    def _web(self, query: str, referrer: str) -> dict[str, Any]:
        # 192.0.2.0/24 is set aside for examples.
        address = f"192.0.2.{self._random.randrange(1, 255)}"
        return {
            "Client IP Address": address,
            "Query Parameters": query,
            "Referrer URL": referrer or None,
            "User Agent": words.AGENT,
        }

    def _reader(self, *, bot: bool) -> dict[str, Any]:
        return {
            "Is Bot Activity": bot,
            "Bot Activity Pattern": "Time Based Pattern" if bot else "N/A",
            "User Agent": words.BOT_AGENT if bot else words.AGENT,
        }


def member_record(company: Company, key: str, campaign: Ref, who: dict[str, Ref], status: str, at: datetime) -> None:
    """
    A Salesforce campaign member; ``who`` is LeadId, ContactId or both.
    """
    responded = status not in {"Sent", "No Show"}
    company.add(
        "CampaignMember",
        key,
        CampaignId=campaign,
        Status=status,
        HasResponded=responded,
        FirstRespondedDate=day(at) if responded else None,
        CreatedDate=instant(at),
        **who,
    )
