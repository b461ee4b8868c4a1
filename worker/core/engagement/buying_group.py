"""
Which parts of a buying group an account's active people fill: purchasing, technical, economic, influencer, end user.

A person's part is read from what ``levels`` made of the title, by rules of which the first that fits decides. Called by
``standing``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from worker.core.errors import Fatal

PARTS: Final = ("economic", "technical", "purchasing", "influencer", "end_user")
_LEVEL_WORDS: Final = ("C-level", "VP", "Director")


@dataclass(frozen=True)
class PartRule:
    """
    ``part`` of whoever has one of the functions (none named: any) on one of the levels (none named: any).
    """

    part: str
    functions: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()


_DEFAULT: Final = (
    PartRule("purchasing", functions=("Procurement",)),
    PartRule("economic", functions=("Finance",), levels=("c_level", "vp", "director")),
    PartRule("technical", functions=("IT", "Security", "Engineering", "Data")),
    PartRule("economic", levels=("c_level", "vp")),
    PartRule("influencer", levels=("director",)),
    PartRule("end_user", levels=("other",)),
)


@dataclass(frozen=True)
class GroupRules:
    """
    The parts that a purchase needs, the most wanted first, and how a person's part is found.
    """

    needed: tuple[str, ...] = PARTS
    parts: tuple[PartRule, ...] = _DEFAULT

    def __post_init__(self) -> None:
        unknown = sorted({*self.needed, *(rule.part for rule in self.parts)} - set(PARTS))
        if unknown:
            raise Fatal("HW-150", f"no part of a buying group: {', '.join(unknown)}; there are {', '.join(PARTS)}")


def parts_of(pairs: Sequence[tuple[str | None, str | None]], rules: GroupRules) -> list[str | None]:
    """
    The part of each (level, role label); None where the title says nothing.
    """
    return [_part(level, label, rules) for level, label in pairs]


def _part(level: str | None, label: str | None, rules: GroupRules) -> str | None:
    if label is None or level == "student":
        return None
    function = label
    for word in _LEVEL_WORDS:
        function = function.removeprefix(word).strip()
    for rule in rules.parts:
        fits_function = not rule.functions or function in rule.functions
        if fits_function and (not rule.levels or level in rule.levels):
            return rule.part
    return None


def parts_of_acts(acts: pl.DataFrame, rules: GroupRules) -> pl.Series:
    """
    ``part``, of the person behind each act.
    """
    levels, labels = acts["level"].to_list(), acts["role_label"].to_list()
    pairs = set(zip(levels, labels, strict=True))
    known = dict(zip(pairs, parts_of(list(pairs), rules), strict=True))
    return pl.Series("part", map(known.__getitem__, zip(levels, labels, strict=True)), dtype=pl.String)
