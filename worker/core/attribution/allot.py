"""
Divides each deal's money among the touches of its path: exact shares first, then whole units by largest remainder.

Decides what every item of a deal gets under every model: each touch, what is pending, and what is unassigned (*No
marketing touch*). Finds no paths (``path`` does) and weighs no milestones (``shares`` does). Called by the attribution
flow and by the preview of a rule change.

Both answers hold the same; the wide one has one row an item and three columns a model, and at seven models about a
fifth of the rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.attribution.channels import decided_by, weigh_channels
from worker.core.attribution.decay import decayed
from worker.core.attribution.money import FINEST, integer_for, largest_remainders
from worker.core.attribution.path import PathSet, position_bits
from worker.core.attribution.rules import AttributionRules, Model, NoTouchRule
from worker.core.attribution.shares import divide_weights, situations, weighed_positions
from worker.core.chain import queried
from worker.core.columns import (
    constant,
    filled,
    group_sums,
    joined,
    known,
    numbers,
    one,
    places,
    rows_where,
    sorted_by,
    spread,
)
from worker.core.errors import Fatal
from worker.core.frames import CREDIT, INSTANT, Schema


def wide_schema(rules: AttributionRules) -> Schema:
    """
    The columns of ``allot_wide``: those of CREDIT that describe an item, with the instant of a touch; then three a
    model M, null where the item gets nothing under it: ``share_num:M``, ``share_den:M``, ``amount_units:M``. A model
    that is learnt has a fourth, ``learnt:M``, the number of the learning that decided.
    """
    schema = {name: CREDIT[name] for name in ("opportunity_id", "clock", "item", "touch_id")}
    schema |= {"occurred_at": INSTANT, "positions": CREDIT["positions"]}
    for model in rules.models:
        schema |= {f"{name}:{model.name}": CREDIT[name] for name in ("share_num", "share_den", "amount_units")}
        schema |= {f"learnt:{model.name}": pl.Int64} if model.learnings else {}
    return schema


def allot(deals: pl.DataFrame, paths: PathSet, rules: AttributionRules) -> pl.DataFrame:
    """
    CREDIT: who gets what of each deal, on each clock of ``paths``, under each model of the rules.

    Items with a share of zero are left out; a share above zero may still get no unit. Of one deal, clock and model the
    shares add up to 1 and the money to the deal's amount, exactly. In the order of the rules' models, then
    opportunity, clock, path order, pending, unassigned. ``positions`` names those that the model weighs.

    Raises Fatal HW-903 if a deal of ``paths`` is not among ``deals``, or a path is too long to be divided exactly.
    """
    items = _lay_out(deals, paths)
    described = items.described()
    frames = []
    for model, division in _divisions(items, rules.models, rules.no_touch):
        weighed = [name for name in rules.position_names if name in model.parts()]
        held = _positions(items.position_bits(weighed).filter(division.gets), weighed)
        getting = described.filter(division.gets).with_columns(held.alias("positions"))
        frames.append(_credit(getting, model, division))
    return pl.concat(frames)


def divide(
    deals: pl.DataFrame, paths: PathSet, models: Sequence[Model], no_touch: NoTouchRule = "unassigned"
) -> pl.DataFrame:
    """
    The same as ``allot`` under these models, whose weights may be of any positions that ``paths.clocks`` has the state
    and holder of. ``positions`` is null.
    """
    items = _lay_out(deals, paths)
    described = items.described().with_columns(positions=pl.lit(None, pl.String))
    return pl.concat(
        _credit(described.filter(division.gets), model, division)
        for model, division in _divisions(items, models, no_touch)
    )


def _credit(getting: pl.DataFrame, model: Model, division: "_Division") -> pl.DataFrame:
    """
    CREDIT under one model, of the items that get something, described with their positions.
    """
    return getting.with_columns(
        pl.lit(model.name).alias("model"),
        division.numerator.filter(division.gets).alias("share_num"),
        division.denominator.filter(division.gets).alias("share_den"),
        division.units.filter(division.gets).alias("amount_units"),
    ).select(pl.col(name).cast(kind) for name, kind in CREDIT.items())


def allot_wide(deals: pl.DataFrame, paths: PathSet, rules: AttributionRules) -> pl.DataFrame:
    """
    The same as ``allot``, one row an item with the columns of ``wide_schema``, by opportunity, clock and item.

    ``positions`` names all that the touch holds. Items that get nothing under any model are left out.
    """
    items = _lay_out(deals, paths)
    held = queried(paths.paths, _POSITIONS_TEXT)[items.touch_row]
    columns = [filled(held, "").alias("positions")]
    gets = constant(value=False, times=items.group.len(), dtype=pl.Boolean)
    for model, division in _divisions(items, rules.models, rules.no_touch):
        gets = gets | division.gets
        columns += [
            division.numerator.alias(f"share_num:{model.name}"),
            division.denominator.alias(f"share_den:{model.name}"),
            division.units.alias(f"amount_units:{model.name}"),
        ]
        if model.learnings:
            learnt = decided_by(items.groups["at"], model)[items.group]
            columns.append(learnt.zip_with(division.gets, one(None, learnt.dtype)).alias(f"learnt:{model.name}"))
    return items.described().hstack(columns)[rows_where(gets)]


# Up to so many items of all models are divided at once; beyond, one model after the other keeps memory flat.
STACKED_ITEMS: Final = 50_000

_POSITIONS_TEXT: Final = pl.col("positions").list.join("; ")


@dataclass(frozen=True)
class _Items:
    """
    Everything that may get a share, group by group: the touches in path order, then pending, then unassigned.

    ``groups``: ``PathSet.clocks``, with their ``amounts`` and ``starts``, the first item of each. ``group`` and
    ``index``: each item's group row and place within. ``touch_row``: its row in ``paths.paths``, null for pending and
    unassigned.
    """

    groups: pl.DataFrame
    paths: PathSet
    amounts: pl.Series
    starts: pl.Series
    group: pl.Series
    index: pl.Series
    touch_row: pl.Series

    def described(self) -> pl.DataFrame:
        """
        What an item is, without its positions.
        """
        touch, pending, unassigned = (
            constant(item, self.group.len(), pl.String) for item in ("touch", "pending", "unassigned")
        )
        beyond = pending.zip_with(self.index == self.groups["touch_count"][self.group], unassigned)
        return pl.DataFrame(
            [
                self.groups["opportunity_id"][self.group],
                self.groups["clock"][self.group],
                touch.zip_with(known(self.touch_row), beyond).alias("item"),
                self.paths.paths["touch_id"][self.touch_row],
                self.paths.paths["occurred_at"][self.touch_row],
            ]
        )

    def position_bits(self, names: Sequence[str]) -> pl.Series:
        """
        Which of these positions each item holds, the first name as bit 0.
        """
        return position_bits(self.groups, self.starts, names, self.group.len())

    def ages_us(self) -> pl.Series:
        """
        How long before the clock's instant a touch was, in microseconds; null for pending and unassigned.
        """
        ages = self.groups["at"][self.group] - self.paths.paths["occurred_at"][self.touch_row]
        return ages.cast(pl.Int64)

    def middle_channels(self, held_rows: Sequence[pl.Series]) -> pl.Series:
        """
        The channel of each touch that holds none of these positions; null for the others, pending and unassigned.
        """
        if self.paths.channels is None:
            raise Fatal("HW-902", "the paths were built without their channels, and a model weighs channels")
        channels = self.paths.channels[self.touch_row]
        for rows in held_rows:
            channels = channels.scatter(rows, one(None, channels.dtype))
        return channels


@dataclass(frozen=True)
class _Division:
    """
    One model's answer, one value an item. ``gets``: whether it gets a share; of those that do not the rest is null.
    ``numerator`` and ``denominator`` are Int128; ``units`` are null without an amount too.
    """

    gets: pl.Series
    numerator: pl.Series
    denominator: pl.Series
    units: pl.Series


def _lay_out(deals: pl.DataFrame, paths: PathSet) -> _Items:
    amounts = sorted_by(deals, "opportunity_id")
    of_deal = places(paths.deals["opportunity_id"], amounts["opportunity_id"])
    if strangers := of_deal.null_count():
        raise Fatal("HW-903", f"the paths of {strangers} deals came without the deals")
    # The paths' rows stand in the same order, so a touch's place is its row and two more for each group before.
    every, two = numbers(paths.clocks.height), one(2, pl.UInt32)
    group, starts = joined([paths.group, every, every]).sort(), paths.starts + every * two
    place = numbers(group.len())
    index = place - starts[group]
    is_touch = index < paths.clocks["touch_count"].cast(pl.UInt32)[group]
    touch_row = (place - group * two).zip_with(is_touch, one(None, pl.UInt32))
    return _Items(
        paths.clocks, paths, amounts["amount_units"][of_deal][paths.deal_rows], starts, group, index, touch_row
    )


def _divisions(items: _Items, models: Sequence[Model], no_touch: NoTouchRule) -> Iterator[tuple[Model, _Division]]:
    positions = weighed_positions(models)
    different, situation = situations(items.groups, positions)
    together = max(1, STACKED_ITEMS // max(1, items.group.len()))
    for start in range(0, len(models), together):
        some = models[start : start + together]
        parts = divide_weights(some, positions, different, no_touch)
        row = _stacked(situation, len(some), len(different))
        yield from zip(some, _divided(items, some, parts[row], positions), strict=True)


def _divided(
    items: _Items, models: Sequence[Model], parts: pl.DataFrame, positions: Sequence[str]
) -> Iterator[_Division]:
    """
    The divisions of some models, their items stacked: a step costs the same for one model as for eight of few items.
    ``parts`` are those of each model and group.
    """
    group = _stacked(items.group, len(models), items.groups.height)
    numerators, denominators = _shares(items, models, parts, positions, group)
    gets = numerators > one(0, numerators.dtype)
    some = numerators.filter(gets)
    units = largest_remainders(joined([items.amounts] * len(models)), some, denominators, group.filter(gets))
    numerators, shared = numerators.cast(pl.Int128), denominators.cast(pl.Int128)[group]
    numerators, shared = (each.zip_with(gets, one(None, pl.Int128)) for each in (numerators, shared))
    units = spread(units, rows_where(gets), gets.len())
    size = items.group.len()
    for number in range(len(models)):
        yield _Division(*(each.slice(number * size, size) for each in (gets, numerators, shared, units)))


def _shares(
    items: _Items, models: Sequence[Model], parts: pl.DataFrame, positions: Sequence[str], group: pl.Series
) -> tuple[pl.Series, pl.Series]:
    """
    Numerators an item and denominators a group, model after model; the numerators of a group add up to its denominator.
    ``group`` is each item's.
    """
    height, size, times = items.groups.height, items.group.len(), len(models)
    middle = parts["middle"]
    counts = joined([items.groups["touch_count"].cast(pl.Int64)] * times) - parts["holder_count"]
    firsts = [number * height for number in range(times)]
    middles = [
        _middle(items, model, counts.slice(first, height), parts.slice(first, height), positions)
        for model, first in zip(models, firsts, strict=True)
    ]
    together = joined([sums for _, sums in middles])
    # Where the middle gets nothing, nothing is multiplied in vain.
    together = together.zip_with(middle > one(0, middle.dtype), one(1, pl.Int128))
    width = integer_for(
        max(
            _bound(items, model, parts["whole"].slice(first, height), together.slice(first, height))
            for model, first in zip(models, firsts, strict=True)
        )
    )
    together = together.cast(width)
    numerator = middle.cast(width)[group]
    if any(each is not None for each, _ in middles):
        alike = constant(1, size, width)
        numerator = numerator * joined(alike if each is None else each.cast(width) for each, _ in middles)
    rows, told = _outside_the_middle(items, parts, positions, times)
    gets = told.cast(width) * joined([together] * (len(positions) + 2))
    is_told = known(gets)
    numerator = numerator.scatter(rows.filter(is_told), gets.filter(is_told))
    return numerator, parts["whole"].cast(width) * together


def _outside_the_middle(
    items: _Items, parts: pl.DataFrame, positions: Sequence[str], times: int
) -> tuple[pl.Series, pl.Series]:
    """
    The rows of stacked items that are not shared out with the middle, and the part of each, null where it has none: of
    all models and groups the holders of each position, then what is pending, then what is unassigned.
    """
    pending = items.groups["touch_count"].cast(pl.UInt32)
    places = [items.groups[f"holder:{name}"].cast(pl.UInt32) for name in positions]
    places += [pending, pending + one(1, pl.UInt32)]
    starts = _stacked(items.starts, times, items.group.len())
    rows = joined(place for place in places for _ in range(times)) + joined([starts] * len(places))
    told = [parts[name] for name in (*(f"held:{name}" for name in positions), "pending", "unassigned")]
    return rows, joined(told)


def _stacked(rows: pl.Series, times: int, apart: int) -> pl.Series:
    """
    Row numbers as often as there are models, each model's ``apart`` rows behind the one's before.
    """
    return rows if times == 1 else joined([rows] * times) + _behind(times, apart, rows.len())


# Small deals are mostly of the same sizes, and no more items are stacked than STACKED_ITEMS.
@lru_cache(maxsize=32)
def _behind(times: int, apart: int, count: int) -> pl.Series:
    return joined(pl.Series([number * apart], dtype=pl.UInt32).new_from_index(0, count) for number in range(times))


def _bound(items: _Items, model: Model, whole: pl.Series, together: pl.Series) -> int:
    """
    What no numerator of the model exceeds. Raises Fatal HW-903 where that is too large to divide exactly.
    """
    bound = int(whole.max() or 1) * int(together.max() or 1)  # type: ignore[arg-type]
    if bound >= FINEST:
        longest = items.groups["touch_count"].to_list()
        raise Fatal(
            "HW-903",
            f"model {model.name} cannot divide a path of {max(longest)} touches exactly",
            actions=[f"give {model.name} rounder weights, or shorten lookback_days"],
        )
    return bound


def _middle(
    items: _Items, model: Model, counts: pl.Series, parts: pl.DataFrame, positions: Sequence[str]
) -> tuple[pl.Series | None, pl.Series]:
    """
    How the groups' middles are divided under a model: what each item counts (None if all count one), and what a group's
    middle touches count together (Int128). ``counts`` is how many they are, ``parts`` what the groups' items get.
    """
    counts = counts.cast(pl.Int128)
    if model.half_life_us is None and model.channel_weights is None and model.learn is None:
        return None, counts
    held_rows = [
        (items.starts + items.groups[f"holder:{name}"].cast(pl.UInt32)).filter(known(parts[f"held:{name}"]))
        for name in positions
        if parts[f"held:{name}"].null_count() < parts.height
    ]
    if model.half_life_us is not None:
        each, sums = _decayed(items, held_rows, model.half_life_us)
    else:
        each = weigh_channels(items.middle_channels(held_rows), items.group, items.groups["at"], model)
        sums = group_sums(each, items.starts)
    sums = sums.cast(pl.Int128)
    # Where no channel is known, the touches count the same.
    unknown = sums == one(0, sums.dtype)
    if unknown.any():
        each = one(1, each.dtype).zip_with(unknown[items.group], each)
        sums = counts.zip_with(unknown, sums)
    return each, sums


def _decayed(items: _Items, held_rows: Sequence[pl.Series], half_life_us: int) -> tuple[pl.Series, pl.Series]:
    """
    What age leaves of each touch that holds none of these positions, in units of 10^-12; 0 for all else. And the sum
    over each group.

    Ages count from the clock's instant. Where every one of a group has faded to zero, what is left is their proportion,
    which is the same from wherever one counts: there ages count from the group's youngest touch in the middle.
    """
    ages, starts = items.ages_us(), items.starts
    for rows in held_rows:
        ages = ages.scatter(rows, one(None, ages.dtype))
    each = filled(decayed(ages, half_life_us), 0)
    sums = group_sums(each, starts)
    faded = rows_where((sums == 0)[items.group] & known(ages))
    if faded.is_empty():
        return each, sums
    left = pl.DataFrame({"age": ages[faded], "group": items.group[faded]})
    younger = left.select(pl.col("age") - pl.col("age").min().over("group")).to_series()
    each = each.scatter(faded, decayed(younger, half_life_us))
    return each, group_sums(each, starts)


def _positions(bits: pl.Series, names: Sequence[str]) -> pl.Series:
    """
    "FT; LC" for each item out of these names, in their order.
    """
    if not names:
        return constant("", bits.len(), pl.String)
    held = bits.unique().sort()
    texts = ["; ".join(name for number, name in enumerate(names) if mask >> number & 1) for mask in held]
    return pl.Series(texts, dtype=pl.String)[held.search_sorted(bits)]
