"""
Says in words and in JSON why an account is engaged or not: roles and counts, never a person's name; dates, not ages.

The sentence fits a text field of 255 characters. It decides nothing; ``flags`` is its only caller.
"""

import json
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import polars as pl

from worker.core.engagement.points import ONE
from worker.core.engagement.rules import LEVELS, EngagementRules, milli

LONGEST: Final = 255  # Salesforce's Text field
_LONGEST_LABEL: Final = 60
_MOST_ROLES: Final = 4
_BASIC_PLANE: Final = 0xFFFF
_LEAST_ACTS: Final = 30  # characters for the acts; where roles leave less, the people are only counted
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def sentences(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules) -> pl.DataFrame:
    """
    account_id and why: one sentence an account. ``decided`` is what ``flags`` decided, ``scored`` the acts with points.
    """
    earning = scored.filter(pl.col("points_milli") > 0)
    labels = _labels(earning, rules)
    frames = (
        decided.select(
            "account_id",
            "engaged",
            "excluded",
            "until_on",
            "people_count",
            "is_no_target",
            stale=~pl.col("human_is_fresh"),
            short=pl.col("points_milli") < milli(rules.enter_points),
            people_short=pl.max_horizontal(pl.col("people_needed") - pl.col("people_count"), pl.lit(0)),
        )
        .join(_people(earning), on="account_id", how="left")
        .join(labels.select("account_id", has_acts=pl.lit(value=True)).unique(), on="account_id", how="left")
    )
    framed = frames.with_columns(tail=_tail(frames), lead=_lead(frames), **_who()).with_columns(
        start=pl.col("lead") + pl.col("who") + ": ", bare=pl.col("lead") + pl.col("who_bare") + ": "
    )
    tail_length = pl.col("tail").str.len_chars()
    too_long = pl.col("start").str.len_chars() + pl.col("who_wide") + tail_length + _LEAST_ACTS > LONGEST
    framed = framed.with_columns(
        start=pl.when(too_long).then("bare").otherwise("start"),
        start_length=pl.when(too_long)
        .then(pl.col("bare").str.len_chars())
        .otherwise(pl.col("start").str.len_chars() + pl.col("who_wide")),
    ).with_columns(room=LONGEST - pl.col("start_length") - tail_length)
    what = _what(labels.join(framed.select("account_id", "room"), on="account_id"))
    nothing = pl.lit(f"No counted act in {rules.window_days} days") + pl.col("tail")
    left_out = (pl.lit("Not engaged: left out (") + pl.col("excluded") + ").").str.slice(0, LONGEST)
    return framed.join(what, on="account_id", how="left").select(
        "account_id",
        why=pl.when(pl.col("excluded").is_not_null())
        .then(left_out)
        .when(pl.col("has_acts").is_null())
        .then(nothing)
        .otherwise(pl.col("start") + pl.col("what") + pl.col("tail")),
    )


