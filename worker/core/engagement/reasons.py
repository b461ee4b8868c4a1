"""
Says in words and in JSON why an account is engaged or not: roles and counts, never a person's name; dates, not ages.

The sentence fits a text field of 255 characters. It decides nothing; ``flags`` is its only caller.
"""

import json
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Any, Final

import polars as pl

from worker.core.engagement.points import ONE, age_factors
from worker.core.engagement.rules import LEVELS, EngagementRules, milli

LONGEST: Final = 255  # Salesforce's Text field
_LONGEST_LABEL: Final = 60
_MOST_ROLES: Final = 4
_BASIC_PLANE: Final = 0xFFFF
_LEAST_ACTS: Final = 30  # characters for the acts; where roles leave less, the people are only counted
_LACKS: Final = ("engaged", "short", "people_short", "stale", "is_no_target")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def sentences(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules) -> pl.Series:
    """
    One sentence an account, in the order of ``decided``: what ``flags`` decided. ``scored`` are the acts with points.
    """
    earning = scored.filter(pl.col("points_milli") > 0)
    labels = _labels(earning, rules)
    frames = decided.select(
        "account_id",
        "engaged",
        "excluded",
        "until_on",
        "people_count",
        "is_no_target",
        stale=~pl.col("human_is_fresh"),
        short=pl.col("points_milli") < milli(rules.enter_points),
        people_short=pl.max_horizontal(pl.col("people_needed") - pl.col("people_count"), pl.lit(0)),
    ).join(_people(earning), on="account_id", how="left", maintain_order="left")
    framed = (
        frames.join(_leads(frames), on=_LACKS, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(_tail(frames["until_on"]), *_WHO)
        .with_columns(_START)
    )
    rooms = framed.select("account_id", "room")
    what = _what(labels.join(rooms, on="account_id", maintain_order="left"))
    nothing = pl.lit(f"No counted act in {rules.window_days} days") + pl.col("tail")
    left_out = (pl.lit("Not engaged: left out (") + pl.col("excluded") + ").").str.slice(0, LONGEST)
    return framed.join(what, on="account_id", how="left", maintain_order="left").select(
        why=pl.when(pl.col("excluded").is_not_null())
        .then(left_out)
        .when(pl.col("what").is_null())
        .then(nothing)
        .otherwise(pl.col("start") + pl.col("what") + pl.col("tail")),
    )["why"]


def details(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules) -> pl.Series:
    """
    A JSON an account, in the order of ``decided``: the rules' version and window, what is missing or when it lapses,
    and every act that contributes with its raw points, weight, age factor and points; the points of ``acts`` sum to
    ``points_milli``. Screened acts are listed with 0 points, acts over a cap are only counted.
    """
    listed = scored.filter((pl.col("points_milli") > 0) | pl.col("screened").is_not_null()).sort(
        "account_id", "occurred_at", "act_id", descending=[False, True, True]
    )
    acts = _with_words(listed).select("account_id", acts=_act_json(rules)).group_by("account_id", maintain_order=True)
    frame = decided.join(acts.agg(pl.col("acts").str.join(",")), on="account_id", how="left", maintain_order="left")
    over = scored.filter("capped")
    if over.is_empty():
        frame = frame.with_columns(capped_count=pl.lit(0))
    else:
        counts = over.group_by("account_id").agg(capped_count=pl.len())
        frame = frame.join(counts, on="account_id", how="left", maintain_order="left")
    return frame.select(detail=_detail(rules))["detail"]


@lru_cache(maxsize=16)
def _detail(rules: EngagementRules) -> pl.Expr:
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
        pl.col("capped_count").fill_null(0),
    ).struct.json_encode()
    body = state.str.strip_suffix("}").str.slice(1)
    acts = pl.lit(',"acts":[') + pl.col("acts").fill_null("") + pl.lit("]}")
    return pl.lit(json.dumps(head)[:-1] + ",") + body + acts


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


_WORDS: Final = pl.struct("type", "label", "screened").struct.json_encode()


