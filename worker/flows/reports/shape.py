"""
What a report is: rows, how they are summed up, and what must be said beside the numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from worker.core.errors import Fatal
from worker.core.funnel.calendar import KINDS, Calendar, Kind, Span
from worker.core.funnel.totals import Measure, Totals, totals
from worker.core.rules import Rules


@dataclass(frozen=True)
class Asked:
    """
    What was asked for. ``by`` empty means the report's own choice; ``of`` chooses among several things that a report
    can be of; ``subject`` names the one record that it is about.
    """

    now: datetime
    calendar: Calendar
    rules: Rules
    model: str
    period: Span | None = None
    by: tuple[str, ...] = ()
    of: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Standing:
    """
    Of which moment a report is: the instant, the number of the rules that were in force, in which sense, and what
    cannot be known of it.
    """

    at: datetime | None
    rules: int | None
    sense: str | None = None
    not_known: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """
    One table of a report. ``rows`` is the list behind it, one row a thing; ``clock`` is the instant that puts a row
    into a period; ``by`` is how it is summed up, ``dimensions`` what else it may be summed up by. Money in rows of
    several currencies makes ``currency`` one of the groups. Where the groups are of unlike things (deals and touches),
    ``has_total`` is off.
    """

    name: str
    rows: pl.DataFrame
    measures: Sequence[Measure]
    by: tuple[str, ...]
    dimensions: tuple[str, ...]
    clock: str | None = None
    has_total: bool = True

    def chosen(self, asked: Asked) -> "Table":
        """
        The same for the period and the groups that were asked for. Raises Fatal HW-161 for a group that it has not.
        """
        rows = self.rows
        if asked.period is not None and self.clock is not None:
            at = pl.col(self.clock)
            rows = rows.filter((at >= asked.period.start) & (at < asked.period.end))
        by = asked.by or self.by
        if self._mixes_money(rows) and "currency" not in by:
            by = (*by, "currency")
        spans = KINDS if self.clock is not None else ()
        strangers = [name for name in by if name not in {*self.dimensions, *spans}]
        if strangers:
            raise Fatal(
                "HW-161",
                f"{self.name} cannot be summed up by {strangers[0]}",
                actions=[f"--by one of {', '.join([*self.dimensions, *spans])}"],
            )
        named = [asked.calendar.name_of(self.clock or "", kind).alias(kind) for kind in _kinds(by)]
        return replace(self, rows=rows.with_columns(named), by=by)

    def summed(self) -> Totals:
        """
        Every number of it. Money of several currencies is added up by no line, nor in the total.
        """
        found = totals(self.rows, self.by, self.measures)
        if not self._mixes_money(self.rows):
            return found
        money = {measure.name for measure in self.measures if measure.unit == "money"}
        mixed = [measure.name for measure in self.measures if measure.name in money or measure.over in money]
        return replace(found, total={**found.total, **dict.fromkeys(mixed)})

    def _mixes_money(self, rows: pl.DataFrame) -> bool:
        """
        Whether the rows hold money of several currencies.
        """
        has_money = any(measure.unit == "money" for measure in self.measures)
        return has_money and "currency" in rows.columns and rows["currency"].n_unique() > 1


def _kinds(by: Sequence[str]) -> list[Kind]:
    return [kind for kind in KINDS if kind in by]  # type: ignore[misc]


@dataclass(frozen=True)
class Report:
    """
    ``notes`` come before the numbers, ``remarks`` after them.
    """

    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    remarks: Sequence[str] = ()
    # Groups whose rates are left out, because they are too young: by the name of the span.
    maturing: frozenset[str] = frozenset()
    # None: of the present, which is as of the last decision.
    standing: Standing | None = None
