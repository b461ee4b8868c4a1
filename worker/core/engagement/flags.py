"""
Decides the engagement flag of each account, since when, until when if nothing happens, and in which band.

Entering is hard, staying is easier, and what is entered is held for a while, so that the flag does not flicker. Every
condition can only weaken while nothing happens, which is why the day of lapse can be foretold. The words are made by
``reasons``. Called by the engage flow; the store saves what comes out.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.engagement.points import Scored, account_acts_limit, aged, scored
from worker.core.engagement.reasons import details, sentences
from worker.core.engagement.rules import NO_BAND, EngagementRules, milli
from worker.core.errors import Fatal
from worker.core.frames import ACT, ENGAGEMENT_ACCOUNT, FLAG, INSTANT, Schema

# Columns that may be absent, and what then holds.
ACCOUNT_EXTRAS: Final[Schema] = {
    "has_new_act": pl.Boolean,  # an act has arrived since the last decision; absent = true
    "tier": pl.String,
    "excluded": pl.String,  # why the account is left out beside its type: "own staff"; null = it is not
    "is_target": pl.Boolean,  # in the ideal customer profile or a target list; absent = false
    "alerted_at": INSTANT,  # when somebody was last told that it is engaged
}
ACT_EXTRAS: Final[Schema] = {"screened": pl.String}  # why the act earns nothing: "job seeker"; null = it counts


def flag(accounts: pl.DataFrame, acts: pl.DataFrame, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    One row (FLAG) an account, in the order of account_id. ``accounts`` is ENGAGEMENT_ACCOUNT (with ACCOUNT_EXTRAS
    where the caller has them), ``acts`` is ACT (with ACT_EXTRAS) with distinct act_id, at least those of the window;
    acts of other accounts and acts after ``now`` are ignored.

    Days are UTC days: ``until_at`` is 00:00 UTC of the first day on which the account is no longer engaged if nothing
    happens, and holds the same value however often it is asked until something does. The band is decided anew only when
    an act has arrived or the flag turns. ``alerted_at`` is ``now`` where the turn is worth telling somebody. An account
    that leaves the lists is no longer let in, and lapses by its points. An excluded account is never engaged, held or
    not. A naive ``now`` and doubled account ids are errors.
    """
    accounts = typed_accounts(accounts)
    return decide(accounts, score(accounts, acts, rules, now=now), rules, now=now)


def typed_accounts(accounts: pl.DataFrame) -> pl.DataFrame:
    """
    The accounts with every column that ``decide`` reads, in the order of account_id.
    """
    accounts = _typed(accounts, ENGAGEMENT_ACCOUNT, ACCOUNT_EXTRAS).sort("account_id")
    if accounts["account_id"].n_unique() != accounts.height:
        raise Fatal("HW-901", "engagement was given an account more than once")
    return accounts


def score(accounts: pl.DataFrame, acts: pl.DataFrame, rules: EngagementRules, *, now: datetime) -> Scored:
    """
    What the acts of these accounts (account_id, tier) are worth at ``now``.
    """
    if now.tzinfo is None:
        raise Fatal("HW-901", "engagement was asked for an instant without a time zone")
    tiers = accounts.select("account_id", "tier")
    acts = _typed(acts, ACT, ACT_EXTRAS).join(tiers, on="account_id", maintain_order="left")
    if acts["act_id"].n_unique() != acts.height:
        raise Fatal("HW-901", "engagement was given an act more than once")
    return scored(acts, rules, now=now)


