"""
Decides the engagement flag of each account, since when, until when if nothing happens, and in which band.

Entering is hard, staying is easier, and what is entered is held for a while, so that the flag does not flicker. Every
condition can only weaken while nothing happens, which is why the day of lapse can be foretold. The words are made by
``reasons``. Called by the engage flow; the store saves what comes out.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Final

import polars as pl

from worker.core.chain import instant, run
from worker.core.columns import constant
from worker.core.engagement.points import Scored, account_acts_limit, aged, scored
from worker.core.engagement.reasons import reasons
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
    known = run(_typed(accounts, ENGAGEMENT_ACCOUNT, ACCOUNT_EXTRAS).sort("account_id"))
    if known["account_id"].n_unique() != known.height:
        raise Fatal("HW-901", "engagement was given an account more than once")
    return known


def score(accounts: pl.DataFrame, acts: pl.DataFrame, rules: EngagementRules, *, now: datetime) -> Scored:
    """
    What the acts of these accounts (account_id, tier) are worth at ``now``.
    """
    if now.tzinfo is None:
        raise Fatal("HW-901", "engagement was asked for an instant without a time zone")
    tiers = accounts.lazy().select("account_id", "tier")
    return scored(_typed(acts, ACT, ACT_EXTRAS).join(tiers, on="account_id", maintain_order="left"), rules, now=now)


def decide(accounts: pl.DataFrame, found: Scored, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    The second half of ``flag``: the decisions on acts whose worth is known, in the order of ``accounts``.
    """
    decided = with_lapses(conclude(accounts, found, rules, now=now), found, rules, now=now)
    why, detail = reasons(decided, found.acts, rules)
    return run(typed(decided.lazy().with_columns(until_at=_UNTIL_AT, why=why, detail=detail), FLAG))


