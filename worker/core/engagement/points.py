"""
Turns acts into points: caps, weights and the half-life, in whole thousandths so that what is listed sums to the score.

An act's points at an age of ``d`` days are ``points x weight x 2^(-d / half-life)``, rounded half up to a thousandth,
once for weight and once for age; ages count UTC days, so a score changes at midnight only and never grows without a
new act. It decides no flag (``flags`` does, its only caller).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from functools import cache, lru_cache
from typing import Final

import polars as pl

from worker.core.chain import instant, run
from worker.core.columns import constant
from worker.core.engagement.rules import EngagementRules, Number, milli
from worker.core.errors import Fatal

ONE: Final = 1_000_000_000  # the age factor's unit: a billionth is exact enough for thousandths of a point


@dataclass(frozen=True)
class Scored:
    """
    The acts of the window with their points: ``inside`` as ``counted`` gives them, ``acts`` the same with points_milli
    cut to the limit of account acts; and the age factors.
    """

    inside: pl.DataFrame
    acts: pl.DataFrame
    factors: pl.Series


def scored(acts: pl.DataFrame, rules: EngagementRules, *, now: datetime) -> Scored:
    """
    Everything that the acts (with the ``tier`` of their account) are worth at ``now``. Raises Fatal HW-901 for an act
    that is there twice.
    """
    factors = age_factors(rules)
    inside = counted(acts, rules, factors, now=now)
    return Scored(inside, trimmed(inside, rules), factors)


def counted(acts: pl.DataFrame, rules: EngagementRules, factors: pl.Series, *, now: datetime) -> pl.DataFrame:
    """
    The acts (with ``tier``) that lie in the window at ``now`` and whose type has points, each with raw_milli,
    weight_milli, base_milli (raw x weight; 0 where screened or over the cap), capped, age_days, occurred_on, and
    points_milli (at their age).
    """
    window = (
        acts.lazy()
        .filter(pl.col("occurred_at") <= instant(now))
        .with_columns(occurred_on=_OCCURRED_ON, today=pl.lit(now.astimezone(UTC).date()))
        .with_columns(age_days=_AGE_DAYS)
        .filter(pl.col("age_days") < rules.window_days)
        .join(_priced(rules).lazy(), on="type", maintain_order="left")
        .with_columns(_weights(rules))
    )
    found = run(
        _capped(window, set(acts["type"].to_list()), rules)
        .with_columns(weight_milli=_WEIGHT)
        .with_columns(base_milli=_BASE)
        .with_columns(points_milli=aged(pl.col("base_milli"), pl.col("age_days"), factors))
        .drop("today", "weight_of_level", "weight_of_role", "weight_of_tier")
    )
    if found["act_id"].n_unique() != found.height:
        raise Fatal("HW-901", "engagement was given an act more than once")
    return found


_OCCURRED_ON: Final = pl.col("occurred_at").dt.date()
_AGE_DAYS: Final = (pl.col("today") - pl.col("occurred_on")).dt.total_days()
_BASE: Final = (
    pl.when(pl.col("capped") | pl.col("screened").is_not_null())
    .then(0)
    .otherwise((pl.col("raw_milli") * pl.col("weight_milli") + 500) // 1000)
)


@lru_cache(maxsize=16)
def _priced(rules: EngagementRules) -> pl.DataFrame:
    """
    type, raw_milli of the types that have points; ``most`` acts a ``per`` that their cap lets in, null without one.
    """
    types = [
        (name, milli(act.points), None if act.cap is None else int(milli(act.cap) // milli(act.points)), act.per)
        for name, act in rules.acts.items()
        if act.points > 0
    ]
    schema = {"type": pl.String, "raw_milli": pl.Int64, "most": pl.Int64, "per": pl.String}
    return pl.DataFrame(types, schema=schema, orient="row")


def age_factors(rules: EngagementRules) -> pl.Series:
    """
    The factor in billionths by age in days, 0 ... window_days; at window_days it is 0. Exact on every machine.
    """
    return _age_factors(rules.half_life_days, rules.window_days)


@cache
def _age_factors(half_life_days: int, window_days: int) -> pl.Series:
    with localcontext() as context:
        context.prec = 30
        half_life = Decimal(half_life_days)
        factors = [
            int((Decimal(2) ** (-Decimal(age) / half_life) * ONE).to_integral_value()) for age in range(window_days)
        ]
    return pl.Series("factor", [*factors, 0], dtype=pl.Int64)


def aged(base: pl.Expr, age: pl.Expr, factors: pl.Series) -> pl.Expr:
    """
    Points in thousandths of acts with ``base`` thousandths at ``age`` days; beyond the table they are 0.
    """
    last = len(factors) - 1
    factor = pl.lit(factors).gather(pl.min_horizontal(age, pl.lit(last)))
    return (base * factor + ONE // 2) // ONE


def account_acts_limit(rules: EngagementRules) -> int:
    """
    How many thousandths of a point the acts without a person may add to an account.
    """
    return milli(rules.enter_points) * rules.account_acts_cap_percent // 100


def trimmed(acts: pl.DataFrame, rules: EngagementRules) -> pl.DataFrame:
    """
    The acts with points_milli cut where an account's acts without a person exceed their limit: the latest count first.
    """
    if not acts["person_id"].null_count():
        return acts
    lone = (
        acts.lazy()
        .filter(pl.col("person_id").is_null())
        .sort("account_id", "occurred_at", "act_id", descending=[False, True, True])
        .with_columns(before=_BEFORE)
        .with_columns(room=pl.max_horizontal(account_acts_limit(rules) - pl.col("before"), 0))
        .with_columns(points_milli=pl.min_horizontal("points_milli", "room"))
        .drop("before", "room")
    )
    return run(pl.concat([acts.lazy().filter(pl.col("person_id").is_not_null()), lone]))


_BEFORE: Final = pl.col("points_milli").cum_sum().over("account_id") - pl.col("points_milli")


@lru_cache(maxsize=16)
def _weights(rules: EngagementRules) -> list[pl.Expr]:
    """
    The weights of level, role and tier in thousandths. An unknown one weighs 1.
    """
    return [
        _looked_up("level", rules.level_weights).alias("weight_of_level"),
        _looked_up("role_label", rules.role_weights).alias("weight_of_role"),
        _looked_up("tier", rules.tier_weights).alias("weight_of_tier"),
    ]


def _looked_up(column: str, weights: Mapping[str, Number]) -> pl.Expr:
    if not weights:
        return pl.lit(1000, pl.Int64)
    known = {name: milli(weight) for name, weight in weights.items()}
    return pl.col(column).replace_strict(known, default=1000, return_dtype=pl.Int64)


# Level x role x tier in thousandths; an act without a person has neither level nor role.
_WHOSE: Final = (
    pl.when(pl.col("person_id").is_null())
    .then(1_000_000)
    .otherwise(pl.col("weight_of_level") * pl.col("weight_of_role"))
)
_WEIGHT: Final = (_WHOSE * pl.col("weight_of_tier") + 500_000) // 1_000_000


def _capped(window: pl.LazyFrame, types: Collection[str], rules: EngagementRules) -> pl.LazyFrame:
    """
    The acts, which are of these ``types``, with ``capped``, whether one is beyond its type's cap (``most``).

    The latest of a day or week are kept. So an act that leaves the window never lets in one that was over the cap: a
    score cannot rise by passing time.
    """
    if all(act.cap is None for name, act in rules.acts.items() if name in types):
        return window.with_columns(capped=pl.lit(value=False))
    acts = run(window)
    # A screened act earns nothing and must not use up the room of one that does.
    beyond = run(
        acts.lazy()
        .with_row_index("row")
        .filter(pl.col("screened").is_null() & pl.col("most").is_not_null())
        .with_columns(bucket=_BUCKET)
        .sort("occurred_at", "act_id", descending=True)
        .with_columns(place=pl.int_range(pl.len()).over("account_id", "person_id", "type", "bucket"))
        .filter(pl.col("place") >= pl.col("most"))
        .select("row")
    )
    none = constant(value=False, times=acts.height, dtype=pl.Boolean)
    return acts.lazy().with_columns(capped=none.scatter(beyond["row"], values=True))


_BUCKET: Final = pl.when(pl.col("per") == "week").then(pl.col("occurred_on").dt.truncate("1w")).otherwise("occurred_on")
