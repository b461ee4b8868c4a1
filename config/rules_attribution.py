"""
The shape of ``attribution.yaml``: what a touch is, which deals earn credit, whose touches stand on a deal's path, and
how the models weigh them.
"""

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from config.rulemodel import TOO_LONG, Days, Name, Number, Percent, RuleModel, Text, Texts, Whole, YesNo, is_endless
from config.rules_touches import (
    Attributes,
    ChannelRule,
    Machines,
    Members,
    TakeRule,
    TouchRule,
    TouchType,
)

POSITIONS: Final = ("FT", "LC", "OC", "CW", "LT")
MIDDLE: Final = "middle"
CREATION: Final = "OC"  # the one built-in position that a rule may tie to a stage

ChannelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]


def _written_number(value: Any) -> Any:
    """
    A number in quotes as that number; what is none stays as it is and is refused where a number is expected.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    return value


def _as_part(value: Any) -> Any:
    """
    A number, or one over another as "1/3".
    """
    if is_endless(value):
        raise ValueError(TOO_LONG)
    if isinstance(value, str) and _PART.fullmatch(value.strip()):
        value = Fraction(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | Decimal | Fraction):
        raise ValueError('a number is expected, as 0.25 or "1/3"')  # noqa: TRY004 - pydantic reports only ValueError
    if value < 0:
        raise ValueError("must be at least 0")
    return Fraction(value)


def _times(weight: Any, scale: int) -> Any:
    number = _written_number(weight)
    if isinstance(number, Fraction):
        return int(number * scale)
    return number * scale if isinstance(number, int | Decimal) and not isinstance(number, bool) else number


_PART: Final = re.compile(r"\d+(\.\d*)?|\d+/[1-9]\d*")
_FRACTION: Final = re.compile(r"\d{1,6}/[1-9]\d{0,2}")
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_MILESTONE: Final = re.compile(r"^(?:first touch of type (?P<type>\S.*)|stage (?P<stage>\S.*))$")

# How the touches in the middle may share its weight, other than equally.
_OF_THE_MIDDLE: Final = ("half_life_days", "channels", "learn")

Weight = Annotated[Number, BeforeValidator(_written_number), Field(ge=0, le=1_000_000)]
ChannelWeight = Annotated[Any, BeforeValidator(_as_part)]
HalfLife = Annotated[Number, BeforeValidator(_written_number), Field(gt=0, le=3_650, decimal_places=6)]


class PathRules(RuleModel):
    """
    Whose touches, and from when on, stand on a deal's path.
    """

    lookback_days: Days
    people: Literal["roles_else_account", "roles", "primary", "account"]
    account_basis_days: Days
    lead_creation_after_days: Annotated[Whole, Field(ge=0, le=365)]


class Milestone(RuleModel):
    """
    What a position of one's own is tied to: the first touch of a type, or the entry to a stage. One of the two is set.
    """

    touch_type: Text | None = None
    stage: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if not isinstance(value, dict) or set(value) != {"milestone"}:
            return value
        found = _MILESTONE.match(str(value["milestone"]).strip())
        if found is None:
            raise ValueError('write "first touch of type demo_request" or "stage Negotiation"')
        return {"touch_type": found["type"], "stage": found["stage"]}

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.touch_type is None) == (self.stage is None):
            raise ValueError('needs "milestone: first touch of type ..." or "milestone: stage ..."')
        return self


class Model(RuleModel):
    """
    Weights by position; they are divided by their sum. Touches at no position that has a weight share ``middle``.

    A weight may be written as "1/3". With ``half_life_days`` they share it by age, each 2^(-age/half-life), instead of
    equally; with ``channels`` by the weight of each one's channel; with ``learn`` by weights that are learnt each month
    from the deals closed in the ``over_months`` before. Each of the three may stand alone: then every touch is in the
    middle.
    """

    weights: dict[Name, Weight] = Field(default_factory=dict)
    half_life_days: HalfLife | None = None
    channels: dict[Text, ChannelWeight] | None = None
    learn: Literal["markov", "shapley"] | None = None
    over_months: Annotated[Whole, Field(ge=1, le=60)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_whole_parts(cls, value: Any) -> Any:
        """
        Thirds have no decimals, but only proportions count: where a weight is a fraction, all are multiplied.
        """
        weights = value.get("weights") if isinstance(value, dict) else None
        if not isinstance(weights, dict):
            return value
        fractions = {
            name: Fraction(weight)
            for name, weight in weights.items()
            if isinstance(weight, str) and _FRACTION.fullmatch(weight.strip())
        }
        scale = math.lcm(*(weight.denominator for weight in fractions.values()))
        return value | {
            "weights": {name: _times(fractions.get(name, weight), scale) for name, weight in weights.items()}
        }

    @model_validator(mode="before")
    @classmethod
    def _all_in_the_middle(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "weights" in value:
            return value
        alone = any(value.get(key) is not None for key in _OF_THE_MIDDLE)
        return {"weights": {MIDDLE: Decimal(1)}, **value} if alone else value

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        if not self.weights:
            raise ValueError('needs "weights", "half_life_days", "channels" or "learn"')
        if not sum(self.weights.values()):
            raise ValueError("the weights add up to nothing; at least one must be above 0")
        given = [key for key in _OF_THE_MIDDLE if getattr(self, key) is not None]
        if given and not self.weights.get(MIDDLE):
            raise ValueError(f'"{given[0]}" needs a weight for "middle"')
        if len(given) > 1:
            raise ValueError(f'"{given[0]}" and "{given[1]}" both say how the middle is divided; keep one')
        if self.channels is not None and not sum(self.channels.values()):
            raise ValueError("the channels' weights add up to nothing; at least one must be above 0")
        if self.over_months is not None and self.learn is None:
            raise ValueError('"over_months" says what is learnt from; it needs "learn: markov" or "learn: shapley"')
        return self


class Deals(RuleModel):
    """
    Which deals earn credit. What is left out is reported apart. An empty amount is not zero and stays in.
    """

    exclude_types: Texts
    exclude_record_types: Texts
    exclude_stages: Texts
    exclude_names: Texts = ()  # rules that were stored before it came lack the key
    include_zero_amount: YesNo
    minimum_amount: Annotated[Number, Field(ge=0)] | None


class AttributionRules(RuleModel):
    """
    ``attribution.yaml``. Models and positions that are switched ``off`` are absent.
    """

    types: dict[Name, TouchType]
    attributes: Attributes
    machines: Machines
    touches: tuple[TouchRule, ...]
    members: Members
    channels: tuple[ChannelRule, ...]
    mediums: dict[Text, ChannelName]
    empty_medium: ChannelName
    other_channel: ChannelName
    other_warning_percent: Percent
    offers: tuple[TakeRule, ...]
    # Rules that were stored before campaigns could be taken from anything else lack the key.
    campaigns: tuple[TakeRule, ...] = (TakeRule(take=("campaign_name",)),)
    utm_campaigns: dict[Text, Text] = Field(default_factory=dict)
    same_touch_hours: Annotated[Whole, Field(ge=0, le=720)]
    path: PathRules
    influence_days: Days
    no_touch: Literal["unassigned", "spread"]
    positions: dict[Name, Milestone]
    models: dict[Name, Model]
    write_model: Name
    deals: Deals

    @model_validator(mode="before")
    @classmethod
    def _without_off(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kept = dict(value)
        for key in ("models", "positions", "mediums", "utm_campaigns"):
            if isinstance(kept.get(key), dict):
                kept[key] = {name: rule for name, rule in kept[key].items() if rule != "off"}
        return kept

    @model_validator(mode="after")
    def _tables_are_lower_case(self) -> Self:
        for key, table in (("mediums", self.mediums), ("utm_campaigns", self.utm_campaigns)):
            upper = sorted(spelt for spelt in table if spelt != spelt.lower())
            if upper:
                raise ValueError(f'"{key}" are compared in any case and written in lower case: "{upper[0].lower()}"')
        return self

    @property
    def eligible_types(self) -> frozenset[str]:
        """
        The touch types that may earn credit.
        """
        return frozenset(name for name, kind in self.types.items() if kind.eligible)

    @property
    def response_types(self) -> frozenset[str]:
        """
        The touch types that count for "influenced".
        """
        return frozenset(name for name, kind in self.types.items() if kind.response)