def decide(accounts: pl.DataFrame, found: Scored, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    The second half of ``flag``: the decisions on acts whose worth is known, in the order of ``accounts``.
    """
    decided = with_lapses(conclude(accounts, found, rules, now=now), found, rules, now=now)
    why = sentences(decided, found.acts, rules)
    detail = details(decided, found.acts, rules)
    until_at = pl.col("until_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return typed(decided.with_columns(until_at=until_at, why=why, detail=detail), FLAG)


def conclude(accounts: pl.DataFrame, found: Scored, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    The accounts with engaged, since_at and what they rest on, without words: all that a replay of the past needs.
    """
    measured = found.acts.group_by("account_id").agg(*_measures(rules))
    # The instant goes in as a column, so that the expressions can be made once a version of the rules.
    decided = accounts.join(measured, on="account_id", how="left", maintain_order="left").with_columns(
        now_at=pl.lit(now, INSTANT)
    )
    for step in _decisions(rules):
        decided = decided.with_columns(step)
    return decided


def with_lapses(decided: pl.DataFrame, found: Scored, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    What ``conclude`` decided with ``until_on``, the first day on which it is over if nothing happens.
    """
    if not decided["engaged"].any():
        return decided.with_columns(until_on=pl.lit(None, pl.Date))
    lapses = _lapses(decided, found.inside, rules, found.factors, now.astimezone(UTC).date())
    return decided.join(lapses, on="account_id", how="left", maintain_order="left")


def until_to_write(written_on: date | None, until_on: date | None, rules: EngagementRules) -> date | None:
    """
    The date to write: the one that is written already, unless the true one is at least ``until_step_days`` away from
    it.
    """
    if written_on is None or until_on is None or abs(until_on - written_on) >= timedelta(days=rules.until_step_days):
        return until_on
    return written_on


def _typed(frame: pl.DataFrame, schema: Schema, extras: Schema) -> pl.DataFrame:
    missing = sorted(set(schema) - set(frame.columns))
    if missing:
        raise Fatal("HW-901", f"a frame for engagement lacks the columns {', '.join(missing)}")
    return typed(frame, schema | extras)


def typed(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """
    The columns of ``schema`` with its types; nulls where the frame has none of that name.
    """
    return with_types(frame, schema)[list(schema)]


def with_types(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """
    The frame with every column of ``schema`` in its type, beside those that it has.
    """
    had = frame.schema
    wanting = [
        pl.col(name).cast(dtype) if name in had else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
        if had.get(name) != dtype
    ]
    return frame.with_columns(wanting) if wanting else frame


@lru_cache(maxsize=16)
def _measures(rules: EngagementRules) -> list[pl.Expr]:
    """
    What each account with acts has: its score, its people, and its latest human and act-now acts.
    """
    earns = pl.col("base_milli") > 0
    human = earns & pl.col("person_id").is_not_null() & ~pl.col("type").is_in(sorted(rules.supporting))
    at_once = human & pl.col("type").is_in(sorted(rules.act_now))
    return [
        pl.col("points_milli").sum(),
        pl.col("person_id")
        .filter(pl.col("points_milli") > 0)
        .drop_nulls()
        .n_unique()
        .cast(pl.Int32)
        .alias("people_count"),
        pl.col("occurred_on").filter(human).max().alias("human_on"),
        pl.col("occurred_on").filter(at_once).max().alias("act_now_on"),
    ]


@lru_cache(maxsize=16)
def _decisions(rules: EngagementRules) -> tuple[list[pl.Expr], ...]:
    """
    What is decided of accounts with their measures and ``now_at``, in steps that rest on those before.
    """
    now = pl.col("now_at")
    today = now.dt.date()
    excluded_type = pl.col("type").str.strip_chars().str.to_lowercase().is_in(sorted(rules.excluded_types))
    small = (pl.col("employees") < rules.small_company_employees).fill_null(value=False)
    was = pl.col("was_engaged").fill_null(value=False)
    held_days = (today - pl.coalesce("engaged_since_at", now).dt.date()).dt.total_days()
    counts = pl.col("is_target").fill_null(value=False) if rules.targets_only else pl.lit(value=True)
    enters = counts & (
        pl.col("acts_now")
        | (
            (pl.col("points_milli") >= milli(rules.enter_points))
            & (pl.col("people_count") >= pl.col("people_needed"))
            & pl.col("human_is_fresh")
        )
    )
    stays = was & (
        pl.col("acts_now") | (pl.col("points_milli") >= milli(rules.stay_points)) | (held_days < rules.hold_days)
    )
    told_days = (today - pl.col("alerted_at").dt.date()).dt.total_days()
    tells = pl.col("engaged") & ~was & (told_days >= rules.alert_days).fill_null(value=True)
    excluded = pl.when(excluded_type).then(pl.lit("type ") + pl.col("type").str.strip_chars())
    since = pl.when(was).then(pl.coalesce("engaged_since_at", now)).otherwise(now)
    return (
        [
            pl.col("points_milli", "people_count").fill_null(0),
            pl.when(small).then(rules.small_company_people).otherwise(rules.enter_people).alias("people_needed"),
            _fresh("human_on", rules.human_act_days, today).alias("human_is_fresh"),
            _fresh("act_now_on", rules.human_act_days, today).alias("acts_now"),
            pl.coalesce(excluded, "excluded").alias("excluded"),
            (~counts).alias("is_no_target"),
        ],
        [(pl.col("excluded").is_null() & (enters | stays)).alias("engaged")],
        [
            pl.when("engaged").then(since).alias("since_at"),
            _band(was, rules).alias("band"),
            pl.when(tells).then(now).otherwise("alerted_at").alias("alerted_at"),
        ],
    )


def _fresh(column: str, days: int, today: pl.Expr) -> pl.Expr:
    return ((today - pl.col(column)).dt.total_days() < days).fill_null(value=False)


def _band(was: pl.Expr, rules: EngagementRules) -> pl.Expr:
    by_points = pl.lit(NO_BAND)
    for name, floor in reversed(rules.bands):
        by_points = pl.when(pl.col("points_milli") >= milli(floor)).then(pl.lit(name)).otherwise(by_points)
    anew = pl.col("has_new_act").fill_null(value=True) | (pl.col("engaged") != was) | pl.col("was_band").is_null()
    return (
        pl.when(pl.col("excluded").is_not_null())
        .then(pl.lit(NO_BAND))
        .when(anew)
        .then(by_points)
        .otherwise(pl.col("was_band"))
    )


def _lapses(
    decided: pl.DataFrame, inside: pl.DataFrame, rules: EngagementRules, factors: pl.Series, today: date
) -> pl.DataFrame:
    """
    account_id and until_on of the engaged accounts: the last of the days on which hold, request and score give out.
    """
    engaged = decided.filter("engaged").select("account_id", "since_at", "act_now_on")
    quiet = _days_until_quiet(engaged, inside, rules, factors)
    held = pl.col("since_at").dt.date() + pl.duration(days=rules.hold_days)
    request = pl.col("act_now_on") + pl.duration(days=rules.human_act_days)
    score = pl.lit(today) + pl.duration(days=pl.col("quiet_days"))
    return engaged.join(quiet, on="account_id").select(
        "account_id", pl.max_horizontal(held, request, score).cast(pl.Date).alias("until_on")
    )


def _days_until_quiet(
    engaged: pl.DataFrame, inside: pl.DataFrame, rules: EngagementRules, factors: pl.Series
) -> pl.DataFrame:
    """
    account_id and quiet_days: after how many days the score is below ``stay_points`` if nothing happens (0 = today).

    The score never grows by itself, so the day is found by halving the span, for all accounts at once.
    """
    numbered = engaged.select("account_id").with_row_index("place")
    acts = inside.join(numbered, on="account_id").select(
        "place", "age_days", "base_milli", pl.col("person_id").is_null().alias("lone")
    )
    limit = account_acts_limit(rules)
    stay = milli(rules.stay_points)
    # Invariant: at `high` days the score is below; the whole window away every act has left it.
    span = pl.DataFrame({"low": pl.zeros(engaged.height, pl.Int64, eager=True)}).with_row_index("place")
    span = span.with_columns(pl.lit(rules.window_days, pl.Int64).alias("high"))
    for _ in range(rules.window_days.bit_length() + 1):
        span = span.with_columns(((pl.col("low") + pl.col("high")) // 2).alias("middle"))
        later = pl.col("age_days") + pl.lit(span["middle"]).gather(pl.col("place"))
        sums = (
            acts.lazy()
            .select("place", "lone", aged(pl.col("base_milli"), later, factors).alias("points"))
            .group_by("place")
            .agg(
                pl.col("points").filter(~pl.col("lone")).sum().alias("own"),
                pl.col("points").filter("lone").sum().alias("lone"),
            )
        )
        score = pl.col("own").fill_null(0) + pl.min_horizontal(pl.col("lone").fill_null(0), pl.lit(limit))
        below = score < stay
        open_span = pl.col("low") < pl.col("high")
        span = (
            span.lazy()
            .join(sums, on="place", how="left", maintain_order="left")
            .select(
                "place",
                pl.when(open_span & ~below).then(pl.col("middle") + 1).otherwise("low").alias("low"),
                pl.when(open_span & below).then("middle").otherwise("high").alias("high"),
            )
            .collect()
        )
    return numbered.join(span, on="place").select("account_id", pl.col("high").alias("quiet_days"))
