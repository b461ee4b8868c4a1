"""
Learns fit and in-market from the company's own history: once a month, when the rules have changed, and every day as
long as the history is too short. Where something new was learnt, every account is decided again. What channels weigh
is learnt in the same run (``learn_models``).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.chain import run as run_chain
from worker.core.engagement.fit import learn_fit, won_and_lost
from worker.core.engagement.in_market import InMarket, in_market_from, kinds_of, learn_in_market
from worker.core.engagement.levels import levels
from worker.core.engagement.standing import with_company
from worker.core.rules import Rules
from worker.flows.learn_models import learn_models
from worker.flows.run import Run
from worker.store import cursors, standings

# More accounts than this teach nothing that these did not, and would cost memory.
MOST_ACCOUNTS: Final = 20_000
AT_A_TIME: Final = 1_000
HISTORY: Final = timedelta(days=3 * 365)
READ_FIRST: Final = timedelta(minutes=2)

History = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]  # accounts, acts, deals


def learn(run: Run) -> None:
    """
    Read the history, learn from it, keep what was learnt.
    """
    with run.transaction() as connection:
        if not cursors.everything_read_once(connection):
            run.come_again = READ_FIRST
            return
    _learn_of_accounts(run)
    learn_models(run)


def _learn_of_accounts(run: Run) -> None:
    with run.transaction() as connection:
        kinds = _due(connection, run.now, run.rules.version)
        if not kinds:
            return
        history = past(connection, run.rules, run.now)
    found = {kind: LEARNERS[kind](history, run.rules, run.now) for kind in kinds}
    with run.transaction() as connection:
        for kind, (model, told) in found.items():
            standings.save_learnt(connection, kind, model, told, rule_version=run.rules.version, now=run.now)
        if any(model is not None for model, _ in found.values()):
            standings.everybody_again(connection)
    run.count("models learnt", sum(model is not None for model, _ in found.values()))


def past(connection: Connection, rules: Rules, now: datetime) -> History:
    """
    What history holds: accounts with their facts, acts (in_market.PAST_ACT), and deals (with ``is_renewal``).
    """
    accounts = standings.past_accounts(connection, MOST_ACCOUNTS)
    account_ids = accounts["account_id"].to_list()
    since = (now - HISTORY).date()
    acts = pl.concat(
        [
            standings.past_acts(connection, account_ids[start : start + AT_A_TIME], since)
            for start in range(0, max(len(account_ids), 1), AT_A_TIME)
        ]
    )
    found = levels(acts["title"], rules.levels).drop("role_label")
    acts = acts.join(found, on="title", how="left", nulls_equal=True).drop("title")
    return accounts, acts, standings.deals_of(connection, account_ids, rules.deals.exclude_types)


def _due(connection: Connection, now: datetime, rule_version: int) -> list[str]:
    known = standings.learnt(connection)
    month = now.astimezone(UTC).strftime("%Y-%m")
    return [
        kind
        for kind in LEARNERS
        if kind not in known
        or not _is_of_today(kind, known[kind]["model"])
        or known[kind]["rule_version"] != rule_version
        or known[kind]["learnt_at"].astimezone(UTC).strftime("%Y-%m") != month
    ]


def _is_of_today(kind: str, model: str | None) -> bool:
    """
    Whether there is a model, and one that looks at what is looked at today.
    """
    return model is not None and (kind != "in_market" or in_market_from(model) is not None)


def _fit(history: History, rules: Rules, _now: datetime) -> tuple[str | None, str]:
    accounts, _, deals = history
    known = run_chain(with_company(accounts, rules.standing).join(won_and_lost(deals).lazy(), on="account_id"))
    found = learn_fit(known, rules.standing.fit)
    if isinstance(found, str):
        return None, found
    return found.as_json(), f"Fit was learnt from {found.won} won and {found.lost} lost accounts."


def _in_market(history: History, rules: Rules, now: datetime) -> tuple[str | None, str]:
    accounts, acts, deals = history
    kind = pl.col("type").str.strip_chars().str.to_lowercase()
    buyers = accounts.filter(~kind.is_in(sorted(rules.engagement.excluded_types)).fill_null(value=False))
    ids = buyers.select("account_id")
    found = learn_in_market(
        acts.join(ids, on="account_id", how="semi"),
        buyers,
        deals.filter(~pl.col("is_renewal")).join(ids, on="account_id", how="semi"),
        kinds_of(rules.engagement),
        today=now.astimezone(UTC).date(),
    )
    if not isinstance(found, InMarket):
        return None, found.why
    measured = found.measured
    return found.as_json(), (
        f"In-market was learnt from {measured['taught_openings']:,.0f} openings since {found.learnt_from}; on the "
        f"months held out (from {found.held_out_from}, {measured['openings']:,.0f} openings) its area under the curve "
        f"is {measured['auc']:.2f} (a count of recent acts: {measured['baseline_auc']:.2f}) and its chances are off by "
        f"{measured['calibration_error']:.1%} on average."
        + (" It tells no more than that count does." if measured["auc"] <= measured["baseline_auc"] else "")
    )


LEARNERS: Final[Mapping[str, Callable[[History, Rules, datetime], tuple[str | None, str]]]] = {
    "fit": _fit,
    "in_market": _in_market,
}
