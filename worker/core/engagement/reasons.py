"""
Says in words and in JSON why an account is engaged or not: roles and counts, never a person's name; dates, not ages.

The sentence fits a text field of 255 characters. It decides nothing; ``flags`` is its only caller.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

import polars as pl

from worker.core.engagement.points import ONE
from worker.core.engagement.rules import LEVELS, EngagementRules, milli

LONGEST: Final = 255  # Salesforce's Text field
_LONGEST_LABEL: Final = 60
_MOST_ROLES: Final = 4
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def sentences(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules) -> pl.DataFrame:
    """
    account_id and why: one sentence an account. ``decided`` is what ``flags`` decided, ``scored`` the acts with points.
    """
    earning = scored.filter(pl.col("points_milli") > 0)
    parts = (
        decided.select(
            "account_id",
            "engaged",
            "excluded",
            "until_on",
            "points_milli",
            "people_count",
            "people_needed",
            "human_is_fresh",
        )
        .join(_people(earning), on="account_id", how="left")
        .join(_acts(earning, rules), on="account_id", how="left")
    )
    why = [_sentence(row, rules) for row in parts.iter_rows(named=True)]
    return parts.select("account_id", pl.Series("why", why, dtype=pl.String))


def details(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules, factors: pl.Series) -> pl.DataFrame:
    """
    account_id and detail (JSON): the rules' version and window, what is missing or when it lapses, and every act that
    contributes with its raw points, weight, age factor and points; the points of ``acts`` sum to ``points_milli``.
    Screened acts are listed with 0 points, acts over a cap are only counted.
    """
    listed = scored.filter((pl.col("points_milli") > 0) | pl.col("screened").is_not_null()).sort(
        "account_id", "occurred_at", "act_id", descending=[False, True, True]
    )
    act = pl.struct(
        "act_id",
        "person_id",
        "type",
        "label",
        pl.col("occurred_on").cast(pl.String).alias("on"),
        "raw_milli",
        "weight_milli",
        "age_days",
        (pl.lit(factors).gather(pl.col("age_days")) / ONE).round(9).alias("age_factor"),
        "points_milli",
        "screened",
    )
    acts = listed.select("account_id", act.struct.json_encode().alias("acts")).group_by(
        "account_id", maintain_order=True
    )
    over = scored.group_by("account_id").agg(pl.col("capped").sum().alias("capped_count"))
    frame = (
        decided.join(acts.agg(pl.col("acts").str.join(",")), on="account_id", how="left")
        .join(over, on="account_id", how="left")
        .with_columns(pl.col("capped_count").fill_null(0))
    )
    head = {
        "rule_version": rules.version,
        "window_days": rules.window_days,
        "half_life_days": rules.half_life_days,
        "enter_points_milli": milli(rules.enter_points),
        "stay_points_milli": milli(rules.stay_points),
    }
    state = pl.struct(
        "points_milli",
        "people_count",
        "people_needed",
        "excluded",
        pl.when(~pl.col("engaged")).then(pl.struct(*_missing(rules))).alias("missing"),
        pl.col("until_on").cast(pl.String).alias("lapses_on"),
        "capped_count",
    ).struct.json_encode()
    body = state.str.strip_suffix("}").str.slice(1)
    return frame.select(
        "account_id",
        (
            pl.lit(json.dumps(head)[:-1] + ",")
            + body
            + pl.lit(',"acts":[')
            + pl.col("acts").fill_null("")
            + pl.lit("]}")
        ).alias("detail"),
    )


def _missing(rules: EngagementRules) -> list[pl.Expr]:
    """
    What an account lacks to enter: thousandths of a point, people, and whether an act by a person.
    """
    return [
        pl.max_horizontal(pl.lit(milli(rules.enter_points)) - pl.col("points_milli"), pl.lit(0)).alias("points_milli"),
        pl.max_horizontal(pl.col("people_needed") - pl.col("people_count"), pl.lit(0)).alias("people"),
        (~pl.col("human_is_fresh")).alias("human_act"),
    ]


def _people(earning: pl.DataFrame) -> pl.DataFrame:
    """
    account_id and the roles of the people who earned points (each by the latest that is known), the most senior first:
    roles, role_counts.
    """
    seniority = {level: place for place, level in enumerate(LEVELS)}
    known = pl.col("role_label").str.strip_chars() != ""
    latest = (
        earning.filter(pl.col("person_id").is_not_null() & known)
        .sort("occurred_at", "act_id", descending=True)
        .unique(["account_id", "person_id"], keep="first", maintain_order=True)
        .with_columns(
            pl.col("level").replace_strict(seniority, default=len(LEVELS), return_dtype=pl.Int32).alias("rank")
        )
    )
    roles = latest.group_by("account_id", "role_label").agg(pl.col("rank").min(), pl.len().alias("count"))
    return (
        roles.sort("account_id", "rank", "count", "role_label", descending=[False, False, True, False])
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("role_label").alias("roles"), pl.col("count").alias("role_counts"))
    )


def _acts(earning: pl.DataFrame, rules: EngagementRules) -> pl.DataFrame:
    """
    account_id and its acts by label, requests first, then by points: labels, label_counts, label_dates (of requests
    only).
    """
    named = pl.coalesce(
        pl.when(pl.col("label").str.strip_chars() != "").then(pl.col("label").str.strip_chars()),
        pl.col("type").str.replace_all("_", " "),
    )
    urgent = pl.col("type").is_in(sorted(rules.act_now))
    by_label = earning.group_by("account_id", named.alias("name")).agg(
        urgent.any().alias("urgent"),
        pl.col("points_milli").sum().alias("points"),
        pl.len().alias("count"),
        pl.col("occurred_on").max().alias("latest_on"),
    )
    return (
        by_label.sort("account_id", "urgent", "points", "name", descending=[False, True, True, False])
        .group_by("account_id", maintain_order=True)
        .agg(
            pl.col("name").alias("labels"),
            pl.col("count").alias("label_counts"),
            pl.when("urgent").then("latest_on").alias("label_dates"),
        )
    )


def _sentence(row: dict[str, Any], rules: EngagementRules) -> str:
    if row["excluded"] is not None:
        return f"Not engaged: left out ({row['excluded']})."[:LONGEST]
    tail = f". Lapses {_day(row['until_on'])} if quiet." if row["engaged"] else "."
    lead = "" if row["engaged"] else f"Not engaged, needs {_needs(row, rules)}. So far "
    if row["labels"] is None:
        return f"No counted act in {rules.window_days} days{tail}"
    who = _who(row["people_count"], row["roles"] or (), row["role_counts"] or ())
    start = f"{lead}{who}: "
    return start + _what(row, LONGEST - _length(start) - _length(tail)) + tail


def _needs(row: dict[str, Any], rules: EngagementRules) -> str:
    people = row["people_needed"] - row["people_count"]
    needs = [
        (row["points_milli"] < milli(rules.enter_points), "more activity"),
        (people > 0, f"{people} more {'person' if people == 1 else 'people'}"),
        (not row["human_is_fresh"], "a fresh act by a person"),
    ]
    return _listed(words for needed, words in needs if needed)


def _listed(words: Iterable[str]) -> str:
    items = list(words)
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def _who(people: int, roles: Sequence[str], counts: Sequence[int]) -> str:
    if people == 0:
        return "company only"
    shown = [
        _clipped(role) if count == 1 else f"{count} {_clipped(role)}" for role, count in zip(roles, counts, strict=True)
    ]
    others = people - sum(counts[:_MOST_ROLES])
    named = shown[:_MOST_ROLES]
    if named and others:
        named.append(f"{others} other" + ("s" if others > 1 else ""))
    total = f"{people} {'person' if people == 1 else 'people'}"
    return f"{total} ({', '.join(named)})" if named else total


def _what(row: dict[str, Any], room: int) -> str:
    """
    The acts that fit in ``room`` characters, and how many more there are.
    """
    every = zip(row["labels"], row["label_counts"], row["label_dates"], strict=True)
    parts = [
        _clipped(label) + (f" {_day(on)}" if on else "") + (f" {count}x" if count > 1 else "")
        for label, count, on in every
    ]
    for shown in range(len(parts), 0, -1):
        left = len(parts) - shown
        text = ", ".join(parts[:shown]) + (f" and {left} more" if left else "")
        if _length(text) <= room:
            return text
    return parts[0][: max(room, 0)]


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1].rstrip() + "…"


def _length(text: str) -> int:
    """
    The length as Salesforce counts it: letters beyond the basic plane, such as emoji, are two.
    """
    return len(text.encode("utf-16-le")) // 2


def _day(on: date) -> str:
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"
