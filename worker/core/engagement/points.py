"""
Turns acts into points: caps, weights and the half-life, in whole thousandths so that what is listed sums to the score.

An act's points at an age of ``d`` days are ``points x weight x 2^(-d / half-life)``, rounded half up to a thousandth,
once for weight and once for age; ages count UTC days, so a score changes at midnight only and never grows without a
new act. It decides no flag (``flags`` does, its only caller).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from functools import cache, lru_cache
from typing import Final

import polars as pl

from worker.core.chain import run
from worker.core.columns import absent, constant, instant, kinds_of, known, mapped, one, rows_where
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
    occurred_on = acts["occurred_at"].cast(pl.Date)
    age_days = one(now.astimezone(UTC).date(), pl.Date).cast(pl.Int64) - occurred_on.cast(pl.Int64)
    raw_milli = mapped(acts["type"], _raw_milli(rules), 0, pl.Int64)
    is_inside = (acts["occurred_at"] <= instant(now)) & (age_days < one(rules.window_days, pl.Int64))
    rows = rows_where(is_inside & (raw_milli > one(0, pl.Int64)))
    found = {"occurred_on": occurred_on, "age_days": age_days, "raw_milli": raw_milli}
    window = acts[rows].hstack([column[rows].alias(name) for name, column in found.items()])
    if window["act_id"].n_unique() != window.height:
        raise Fatal("HW-901", "engagement was given an act more than once")
    weight_milli, capped = _weight_milli(window, rules), _capped(window, rules)
    # Of whole thousandths, rounded half up.
    weighed = (window["raw_milli"] * weight_milli + one(500, pl.Int64)) // one(1000, pl.Int64)
    base_milli = weighed.zip_with(~capped & absent(window["screened"]), one(0, pl.Int64))
    points_milli = aged(base_milli, window["age_days"], factors)
    worth = {"weight_milli": weight_milli, "capped": capped, "base_milli": base_milli, "points_milli": points_milli}
    return window.hstack([column.alias(name) for name, column in worth.items()])


@lru_cache(maxsize=16)
def _raw_milli(rules: EngagementRules) -> Mapping[str, int]:
    """
    Thousandths of a point by type, of the types that have points.
    """
    return {name: milli(act.points) for name, act in rules.acts.items() if act.points > 0}


def _weight_milli(acts: pl.DataFrame, rules: EngagementRules) -> pl.Series:
    """
    Level x role x tier in thousandths; an unknown one weighs 1. An act without a person has neither level nor role.
    """
    level = _looked_up(acts["level"], rules.level_weights)
    role = _looked_up(acts["role_label"], rules.role_weights)
    of_whom = (level * role).zip_with(known(acts["person_id"]), one(1_000_000, pl.Int64))
    of_tier = of_whom * _looked_up(acts["tier"], rules.tier_weights)
    return (of_tier + one(500_000, pl.Int64)) // one(1_000_000, pl.Int64)


def _looked_up(words: pl.Series, weights: Mapping[str, Number]) -> pl.Series:
    if not weights:
        return constant(1000, words.len(), pl.Int64)
    return mapped(words, {name: milli(weight) for name, weight in weights.items()}, 1000, pl.Int64)


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


def aged(base: pl.Series, age: pl.Series, factors: pl.Series) -> pl.Series:
    """
    Points in thousandths of acts with ``base`` thousandths at ``age`` days; beyond the table they are 0.
    """
    last = one(factors.len() - 1, pl.Int64)
    factor = factors[age.zip_with(age < last, last)]
    return (base * factor + one(ONE // 2, pl.Int64)) // one(ONE, pl.Int64)


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


def _capped(window: pl.DataFrame, rules: EngagementRules) -> pl.Series:
    """
    Whether an act is beyond its type's cap.

    The latest of a day or week are kept. So an act that leaves the window never lets in one that was over the cap: a
    score cannot rise by passing time.
    """
    none = constant(value=False, times=window.height, dtype=pl.Boolean)
    caps = _caps(rules)
    if kinds_of(window["type"]).isdisjoint(caps["type"]):
        return none
    # A screened act earns nothing and must not use up the room of one that does.
    beyond = run(
        window.lazy()
        .with_row_index("row")
        .filter(pl.col("screened").is_null())
        .join(caps.lazy(), on="type")
        .with_columns(bucket=_BUCKET)
        .sort("occurred_at", "act_id", descending=True)
        .with_columns(place=pl.int_range(pl.len()).over("account_id", "person_id", "type", "bucket"))
        .filter(pl.col("place") >= pl.col("most"))
        .select("row")
    )
    return none.scatter(beyond["row"], values=True)


@lru_cache(maxsize=16)
def _caps(rules: EngagementRules) -> pl.DataFrame:
    """
    Of the types with points and a cap: type, and ``most`` acts a ``per`` that it lets in.
    """
    types = [
        (name, int(milli(act.cap) // milli(act.points)), act.per)
        for name, act in rules.acts.items()
        if act.points > 0 and act.cap is not None
    ]
    return pl.DataFrame(types, schema={"type": pl.String, "most": pl.Int64, "per": pl.String}, orient="row")


_BUCKET: Final = pl.when(pl.col("per") == "week").then(pl.col("occurred_on").dt.truncate("1w")).otherwise("occurred_on")
