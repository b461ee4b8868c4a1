"""
Compares what channels have of deals before and after: how much money moved, under which model, on which clock.

Divides nothing; it is given what was divided. Called by the preview of a rule change and by ``why --since``.
"""

from collections import defaultdict
from decimal import Decimal
from typing import Final, NamedTuple

import polars as pl

from worker.core.frames import Schema

PENDING: Final = "Pending"
NO_TOUCH: Final = "No marketing touch"
NOT_CREDITED: Final = "Not credited by rule"

# What the channels have of each deal. ``units`` are the deal's, of 10^-digits.
CHANNEL_MONEY: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "clock": pl.String,
    "model": pl.String,
    "channel": pl.String,
    "units": pl.Int64,
}
KEY: Final = ("opportunity_id", "clock", "model", "channel")


class Moved(NamedTuple):
    """
    What one channel has before and after, in ``currency``, and of how many deals its part changes.
    """

    model: str
    clock: str
    currency: str
    channel: str
    before: Decimal
    after: Decimal
    deals: int

    @property
    def difference(self) -> Decimal:
        """
        What came (or, below zero, went).
        """
        return self.after - self.before


def whole(money: pl.DataFrame, deals: pl.DataFrame, models: list[str], clocks: tuple[str, ...]) -> pl.DataFrame:
    """
    CHANNEL_MONEY of all ``deals`` (DEAL) that have an amount: where nothing of a deal is credited under a model and on
    a clock, all of it is *Not credited by rule*. So two answers about the same deals have the same sum.
    """
    every = (
        deals.filter(pl.col("amount_units").is_not_null())
        .select("opportunity_id", units="amount_units")
        .join(pl.DataFrame({"clock": clocks}, schema={"clock": pl.String}), how="cross")
        .join(pl.DataFrame({"model": models}, schema={"model": pl.String}), how="cross")
    )
    credited = money.join(every.drop("units"), on=["opportunity_id", "clock", "model"], how="semi")
    rest = every.join(credited, on=["opportunity_id", "clock", "model"], how="anti")
    rows = pl.concat(
        [
            credited.select(list(CHANNEL_MONEY)),
            rest.with_columns(channel=pl.lit(NOT_CREDITED)).select(list(CHANNEL_MONEY)),
        ]
    )
    return rows.group_by(KEY).agg(pl.col("units").sum())


def named(item: pl.Expr, channel: pl.Expr) -> pl.Expr:
    """
    The channel of a credited item, with names for what is no touch's.
    """
    return (
        pl.when(item == "pending")
        .then(pl.lit(PENDING))
        .when(item == "unassigned")
        .then(pl.lit(NO_TOUCH))
        .otherwise(channel.fill_null("Other"))
    )


class Ledger:
    """
    Adds up what moved, a batch of deals at a time; it grows with the channels and not with the deals.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
        self._after: dict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
        self._deals: dict[tuple[str, str, str, str], int] = defaultdict(int)
        self.changed = 0

    def add(self, before: pl.DataFrame, after: pl.DataFrame, deals: pl.DataFrame) -> None:
        """
        ``before`` and ``after`` are CHANNEL_MONEY of the same ``deals`` (DEAL), each deal in one batch only.
        """
        both = (
            before.join(after, on=KEY, how="full", coalesce=True, suffix="_after")
            .with_columns(pl.col("units", "units_after").fill_null(0))
            .join(deals.select("opportunity_id", "currency", "digits"), on="opportunity_id")
            .with_columns(is_moved=pl.col("units") != pl.col("units_after"))
        )
        self.changed += both.filter("is_moved")["opportunity_id"].n_unique()
        sums = both.group_by("model", "clock", "currency", "channel", "digits").agg(
            # A batch of the largest amounts is more than 64 bits hold.
            pl.col("units", "units_after").cast(pl.Int128).sum(),
            pl.col("is_moved").sum().alias("deals"),
        )
        for model, clock, currency, channel, digits, units, after_units, count in sums.iter_rows():
            key = (model, clock, currency, channel)
            self._before[key] += Decimal(units).scaleb(-digits)
            self._after[key] += Decimal(after_units).scaleb(-digits)
            self._deals[key] += count

    def lines(self) -> list[Moved]:
        """
        Every channel, by model, clock, currency; the largest movement first.
        """
        found = [
            Moved(*key, self._before[key], self._after[key], self._deals[key])
            for key in self._before.keys() | self._after.keys()
        ]
        return sorted(
            found, key=lambda each: (each.model, each.clock, each.currency, -abs(each.difference), each.channel)
        )
