"""
Decides the engagement flag of each account, since when, until when if nothing happens, and in which band.

Entering is hard, staying is easier, and what is entered is held for a while, so that the flag does not flicker. Every
condition can only weaken while nothing happens, which is why the day of lapse can be foretold. The words are made by
``reasons``. Called by the engage flow; the store saves what comes out.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.chain import run
from worker.core.columns import absent, constant, filled, instant, known, one, places, sorted_by
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
    found = score(accounts, acts, rules, now=now)
    return decide(accounts, found, measured(found.acts, rules), rules, now=now)


def typed_accounts(accounts: pl.DataFrame) -> pl.DataFrame:
    """
    The accounts with every column that ``decide`` reads, in the order of account_id.
    """
    known = sorted_by(_typed(accounts, ENGAGEMENT_ACCOUNT, ACCOUNT_EXTRAS), "account_id")
    if known["account_id"].n_unique() != known.height:
        raise Fatal("HW-901", "engagement was given an account more than once")
    return known


def score(accounts: pl.DataFrame, acts: pl.DataFrame, rules: EngagementRules, *, now: datetime) -> Scored:
    """
    What the acts of these accounts (account_id, in its order, and tier) are worth at ``now``.
    """
    if now.tzinfo is None:
        raise Fatal("HW-901", "engagement was asked for an instant without a time zone")
    acts = _typed(acts, ACT, ACT_EXTRAS)
    tiers = accounts["tier"]
    if tiers.null_count() < tiers.len():
        tier = tiers[places(acts["account_id"], accounts["account_id"])]
    else:
        tier = constant(None, acts.height, pl.String)
    return scored(acts.hstack([tier.alias("tier")]), rules, now=now)


def decide(
    accounts: pl.DataFrame, found: Scored, sums: pl.DataFrame, rules: EngagementRules, *, now: datetime
) -> pl.DataFrame:
    """
    The second half of ``flag``: the decisions on acts whose worth and ``sums`` are known, in the order of ``accounts``.
    """
    decided = with_lapses(conclude(accounts, sums, rules, now=now), found, rules, now=now)
    until_at = decided["until_on"].cast(INSTANT).alias("until_at")
    return typed(decided.hstack([until_at, *reasons(decided, found.acts, rules)]), FLAG)


def measured(
    acts: pl.DataFrame, rules: EngagementRules, *, marks: Sequence[pl.Expr] = (), sums: Sequence[pl.Expr] = ()
) -> pl.DataFrame:
    """
    What each account's acts (of ``score``) come to, in the order of account_id: points_milli, people_count, human_on
    and act_now_on (the days of the latest act by a person and of the latest act-now one); and further ``sums``, which
    may rest on further ``marks`` of an act.
    """
    marked = acts.lazy().with_columns(*_marks(rules), *marks)
    return run(marked.group_by("account_id").agg(*_MEASURES, *sums).sort("account_id"))


def conclude(accounts: pl.DataFrame, sums: pl.DataFrame, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    The accounts (of ``typed_accounts``) with engaged, since_at and what they rest on, without words: all that a replay
    of the past needs. ``sums`` is what ``measured`` gives.
    """
    rows = places(accounts["account_id"], sums["account_id"])
    points = filled(sums["points_milli"][rows], 0)
    people_count = filled(sums["people_count"][rows], 0)
    act_now_on = sums["act_now_on"][rows]
    people_needed = pl.Series(map(rules.people_needed, accounts["employees"].to_list()), dtype=pl.Int32)
    is_fresh, acts_now = _is_fresh(sums["human_on"][rows], rules, now), _is_fresh(act_now_on, rules, now)
    excluded = _excluded(accounts, rules)
    is_eligible, is_target = absent(excluded), _is_target(accounts, rules)

    now_at = instant(now)
    was = filled(accounts["was_engaged"], value=False)
    since_at = accounts["engaged_since_at"].zip_with(known(accounts["engaged_since_at"]), now_at)
    earns_entry = (points >= one(milli(rules.enter_points), pl.Int64)) & (people_count >= people_needed) & is_fresh
    is_held = since_at >= _days_ago(rules.hold_days, now)
    may_stay = acts_now | (points >= one(milli(rules.stay_points), pl.Int64)) | is_held
    engaged = is_eligible & ((is_target & (acts_now | earns_entry)) | (was & may_stay))
    turns_on = engaged & ~was

    is_anew = filled(accounts["has_new_act"], value=True) | (engaged != was) | absent(accounts["was_band"])
    band = _band(points, rules).zip_with(is_anew, accounts["was_band"])
    may_tell = filled(accounts["alerted_at"] < _days_ago(rules.alert_days, now), value=True)
    decided = {
        "points_milli": points,
        "people_count": people_count,
        "people_needed": people_needed,
        "human_is_fresh": is_fresh,
        "act_now_on": act_now_on,
        "excluded": excluded,
        "is_no_target": ~is_target,
        "engaged": engaged,
        "since_at": since_at.zip_with(was, now_at).zip_with(engaged, one(None, INSTANT)),
        "band": band.zip_with(is_eligible, one(NO_BAND, pl.String)),
        "alerted_at": now_at.zip_with(turns_on & may_tell, accounts["alerted_at"]),
    }
    kept = [column for column in accounts.get_columns() if column.name not in decided]
    return pl.DataFrame([*kept, *(column.alias(name) for name, column in decided.items())])


