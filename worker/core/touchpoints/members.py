"""
Decides when a campaign member's response happened, so that it can be classified as any other act.

A member counts only when it has responded (unless the rules say otherwise); its date is, by campaign type, the day it
responded, the campaign's first day, or the member's creation. A day is the organisation's local day, and counts from
its first instant.
"""

from typing import Final

import polars as pl

from worker.core.frames import INSTANT, Schema
from worker.core.touchpoints.classify import ACTIVITY
from worker.core.touchpoints.rules import MemberRules

# What a member brings beside ACTIVITY's columns; its ``occurred_at`` is decided here.
MEMBER: Final[Schema] = {
    **{name: kind for name, kind in ACTIVITY.items() if name != "occurred_at"},
    "has_responded": pl.Boolean,
    "responded_on": pl.Date,
    "campaign_start_on": pl.Date,
    "created_at": INSTANT,
}


def as_activities(members: pl.DataFrame, rules: MemberRules, zone: str) -> pl.DataFrame:
    """
    MEMBER rows in, ACTIVITY rows out: those that count, with the instant that counts (the next of the three dates where
    the rule's own is empty).
    """
    counted = members.filter(pl.col("has_responded").fill_null(value=False)) if rules.responded_only else members
    dates = {
        "responded": _first_instant("responded_on", zone),
        "campaign_start": _first_instant("campaign_start_on", zone),
        "member_created": pl.col("created_at"),
    }
    by_type = {name.lower(): date for name, date in rules.date.items()}
    chosen = (
        pl.col("campaign_type").str.to_lowercase().replace_strict(by_type, default=rules.date_otherwise)
        if by_type
        else pl.lit(rules.date_otherwise)
    )
    own = pl.coalesce(pl.when(chosen == name).then(date) for name, date in dates.items())
    return counted.with_columns(
        occurred_at=pl.coalesce(own, dates["responded"], dates["member_created"]).cast(INSTANT)
    ).select(list(ACTIVITY))


def _first_instant(day: str, zone: str) -> pl.Expr:
    local = pl.col(day).cast(pl.Datetime("us")).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC")
