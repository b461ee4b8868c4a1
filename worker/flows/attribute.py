"""
Decides again who earned each deal whose path, amount or outcome changed: every model's credit on both clocks, the
source, marketing's share and its sentence.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.allot import allot_wide
from worker.core.attribution.digests import differing_credits
from worker.core.attribution.explain import sentences
from worker.core.attribution.path import PathSet, build_paths
from worker.core.attribution.sourcing import OVERRIDE, in_force, overridden, with_openings
from worker.core.columns import constant, filled, known, mapped, one, places, rows_where, sorted_by
from worker.core.deals import as_deals, why_not_credited
from worker.core.rules import Rules
from worker.flows.computed import computed
from worker.flows.credits import (
    Share,
    converted,
    locked_for,
    marketing_share,
    only_of,
    rates_for,
    settled,
    shares_allotted,
    shares_stored,
    stored_credits,
)
from worker.flows.run import Run
from worker.flows.taught import taught
from worker.store import adjustments, bulk, decisions, dues, matching, overrides, touch_records

BASIS: Final = {"roles": "Contact roles", "primary": "Primary contact role", "account": "Account"}
STATE: Final = {"open": "Open", "won": "Final", "lost": "Lost"}
TEAM: Final = {
    "marketing": "Marketing",
    "sales": "Sales",
    "partner": "Partner",
    "customer_success": "Customer success",
}
NO_TOUCH: Final = "No marketing touch"
REMARKS: Final = {
    "after_creation": "marketing's first touch came after the deal was created",
    "after_close": "closed before marketing's first touch",
}
_NO_OVERRIDES: Final = pl.DataFrame(schema=OVERRIDE)


def attribute(run: Run) -> None:
    """
    Take every due deal, a batch a transaction, and note for the plan those whose decision changed.
    """
    while not run.wants_stop():
        with run.transaction() as connection:
            bulk.plan_for_few(connection)
            ids = [int(key) for key in dues.take(connection, "attribute", "opportunity", run.limits.batch)]
            if ids:
                bulk.plan_for(connection, len(ids))
                changed = _decide(run, connection, ids)
                matching.note_for_plan(connection, "opportunity", changed)
                touches = run.rules.write.touches
                if touches.enabled:
                    # What a record says of its touch, its person or its amount moves without the decision.
                    touch_records.note_deals(connection, touches.parent_stream, ids)
                run.count("attributions changed", len(changed))
        run.count("deals decided", len(ids))
        if len(ids) < run.limits.batch:
            return


def _decide(run: Run, connection: Connection, ids: Sequence[int]) -> list[int]:
    rules = taught(connection, run.rules)
    facts = adjustments.deals_to_decide(connection, ids)
    facts = facts[rows_where(~facts["is_deleted"] & known(facts["created_at"]) & known(facts["outcome"]))]
    reasons = why_not_credited(facts, rules.deals)
    gone = sorted(set(ids) - set(facts["opportunity_id"].to_list()))
    decisions.drop_attribution(connection, gone)
    has_reason = filled(known(reasons), value=False)
    earning, out = facts[rows_where(~has_reason)], facts.hstack([reasons.alias("reason")])[rows_where(has_reason)]
    now = max([run.now, *_learnt_at(rules)])
    told = _told(connection, earning, rules)
    rates = rates_for(connection, told.deals, rules)
    stated = facts["has_statement"].any()
    set_by_hand = overrides_of(connection, told.deals, told.touches, rules, now) if stated else _NO_OVERRIDES

    # Where anything is locked, all deals are held against it, so that a deal's fields say what its credits say.
    locked = locked_for(connection, facts)

    def decide() -> tuple[pl.DataFrame, pl.DataFrame, dict[int, str | None], pl.DataFrame]:
        paths = told.paths(rules, now)
        wide, rate_refs = converted(
            allot_wide(told.deals, paths, rules.attribution), told.deals, paths, rules, rates, facts
        )
        differing = differing_credits(facts, wide)
        spelt = stored_credits(wide if locked.height else only_of(wide, differing), rules)
        shares = shares_allotted(wide, rules.write_model)
        decided = attributions(told.deals, paths, shares, told.touches, rules, set_by_hand)
        return spelt, rate_refs, differing, decided

    spelt, rate_refs, differing, decided = computed(decide)
    credits, kept = settled(run, connection, locked, differing, spelt, facts)
    if credits is not spelt:
        share = marketing_share(decided["opportunity_id"], shares_stored(credits, rules.write_model))
        decided = decided.with_columns(share.alias("marketing_share"))
    if differing:
        decisions.save_credits(connection, differing, only_of(credits, differing))
    rated = places(decided["opportunity_id"], rate_refs["opportunity_id"])
    decided = decided.hstack([rate_refs[name][rated] for name in ("pipeline_rate_ref", "revenue_rate_ref")])
    if kept:
        decided = as_stored(decided, adjustments.sources(connection, kept))
    rows = pl.concat([decided, _left_out(out, rules)]) if out.height else decided
    return decisions.save_attribution(connection, rows, run.now)


def _learnt_at(rules: Rules) -> Iterator[datetime]:
    """
    When the models were taught. The organisation's clock is known to the second and corrected by every answer, so what
    was learnt a moment ago may seem to lie ahead.
    """
    return (each.learnt_at for model in rules.attribution.models for each in model.learnings)


TouchesOf = Callable[[Connection, Sequence[int]], pl.DataFrame]


@dataclass(frozen=True)
class _Told:
    """
    What the paths of some deals are made of: DEAL, DEAL_PERSON, TOUCH, and the deals' stages where positions need them.
    """

    deals: pl.DataFrame
    people: pl.DataFrame
    touches: pl.DataFrame
    stages: pl.DataFrame | None

    def paths(self, rules: Rules, as_of: datetime) -> PathSet:
        return build_paths(self.deals, self.people, self.touches, rules.attribution, as_of=as_of, stages=self.stages)


def _told(
    connection: Connection, earning: pl.DataFrame, rules: Rules, touches_of: TouchesOf = decisions.touches_of
) -> _Told:
    deals = as_deals(earning, rules.currency)
    ids = deals["opportunity_id"].to_list()
    people = decisions.deal_people(connection, ids, always_account=rules.attribution.path == "account")
    touches = touches_of(connection, sorted(set(people["person_id"].to_list())))
    stages = decisions.stage_entries(connection, ids) if rules.attribution.positions else None
    return _Told(deals, people, touches, stages)


def paths_of(
    connection: Connection,
    earning: pl.DataFrame,
    rules: Rules,
    as_of: datetime,
    touches_of: TouchesOf = decisions.touches_of,
) -> tuple[pl.DataFrame, pl.DataFrame, PathSet]:
    """
    DEAL and TOUCH of these deals (DEAL_FACTS), and their paths as of an instant. ``touches_of`` gives the TOUCH of
    persons: the stored ones, or what other rules would make of their acts.
    """
    told = _told(connection, earning, rules, touches_of)
    return told.deals, told.touches, computed(lambda: told.paths(rules, as_of))


def overrides_of(
    connection: Connection, deals: pl.DataFrame, touches: pl.DataFrame, rules: Rules, as_of: datetime
) -> pl.DataFrame:
    """
    OVERRIDE of those deals whose sourcing team an administrator has set. ``touches`` as for their paths.
    """
    said = overrides.said_of(connection, deals["opportunity_id"].to_list(), rules.zone)
    if said.is_empty():
        return _NO_OVERRIDES
    said = in_force(said)
    people = decisions.deal_people(
        connection, said["opportunity_id"].to_list(), always_account=rules.attribution.path == "account"
    )
    return with_openings(said, deals, people, touches, rules.attribution, as_of=as_of)


def as_stored(decided: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """
    With the source as it was stored where the period is locked, unless another statement of an administrator, made
    before the lock, holds by now.
    """
    number = pl.col("overridden").str.json_path_match("$.id").cast(pl.Int64)
    holds = decided.select("opportunity_id", override_id=number)
    same = stored.join(holds, on=["opportunity_id", "override_id"], how="semi", nulls_equal=True)
    return decided.update(same.drop("override_id"), on="opportunity_id", include_nulls=True)


def attributions(
    deals: pl.DataFrame,
    paths: PathSet,
    shares: Iterable[Share],
    touches: pl.DataFrame,
    rules: Rules,
    set_by_hand: pl.DataFrame,
) -> pl.DataFrame:
    """
    What is said of each deal beside its credits, one row a deal. ``shares`` are those that marketing's touches get of
    revenue under the model that is written back. ``set_by_hand``: OVERRIDE.
    """
    found, outcome = paths.deals, sorted_by(deals, "opportunity_id")["outcome"]
    why = sentences(paths, touches, rules.attribution, model=rules.write_model, zone=rules.zone, overrides=set_by_hand)
    has_source = found["source_team"] != "none"
    columns = {
        "source_team": mapped(found["source_team"], TEAM, None),
        "source_channel": found["source_channel"].zip_with(has_source, one(NO_TOUCH, pl.String)),
        "source_offer": found["source_offer"].zip_with(has_source, one(None, pl.String)),
        "influenced": found["influenced"],
        "assisted": found["assisted"],
        "marketing_share": marketing_share(found["opportunity_id"], shares),
        "basis": mapped(found["basis"], BASIS, None),
        "state": mapped(outcome, STATE, None),
        "why": why["why"],
        "remark": mapped(found["first_touch"], REMARKS, None),
        "rule_version": constant(rules.version, found.height, pl.Int32),
    }
    decided = pl.DataFrame([found["opportunity_id"], *(column.alias(name) for name, column in columns.items())])
    if not set_by_hand.is_empty():
        set_by_hand = set_by_hand.with_columns(mapped(set_by_hand["team"], TEAM, None).alias("team"))
    return overridden(decided, set_by_hand)


def _left_out(out: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """
    Deals that earn no credit by rule: said so, and nothing is written to them.
    """
    return out.select(
        "opportunity_id",
        source_team=pl.lit(None, pl.String),
        source_channel=pl.lit(None, pl.String),
        source_offer=pl.lit(None, pl.String),
        influenced=pl.lit(value=False),
        assisted=pl.lit(value=False),
        marketing_share=pl.lit(0.0),
        basis=pl.lit("Account"),
        state=pl.lit("Not credited"),
        why=pl.lit("earns no credit by rule: ") + pl.col("reason"),
        remark=pl.lit(None, pl.String),
        rule_version=pl.lit(rules.version),
        overridden=pl.lit(None, pl.String),
        pipeline_rate_ref=pl.lit(None, pl.String),
        revenue_rate_ref=pl.lit(None, pl.String),
    )
