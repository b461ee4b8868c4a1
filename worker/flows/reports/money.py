"""
Who earned the deals: attribution by channel, offer, campaign, person or team; campaigns with their cost; the journey of
one deal.
"""

from datetime import timedelta

import polars as pl
from sqlalchemy import Connection

from worker.core.errors import Fatal
from worker.core.funnel.campaigns import ranked
from worker.core.funnel.cohorts import median_cycle
from worker.core.funnel.totals import MONEY, Measure
from worker.flows.reports.funnels import all_deals, apart, credited
from worker.flows.reports.shape import Asked, Report, Table
from worker.store import reports


def attribution(connection: Connection, asked: Asked) -> Report:
    """
    Every credited deal's money and shares by what earned it: pipeline credit of all deals, revenue credit of won ones,
    what open ones are expected to bring, and what was lost. What nobody gets is a row of its own. A period is that of
    the creation for pipeline and of CloseDate for revenue.
    """
    rows = reports.credits(connection, asked.model, asked.rules.currency, asked.rules.zone)
    is_pipeline, is_revenue = pl.col("clock") == "pipeline", pl.col("clock") == "revenue"
    rows = rows.with_columns(
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
    table = Table("credits", rows, measures, ("channel",), dimensions, clock="counted_at").chosen(asked)
    counted = table.rows.filter("is_pipeline")["opportunity_id"].unique()
    deals = all_deals(connection, asked)
    behind = credited(deals).filter(pl.col("opportunity_id").is_in(counted.implode()))
    return Report(
        f"Attribution, model {asked.model}",
        [table],
        _warning(table.rows, asked),
        [*_proof(table.rows, behind), *apart(deals)],
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


def _proof(rows: pl.DataFrame, deals: pl.DataFrame) -> list[str]:
    """
    That the money of each clock adds up to the deals' own amounts, or by how much it does not.
    """
    given = rows.filter("is_pipeline").group_by("currency").agg(given=pl.col("amount").sum())
    own = deals.group_by("currency").agg(pl.len().alias("deals"), own=pl.col("amount").sum())
    said = []
    for currency, count, amount, sum_given in own.join(given, on="currency", how="left").sort("currency").iter_rows():
        difference = (sum_given or 0) - (amount or 0)
        words = "which is what it adds up to" if not difference else f"from which it differs by {difference:,}"
        said.append(f"{count:,} deals of {amount or 0:,.2f} {currency} by Salesforce, {words}.")
    return said


def campaigns(connection: Connection, asked: Asked) -> Report:
    """
    Each campaign's cost beside what came of it: people, accounts that became engaged, deals, pipeline and revenue; by
    half-year, with ranks and the lowest tenth named.
    """
    found = reports.campaigns(connection, asked.rules.currency)
    credit = reports.credits(connection, asked.model, asked.rules.currency, asked.rules.zone).filter(
        pl.col("campaign").is_not_null()
    )
    earned = credit.group_by("campaign", "currency").agg(
        pipeline=pl.col("amount").filter(pl.col("clock") == "pipeline").sum(),
        won=pl.col("amount").filter((pl.col("clock") == "revenue") & (pl.col("outcome") == "won")).sum(),
        deals=pl.col("share").filter(pl.col("clock") == "pipeline").sum(),
    )
    since = asked.now - timedelta(days=3650)
    after = _became_engaged(
        reports.touches_by_day(connection, since).filter(pl.col("campaign").is_not_null()),
        reports.engagement_turns(connection, since).filter("engaged"),
    )
    rows = (
        found.join(earned, on=["campaign", "currency"], how="left")
        .join(after, on="campaign", how="left")
        .with_columns(
            pl.col("newly_engaged").fill_null(0), pl.col("pipeline", "won").cast(MONEY), pl.col("deals").fill_null(0.0)
        )
    )
    cycle = median_cycle(credited(all_deals(connection, asked)))
    rows = rows.with_columns(half=asked.calendar.name_of("first_touch_at", "half"))
    rows = ranked(rows, asked.now, cycle)
    measures = (
        Measure("campaigns"),
        Measure("people", column="people"),
        Measure("accounts", column="accounts"),
        Measure("newly_engaged", column="newly_engaged"),
        Measure("deals", "share", column="deals"),
        Measure("cost", "money", column="cost"),
        Measure("pipeline", "money", column="pipeline"),
        Measure("won", "money", column="won"),
    )
    by = ("half", "rank", "campaign", "standing")
    table = Table("campaigns", rows, measures, by, (*by, "channel", "type", "status", "currency"), "first_touch_at")
    notes = [f"Ranked within a half-year by pipeline credit (model {asked.model}) for what it cost, or by itself."]
    return Report("Campaigns", [table.chosen(asked)], notes)


def _became_engaged(touches: pl.DataFrame, turns: pl.DataFrame) -> pl.DataFrame:
    """
    newly_engaged by campaign: accounts that became engaged within 30 days of a touch of it.
    """
    pairs = touches.join(turns.select("account_id", "at"), on="account_id", how="inner")
    near = pairs.filter(
        (pl.col("at") >= pl.col("occurred_at")) & (pl.col("at") <= pl.col("occurred_at") + timedelta(days=30))
    )
    return near.group_by("campaign").agg(newly_engaged=pl.col("account_id").n_unique().cast(pl.Int64))


def journey(connection: Connection, asked: Asked) -> Report:
    """
    One deal's touches and milestones in order, with the share of each on both clocks.
    """
    deals = all_deals(connection, asked)
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
    rows = reports.journey(connection, deal["opportunity_id"], asked.model, asked.rules.currency)
    measures = (
        Measure("events"),
        Measure("pipeline_share", "share", column="pipeline_share"),
        Measure("pipeline", "money", column="pipeline"),
        Measure("revenue_share", "share", column="revenue_share"),
        Measure("revenue", "money", column="revenue"),
    )
    by = ("at", "event", "what", "person", "channel", "positions")
    table = Table("events", rows, measures, by, (*by, "team", "offer", "campaign"), clock="at")
    amount = "no amount" if deal["amount"] is None else f"{deal['amount']:,.2f} {deal['currency']}"
    title = f"{deal['deal']}, {deal['account'] or 'no account'}: {deal['outcome']}, {amount}, model {asked.model}"
    return Report(title, [table.chosen(asked)], remarks=[deal["why"]] if deal["why"] else [])
