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
from typing import Final

import polars as pl

from worker.core.attribution.channels import weigh_channels
from worker.core.attribution.decay import decayed
from worker.core.attribution.money import FINEST, group_sums, integer_for, largest_remainders
from worker.core.attribution.path import PathSet, expand, position_bits
from worker.core.attribution.rules import MIDDLE, AttributionRules, Model, NoTouchRule
from worker.core.attribution.shares import divide_weights
from worker.core.errors import Fatal
from worker.core.frames import CREDIT, Schema


def wide_schema(rules: AttributionRules) -> Schema:
    """
    The columns of ``allot_wide``: those of CREDIT that describe an item, then three a model M, null where the item gets
    nothing under it: ``share_num:M``, ``share_den:M``, ``amount_units:M``.
    """
    described = {name: CREDIT[name] for name in ("opportunity_id", "clock", "item", "touch_id", "positions")}
    numbers = ("share_num", "share_den", "amount_units")
    return described | {f"{name}:{model.name}": CREDIT[name] for model in rules.models for name in numbers}


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
        division.numerator.alias("share_num"),
        division.denominator.gather(division.group).alias("share_den"),
        division.units.alias("amount_units"),
    ).select(pl.col(name).cast(kind) for name, kind in CREDIT.items())


def allot_wide(deals: pl.DataFrame, paths: PathSet, rules: AttributionRules) -> pl.DataFrame:
    """
    The same as ``allot``, one row an item with the columns of ``wide_schema``, by opportunity, clock and item.

    ``positions`` names all that the touch holds. Items that get nothing under any model are left out.
    """
    items = _lay_out(deals, paths)
    positions = _positions(items.position_bits(rules.position_names), rules.position_names)
    frame = items.described().with_columns(positions.alias("positions"))
    gets = pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)
    nothing = {dtype: pl.repeat(None, frame.height, dtype=dtype, eager=True) for dtype in (pl.Int128, pl.Int64)}
    for model, division in _divisions(items, rules.models, rules.no_touch):
        gets, rows = gets | division.gets, division.gets.arg_true()
        denominator = division.denominator.gather(division.group)
        frame = frame.with_columns(
            nothing[pl.Int128].clone().scatter(rows, division.numerator).alias(f"share_num:{model.name}"),
            nothing[pl.Int128].clone().scatter(rows, denominator).alias(f"share_den:{model.name}"),
            nothing[pl.Int64].clone().scatter(rows, division.units).alias(f"amount_units:{model.name}"),
        )
    return frame.filter(gets)


# Up to so many items of all models are divided at once; beyond, one model after the other keeps memory flat.
STACKED_ITEMS: Final = 50_000


@dataclass(frozen=True)
class _Items:
    """
    Everything that may get a share, group by group: the touches in path order, then pending, then unassigned.

    ``groups``: ``PathSet.clocks`` with the amount and ``start``, the group's first item. ``group`` and ``index``: each
    item's group row and place within. ``touch_row``: its row in ``paths.paths``, null for pending and unassigned.
    """

    groups: pl.DataFrame
    paths: PathSet
    group: pl.Series
    index: pl.Series
    touch_row: pl.Series

    def described(self) -> pl.DataFrame:
        """
        What an item is, without its positions.
        """
        beyond = self.index - self.groups["touch_count"].gather(self.group)
        kind = pl.when(beyond < 0).then(pl.lit("touch")).when(beyond == 0).then(pl.lit("pending"))
        return pl.select(
            opportunity_id=self.groups["opportunity_id"].gather(self.group),
            clock=self.groups["clock"].gather(self.group),
            item=kind.otherwise(pl.lit("unassigned")),
            touch_id=self.paths.paths["touch_id"].gather(self.touch_row),
        )

    def position_bits(self, names: Sequence[str]) -> pl.Series:
        """
        Which of these positions each item holds, the first name as bit 0.
        """
        return position_bits(self.groups, self.groups["start"], names, self.group.len())

    def ages_us(self) -> pl.Series:
        """
        How long before the clock's instant a touch was, in microseconds; null for pending and unassigned.
        """
        ages = self.groups["at"].gather(self.group) - self.paths.paths["occurred_at"].gather(self.touch_row)
        return ages.dt.total_microseconds()

    def middle_channels(self, held_rows: Sequence[pl.Series]) -> pl.Series:
        """
        The channel of each touch that holds none of these positions; null for the others, pending and unassigned.
        """
        if self.paths.channels is None:
            raise Fatal("HW-902", "the paths were built without their channels, and a model weighs channels")
        channels = self.paths.channels.gather(self.touch_row)
        for rows in held_rows:
            channels = channels.scatter(rows.drop_nulls(), None)
        return channels


