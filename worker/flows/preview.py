"""
Decides everything by other rules than those in force, in memory, and tells what would change: accounts gained and lost,
and money moved between channels.

Reads one moment of the store and writes nothing; safe beside a running service. Called by ``headwater check --impact``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.adjust import in_locked_periods
from worker.core.attribution.allot import allot_wide
from worker.core.attribution.moved import Ledger, Moved, named, whole
from worker.core.attribution.path import CLOCKS
from worker.core.deals import as_deals, why_not_credited
from worker.core.engagement.standing import Learnt, window_start
from worker.core.rules import Rules
from worker.flows.attribute import paths_of
from worker.flows.credits import settling_of
from worker.flows.engage import stood_by, what_was_learnt
from worker.flows.reclassify import as_touches, classified, facts_of, that_stand
from worker.flows.taught import taught
from worker.store import adjustments, decisions, past, standings

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Sizes:
    """
    How many accounts or deals are looked at at a time, and how many of those that change are named; all are counted.
    """

    batch: int = 5_000
    named: int = 1_000


@dataclass(frozen=True)
class Change:
    """
    An account that would be gained or lost, and why. ``what``: engaged or qualified.
    """

    what: str
    is_gained: bool
    account_id: int
    name: str | None
    record_id: str | None
    why: str


@dataclass
class Impact:
    """
    What would change. ``counts``: by (what, is_gained), all accounts that change; ``changes`` names the first of them.
    ``money`` has a line a model, clock, currency and channel. ``new_models`` and ``gone_models`` stand on one side only
    and are not compared; ``unpriced`` deals have no amount; of ``locked`` deals nothing moves on some clock; of
    ``waiting`` records, accounts and deals (by flow) the rules in force have yet to decide, so that what they lack
    shows up here too.
    """

    now: datetime
    accounts: int = 0
    deals: int = 0
    counts: dict[tuple[str, bool], int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    money: list[Moved] = field(default_factory=list)
    deals_changed: int = 0
    new_models: tuple[str, ...] = ()
    gone_models: tuple[str, ...] = ()
    unpriced: int = 0
    locked: int = 0
    waiting: dict[str, int] = field(default_factory=dict)


SIZES: Final = Sizes()


def preview(
    connection: Connection,
    ruling: Rules,
    proposed: Rules,
    now: datetime,
    on_progress: Progress = lambda _what, _count: None,
    sizes: Sizes = SIZES,
) -> Impact:
    """
    What ``proposed`` would change of what is stored under the rules in force (``ruling``), decided as of ``now`` by the
    organisation's clock. ``connection`` is ``past.look_only``'s.
    """
    impact = Impact(now, waiting=past.waiting(connection, now))
    ruling, proposed = taught(connection, ruling), taught(connection, proposed)
    _engagement(connection, ruling, proposed, impact, on_progress, sizes)
    _attribution(connection, ruling, proposed, impact, on_progress, sizes)
    return impact


def touches_differ(ruling: Rules, proposed: Rules) -> bool:
    """
    Whether the two may make other touches of the same acts.
    """
    same = replace(ruling.touchpoints, version=0) == replace(proposed.touchpoints, version=0)
    return not same or ruling.zone != proposed.zone


def _batches(connection: Connection, kind: str, size: int) -> Iterator[list[int]]:
    last = 0
    while ids := past.ids_after(connection, kind, last, size):
        yield ids
        last = ids[-1]


def _engagement(
    connection: Connection, ruling: Rules, proposed: Rules, impact: Impact, on_progress: Progress, sizes: Sizes
) -> None:
    learnt = what_was_learnt(connection)
    for ids in _batches(connection, "account", sizes.batch):
        accounts, stood = _stood(connection, ids, ruling, proposed, learnt, impact.now)
        for change in _changes(accounts, stood):
            key = change.what, change.is_gained
            impact.counts[key] = impact.counts.get(key, 0) + 1
            if impact.counts[key] <= sizes.named:
                impact.changes.append(change)
        impact.accounts += len(ids)
        on_progress("accounts", len(ids))
    known = past.salesforce_ids(connection, "account", [each.account_id for each in impact.changes])
    impact.changes = [replace(each, record_id=known.get(each.account_id)) for each in impact.changes]


def _stood(
    connection: Connection, ids: Sequence[int], ruling: Rules, proposed: Rules, learnt: Learnt, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    ACCOUNT_FACTS, and what the proposed rules decide: account_id, engaged, why, qualified, qualified_why.
    """
    standing = proposed.standing
    accounts = decisions.account_facts(connection, ids, with_records=bool(standing.lists.lists or standing.extras()))
    since = window_start(proposed.engagement, now)
    if touches_differ(ruling, proposed):
        facts = facts_of(connection, ids, proposed).filter(pl.col("occurred_at") >= since)
    else:
        facts = decisions.act_facts(
            connection,
            ids,
            since,
            opt_out_fields=proposed.tracking.opt_out_fields,
            email_opt_out=proposed.tracking.email_opt_out,
        )
    deals = standings.deals_of(connection, ids, proposed.deals.exclude_types)
    stood = stood_by(accounts, facts, deals, proposed, learnt, now=now)
    lacks = pl.col("detail").str.json_path_match("$.missing").str.strip_chars('[]"').str.replace_all('","', ", ")
    where = pl.format("stage {}, fit {}", "stage", pl.col("fit_band").fill_null("unknown"))
    reasons = stood.standings.select(
        "account_id",
        "qualified",
        qualified_why=pl.when(pl.col("qualified")).then(where).otherwise(where + pl.lit("; lacks ") + lacks),
    )
    return accounts, stood.flags.select("account_id", "engaged", "why").join(reasons, on="account_id")


