"""
Brings a deal's people and their touches together, in path order: the journey that paths are cut from.

Decides whose touches belong to a deal and from when on, and who of them was created first in Salesforce. Knows nothing
of positions or money. Called by ``path``.
"""

from datetime import datetime, timedelta
from functools import lru_cache

import polars as pl

from worker.core.attribution.rules import AttributionRules, Position
from worker.core.errors import Fatal
from worker.core.frames import INSTANT


def number_deals(deals: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """
    The deals by id: ``row`` (the key of everything below), ``created_at``, ``end_at`` (the revenue clock's instant:
    the close, or ``as_of`` while open) and ``outcome``. Raises Fatal HW-902 for a deal twice or an unknown outcome.
    """
    ordered = deals.sort("opportunity_id")
    if doubled := ordered.height - ordered["opportunity_id"].n_unique():
        raise Fatal("HW-902", f"{doubled} deals came in twice")
    if strange := set(ordered["outcome"].unique()) - {"open", "won", "lost"}:
        raise Fatal("HW-902", f"deals came in with an unknown outcome: {', '.join(sorted(map(str, strange)))}")
    if dateless := ordered["created_at"].null_count():
        raise Fatal("HW-902", f"{dateless} deals came in without the instant of their creation")
    now = pl.lit(as_of).cast(INSTANT)
    return ordered.select(
        "opportunity_id",
        "created_at",
        "outcome",
        end_at=pl.when(pl.col("outcome") != "open").then("closed_at").fill_null(now),
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
    )


def find_candidates(numbered: pl.DataFrame, people: pl.DataFrame, rules: AttributionRules) -> pl.DataFrame:
    """
    Who may stand on which path, one row a deal and person; those ``by_account`` still need a recent touch.
    """
    on_deals = people.join(numbered, on="opportunity_id")
    has_role = pl.col("role").is_not_null()
    if rules.path == "roles":
        chosen = on_deals.filter(has_role).with_columns(by_account=False)
    elif rules.path == "primary":
        chosen = on_deals.filter("is_primary").with_columns(by_account=False)
    elif rules.path == "account":
        chosen = on_deals.with_columns(by_account=True)
    else:
        # Where nobody has a role.
        by_account = ~has_role.any().over("row")
        chosen = on_deals.with_columns(by_account=by_account).filter(has_role | pl.col("by_account"))
    # One who comes in twice, say with two roles, counts once.
    return chosen.group_by("row", "person_id").agg(
        pl.col("created_at", "end_at", "by_account").first(), pl.col("lead_created_at").min()
    )


def follow(
    candidates: pl.DataFrame, touches: pl.DataFrame, rules: AttributionRules
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    Every touch that counts, of everybody on a path, from the lookback's start on; and those people.

    A touch counts if it is marketing's and of an eligible type, or another team's. First frame: ``row``,
    ``person_id``, ``touch`` (its row in ``touches``), ``touch_id``, ``occurred_at``, ``created_at``, ``end_at``,
    ``by_account``, ``eligible``, ``response``, and ``is:P`` for each position P whose milestone is the first touch of a
    type.
    """
    kinds, counts = _counting(tuple(rules.eligible_types), tuple(rules.response_types), tuple(rules.positions))
    found = (
        touches.lazy()
        .select(kinds)
        .filter(counts)
        .drop("is_marketing")
        .join(candidates.lazy().drop("lead_created_at"), on="person_id")
        .filter(pl.col("occurred_at") >= pl.col("created_at") - timedelta(days=rules.lookback_days))
        .collect(optimizations=pl.QueryOptFlags.none())
    )
    if not candidates["by_account"].any():
        return found, candidates
    recently = timedelta(days=rules.account_people_days)
    recent = found.filter(
        pl.col("occurred_at").is_between(pl.col("created_at") - recently, pl.col("created_at"))
    ).select("row", "person_id")
    return _present(found, recent), _present(candidates, recent)


@lru_cache(maxsize=32)
def _counting(
    eligible_types: tuple[str, ...], response_types: tuple[str, ...], positions: tuple[Position, ...]
) -> tuple[tuple[pl.Expr, ...], pl.Expr]:
    """
    What is asked of each touch, and which count. Put together once for the same rules: for a single deal that takes
    longer than what the expressions compute.
    """
    marketing = pl.col("team") == "marketing"
    kinds = (
        pl.col("touch_id", "person_id", "occurred_at"),
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("touch"),
        marketing.alias("is_marketing"),
        (marketing & pl.col("type").is_in(eligible_types)).alias("eligible"),
        (marketing & pl.col("type").is_in(response_types)).alias("response"),
        *((pl.col("type") == p.value).alias(f"is:{p.name}") for p in positions if p.milestone == "first_touch_of_type"),
    )
    return kinds, pl.col("eligible") | ~pl.col("is_marketing")


def _present(frame: pl.DataFrame, recent: pl.DataFrame) -> pl.DataFrame:
    """
    Those by role, and of those by account the ones with a recent touch.
    """
    present = frame.filter("by_account").join(recent, on=["row", "person_id"], how="semi")
    return pl.concat([frame.filter(~pl.col("by_account")), present])


def earliest_leads(members: pl.DataFrame) -> pl.DataFrame:
    """
    Each path's earliest-created person, of equals the smaller id: ``row``, ``lead_at``, ``lead_person``.
    """
    return (
        members.filter(pl.col("lead_created_at").is_not_null())
        .sort("lead_created_at", "person_id")
        .unique("row", keep="first", maintain_order=True)
        .select("row", lead_at="lead_created_at", lead_person="person_id")
    )


def in_path_order(found: pl.DataFrame) -> pl.DataFrame:
    """
    The touches up to the later clock's instant, by deal, instant and touch id, without the deals' columns. Raises Fatal
    HW-902 for one that came in twice, since it would earn twice.
    """
    up_to_then = found.filter(pl.col("occurred_at") <= pl.max_horizontal("created_at", "end_at"))
    ordered = up_to_then.drop("created_at", "end_at", "by_account").sort("row", "occurred_at", "touch_id")
    same_deal = pl.col("row") == pl.col("row").shift(1)
    if doubled := ordered.select((same_deal & (pl.col("touch_id") == pl.col("touch_id").shift(1))).sum()).item():
        raise Fatal("HW-902", f"{doubled} touches came in twice")
    return ordered