def details(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules, factors: pl.Series) -> pl.DataFrame:
    """
    account_id and detail (JSON): the rules' version and window, what is missing or when it lapses, and every act that
    contributes with its raw points, weight, age factor and points; the points of ``acts`` sum to ``points_milli``.
    Screened acts are listed with 0 points, acts over a cap are only counted.
    """
    listed = scored.filter((pl.col("points_milli") > 0) | pl.col("screened").is_not_null()).sort(
        "account_id", "occurred_at", "act_id", descending=[False, True, True]
    )
    acts = _with_words(listed).select("account_id", acts=_act_json(factors)).group_by("account_id", maintain_order=True)
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
    What an account lacks to enter: thousandths of a point, people, whether an act by a person, and
    whether a place among the targets.
    """
    return [
        pl.max_horizontal(pl.lit(milli(rules.enter_points)) - pl.col("points_milli"), pl.lit(0)).alias("points_milli"),
        pl.max_horizontal(pl.col("people_needed") - pl.col("people_count"), pl.lit(0)).alias("people"),
        (~pl.col("human_is_fresh")).alias("human_act"),
        pl.col("is_no_target").alias("target"),
    ]


def _with_words(listed: pl.DataFrame) -> pl.DataFrame:
    """
    The acts with ``words``, the JSON of what they share with others (type, label, screened), and ``named``, of their
    id. Text is escaped once for each distinct wording, and an id only where it needs to be: there are a million acts.
    """
    shared = listed.select("type", "label", "screened").unique()
    shared = shared.with_columns(words=pl.struct("type", "label", "screened").struct.json_encode())
    plain = pl.col("act_id").str.contains(r'["\\\x00-\x1f]').not_()
    named = listed.with_columns(named=pl.when(plain).then(pl.lit('"') + pl.col("act_id") + '"'))
    if named["named"].null_count():
        escaped = pl.struct("act_id").struct.json_encode().str.strip_suffix("}").str.strip_prefix('{"act_id":')
        named = named.with_columns(named=pl.coalesce("named", escaped))
    return named.join(shared, on=["type", "label", "screened"], how="left", nulls_equal=True, maintain_order="left")


def _act_json(factors: pl.Series) -> pl.Expr:
    """
    One act as JSON. The age's part is the same for all acts of a day, so it is put together once a day.
    """
    texts = pl.Series([f'{age},"age_factor":{factor / ONE:.9g}' for age, factor in enumerate(factors.to_list())])
    return pl.concat_str(
        pl.lit('{"act_id":'),
        "named",
        pl.lit(',"person_id":'),
        pl.col("person_id").cast(pl.String).fill_null("null"),
        pl.lit(',"on":"'),
        pl.col("occurred_on").cast(pl.String),
        pl.lit('","raw_milli":'),
        pl.col("raw_milli").cast(pl.String),
        pl.lit(',"weight_milli":'),
        pl.col("weight_milli").cast(pl.String),
        pl.lit(',"age_days":'),
        pl.lit(texts).gather(pl.col("age_days")),
        pl.lit(',"points_milli":'),
        pl.col("points_milli").cast(pl.String),
        pl.lit(","),
        pl.col("words").str.slice(1),
    )


def _people(earning: pl.DataFrame) -> pl.DataFrame:
    """
    account_id and the roles of the people who earned points (each by the latest that is known), the most senior first:
    ``roles``, the first four in words, how many people these are, and how many more characters than letters they take.
    """
    seniority = {level: place for place, level in enumerate(LEVELS)}
    known = pl.col("role_label").str.strip_chars() != ""
    latest = (
        earning.lazy()
        .filter(pl.col("person_id").is_not_null() & known)
        .group_by("account_id", "person_id")
        .agg(pl.col("role_label", "level").sort_by("occurred_at", "act_id").last())
        .with_columns(rank=pl.col("level").replace_strict(seniority, default=len(LEVELS), return_dtype=pl.Int32))
    )
    roles = (
        latest.group_by("account_id", "role_label")
        .agg(pl.col("rank").min(), count=pl.len())
        .sort("account_id", "rank", "count", "role_label", descending=[False, False, True, False])
        .collect()
    )
    words = _clipped(roles["role_label"])
    one = pl.col("count") == 1
    return (
        roles.join(words, on="role_label", maintain_order="left")
        .with_columns(
            text=pl.when(one).then("clipped").otherwise(pl.col("count").cast(pl.String) + " " + pl.col("clipped"))
        )
        .group_by("account_id", maintain_order=True)
        .agg(
            roles=pl.col("text").head(_MOST_ROLES).str.join(", "),
            in_roles=pl.col("count").head(_MOST_ROLES).sum(),
            who_wide=pl.col("wide").head(_MOST_ROLES).sum(),
        )
    )


def _who() -> dict[str, pl.Expr]:
    """
    Who it was: ``who`` with roles, ``who_bare`` only counted, and ``who_wide``, the characters that ``who`` takes
    beside its letters.
    """
    people = pl.col("people_count")
    total = people.cast(pl.String) + pl.when(people == 1).then(pl.lit(" person")).otherwise(pl.lit(" people"))
    others = people - pl.col("in_roles").cast(pl.Int32)
    more = (
        pl.when(others > 1)
        .then(pl.lit(", ") + others.cast(pl.String) + " others")
        .when(others == 1)
        .then(pl.lit(", 1 other"))
        .otherwise(pl.lit(""))
    )
    nobody = people == 0
    return {
        "who": pl.when(nobody)
        .then(pl.lit("company only"))
        .when(pl.col("roles").is_null())
        .then(total)
        .otherwise(total + " (" + pl.col("roles") + more + ")"),
        "who_bare": pl.when(nobody).then(pl.lit("company only")).otherwise(total),
        "who_wide": pl.col("who_wide").fill_null(0).cast(pl.Int64),
    }


def _labels(earning: pl.DataFrame, rules: EngagementRules) -> pl.DataFrame:
    """
    One row an account and label, requests first, then by points: account_id, text (with the day of a request and how
    often), length.
    """
    named = pl.coalesce(
        pl.when(pl.col("label").str.strip_chars() != "").then(pl.col("label").str.strip_chars()),
        pl.col("type").str.replace_all("_", " "),
    )
    by_label = (
        earning.lazy()
        .group_by("account_id", named.alias("name"))
        .agg(
            urgent=pl.col("type").is_in(sorted(rules.act_now)).any(),
            points=pl.col("points_milli").sum(),
            count=pl.len(),
            latest_on=pl.col("occurred_on").max(),
        )
        .sort("account_id", "urgent", "points", "name", descending=[False, True, True, False])
        .collect()
    )
    days = by_label.filter("urgent").select("latest_on").unique()
    days = days.with_columns(day=pl.Series([f" {_day(on)}" for on in days["latest_on"]], dtype=pl.String))
    often = pl.when(pl.col("count") > 1).then(pl.lit(" ") + pl.col("count").cast(pl.String) + "x").otherwise(pl.lit(""))
    return (
        by_label.join(_clipped(by_label["name"]), on="name", maintain_order="left")
        .join(days, on="latest_on", how="left", maintain_order="left")
        .select(
            "account_id",
            "wide",
            text=pl.col("clipped") + pl.when("urgent").then("day").otherwise(pl.lit("")).fill_null("") + often,
        )
        .select("account_id", "text", length=pl.col("text").str.len_chars().cast(pl.Int64) + pl.col("wide"))
    )


def _what(labels: pl.DataFrame) -> pl.DataFrame:
    """
    account_id and ``what``: the acts that fit in ``room`` characters, and how many more there are.
    """
    place = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("account_id")
    placed = labels.with_columns(
        place=place,
        left=pl.len().over("account_id").cast(pl.Int64) - place,
        end=pl.col("length").cum_sum().over("account_id") + 2 * (place - 1),
    )
    more = pl.when(pl.col("left") > 0).then(pl.lit(" and ") + pl.col("left").cast(pl.String) + " more")
    fits = pl.col("end") + more.str.len_chars().fill_null(0) <= pl.col("room")
    shown = placed.with_columns(
        more=more.fill_null(""), shown=pl.col("place").filter(fits).max().over("account_id")
    ).filter(pl.col("place") <= pl.col("shown").fill_null(1))
    first = pl.col("text").first().str.slice(0, pl.max_horizontal(pl.col("room").first(), pl.lit(0)))
    return shown.group_by("account_id").agg(
        what=pl.when(pl.col("shown").first().is_null())
        .then(first)
        .otherwise(pl.col("text").str.join(", ") + pl.col("more").last())
    )


def _tail(frames: pl.DataFrame) -> pl.Series:
    """
    How each sentence ends: with the day of lapse, where there is one.
    """
    days = {on: f". Lapses {_day(on)} if quiet." for on in frames["until_on"].unique().drop_nulls()}
    lapses = pl.col("until_on").replace_strict(days, default=".", return_dtype=pl.String) if days else pl.lit(".")
    return frames.select(x=pl.when("engaged").then(lapses).otherwise(pl.lit(".")))["x"]


def _lead(frames: pl.DataFrame) -> pl.Series:
    """
    How each sentence begins: with what is missing, where it is not engaged.
    """
    lacks = ["engaged", "short", "people_short", "stale", "is_no_target"]
    kinds = frames.select(lacks).unique()
    leads = ["" if row["engaged"] else f"Not engaged, needs {_needs(row)}. So far " for row in kinds.to_dicts()]
    known = kinds.with_columns(lead=pl.Series(leads, dtype=pl.String))
    return frames.join(known, on=lacks, how="left", nulls_equal=True, maintain_order="left")["lead"]


def _needs(row: dict[str, Any]) -> str:
    people = row["people_short"]
    needs = [
        (row["short"], "more activity"),
        (people > 0, f"{people} more {'person' if people == 1 else 'people'}"),
        (row["stale"], "a fresh act by a person"),
        (row["is_no_target"], "a place in the customer profile or a target list"),
    ]
    return _listed(words for needed, words in needs if needed)


def _listed(words: Iterable[str]) -> str:
    items = list(words)
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def _clipped(texts: pl.Series) -> pl.DataFrame:
    """
    Each distinct text under its own name, ``clipped`` to what a part of a sentence may take, and ``wide``: how many
    more characters than letters Salesforce counts in it, as letters beyond the basic plane, such as emoji, are two.
    """
    distinct = texts.unique().drop_nulls()
    clipped = [text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1].rstrip() + "…" for text in distinct]
    wide = [sum(ord(letter) > _BASIC_PLANE for letter in text) for text in clipped]
    return pl.DataFrame(
        {texts.name: distinct, "clipped": clipped, "wide": wide},
        schema={texts.name: pl.String, "clipped": pl.String, "wide": pl.Int64},
    )


def _day(on: date) -> str:
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"
