"""
Decides what becomes of credits that come out otherwise than they were stored: kept, replaced, shown as an adjustment.

Shares are settled on the pipeline clock from creation on, on the revenue clock from the close on. What late data change
of settled shares is an adjustment with its date; what other rules change is theirs and was previewed, and what a first
learning changes of a learnt model is its own. In a period that
an administrator has locked nothing moves: the stored credits stay, and the difference is booked on the day it was
found. Called by the attribution flow.
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final

import polars as pl

from worker.core.errors import Fatal
from worker.core.frames import Schema

# One row a deal, clock, model and item that has a share; ``share`` is an exact fraction as text, ``learnt`` the number
# of the learning that decided, null where the model's weights are not learnt.
STANDING: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "clock": pl.String,
    "model": pl.String,
    "item": pl.String,
    "touch_id": pl.String,
    "share": pl.String,
    "units": pl.Int64,
    "learnt": pl.Int64,
}

# One row a deal and clock. ``period_on``: the day by which it belongs to a period (creation; close date).
# ``was_settled``, ``is_settled``: whether its shares were final as stored, and are now. ``was_version``,
# ``is_version``: of the rules.
SETTLING: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "clock": pl.String,
    "period_on": pl.Date,
    "was_settled": pl.Boolean,
    "is_settled": pl.Boolean,
    "was_version": pl.Int64,
    "is_version": pl.Int64,
}

# Both days are counted.
LOCKED: Final[Schema] = {"starts_on": pl.Date, "ends_on": pl.Date}

# ``kind``: restated (the stored credits hold the new share) or booked (they do not, so sums add ``units_delta`` on
# ``adjusted_on``). ``cause``: late data, rules, or learning (weights were learnt). ``units_delta`` is null without an
# amount.
ADJUSTMENT: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "clock": pl.String,
    "model": pl.String,
    "item": pl.String,
    "touch_id": pl.String,
    "share_before": pl.String,
    "share_after": pl.String,
    "units_delta": pl.Int64,
    "kind": pl.String,
    "cause": pl.String,
    "adjusted_on": pl.Date,
}

_GROUP: Final = ("opportunity_id", "clock")
_ITEM: Final = (*_GROUP, "model", "item", "touch_id")


@dataclass(frozen=True)
class Settlement:
    """
    ``keep``: the deals and clocks (``opportunity_id``, ``clock``) whose stored credits stay as they are, because their
    period is locked; of all others the computed ones replace them. ``adjustments``: ADJUSTMENT, by deal, clock, model
    and item.
    """

    keep: pl.DataFrame
    adjustments: pl.DataFrame


def settle(
    stored: pl.DataFrame,
    computed: pl.DataFrame,
    settling: pl.DataFrame,
    locked: pl.DataFrame,
    booked: pl.DataFrame,
    *,
    on: date,
) -> Settlement:
    """
    What to keep and what to show, of the deals and clocks of ``settling``.

    ``stored`` and ``computed`` are STANDING, ``booked`` the ADJUSTMENT rows of kind booked that were shown before: in a
    locked period only what has changed since is shown. A deal that was never stored has nothing to adjust; where it
    falls into a locked period, all of its credit is booked.

    Raises Fatal HW-902 for a deal and clock that ``settling`` has twice.
    """
    if settling.select(_GROUP).is_duplicated().any():
        raise Fatal("HW-902", "a deal and clock came in twice to be settled")
    shut = in_locked_periods(settling, locked)
    seen = pl.concat(
        [
            stored.join(shut, on=_GROUP, how="anti"),
            _as_shown(*(each.join(shut, on=_GROUP) for each in (stored, booked))),
        ]
    )
    changed = _changes(seen, computed).join(settling, on=_GROUP)
    free = changed.join(shut, on=_GROUP, how="anti")
    finality = free.select("was_settled", "is_settled", "was_version", "is_version").iter_rows()
    is_late = pl.Series([may_be_late(*each) for each in finality], dtype=pl.Boolean)
    late = free.filter(is_late).filter(pl.col("same_learning") & _shares_of_touches_moved())
    shown = pl.concat(
        [
            late.filter(pl.col("share_before") != pl.col("share_after")).with_columns(kind=pl.lit("restated")),
            changed.join(shut, on=_GROUP).with_columns(kind=pl.lit("booked")),
        ]
    )
    adjustments = shown.with_columns(
        cause=pl.when(~_same_rules())
        .then(pl.lit("rules"))
        .when(pl.col("same_learning"))
        .then(pl.lit("late data"))
        .otherwise(pl.lit("learning")),
        adjusted_on=pl.lit(on),
    ).select(pl.col(name).cast(kind) for name, kind in ADJUSTMENT.items())
    return Settlement(keep=shut, adjustments=adjustments.sort(_ITEM, nulls_last=True))


def may_be_late(was_settled: bool, is_settled: bool, was_version: int | None, is_version: int | None) -> bool:
    """
    Whether late data may have changed shares where nothing is locked, by these fields of SETTLING: they were final and
    are, by one version of the rules.
    """
    return was_settled and is_settled and (None in (was_version, is_version) or was_version == is_version)


def in_locked_periods(settling: pl.DataFrame, locked: pl.DataFrame) -> pl.DataFrame:
    """
    The deals and clocks that fall into a locked period.
    """
    inside = settling.join_where(
        locked, pl.col("period_on") >= pl.col("starts_on"), pl.col("period_on") <= pl.col("ends_on")
    )
    return inside.select(_GROUP).unique()


def _as_shown(stored: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """
    Stored credits of locked periods with what was booked upon them: the share last shown, and all units so far.
    """
    last = (
        booked.sort("adjusted_on", maintain_order=True)
        .group_by(_ITEM, maintain_order=True)
        .agg(share_after=pl.col("share_after").last(), booked_units=pl.col("units_delta").sum())
    )
    return (
        stored.join(last, on=_ITEM, how="full", coalesce=True, nulls_equal=True)
        .with_columns(
            share=pl.coalesce("share_after", "share"),
            units=pl.col("units").fill_null(0) + pl.col("booked_units").fill_null(0),
        )
        .select(STANDING.keys())
    )


def _changes(seen: pl.DataFrame, computed: pl.DataFrame) -> pl.DataFrame:
    """
    The items whose share or money differs: before, after, the money's difference, and whether both are of one learning.
    """
    both = _in_lowest_terms(seen).join(
        _in_lowest_terms(computed), on=_ITEM, how="full", coalesce=True, nulls_equal=True, suffix="_now"
    )
    moneyless = pl.col("units_now").is_null() & pl.col("share_now").is_not_null()
    return both.select(
        *_ITEM,
        share_before=pl.col("share").fill_null("0"),
        share_after=pl.col("share_now").fill_null("0"),
        units_delta=pl.when(~moneyless).then(pl.col("units_now").fill_null(0) - pl.col("units").fill_null(0)),
        same_learning=_of_model("learnt").eq_missing(_of_model("learnt_now")),
    ).filter((pl.col("share_before") != pl.col("share_after")) | (pl.col("units_delta") != 0))


def _of_model(learnt: str) -> pl.Expr:
    """
    Which learning decided a deal and clock under a model: an item that is new has none of its own before.
    """
    return pl.col(learnt).max().over(*_GROUP, "model")


def _same_rules() -> pl.Expr:
    return (pl.col("was_version") == pl.col("is_version")).fill_null(value=True)


def _in_lowest_terms(standing: pl.DataFrame) -> pl.DataFrame:
    """
    With equal shares spelt alike: 3/10 and 6/20 are one.
    """
    spelt = {share: str(Fraction(share)) for share in standing["share"].drop_nulls().unique()}
    return standing.with_columns(pl.col("share").replace(spelt))


def _shares_of_touches_moved() -> pl.Expr:
    """
    Whether a touch's share differs: pending that becomes unassigned at the close is no adjustment.
    """
    moved = (pl.col("item") == "touch") & (pl.col("share_before") != pl.col("share_after"))
    return moved.any().over("opportunity_id", "clock", "model")
