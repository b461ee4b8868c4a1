"""
The rows that reports are made of, as they stood at a past moment. Whatever has not moved since is what is stored;
deals and accounts that have are decided again, a batch at a time, by the rules in force then. Writes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from functools import cached_property
from typing import Final

import polars as pl

from worker.core.frames import INSTANT
from worker.core.funnel.totals import MONEY
from worker.core.rules import Rules
from worker.flows.as_of import CreditedSet, Hindsight, Moment, credits_as
from worker.flows.preview import touches_differ
from worker.flows.reports.past_flags import Flags, flags_at
from worker.flows.reports.past_journey import journey_as, shares_of
from worker.flows.reports.rows import Rows
from worker.store import past, reports
from worker.store.reports import CREDIT_ROW, DEAL_ROW, NOBODYS, Horizon

# So many deals or accounts are decided again at a time, to keep memory flat.
AT_A_TIME: Final = 2_000
_OTHERWISE: Final = "what is not dated is as it is today: "


class PastRows(Rows):
    """
    What held at a moment, in one of its two senses.
    """

    def __init__(self, hindsight: Hindsight, moment: Moment) -> None:
        super().__init__(hindsight.connection, hindsight.rules_at(moment.at))
        self._hindsight = hindsight
        self._moment = moment
        self._seen_by = hindsight.timeline.by_database(moment.at)
        self._horizon = Horizon(moment.at, self._seen_by if moment.known_then else None)
        self._notes = dict.fromkeys(hindsight.not_fed_yet(moment.at))

    def deals(self) -> pl.DataFrame:
        self._note(_OTHERWISE + "a deal's name and type, its account, and that account's people")
        if gone := int(self._moved.roles_gone["roles_gone"].sum()):
            self._note(f"whether {gone:,} contact roles that were taken away stood then is not kept")
        described = reports.deals(self.connection, self.rules.currency, self.rules.zone, with_deleted=True)
        unmoved = described.join(self._there.filter(~pl.col("is_moved")), on="opportunity_id", how="semi")
        moved = _as_deals(described, self._moved, self.rules)
        return pl.concat([unmoved, moved]).sort("created_at", "opportunity_id", nulls_last=True)

    def credits(self, model: str) -> pl.DataFrame:
        unmoved = (
            super()
            .credits(model)
            .join(self._there.filter(~pl.col("is_moved")), on="opportunity_id", how="semi", maintain_order="left")
        )
        people = self._moved.credits["person_id"].drop_nulls().unique().to_list()
        moved = _as_credits(self._moved, self.deals(), past.people_named(self.connection, people), model)
        order = ["opportunity_id", "clock", "occurred_at", "touch_id", "item"]
        return pl.concat([unmoved, moved]).sort(order, nulls_last=True)

    def accounts(self) -> pl.DataFrame:
        self._note(_OTHERWISE + "an account's fields, who its people are, and what was learnt")
        for kind, count in past.deleted_since(self.connection, self._moment.at).items():
            self._note(f"left out, because they were deleted since: {count:,} of kind {kind}")
        return self._flags.accounts

    def people(self) -> pl.DataFrame:
        self._note(_OTHERWISE + "a person's account, country and original source")
        return reports.people(self.connection, self._horizon)

    def ties(self) -> pl.DataFrame:
        return reports.ties(self.connection, self._horizon)

    def campaigns(self) -> pl.DataFrame:
        self._note(_OTHERWISE + "what a campaign cost, its type, status and days")
        return reports.campaigns(self.connection, self.rules.currency, self._horizon)

    def touches(self, since: datetime) -> pl.DataFrame:
        self._note_touches()
        return reports.touches_by_day(self.connection, since, self._horizon)

    def acts_before(self, until: pl.DataFrame, days: int, types: Mapping[str, Sequence[str]]) -> pl.DataFrame:
        self._note_touches()
        return reports.acts_before(self.connection, until, days, types, self._horizon)

    def acts_by_month(self, types: Sequence[str]) -> pl.DataFrame:
        return reports.acts_by_month(self.connection, types, self._horizon)

    def turns(self, since: datetime) -> pl.DataFrame:
        return self._flags.turns.filter(pl.col("at") >= since)

    def handovers(self, since: datetime) -> pl.DataFrame:
        self._note_touches()
        return reports.handovers(self.connection, since, self._horizon)

    def journey(self, opportunity_id: int, model: str) -> pl.DataFrame:
        there = self._there.filter(opportunity_id=opportunity_id)
        if there.height and not there["is_moved"].item():
            return super().journey(opportunity_id, model)
        return journey_as(self._hindsight, opportunity_id, self.rules, self._moment, model)

    def not_known(self) -> Sequence[str]:
        return tuple(self._notes)

    def _note(self, words: str) -> None:
        self._notes[words] = None

    def _note_touches(self) -> None:
        hindsight = self._hindsight
        self._note(_OTHERWISE + "who a touch belongs to")
        if touches_differ(self.rules, hindsight.rules_at(hindsight.now)):
            self._note("touches are counted as today's rules make them; their credit is by the rules of then")

    @cached_property
    def _there(self) -> pl.DataFrame:
        return past.deals_since(self.connection, self._horizon, self._seen_by, self.rules)

    @cached_property
    def _moved(self) -> CreditedSet:
        """
        The deals of which anything moved since, decided again.
        """
        ids = self._there.filter("is_moved")["opportunity_id"].to_list()
        parts = [
            credits_as(self._hindsight, ids[at : at + AT_A_TIME], self.rules, self._moment.lens, self._moment.at)
            for at in range(0, max(len(ids), 1), AT_A_TIME)
        ]
        facts, attributions, credits, gone = (
            pl.concat(frames, how="vertical_relaxed")
            for frames in zip(*((p.facts, p.attributions, p.credits, p.roles_gone) for p in parts), strict=True)
        )
        return CreditedSet(facts, attributions, credits, gone, sum(p.locked_count for p in parts))

    @cached_property
    def _flags(self) -> Flags:
        return flags_at(self._hindsight, self._moment, self._horizon, self._seen_by)


def _as_deals(described: pl.DataFrame, moved: CreditedSet, rules: Rules) -> pl.DataFrame:
    """
    DEAL_ROW of the deals that were decided again; ``described`` is DEAL_ROW as it stands now.
    """
    noon = (pl.col("close_on").dt.combine(time(12)).dt.replace_time_zone(rules.zone)).dt.convert_time_zone("UTC")
    then = moved.facts.select(
        "opportunity_id",
        "stage",
        "outcome",
        "created_at",
        "closed_at",
        "reason",
        pl.col("amount").cast(MONEY),
        currency=pl.col("currency").fill_null(rules.currency),
        closes_at=pl.coalesce(noon, "closed_at").cast(INSTANT),
    )
    said = moved.attributions.select(
        "opportunity_id", "influenced", "assisted", "basis", "state", "remark", "why",
        team="source_team", channel="source_channel", offer="source_offer",
        set_by_hand=pl.col("overridden").is_not_null(),
    )  # fmt: skip
    left_out = pl.col("reason").is_not_null()
    return (
        described.select([name for name in DEAL_ROW if name not in {*then.columns, *said.columns} - {"opportunity_id"}])
        .join(then, on="opportunity_id", maintain_order="left")
        .join(said, on="opportunity_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("influenced", "assisted", "set_by_hand").fill_null(value=False),
            basis=pl.when(left_out).then(pl.lit("Account")).otherwise("basis"),
            state=pl.when(left_out).then(pl.lit(reports.NOT_CREDITED)).otherwise("state"),
            why=pl.when(left_out).then(pl.lit("earns no credit by rule: ") + pl.col("reason")).otherwise("why"),
        )
        .select(pl.col(name).cast(kind) for name, kind in DEAL_ROW.items())
    )


def _as_credits(moved: CreditedSet, deals: pl.DataFrame, people: pl.DataFrame, model: str) -> pl.DataFrame:
    """
    CREDIT_ROW of the deals that were decided again. ``deals`` is DEAL_ROW as they stood, ``people`` person_id, person.
    """
    item = pl.col("item").cast(pl.String)
    shared = shares_of(moved.credits, model, moved.facts).with_columns(
        channel=pl.when(item == "touch").then(pl.col("channel").fill_null("Other")).otherwise(item.replace(NOBODYS))
    )
    named = deals.select("opportunity_id", "deal", "outcome", "currency", "created_at", "closed_at", "closes_at")
    return (
        shared.join(named, on="opportunity_id", maintain_order="left")
        .join(people, on="person_id", how="left", maintain_order="left")
        .with_columns(counted_at=pl.when(pl.col("clock") == "pipeline").then("created_at").otherwise("closes_at"))
        .select(pl.col(name).cast(kind) for name, kind in CREDIT_ROW.items())
    )
