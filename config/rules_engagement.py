"""
The shape of ``engagement.yaml``: what an act is worth, and when an account counts as engaged.

Touch types are named in ``attribution.yaml``; that they exist there is checked by ``config.crosschecks``.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.rulemodel import (
    ApiNames,
    Count,
    Days,
    Domains,
    Name,
    Names,
    NotNegative,
    Number,
    RuleModel,
    Text,
    Texts,
    Whole,
    YesNo,
)
from config.rules_accounts import BuyingGroup, Fit, Profile, Qualified, StageLine, TargetList, Tier

Level = Literal["c_level", "vp", "director", "other", "student"]
Weight = Annotated[Number, Field(ge=0, le=10)]
PointCount = Annotated[NotNegative, Field(le=1_000)]


class Points(RuleModel):
    """
    What one act of a type is worth. ``most_points`` a day (``per_days`` 1) or a week (7) is the cap, both or neither.

    A cap holds per person; for an act without a person, per account.
    """

    points: PointCount
    most_points: NotNegative | None = None
    per_days: Literal[1, 7] | None = None

    @model_validator(mode="after")
    def _cap_is_whole(self) -> Self:
        if (self.most_points is None) != (self.per_days is None):
            raise ValueError('a cap needs both "most_points" and "per_days"')
        return self


class TitleLevel(RuleModel):
    """
    Words and phrases of a job title that put a person on a level: whole words, any case, before the built-in reading.
    """

    level: Level
    words: Annotated[Texts, Field(min_length=1)]


class Enter(RuleModel):
    """
    What an account needs, all of it together, to become engaged.
    """

    points: Annotated[NotNegative, Field(gt=0)]
    people_count: Count
    small_company_people_count: Count
    small_company_employees_below: Annotated[Whole, Field(ge=0)]
    human_act_within_days: Days
    targets_only: YesNo


class Stay(RuleModel):
    """
    What keeps it engaged: fewer points than entering takes, and a least time, so that no flag flickers.
    """

    points: Annotated[NotNegative, Field(gt=0)]
    hold_days: Annotated[Whole, Field(ge=1, le=365)]


class Band(RuleModel):
    """
    From how many points on an account is in a band.
    """

    band: Literal["High", "Medium", "Low"]
    from_points: Annotated[NotNegative, Field(gt=0)]


class AccountActs(RuleModel):
    """
    Acts without a known person: they add depth, up to a part of the points that entering takes, and never people.
    """

    cap_percent: Annotated[Whole, Field(ge=0, le=100)]


class Exclude(RuleModel):
    """
    Accounts that never count as engaged, and people whose acts never count.
    """

    account_types: Texts
    domains: Domains
    tracking_opt_out_fields: ApiNames
    email_opt_out: YesNo


class Spike(RuleModel):
    """
    What makes a week a peak: so many points and people, and so many times the mean of the four weeks before.
    """

    points: Annotated[NotNegative, Field(gt=0)]
    people_count: Count
    times: Annotated[Number, Field(ge=1, le=100)]


class Intent(RuleModel):
    """
    The types of acts that show research, and what a spike is.
    """

    types: Names
    spike: Spike


class EngagementRules(RuleModel):
    """
    ``engagement.yaml``.
    """

    window_days: Days
    half_life_days: Days
    points: dict[Name, Points]
    act_now: Names
    supporting_types: Names
    level_weights: dict[Level, Weight]
    role_weights: dict[Text, Weight]
    tier_weights: dict[Text, Weight]
    title_levels: tuple[TitleLevel, ...]
    enter: Enter
    stay: Stay
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    account_acts: AccountActs
    exclude: Exclude
    alert_every_days: Days
    intent: Intent
    tiers: tuple[Tier, ...]
    profile: tuple[Profile, ...]
    target_lists: tuple[TargetList, ...]
    fit: Fit
    buying_group: BuyingGroup
    stages: tuple[StageLine, ...]
    qualified: Qualified

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stay.points > self.enter.points:
            raise ValueError('"stay.points" is above "enter.points": a flag would fall the moment it is set')
        thresholds = [band.from_points for band in self.bands]
        if thresholds != sorted(set(thresholds), reverse=True):
            raise ValueError('"bands" must go from the highest "from_points" to the lowest, each only once')
        if len({band.band for band in self.bands}) != len(self.bands):
            raise ValueError('"bands" names a band twice')
        names = [each.name for each in self.target_lists]
        if len(set(names)) != len(names):
            raise ValueError('"target_lists" names a list twice')
        return self
