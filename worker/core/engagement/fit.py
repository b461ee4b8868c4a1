"""
How well a company suits what we sell, 0 to 100, by what it is: factors chosen by hand, or learnt from the company's own
won and lost accounts; each factor's contribution is shown, and they sum to the score before it is cut to 0 and 100.

Learnt is a scorecard: logistic regression on classes of size, revenue, industry, country and the customer's own
technology fields, told in points. 50 is the average of the accounts learnt from, and every 20 points double the odds of
winning. Called by the learn flow (``learn_fit``) and by ``standing`` (``scored``).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import polars as pl

from worker.core.engagement.conditions import EXTRA, Condition, all_hold, words
from worker.core.engagement.logistic import learn
from worker.core.errors import Fatal

STRONG, MODERATE, WEAK = "strong", "moderate", "weak"
FIT_BANDS: Final = (STRONG, MODERATE, WEAK)
LEAST_WON: Final = 30
LEAST_LOST: Final = 30
AVERAGE: Final = 50
DOUBLING: Final = 20  # points that double the odds
RIDGE: Final = 5.0
_LEAST_OF_A_CLASS: Final = 10  # accounts that a value needs to be a class of its own
_MOST_CLASSES: Final = 12
EMPLOYEES: Final = (10, 50, 200, 1_000, 5_000)
REVENUE: Final = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


@dataclass(frozen=True)
class Factor:
    """
    ``points`` (which may be negative) that an account gets when all conditions hold.
    """

    name: str
    points: int
    where: tuple[Condition, ...]


@dataclass(frozen=True)
class FitRules:
    """
    ``by``: "rules" takes the factors, "learnt" what was learnt, and the factors as long as nothing was. ``start`` is
    what every account has before factors. Strong from ``strong`` points on, moderate from ``moderate`` on.
    """

    by: str = "learnt"
    start: int = 0
    factors: tuple[Factor, ...] = ()
    strong: int = 81
    moderate: int = 50
    technology: tuple[str, ...] = ()  # fields of the customer's own that learning looks at

    def __post_init__(self) -> None:
        if self.by not in ("rules", "learnt"):
            raise Fatal("HW-150", f"fit is by rules or learnt, not by {self.by!r}")
        if not 0 < self.moderate < self.strong <= 100:
            raise Fatal("HW-150", "fit: 0 < moderate < strong <= 100 must hold")


@dataclass(frozen=True)
class LearntFit:
    """
    The scorecard as factors, with what it was learnt from.
    """

    factors: tuple[Factor, ...]
    won: int
    lost: int

    def as_json(self) -> str:
        """
        To be kept; ``learnt_fit_from`` reads it.
        """
        factors = [
            {
                "name": factor.name,
                "points": factor.points,
                "where": [
                    {"fact": each.fact, "test": each.test, "values": list(each.values), "negated": each.negated}
                    for each in factor.where
                ],
            }
            for factor in self.factors
        ]
        return json.dumps({"factors": factors, "won": self.won, "lost": self.lost}, default=str)


def learnt_fit_from(text: str) -> LearntFit:
    """
    What ``as_json`` wrote.
    """
    found = json.loads(text)
    factors = tuple(
        Factor(
            factor["name"],
            factor["points"],
            tuple(
                Condition(each["fact"], each["test"], tuple(each["values"]), each["negated"])
                for each in factor["where"]
            ),
        )
        for factor in found["factors"]
    )
    return LearntFit(factors, found["won"], found["lost"])


def won_and_lost(deals: pl.DataFrame) -> pl.DataFrame:
    """
    account_id and ``won`` of the accounts that closed deals tell of: true for those that bought and stayed, false for
    those that were lost, or left by losing a renewal after they last bought. ``deals``: account_id, outcome, closed_on,
    is_renewal.
    """
    won, lost = pl.col("outcome") == "won", pl.col("outcome") == "lost"
    last_won = pl.col("closed_on").filter(won).max()
    last_left = pl.col("closed_on").filter(lost & pl.col("is_renewal")).max()
    return (
        deals.filter((won | lost) & pl.col("closed_on").is_not_null())
        .group_by("account_id", maintain_order=True)
        .agg(bought=won.any(), left=(last_left > last_won).fill_null(value=False))
        .select("account_id", won=pl.col("bought") & ~pl.col("left"))
    )


def learn_fit(accounts: pl.DataFrame, rules: FitRules) -> LearntFit | str:
    """
    The scorecard of ``accounts``: the facts of companies (employees, annual_revenue, industry, country, the technology
    fields) and ``won``, true for those that bought and stayed and false for those that were lost or left. A sentence
    where they are too few.
    """
    won = int(accounts["won"].sum()) if accounts.height else 0
    lost = accounts.height - won
    if won < LEAST_WON or lost < LEAST_LOST:
        return (
            f"Fit was not learnt: {won} won and {lost} lost accounts are known, "
            f"{LEAST_WON} and {LEAST_LOST} are needed."
        )
    drafts = [factor for factor in _classes(accounts, rules) if _tells(accounts, factor)]
    if not drafts:
        return "Fit was not learnt: nothing is known of the companies that were won and lost."
    rows = accounts.select(
        all_hold(factor.where).cast(pl.Float64).alias(str(place)) for place, factor in enumerate(drafts)
    )
    model = learn(rows, accounts["won"], ridge=RIDGE)
    per_doubling = DOUBLING / math.log(2)
    # An account of a class differs from the average by its own part less the average's part.
    raw = [weight / spread * per_doubling for weight, spread in zip(model.coefficients, model.spreads, strict=True)]
    average = -sum(points * mean for points, mean in zip(raw, model.means, strict=True))
    factors = [Factor(draft.name, round(points), draft.where) for draft, points in zip(drafts, raw, strict=True)]
    start = Factor("the average account, without its classes", AVERAGE + round(average), ())
    return LearntFit((start, *(factor for factor in factors if factor.points)), won, lost)


def _classes(accounts: pl.DataFrame, rules: FitRules) -> list[Factor]:
    drafts = [*_steps("employees", EMPLOYEES), *_steps("annual_revenue", REVENUE)]
    for fact in ("industry", "country", *(f"{EXTRA}{name}" for name in rules.technology)):
        if fact not in accounts.columns:
            continue
        counts = accounts.select(value=pl.col(fact).str.strip_chars()).drop_nulls()["value"].value_counts(sort=True)
        values = [value for value, count in counts.iter_rows() if value and count >= _LEAST_OF_A_CLASS]
        drafts += [_draft(Condition(fact, "in", (value,))) for value in sorted(values[:_MOST_CLASSES])]
    return drafts


def _steps(fact: str, bounds: Sequence[int]) -> list[Factor]:
    low = Condition(fact, "below", (bounds[0],))
    middle = [(Condition(fact, "at_least", (a,)), Condition(fact, "below", (b,))) for a, b in pairwise(bounds)]
    return [_draft(low), *(_draft(*pair) for pair in middle), _draft(Condition(fact, "at_least", (bounds[-1],)))]


def _draft(*where: Condition) -> Factor:
    return Factor(" and ".join(words(each) for each in where), 0, where)


def _tells(accounts: pl.DataFrame, factor: Factor) -> bool:
    count = int(accounts.select(all_hold(factor.where).sum()).item())
    return _LEAST_OF_A_CLASS <= count <= accounts.height - _LEAST_OF_A_CLASS


def factors_of(rules: FitRules, learnt: LearntFit | None) -> tuple[Factor, ...]:
    """
    The factors that count now; none where fit can not be told.
    """
    if rules.by == "learnt" and learnt is not None:
        return learnt.factors
    if not rules.factors:
        return ()
    return (Factor("every account", rules.start, ()), *rules.factors) if rules.start else rules.factors


@lru_cache(maxsize=16)
def scored(rules: FitRules, factors: tuple[Factor, ...]) -> dict[str, pl.Expr]:
    """
    Expressions over a frame of facts: ``fit`` (0 to 100, null where nothing can be told), ``fit_band`` and
    ``fit_factors``, a JSON list of [name, points] of the factors that hold, which sum to the score before it is cut.
    """
    if not factors:
        return {
            "fit": pl.lit(None, pl.Int32),
            "fit_band": pl.lit(None, pl.String),
            "fit_factors": pl.lit("[]"),
        }
    points = [pl.when(all_hold(factor.where)).then(factor.points).otherwise(0) for factor in factors]
    score = pl.sum_horizontal(points).clip(0, 100).cast(pl.Int32)
    told = [
        pl.when(all_hold(factor.where) & pl.lit(factor.points != 0)).then(
            pl.lit(json.dumps([factor.name, factor.points], default=str))
        )
        for factor in factors
    ]
    return {
        "fit": score,
        "fit_band": pl.when(score >= rules.strong)
        .then(pl.lit(STRONG))
        .when(score >= rules.moderate)
        .then(pl.lit(MODERATE))
        .otherwise(pl.lit(WEAK)),
        "fit_factors": pl.lit("[") + pl.concat_str(told, separator=",", ignore_nulls=True) + pl.lit("]"),
    }
