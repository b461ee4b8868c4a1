"""
Says which deals' credits come out otherwise than last time, and on which clocks their shares do, by digests of their
numbers: what is the same need not be spelled out, read or written. Pure; called by the attribution flow.
"""

import hashlib
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.attribution.path import CLOCKS

_WIDTH: Final = 16  # hexadecimal digits of one digest


def differing_credits(before: pl.DataFrame, credits: pl.DataFrame) -> dict[int, str | None]:
    """
    The deals whose credits (``wide_schema``, in any order) come out otherwise than before, with the digest of what they
    come out as now; None where they have none any more. ``before``: ``opportunity_id`` and ``digest`` of all deals that
    were decided, null where there were no credits.

    Two versions of polars may digest the same otherwise; then everything differs once.
    """
    now = _digests(credits)
    was = zip(before["opportunity_id"].to_list(), before["digest"].to_list(), strict=True)
    return {deal: now.get(deal) for deal, digest in was if now.get(deal) != digest}


def clocks_moved(was: str | None, now: str | None) -> list[str]:
    """
    On which clocks a deal's shares are others, by its digests before and now.
    """
    return [
        clock
        for place, clock in enumerate(CLOCKS, start=1)
        if (was or "")[place * _WIDTH :][:_WIDTH] != (now or "")[place * _WIDTH :][:_WIDTH]
    ]


def _digests(credits: pl.DataFrame) -> dict[int, str]:
    """
    By deal a digest of everything, then one of the shares on each clock.
    """
    columns = tuple(credits.columns)
    named, whole, shares = _digest_of_names(columns), dict[int, int](), dict[tuple[int, str], int]()
    deals, clocks = credits["opportunity_id"].to_list(), credits["clock"].to_list()
    items, told = (each.hash_rows().to_list() for each in (credits, credits[_share_columns(columns)]))
    # No two items of a deal are alike, so none takes another one's away.
    for deal, clock, item, share in zip(deals, clocks, items, told, strict=True):
        whole[deal] = whole.get(deal, named) ^ item
        shares[deal, clock] = shares.get((deal, clock), named) ^ share
    return {
        deal: "".join(f"{each:0{_WIDTH}x}" for each in (digest, *(shares.get((deal, clock), 0) for clock in CLOCKS)))
        for deal, digest in whole.items()
    }


@lru_cache(maxsize=32)
def _digest_of_names(columns: tuple[str, ...]) -> int:
    """
    Which models they are is told by the names alone.
    """
    return int.from_bytes(hashlib.blake2b("|".join(columns).encode(), digest_size=8).digest())


@lru_cache(maxsize=32)
def _share_columns(columns: tuple[str, ...]) -> list[str]:
    """
    What makes a share what it is: whose it is, how much, and by which learning.
    """
    return [name for name in columns if name in ("item", "touch_id") or name.startswith(("share_", "learnt:"))]
