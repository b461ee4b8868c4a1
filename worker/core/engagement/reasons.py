"""
Says in words and in JSON why an account is engaged or not: roles and counts, never a person's name; dates, not ages.

The sentence fits a text field of 255 characters. It decides nothing; ``flags`` is its only caller.
"""

import json
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.chain import run
from worker.core.engagement.points import ONE, age_factors
from worker.core.engagement.rules import LEVELS, EngagementRules, milli

LONGEST: Final = 255  # Salesforce's Text field
_LONGEST_LABEL: Final = 60
_MOST_ROLES: Final = 4
_BEYOND_BASIC_PLANE: Final = r"[\x{10000}-\x{10FFFF}]"
_LEAST_ACTS: Final = 30  # characters for the acts; where roles leave less, the people are only counted
_DAY: Final = "%-d %b %Y"


def sentences(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules) -> pl.Series:
    """
    One sentence an account, in the order of ``decided``: what ``flags`` decided. ``scored`` are the acts with points.
    """
    earning = scored.filter(pl.col("points_milli") > 0)
    framed = run(
        decided.lazy()
        .select(*_DECIDED, short=pl.col("points_milli") < milli(rules.enter_points))
        .join(_people(earning), on="account_id", how="left", maintain_order="left")
        .with_columns(_NEEDS)
        .with_columns(_LEAD, _TAIL, *_COUNTED)
        .with_columns(_WHO)
        .with_columns(_LENGTHS)
        .with_columns(_START)
    )
    rooms = framed.lazy().select("account_id", "room")
    what = _what(_labels(earning, rules).join(rooms, on="account_id", maintain_order="left"))
    return run(
        framed.lazy().join(what, on="account_id", how="left", maintain_order="left").select(why=_why(rules.window_days))
    )["why"]


@lru_cache(maxsize=16)
def _why(window_days: int) -> pl.Expr:
    left_out = pl.concat_str(pl.lit("Not engaged: left out ("), "excluded", pl.lit(").")).str.slice(0, LONGEST)
    nothing = pl.concat_str(pl.lit(f"No counted act in {window_days} days"), "tail")
    return pl.coalesce(
        pl.when(pl.col("excluded").is_not_null()).then(left_out),
        pl.when(pl.col("what").is_null()).then(nothing),
        pl.concat_str("start", "what", "tail"),
    )


def details(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules) -> pl.Series:
    """
    A JSON an account, in the order of ``decided``: the rules' version and window, what is missing or when it lapses,
    and every act that contributes with its raw points, weight, age factor and points; the points of ``acts`` sum to
    ``points_milli``. Screened acts are listed with 0 points, acts over a cap are only counted.
    """
    listed = run(
        scored.lazy()
        .filter((pl.col("points_milli") > 0) | pl.col("screened").is_not_null())
        .sort("account_id", "occurred_at", "act_id", descending=[False, True, True])
    )
    acts = (
        _with_words(listed)
        .select("account_id", acts=_act_json(rules))
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("acts").str.join(","))
    )
    over = scored.lazy().filter("capped").group_by("account_id").agg(capped_count=pl.len())
    return run(
        decided.lazy()
        .join(acts, on="account_id", how="left", maintain_order="left")
        .join(over, on="account_id", how="left", maintain_order="left")
        .with_columns(missing=_missing(rules))
        .with_columns(state=_STATE)
        .select(detail=_detail(rules))
    )["detail"]


@lru_cache(maxsize=16)
def _detail(rules: EngagementRules) -> pl.Expr:
    head = {
        "rule_version": rules.version,
        "window_days": rules.window_days,
        "half_life_days": rules.half_life_days,
        "enter_points_milli": milli(rules.enter_points),
        "stay_points_milli": milli(rules.stay_points),
    }
    return pl.concat_str(
        pl.lit(json.dumps(head)[:-1] + ","),
        pl.col("state").str.slice(1, pl.col("state").str.len_chars() - 2),
        pl.lit(',"acts":['),
        pl.col("acts").fill_null(""),
        pl.lit("]}"),
    )


_STATE: Final = pl.struct(
    "points_milli",
    "people_count",
    "people_needed",
    "excluded",
    "missing",
    pl.col("until_on").cast(pl.String).alias("lapses_on"),
    pl.col("capped_count").fill_null(0),
).struct.json_encode()


@lru_cache(maxsize=16)
def _missing(rules: EngagementRules) -> pl.Expr:
    """
    What an account lacks to enter: thousandths of a point, people, whether an act by a person, and
    whether a place among the targets.
    """
    lacks = pl.struct(
        pl.max_horizontal(milli(rules.enter_points) - pl.col("points_milli"), pl.lit(0)).alias("points_milli"),
        pl.max_horizontal(pl.col("people_needed") - pl.col("people_count"), pl.lit(0)).alias("people"),
        (~pl.col("human_is_fresh")).alias("human_act"),
        pl.col("is_no_target").alias("target"),
    )
    return pl.when(~pl.col("engaged")).then(lacks)