def with_lapses(decided: pl.DataFrame, found: Scored, rules: EngagementRules, *, now: datetime) -> pl.DataFrame:
    """
    What ``conclude`` decided with ``until_on``, the first day on which it is over if nothing happens.
    """
    if not decided["engaged"].any():
        return decided.hstack([constant(None, decided.height, pl.Date).alias("until_on")])
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
    had = {column.name: column for column in frame.get_columns()}
    return pl.DataFrame(
        [
            had[name].cast(dtype) if name in had else constant(None, frame.height, dtype).alias(name)
            for name, dtype in schema.items()
        ]
    )


def with_types(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """
    The frame with every column of ``schema`` in its type, beside those that it has.
    """
    return typed(frame, {**frame.schema, **schema})


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


def _is_fresh(on: pl.Series, rules: EngagementRules, now: datetime) -> pl.Series:
    """
    Whether these days, null for none, lie within those in which a human act counts as fresh.
    """
    oldest = now.astimezone(UTC).date() - timedelta(days=rules.human_act_days)
    return filled(on > one(oldest, pl.Date), value=False)


def _days_ago(days: int, now: datetime) -> pl.Series:
    """
    The first instant that lies fewer than so many days back, as UTC days are counted.
    """
    first = now.astimezone(UTC).date() - timedelta(days=days - 1)
    return instant(datetime.combine(first, time(), UTC))


def _excluded(accounts: pl.DataFrame, rules: EngagementRules) -> pl.Series:
    """
    Why each account is left out, in words; null where it is not.
    """
    types = [(each or "").strip() for each in accounts["type"].to_list()]
    by_type = (f"type {each}" if each.lower() in rules.excluded_types else None for each in types)
    found = [typed or given for typed, given in zip(by_type, accounts["excluded"].to_list(), strict=True)]
    return pl.Series("excluded", found, dtype=pl.String)


def _is_target(accounts: pl.DataFrame, rules: EngagementRules) -> pl.Series:
    if rules.targets_only:
        return filled(accounts["is_target"], value=False)
    return constant(value=True, times=accounts.height, dtype=pl.Boolean)


def _band(points: pl.Series, rules: EngagementRules) -> pl.Series:
    """
    The highest band that the points reach.
    """
    band = constant(NO_BAND, points.len(), pl.String)
    for name, floor in reversed(rules.bands):
        band = one(name, pl.String).zip_with(points >= one(milli(floor), pl.Int64), band)
    return band


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
        later = acts["age_days"] + middle[acts["place"]]
        sums = (
            acts.lazy()
            .with_columns(points=aged(acts["base_milli"], later, factors))
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
