"""
The shape of ``service.yaml``: whose company this is, how the two systems are read, how much may be written at once.
"""

from datetime import date
from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator

from config.rulemodel import Count, Day, Domains, Percent, RuleModel, Text, Whole, spelt


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


class Org(RuleModel):
    """
    The company. ``timezone`` decides which day a date-only act falls on; ``currency`` is the corporate one.
    """

    name: Text
    timezone: Text
    currency: Annotated[Text, spelt(r"[A-Z]{3}", "currency; write its three letters, as EUR")]
    own_domains: Domains

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in _zones():
            raise ValueError(f'"{value}" is no time zone; write it as Europe/Berlin')
        return value


class SalesforceRules(RuleModel):
    """
    How Salesforce is read. Percentages are of the org's API calls in its rolling day: what all others are always left,
    and what we use at most.
    """

    api_version: Annotated[Text, spelt(r"[0-9]{2,3}\.0", "API version; write 64.0")]
    api_floor_percent: Annotated[Percent, Field(lt=100)]
    api_cap_percent: Annotated[Percent, Field(gt=0)]
    logins_per_hour: Annotated[Whole, Field(ge=1, le=3_600)]
    overlap_minutes: Annotated[Whole, Field(ge=1, le=1_440)]
    bulk_above_rows: Count


class MarketingPlatform(RuleModel):
    """
    How the marketing platform is read; ``kind`` none means there is none yet.
    """

    kind: Literal["marketo", "none"]
    start_on: Annotated[date, Day]


class Cycle(RuleModel):
    """
    How often everything is looked at.
    """

    every_minutes: Annotated[Whole, Field(ge=1, le=1_440)]


class Writes(RuleModel):
    """
    How much one run may change before a person has to approve it, and from how many records on a Bulk job sends them.
    """

    guard_percent: Annotated[Percent, Field(gt=0)]
    guard_flips: Count
    guard_floor_records: Annotated[Whole, Field(ge=0, le=1_000_000)]
    bulk_above_records: Annotated[Whole, Field(ge=1, le=1_000_000)]


class ServiceRules(RuleModel):
    """
    ``service.yaml``.
    """

    org: Org
    salesforce: SalesforceRules
    marketing_platform: MarketingPlatform
    cycle: Cycle
    writes: Writes
