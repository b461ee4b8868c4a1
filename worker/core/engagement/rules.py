"""
The rules of engagement as values: points, weights, thresholds, bands. A rule file makes one of these for each version.

Nothing here computes a score (``points``, ``flags``) and nothing reads a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from worker.core.errors import Fatal

Number = int | float | Decimal

ACT_NOW_TYPES: Final = frozenset({"demo_request", "pricing_request", "contact_request"})
LEVELS: Final = ("c_level", "vp", "director", "other", "student")
NO_BAND: Final = "None"


@dataclass(frozen=True)
class ActRule:
    """
    What one act of a type is worth. A person's acts of the type count up to ``cap`` points a ``per`` (day or week, from
    Monday; days are UTC), the latest first; account acts, which have no person, count so for the account.
    """

    points: Number
    cap: Number | None = None
    per: str = "day"

    def __post_init__(self) -> None:
        if self.points < 0 or (self.cap is not None and self.cap < 0):
            raise Fatal("HW-150", f"an act's points and cap must not be negative: {self.points}, {self.cap}")
        if self.per not in ("day", "week"):
            raise Fatal("HW-150", f"a cap is per day or per week, not per {self.per!r}")


_DEFAULT_ACTS: Final[Mapping[str, ActRule]] = MappingProxyType(
    {
        "email_open": ActRule(0),
        "email_click": ActRule(1, cap=3, per="week"),
        "visit": ActRule(1, cap=1),
        "high_value_page": ActRule(5, cap=5),
        "content": ActRule(5),
        "form": ActRule(10),
        "campaign_response": ActRule(10),
        "webinar_registered": ActRule(2),
        "webinar_attended": ActRule(15),
        "event_attended": ActRule(20),
        "ad_click": ActRule(1),
        "surge": ActRule(5, cap=10, per="week"),
        # As many points as it takes to enter, so that the flag outlives its hold and lapses as the request grows old.
        "demo_request": ActRule(50),
        "pricing_request": ActRule(50),
        "contact_request": ActRule(50),
    }
)
_DEFAULT_LEVELS: Final[Mapping[str, Number]] = MappingProxyType(
    {"c_level": Decimal("1.5"), "vp": Decimal("1.5"), "director": Decimal("1.25"), "other": 1, "student": 0}
)
_EXCLUDED: Final = frozenset(
    {"partner", "channel partner / reseller", "reseller", "competitor", "agency", "internal", "test"}
)


@dataclass(frozen=True)
class EngagementRules:
    """
    One version of the rules. Points are points (not thousandths), ``bands`` go from the highest threshold down.

    An account enters at ``enter_points`` and ``enter_people`` (``small_company_people`` where it is known to have
    fewer than ``small_company_employees``) with an act by a person in the last ``human_act_days``; it stays at
    ``stay_points``, and for ``hold_days`` in any case. Types in ``act_now`` engage at once, for that long. Types in
    ``supporting`` (the meetings and calls of sales) may earn points where ``acts`` says so and never engage by
    themselves. Account acts count up to ``account_acts_cap_percent`` of ``enter_points``. ``until_step_days``: the
    written date follows only such a move. Whoever turns engaged is worth an alert at most every ``alert_days``. With
    ``targets_only`` only accounts of the ideal customer profile or of a target list enter. ``intent`` names the types
    that show research. A spike has ``spike_points`` and ``spike_people`` in a week, ``spike_times`` the mean of four.
    """

    version: str = "default"
    window_days: int = 90
    half_life_days: int = 30
    # A mapping has no hash; the rest has, so that what is made of rules can be made once a version.
    acts: Mapping[str, ActRule] = field(default_factory=lambda: _DEFAULT_ACTS, hash=False)
    act_now: frozenset[str] = ACT_NOW_TYPES
    supporting: frozenset[str] = frozenset({"meeting", "call", "sales_email"})
    level_weights: Mapping[str, Number] = field(default_factory=lambda: _DEFAULT_LEVELS, hash=False)
    role_weights: Mapping[str, Number] = field(default_factory=dict, hash=False)
    tier_weights: Mapping[str, Number] = field(default_factory=dict, hash=False)
    enter_points: Number = 50
    enter_people: int = 2
    small_company_employees: int = 50
    small_company_people: int = 1
    human_act_days: int = 14
    stay_points: Number = 25
    hold_days: int = 14
    bands: tuple[tuple[str, Number], ...] = (("High", 100), ("Medium", 50), ("Low", 10))
    excluded_types: frozenset[str] = _EXCLUDED
    account_acts_cap_percent: int = 40
    until_step_days: int = 7
    alert_days: int = 90
    targets_only: bool = False
    intent: frozenset[str] = frozenset({"surge"})
    spike_points: Number = 20
    spike_people: int = 2
    spike_times: Number = 2

    def __post_init__(self) -> None:
        for name in ("acts", "level_weights", "role_weights", "tier_weights"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "excluded_types", frozenset(name.strip().lower() for name in self.excluded_types))
        for problem in self._problems():
            raise Fatal("HW-150", f"engagement rules {self.version!r}: {problem}")

    def _problems(self) -> list[str]:
        days = ("window_days", "half_life_days", "human_act_days", "hold_days", "alert_days")
        whole = ("enter_people", "small_company_people", "spike_people")
        found = [f"{name} must be 1 or more" for name in (*days, *whole) if getattr(self, name) < 1]
        if not 0 < self.stay_points <= self.enter_points:
            found.append("stay_points must be above 0 and not above enter_points, or the flag would flicker")
        if self.spike_times < 1 or self.spike_points <= 0:
            found.append("a spike has more than 0 points and is at least once the mean")
        if not 0 <= self.account_acts_cap_percent <= 100:
            found.append("account_acts_cap_percent must be 0 to 100")
        floors = [floor for _, floor in self.bands]
        if floors != sorted(floors, reverse=True) or any(floor <= 0 for floor in floors):
            found.append("bands must go from the highest threshold down, all above 0")
        for name in ("level_weights", "role_weights", "tier_weights"):
            found.extend(
                f"{name}: the weight of {word!r} must be 0 to 10"
                for word, weight in getattr(self, name).items()
                if not 0 <= weight <= 10
            )
        found.extend(f"act_now: {name!r} has no points" for name in sorted(self.act_now) if not self._earns(name))
        found.extend(
            f"acts: {name!r} may have at most 1000 points" for name, act in self.acts.items() if act.points > 1000
        )
        return found

    def _earns(self, name: str) -> bool:
        return name in self.acts and self.acts[name].points > 0

    def people_needed(self, employees: int | None) -> int:
        """
        How many active people an account of so many employees (None: not known) takes to be engaged.
        """
        is_small = employees is not None and employees < self.small_company_employees
        return self.small_company_people if is_small else self.enter_people


def milli(number: Number) -> int:
    """
    A number in whole thousandths, the nearest (of two, the even one).
    """
    return int((Decimal(str(number)) * 1000).to_integral_value())
