"""
How far an account is on its way to buying (Target, Awareness, Consideration, Decision, Purchase), and whether it is
qualified: it fits, it is at Decision or Purchase, and several people show it.

Stages are lines of conditions, the first that fits decides; none is Target. Called by ``standing``.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.engagement.conditions import Condition, all_hold, words
from worker.core.errors import Fatal

TARGET: Final = "Target"
STAGES: Final = (TARGET, "Awareness", "Consideration", "Decision", "Purchase")


@dataclass(frozen=True)
class StageLine:
    """
    The stage of an account of which every condition holds.
    """

    stage: str
    where: tuple[Condition, ...]

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise Fatal("HW-150", f"no such buying stage: {self.stage}; there are {', '.join(STAGES)}")
        if not self.where:
            raise Fatal("HW-150", f"a line of the buying stage {self.stage} has no condition")


def _number(fact: str, least: int) -> Condition:
    return Condition(fact, "at_least", (least,))


DEFAULT_STAGES: Final = (
    StageLine("Purchase", (_number("open_deals_count", 1),)),
    StageLine("Purchase", (_number("in_market_times", 4), _number("points", 50))),
    StageLine("Decision", (_number("requests_count", 1),)),
    StageLine("Decision", (_number("in_market_times", 2), _number("points", 25))),
    StageLine("Decision", (_number("points", 50), _number("people_count", 2), _number("high_value_count", 2))),
    StageLine("Consideration", (_number("points", 25),)),
    StageLine("Consideration", (_number("intent_points", 10),)),
    StageLine("Awareness", (_number("points", 1),)),
)


@dataclass(frozen=True)
class QualifiedRules:
    """
    What makes a qualified account: one of the fit bands, one of the stages, and as many active people as ``engaged``
    takes. Once it is, it stays so for ``hold_days``.
    """

    fit_bands: tuple[str, ...] = ("strong", "moderate")
    stages: tuple[str, ...] = ("Decision", "Purchase")
    hold_days: int = 14


def with_stages(facts: pl.LazyFrame, lines: tuple[StageLine, ...]) -> pl.LazyFrame:
    """
    The facts with ``stage``, and ``stage_why``, the line that decided in words.
    """
    return facts.with_columns(stage_place=_first_that_holds(lines)).with_columns(_told(lines))


@lru_cache(maxsize=16)
def _first_that_holds(lines: tuple[StageLine, ...]) -> pl.Expr:
    """
    The place of the first line that holds, the number of lines where none does.
    """
    places = (pl.when(all_hold(line.where)).then(place) for place, line in enumerate(lines))
    return pl.coalesce(*places, pl.lit(len(lines)))


@lru_cache(maxsize=16)
def _told(lines: tuple[StageLine, ...]) -> tuple[pl.Expr, pl.Expr]:
    stages = [*(line.stage for line in lines), TARGET]
    whys = [*(" and ".join(words(each) for each in line.where) for line in lines), "no sign of interest yet"]
    place = pl.col("stage_place")
    return (
        pl.lit(pl.Series(stages)).gather(place).alias("stage"),
        pl.lit(pl.Series(whys)).gather(place).alias("stage_why"),
    )