def _with_words(listed: pl.DataFrame) -> pl.DataFrame:
    """
    The acts with ``words``, the JSON of what they share with others (type, label, screened), and ``named``, of their
    id. Text is escaped once for each distinct wording, and an id only where it needs to be: there are a million acts.
    """
    shared = listed.select("type", "label", "screened").unique()
    shared = shared.with_columns(words=_WORDS)
    plain = pl.col("act_id").str.contains(r'["\\\x00-\x1f]').not_()
    named = listed.with_columns(named=pl.when(plain).then(pl.lit('"') + pl.col("act_id") + '"'))
    if named["named"].null_count():
        escaped = pl.struct("act_id").struct.json_encode().str.strip_suffix("}").str.strip_prefix('{"act_id":')
        named = named.with_columns(named=pl.coalesce("named", escaped))
    return named.join(shared, on=["type", "label", "screened"], how="left", nulls_equal=True, maintain_order="left")


@lru_cache(maxsize=16)
def _act_json(rules: EngagementRules) -> pl.Expr:
    """
    One act as JSON. The age's part is the same for all acts of a day, so it is put together once a day.
    """
    texts = pl.Series([f'{age},"age_factor":{factor / ONE:.9g}' for age, factor in enumerate(age_factors(rules))])
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
    known = pl.col("role_label").str.strip_chars() != ""
    roles = (
        earning.select("account_id", "person_id", "role_label", "level", "occurred_at", "act_id")
        .filter(pl.col("person_id").is_not_null() & known)
        .group_by("account_id", "person_id")
        .agg(pl.col("role_label", "level").sort_by("occurred_at", "act_id").last())
        .group_by("account_id", "role_label")
        .agg(_RANK, count=pl.len())
        .sort("account_id", "rank", "count", "role_label", descending=[False, False, True, False])
    )
    words = _clipped(roles["role_label"])
    return (
        roles.join(words, on="role_label", maintain_order="left")
        .group_by("account_id", maintain_order=True)
        .agg(_ROLES)
    )


_RANK: Final = (
    pl.col("level")
    .replace_strict({level: place for place, level in enumerate(LEVELS)}, default=len(LEVELS), return_dtype=pl.Int32)
    .min()
    .alias("rank")
)
_ROLES: Final = (
    pl.when(pl.col("count") == 1)
    .then("clipped")
    .otherwise(pl.col("count").cast(pl.String) + " " + pl.col("clipped"))
    .head(_MOST_ROLES)
    .str.join(", ")
    .alias("roles"),
    pl.col("count").head(_MOST_ROLES).sum().alias("in_roles"),
    pl.col("wide").head(_MOST_ROLES).sum().alias("who_wide"),
)


def _who() -> list[pl.Expr]:
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
    named = total + " (" + pl.col("roles") + more + ")"
    bare = pl.when(nobody).then(pl.lit("company only")).otherwise(total)
    return [
        pl.when(nobody | pl.col("roles").is_null()).then(bare).otherwise(named).alias("who"),
        bare.alias("who_bare"),
        pl.col("who_wide").fill_null(0).cast(pl.Int64),
    ]


def _start() -> list[pl.Expr]:
    """
    ``start``, what comes before the acts, with roles where these leave room, and ``room``, the characters for acts.
    """
    tail, lead = pl.col("tail").str.len_chars(), pl.col("lead").str.len_chars()
    length = lead + pl.col("who").str.len_chars() + 2 + pl.col("who_wide")
    too_long = length + tail + _LEAST_ACTS > LONGEST
    bare_length = lead + pl.col("who_bare").str.len_chars() + 2
    return [
        (pl.col("lead") + pl.when(too_long).then("who_bare").otherwise("who") + ": ").alias("start"),
        (LONGEST - pl.when(too_long).then(bare_length).otherwise(length) - tail).alias("room"),
    ]


_WHO: Final = _who()
_START: Final = _start()


