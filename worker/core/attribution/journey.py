"""
Brings a deal's people and their touches together, in path order: the journey that paths are cut from.

Decides whose touches belong to a deal and from when on, and who of them was created first in Salesforce. Knows nothing
of positions or money. Called by ``path`` and ``sourcing``.
"""

from datetime import datetime
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.attribution.rules import AttributionRules, Position
from worker.core.chain import queried, run
from worker.core.columns import (
    constant,
    days,
    group_starts,
    instant,
    known,
    numbers,
    one,
    places,
    rows_where,
    sorted_by,
    spread,
)
from worker.core.errors import Fatal

OUTCOMES: Final = ("open", "won", "lost")

# One who comes in twice, say with two roles, counts once.
_ONCE: Final = (pl.col("lead_created_at").min(), pl.col("by_account").first())

_NUMBER: Final = pl.col("eligible").cum_sum().alias("number")


def number_deals(deals: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """
    The deals by id: ``row`` (the key of everything below), ``created_at``, ``end_at`` (the revenue clock's instant:
    the close, or ``as_of`` while open) and ``outcome``. Raises Fatal HW-902 for a deal twice or an unknown outcome.
    """
    ordered = sorted_by(deals, "opportunity_id")
    if doubled := ordered.height - ordered["opportunity_id"].n_unique():
        raise Fatal("HW-902", f"{doubled} deals came in twice")
    outcome, created, closed = ordered["outcome"], ordered["created_at"], ordered["closed_at"]
    is_open, won, lost = (outcome == one(name, pl.String) for name in OUTCOMES)
    if rows_where(is_open | won | lost).len() < ordered.height:
        strange = set(outcome.unique()) - set(OUTCOMES)
        raise Fatal("HW-902", f"deals came in with an unknown outcome: {', '.join(sorted(map(str, strange)))}")
    if dateless := created.null_count():
        raise Fatal("HW-902", f"{dateless} deals came in without the instant of their creation")
    end = closed.zip_with(~is_open & known(closed), instant(as_of))
    row = numbers(ordered.height)
    return pl.DataFrame([ordered["opportunity_id"], created, outcome, end.alias("end_at"), row.alias("row")])


def find_candidates(numbered: pl.DataFrame, people: pl.DataFrame, rules: AttributionRules) -> pl.DataFrame:
    """
    Who may stand on which path, one row a deal and person: ``row``, ``person_id``, ``lead_created_at``,
    ``by_account``. Those by account still need a recent touch. By row, who was created first in Salesforce before the
    others, of equals the smaller id.
    """
    row, has_role = places(people["opportunity_id"], numbered["opportunity_id"]), known(people["role"])
    by_account = constant(rules.path == "account", people.height, pl.Boolean)
    if rules.path == "roles":
        chosen = has_role
    elif rules.path == "primary":
        chosen = people["is_primary"]
    elif rules.path == "account":
        chosen = by_account
    else:
        # Where nobody has a role.
        roleless = constant(True, numbered.height, pl.Boolean).scatter(
            row.filter(has_role & known(row)), one(False, pl.Boolean)
        )
        by_account = roleless[row]
        chosen = has_role | by_account
    columns = (row.alias("row"), people["person_id"], people["lead_created_at"], by_account.alias("by_account"))
    chosen = chosen & known(row)
    candidates = pl.DataFrame([column.filter(chosen) for column in columns]).lazy()
    if _has_doubles(row.filter(chosen), people["person_id"].filter(chosen)):
        candidates = candidates.group_by("row", "person_id").agg(_ONCE)
    return run(candidates.sort("row", "lead_created_at", "person_id", nulls_last=True))


def _has_doubles(rows: pl.Series, persons: pl.Series) -> bool:
    """
    Whether a pair of row and person comes in twice.
    """
    pairs = rows.cast(pl.Int128) * one(2**64, pl.Int128) + persons.cast(pl.Int128)
    return pairs.n_unique() < pairs.len()


def follow(
    numbered: pl.DataFrame, candidates: pl.DataFrame, touches: pl.DataFrame, rules: AttributionRules
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    Every touch that counts, of everybody on a path, from the lookback's start on; and those people.

    A touch counts if it is marketing's and of an eligible type, or another team's. First frame: ``row``,
    ``occurred_at``, ``touch_id``, ``touch`` (its row in ``touches``), ``person_id``, ``eligible``, ``response``, and
    ``is:P`` for each position P whose milestone is the first touch of a type. Second frame: as ``candidates``.
    """
    number, asked = _kinds(tuple(rules.eligible_types), tuple(rules.response_types), tuple(rules.positions))
    kind = queried(touches["type"].to_frame(), number)
    is_marketing = touches["team"] == one("marketing", pl.String)
    kinds = {name: asked[name][kind] for name in asked.columns}
    kinds |= {name: is_marketing & kinds[name] for name in ("eligible", "response")}
    counting = rows_where(kinds["eligible"] | ~is_marketing)
    met = run(
        pl.LazyFrame([counting.alias("touch"), touches["person_id"][counting]]).join(
            pl.LazyFrame([candidates["person_id"], numbers(candidates.height).alias("member")]), on="person_id"
        )
    )
    touch, member = met["touch"], met["member"]
    row, at = candidates["row"][member], touches["occurred_at"][touch]
    created = numbered["created_at"]
    counts = at >= (created - days(rules.lookback_days))[row]
    by_account = candidates["by_account"]
    if by_account.any():
        recently = (created - days(rules.account_people_days))[row]
        recent = member.filter(counts & (at >= recently) & (at <= created[row]))
        present = (~by_account).scatter(recent, True)
        candidates, counts = candidates[rows_where(present)], counts & present[member]
    touch = touch.filter(counts)
    found = [row.filter(counts).alias("row"), at.filter(counts), touches["touch_id"][touch], touch]
    own = [column[touch].alias(name) for name, column in kinds.items()]
    return pl.DataFrame([*found, touches["person_id"][touch], *own]), candidates


@lru_cache(maxsize=32)
def _kinds(
    eligible_types: tuple[str, ...], response_types: tuple[str, ...], positions: tuple[Position, ...]
) -> tuple[pl.Expr, pl.DataFrame]:
    """
    The number of a touch's type, and what is asked of each: one row a type that the rules name, and a last one for
    every other.
    """
    typed = [position for position in positions if position.milestone == "first_touch_of_type"]
    types = list(dict.fromkeys((*eligible_types, *response_types, *(position.value for position in typed))))
    asked = {"eligible": eligible_types, "response": response_types, **{f"is:{p.name}": (p.value,) for p in typed}}
    number = pl.first().cast(pl.Enum(types), strict=False).to_physical().cast(pl.UInt32).fill_null(len(types))
    return number, pl.DataFrame({name: [each in those for each in (*types, None)] for name, those in asked.items()})


def earliest_leads(members: pl.DataFrame, height: int) -> list[pl.Series]:
    """
    ``lead_at`` and ``lead_person`` of each of so many deals: its earliest-created person, null where nobody's creation
    is known.
    """
    first = group_starts(members["row"])
    row, at = members["row"][first], members["lead_created_at"][first]
    person = members["person_id"][first].zip_with(known(at), one(None, members["person_id"].dtype))
    return [spread(at, row, height).alias("lead_at"), spread(person, row, height).alias("lead_person")]


def in_path_order(numbered: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """
    The touches up to the later clock's instant, by deal, instant and touch id, with ``number``: how many eligible ones
    there are from the first of all to each. Raises Fatal HW-902 for one that came in twice, since it would earn twice.
    """
    created, end = numbered["created_at"], numbered["end_at"]
    last = created.zip_with(created > end, end)
    seen = found["occurred_at"] <= last[found["row"]]
    ordered = run(found.lazy().filter(seen).sort("row", "occurred_at", "touch_id").with_columns(_NUMBER))
    row, touch = ordered["row"], ordered["touch_id"]
    before = max(ordered.height - 1, 0)
    same = (row.slice(1) == row.slice(0, before)) & (touch.slice(1) == touch.slice(0, before))
    if doubled := same.sum():
        raise Fatal("HW-902", f"{doubled} touches came in twice")
    return ordered