@dataclass(frozen=True)
class _Division:
    """
    One model's answer. ``gets``: which items get a share; ``group``, ``numerator`` and ``units`` (null without an
    amount) of those alone; ``denominator`` a group.
    """

    gets: pl.Series
    group: pl.Series
    numerator: pl.Series
    denominator: pl.Series
    units: pl.Series


def _lay_out(deals: pl.DataFrame, paths: PathSet) -> _Items:
    amounts = deals.select("opportunity_id", "amount_units", known=pl.lit(value=True))
    groups = paths.clocks.join(amounts, on="opportunity_id", how="left", maintain_order="left")
    if strangers := groups.filter(pl.col("known").is_null())["opportunity_id"].n_unique():
        raise Fatal("HW-903", f"the paths of {strangers} deals came without the deals")
    sizes = groups["touch_count"] + 2
    starts = (sizes.cum_sum() - sizes).cast(pl.UInt32)
    group = expand(sizes)
    place = pl.int_range(group.len(), dtype=pl.Int64, eager=True)
    index = (place - starts.gather(group)).cast(pl.Int32)
    # The paths' rows stand in the same order, so a touch's row is its place less two for each group before.
    is_touch = index < groups["touch_count"].gather(group)
    touch_row = pl.select(pl.when(is_touch).then(place - 2 * group.cast(pl.Int64)).cast(pl.UInt32)).to_series()
    return _Items(groups.with_columns(start=starts), paths, group, index, touch_row)