def _labels(earning: pl.DataFrame, rules: EngagementRules) -> pl.DataFrame:
    """
    One row an account and label, requests first, then by points: account_id, text (with the day of a request and how
    often), wide.
    """
    by_label = (
        earning.group_by("account_id", _NAMED)
        .agg(
            urgent=pl.col("type").is_in(sorted(rules.act_now)).any(),
            points=pl.col("points_milli").sum(),
            count=pl.len(),
            latest_on=pl.col("occurred_on").max(),
        )
        .sort("account_id", "urgent", "points", "name", descending=[False, True, True, False])
    )
    days = {on: f" {_day(on)}" for on in by_label.filter("urgent")["latest_on"].unique()}
    day = pl.col("latest_on").replace_strict(days, default="", return_dtype=pl.String) if days else pl.lit("")
    text = pl.col("clipped") + pl.when("urgent").then(day).otherwise(pl.lit("")) + _OFTEN
    return by_label.join(_clipped(by_label["name"]), on="name", maintain_order="left").select(
        "account_id", "wide", text=text
    )


_NAMED: Final = pl.coalesce(
    pl.when(pl.col("label").str.strip_chars() != "").then(pl.col("label").str.strip_chars()),
    pl.col("type").str.replace_all("_", " ", literal=True),
).alias("name")
_OFTEN: Final = (
    pl.when(pl.col("count") > 1).then(pl.lit(" ") + pl.col("count").cast(pl.String) + "x").otherwise(pl.lit(""))
)


def _what(labels: pl.DataFrame) -> pl.DataFrame:
    """
    account_id and ``what``: the acts that fit in ``room`` characters, and how many more there are.
    """
    shown = (
        labels.with_columns(_PLACES)
        .with_columns(
            _MORE.fill_null("").alias("more"), pl.col("place").filter(_FITS).max().over("account_id").alias("shown")
        )
        .filter(pl.col("place") <= pl.col("shown").fill_null(1))
    )
    return shown.group_by("account_id").agg(what=_SHOWN)


_PLACE: Final = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("account_id")
_LENGTH: Final = pl.col("text").str.len_chars().cast(pl.Int64) + pl.col("wide")
_PLACES: Final = (
    _PLACE.alias("place"),
    (pl.len().over("account_id").cast(pl.Int64) - _PLACE).alias("left"),
    (_LENGTH.cum_sum().over("account_id") + 2 * (_PLACE - 1)).alias("end"),
)
_MORE: Final = pl.when(pl.col("left") > 0).then(pl.lit(" and ") + pl.col("left").cast(pl.String) + " more")
_FITS: Final = pl.col("end") + _MORE.str.len_chars().fill_null(0) <= pl.col("room")
_SHOWN: Final = (
    pl.when(pl.col("shown").first().is_null())
    .then(pl.col("text").first().str.slice(0, pl.max_horizontal(pl.col("room").first(), pl.lit(0))))
    .otherwise(pl.col("text").str.join(", ") + pl.col("more").last())
)


def _tail(until_on: pl.Series) -> pl.Expr:
    """
    ``tail``, how each sentence ends: with the day of lapse, where there is one.
    """
    days = {on: f". Lapses {_day(on)} if quiet." for on in until_on.unique() if on is not None}
    if not days:
        return pl.lit(".").alias("tail")
    lapses = pl.col("until_on").replace_strict(days, default=".", return_dtype=pl.String)
    return pl.when("engaged").then(lapses).otherwise(pl.lit(".")).alias("tail")


def _leads(frames: pl.DataFrame) -> pl.DataFrame:
    """
    For each combination of what may be missing, ``lead``: how the sentence then begins.
    """
    kinds = frames.select(_LACKS).unique()
    leads = ["" if row["engaged"] else f"Not engaged, needs {_needs(row)}. So far " for row in kinds.to_dicts()]
    return kinds.with_columns(lead=pl.Series(leads, dtype=pl.String))


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
    distinct = [text for text in texts.unique().to_list() if text is not None]
    clipped = [text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1].rstrip() + "…" for text in distinct]
    wide = [sum(ord(letter) > _BASIC_PLANE for letter in text) for text in clipped]
    return pl.DataFrame(
        {texts.name: distinct, "clipped": clipped, "wide": wide},
        schema={texts.name: pl.String, "clipped": pl.String, "wide": pl.Int64},
    )


def _day(on: date) -> str:
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"
