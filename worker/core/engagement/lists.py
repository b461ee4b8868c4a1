"""
The ideal customer profile, tiers and target lists: which accounts belong, by name or by rule.

A static list names accounts by Salesforce id or domain; a dynamic one is conditions on what is known of an account, and
accounts flow in and out as that changes. One may be both. The store keeps who came and left when. Called by
``standing``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from worker.core.engagement.conditions import Condition, all_hold, words


@dataclass(frozen=True)
class TargetList:
    """
    ``members`` are Salesforce ids (15 or 18 characters) and domains; ``where`` holds all together; without conditions
    the list is static. ``product`` names the product line it is for, where there are several.
    """

    name: str
    members: frozenset[str] = frozenset()
    where: tuple[Condition, ...] = ()
    product: str | None = None


@dataclass(frozen=True)
class Tier:
    """
    The tier of the accounts of which every condition holds; the first that fits counts.
    """

    tier: str
    where: tuple[Condition, ...]


@dataclass(frozen=True)
class ListRules:
    """
    ``profile`` is the ideal customer profile: several lines, one of which must hold entirely; none = there is no such
    profile and nobody is in it.
    """

    tiers: tuple[Tier, ...] = ()
    profile: tuple[tuple[Condition, ...], ...] = ()
    lists: tuple[TargetList, ...] = ()


@lru_cache(maxsize=16)
def tier(tiers: tuple[Tier, ...]) -> pl.Expr:
    """
    The first tier that fits, null where none does.
    """
    return pl.coalesce(
        *(pl.when(all_hold(each.where)).then(pl.lit(each.tier)) for each in tiers), pl.lit(None, pl.String)
    )


def in_profile(profile: Sequence[Sequence[Condition]]) -> pl.Expr:
    """
    Whether an account is in the ideal customer profile.
    """
    return pl.any_horizontal([all_hold(line) for line in profile]) if profile else pl.lit(value=False)


def with_lists(facts: pl.LazyFrame, rules: ListRules) -> pl.LazyFrame:
    """
    The facts with ``in_profile`` and ``list``, the names of the lists each account is in, in the order of the rules.
    Reads ``record_ids`` (the account's own Salesforce ids) and ``domain``. A list may build on those before it.
    """
    found = facts.with_columns(in_profile=in_profile(rules.profile), list=pl.lit([], pl.List(pl.String)))
    for each in rules.lists:
        inside = pl.lit(value=False)
        if each.members:
            short = sorted({member[:15] if _is_id(member) else member.lower() for member in each.members})
            ids = pl.col("record_ids").list.eval(pl.element().str.slice(0, 15).is_in(short)).list.any()
            inside = inside | ids.fill_null(value=False) | pl.col("domain").is_in(short).fill_null(value=False)
        if each.where:
            inside = inside | all_hold(each.where)
        name = pl.lit([each.name], pl.List(pl.String))
        found = found.with_columns(list=pl.when(inside).then(pl.concat_list("list", name)).otherwise("list"))
    return found


def how_in(each: TargetList) -> str:
    """
    Why an account is in a list, in words.
    """
    by_rule = " and ".join(words(condition) for condition in each.where)
    return f"named, or {by_rule}" if each.members and by_rule else by_rule or "named"


def _is_id(member: str) -> bool:
    return "." not in member and len(member) in (15, 18)