_UNTIL_AT: Final = pl.col("until_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def conclude(accounts: pl.DataFrame, found: Scored, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    The accounts with engaged, since_at and what they rest on, without words: all that a replay of the past needs.
    """
    measured = found.acts.lazy().with_columns(_marks(rules)).group_by("account_id").agg(_MEASURES)
    # The instant goes in as a column, so that the expressions can be made once a version of the rules.
    decided = (
        accounts.lazy()
        .join(measured, on="account_id", how="left", maintain_order="left")
        .with_columns(now_at=instant(now))
    )
    for step in _decisions(rules):
        decided = decided.with_columns(step)
    return run(decided)


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


def _typed(frame: pl.DataFrame, schema: Schema, extras: Schema) -> pl.LazyFrame:
    missing = sorted(set(schema) - set(frame.columns))
    if missing:
        raise Fatal("HW-901", f"a frame for engagement lacks the columns {', '.join(missing)}")
    return typed(frame, schema | extras)


def typed(frame: pl.DataFrame | pl.LazyFrame, schema: Schema) -> pl.LazyFrame:
    """
    The columns of ``schema`` with its types; nulls where the frame has none of that name.
    """
    return with_types(frame, schema).select(list(schema))


def with_types(frame: pl.DataFrame | pl.LazyFrame, schema: Schema) -> pl.LazyFrame:
    """
    The frame with every column of ``schema`` in its type, beside those that it has.
    """
    had = frame.collect_schema()
    wanting = [
        pl.col(name).cast(dtype) if name in had else _nothing(name, dtype)
        for name, dtype in schema.items()
        if had.get(name) != dtype
    ]
    return frame.lazy().with_columns(wanting) if wanting else frame.lazy()


@cache
def _nothing(name: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Expr:
    return pl.lit(None, dtype).alias(name)


@lru_cache(maxsize=16)
def _marks(rules: EngagementRules) -> list[pl.Expr]:
    """
    Which acts earn as a person's own (``human``), and which of those ask to be answered at once.
    """
    own = [pl.col("base_milli") > 0, pl.col("person_id").is_not_null()]
    human = pl.all_horizontal(*own, ~pl.col("type").is_in(sorted(rules.supporting)))
    at_once = pl.col("type").is_in(sorted(rules.act_now))
    return [human.alias("human"), at_once.alias("at_once")]


# What each account with acts has: its score, its people, and its latest human and act-now acts.
_MEASURES: Final = (
    pl.col("points_milli").sum(),
    pl.col("person_id").filter(pl.col("points_milli") > 0).drop_nulls().n_unique().cast(pl.Int32).alias("people_count"),
    pl.col("occurred_on").filter("human").max().alias("human_on"),
    pl.col("occurred_on").filter(pl.col("human") & pl.col("at_once")).max().alias("act_now_on"),
)


@lru_cache(maxsize=16)
def _decisions(rules: EngagementRules) -> tuple[list[pl.Expr], ...]:
    """
    What is decided of accounts with their measures and ``now_at``, in steps that rest on those before. The steps are
    flat: the price of an expression grows with the square of its depth.
    """
    excluded_type = pl.col("type").str.strip_chars().str.to_lowercase().is_in(sorted(rules.excluded_types))
    is_target = pl.col("is_target").fill_null(value=False) if rules.targets_only else pl.lit(value=True)
    told_days = (pl.col("today") - pl.col("alerted_at").dt.date()).dt.total_days()
    return (
        [
            pl.col("points_milli", "people_count").fill_null(0),
            pl.col("now_at").dt.date().alias("today"),
            pl.col("was_engaged").fill_null(value=False).alias("was"),
            pl.coalesce("engaged_since_at", "now_at").alias("was_since_at"),
            (pl.col("employees") < rules.small_company_employees).fill_null(value=False).alias("is_small"),
            excluded_type.alias("is_excluded_type"),
            is_target.alias("is_target"),
        ],
        [
            pl.when("is_small").then(rules.small_company_people).otherwise(rules.enter_people).alias("people_needed"),
            _fresh("human_on", rules.human_act_days).alias("human_is_fresh"),
            _fresh("act_now_on", rules.human_act_days).alias("acts_now"),
            (pl.col("today") - pl.col("was_since_at").dt.date()).dt.total_days().alias("held_days"),
            (told_days >= rules.alert_days).fill_null(value=True).alias("may_tell"),
            pl.coalesce(
                pl.when("is_excluded_type").then(pl.concat_str(pl.lit("type "), pl.col("type").str.strip_chars())),
                "excluded",
            ).alias("excluded"),
            (~pl.col("is_target")).alias("is_no_target"),
        ],
        [
            pl.all_horizontal(
                pl.col("points_milli") >= milli(rules.enter_points),
                pl.col("people_count") >= pl.col("people_needed"),
                "human_is_fresh",
            ).alias("earns_entry"),
            pl.any_horizontal(
                "acts_now",
                pl.col("points_milli") >= milli(rules.stay_points),
                pl.col("held_days") < rules.hold_days,
            ).alias("may_stay"),
            pl.col("excluded").is_null().alias("is_eligible"),
        ],
        [
            pl.all_horizontal("is_target", pl.any_horizontal("acts_now", "earns_entry")).alias("enters"),
            pl.all_horizontal("was", "may_stay").alias("stays"),
        ],
        [pl.all_horizontal("is_eligible", pl.any_horizontal("enters", "stays")).alias("engaged")],
        [
            pl.when("engaged").then(pl.when("was").then("was_since_at").otherwise("now_at")).alias("since_at"),
            _by_points(rules).alias("by_points"),
            pl.any_horizontal(
                pl.col("has_new_act").fill_null(value=True),
                pl.col("engaged") != pl.col("was"),
                pl.col("was_band").is_null(),
            ).alias("is_anew"),
            pl.all_horizontal("engaged", ~pl.col("was"), "may_tell").alias("tells"),
        ],
        [
            pl.coalesce(
                pl.when(~pl.col("is_eligible")).then(pl.lit(NO_BAND)), pl.when("is_anew").then("by_points"), "was_band"
            ).alias("band"),
            pl.when("tells").then("now_at").otherwise("alerted_at").alias("alerted_at"),
        ],
    )


def _fresh(column: str, days: int) -> pl.Expr:
    return ((pl.col("today") - pl.col(column)).dt.total_days() < days).fill_null(value=False)


def _by_points(rules: EngagementRules) -> pl.Expr:
    """
    The highest band that the points reach.
    """
    bands = (pl.when(pl.col("points_milli") >= milli(floor)).then(pl.lit(name)) for name, floor in rules.bands)
    return pl.coalesce(*bands, pl.lit(NO_BAND))


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
    return engaged.with_columns(quiet_days=quiet).select(
        "account_id", pl.max_horizontal(held, request, score).cast(pl.Date).alias("until_on")
    )


def _days_until_quiet(
    engaged: pl.DataFrame, inside: pl.DataFrame, rules: EngagementRules, factors: pl.Series
) -> pl.Series:
    """
    For each engaged account, after how many days the score is below ``stay_points`` if nothing happens (0 = today).

    The score never grows by itself, so the day is found by halving the span, for all accounts at once.
    """
    numbered = engaged.lazy().select("account_id").with_row_index("place")
    acts = run(
        inside.lazy()
        .join(numbered, on="account_id")
        .select("place", "age_days", "base_milli", lone=pl.col("person_id").is_null())
    )
    # Invariant: at `high` days the score is below; the whole window away every act has left it.
    nothing = constant(0, engaged.height, pl.Int64)
    span = pl.DataFrame({"low": nothing, "high": nothing + rules.window_days}).with_row_index("place")
    limit, is_quiet = account_acts_limit(rules), pl.col("score") < milli(rules.stay_points)
    for _ in range(rules.window_days.bit_length() + 1):
        middle = (span["low"] + span["high"]) // 2
        sums = (
            acts.lazy()
            .with_columns(later=acts["age_days"] + middle[acts["place"]])
            .select("place", "lone", points=aged(pl.col("base_milli"), pl.col("later"), factors))
            .group_by("place")
            .agg(own=pl.col("points").filter(~pl.col("lone")).sum(), lone=pl.col("points").filter("lone").sum())
        )
        span = run(
            span.lazy()
            .with_columns(middle=middle, is_open=span["low"] < span["high"])
            .join(sums, on="place", how="left", maintain_order="left")
            .with_columns(pl.col("own", "lone").fill_null(0))
            .with_columns(score=pl.col("own") + pl.min_horizontal("lone", pl.lit(limit)))
            .with_columns(is_quiet=is_quiet)
            .select(
                "place",
                low=pl.when(pl.col("is_open") & ~pl.col("is_quiet")).then(pl.col("middle") + 1).otherwise("low"),
                high=pl.when(pl.col("is_open") & pl.col("is_quiet")).then("middle").otherwise("high"),
            )
        )
    return span["high"]
