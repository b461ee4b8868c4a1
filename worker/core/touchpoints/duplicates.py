"""
Decides, among the touches of one person, which were a machine's and which record of one act stands for the others.

A click within a minute of the mail's delivery, or beside another link in the same second, is held to be a machine's:
kept, labelled, reversible. An act that arrived by two routes (same kind, linked program and campaign, within 24 hours)
counts once, and the earliest instant stands.
"""

from datetime import timedelta
from typing import Final

import polars as pl

from worker.core.frames import Schema
from worker.core.touchpoints.classify import FLAGGED_BY_PLATFORM
from worker.core.touchpoints.rules import TouchpointRules

STANDING: Final[Schema] = {"touch_id": pl.String, "machine": pl.String, "duplicate_of": pl.String}

SOON_AFTER_DELIVERY: Final = "clicked within {seconds} s of delivery"
SEVERAL_LINKS: Final = "several links in one second"


def standing(touches: pl.DataFrame, rules: TouchpointRules) -> pl.DataFrame:
    """
    Machine and duplicate_of for every touch given: all touches of some persons, with the columns of TOUCHPOINT and
    person_id. One STANDING row a touch.
    """
    if touches.is_empty():
        return pl.DataFrame(schema=STANDING)
    judged = _machines(touches, rules)
    return _duplicates(judged, rules).select(list(STANDING))


def _machines(touches: pl.DataFrame, rules: TouchpointRules) -> pl.DataFrame:
    seconds = rules.machines.within_seconds_of_delivery
    clicks = touches.filter(pl.col("type") == "email_click")
    if clicks.is_empty():
        return touches.with_columns(machine=pl.when(pl.col("machine") == FLAGGED_BY_PLATFORM).then(pl.col("machine")))
    mail = ["person_id", "campaign_key"]
    delivered = touches.filter(pl.col("type") == "email_delivered").select(*mail, delivered_at="occurred_at")
    soon = (
        clicks.join(delivered, on=mail, nulls_equal=True)
        .filter(
            pl.col("occurred_at").is_between(
                pl.col("delivered_at"), pl.col("delivered_at") + timedelta(seconds=seconds)
            )
        )
        .select("touch_id")
        .unique()
    )
    second = ["person_id", pl.col("occurred_at").dt.truncate("1s").alias("second")]
    several = (
        clicks.with_columns(second=pl.col("occurred_at").dt.truncate("1s"))
        .with_columns(links=pl.len().over(second[0], "second"))
        .filter(pl.col("links") >= rules.machines.links_in_one_second_count)
        .select("touch_id")
    )
    return touches.with_columns(
        machine=pl.when(pl.col("machine") == FLAGGED_BY_PLATFORM)
        .then(pl.col("machine"))
        .when(pl.col("touch_id").is_in(soon["touch_id"].implode()))
        .then(pl.lit(SOON_AFTER_DELIVERY.format(seconds=seconds)))
        .when(pl.col("touch_id").is_in(several["touch_id"].implode()))
        .then(pl.lit(SEVERAL_LINKS))
    )


def _duplicates(touches: pl.DataFrame, rules: TouchpointRules) -> pl.DataFrame:
    """
    Touches of one person, type and campaign from different sources, each within the hours of the one that stands.
    """
    same = ["person_id", "type", "campaign_key"]
    ordered = touches.sort("occurred_at", "touch_id")
    candidates = (
        ordered.filter(pl.col("campaign_key").is_not_null())
        .filter(pl.col("source").n_unique().over(same) > 1)
        .select(*same, "touch_id", "occurred_at", "source")
    )
    stands: dict[str, str] = {}
    reach = timedelta(hours=rules.same_touch_hours)
    # Only acts that came by two routes are looked at one by one: a small part of all.
    for group in candidates.partition_by(same, maintain_order=True):
        open_touches: list[tuple[object, str, set[str]]] = []
        for touch_id, at, source in group.select("touch_id", "occurred_at", "source").iter_rows():
            for first_at, first_id, sources in open_touches:
                if source not in sources and at - first_at <= reach:
                    stands[touch_id] = first_id
                    sources.add(source)
                    break
            else:
                open_touches.append((at, touch_id, {source}))
    return touches.with_columns(
        duplicate_of=pl.col("touch_id").replace_strict(stands, default=None, return_dtype=pl.String)
        if stands
        else pl.lit(None, pl.String)
    )