_WORDS: Final = pl.struct("type", "label", "screened").struct.json_encode()
_QUOTED: Final = pl.concat_str(pl.lit('"'), "act_id", pl.lit('"')).alias("named")
_ESCAPED: Final = (
    pl.struct("act_id").struct.json_encode().str.strip_suffix("}").str.strip_prefix('{"act_id":').alias("named")
)


def _with_words(listed: pl.DataFrame) -> pl.LazyFrame:
    """
    The acts with ``words``, the JSON of what they share with others (type, label, screened), and ``named``, of their
    id. Text is escaped once for each distinct wording, and ids only where one needs it: there are a million acts.
    """
    shared = listed.lazy().select("type", "label", "screened").unique().with_columns(words=_WORDS)
    is_plain = not listed["act_id"].str.contains(r'["\\\x00-\x1f]').any()
    return (
        listed.lazy()
        .with_columns(_QUOTED if is_plain else _ESCAPED)
        .join(shared, on=["type", "label", "screened"], how="left", nulls_equal=True, maintain_order="left")
    )


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


def _people(earning: pl.DataFrame) -> pl.LazyFrame:
    """
    account_id and the roles of the people who earned points (each by the latest that is known), the most senior first:
    ``roles``, the first four in words, how many people these are, and how many more characters than letters they take.
    """
    return (
        earning.lazy()
        .filter(pl.col("person_id").is_not_null(), pl.col("role_label").str.strip_chars() != "")
        .group_by("account_id", "person_id")
        .agg(pl.col("role_label", "level").sort_by("occurred_at", "act_id").last())
        .group_by("account_id", "role_label")
        .agg(_RANK, count=pl.len())
        .sort("account_id", "rank", "count", "role_label", descending=[False, False, True, False])
        .with_columns(_clipped("role_label"))
        .with_columns(_wide("clipped"))
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


# The frame of a sentence, built in steps: what is lacking, in words; how it begins and ends; who it was, with roles and
# only counted; how much that takes; and the beginning with as many words as leave room for the acts.
_DECIDED: Final = (
    pl.col("account_id", "engaged", "excluded", "until_on", "people_count", "is_no_target"),
    (~pl.col("human_is_fresh")).alias("stale"),
    pl.max_horizontal(pl.col("people_needed") - pl.col("people_count"), pl.lit(0)).alias("people_short"),
)
_NEEDS: Final = pl.concat_str(
    pl.when("short").then(pl.lit("more activity")),
    pl.when(pl.col("people_short") == 1).then(pl.lit("1 more person")),
    pl.when(pl.col("people_short") > 1).then(pl.concat_str("people_short", pl.lit(" more people"))),
    pl.when("stale").then(pl.lit("a fresh act by a person")),
    pl.when("is_no_target").then(pl.lit("a place in the customer profile or a target list")),
    separator=", ",
    ignore_nulls=True,
).alias("needs")
_LEAD: Final = (
    pl.when("engaged")
    .then(pl.lit(""))
    .otherwise(
        pl.concat_str(
            pl.lit("Not engaged, needs "), pl.col("needs").str.replace(r"^(.*), ", "$1 and "), pl.lit(". So far ")
        )
    )
    .alias("lead")
)
_TAIL: Final = pl.coalesce(
    pl.when("engaged").then(
        pl.concat_str(pl.lit(". Lapses "), pl.col("until_on").dt.to_string(_DAY), pl.lit(" if quiet."))
    ),
    pl.lit("."),
).alias("tail")
_COUNTED: Final = (
    pl.concat_str(
        "people_count", pl.when(pl.col("people_count") == 1).then(pl.lit(" person")).otherwise(pl.lit(" people"))
    ).alias("total"),
    (pl.col("people_count") - pl.col("in_roles").cast(pl.Int32)).alias("others"),
    (pl.col("people_count") == 0).alias("nobody"),
)
_MORE_PEOPLE: Final = pl.coalesce(
    pl.when(pl.col("others") > 1).then(pl.concat_str(pl.lit(", "), "others", pl.lit(" others"))),
    pl.when(pl.col("others") == 1).then(pl.lit(", 1 other")),
    pl.lit(""),
)
_WHO: Final = (
    pl.when(~pl.col("nobody"))
    .then(pl.concat_str("total", pl.lit(" ("), "roles", _MORE_PEOPLE, pl.lit(")")))
    .alias("who_named"),
    pl.when("nobody").then(pl.lit("company only")).otherwise("total").alias("who_bare"),
    pl.col("who_wide").fill_null(0).cast(pl.Int64),
)
_LENGTHS: Final = (
    pl.coalesce("who_named", "who_bare").alias("who"),
    pl.sum_horizontal(pl.col("lead").str.len_chars(), pl.lit(2)).cast(pl.Int64).alias("around"),
    (LONGEST - pl.col("tail").str.len_chars().cast(pl.Int64)).alias("inside"),
)
_LENGTH: Final = pl.sum_horizontal("around", pl.col("who").str.len_chars().cast(pl.Int64), "who_wide")
_BARE_LENGTH: Final = pl.sum_horizontal("around", pl.col("who_bare").str.len_chars().cast(pl.Int64))
_IS_LONG: Final = pl.col("inside") - _LENGTH < _LEAST_ACTS
_START: Final = (
    pl.concat_str("lead", pl.when(_IS_LONG).then("who_bare").otherwise("who"), pl.lit(": ")).alias("start"),
    (pl.col("inside") - pl.when(_IS_LONG).then(_BARE_LENGTH).otherwise(_LENGTH)).alias("room"),
)


def _labels(earning: pl.DataFrame, rules: EngagementRules) -> pl.LazyFrame:
    """
    One row an account and label, requests first, then by points: account_id, text (with the day of a request and how
    often), wide.
    """
    return (
        earning.lazy()
        .with_columns(_NAMED)
        .group_by("account_id", "name")
        .agg(_sums_of_label(rules))
        .sort("account_id", "urgent", "points", "name", descending=[False, True, True, False])
        .with_columns(_clipped("name"), pl.when("urgent").then("latest_on").alias("asked_on"))
        .with_columns(_wide("clipped"))
        .select("account_id", "wide", _TEXT)
    )


@lru_cache(maxsize=16)
def _sums_of_label(rules: EngagementRules) -> list[pl.Expr]:
    return [
        pl.col("type").is_in(sorted(rules.act_now)).any().alias("urgent"),
        pl.col("points_milli").sum().alias("points"),
        pl.len().alias("count"),
        pl.col("occurred_on").max().alias("latest_on"),
    ]


_STRIPPED: Final = pl.col("label").str.strip_chars()
_NAMED: Final = pl.coalesce(
    pl.when(_STRIPPED != "").then(_STRIPPED), pl.col("type").str.replace_all("_", " ", literal=True)
).alias("name")
_TEXT: Final = pl.concat_str(
    "clipped",
    pl.col("asked_on").dt.to_string(_DAY),
    pl.when(pl.col("count") > 1).then(pl.concat_str("count", pl.lit("x"))),
    separator=" ",
    ignore_nulls=True,
).alias("text")


def _what(labels: pl.LazyFrame) -> pl.LazyFrame:
    """
    account_id and ``what``: the acts that fit in ``room`` characters, and how many more there are.
    """
    return (
        labels.with_columns(_PLACE)
        .with_columns(_LEFT, _END)
        .with_columns(_MORE)
        .with_columns(_SHOWN)
        .filter(pl.col("place") <= pl.col("shown").fill_null(1))
        .group_by("account_id")
        .agg(_LISTED)
    )


_PLACE: Final = (
    pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("account_id").alias("place"),
    pl.len().over("account_id").cast(pl.Int64).alias("labels"),
    (pl.col("text").str.len_chars().cast(pl.Int64) + pl.col("wide")).cum_sum().over("account_id").alias("length"),
)
_LEFT: Final = (pl.col("labels") - pl.col("place")).alias("left")
_END: Final = (pl.col("length") + 2 * (pl.col("place") - 1)).alias("end")
_MORE: Final = pl.coalesce(
    pl.when(pl.col("left") > 0).then(pl.concat_str(pl.lit(" and "), "left", pl.lit(" more"))), pl.lit("")
).alias("more")
_FITS: Final = pl.col("end") + pl.col("more").str.len_chars() <= pl.col("room")
_SHOWN: Final = pl.col("place").filter(_FITS).max().over("account_id").alias("shown")
_FIRST_CUT: Final = pl.col("text").first().str.slice(0, pl.max_horizontal(pl.col("room").first(), pl.lit(0)))
_LISTED: Final = (
    pl.when(pl.col("shown").first().is_null())
    .then(_FIRST_CUT)
    .otherwise(pl.col("text").str.join(", ") + pl.col("more").last())
    .alias("what")
)


def _clipped(name: str) -> pl.Expr:
    """
    ``clipped``, the text cut to what a part of a sentence may take.
    """
    text = pl.col(name)
    cut = pl.concat_str(text.str.slice(0, _LONGEST_LABEL - 1).str.strip_chars_end(), pl.lit("…"))
    return pl.when(text.str.len_chars() > _LONGEST_LABEL).then(cut).otherwise(text).alias("clipped")


def _wide(name: str) -> pl.Expr:
    """
    ``wide``, how many more characters than letters Salesforce counts in a text, as letters beyond the basic plane, such
    as emoji, are two.
    """
    return pl.col(name).str.count_matches(_BEYOND_BASIC_PLANE).cast(pl.Int64).alias("wide")
