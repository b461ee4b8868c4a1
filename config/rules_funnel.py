"""
The shape of ``funnel.yaml``: what the company plans to win, into which groups deals are sorted to see who brings it,
and which deals renew or expand. Reports read it; it decides nothing about any record.
"""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from config.rulemodel import Name, Number, Percent, RuleModel, Text, Texts, Whole, spelt

Period = Annotated[
    Text, spelt(r"\d{4}(-(Q[1-4]|H[12]|\d{2}))?", "period; write 2026, 2026-H1, 2026-Q3 or 2026-07, in quotes")
]


class Group(RuleModel):
    """
    Deals of one kind; the first group that fits a deal is its own. Everything that is given must hold, one value of
    each list is enough; a group of nothing but a name takes the rest.
    """

    name: Name
    teams: Texts = ()
    channels: Texts = ()
    types: Texts = ()


class Target(RuleModel):
    """
    Revenue to be won in a period, in the organisation's own currency, and which share of it each group is to bring.
    """

    period: Period
    revenue: Annotated[Number, Field(gt=0)]
    groups: dict[Name, Percent] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        total = sum(self.groups.values(), Decimal(0))
        if total > 100:
            raise ValueError(f"the groups are to bring {total} % of the revenue, more than all of it")
        return self


class FunnelRules(RuleModel):
    """
    ``funnel.yaml``. The company's own deals of ``baseline_months`` give win rate, size and cycle; what is set here
    stands in their place.
    """

    baseline_months: Annotated[Whole, Field(ge=3, le=60)]
    win_rate_percent: Annotated[Percent, Field(gt=0)] | None
    deal_size: Annotated[Number, Field(gt=0)] | None
    cycle_days: Annotated[Whole, Field(ge=0, le=3_650)] | None
    groups: tuple[Group, ...]
    renewal_types: Texts
    expansion_types: Texts
    targets: tuple[Target, ...]

    @model_validator(mode="after")
    def _known_groups(self) -> Self:
        names = [group.name for group in self.groups]
        for target in self.targets:
            for name in target.groups:
                if name not in names:
                    raise ValueError(f'target {target.period} names a group "{name}"; there are {", ".join(names)}')
        return self
