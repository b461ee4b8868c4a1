"""
The funnel, how quickly deals are won, what becomes of those who ask, and how engaged the accounts are.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import polars as pl

from worker.core.funnel.calendar import KINDS
from worker.core.funnel.cohorts import is_maturing, median_cycle
from worker.core.funnel.totals import Measure
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report, Table
from worker.store import reports

COMPANY = ("type", "industry", "size", "country")


def funnel(rows: Rows, asked: Asked) -> Report:
    """
    By cohort of entry: target accounts, engaged, with a deal, won; or people, on a deal, on a won deal. A later stage
    counts as having passed the earlier ones, and those that skipped one are told.
    """
    table = _people(rows) if asked.of == "people" else _accounts(rows)
    table = table.chosen(asked)
    cycle = median_cycle(credited(rows.deals()))
    young = _maturing(table, asked, cycle)
    days = f"{cycle.days:,} days, the median time from creation to won" if cycle is not None else "a deal's time"
    notes = []
    if young:
        notes.append(f"Maturing, without rates yet: {', '.join(sorted(young))} (open, or younger than {days}).")
    elif cycle is not None and not set(table.by) & set(KINDS):
        recent = table.rows.filter(pl.col("entered_at") > asked.now - cycle).height
        if recent:
            notes.append(f"{recent:,} of {table.rows.height:,} entered within {days}: their rates are not final.")
    return Report("Funnel", [table], notes, maturing=young)


def _accounts(rows: Rows) -> Table:
    accounts = _with_deals(_targeted(rows.accounts()), credited(rows.deals()))
    remarked = accounts.filter(pl.col("is_target")) if accounts["is_target"].any() else accounts
    has_deal, has_won = pl.col("first_deal_at").is_not_null(), pl.col("won_deals") > 0
    was_engaged = pl.col("first_engaged_at").is_not_null()
    staged = remarked.with_columns(
        passed_engaged=was_engaged | has_deal | has_won,
        skipped_engaged=~was_engaged & (has_deal | has_won),
        with_deal=has_deal | has_won,
        with_won=has_won,
    )
    measures = (
        Measure("accounts"),
        Measure("engaged", where="passed_engaged"),
        Measure("engaged_rate", "percent", where="passed_engaged", over="accounts"),
        Measure("with_deal", where="with_deal"),
        Measure("deal_rate", "percent", where="with_deal", over="engaged"),
        Measure("won", where="with_won"),
        Measure("won_rate", "percent", where="with_won", over="with_deal"),
        Measure("skipped_engaged", where="skipped_engaged"),
    )
    return Table(
        "accounts", staged, measures, ("quarter",), (*COMPANY, "tier", "fit_band", "stage", "band"), clock="entered_at"
    )


def _targeted(accounts: pl.DataFrame) -> pl.DataFrame:
    """
    ACCOUNT_ROW with ``is_target``: in the ideal customer profile, or on a target list.
    """
    return accounts.with_columns(is_target=pl.col("in_profile") | pl.col("is_listed"))


def _with_deals(accounts: pl.DataFrame, deals: pl.DataFrame) -> pl.DataFrame:
    """
    The accounts with first_deal_at, open_deals, won_deals and first_won_at, of the deals created after they entered.
    """
    won = pl.col("outcome") == "won"
    counted = (
        accounts.select("account_id", "entered_at")
        .join(deals, on="account_id")
        .filter((pl.col("created_at") >= pl.col("entered_at")).fill_null(value=True))
        .group_by("account_id")
        .agg(
            first_deal_at=pl.col("created_at").min(),
            open_deals=(pl.col("outcome") == "open").cast(pl.Int64).sum(),
            won_deals=won.cast(pl.Int64).sum(),
            first_won_at=pl.col("closed_at").filter(won).min(),
        )
    )
    return accounts.join(counted, on="account_id", how="left", maintain_order="left").with_columns(
        pl.col("open_deals", "won_deals").fill_null(0)
    )


def _people(rows: Rows) -> Table:
    won = pl.col("outcome") == "won"
    of_people = (
        rows.ties()
        .join(credited(rows.deals()), on="opportunity_id")
        .group_by("person_id")
        .agg(
            deals=pl.len().cast(pl.Int64),
            won_deals=won.cast(pl.Int64).sum(),
            won_at=pl.col("closed_at").filter(won).min(),
        )
    )
    people = (
        rows.people()
        .join(of_people, on="person_id", how="left", maintain_order="left")
        .with_columns(pl.col("deals", "won_deals").fill_null(0))
        .with_columns(
            on_deal=pl.col("deals") > 0, on_won_deal=pl.col("won_deals") > 0, responded=pl.col("channel").is_not_null()
        )
    )
    measures = (
        Measure("people"),
        Measure("responded", where="responded"),
        Measure("on_deal", where="on_deal"),
        Measure("deal_rate", "percent", where="on_deal", over="people"),
        Measure("on_won_deal", where="on_won_deal"),
        Measure("won_rate", "percent", where="on_won_deal", over="on_deal"),
    )
    dimensions = ("channel", "offer", "country", "account")
    return Table("people", people, measures, ("channel",), dimensions, clock="entered_at")


def _maturing(table: Table, asked: Asked, cycle: timedelta | None) -> frozenset[str]:
    kinds = [kind for kind in KINDS if kind in table.by]
    if not kinds:
        return frozenset()
    names: Sequence[str] = table.rows[kinds[0]].drop_nulls().unique().to_list()
    return frozenset(name for name in names if is_maturing(asked.calendar.span(name).end, asked.now, cycle))


def velocity(rows: Rows, asked: Asked) -> Report:
    """
    Deals that were closed: how long won ones took, and how many of them were won, by count and by amount.
    """
    deals = rows.deals()
    closed = (
        credited(deals)
        .filter(pl.col("closed_at").is_not_null())
        .with_columns(
            is_won=pl.col("outcome") == "won",
            days=(pl.col("closed_at") - pl.col("created_at")).dt.total_seconds().clip(lower_bound=0) / 86_400,
        )
    )
    measures = (
        Measure("closed"),
        Measure("won", where="is_won"),
        Measure("win_rate", "percent", where="is_won", over="closed"),
        Measure("closed_amount", "money", column="amount"),
        Measure("won_amount", "money", where="is_won", column="amount"),
        Measure("win_rate_by_amount", "percent", where="is_won", column="amount", over="closed_amount"),
        Measure("mean_days_to_won", "days", where="is_won", column="days", averages=True),
    )
    table = Table(
        "closed deals",
        closed,
        measures,
        ("type",),
        ("type", "industry", "size", "country", "team", "channel", "offer", "currency"),
        clock="closed_at",
    )
    return Report("Velocity", [table.chosen(asked)], remarks=apart(deals))


def handover(rows: Rows, asked: Asked) -> Report:
    """
    People who raised a hand, and what sales did: first touch, attempts within 30 days, never touched.
    """
    since = asked.period.start if asked.period else asked.now - timedelta(days=365)
    raised = rows.handovers(since).with_columns(
        touched=pl.col("first_sales_touch_at").is_not_null(),
        never_touched=pl.col("first_sales_touch_at").is_null(),
        days=(pl.col("first_sales_touch_at") - pl.col("asked_at")).dt.total_seconds() / 86_400,
    )
    measures = (
        Measure("people"),
        Measure("touched_by_sales", where="touched"),
        Measure("touched_rate", "percent", where="touched", over="people"),
        Measure("mean_days_to_touch", "days", column="days", averages=True),
        Measure("mean_attempts", "days", column="attempts", averages=True),
        Measure("never_touched", where="never_touched"),
        Measure("on_a_later_deal", where="on_deal"),
    )
    table = Table("hand-raisers", raised, measures, ("channel",), ("channel", "asked"), clock="asked_at")
    notes = ["The first demo, price or contact request of each person, and sales' touches after it."]
    if asked.period is None:
        notes.append(f"Since {since:%Y-%m-%d}.")
    return Report("Handover", [table.chosen(asked)], notes)


def engagement(rows: Rows, asked: Asked) -> Report:
    """
    How the accounts stand.
    """
    accounts = _with_deals(_targeted(rows.accounts()), credited(rows.deals()))
    measures = (
        Measure("accounts"),
        Measure("engaged", where="engaged"),
        Measure("engaged_rate", "percent", where="engaged", over="accounts"),
        Measure("qualified", where="qualified"),
        Measure("mean_points", "days", column="points", averages=True),
    )
    dimensions = ("band", "is_target", "tier", "fit_band", "stage", *COMPANY)
    table = Table("accounts", accounts, measures, ("band",), dimensions)
    return Report("Engagement", [table.chosen(asked)])


def readiness(rows: Rows, asked: Asked) -> Report:
    """
    What the data lack before any number is worth much.
    """
    measures = (
        Measure("looked_at"),
        Measure("lacking", where="is_gap"),
        Measure("lacking_rate", "percent", where="is_gap", over="looked_at"),
    )
    table = Table("checks", rows.gaps(), measures, ("check", "of"), ("check", "of"), has_total=False)
    return Report("Readiness", [table.chosen(asked)])


def weekly(rows: Rows, asked: Asked) -> Report:
    """
    What happened this week so far, beside the four weeks before it.
    """
    week = asked.period or asked.calendar.around(asked.now, "week")
    since = week.start - timedelta(weeks=4)
    deals = credited(rows.deals())
    turns, touched = rows.turns(since), rows.touches(since)

    def happened(what: str, found: pl.DataFrame, at: str, subject: str, channel: str | None = None) -> pl.DataFrame:
        return found.select(
            pl.lit(what).alias("what"),
            pl.col(at).alias("at"),
            pl.col(subject).cast(pl.String).alias("subject"),
            (pl.col(channel) if channel else pl.lit(None, pl.String)).alias("channel"),
        )

    events = pl.concat(
        [
            happened("touch", touched, "occurred_at", "touch_id", "channel"),
            happened("account became engaged", turns.filter("engaged"), "at", "account"),
            happened("account no longer engaged", turns.filter(~pl.col("engaged")), "at", "account"),
            happened("deal created", deals, "created_at", "deal", "channel"),
            happened("deal won", deals.filter(pl.col("outcome") == "won"), "closed_at", "deal", "channel"),
            happened("deal lost", deals.filter(pl.col("outcome") == "lost"), "closed_at", "deal", "channel"),
        ]
    ).filter((pl.col("at") >= since) & (pl.col("at") < week.end))
    events = events.with_columns(is_now=pl.col("at") >= week.start, was_before=pl.col("at") < week.start)
    measures = (Measure("this_week", where="is_now"), Measure("four_weeks_before", where="was_before"))
    table = Table("events", events, measures, ("what",), ("what", "channel"), clock="at", has_total=False)
    named = f"Week {week.name} from {week.start:%Y-%m-%d} on, beside the four weeks before it."
    return Report("Week", [table.chosen(replace(asked, period=None))], [named])


def credited(deals: pl.DataFrame) -> pl.DataFrame:
    """
    Those that earn credit and whose creation is known.
    """
    return deals.filter(pl.col("created_at").is_not_null() & (pl.col("state") != reports.NOT_CREDITED))


def apart(deals: pl.DataFrame) -> list[str]:
    """
    How many earn none, in words.
    """
    count = deals.filter(pl.col("state") == reports.NOT_CREDITED).height
    return [f"Apart: {count:,} deals earn no credit by rule."] if count else []
