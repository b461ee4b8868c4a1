"""
What customers are worth to date: new business, expansion, renewal and churn, by what first brought them.
"""

from dataclasses import replace

import polars as pl

from worker.core.funnel.totals import Measure
from worker.core.funnel.value import bought, customers
from worker.flows.reports.funnels import credited
from worker.flows.reports.money import adds_up
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report, Table

# What a customer and each of its deals may be summed up by: the source is that of the customer.
DIMENSIONS = ("channel", "offer", "team", "original_source", "industry", "size", "country", "currency")


def value(rows: Rows, asked: Asked) -> Report:
    """
    A row a customer, which is an account that has won any deal: what it bought, renewed and lost, by the source of its
    first won deal; and the deals behind. Renewals that are open count on neither side. A period is that of the first
    win, so that the spans of time are cohorts.
    """
    deals = rows.deals()
    told = bought(deals, asked.rules.kinds)
    found = customers(told, asked.now)
    sources = _sources(deals, rows.people(), found.filter("is_own"))
    found = found.join(sources, on="account_id", how="left", maintain_order="left")
    table = _customers(found).chosen(asked)
    behind = _behind(told, found).chosen(replace(asked, by=(*asked.by, "kind")))
    won = deals.filter((pl.col("outcome") == "won") & pl.col("account_id").is_in(table.rows["account_id"].implode()))
    proof = adds_up(table.rows.select("currency", amount="lifetime_value"), won, "won deals")
    source = "Team, channel and offer are the source of its first won deal that earns credit; the original source is "
    notes = [
        "A customer has churned when its last renewal was lost and nothing was won since; open renewals do not count.",
        source + "the channel by which the first of its people came.",
    ]
    return Report("Value of customers", [table, behind], notes, [*proof, *_apart(deals, told, asked)])


def _customers(found: pl.DataFrame) -> Table:
    measures = (
        Measure("customers", where="is_own"),
        Measure("churned", where="is_churned"),
        Measure("churn_rate", "percent", where="is_churned", over="customers"),
        Measure("years", "years", where="is_own", column="years", averages=True),
        Measure("renewals", column="renewals"),
        Measure("renewal_rate", "percent", column="renewals_won", over="renewals"),
        Measure("renewals_amount", "money", column="renewals_amount"),
        Measure("renewal_rate_by_amount", "percent", column="renewed", over="renewals_amount"),
        Measure("new_business", "money", column="new_business"),
        Measure("expansion", "money", column="expansion"),
        Measure("renewed", "money", column="renewed"),
        Measure("lifetime_value", "money", column="lifetime_value"),
        Measure("mean_value", "money", column="lifetime_value", averages=True),
    )
    return Table("customers", found, measures, ("channel",), DIMENSIONS, clock="first_won_at")


def _behind(told: pl.DataFrame, found: pl.DataFrame) -> Table:
    """
    The deals behind the customers, each with its customer's source and first win.
    """
    whose = found.filter("is_own").select(
        "account_id", "first_won_at", pl.col(*(name for name in DIMENSIONS if name != "currency"))
    )
    names = ["opportunity_id", "account_id", "record_id", "deal", "account", "kind", "type", "outcome", "settled_at"]
    behind = (
        told.select(*names, "currency", "amount", "is_won")
        .join(whose, on="account_id", maintain_order="left")
        .with_columns(is_lost=~pl.col("is_won"))
    )
    measures = (
        Measure("deals"),
        Measure("won", where="is_won"),
        Measure("won_amount", "money", where="is_won", column="amount"),
        Measure("lost", where="is_lost"),
        Measure("lost_amount", "money", where="is_lost", column="amount"),
    )
    return Table("their deals", behind, measures, ("kind",), (*DIMENSIONS, "kind", "account"), clock="first_won_at")


def _sources(deals: pl.DataFrame, people: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """
    account_id, team, channel and offer of the first won deal that earns credit; original_source, the channel of the
    earliest of its people, where that was before the first win.
    """
    opened = (
        credited(deals)
        .filter((pl.col("outcome") == "won") & pl.col("account_id").is_not_null())
        .sort(pl.coalesce("closed_at", "closes_at", "created_at"), "opportunity_id")
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("team", "channel", "offer").first())
    )
    came = (
        people.join(found.select("account_id", "first_won_at"), on="account_id")
        .filter(pl.col("original_source_at") <= pl.col("first_won_at"))
        .sort("original_source_at", "person_id")
        .group_by("account_id", maintain_order=True)
        .agg(original_source=pl.col("channel").first())
    )
    ids = found.select("account_id")
    return ids.join(opened, on="account_id", how="left").join(came, on="account_id", how="left")


def _apart(deals: pl.DataFrame, told: pl.DataFrame, asked: Asked) -> list[str]:
    """
    What no customer has: won deals without an account, and renewals that were lost where no deal was ever won.
    """
    said = []
    homeless = deals.filter((pl.col("outcome") == "won") & pl.col("account_id").is_null())
    for currency, count, amount in (
        homeless.group_by("currency").agg(pl.len(), pl.col("amount").sum()).sort("currency").iter_rows()
    ):
        said.append(f"Apart, won deals without an account: {count:,}, of {amount or 0:,.2f} {currency}.")
    types = [name.lower() for name in asked.rules.kinds.renewal_types]
    lost = deals.filter((pl.col("outcome") == "lost") & pl.col("type").str.to_lowercase().is_in(types))
    before = lost.join(told, on="opportunity_id", how="anti")
    if before.height:
        said.append(f"Apart, renewals lost by accounts that have won nothing here: {before.height:,}.")
    return said
