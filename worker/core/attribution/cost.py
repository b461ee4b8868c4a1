"""
Divides what a campaign cost over the days it ran, in whole units.

Every day has the same share; the units left over go to the earliest days, and a negative cost is divided as its
absolute value and negated, as everywhere in this room. Called by the campaign reports.
"""

from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

import polars as pl

from worker.core.deals import MINOR_DIGITS
from worker.core.errors import Fatal
from worker.core.frames import Schema

# What each campaign cost; both days are counted.
COST: Final[Schema] = {"campaign_id": pl.String, "units": pl.Int64, "starts_on": pl.Date, "ends_on": pl.Date}
# The finest that money is told in by the reports.
_MICRO_DIGITS: Final = 6
COST_OF_DAY: Final[Schema] = {"campaign_id": pl.String, "on": pl.Date, "units": pl.Int64}


def spread_costs(costs: pl.DataFrame) -> pl.DataFrame:
    """
    COST_OF_DAY of every COST, by campaign and day; the days of each cost add up to it.

    Raises Fatal HW-145 for a campaign without a cost or a day, or that ends before it starts.
    """
    wrong = costs.filter(~(pl.col("ends_on") >= pl.col("starts_on")).fill_null(value=False) | pl.col("units").is_null())
    if wrong.height:
        first = wrong.row(0, named=True)
        raise Fatal(
            "HW-145",
            f"{wrong.height} campaigns have a cost that cannot be divided over days; the first is "
            f"{first['campaign_id']}, {first['starts_on']} to {first['ends_on']}",
            actions=["correct the campaigns' start and end"],
        )
    number = pl.int_range(pl.len()).over("row")
    size = pl.col("units").abs()
    return (
        costs.with_row_index("row")
        .with_columns(days=(pl.col("ends_on") - pl.col("starts_on")).dt.total_days() + 1)
        .with_columns(on=pl.date_ranges("starts_on", "ends_on"))
        .explode("on")
        .with_columns(each=size // pl.col("days") + (number < size % pl.col("days")).cast(pl.Int64))
        .select("campaign_id", "on", units=pl.col("each") * pl.col("units").sign())
        .sort("campaign_id", "on")
    )


def spread_cost(amount: Decimal, start: date, end: date, *, digits: int = 2) -> dict[date, Decimal]:
    """
    One cost by day, in the finer of ``digits`` (the currency's minor unit) and the amount's own.
    """
    digits = max(digits, -int(amount.as_tuple().exponent))
    told = pl.DataFrame([("", int(amount.scaleb(digits)), start, end)], schema=COST, orient="row")
    return {on: Decimal(units).scaleb(-digits) for on, units in spread_costs(told).select("on", "units").iter_rows()}


class CostsByDay(NamedTuple):
    """
    ``days``: campaign, on, cost, exact decimals that add up to each campaign's cost. ``undated``: campaign, cost of
    those that have no day, or end before they start.
    """

    days: pl.DataFrame
    undated: pl.DataFrame


def costs_by_day(campaigns: pl.DataFrame) -> CostsByDay:
    """
    What campaigns (campaign, currency, cost as Decimal(38, 6), start_on, end_on, first_on: the day of their first
    touch) cost on each day from start to end, in the finer of the currency's minor unit and the cost's own digits.

    A campaign with one of the two days has cost it all on that day, and one with none on the day of its first touch.
    """
    told = campaigns.filter(pl.col("cost").is_not_null()).with_columns(
        starts_on=pl.coalesce("start_on", "end_on", "first_on"),
        ends_on=pl.coalesce("end_on", "start_on", "first_on"),
    )
    is_dated = (pl.col("ends_on") >= pl.col("starts_on")).fill_null(value=False)
    micro = pl.col("cost").cast(pl.String).str.replace(".", "", literal=True).cast(pl.Int64)
    decimals = pl.col("cost").cast(pl.String).str.extract(r"\.(\d*?)0*$", 1).str.len_chars()
    minor = pl.col("currency").replace_strict(MINOR_DIGITS, default=2, return_dtype=pl.UInt32)
    unit = pl.lit(10, pl.Int64).pow(_MICRO_DIGITS - pl.max_horizontal(decimals, minor))
    sized = told.filter(is_dated).with_columns(unit=unit)
    costs = sized.select("starts_on", "ends_on", campaign_id="campaign", units=micro // pl.col("unit"))
    days = spread_costs(costs).join(sized.select("unit", campaign_id="campaign"), on="campaign_id")
    exact = [Decimal(micro).scaleb(-_MICRO_DIGITS) for micro in (days["units"] * days["unit"])]
    return CostsByDay(
        days.select("on", campaign="campaign_id").with_columns(cost=pl.Series(exact, dtype=sized.schema["cost"])),
        told.filter(~is_dated).select("campaign", "cost"),
    )