def _divisions(items: _Items, models: Sequence[Model], no_touch: NoTouchRule) -> Iterator[tuple[Model, _Division]]:
    together = max(1, STACKED_ITEMS // max(1, items.group.len()))
    for start in range(0, len(models), together):
        some = models[start : start + together]
        yield from zip(some, _divided(items, some, no_touch), strict=True)


def _divided(items: _Items, models: Sequence[Model], no_touch: NoTouchRule) -> Iterator[_Division]:
    """
    The divisions of some models, their items stacked: a step costs the same for one model as for eight of few items.
    """
    numerators, denominators = _shares(items, models, no_touch)
    gets = numerators > 0
    numerators = numerators.filter(gets)
    units = largest_remainders(
        pl.concat([items.groups["amount_units"]] * len(models)),
        numerators,
        denominators,
        _stacked(items.group, len(models), items.groups.height).filter(gets),
    )
    size, height, start = items.group.len(), items.groups.height, 0
    for number in range(len(models)):
        mask = gets.slice(number * size, size)
        group = items.group.filter(mask)
        mine = slice(start, start + group.len())
        yield _Division(mask, group, numerators[mine], denominators.slice(number * height, height), units[mine])
        start += group.len()


def _shares(items: _Items, models: Sequence[Model], no_touch: NoTouchRule) -> tuple[pl.Series, pl.Series]:
    """
    Numerators an item and denominators a group, model after model; the numerators of a group add up to its denominator.
    """
    parts = divide_weights(items.groups, models, no_touch, apart=items.paths.apart)
    height, size = items.groups.height, items.group.len()
    splits = [_middle_split(items, model, parts.slice(number * height, height)) for number, model in enumerate(models)]
    width = integer_for(max(_bound(items, model, split) for model, split in zip(models, splits, strict=True)))
    together = pl.concat(split.together.cast(width) for split in splits)
    starts = _stacked(items.groups["start"], len(models), size)
    numerator = parts["middle"].cast(width).gather(_stacked(items.group, len(models), height))
    if any(split.each is not None for split in splits):
        one = pl.repeat(1, size, dtype=width, eager=True)
        numerator = numerator * pl.concat(one if split.each is None else split.each.cast(width) for split in splits)
    for name in (column.removeprefix("held:") for column in parts.columns if column.startswith("held:")):
        rows = starts + parts[f"weighed:{name}"]
        holds = rows.is_not_null()
        numerator = numerator.scatter(rows.filter(holds), (parts[f"held:{name}"] * together).fill_null(0).filter(holds))
    ends = starts + pl.concat([items.groups["touch_count"]] * len(models))
    numerator = numerator.scatter(ends, parts["pending"] * together).scatter(ends + 1, parts["unassigned"] * together)
    return numerator, parts["whole"] * together


def _stacked(rows: pl.Series, times: int, apart: int) -> pl.Series:
    """
    Row numbers as often as there are models, each model's ``apart`` rows behind the one's before.
    """
    return pl.concat([rows.cast(pl.UInt32) + number * apart for number in range(times)])


@dataclass(frozen=True)
class _MiddleSplit:
    """
    How the groups' middles are divided under a model whose parts of the groups add up to ``whole`` at most: what each
    item counts (None if all count one), and what a group's middle touches count together (1 where the middle gets
    nothing, so that nothing is multiplied in vain).
    """

    whole: int
    each: pl.Series | None
    together: pl.Series


def _bound(items: _Items, model: Model, split: _MiddleSplit) -> int:
    """
    What no numerator exceeds. Raises Fatal HW-903 where that is too large to divide exactly.
    """
    bound = split.whole * int(split.together.max() or 1)  # type: ignore[arg-type]
    if bound >= FINEST:
        longest = items.groups.select(pl.col("touch_count").max()).item()
        raise Fatal(
            "HW-903",
            f"model {model.name} cannot divide a path of {longest} touches exactly",
            actions=[f"give {model.name} rounder weights, or shorten lookback_days"],
        )
    return bound


def _middle_split(items: _Items, model: Model, parts: pl.DataFrame) -> _MiddleSplit:
    """
    ``parts`` are the model's own rows of ``divide_weights``.
    """
    each, together = None, parts["middle_count"]
    if model.half_life_us is not None or model.channel_weights is not None:
        starts = items.groups["start"]
        held_rows = [starts + parts[f"weighed:{name}"] for name in model.parts() if name != MIDDLE]
        if model.half_life_us is not None:
            each = decayed(items.ages_us(), model.half_life_us).fill_null(0)
            for rows in held_rows:
                each = each.scatter(rows.drop_nulls(), 0)
        else:
            each = weigh_channels(items.middle_channels(held_rows), items.group, model)
        sums = group_sums(each, starts)
        # Where every weight has faded to zero, or no channel is known, the touches count the same.
        faded = sums == 0
        each = pl.select(pl.when(faded.gather(items.group)).then(1).otherwise(each)).to_series()
        together = pl.select(pl.when(faded).then(together).otherwise(sums)).to_series()
    together = pl.select(pl.when(parts["middle"] > 0).then(together).otherwise(1)).to_series()
    return _MiddleSplit(int(parts["whole"].max() or 1), each, together)  # type: ignore[arg-type]


def _positions(bits: pl.Series, names: Sequence[str]) -> pl.Series:
    """
    "FT; LC" for each item out of these names, in their order.
    """
    if not names:
        return pl.repeat("", bits.len(), dtype=pl.String, eager=True)
    held = bits.unique().sort()
    texts = ["; ".join(name for number, name in enumerate(names) if mask >> number & 1) for mask in held]
    return pl.Series(texts, dtype=pl.String).gather(held.search_sorted(bits))
