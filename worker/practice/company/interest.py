"""
Decides what nobody sees: how far each firm of the made-up company's market has come on its way to buying, day by day,
and from that on which days it opens an opportunity.

A firm is calm, becomes aware of a problem, researches, chooses; from each of these it may fall back to calm. The state
raises both what its people do (``touches``) and the chance that an opportunity opens (here), so acts and openings have
one cause and neither is made from the other. While an opportunity is open the firm is buying; once it is closed the
firm is calm again. ``Interest`` states that chance, day by day and for the days to come: the truth that a forecast may
be held against. Called by ``deals``, which says how long an opportunity stays open.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import groupby
from random import Random
from types import MappingProxyType
from typing import Final, NamedTuple

WARM_UP_DAYS: Final = 400  # lived through before history begins, so that not everybody starts calm
BUYING: Final = "buying"


class Stage(NamedTuple):
    """
    A state: the chance a day that an opportunity opens, the chance a day that the state ends (1 / its mean days), and
    the share of ends that lead on to the next state; the others lead back to calm.
    """

    opens: float
    ends: float
    leads_on: float


STAGES: Final[Mapping[str, Stage]] = MappingProxyType(
    {
        "calm": Stage(0.0003, 1 / 450, 1.0),
        "aware": Stage(0.0012, 1 / 70, 0.75),
        "researching": Stage(0.007, 1 / 170, 0.6),
        "choosing": Stage(0.018, 1 / 130, 0.0),
    }
)
_NAMES: Final = tuple(STAGES)


class Spell(NamedTuple):
    """
    Days on end in one state, both counted.
    """

    state: str
    first_on: date
    last_on: date


@dataclass(frozen=True)
class Interest:
    """
    One firm's. ``states`` has the state of every day from ``first_on`` on, as the day begins; ``appetite`` multiplies
    the chance that an opportunity opens.
    """

    first_on: date
    appetite: float
    states: tuple[str, ...]

    def state(self, on: date) -> str:
        """
        The state as a day begins.
        """
        return self.states[(on - self.first_on).days]

    def hazard(self, on: date) -> float:
        """
        The true chance that an opportunity opens on a day, for whoever knows the state as the day begins. Nothing opens
        while another one is open.
        """
        state = self.state(on)
        return 0.0 if state == BUYING else STAGES[state].opens * self.appetite

    def chance(self, on: date, days: int) -> float:
        """
        The true chance that an opportunity opens in the ``days`` days from ``on``: what follows from the hazards of the
        states that may come. Nobody who only saw the past can say it better.
        """
        state = self.state(on)
        return 0.0 if state == BUYING else _chances(self.appetite, days)[_NAMES.index(state)]

    def journeys(self) -> Iterator[list[Spell]]:
        """
        The times in which the firm was not calm, each as its spells in order.
        """
        journey: list[Spell] = []
        at = self.first_on
        for state, days in groupby(self.states):
            until = at + timedelta(days=sum(1 for _ in days) - 1)
            if state != _NAMES[0]:
                journey.append(Spell(state, at, until))
            elif journey:
                yield journey
                journey = []
            at = until + timedelta(days=1)
        if journey:
            yield journey


@cache
def _chances(appetite: float, days: int) -> tuple[float, ...]:
    """
    By state: the chance of an opening within the days, from the last day backwards.
    """
    still = [1.0] * len(_NAMES)
    for _ in range(days):
        still = [
            (1 - stage.opens * appetite)
            * (
                (1 - stage.ends) * still[place]
                + stage.ends * stage.leads_on * still[min(place + 1, len(still) - 1)]
                + stage.ends * (1 - stage.leads_on) * still[0]
            )
            for place, stage in enumerate(STAGES.values())
        ]
    return tuple(1 - each for each in still)


def live(
    random: Random, appetite: float, first_on: date, last_on: date, opens: Callable[[date, str], date | None]
) -> Interest:
    """
    A firm's days from ``first_on`` to ``last_on``, both counted. ``opens`` is told of each opening, with its day and
    the state it came from, and answers the day on which that opportunity is closed, None where it is open still.
    """
    state = _NAMES[0]
    for _ in range(WARM_UP_DAYS):
        state = _next(random, state)
    states: list[str] = []
    length = (last_on - first_on).days + 1
    while len(states) < length:
        on = first_on + timedelta(days=len(states))
        states.append(state)
        if random.random() < STAGES[state].opens * appetite:
            closed_on = opens(on, state) or last_on
            states += [BUYING] * (closed_on - on).days
            state = _NAMES[0]
        else:
            state = _next(random, state)
    return Interest(first_on, appetite, tuple(states[:length]))


def _next(random: Random, state: str) -> str:
    stage = STAGES[state]
    if random.random() >= stage.ends:
        return state
    return _NAMES[_NAMES.index(state) + 1] if random.random() < stage.leads_on else _NAMES[0]
