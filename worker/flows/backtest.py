"""
Replays the flags of a past day from what the store holds. Reads only; called by the backtest command.
"""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl
from sqlalchemy import Connection

from worker.core.chain import run
from worker.core.engagement.backtest import REPLAY_WEEKS, Backtest, compare, replay
from worker.core.engagement.fit import factors_of
from worker.core.engagement.fit import scored as fit_scored
from worker.core.engagement.standing import with_company
from worker.core.rules import Rules
from worker.flows.engage import acts_of, what_was_learnt
from worker.flows.learn import MOST_ACCOUNTS
from worker.store import decisions, standings

# So many accounts are replayed at a time, to keep memory flat.
AT_A_TIME = 5_000


def backtest(connection: Connection, rules: Rules, on: date) -> Backtest:
    """
    The comparison for the day ``on``, by the rules and the fit of today.
    """
    end = datetime.combine(on, time(23, 59, 59), UTC)
    since = end - timedelta(days=rules.engagement.window_days, weeks=REPLAY_WEEKS)
    known = standings.past_accounts(connection, MOST_ACCOUNTS).filter(pl.col("created_on") <= on)
    fit = fit_scored(rules.standing.fit, factors_of(rules.standing.fit, what_was_learnt(connection).fit))
    companies = run(with_company(known, rules.standing).with_columns(**fit))
    parts = []
    for start in range(0, companies.height, AT_A_TIME):
        part = companies.slice(start, AT_A_TIME).with_columns(
            excluded=pl.when(pl.col("domain").is_in(sorted(rules.own_domains))).then(pl.lit("own staff")),
            was_engaged=pl.lit(value=False),
            engaged_since_at=pl.lit(None, pl.Datetime("us", "UTC")),
            was_band=pl.lit("None"),
        )
        facts = decisions.act_facts(
            connection,
            part["account_id"].to_list(),
            since,
            opt_out_fields=rules.tracking.opt_out_fields,
            email_opt_out=rules.tracking.email_opt_out,
        ).filter(pl.col("occurred_at") <= end)
        parts.append(replay(part, acts_of(facts, rules), rules.engagement, on=on))
    flags = pl.concat(parts) if parts else pl.DataFrame(schema={"account_id": pl.Int64, "engaged": pl.Boolean})
    deals = standings.deals_of(connection, companies["account_id"].to_list(), rules.deals.exclude_types)
    flagged = flags.join(companies.select("account_id", "fit_band"), on="account_id")
    return compare(flagged, deals.filter(~pl.col("is_renewal")), on=on)
