"""
Which numbers of the middle of the funnel go with won revenue: each beside what the account's first deal won.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from worker.core.frames import INSTANT
from worker.core.funnel.cohorts import kept_since, median_cycle
from worker.core.funnel.correlation import LEAST_PAIRS, by_chance
from worker.core.funnel.totals import Measure
from worker.core.rules import Rules
from worker.flows.reports.funnels import credited
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report, Table
from worker.store.reports import BEFORE_ROW

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW: Final = timedelta(days=90)
METRICS: Final = tuple(name for name in BEFORE_ROW if name != "account_id")
ENGAGED: Final = "days_engaged"
FACTS: Final = ("type", "industry", "size", "country", "team", "channel")
NAMED: Final = len(METRICS) + 1


def metrics(rows: Rows, asked: Asked) -> Report:
    """
    A row an account and a metric: what happened in the 90 days before its first credited deal was created, and what
    that deal won, 0 where it was lost. Only deals that have had the median time to be won and are closed; the
    organisation's own currency only.
    """
    deals = credited(rows.deals())
    cycle = median_cycle(deals)
    first = (
        deals.filter(pl.col("account_id").is_not_null())
        .sort("created_at", "opportunity_id")
        .unique("account_id", keep="first", maintain_order=True)
    )
    types = _types(asked.rules)
    judged, left_out = _judged(first, asked, cycle, kept_since(rows.acts_by_month(types["worth"])))
    before = rows.acts_before(judged.select("account_id", until_at="created_at"), WINDOW.days, types)
    long = _long(judged, before, _days_engaged(judged, rows))
    measures = (
        Measure("accounts"),
        Measure("won", where="is_won"),
        Measure("mean_if_won", "mean", where="is_won", column="value", averages=True),
        Measure("mean_if_lost", "mean", where="is_lost", column="value", averages=True),
        Measure("correlation", "correlation", column="value", ranks_with="won_amount"),
    )
    table = Table("metrics", long, measures, ("metric",), ("metric", *FACTS), clock="created_at", has_total=False)
    by = asked.by if not asked.by or "metric" in asked.by else ("metric", *asked.by)
    table = table.chosen(replace(asked, by=by))
    return Report("Metrics and won revenue", [table], [*_notes(cycle), *left_out], _remarks(table))


def _long(judged: pl.DataFrame, before: pl.DataFrame, engaged: pl.DataFrame) -> pl.DataFrame:
    """
    A row an account and a metric, with ``value``; none where it is not known.
    """
    index = ["account_id", "account", "deal", "record_id", "outcome", "created_at", "won_amount", "is_won", *FACTS]
    return (
        judged.join(before, on="account_id", how="left", maintain_order="left")
        .with_columns(pl.col(METRICS).fill_null(0).cast(pl.Float64))
        .join(engaged, on="account_id", how="left", maintain_order="left")
        .unpivot([*METRICS, ENGAGED], index=index, variable_name="metric", value_name="value")
        .filter(pl.col("value").is_not_null())
        .with_columns(is_lost=~pl.col("is_won"))
    )


def _judged(
    first: pl.DataFrame, asked: Asked, cycle: timedelta | None, since: datetime | None
) -> tuple[pl.DataFrame, list[str]]:
    """
    The first deals of which both is known, what happened before and what they won, with is_won and won_amount; and the
    others in words. Acts are kept from ``since`` on.
    """
    is_young = pl.col("created_at") > asked.now - (cycle or timedelta(0))
    is_won = pl.col("outcome") == "won"
    why = (
        pl.when(is_young)
        .then(pl.lit("whose first deal is younger"))
        .when(pl.col("created_at") - WINDOW < pl.lit(since, INSTANT))
        .then(pl.lit(f"whose first deal is older than what is kept of acts (since {since:%Y-%m-%d})" if since else ""))
        .when(~pl.col("outcome").is_in(["won", "lost"]).fill_null(value=False))
        .then(pl.lit("whose first deal is still open"))
        .when(pl.col("currency") != asked.rules.currency)
        .then(pl.lit(f"with another currency than {asked.rules.currency}"))
        .when(is_won & pl.col("amount").is_null())
        .then(pl.lit("that won a deal without an amount"))
    )
    told = first.with_columns(
        why=why, is_won=is_won, won_amount=pl.when(is_won).then("amount").otherwise(pl.lit(0, first.schema["amount"]))
    )
    counts = told.drop_nulls("why").group_by("why").len().sort("len", "why", descending=[True, False])
    parts = [f"{count:,} {words}" for words, count in counts.iter_rows()]
    return told.filter(pl.col("why").is_null()), [f"Left out are accounts: {', '.join(parts)}."] if parts else []


def _types(rules: Rules) -> dict[str, list[str]]:
    """
    The acts that the rules of engagement value, by what they are.
    """
    found = rules.engagement
    worth = {name for name, act in found.acts.items() if act.points} | found.act_now
    types = {"worth": worth - found.supporting, "requests": found.act_now, "sales": found.supporting}
    return {name: sorted(each) for name, each in types.items()}


def _days_engaged(judged: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """
    account_id and on how many of the days before it was engaged; null where flags were not kept yet by then.
    """
    turns = rows.turns(EVER)
    since, until = pl.col("created_at") - WINDOW, pl.col("created_at")
    held = (
        turns.sort("account_id", "at")
        .with_columns(ends_at=pl.col("at").shift(-1).over("account_id"))
        .filter("engaged")
        .join(judged.select("account_id", "created_at"), on="account_id")
        .with_columns(held=pl.min_horizontal("ends_at", until) - pl.max_horizontal("at", since))
        .group_by("account_id")
        .agg((pl.col("held").clip(lower_bound=timedelta(0)).sum().dt.total_seconds() / 86_400).alias(ENGAGED))
    )
    told = judged.filter(since >= pl.lit(turns["at"].min(), INSTANT)).select("account_id")
    return told.join(held, on="account_id", how="left").with_columns(pl.col(ENGAGED).fill_null(0.0).round(1))


def _notes(cycle: timedelta | None) -> list[str]:
    old = f"has had {cycle.days:,} days, the median time from creation to won, and is" if cycle is not None else "is"
    return [
        f"What happened at an account in the {WINDOW.days} days before its first deal was created, and what that won.",
        f"Of accounts whose first deal {old} closed; a lost deal won 0.",
    ]


def _remarks(table: Table) -> list[str]:
    """
    What the correlations are worth, in words.
    """
    few, same, chance = [], [], []
    lines = table.summed().lines
    for line in lines.iter_rows(named=True):
        name = " ".join(str(line[part]).replace("_", " ") for part in table.by if line[part] is not None)
        if line["accounts"] < LEAST_PAIRS:
            few.append(f"{name} ({line['accounts']:,})")
        elif line["correlation"] is None:
            same.append(name)
        elif abs(line["correlation"]) <= by_chance(line["accounts"]):
            chance.append(name)
    few += [f"{name.replace('_', ' ')} (0)" for name in (*METRICS, ENGAGED) if name not in lines["metric"]]
    said = ["Spearman's rank correlation, from -1 to 1. A correlation is no cause."]
    if chance:
        said.append(f"May well be chance: {_named(chance)}.")
    if same:
        said.append(f"Not told, because all accounts have the same number or won the same: {_named(same)}.")
    if few:
        said.append(f"Not told of fewer than {LEAST_PAIRS} accounts: {_named(few)}.")
    return said


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMED:,} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
