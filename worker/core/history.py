"""
Puts deals back to how they stood at a past moment, from what is known of their changes. Pure; called by the as-of flow.
"""

import polars as pl

from worker.core.deals import outcomes
from worker.core.frames import INSTANT, Schema
from worker.core.timeline import Lens

# One row a change of a deal; the amount also without its point, as text, with its digits.
DEAL_CHANGE: Schema = {
    "opportunity_id": pl.Int64,
    "occurred_at": INSTANT,
    "stage": pl.String,
    "amount": pl.Decimal(38, 6),
    "amount_units": pl.String,
    "amount_scale": pl.Int32,
    "close_on": pl.Date,
}
_THEN = ("amount", "amount_units", "amount_scale", "stage", "outcome", "closed_at")


def as_stood(facts: pl.DataFrame, changes: pl.DataFrame, stages: pl.DataFrame, lens: Lens, zone: str) -> pl.DataFrame:
    """
    The deals (``facts``: store.decisions.DEAL_FACTS) that a lens sees, with amount, stage, outcome and close as they
    stood there. ``changes`` is DEAL_CHANGE with arrived_at, ``stages`` the organisation's STAGE list.

    A deal of whose changes the lens hides none stands as it does now; one that has no change recorded keeps its amount
    and stage, and is open up to its close. One all of whose changes up to ``lens.since`` came after it was not known
    then. Facts with ``close_on`` get that back, too.
    """
    there = facts.filter((pl.col("created_at") <= lens.until).fill_null(value=False))
    if lens.since is not None:
        came = changes.group_by("opportunity_id").agg(came_at=pl.col("arrived_at").min())
        unknown = came.filter(pl.col("came_at") > lens.since).join(
            facts.filter((pl.col("created_at") <= lens.since).fill_null(value=False)), on="opportunity_id", how="semi"
        )
        there = there.join(unknown, on="opportunity_id", how="anti")
    ordered = changes.sort("opportunity_id", "occurred_at", maintain_order=True)
    hidden = ordered.filter(~lens.sees())
    seen = ordered.filter(lens.sees())
    shown = (
        pl.concat([hidden.group_by("opportunity_id", maintain_order=True).first(), seen])
        .group_by("opportunity_id", maintain_order=True)
        .last()
        .join(hidden.select("opportunity_id").unique(), on="opportunity_id", how="semi")
    )
    past = _closing(
        there.filter(pl.col("opportunity_id").is_in(shown["opportunity_id"].implode())), shown, seen, stages, zone
    )
    kept = there.join(past, on="opportunity_id", how="anti")
    is_later = (pl.col("closed_at") > lens.until).fill_null(value=False)
    kept = kept.with_columns(
        outcome=pl.when(is_later).then(pl.lit("open")).otherwise("outcome"),
        closed_at=pl.when(~is_later).then("closed_at"),
    )
    return pl.concat([kept, past]).sort("opportunity_id")


def _closing(
    deals: pl.DataFrame, shown: pl.DataFrame, seen: pl.DataFrame, stages: pl.DataFrame, zone: str
) -> pl.DataFrame:
    """
    The deals with the values of the change that was ``shown`` last.
    """
    record = pl.col("opportunity_id").cast(pl.String)
    flags = stages.unique("name", keep="first").select(stage="name", is_closed="is_closed", is_won="is_won")
    records = shown.join(flags, on="stage", how="left").select(
        "opportunity_id", "stage", "is_closed", "is_won", "close_on", record_id=record
    )
    entries = seen.select(opportunity_ref=record, stage="stage", entered_at="occurred_at")
    ends = outcomes(records, entries, stages, zone).join(records.select("record_id", "opportunity_id"), on="record_id")
    names = [name for name in (*_THEN, "close_on") if name in deals.columns]
    then = shown.join(ends, on="opportunity_id").select("opportunity_id", *names)
    return deals.drop(names).join(then, on="opportunity_id").select(deals.columns)
