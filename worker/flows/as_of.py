"""
Decides again what held at a past moment, and what changed since: an account's flag and stage, a deal's credits.

Two senses are told apart: as we know of that moment now, and as it was known then. Reads only. Called by ``why``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.allot import allot_wide
from worker.core.attribution.path import build_paths
from worker.core.deals import as_deals, why_not_credited
from worker.core.engagement.standing import Learnt
from worker.core.history import as_stood
from worker.core.rules import Rules
from worker.core.timeline import Lens, Timeline
from worker.flows.attribute import attributions
from worker.flows.credits import converted, stored_credits
from worker.flows.engage import what_was_learnt
from worker.flows.reclassify import as_touches, classified, that_stand
from worker.flows.reports.catalogue import now_of
from worker.store import cursors, decisions, matching, past


@dataclass
class Hindsight:
    """
    The store as one looks back on it. ``rules_of`` gives the rules of a version by its number.
    """

    connection: Connection
    rules_of: Callable[[int], Rules]
    now: datetime = field(init=False)
    timeline: Timeline = field(init=False)

    def __post_init__(self) -> None:
        self.now = now_of(self.connection)
        self.timeline = Timeline(past.ticks(self.connection), cursors.clock_offset(self.connection, "salesforce"))
        self._versions = past.versions(self.connection)

    @cached_property
    def learnt(self) -> Learnt:
        """
        What is learnt today; what had been learnt then is not kept.
        """
        return what_was_learnt(self.connection)

    def rules_at(self, moment: datetime) -> Rules:
        """
        The rules in force at a moment.
        """
        number = self.timeline.in_force(self._versions, moment)
        return self.rules_of(number if number is not None else 0)

    def took_effect(self, after: datetime) -> list[datetime]:
        """
        The instants after this one at which other rules took effect.
        """
        instants = [self.timeline.by_organisation(since) for since, _ in self._versions]
        return [instant for instant in instants if after < instant <= self.now]

    def first_seen_at(self) -> datetime | None:
        """
        When anything was known for the first time.
        """
        return self.timeline.by_organisation(self._versions[0][0]) if self._versions else None

    def told_of_deal(self, opportunity_id: int, rules: Rules) -> pl.DataFrame:
        """
        What happened on a deal: occurred_at, arrived_at and what, in words.
        """
        changes = self.timeline.arrived(past.deal_changes(self.connection, [opportunity_id])).select(
            "occurred_at",
            "arrived_at",
            what=pl.format("stage {}, amount {}", pl.col("stage"), pl.col("amount").cast(pl.String).fill_null("none")),
        )
        held = past.role_holders(self.connection, [opportunity_id])
        roles = self.timeline.arrived(held).select(
            "occurred_at", "arrived_at", what=pl.lit("contact role ") + pl.col("role")
        )
        people = _people(self, [opportunity_id], rules, Lens(self.now))
        acts = self.timeline.arrived(
            classified(self.connection, "person", people["person_id"].unique().to_list(), rules)
        )
        touches = that_stand(acts, rules).filter("earns_credit").select("occurred_at", "arrived_at", what="label")
        return pl.concat([changes, roles, touches])


@dataclass(frozen=True)
class Credited:
    """
    One deal as it stood: its facts (DEAL_FACTS as a mapping), what is said of it (ATTRIBUTION_COLUMNS, None where it
    earned nothing by rule: then ``reason`` says which), its credits as stored, with the touches.
    """

    deal: dict[str, Any]
    reason: str | None
    attribution: dict[str, Any] | None
    credits: list[dict[str, Any]]
    digits: int
    roles_gone: int


@dataclass(frozen=True)
class CreditedSet:
    """
    Deals as they stood. ``facts``: DEAL_FACTS with ``reason`` (why it earned nothing by rule, null where it may) and
    ``digits``; ``attributions``: what is said of those that may (ATTRIBUTION_COLUMNS and the rates' ids); ``credits``:
    theirs as the store keeps them, with type, channel, offer, campaign and label of the touch; ``roles_gone``:
    opportunity_id and roles_gone, how many contact roles were taken away at some time.
    """

    facts: pl.DataFrame
    attributions: pl.DataFrame
    credits: pl.DataFrame
    roles_gone: pl.DataFrame


def credits_as(
    hindsight: Hindsight, opportunity_ids: Sequence[int], rules: Rules, lens: Lens, moment: datetime
) -> CreditedSet:
    """
    The credits of these deals by ``rules`` as of ``moment``, from what ``lens`` sees; deals that were not there yet are
    absent. A deal that was deleted since stands where one looks at the past.
    """
    connection, timeline, ids = hindsight.connection, hindsight.timeline, list(opportunity_ids)
    changes = timeline.arrived(past.deal_changes(connection, ids))
    _, stages = matching.stage_history(connection, [])
    stood = as_stood(decisions.deal_facts(connection, ids), changes, stages, lens, rules.zone)
    was_there = ~pl.col("is_deleted") | pl.lit(value=lens.until < hindsight.now)
    known = stood.filter(was_there & pl.col("outcome").is_not_null())
    facts = known.with_columns(
        reason=why_not_credited(known, rules.deals), digits=as_deals(known, rules.currency)["digits"]
    )
    deals = as_deals(facts.filter(pl.col("reason").is_null()), rules.currency)
    people = _people(hindsight, deals["opportunity_id"].to_list(), rules, lens)
    acts = timeline.arrived(classified(connection, "person", people["person_id"].unique().to_list(), rules))
    acts = that_stand(acts.filter(lens.sees()), rules)
    touches = as_touches(acts)
    entries = changes.filter(lens.sees()).select("opportunity_id", "stage", entered_at="occurred_at")
    paths = build_paths(deals, people, touches, rules.attribution, as_of=moment, stages=entries)
    wide, rates = converted(connection, allot_wide(deals, paths, rules.attribution), deals, paths, rules)
    credits = stored_credits(wide, touches, rules)
    told = acts.select("touch_id", "type", "channel", "offer", "campaign", "label")
    return CreditedSet(
        facts,
        attributions(deals, paths, credits, touches, rules).join(rates, on="opportunity_id", how="left"),
        credits.join(told, on="touch_id", how="left", maintain_order="left"),
        past.roles_gone(connection, ids),
    )


def credit_as(hindsight: Hindsight, opportunity_id: int, rules: Rules, lens: Lens, moment: datetime) -> Credited | None:
    """
    ``credits_as`` of one deal. None where it was not there yet.
    """
    found = credits_as(hindsight, [opportunity_id], rules, lens, moment)
    if found.facts.is_empty():
        return None
    facts = found.facts.row(0, named=True)
    return Credited(
        deal=facts,
        reason=facts["reason"],
        attribution=next(found.attributions.iter_rows(named=True), None),
        credits=found.credits.to_dicts(),
        digits=facts["digits"],
        roles_gone=int(found.roles_gone["roles_gone"].sum()),
    )


def _people(hindsight: Hindsight, opportunity_ids: Sequence[int], rules: Rules, lens: Lens) -> pl.DataFrame:
    """
    DEAL_PERSON of these deals as the lens sees them: those with a role, and the account's people where there is none,
    or always if the rules ask for them.
    """
    holders = (
        hindsight.timeline.arrived(past.role_holders(hindsight.connection, opportunity_ids))
        .filter(lens.sees())
        .group_by("opportunity_id", "person_id", maintain_order=True)
        .agg(pl.col("role").min(), pl.col("is_primary").any(), pl.col("lead_created_at").first())
    )
    everybody = past.account_people(hindsight.connection, opportunity_ids)
    key = ["opportunity_id", "person_id"] if rules.attribution.path == "account" else ["opportunity_id"]
    others = everybody.join(holders, on=key, how="anti")
    return pl.concat([holders, others.select(holders.columns)])
