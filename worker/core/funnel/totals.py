"""
Sums rows up by groups: how every number of every report is made, so that each is a count, a sum or a quotient of rows
that can be looked at.

A report is a frame of rows and a list of measures; what a row is, is the report's. Called by the reports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from worker.core.funnel.correlation import rank_correlation

Unit = Literal["count", "money", "share", "percent", "days", "years", "mean", "correlation"]
# Money and shares are summed as decimals: what is exact stays exact.
MONEY: Final = pl.Decimal(38, 6)


@dataclass(frozen=True)
class Measure:
    """
    A number of a report.

    Counted: rows where the boolean ``where`` holds (all rows where it is null). Summed: ``column`` over those rows,
    null where it is null on all of them. Divided (``over``, the name of another measure): 100 x this measure's own
    count or sum / that one, null over zero. Averaged (``averages``): the mean of ``column`` over rows that have it, of
    money to the cent. Correlated (``ranks_with``, another column): the rank correlation of the two.
    """

    name: str
    unit: Unit = "count"
    where: str | None = None
    column: str | None = None
    over: str | None = None
    averages: bool = False
    ranks_with: str | None = None

    def expression(self) -> pl.Expr:
        """
        Over the rows of a group, before any division.
        """
        chosen = pl.lit(value=True) if self.where is None else pl.col(self.where).fill_null(value=False)
        if self.ranks_with is not None:
            return rank_correlation(*(pl.col(name).filter(chosen) for name in (self.column or "", self.ranks_with)))
        if self.averages and self.unit != "money":
            return pl.col(self.column or "").cast(pl.Float64).filter(chosen).mean().round(1)
        if self.column is None:
            return chosen.cast(pl.Int64).sum() if self.where is not None else pl.len().cast(pl.Int64)
        filled = pl.col(self.column).filter(chosen & pl.col(self.column).is_not_null())
        if self.averages:
            return (filled.sum() / pl.when(filled.len() > 0).then(filled.len())).round(2)
        summed = filled.sum().round(9) if self.unit == "share" else filled.sum()
        return pl.when(filled.len() > 0).then(summed)


@dataclass(frozen=True)
class Totals:
    """
    ``lines``: one row a group, the columns of ``by`` and one a measure, ordered. ``total``: the same over all rows.
    """

    by: Sequence[str]
    lines: pl.DataFrame
    total: Mapping[str, object]


def totals(rows: pl.DataFrame, by: Sequence[str], measures: Sequence[Measure]) -> Totals:
    """
    Sum ``rows`` up by the columns ``by``; an empty cell of those is a group of its own. Ordered by ``by``, empty last.
    """
    expressions = [measure.expression().alias(measure.name) for measure in measures]
    divided = [
        pl.when(pl.col(measure.over) != 0)
        .then((pl.col(measure.name) * 100 / pl.col(measure.over)).cast(pl.Float64).round(1))
        .alias(measure.name)
        for measure in measures
        if measure.over is not None
    ]
    whole = rows.select(expressions) if rows.height else _nothing(rows, measures)
    total = whole.with_columns(divided).row(0, named=True)
    if not by:
        return Totals((), whole.with_columns(divided), total)
    lines = rows.group_by(by).agg(expressions).with_columns(divided).sort(by, nulls_last=True)
    return Totals(tuple(by), lines, total)


def _nothing(rows: pl.DataFrame, measures: Sequence[Measure]) -> pl.DataFrame:
    counted = {measure.name: [0 if measure.column is None else None] for measure in measures}
    kinds = {
        measure.name: pl.Int64 if measure.column is None else rows.schema.get(measure.column, pl.Float64())
        for measure in measures
    }
    return pl.DataFrame(counted, schema=kinds)


def matching(rows: pl.DataFrame, wanted: Mapping[str, str | None]) -> pl.DataFrame:
    """
    The rows whose columns hold these values, as text; None stands for an empty cell. A boolean column holds ``true``
    or ``false``.
    """
    chosen = pl.lit(value=True)
    for column, value in wanted.items():
        text = pl.col(column).cast(pl.String)
        chosen = chosen & (text.is_null() if value is None else text.eq_missing(pl.lit(value)))
    return rows.filter(chosen)
