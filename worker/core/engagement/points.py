"""
Turns acts into points: caps, weights and the half-life, in whole thousandths so that what is listed sums to the score.

An act's points at an age of ``d`` days are ``points x weight x 2^(-d / half-life)``, rounded half up to a thousandth,
once for weight and once for age; ages count UTC days, so a score changes at midnight only and never grows without a
new act. It decides no flag (``flags`` does, its only caller).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from functools import cache, lru_cache
from typing import Final

import polars as pl

from worker.core.engagement.rules import EngagementRules, milli

ONE: Final = 1_000_000_000  # the age factor's unit: a billionth is exact enough for thousandths of a point


@dataclass(frozen=True)
class Scored:
    """
    The acts of the window with their points: ``inside`` as ``counted`` gives them, ``acts`` with points_milli, at their
    age and inside the limit of account acts; and the age factors.
    """

    inside: pl.DataFrame
    acts: pl.DataFrame
    factors: pl.Series


def scored(acts: pl.DataFrame, rules: EngagementRules, *, now: datetime) -> Scored:
    """
    Everything that the acts (with the ``tier`` of their account) are worth at ``now``.
    """
    factors = age_factors(rules)
    inside = counted(acts, rules, now=now)
    points = aged(pl.col("base_milli"), pl.col("age_days"), factors)
    return Scored(inside, trimmed(inside.with_columns(points_milli=points), rules), factors)


def counted(acts: pl.DataFrame, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    The acts (with ``tier``) that lie in the window at ``now`` and whose type has points, each with raw_milli,
    weight_milli, base_milli (raw x weight; 0 where screened or over the cap), capped, age_days and occurred_on.
    """
    occurred_on = pl.col("occurred_at").dt.date()
    age_days = (pl.lit(now.astimezone(UTC).date()) - occurred_on).dt.total_days()
    window = (
        acts.filter(pl.col("occurred_at") <= now, age_days < rules.window_days)
        .join(_priced(rules), on="type", maintain_order="left")
        .with_columns(occurred_on=occurred_on, age_days=age_days, weight_milli=_weight(rules))
    )
    over = _over_cap(window)
    if over.is_empty():
        capped = window.with_columns(capped=pl.lit(value=False))
    else:
        capped = window.join(over, on="act_id", how="left", maintain_order="left").with_columns(
            pl.col("capped").fill_null(value=False)
        )
    base = (pl.col("raw_milli") * pl.col("weight_milli") + 500) // 1000
    nothing = pl.col("capped") | pl.col("screened").is_not_null()
    return capped.with_columns(base_milli=pl.when(nothing).then(0).otherwise(base))


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
    limit = account_acts_limit(rules)
    lone = acts.filter(pl.col("person_id").is_null()).sort(
        "account_id", "occurred_at", "act_id", descending=[False, True, True]
    )
    before = pl.col("points_milli").cum_sum().over("account_id") - pl.col("points_milli")
    room = pl.max_horizontal(pl.lit(limit) - before, pl.lit(0))
    cut = lone.with_columns(pl.min_horizontal("points_milli", room).alias("points_milli"))
    return pl.concat([acts.filter(pl.col("person_id").is_not_null()), cut])


@lru_cache(maxsize=16)
def _weight(rules: EngagementRules) -> pl.Expr:
    """
    Level x role x tier in thousandths. An unknown level, role or tier weighs 1, and so does an act without a person.
    """
    levels = _looked_up("level", {name: milli(weight) for name, weight in rules.level_weights.items()})
    roles = _looked_up("role_label", {name: milli(weight) for name, weight in rules.role_weights.items()})
    tiers = _looked_up("tier", {name: milli(weight) for name, weight in rules.tier_weights.items()})
    whose = pl.when(pl.col("person_id").is_null()).then(1_000_000).otherwise(levels * roles)
    return (whose * tiers + 500_000) // 1_000_000


def _looked_up(column: str, weights: dict[str, int]) -> pl.Expr:
    if not weights:
        return pl.lit(1000, pl.Int64)
    return pl.col(column).replace_strict(weights, default=1000, return_dtype=pl.Int64)


def _over_cap(acts: pl.DataFrame) -> pl.DataFrame:
    """
    act_id and capped = true of the acts beyond their type's cap (``most``).

    The latest of a day or week are kept. So an act that leaves the window never lets in one that was over the cap: a
    score cannot rise by passing time.
    """
    # A screened act earns nothing and must not use up the room of one that does.
    open_acts = acts.filter(pl.col("screened").is_null() & pl.col("most").is_not_null())
    if open_acts.is_empty():
        return pl.DataFrame(schema={"act_id": pl.String, "capped": pl.Boolean})
    bucket = pl.when(pl.col("per") == "week").then(pl.col("occurred_on").dt.truncate("1w")).otherwise("occurred_on")
    return (
        open_acts.with_columns(bucket.alias("bucket"))
        .sort("occurred_at", "act_id", descending=True)
        .with_columns(pl.int_range(pl.len()).over("account_id", "person_id", "type", "bucket").alias("place"))
        .filter(pl.col("place") >= pl.col("most"))
        .select("act_id", pl.lit(value=True).alias("capped"))
    )
