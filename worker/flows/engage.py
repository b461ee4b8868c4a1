"""
Decides again which accounts are engaged and where they stand: those where something changed, and those whose flag was
said to lapse, or whose activity was last weighed a week ago.
"""

from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.columns import absent, rows_where
from worker.core.engagement.fit import learnt_fit_from
from worker.core.engagement.in_market import in_market_from
from worker.core.engagement.levels import level_and_role
from worker.core.engagement.standing import FACTS, Learnt, Stood, stand, window_start
from worker.core.frames import ACT, ENGAGEMENT_ACCOUNT, Schema
from worker.core.rows import series_of
from worker.core.rules import Rules
from worker.core.touchpoints.screens import email_domain, screen_of
from worker.flows.computed import computed
from worker.flows.run import Run
from worker.store import bulk, decisions, dues, matching, standings

_OWN_STAFF: Final = "own staff"
_WHOSE: Final[Schema] = {"level": pl.String, "role_label": pl.String, "screened": pl.String}


def engage(run: Run) -> None:
    """
    Take every due account, a batch a transaction, and note for the plan those whose decision changed.
    """
    learnt: Learnt | None = None
    while not run.wants_stop():
        with run.transaction() as connection:
            bulk.plan_for_few(connection)
            taken = [int(key) for key in dues.take(connection, "engage", "account", run.limits.batch)]
            lapsed = decisions.accounts_to_review(connection, run.now, run.limits.batch)
            account_ids = sorted({*taken, *lapsed})
            if account_ids:
                bulk.plan_for(connection, len(account_ids))
                learnt = learnt or what_was_learnt(connection)
                facts = _decide(run, connection, account_ids, learnt)
                decisions.note_rechecks(connection, _quiet(facts, taken), run.now)
        run.count("accounts decided", len(account_ids))
        if len(taken) < run.limits.batch and len(lapsed) < run.limits.batch:
            return


def _quiet(facts: pl.DataFrame, taken: list[int]) -> list[int]:
    """
    Those of the accounts taken where something was done (ACT_FACTS), but nothing lately. Looking back finds the others
    by their acts, and reviews by their week.
    """
    return sorted(set(taken).intersection(facts["account_id"]) - set(_with_news(facts)))


def _with_news(facts: pl.DataFrame) -> pl.Series:
    """
    The accounts of ACT_FACTS that came after the account's last decision.
    """
    return facts["account_id"].filter(facts["is_new"])


def _decide(run: Run, connection: Connection, account_ids: list[int], learnt: Learnt) -> pl.DataFrame:
    """
    Decides these accounts and keeps it. Returns what was done there (ACT_FACTS).
    """
    rules, standing, tracking = run.rules.engagement, run.rules.standing, run.rules.tracking
    accounts = decisions.account_facts(
        connection, account_ids, with_records=bool(standing.lists.lists or standing.extras())
    )
    decisions.drop_engagement(connection, sorted(set(account_ids) - set(accounts["account_id"])))
    facts = decisions.act_facts(
        connection,
        account_ids,
        window_start(rules, run.now),
        opt_out_fields=tracking.opt_out_fields,
        email_opt_out=tracking.email_opt_out,
    )
    deals = standings.deals_of(connection, account_ids, run.rules.deals.exclude_types)
    stood = computed(lambda: stood_by(accounts, facts, deals, run.rules, learnt, now=run.now))
    changed = decisions.save_flags(connection, stood.flags, rule_version=run.rules.version, now=run.now)
    version = run.rules.version
    standings.save_standings(connection, stood.standings, rule_version=version, now=run.now)
    came, left = standings.save_memberships(connection, accounts, stood.memberships, rule_version=version, now=run.now)
    matching.note_for_plan(connection, "account", changed)
    run.count("flags changed", len(changed))
    run.count("list entries", came)
    run.count("list exits", left)
    return facts


def stood_by(
    accounts: pl.DataFrame, facts: pl.DataFrame, deals: pl.DataFrame, rules: Rules, learnt: Learnt, *, now: datetime
) -> Stood:
    """
    What these rules make of the accounts (ACCOUNT_FACTS), what was done there (ACT_FACTS) and their deals (of
    ``standings.deals_of``).
    """
    has_new_act = accounts["account_id"].is_in(_with_news(facts).implode()) | absent(accounts["decided_at"])
    own = [_OWN_STAFF if domain in rules.own_domains else None for domain in accounts["domain"].to_list()]
    given = accounts[[*ENGAGEMENT_ACCOUNT, "alerted_at", *FACTS]].hstack(
        [has_new_act.alias("has_new_act"), pl.Series("excluded", own, dtype=pl.String)]
    )
    return stand(
        given,
        acts_of(facts, rules),
        deals[rows_where(~deals["is_renewal"])],
        (rules.engagement, rules.standing),
        learnt,
        now=now,
    )


def acts_of(facts: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """
    The acts with the level and role of who did them, and why one earns nothing: it is our own staff's, somebody's who
    opted out of being tracked, or a screen's.
    """
    title, email, opted_out = (facts[name].to_list() for name in ("title", "email", "opted_out"))
    whose = list(zip(title, email, opted_out, strict=True))
    read = {each: _whose(*each, rules) for each in set(whose)}
    told = series_of(_WHOSE, [read[each] for each in whose])
    return facts.hstack(told)[[*ACT, "screened"]]


def _whose(
    title: str | None, email: str | None, opted_out: bool | None, rules: Rules
) -> tuple[str | None, str | None, str | None]:
    """
    The level and role of whoever has this title, and why nothing is earned.
    """
    level, role_label = level_and_role(title, rules.levels) if title is not None else (None, None)
    if email_domain(email) in rules.own_domains:
        return level, role_label, _OWN_STAFF
    if opted_out:
        return level, role_label, "opted out of tracking"
    return level, role_label, screen_of(email, title, rules.screens)


def what_was_learnt(connection: Connection) -> Learnt:
    """
    What the learn flow left, ready to decide by.
    """
    found = standings.learnt(connection)
    fit, in_market = (found.get(kind, {}).get("model") for kind in ("fit", "in_market"))
    return Learnt(
        fit=learnt_fit_from(fit) if fit else None,
        in_market=in_market_from(in_market) if in_market else None,
        told={kind: row["told"] for kind, row in found.items()},
    )
