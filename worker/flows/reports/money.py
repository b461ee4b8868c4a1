"""
Who earned the deals: attribution by channel, offer, campaign, person or team; the journey of one deal.
"""

import polars as pl

from worker.core.errors import Fatal
from worker.core.funnel.totals import Measure
from worker.flows.reports.funnels import apart, credited
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report, Table


def attribution(rows: Rows, asked: Asked) -> Report:
    """
    Every credited deal's money and shares by what earned it: pipeline credit of all deals, revenue credit of won ones,
    what open ones are expected to bring, and what was lost. What nobody gets is a row of its own. A period is that of
    the creation for pipeline and of CloseDate for revenue.
    """
    shares = rows.credits(asked.model)
    is_pipeline, is_revenue = pl.col("clock") == "pipeline", pl.col("clock") == "revenue"
    shares = shares.with_columns(
        is_pipeline=is_pipeline,
        is_won=is_revenue & (pl.col("outcome") == "won"),
        is_expected=is_revenue & (pl.col("outcome") == "open"),
        is_lost=is_revenue & (pl.col("outcome") == "lost"),
    )
    measures = (
        Measure("pipeline", "money", where="is_pipeline", column="amount"),
        Measure("won", "money", where="is_won", column="amount"),
        Measure("expected", "money", where="is_expected", column="amount"),
        Measure("lost", "money", where="is_lost", column="amount"),
        Measure("pipeline_deals", "share", where="is_pipeline", column="share"),
        Measure("won_deals", "share", where="is_won", column="share"),
    )
    dimensions = ("channel", "offer", "campaign", "team", "type", "person", "deal", "outcome", "item", "currency")
    table = Table("credits", shares, measures, ("channel",), dimensions, clock="counted_at").chosen(asked)
    counted = table.rows.filter("is_pipeline")["opportunity_id"].unique()
    deals = rows.deals()
    behind = credited(deals).filter(pl.col("opportunity_id").is_in(counted.implode()))
    return Report(
        f"Attribution, model {asked.model}",
        [table],
        _warning(table.rows, asked),
        [*adds_up(table.rows.filter("is_pipeline"), behind, "deals"), *_sourced(behind), *apart(deals)],
    )


def _warning(rows: pl.DataFrame, asked: Asked) -> list[str]:
    touched = rows.filter((pl.col("item") == "touch") & pl.col("is_pipeline"))
    total = float(touched["share"].sum())
    name = asked.rules.touchpoints.other_channel
    other = float(touched.filter(pl.col("channel") == name)["share"].sum())
    bound = float(asked.rules.touchpoints.other_warning_percent)
    if total and other * 100 > total * bound:
        percent = other * 100 / total
        return [f"{percent:.0f} % of the credit is in {name}, more than {bound:g} %: channel rules are missing."]
    return []


def adds_up(rows: pl.DataFrame, deals: pl.DataFrame, what: str) -> list[str]:
    """
    That the money of a report's rows (currency, amount) adds up to the deals' own amounts, or by how much it does not;
    a line a currency.
    """
    given = rows.group_by("currency").agg(given=pl.col("amount").sum())
    own = deals.group_by("currency").agg(pl.len().alias("deals"), own=pl.col("amount").sum())
    said = []
    for currency, count, amount, sum_given in own.join(given, on="currency", how="left").sort("currency").iter_rows():
        difference = (sum_given or 0) - (amount or 0)
        words = "which is what it adds up to" if not difference else f"from which it differs by {difference:,}"
        said.append(f"{count:,} {what} of {amount or 0:,.2f} {currency} by Salesforce, {words}.")
    return said


def _sourced(deals: pl.DataFrame) -> list[str]:
    """
    Which team sourced how much of the pipeline, and how often an administrator said so; a line a currency. Every deal
    has one team, or none known, so that the teams have all of it.
    """
    by_team = deals.group_by("currency", "team").agg(pl.col("amount").sum())
    by_team = by_team.sort("currency", "amount", "team", descending=[False, True, False])
    said = []
    for (currency,), teams in by_team.group_by("currency", maintain_order=True):
        parts = [f"{team or 'nobody known'} {money or 0:,.2f}" for _, team, money in teams.iter_rows()]
        set_by_hand = deals.filter(pl.col("set_by_hand") & (pl.col("currency") == currency))
        count, own = set_by_hand.height, set_by_hand["amount"].sum() or 0
        words = f"; set by an administrator: {count:,} deal{'s' if count > 1 else ''} of {own:,.2f}" if count else ""
        said.append(f"Sourced by {', '.join(parts)} {currency} of pipeline{words}.")
    return said


def journey(rows: Rows, asked: Asked) -> Report:
    """
    One deal's touches and milestones in order, with the share of each on both clocks.
    """
    deals = rows.deals()
    wanted = (asked.subject or "").strip()
    found = deals.filter(
        (pl.col("record_id").str.slice(0, 15) == wanted[:15]) | (pl.col("deal").str.to_lowercase() == wanted.lower())
    )
    if found.height != 1:
        raise Fatal(
            "HW-162",
            f"{found.height} deals are called {wanted!r}" if wanted else "a journey is that of one deal",
            actions=["headwater report journey 'NAME OR ID'", "headwater report velocity --rows"],
        )
    deal = found.row(0, named=True)
    events = rows.journey(deal["opportunity_id"], asked.model)
    measures = (
        Measure("events"),
        Measure("pipeline_share", "share", column="pipeline_share"),
        Measure("pipeline", "money", column="pipeline"),
        Measure("revenue_share", "share", column="revenue_share"),
        Measure("revenue", "money", column="revenue"),
    )
    by = ("at", "event", "what", "person", "channel", "positions")
    table = Table("events", events, measures, by, (*by, "team", "offer", "campaign"), clock="at")
    amount = "no amount" if deal["amount"] is None else f"{deal['amount']:,.2f} {deal['currency']}"
    title = f"{deal['deal']}, {deal['account'] or 'no account'}: {deal['outcome']}, {amount}, model {asked.model}"
    return Report(title, [table.chosen(asked)], remarks=[deal["why"]] if deal["why"] else [])
