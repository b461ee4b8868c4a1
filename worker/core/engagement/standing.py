"""
Where accounts stand beside their flag: tier, fit, intent and spike, the chance to be in-market, buying stage, target
lists, buying group, and whether they are qualified.

The order is that in which one rests on the other: what the company is (tier, fit), what its people did (points, intent,
group), what that promises (in-market, stage), which lists that makes, then the flag, which may ask for a list, and at
last *qualified*. Called by the engage flow, which hands in facts and saves what comes out.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.chain import instant, run
from worker.core.columns import absent, constant, filled, one, places, sorted_by
from worker.core.engagement import flags, in_market
from worker.core.engagement.buying_group import GroupRules, parts_of_acts
from worker.core.engagement.conditions import EXTRA, Condition, extras_of
from worker.core.engagement.fit import FitRules, LearntFit, factors_of
from worker.core.engagement.fit import scored as fit_scored
from worker.core.engagement.in_market import InMarket
from worker.core.engagement.lists import ListRules, tier, with_lists
from worker.core.engagement.points import Scored
from worker.core.engagement.qualified import qualified
from worker.core.engagement.rules import EngagementRules
from worker.core.engagement.spikes import spikes
from worker.core.engagement.stages import DEFAULT_STAGES, QualifiedRules, StageLine, with_stages
from worker.core.frames import INSTANT, Schema

# What is known of an account beside ENGAGEMENT_ACCOUNT. A column that is absent is empty.
FACTS: Final[Schema] = {
    "domain": pl.String,
    "record_ids": pl.List(pl.String),  # its own ids in Salesforce
    "annual_revenue": pl.Float64,
    "industry": pl.String,
    "country": pl.String,
    "city": pl.String,
    "extra": pl.String,  # JSON of the customer's own fields that rules name
    "was_qualified": pl.Boolean,
    "qualified_since_at": INSTANT,
}

STANDING: Final[Schema] = {
    "account_id": pl.Int64,
    "tier": pl.String,
    "in_profile": pl.Boolean,
    "fit": pl.Int32,
    "fit_band": pl.String,
    "intent_milli": pl.Int64,
    "spiked_at": INSTANT,  # now where this week is a peak
    "stage": pl.String,
    "in_market": pl.Float64,
    "group_engaged": pl.Int32,
    "group_needed": pl.Int32,
    "group_gap": pl.String,
    "qualified": pl.Boolean,
    "qualified_since_at": INSTANT,
    "detail": pl.String,
}
MEMBERSHIP: Final[Schema] = {"account_id": pl.Int64, "list": pl.String}


@dataclass(frozen=True)
class StandingRules:
    """
    The rules of everything beside the flag.
    """

    fit: FitRules = field(default_factory=FitRules)
    lists: ListRules = field(default_factory=ListRules)
    group: GroupRules = field(default_factory=GroupRules)
    stages: tuple[StageLine, ...] = DEFAULT_STAGES
    qualified: QualifiedRules = field(default_factory=QualifiedRules)

    def extras(self) -> list[str]:
        """
        The customer's own fields that some rule looks at.
        """
        conditions: list[Condition] = [
            *(each for factor in self.fit.factors for each in factor.where),
            *(each for line in self.lists.tiers for each in line.where),
            *(each for line in self.lists.profile for each in line),
            *(each for line in self.lists.lists for each in line.where),
            *(each for line in self.stages for each in line.where),
        ]
        return sorted({*extras_of(conditions), *self.fit.technology})


@dataclass(frozen=True)
class Learnt:
    """
    What was learnt from the company's own history, and the sentences about it. None where the history is too short.
    """

    fit: LearntFit | None = None
    in_market: InMarket | None = None
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stood:
    """
    What was decided: FLAG, STANDING and MEMBERSHIP rows.
    """

    flags: pl.DataFrame
    standings: pl.DataFrame
    memberships: pl.DataFrame


def stand(
    accounts: pl.DataFrame,
    acts: pl.DataFrame,
    deals: pl.DataFrame,
    rules: tuple[EngagementRules, StandingRules],
    learnt: Learnt,
    *,
    now: datetime,
) -> Stood:
    """
    Flags and standings of ``accounts`` (ENGAGEMENT_ACCOUNT with ACCOUNT_EXTRAS and FACTS) by their ``acts`` (ACT with
    ACT_EXTRAS, of the window and of 90 days at least) and ``deals`` (in_market.PAST_DEAL).
    """
    engagement, standing = rules
    fit = fit_scored(standing.fit, factors_of(standing.fit, learnt.fit))
    # All that follows keeps this order, as ``flags`` does, so that columns need no join.
    companies = sorted_by(run(with_company(accounts, standing).with_columns(**fit)), "account_id")
    typed = flags.typed_accounts(companies)
    found = flags.score(typed, acts, engagement, now=now)
    sums = flags.measured(
        found.acts.hstack([parts_of_acts(found.acts, standing.group)]),
        engagement,
        marks=_marks(engagement),
        sums=_SUMS,
    )
    known = companies.hstack(_done_there(companies["account_id"], sums, found, engagement))
    known = known.hstack(_deal_counts(companies["account_id"], deals, now))
    promising = _with_chance(known, acts, deals, engagement, learnt.in_market, now)
    facts = run(with_lists(with_stages(promising, standing.stages), standing.lists))
    if engagement.targets_only:
        targets = facts.select("account_id", is_target=pl.col("in_profile") | (pl.col("list").list.len() > 0))
        typed = typed.drop("is_target").join(targets, on="account_id", maintain_order="left")
    decided = flags.decide(typed, found, sums, engagement, now=now)
    last = qualified(facts, decided["why"], (engagement, standing.qualified, standing.group), learnt.told, now=now)
    columns = {each.name: each for each in (*facts.get_columns(), *last)}
    standings = flags.typed(pl.DataFrame(list(columns.values())), STANDING)
    if not standing.lists.lists:
        return Stood(decided, standings, pl.DataFrame(schema=MEMBERSHIP))
    return Stood(decided, standings, facts.select("account_id", "list").explode("list").drop_nulls())


def with_company(accounts: pl.DataFrame, rules: StandingRules) -> pl.LazyFrame:
    """
    The accounts with every column of FACTS, the customer's own fields that rules look at (``extra.<name>``), and tier.
    """
    own = [pl.col("extra").str.json_path_match(f"$['{name}']").alias(f"{EXTRA}{name}") for name in rules.extras()]
    return flags.with_types(accounts, FACTS).lazy().with_columns(own).with_columns(tier=tier(rules.lists.tiers))


@lru_cache(maxsize=16)
def _marks(engagement: EngagementRules) -> list[pl.Expr]:
    """
    Which acts earn, which tell of an intent, and which are requests of somebody.
    """
    asks = pl.col("type").is_in(sorted(engagement.act_now))
    return [
        (pl.col("points_milli") > 0).alias("earns"),
        pl.col("type").is_in(sorted(engagement.intent)).alias("intends"),
        pl.all_horizontal(asks, pl.col("person_id").is_not_null(), pl.col("points_milli") > 0).alias("asks"),
        pl.all_horizontal(pl.col("type") == "high_value_page", pl.col("base_milli") > 0).alias("is_high_value"),
    ]


_SUMS: Final = (
    pl.col("points_milli").filter("intends").sum().alias("intent_milli"),
    pl.col("label").filter(pl.col("intends") & pl.col("earns")).unique().sort().head(5).alias("topics"),
    pl.col("asks").sum().alias("requests_count"),
    pl.col("is_high_value").sum().alias("high_value_count"),
    pl.col("part").filter("earns").drop_nulls().unique().sort().alias("parts"),
)


def _done_there(
    account_ids: pl.Series, sums: pl.DataFrame, found: Scored, engagement: EngagementRules
) -> list[pl.Series]:
    """
    What was done at each account, in numbers, and whether that is a peak.
    """
    rows = places(account_ids, sums["account_id"])
    weeks = spikes(found.inside, engagement)
    rows_of_weeks = places(account_ids, weeks["account_id"])
    counts = [filled(sums[name][rows], 0) for name in _COUNTS]
    weekly = [filled(weeks[name][rows_of_weeks], 0) for name in ("week_milli", "before_milli", "week_people")]
    is_spike = filled(weeks["is_spike"][rows_of_weeks], value=False)
    parts, topics = (_listed(sums[name][rows]) for name in ("parts", "topics"))
    this_week, before = weekly[:2]
    thousand = one(1000, pl.Int64)
    times = this_week / before.zip_with(before > thousand, thousand)
    trend = constant("flat", account_ids.len(), pl.String)
    for word, holds in (("rising", this_week > before), ("falling", this_week < before), ("spike", is_spike)):
        trend = one(word, pl.String).zip_with(holds, trend)
    return [
        *counts,
        *weekly,
        is_spike,
        parts,
        topics,
        (counts[0] / thousand).alias("points"),
        (counts[2] / thousand).alias("intent_points"),
        parts.list.len().alias("group_count"),
        times.zip_with(is_spike, one(None, pl.Float64)).alias("spike_times"),
        trend.alias("trend"),
    ]


_COUNTS: Final = ("points_milli", "people_count", "intent_milli", "requests_count", "high_value_count")
_EMPTY_LIST: Final = pl.Series([[]], dtype=pl.List(pl.String))


def _listed(values: pl.Series) -> pl.Series:
    """
    The lists with an empty one in the place of null.
    """
    return _EMPTY_LIST.zip_with(absent(values), values).alias(values.name) if values.null_count() else values


def _deal_counts(account_ids: pl.Series, deals: pl.DataFrame, now: datetime) -> list[pl.Series]:
    """
    How many deals of each outcome that were created by today each account has.
    """
    today = now.astimezone(UTC).date()
    rows = zip(*(deals[name].to_list() for name in ("account_id", "outcome", "created_on")), strict=True)
    counts = Counter((account, outcome) for account, outcome, created_on in rows if created_on <= today)
    ids = account_ids.to_list()
    return [
        pl.Series(f"{outcome}_deals_count", [counts[each, outcome] for each in ids], dtype=pl.Int64)
        for outcome in ("open", "won", "lost")
    ]


_NO_CHANCE: Final = (
    pl.lit(None, pl.Float64).alias("in_market"),
    pl.lit(None, pl.Float64).alias("in_market_percent"),
    pl.lit(None, pl.Float64).alias("in_market_times"),
    pl.lit("[]").alias("in_market_why"),
)


def _with_chance(
    facts: pl.DataFrame,
    acts: pl.DataFrame,
    deals: pl.DataFrame,
    engagement: EngagementRules,
    model: InMarket | None,
    now: datetime,
) -> pl.LazyFrame:
    """
    The facts with in_market (null without a model, with an open opportunity, and for excluded types), in percent, in
    times the average, and in_market_why.
    """
    if model is None or facts.is_empty():
        return facts.lazy().with_columns(_NO_CHANCE)
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    past = acts.filter(pl.col("occurred_at") <= instant(now)).select(
        "account_id", "person_id", "level", "type", occurred_on=pl.col("occurred_at").dt.date()
    )
    rows = in_market.features(past, facts, deals, model.kinds, at=tomorrow)
    # What the rules screen earns no points but is an act all the same, in history as now.
    told = [
        json.dumps([[words, round(times, 2)] for words, times in in_market.reasons(model, row)])
        for row in rows.iter_rows(named=True)
    ]
    excluded = pl.col("type").str.strip_chars().str.to_lowercase().is_in(sorted(engagement.excluded_types))
    chance = pl.when(~pl.col("has_open")).then("chance")
    said = rows.select("account_id", "has_open", chance=model.chance()).select(
        "account_id", in_market=chance, in_market_why=pl.Series(told, dtype=pl.String)
    )
    return (
        facts.lazy()
        .join(said.lazy(), on="account_id", how="left", maintain_order="left")
        .with_columns(in_market=pl.when(~excluded.fill_null(value=False)).then("in_market"))
        .with_columns(in_market_percent=pl.col("in_market") * 100, in_market_times=pl.col("in_market") / model.average)
    )


def window_start(rules: EngagementRules, now: datetime) -> datetime:
    """
    From when on acts are needed.
    """
    return now - timedelta(days=max(rules.window_days, in_market.LOOKBACK_DAYS) + 1)
