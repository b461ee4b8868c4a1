"""
The pieces of ``engagement.yaml`` that judge an account by what is known of it: conditions, tiers, the ideal customer
profile, target lists, fit, buying group, stages. Simple data; what they mean is decided elsewhere.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from config.rulemodel import ApiName, ApiNames, Number, RuleModel, Text, Texts, Whole, YesNo, spelt

NumberFact = Literal[
    "employees",
    "annual_revenue",
    "fit",
    "points",
    "people_count",
    "intent_points",
    "spike_times",
    "requests_count",
    "high_value_count",
    "group_count",
    "in_market_percent",
    "in_market_times",
    "open_deals_count",
    "won_deals_count",
    "lost_deals_count",
]
TextFact = Literal[
    "name", "domain", "type", "industry", "country", "city", "tier", "fit_band", "stage", "trend", "list"
]
Fact = Literal[NumberFact, TextFact]
Part = Literal["purchasing", "technical", "economic", "influencer", "end_user"]
FitBand = Literal["strong", "moderate", "weak"]
Stage = Literal["Awareness", "Consideration", "Decision", "Purchase"]
Points = Annotated[Whole, Field(ge=-100, le=100)]

NUMBER_FACTS: Final[tuple[str, ...]] = get_args(NumberFact)
# What is known before anybody has done anything: all that tiers and fit may look at.
COMPANY_FACTS: Final = ("employees", "annual_revenue", "name", "domain", "type", "industry", "country", "city")
# Stages are decided before lists are made, so they cannot ask for one, nor for themselves.
NOT_YET_AT_STAGES: Final = ("stage", "list")
TESTS: Final = ("equals", "in", "contains", "at_least", "below", "missing")


class AccountCondition(RuleModel):
    """
    One condition on an account: a ``field`` that Headwater knows or an ``extra`` of the customer's own, and one test.
    """

    field: Fact | None = None
    extra: ApiName | None = None
    equals: Text | None = None
    in_: Texts | None = Field(default=None, alias="in")
    contains: Texts | None = None
    at_least: Number | None = None
    below: Number | None = None
    missing: YesNo | None = None
    not_: YesNo = Field(default=False, alias="not")

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if (self.field is None) == (self.extra is None):
            raise ValueError('looks at exactly one of "field", "extra"')
        tests = self.tests()
        if len(tests) != 1:
            raise ValueError(f"needs exactly one test: {', '.join(TESTS)}")
        is_number = self.field in NUMBER_FACTS
        if self.field is not None and is_number != (tests[0] in ("at_least", "below")) and tests[0] != "missing":
            kind = 'a number: write "at_least" or "below"' if is_number else f'a text and has no "{tests[0]}"'
            raise ValueError(f'"{self.field}" is {kind}')
        if self.field == "list" and self.missing is not None:
            raise ValueError('"list" asks for lists by name: write "equals" or "in"')
        return self

    def tests(self) -> list[str]:
        """
        The tests that are given.
        """
        given = {name: getattr(self, "in_" if name == "in" else name) for name in TESTS}
        return [name for name, value in given.items() if value is not None]


Where = Annotated[tuple[AccountCondition, ...], Field(min_length=1)]


def _only(where: Where, known: tuple[str, ...], whose: str) -> None:
    for condition in where:
        if condition.field is not None and condition.field not in known:
            raise ValueError(
                f'{whose} cannot look at "{condition.field}"; it knows {", ".join(known)} and your own fields'
            )


class Tier(RuleModel):
    """
    How much an account is wanted; the first line that fits counts.
    """

    tier: Text
    where: Where

    @model_validator(mode="after")
    def _of_the_company(self) -> Self:
        _only(self.where, COMPANY_FACTS, "a tier")
        return self


class Profile(RuleModel):
    """
    One line of the ideal customer profile: whoever meets all conditions of one line is in it.
    """

    where: Where

    @model_validator(mode="after")
    def _known_by_then(self) -> Self:
        if any(condition.field == "list" for condition in self.where):
            raise ValueError('the profile cannot look at "list": lists are made after it')
        return self


class TargetList(RuleModel):
    """
    A list of accounts that are wanted: ``accounts`` by Salesforce id or domain, more of them in a ``file`` beside the
    rules, and by rule.
    """

    name: Text
    accounts: Texts = ()
    file: Annotated[Text, spelt(r"[\w. -]{1,100}", "file name; the file lies beside the rules")] | None = None
    where: tuple[AccountCondition, ...] = ()
    product: Text | None = None

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not self.accounts and self.file is None and not self.where:
            raise ValueError(f'the list "{self.name}" names nobody: give it accounts, a file, or conditions')
        for member in self.accounts:
            if not is_member(member):
                raise ValueError(f'"{member}" is no Salesforce id and no domain')
        return self


class FitFactor(RuleModel):
    """
    Points of fit for whoever meets all conditions; they may be negative.
    """

    name: Text
    points: Points
    where: Where

    @model_validator(mode="after")
    def _of_the_company(self) -> Self:
        _only(self.where, (*COMPANY_FACTS, "tier"), "a fit factor")
        return self


class Fit(RuleModel):
    """
    How well a company suits what is sold: by factors chosen here, or learnt from won and lost accounts.
    """

    by: Literal["learnt", "rules"]
    start_points: Annotated[Whole, Field(ge=0, le=100)]
    factors: tuple[FitFactor, ...]
    technology_fields: ApiNames
    strong_from: Annotated[Whole, Field(ge=2, le=100)]
    moderate_from: Annotated[Whole, Field(ge=1, le=99)]

    @model_validator(mode="after")
    def _bands_in_order(self) -> Self:
        if self.moderate_from >= self.strong_from:
            raise ValueError('"moderate_from" must be below "strong_from"')
        if self.by == "rules" and not self.factors:
            raise ValueError('"by: rules" needs factors')
        return self


class GroupPart(RuleModel):
    """
    Who fills a part of the buying group: by function and level, as they are read from job titles.
    """

    part: Part
    functions: Texts = ()
    levels: tuple[Literal["c_level", "vp", "director", "other"], ...] = ()

    @model_validator(mode="after")
    def _says_who(self) -> Self:
        if not self.functions and not self.levels:
            raise ValueError(f'the part "{self.part}" names neither functions nor levels')
        return self


class BuyingGroup(RuleModel):
    """
    The parts that a purchase needs, the most wanted first; the first line of ``parts`` that fits a person counts.
    """

    needed: Annotated[tuple[Part, ...], Field(min_length=1)]
    parts: Annotated[tuple[GroupPart, ...], Field(min_length=1)]


class StageLine(RuleModel):
    """
    The buying stage of whoever meets all conditions; the first line that fits counts, without any it is Target.
    """

    stage: Stage
    where: Where

    @model_validator(mode="after")
    def _known_by_then(self) -> Self:
        for condition in self.where:
            if condition.field in NOT_YET_AT_STAGES:
                raise ValueError(
                    f'a stage cannot look at "{condition.field}": stages are decided before lists are made'
                )
        return self


class Qualified(RuleModel):
    """
    What a qualified account has, beside as many active people as ``enter`` takes.
    """

    fit_bands: Annotated[tuple[FitBand, ...], Field(min_length=1)]
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    hold_days: Annotated[Whole, Field(ge=1, le=365)]


def is_member(text: str) -> bool:
    """
    Whether a text is a Salesforce id of an account (15 or 18 characters) or a domain.
    """
    is_id = re.fullmatch(r"001[A-Za-z0-9]{12}([A-Za-z0-9]{3})?", text) is not None
    return is_id or re.fullmatch(r"([A-Za-z0-9_-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{1,62}", text) is not None


def members_in(file: Path) -> Iterator[tuple[int, str]]:
    """
    Line number and text of every member in a list file: one a line, ``#`` begins a remark.
    """
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
        member = line.partition("#")[0].strip()
        if member:
            yield number, member
