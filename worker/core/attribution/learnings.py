"""
What was learnt of channels' weights, and when: which of it counts for a model, and from which days it is learnt.

Pure. ``learn`` learns, ``channels`` weighs by it. Called by the learn, attribute and as-of flows.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Final

# Fewer won deals tell more of their own accidents than of channels. (In-market asks for 50 openings, which are rarer
# to be seen and teach seven numbers; a company sells through ten channels at most.)
FEWEST_WON: Final = 30


@dataclass(frozen=True)
class LearnRule:
    """
    That a model's channels weigh what is learnt of them, anew each month: ``by`` a learner (markov, shapley), from the
    deals closed in the ``over_months`` before. ``basis`` is a digest of the rules that make those deals' paths.
    """

    by: str
    over_months: int
    basis: str = ""


@dataclass(frozen=True)
class Learning:
    """
    What channels weigh as learnt once, from ``learnt_at`` on by the organisation's clock; ``number`` names it and grows
    with time. ``rule`` is the rule as it was then.
    """

    number: int
    learnt_at: datetime
    weights: Mapping[str, Fraction]
    rule: LearnRule


def in_force(kept: Sequence[Learning], rule: LearnRule) -> list[Learning]:
    """
    The learnings that a model with this rule goes by, the oldest first: those by its learner over its months whose
    paths were made as the newest one's were. What was learnt of other paths may speak of channels that are gone; so
    when the rules for touches change, what was learnt so far counts until it is learnt anew.
    """
    alike = sorted(
        (each for each in kept if (each.rule.by, each.rule.over_months) == (rule.by, rule.over_months)),
        key=lambda each: each.number,
    )
    return [each for each in alike if each.rule.basis == alike[-1].rule.basis]


def days_to_learn_from(today: date, over_months: int) -> tuple[date, date]:
    """
    The first day and the day after the last: whole days up to yesterday, from the same day so many months ago.
    """
    months = today.year * 12 + today.month - 1 - over_months
    year, month = divmod(months, 12)
    return date(year, month + 1, min(today.day, monthrange(year, month + 1)[1])), today
