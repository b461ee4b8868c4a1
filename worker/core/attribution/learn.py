"""
Learns what channels weigh from the paths of a period: Markov by the exact removal effect, Shapley by its closed form.

Pure: paths in, weights out; a model of the rules takes the weights as its ``channel_weights``, or is taught them anew
each month (``learnings``), and ``allot`` applies them deal by deal. Knows no money. Called by the learn flow and
``headwater learn``.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import polars as pl

from worker.core.attribution.path import PathSet
from worker.core.attribution.rules import CHANNEL_UNIT
from worker.core.errors import Fatal

START: Final = 0


@dataclass(frozen=True)
class PathCount:
    """
    A sequence of channels, at least one, and how many paths of exactly this sequence converted and how many did not.
    """

    channels: Sequence[str]
    conversions: int
    nulls: int = 0


@dataclass(frozen=True)
class Learnt:
    """
    What channels weigh, together 1, by channel in the order of their names. Markov's weights are rounded to 10^-12 and
    exact from there, Shapley's are exact. ``removal_effects``: the part of all conversions that would be lost without
    the channel (Markov only, else empty). ``conversions`` and ``nulls`` are what was learnt from.
    """

    model: str
    weights: Mapping[str, Fraction]
    removal_effects: Mapping[str, float]
    conversions: int
    nulls: int


def learn(paths: Iterable[PathCount], model: str) -> Learnt:
    """
    What channels weigh by ``markov`` or ``shapley``; the order of the paths says nothing.

    Raises Fatal HW-144 where no path converted: then there is nothing to learn from.
    """
    told = list(paths)
    conversions, nulls = sum(path.conversions for path in told), sum(path.nulls for path in told)
    if not conversions:
        raise Fatal(
            "HW-144",
            f"none of {nulls:,} paths converted, so there is nothing to learn",
            actions=["take a longer period"],
        )
    weights, effects = LEARNERS[model](told)
    return Learnt(model, dict(sorted(weights.items())), dict(sorted(effects.items())), conversions, nulls)


def observed(paths: PathSet, touches: pl.DataFrame) -> list[PathCount]:
    """
    The closed deals' paths up to their close, as channels: a won deal is a conversion, a lost one is none. Deals that
    are open and paths without a touch teach nothing. ``touches`` as handed to ``build_paths``; of each different path
    one row.
    """
    sequences = (
        paths.paths.filter(clock="revenue")
        .join(paths.clocks.filter(clock="revenue").select("opportunity_id", "outcome"), on="opportunity_id")
        .filter(pl.col("outcome") != "open")
        .join(touches.select("touch_id", "channel"), on="touch_id", how="left", maintain_order="left")
        .group_by("opportunity_id", "outcome", maintain_order=True)
        .agg("channel")
    )
    counted = sequences.group_by("channel", maintain_order=True).agg(
        won=(pl.col("outcome") == "won").sum(), lost=(pl.col("outcome") == "lost").sum()
    )
    return [PathCount(channels, won, lost) for channels, won, lost in counted.iter_rows()]


def _shapley(paths: Sequence[PathCount]) -> tuple[dict[str, Fraction], dict[str, float]]:
    """
    The worth of a set is the conversions of the paths whose channels all lie inside it, so each path is worth its
    conversions to every set that contains its channels, and its channels, being alike in that, share them equally.
    """
    alike: Counter[tuple[str, int]] = Counter()
    for path in paths:
        channels = set(path.channels)
        for channel in channels:
            alike[channel, len(channels)] += path.conversions
    worth: dict[str, Fraction] = {}
    for (channel, size), conversions in alike.items():
        worth[channel] = worth.get(channel, Fraction(0)) + Fraction(conversions, size)
    whole = sum(worth.values())
    return {channel: value / whole for channel, value in worth.items()}, {}


def _markov(paths: Sequence[PathCount]) -> tuple[dict[str, Fraction], dict[str, float]]:
    """
    A chain of the first order: from the start through the channels to a conversion or to nothing.

    Whoever would come to a removed channel is lost, so its removal costs the chance to ever come there times the chance
    to convert from there, of the chance to convert at all.
    """
    channels = sorted({channel for path in paths for channel in path.channels})
    effects = dict(zip(channels, _removal_effects(_chain(paths, channels)), strict=True))
    exact = {channel: Fraction(effect) for channel, effect in effects.items()}
    whole = sum(exact.values())
    return _rounded({channel: effect / whole for channel, effect in exact.items()}), effects


def _rounded(shares: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """
    Shares of 1 in units of 10^-12 that add up to 1: those left over go to the largest remainders, by name where equal.
    """
    units = {channel: int(share * CHANNEL_UNIT) for channel, share in shares.items()}
    left_over = CHANNEL_UNIT - sum(units.values())
    by_remainder = sorted(shares, key=lambda channel: (units[channel] - shares[channel] * CHANNEL_UNIT, channel))
    for channel in by_remainder[:left_over]:
        units[channel] += 1
    return {channel: Fraction(count, CHANNEL_UNIT) for channel, count in units.items()}


LEARNERS: Final[Mapping[str, Callable[[Sequence[PathCount]], tuple[dict[str, Fraction], dict[str, float]]]]] = {
    "markov": _markov,
    "shapley": _shapley,
}


@dataclass(frozen=True)
class _Chain:
    """
    How often each state was followed by which other, by a conversion, and by nothing. State 0 is the start, to which
    nothing leads. A state that follows itself is no move: where the chain goes when it leaves is what counts.
    """

    moves: list[list[float]]
    converted: list[float]
    lost: list[float]


def _chain(paths: Sequence[PathCount], channels: Sequence[str]) -> _Chain:
    numbers = {channel: number for number, channel in enumerate(channels, start=1)}
    size = len(channels) + 1
    chain = _Chain([[0.0] * size for _ in range(size)], [0.0] * size, [0.0] * size)
    for path in paths:
        count, here = path.conversions + path.nulls, START
        for channel in path.channels:
            there = numbers[channel]
            if there != here:
                chain.moves[here][there] += count
            here = there
        chain.converted[here] += path.conversions
        chain.lost[here] += path.nulls
    return chain


def _removal_effects(chain: _Chain) -> list[float]:
    """
    Of each state but the start, in order. Half of the states are left out of the chain, then the other half, until the
    start and one state remain: there the chances can be read.
    """
    states = range(1, len(chain.moves))
    if len(states) == 1:
        return [_removal_effect(chain)]
    middle = len(states) // 2
    first, second = list(states[:middle]), list(states[middle:])
    return _removal_effects(_watched(chain, first, second)) + _removal_effects(_watched(chain, second, first))


def _removal_effect(chain: _Chain) -> float:
    (_, there), (converted, converted_there), (lost, lost_there) = chain.moves[START], chain.converted, chain.lost
    ended_there = converted_there + lost_there
    through = there / (there + converted + lost) * (converted_there / ended_there) if ended_there else 0.0
    past = converted / (there + converted + lost)
    return through / (through + past)


def _watched(chain: _Chain, kept: Sequence[int], left_out: Sequence[int]) -> _Chain:
    """
    The chain as one sees it who looks only while it is at the start or in a kept state: exactly the same chances.

    In the manner of Grassmann, Taksar and Heyman: what leaves a state is summed anew each time, so nothing is ever
    subtracted and every number keeps its relative precision, however long the chain goes round before it ends.
    """
    order = [START, *kept, *left_out]
    moves = [[chain.moves[here][there] for there in order] for here in order]
    converted, lost = ([ends[state] for state in order] for ends in (chain.converted, chain.lost))
    for state in range(len(order) - 1, len(kept), -1):
        onward = moves[state][:state]
        # Whatever is come to is left again: a path goes on or ends.
        leaving = sum(onward) + converted[state] + lost[state]
        for other in range(state):
            came = moves[other].pop()
            if came:
                part = came / leaving
                moves[other] = [went + part * goes for went, goes in zip(moves[other], onward, strict=True)]
                moves[other][other] = 0.0
                converted[other] += part * converted[state]
                lost[other] += part * lost[state]
    size = len(kept) + 1
    return _Chain(moves[:size], converted[:size], lost[:size])