def _changes(accounts: pl.DataFrame, stood: pl.DataFrame) -> list[Change]:
    both = accounts.join(stood, on="account_id", maintain_order="left").with_columns(
        pl.col("was_qualified").fill_null(value=False)
    )
    found = []
    for what, was, now, why in (
        ("engaged", "was_engaged", "engaged", "why"),
        ("qualified", "was_qualified", "qualified", "qualified_why"),
    ):
        turned = both.filter(pl.col(was) != pl.col(now)).select("account_id", "name", now, why)
        found += [
            Change(what, is_now, account_id, name, None, reason)
            for account_id, name, is_now, reason in turned.iter_rows()
        ]
    return found


def _attribution(
    connection: Connection, ruling: Rules, proposed: Rules, impact: Impact, on_progress: Progress, sizes: Sizes
) -> None:
    had = [model.name for model in ruling.attribution.models]
    gets = [model.name for model in proposed.attribution.models]
    impact.new_models = tuple(name for name in gets if name not in had)
    impact.gone_models = tuple(name for name in had if name not in gets)
    models = [name for name in gets if name in had]
    locked, ledger = adjustments.locked_periods(connection), Ledger()
    for ids in _batches(connection, "opportunity", sizes.batch):
        facts = decisions.deal_facts(connection, ids).filter(
            pl.col("created_at").is_not_null() & pl.col("outcome").is_not_null()
        )
        deals = as_deals(facts, proposed.currency)
        stored = past.channel_money(connection, facts["opportunity_id"].to_list())
        before = whole(stored.with_columns(channel=named(pl.col("item"), pl.col("channel"))), deals, models, CLOCKS)
        after = whole(_money(connection, facts, ruling, proposed, impact.now), deals, models, CLOCKS)
        if locked.height:
            settling = settling_of(adjustments.settled_as(connection, ids), facts, proposed)
            shut = in_locked_periods(settling, locked)
            key = ["opportunity_id", "clock"]
            after = pl.concat([after.join(shut, on=key, how="anti"), before.join(shut, on=key, how="semi")])
            impact.locked += shut["opportunity_id"].n_unique()
        ledger.add(before, after, deals)
        impact.deals += facts.height
        impact.unpriced += deals["amount_units"].null_count()
        on_progress("deals", len(ids))
    impact.money, impact.deals_changed = ledger.lines(), ledger.changed


def _money(connection: Connection, facts: pl.DataFrame, ruling: Rules, proposed: Rules, now: datetime) -> pl.DataFrame:
    """
    CHANNEL_MONEY of these deals by the proposed rules.
    """
    earning = facts.filter(why_not_credited(facts, proposed.deals).is_null())

    def anew(connection: Connection, person_ids: Sequence[int]) -> pl.DataFrame:
        return as_touches(that_stand(classified(connection, "person", person_ids, proposed), proposed))

    touches_of = anew if touches_differ(ruling, proposed) else decisions.touches_of
    deals, touches, paths = paths_of(connection, earning, proposed, now, touches_of)
    wide = allot_wide(deals, paths, proposed.attribution).join(
        touches.select("touch_id", "channel"), on="touch_id", how="left"
    )
    return pl.concat(
        wide.filter(pl.col(f"share_num:{model.name}").is_not_null()).select(
            "opportunity_id",
            "clock",
            model=pl.lit(model.name),
            channel=named(pl.col("item").cast(pl.String), pl.col("channel")),
            units=f"amount_units:{model.name}",
        )
        for model in proposed.attribution.models
    )
