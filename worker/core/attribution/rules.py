"""
The attribution rules as values: which touches count, whose, from when on, and the models' weights.

Carries and checks them; reads no file. ``config`` builds them from YAML, ``path`` and ``allot`` obey them. A model is
weights and never a name that the code asks for: any other model is one more entry.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property
from typing import Final, Literal

from worker.core.attribution.learnings import Learning, LearnRule
from worker.core.errors import Fatal

PathRule = Literal["roles_else_account", "roles", "primary", "account"]
NoTouchRule = Literal["unassigned", "spread"]
Milestone = Literal["first_touch_of_type", "stage"]

MIDDLE: Final = "middle"
BUILT_IN_POSITIONS: Final = ("FT", "LC", "OC", "CW", "LT")

# The weights of a model, as whole numbers without a common divisor, add up to at most this. It keeps every
# denominator within what 128 bits divide exactly. With a half-life the shares of the middle are twelve digits long, so
# the weights may be less fine: still finer than any percentage with four decimals.
FINEST_PARTS: Final = 1_000_000_000
FINEST_PARTS_BY_AGE: Final = 1_000_000

# The same for the weights of channels. What was learnt finer than this is rounded to the second, a share of the whole.
FINEST_CHANNEL_PARTS: Final = 10**15
CHANNEL_UNIT: Final = 10**12

# Weights nearer than this to simple fractions were meant to be those.
NO_MATTER: Final = Fraction(1, 10**12)

MICROSECONDS_A_DAY: Final = 86_400_000_000

# Path positions are kept as bits of one 32-bit number.
MOST_POSITIONS: Final = 32

ELIGIBLE_TYPES: Final = (
    "form",
    "content",
    "webinar_attended",
    "event_attended",
    "demo_request",
    "contact_request",
    "ad_click",
    "campaign_response",
)
RESPONSE_TYPES: Final = ("form", "webinar_attended", "event_attended", "demo_request", "contact_request")


@dataclass(frozen=True)
class Model:
    """
    One way to divide a deal: weights by position name, ``middle`` for the touches that hold none the model weighs.

    Weights may be of any size, they are divided by their sum. The middle's weight is divided equally among its touches;
    with ``half_life_days`` in proportion to 2^(-age/half-life), the age counted back from the clock's instant; with
    ``channel_weights`` each channel on the path gets its weight, divided equally among its touches there (a channel
    that is not named weighs nothing; where none is known the touches count the same).

    With ``learn`` the channels' weights are those of ``learnings``, the oldest first: each deal and clock goes by the
    last one learnt by the clock's instant, and before the first one by that. So a learning moves nothing that was
    settled before it.

    Raises Fatal HW-140 for a weight that is negative or no number, for a sum of zero, for a half-life that is not
    positive or finer than a microsecond, and for more than one of a half-life, channel weights and ``learn``.
    """

    name: str
    weights: Mapping[str, Decimal]
    half_life_days: Decimal | int | None = None
    channel_weights: Mapping[str, Fraction] | None = None
    learn: LearnRule | None = None
    learnings: Sequence[Learning] = ()

    def __post_init__(self) -> None:
        weights = {position: self._checked(position, weight) for position, weight in self.weights.items()}
        object.__setattr__(self, "weights", weights)
        if not sum(weights.values()):
            raise Fatal(
                "HW-140",
                f"model {self.name}: the weights add up to zero, so there is nothing to divide by",
                actions=[f"give at least one position of {self.name} a weight above zero"],
            )
        self._check_the_middle()

    def plain(self) -> "Model":
        """
        The same with weights that divide paths of any length: thirds written with sixteen digits become thirds.

        Raises Fatal HW-140 for weights that are finer than a billionth of their sum (a millionth with a half-life) and
        near no simple fractions. (Weights that one path's own holders share may be finer; ``allot`` says whether they
        still divide it.)
        """
        finest, words = FINEST_PARTS, "a billionth"
        if self.half_life_days is not None:
            finest, words = FINEST_PARTS_BY_AGE, "a millionth"
        if sum(self.parts().values()) > finest:
            whole = sum(Fraction(weight) for weight in self.weights.values())
            exact = {name: Fraction(weight) / whole for name, weight in self.weights.items()}
            simple = {name: share.limit_denominator(1_000) for name, share in exact.items()}
            near = all(abs(simple[name] - exact[name]) < NO_MATTER for name in exact)
            if near and sum(simple.values()) == 1 and all(simple[name] for name in exact if exact[name]):
                parts = _smallest_whole(simple)
                return replace(self, weights={name: Decimal(part) for name, part in parts.items()})
            raise Fatal(
                "HW-140",
                f"model {self.name}: the weights are finer than {words} of their sum",
                actions=["round the weights to at most four decimals of a percent"],
            )
        return self

    def _check_the_middle(self) -> None:
        if self.half_life_days is not None:
            exact = Fraction(self.half_life_days) * MICROSECONDS_A_DAY
            if exact <= 0 or exact.denominator != 1:
                raise Fatal(
                    "HW-140",
                    f"model {self.name}: half_life_days is {self.half_life_days}; it must be above zero and no finer "
                    "than a microsecond",
                )
        given = [each for each in (self.half_life_days, self.channel_weights, self.learn) if each is not None]
        if len(given) > 1:
            raise Fatal(
                "HW-140", f"model {self.name}: of a half-life, channel weights and learnt ones only one can divide"
            )
        for weights in self.weightings():
            if any(weight < 0 for weight in weights.values()) or not any(weights.values()):
                raise Fatal(
                    "HW-140", f"model {self.name}: channel weights must be zero or more, at least one of them more"
                )

    def weightings(self) -> list[Mapping[str, Fraction]]:
        """
        The weights by channel: one set, one for each learning, or none where the model weighs no channels.
        """
        if self.channel_weights is not None:
            return [self.channel_weights]
        return [each.weights for each in self.learnings]

    @cached_property
    def half_life_us(self) -> int | None:
        """
        The half-life in microseconds.
        """
        return None if self.half_life_days is None else int(Fraction(self.half_life_days) * MICROSECONDS_A_DAY)

    def _checked(self, position: str, weight: object) -> Decimal:
        """
        The weight as the person wrote it; a binary float is read back as its shortest decimal text.
        """
        try:
            exact = Decimal(str(weight))
        except InvalidOperation as cause:
            raise Fatal("HW-140", f"model {self.name}: the weight of {position} is no number: {weight!r}") from cause
        if not exact.is_finite() or exact < 0:
            raise Fatal(
                "HW-140",
                f"model {self.name}: the weight of {position} is {weight}; a weight is zero or more",
                actions=[f"set {position} to a number of at least 0, or leave it out"],
            )
        return exact

    def parts(self) -> dict[str, int]:
        """
        The weights above zero as whole numbers without a common divisor, in the order written.
        """
        return dict(self._parts)

    @cached_property
    def _parts(self) -> dict[str, int]:
        return _smallest_whole({position: Fraction(weight) for position, weight in self.weights.items() if weight})


def channel_parts(weights: Mapping[str, Fraction]) -> dict[str, int]:
    """
    Channel weights above zero as whole numbers: exactly, or where they are too fine for that rounded to 10^-12 of their
    sum and exact from there.
    """
    fractions = {channel: weight for channel, weight in weights.items() if weight}
    exact = _smallest_whole(fractions)
    if sum(exact.values()) <= FINEST_CHANNEL_PARTS:
        return exact
    whole = sum(fractions.values())
    rounded = {channel: round(weight / whole * CHANNEL_UNIT) for channel, weight in fractions.items()}
    return {channel: parts for channel, parts in rounded.items() if parts}


def _smallest_whole(fractions: Mapping[str, Fraction]) -> dict[str, int]:
    scale = math.lcm(*(value.denominator for value in fractions.values()))
    whole = {name: int(value * scale) for name, value in fractions.items()}
    divisor = math.gcd(*whole.values())
    return {name: value // divisor for name, value in whole.items()}


@dataclass(frozen=True)
class Position:
    """
    A position defined by rule: its holder is the last touch at or before the milestone, itself included.

    ``first_touch_of_type``: the milestone is the first touch of type ``value`` by the path's people, whatever its team.
    ``stage``: the deal's first entry to the stage ``value``. Named OC, it takes the place of the deal's creation.
    """

    name: str
    milestone: Milestone
    value: str


def _model(name: str, half_life_days: int | None = None, **weights: str) -> Model:
    return Model(name, {position: Decimal(weight) for position, weight in weights.items()}, half_life_days)


DEFAULT_MODELS: Final = (
    _model("first", FT="100"),
    _model("last", LT="100"),
    _model("lead_creation", LC="100"),
    _model("linear", middle="100"),
    _model("u", FT="40", LC="40", middle="20"),
    _model("w", FT="30", LC="30", OC="30", middle="10"),
    _model("full_path", FT="22.5", LC="22.5", OC="22.5", CW="22.5", middle="10"),
    # No position is weighed, so every touch is in the middle, and the half-life divides it.
    _model("time_decay", half_life_days=30, middle="100"),
)


@dataclass(frozen=True)
class AttributionRules:
    """
    Everything that decides a deal's path and credits, under one version.

    Day counts are spans of 24 hours. ``path`` says whose touches: those with a contact role, else the account's people
    with a touch in the ``account_people_days`` before creation; or only ``roles``, only the ``primary`` contact, or
    always the ``account``. ``no_touch`` says what becomes of the weight of a reached milestone without an eligible
    touch. ``eligible_types`` are the types of marketing touches that earn credit, ``response_types`` those that make a
    deal *influenced* within ``influence_days``.

    Raises Fatal HW-141 (a position that does not exist), HW-142 (a name used twice or reserved), HW-143 (a value out
    of range).
    """

    version: str = "1"
    lookback_days: int = 540
    account_people_days: int = 90
    lead_creation_window_days: int = 7
    path: PathRule = "roles_else_account"
    no_touch: NoTouchRule = "unassigned"
    influence_days: int = 90
    eligible_types: Sequence[str] = ELIGIBLE_TYPES
    response_types: Sequence[str] = RESPONSE_TYPES
    positions: Sequence[Position] = ()
    models: Sequence[Model] = field(default=DEFAULT_MODELS)

    def __post_init__(self) -> None:
        for name in ("eligible_types", "response_types", "positions", "models"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_names()
        self._check_values()

    @property
    def position_names(self) -> tuple[str, ...]:
        """
        The five built-in positions, then those defined by rule, in the order written.
        """
        own = tuple(position.name for position in self.positions)
        return BUILT_IN_POSITIONS + tuple(name for name in own if name not in BUILT_IN_POSITIONS)

    def model(self, name: str) -> Model:
        """
        The model of that name. Raises Fatal HW-141 with the nearest name where there is none.
        """
        for model in self.models:
            if model.name == name:
                return model
        raise Fatal("HW-141", f"there is no model {name}{_nearest(name, [model.name for model in self.models])}")

    def taught(self, learnings: Mapping[str, Sequence[Learning]]) -> "AttributionRules":
        """
        The same with what was learnt for the models that are to be learnt, by model; those of which nothing was learnt
        yet are left out.
        """
        models = [
            replace(model, learnings=tuple(learnings[model.name])) if model.learn else model
            for model in self.models
            if model.learn is None or learnings.get(model.name)
        ]
        return replace(self, models=models)

    def _check_names(self) -> None:
        known = self.position_names
        own = [position.name for position in self.positions]
        taken = sorted(set(BUILT_IN_POSITIONS).intersection(p.name for p in self.positions if not _is_creation(p)))
        if taken:
            raise Fatal("HW-142", f"there is a position {taken[0]} already; only OC can be tied to a stage")
        for names, what in ((own, "position"), ([model.name for model in self.models], "model")):
            doubled = sorted({name for name in names if list(names).count(name) > 1})
            if doubled:
                raise Fatal("HW-142", f"two entries have the same {what} name: {', '.join(doubled)}")
            unusable = [name for name in names if not name or ":" in name or name == MIDDLE]
            if unusable:
                raise Fatal("HW-142", f"this cannot be a {what} name: {', '.join(map(repr, unusable))}")
        object.__setattr__(self, "models", tuple(model.plain() for model in self.models))
        for model in self.models:
            for position in model.weights:
                if position != MIDDLE and position not in known:
                    raise Fatal(
                        "HW-141",
                        f"model {model.name} weighs {position}, which is no position{_nearest(position, known)}",
                        actions=[f"define {position} under positions, or use one of: {', '.join(known)}, {MIDDLE}"],
                    )

    def _check_values(self) -> None:
        for name in ("lookback_days", "account_people_days", "lead_creation_window_days", "influence_days"):
            if not 0 <= getattr(self, name) <= 36_500:
                raise Fatal("HW-143", f"{name} is {getattr(self, name)}; it must lie between 0 and 36500")
        if self.account_people_days > self.lookback_days:
            raise Fatal(
                "HW-143",
                f"account_people_days ({self.account_people_days}) is longer than lookback_days ({self.lookback_days})",
                actions=["make lookback_days at least as long as account_people_days"],
            )
        for name, allowed in (
            ("path", ("roles_else_account", "roles", "primary", "account")),
            ("no_touch", ("unassigned", "spread")),
        ):
            if getattr(self, name) not in allowed:
                raise Fatal("HW-143", f"{name} is {getattr(self, name)!r}; it is one of: {', '.join(allowed)}")
        for position in self.positions:
            if position.milestone not in ("first_touch_of_type", "stage") or not position.value:
                raise Fatal(
                    "HW-143",
                    f"position {position.name} has the milestone {position.milestone} {position.value!r}",
                    actions=["use first_touch_of_type or stage, with the type or stage it is about"],
                )
        if not self.models:
            raise Fatal("HW-143", "there is no model, so nothing can be divided", actions=["name at least one model"])
        if len(self.position_names) > MOST_POSITIONS:
            raise Fatal("HW-143", f"{len(self.position_names)} positions are defined; at most {MOST_POSITIONS} can be")


def _is_creation(position: Position) -> bool:
    return position.name == "OC" and position.milestone == "stage"


def _nearest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5) or [
        candidate for candidate in known if candidate.lower() == name.lower()
    ]
    return f". Did you mean {close[0]}?" if close else ""
