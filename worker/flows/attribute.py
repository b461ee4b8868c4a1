"""
Decides again who earned each deal whose path, amount or outcome changed: every model's credit on both clocks, the
source, marketing's share and its sentence.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.allot import allot_wide
from worker.core.attribution.explain import sentences
from worker.core.attribution.path import PathSet, build_paths
from worker.core.attribution.sourcing import OVERRIDE, in_force, overridden, with_openings
from worker.core.deals import as_deals, why_not_credited
from worker.core.rules import Rules
from worker.flows.credits import converted, settled, stored_credits
from worker.flows.run import Run
from worker.flows.taught import taught
from worker.store import adjustments, decisions, dues, matching, overrides, touch_records

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
ATTRIBUTION_COLUMNS: Final = (
    "opportunity_id",
    "source_team",
    "source_channel",
    "source_offer",
    "influenced",
    "assisted",
    "marketing_share",
    "basis",
    "state",
    "why",
    "remark",
    "rule_version",
    "overridden",
)


def attribute(run: Run) -> None:
    """
    Take every due deal, a batch a transaction, and note for the plan those whose decision changed.
    """
    while not run.wants_stop():
        with run.transaction() as connection:
            ids = [int(key) for key in dues.take(connection, "attribute", "opportunity", run.limits.batch)]
            if ids:
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
    facts = decisions.deal_facts(connection, ids)
    known = facts.filter(~pl.col("is_deleted") & pl.col("created_at").is_not_null() & pl.col("outcome").is_not_null())
    reasons = why_not_credited(known, rules.deals)
    gone = sorted(set(ids) - set(known["opportunity_id"]))
    decisions.drop_attribution(connection, gone)
    out = known.with_columns(reason=reasons).filter(pl.col("reason").is_not_null())
    earning = known.filter(reasons.is_null())
    deals, touches, paths = paths_of(connection, earning, rules, run.now)
    wide = allot_wide(deals, paths, rules.attribution)
    wide, rate_refs = converted(connection, wide, deals, paths, rules)
    computed = stored_credits(wide, touches, rules)
    differing = decisions.note_credits(connection, known["opportunity_id"].to_list(), computed)
    credits, locked = settled(run, connection, differing, computed, known)
    if differing:
        decisions.save_credits(connection, differing, credits.filter(pl.col("opportunity_id").is_in(differing)))
    set_by_hand = overrides_of(connection, deals, touches, rules, run.now)
    decided = attributions(deals, paths, credits, touches, rules, set_by_hand)
    decided = decided.join(rate_refs, on="opportunity_id", how="left")
    if locked:
        decided = as_stored(decided, adjustments.sources(connection, locked))
    rows = pl.concat([decided, _left_out(out, rules)])
    return decisions.save_attribution(connection, rows, run.now)


TouchesOf = Callable[[Connection, Sequence[int]], pl.DataFrame]


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
    deals = as_deals(earning, rules.currency)
    ids = deals["opportunity_id"].to_list()
    people = decisions.deal_people(connection, ids, always_account=rules.attribution.path == "account")
    touches = touches_of(connection, people["person_id"].unique().to_list())
    stages = decisions.stage_entries(connection, ids) if rules.attribution.positions else None
    return deals, touches, build_paths(deals, people, touches, rules.attribution, as_of=as_of, stages=stages)


def overrides_of(
    connection: Connection, deals: pl.DataFrame, touches: pl.DataFrame, rules: Rules, as_of: datetime
) -> pl.DataFrame:
    """
    OVERRIDE of those deals whose sourcing team an administrator has set. ``touches`` as for their paths.
    """
    said = overrides.said_of(connection, deals["opportunity_id"].to_list(), rules.zone)
    if said.is_empty():
        return pl.DataFrame(schema=OVERRIDE)
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
    credits: pl.DataFrame,
    touches: pl.DataFrame,
    rules: Rules,
    set_by_hand: pl.DataFrame,
) -> pl.DataFrame:
    """
    What is said of each deal beside its credits (ATTRIBUTION_COLUMNS). ``set_by_hand``: OVERRIDE.
    """
    written = rules.write_model
    share = (
        credits.filter((pl.col("clock") == "revenue") & (pl.col("item") == "touch"))
        .with_columns(
            share=pl.col("models")
            .str.json_path_match(f"$.{written}.share")
            .str.split("/")
            .list.eval(pl.element().cast(pl.Float64))
        )
        .with_columns(share=pl.col("share").list.get(0) / pl.col("share").list.get(1))
        .group_by("opportunity_id")
        .agg(marketing_share=(pl.col("share").sum() * 100).round(4))
    )
    why = sentences(paths, touches, rules.attribution, model=written, zone=rules.zone, overrides=set_by_hand)
    source = pl.col("source_team") != "none"
    return (
        paths.deals.join(deals.select("opportunity_id", "outcome"), on="opportunity_id")
        .join(share, on="opportunity_id", how="left")
        .join(why, on="opportunity_id", how="left")
        .with_columns(
            source_team=pl.col("source_team").replace_strict(TEAM, default=None, return_dtype=pl.String),
            source_channel=pl.when(source).then(pl.col("source_channel")).otherwise(pl.lit(NO_TOUCH)),
            source_offer=pl.when(source).then(pl.col("source_offer")),
            marketing_share=pl.col("marketing_share").fill_null(0.0),
            basis=pl.col("basis").replace_strict(BASIS, return_dtype=pl.String),
            state=pl.col("outcome").replace_strict(STATE, return_dtype=pl.String),
            remark=pl.col("first_touch").replace_strict(REMARKS, default=None, return_dtype=pl.String),
            rule_version=pl.lit(rules.version),
        )
        .pipe(overridden, set_by_hand.with_columns(pl.col("team").replace_strict(TEAM, return_dtype=pl.String)))
        .select(ATTRIBUTION_COLUMNS)
    )


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
