"""
Says of customers what they bought (their first deal, expansions, renewals), who left, and what they are worth to date.
What opened their first deal is the report's. Called by the value report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from worker.core.funnel.totals import MONEY

NEW, EXPANSION, RENEWAL = "new business", "expansion", "renewal"
DAYS_A_YEAR: Final = 365.25
# What is the same for all deals of an account.
COMPANY: Final = ("account", "industry", "size", "country")


@dataclass(frozen=True)
class KindRules:
    """
    Types of deals, in any case: those that renew, and those that sell more to whoever is a customer already.
    """

    renewal_types: tuple[str, ...] = ()
    expansion_types: tuple[str, ...] = ()


def bought(deals: pl.DataFrame, rules: KindRules) -> pl.DataFrame:
    """
    The deals that tell of customers, with ``kind``, ``is_won`` and ``settled_at``: of accounts that have won any, those
    that were won, and renewals that were lost. An account's first deal is new business and every later one an
    expansion, unless its type says that it is another kind. By account and instant.

    ``deals`` has opportunity_id, account_id, type, outcome, created_at, closed_at, closes_at.
    """

    def among(names: Sequence[str]) -> pl.Expr:
        return pl.col("type").str.to_lowercase().is_in([name.lower() for name in names]).fill_null(value=False)

    is_won, is_renewal = pl.col("outcome") == "won", among(rules.renewal_types)
    told = (
        deals.filter(pl.col("account_id").is_not_null() & (is_won | ((pl.col("outcome") == "lost") & is_renewal)))
        .with_columns(is_won=is_won, settled_at=pl.coalesce("closed_at", "closes_at", "created_at"))
        .filter(pl.col("is_won").any().over("account_id"))
        .sort("account_id", "settled_at", "opportunity_id", nulls_last=True)
    )
    is_first = pl.col("is_won") & (pl.col("is_won").cast(pl.Int64).cum_sum().over("account_id") == 1)
    kind = (
        pl.when(is_renewal)
        .then(pl.lit(RENEWAL))
        .when(among(rules.expansion_types) | ~is_first)
        .then(pl.lit(EXPANSION))
        .otherwise(pl.lit(NEW))
    )
    return told.with_columns(kind=kind)


def customers(told: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """
    A row a customer in the currency of its first won deal, and one more for each other currency that it has deals in,
    where ``is_own`` is false: first_won_at, churned_at, years (until it left, or to now), renewals (those that were won
    or lost) with renewals_won and renewals_lost, and money: new_business, expansion, renewed, renewals_amount (of those
    won or lost) and lifetime_value, null where none of its won deals has an amount. By account.

    A customer has churned when its last renewal was lost and nothing was won since. ``told`` is what ``bought`` gives,
    with currency and amount.
    """
    is_won, is_renewal = pl.col("is_won"), pl.col("kind") == RENEWAL

    def money(*conditions: pl.Expr) -> pl.Expr:
        return pl.col("amount").filter(*conditions).sum().cast(MONEY)

    whole = (
        told.group_by("account_id")
        .agg(
            pl.col(*COMPANY).first(),
            first_won_at=pl.col("settled_at").filter(is_won).first(),
            own=pl.col("currency").filter(is_won).first(),
            last_won_at=pl.col("settled_at").filter(is_won).max(),
            left_at=pl.col("settled_at").filter(~is_won).max(),
        )
        .with_columns(churned_at=pl.when(pl.col("left_at") > pl.col("last_won_at")).then("left_at"))
    )
    parts = told.group_by("account_id", "currency").agg(
        renewals=is_renewal.cast(pl.Int64).sum(),
        renewals_won=(is_renewal & is_won).cast(pl.Int64).sum(),
        renewals_lost=(~is_won).cast(pl.Int64).sum(),
        new_business=money(is_won, pl.col("kind") == NEW),
        expansion=money(is_won, pl.col("kind") == EXPANSION),
        renewed=money(is_won, is_renewal),
        renewals_amount=money(is_renewal),
        lifetime_value=pl.when(pl.col("amount").filter(is_won).count() > 0).then(money(is_won)),
    )
    years = (pl.coalesce("churned_at", pl.lit(now)) - pl.col("first_won_at")).dt.total_seconds() / 86_400 / DAYS_A_YEAR
    return (
        parts.join(whole, on="account_id")
        .with_columns(is_own=pl.col("currency") == pl.col("own"), years=years.clip(lower_bound=0).round(2))
        .with_columns(is_churned=pl.col("is_own") & pl.col("churned_at").is_not_null())
        .drop("own", "last_won_at", "left_at")
        .sort("first_won_at", "account_id", "is_own", "currency", descending=[False, False, True, False])
    )
