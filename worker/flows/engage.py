"""
Decides again which accounts are engaged: those where something changed, and those whose flag was said to lapse by now.
"""

from datetime import timedelta

import polars as pl
from sqlalchemy import Connection

from worker.core.engagement.flags import flag
from worker.core.engagement.levels import levels
from worker.core.frames import ACT, ENGAGEMENT_ACCOUNT
from worker.core.touchpoints.screens import screened
from worker.flows.run import Run
from worker.store import decisions, dues, matching


def engage(run: Run) -> None:
    """
    Take every due account, a batch a transaction, and note for the plan those whose decision changed.
    """
    while not run.wants_stop():
        with run.transaction() as connection:
            taken = [int(key) for key in dues.take(connection, "engage", "account", run.limits.batch)]
            lapsed = decisions.accounts_to_review(connection, run.now, run.limits.batch)
            account_ids = sorted({*taken, *lapsed})
            if account_ids:
                _decide(run, connection, account_ids)
        run.count("accounts decided", len(account_ids))
        if len(taken) < run.limits.batch and len(lapsed) < run.limits.batch:
            return


def _decide(run: Run, connection: Connection, account_ids: list[int]) -> None:
    rules = run.rules.engagement
    accounts = decisions.account_facts(connection, account_ids)
    decisions.drop_engagement(connection, sorted(set(account_ids) - set(accounts["account_id"])))
    facts = decisions.act_facts(connection, account_ids, run.now - timedelta(days=rules.window_days))
    acts = (
        facts.join(levels(facts["title"], run.rules.levels), on="title", how="left", nulls_equal=True)
        .with_columns(screened=screened(facts, run.rules.screens))
        .select(*ACT, "screened")
    )
    news = facts.filter(pl.col("is_new"))["account_id"].unique()
    given = accounts.with_columns(
        has_new_act=pl.col("account_id").is_in(news.implode()) | pl.col("decided_at").is_null(),
        excluded=pl.when(pl.col("domain").is_in(sorted(run.rules.own_domains))).then(pl.lit("own staff")),
    ).select(*ENGAGEMENT_ACCOUNT, "has_new_act", "excluded")
    flags = flag(given, acts, rules, now=run.now)
    changed = decisions.save_flags(connection, flags, rule_version=run.rules.version, now=run.now)
    matching.note_for_plan(connection, "account", changed)
    run.count("flags changed", len(changed))
