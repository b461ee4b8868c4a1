"""
What the made-up company's marketing did in eighteen months: its programs in Marketo and the campaigns tied to them in
Salesforce, one number and one record each.

Pure. Called by ``generate`` before anybody takes part.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from worker.practice.company import words
from worker.practice.company.model import Company, Ref
from worker.practice.marketo.times import spell

FIRST_PROGRAM: Final = 1001


@dataclass(frozen=True)
class Program:
    """
    One program. ``starts_at`` is when its one moment was (a webinar's start); ``campaign`` the Salesforce campaign
    tied to it, None where nobody tied one.
    """

    number: int
    name: str
    channel: str
    starts_at: datetime
    campaign: Ref | None


@dataclass(frozen=True)
class Calendar:
    """
    The programs by kind, newest first; ``partner`` is a Salesforce campaign that Marketo knows nothing of.
    """

    webinars: list[Program]
    events: list[Program]
    content: list[Program]
    newsletters: list[Program]
    search: list[Program]
    social: list[Program]
    partner: Ref


def instant(moment: datetime) -> str:
    """
    A moment as both systems take it.
    """
    return spell(int(moment.timestamp()))


def day(moment: datetime) -> str:
    """
    The moment's UTC day.
    """
    return moment.date().isoformat()


class CalendarMaker:
    """
    Adds programs and campaigns to a company and hands out the program numbers.
    """

    def __init__(self, company: Company) -> None:
        self._company = company
        self._next = FIRST_PROGRAM

    def make(self) -> Calendar:
        """
        The whole calendar.
        """
        now = self._company.now
        noon = now.replace(hour=16, minute=0, second=0, microsecond=0)
        webinars = [
            self._program(name, "Event", "Webinar", noon - timedelta(days=ago), "Webinar", 2_400)
            for name, ago in words.WEBINARS
        ]
        events = [
            self._program(
                f"{name} {(noon - timedelta(days=ago)).year}", "Event", kind, noon - timedelta(days=ago), kind, cost
            )
            for name, ago, kind, cost in words.EVENTS
        ]
        # Only the younger half of the content is tied to a campaign: nobody went back to tie the rest.
        content = [
            self._program(
                name, "Default", "Content", noon - timedelta(days=540 - 60 * i), "Other" if i > 2 else None, 900
            )
            for i, name in enumerate(words.CONTENT)
        ]
        newsletters = [
            self._program(f"Newsletter {month:%B %Y}", "Email", "Email Send", month, "Email" if i < 4 else None, 300)
            for i, month in enumerate(noon - timedelta(days=12 + 30 * k) for k in range(18))
        ]
        search = [
            self._program(
                f"Search {name}", "Default", "Online Advertising", noon - timedelta(days=540), "Advertisement", 92_000
            )
            for name in words.SEARCH_CAMPAIGNS
        ]
        social = [
            self._program(
                f"LinkedIn {name}", "Default", "Online Advertising", noon - timedelta(days=360), "Banner Ads", 27_500
            )
            for name in words.SOCIAL_CAMPAIGNS
        ]
        partner = self._campaign("partner", "Partner Roundtable", "Partners", noon - timedelta(days=75), 4_000)
        return Calendar(webinars, events, content, newsletters, search, social, partner)

    def _program(
        self, name: str, kind: str, channel: str, at: datetime, campaign_type: str | None, cost: int
    ) -> Program:
        number = self._next
        self._next += 1
        campaign = None
        if campaign_type is not None:
            campaign = self._campaign(f"program-{number}", name, campaign_type, at, cost)
        made = instant(at - timedelta(days=28))
        program: dict[str, Any] = {
            "id": number,
            "name": name,
            "type": kind,
            "channel": channel,
            "status": "on" if kind == "Email" else "",
            "createdAt": made,
            "updatedAt": made,
            "costs": [{"startDate": day(at), "cost": cost, "note": ""}],
            "tags": [],
        }
        if campaign is not None:
            program |= {"sfdcId": campaign, "sfdcName": name}
        self._company.programs.append(program)
        return Program(number, name, channel, at, campaign)

    def _campaign(self, key: str, name: str, kind: str, at: datetime, cost: int) -> Ref:
        ref = self._company.add(
            "Campaign",
            key,
            Name=name,
            Type=kind,
            Status="Completed" if at < self._company.now - timedelta(days=3) else "In Progress",
            IsActive=True,
            StartDate=day(at),
            EndDate=day(at + timedelta(days=1)),
            ActualCost=cost,
            BudgetedCost=cost,
            CreatedDate=instant(at - timedelta(days=28)),
        )
        if kind in {"Webinar", "Trade Show", "Conference"}:
            for order, (label, responded) in enumerate(
                (("Registered", True), ("Attended", True), ("No Show", False)), start=3
            ):
                self._company.add(
                    "CampaignMemberStatus",
                    f"{key}-{label}",
                    CampaignId=ref,
                    Label=label,
                    SortOrder=order,
                    HasResponded=responded,
                )
        return ref
