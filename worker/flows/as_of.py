"""
Decides again what held at a past moment: the credits of deals, and what all looking back has in common.

Two senses are told apart: as we know of that moment now, and as it was known then. Reads only. Called by ``why`` and
the reports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl
from sqlalchemy import Connection

from worker.core.attribution.adjust import in_locked_periods
from worker.core.attribution.allot import allot_wide
from worker.core.attribution.path import build_paths
from worker.core.attribution.sourcing import in_force, with_openings
from worker.core.deals import as_deals, why_not_credited
from worker.core.engagement.standing import Learnt
from worker.core.errors import Fatal
from worker.core.frames import INSTANT, Schema
from worker.core.history import as_stood
from worker.core.instants import to_the_minute
from worker.core.rules import Rules
from worker.core.timeline import Lens, Timeline
from worker.flows.attribute import as_stored, attributions
from worker.flows.credits import converted, rates_for, settling_of, shares_stored, stored_credits
from worker.flows.engage import what_was_learnt
from worker.flows.now import now_of
from worker.flows.reclassify import as_touches, classified, that_stand
from worker.flows.taught import taught, to_learn
from worker.store import adjustments, cursors, decisions, learnings, matching, overrides, past


@dataclass(frozen=True)
class Moment:
    """
    The instant asked for, and in which sense: as it was known then, or as it is known now of then.
    """

    at: datetime
    known_then: bool

    @property
    def lens(self) -> Lens:
        """
        What counts for it.
        """
        return Lens(self.at, self.at if self.known_then else None)

    @property
    def sense(self) -> str:
        """
        The same in words.
        """
        return "as it was known then" if self.known_then else "as it is known now of then"


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

    def expect_past(self, at: datetime) -> None:
        """
        Raises Fatal HW-182 for an instant that is yet to come.
        """
        if at > self.now:
            raise Fatal("HW-182", f"{to_the_minute(at)} is yet to come; it is {to_the_minute(self.now)}")

    def not_fed_yet(self, at: datetime) -> list[str]:
        """
        What must be said of an instant before anything was known; nothing otherwise.
        """
        first = self.first_seen_at()
        if first is None or at >= first:
            return []
        return [f"the store has been fed since {to_the_minute(first)} only; the rules are those it began with"]

    def said_of(self, opportunity_ids: Sequence[int], rules: Rules) -> pl.DataFrame:
        """
        What administrators said of these deals' sourcing team: STATEMENT with occurred_at and arrived_at, which are
        one, as it was known when it was said.
        """
        said = overrides.said_of(self.connection, opportunity_ids, rules.zone)
        known = self.timeline.arrived(said.with_columns(occurred_at="said_at", seen_at="said_at"))
        return known.with_columns(occurred_at="arrived_at")

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
        people = people_as(self, [opportunity_id], rules, Lens(self.now))
        acts = self.timeline.arrived(
            classified(self.connection, "person", people["person_id"].unique().to_list(), rules)
        )
        touches = that_stand(acts, rules).filter("earns_credit").select("occurred_at", "arrived_at", what="label")
        set_to = pl.format("source set to {} by an administrator", pl.col("team").str.replace_all("_", " "))
        said = self.said_of([opportunity_id], rules).select(
            "occurred_at", "arrived_at", what=set_to.fill_null("source given back to the touches")
        )
        return pl.concat([changes, roles, touches, said, self._learnings(rules)])

    def _learnings(self, rules: Rules) -> pl.DataFrame:
        """
        When the weights of the rules' models were learnt, as ``told_of_deal`` tells it.
        """
        kept = learnings.kept(self.connection, to_learn(rules))
        told = [(each.learnt_at, each.learnt_at, f"model {model} was learnt") for model in kept for each in kept[model]]
        schema: Schema = {"occurred_at": INSTANT, "arrived_at": INSTANT, "what": pl.String}
        return pl.DataFrame(told, schema=schema, orient="row")


@dataclass(frozen=True)
class Credited:
    """
    One deal as it stood: its facts (DEAL_FACTS as a mapping), what is said of it (of ``attributions``, None where it
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
    Deals as they stood. ``facts``: DEAL_FACTS with ``close_on``, ``reason`` (why it earned nothing by rule, null where
    it may) and ``digits``; ``attributions``: what is said of those that may (and the rates' ids);
    ``credits``: theirs as the store keeps them, with person_id, type, team, channel, offer, campaign and label of the
    touch; ``roles_gone``: opportunity_id and roles_gone, how many contact roles were taken away nobody knows when;
    ``locked_count``: of how many the credits are those of a locked period.
    """

    facts: pl.DataFrame
    attributions: pl.DataFrame
    credits: pl.DataFrame
    roles_gone: pl.DataFrame
    locked_count: int = 0


def credits_as(
    hindsight: Hindsight, opportunity_ids: Sequence[int], rules: Rules, lens: Lens, moment: datetime
) -> CreditedSet:
    """
    The credits of these deals by ``rules`` as of ``moment``, from what ``lens`` sees; deals that were not there yet are
    absent. A deal that was deleted since stands where one looks at the past. In a period that was locked by that
    moment the credits are the stored ones: nothing has moved them since.
    """
    connection, timeline, ids = hindsight.connection, hindsight.timeline, list(opportunity_ids)
    rules = taught(connection, rules, moment)
    changes = timeline.arrived(past.deal_changes(connection, ids))
    _, stages = matching.stage_history(connection, [])
    now = decisions.deal_facts(connection, ids).join(
        past.close_days(connection, ids), on="opportunity_id", maintain_order="left"
    )
    stood = as_stood(now, changes, stages, lens, rules.zone)
    was_there = ~pl.col("is_deleted") | pl.lit(value=lens.until < hindsight.now)
    known = stood.filter(was_there & pl.col("outcome").is_not_null())
    facts = known.with_columns(
        reason=why_not_credited(known, rules.deals), digits=as_deals(known, rules.currency)["digits"]
    )
    deals = as_deals(facts.filter(pl.col("reason").is_null()), rules.currency)
    people = people_as(hindsight, deals["opportunity_id"].to_list(), rules, lens)
    acts = timeline.arrived(classified(connection, "person", people["person_id"].unique().to_list(), rules))
    acts = that_stand(acts.filter(lens.sees()), rules)
    touches = as_touches(acts)
    entries = changes.filter(lens.sees()).select("opportunity_id", "stage", entered_at="occurred_at")
    paths = build_paths(deals, people, touches, rules.attribution, as_of=moment, stages=entries)
    rates, stored = rates_for(connection, deals, rules), adjustments.settled_as(connection, ids)
    wide, rated = converted(allot_wide(deals, paths, rules.attribution), deals, paths, rules, rates, stored)
    credits, locked = _as_locked(hindsight, stored_credits(wide, rules), facts, rules, moment)
    said = hindsight.said_of(deals["opportunity_id"].to_list(), rules).filter(lens.sees())
    set_by_hand = with_openings(in_force(said), deals, people, touches, rules.attribution, as_of=moment)
    shares = shares_stored(credits, rules.write_model)
    decided = attributions(deals, paths, shares, touches, rules, set_by_hand)
    decided = decided.join(rated, on="opportunity_id", how="left")
    if locked:
        decided = as_stored(decided, adjustments.sources(connection, locked))
    told = acts.select("touch_id", "type", "team", "channel", "offer", "campaign", "label", person_id="golden_id")
    return CreditedSet(
        facts,
        decided,
        credits.join(told, on="touch_id", how="left", maintain_order="left"),
        past.roles_gone(connection, ids),
        len(locked),
    )


def _as_locked(
    hindsight: Hindsight, computed: pl.DataFrame, facts: pl.DataFrame, rules: Rules, moment: datetime
) -> tuple[pl.DataFrame, list[int]]:
    """
    The credits with the stored ones in the place of those that a lock held at the moment, and the deals whose pipeline
    it held. A deal whose close date has come into the locked days since was not held yet.
    """
    connection, computed = hindsight.connection, computed.cast(pl.Schema(adjustments.STORED))
    locked = past.locked_by(connection, hindsight.timeline.by_database(moment))
    if locked.is_empty():
        return computed, []
    as_stored = adjustments.settled_as(connection, facts["opportunity_id"].to_list())
    then = as_stored.drop("close_on").join(facts.select("opportunity_id", "close_on"), on="opportunity_id")
    key = ["opportunity_id", "clock"]
    was, held = (in_locked_periods(settling_of(each, facts, rules), locked) for each in (then, as_stored))
    held = held.join(was, on=key, how="semi").join(facts.filter(pl.col("reason").is_null()), on=key[:1], how="semi")
    stored = adjustments.stored_credits(connection, held["opportunity_id"].unique().to_list())
    credits = pl.concat([computed.join(held, on=key, how="anti"), stored.join(held, on=key, how="semi")])
    order = ["opportunity_id", "clock", "occurred_at", "touch_id"]
    return credits.sort(order, nulls_last=True), held.filter(clock="pipeline")["opportunity_id"].to_list()


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


def people_as(hindsight: Hindsight, opportunity_ids: Sequence[int], rules: Rules, lens: Lens) -> pl.DataFrame:
    """
    DEAL_PERSON of these deals as the lens sees them: those with a role, and the account's people where there is none,
    or always if the rules ask for them.
    """
    holders = (
        hindsight.timeline.arrived(past.role_holders(hindsight.connection, opportunity_ids))
        .filter(lens.sees() & (pl.col("gone_at") > lens.until).fill_null(value=True))
        .group_by("opportunity_id", "person_id", maintain_order=True)
        .agg(pl.col("role").min(), pl.col("is_primary").any(), pl.col("lead_created_at").first())
    )
    everybody = past.account_people(hindsight.connection, opportunity_ids)
    key = ["opportunity_id", "person_id"] if rules.attribution.path == "account" else ["opportunity_id"]
    others = everybody.join(holders, on=key, how="anti")
    return pl.concat([holders, others.select(holders.columns)])
