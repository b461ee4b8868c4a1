"""
The rows that reports are made of, as they stand now: one method for each kind. ``reports.past`` gives the same ones as
they stood at a past moment, so that no report needs to know which it is given.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl
from sqlalchemy import Connection

from worker.core.rules import Rules
from worker.store import reports


class Rows:
    """
    What is stored and decided now, by these rules. Frames as ``store.reports`` describes them.
    """

    def __init__(self, connection: Connection, rules: Rules) -> None:
        self.connection = connection
        self.rules = rules

    def deals(self) -> pl.DataFrame:
        """
        DEAL_ROW of every deal, those that earn no credit by rule included.
        """
        return reports.deals(self.connection, self.rules.currency, self.rules.zone)

    def credits(self, model: str) -> pl.DataFrame:
        """
        CREDIT_ROW under one model.
        """
        return reports.credits(self.connection, model, self.rules.currency, self.rules.zone)

    def accounts(self) -> pl.DataFrame:
        """
        ACCOUNT_ROW of every account.
        """
        return reports.accounts(self.connection)

    def people(self) -> pl.DataFrame:
        """
        PERSON_ROW of everybody.
        """
        return reports.people(self.connection)

    def ties(self) -> pl.DataFrame:
        """
        Who is on which deal: person_id, opportunity_id.
        """
        return reports.ties(self.connection)

    def campaigns(self) -> pl.DataFrame:
        """
        CAMPAIGN_ROW of every campaign.
        """
        return reports.campaigns(self.connection, self.rules.currency)

    def touches(self, since: datetime) -> pl.DataFrame:
        """
        Eligible touches since then.
        """
        return reports.touches_by_day(self.connection, since)

    def acts_before(self, until: pl.DataFrame, days: int, types: Mapping[str, Sequence[str]]) -> pl.DataFrame:
        """
        BEFORE_ROW of accounts, within so many days before an instant of each.
        """
        return reports.acts_before(self.connection, until, days, types)

    def acts_by_month(self, types: Sequence[str]) -> pl.DataFrame:
        """
        How many acts of these types are kept of each month.
        """
        return reports.acts_by_month(self.connection, types)

    def turns(self, since: datetime) -> pl.DataFrame:
        """
        When accounts became engaged or ceased to be since then.
        """
        return reports.engagement_turns(self.connection, since)

    def handovers(self, since: datetime) -> pl.DataFrame:
        """
        HANDOVER_ROW of the hands raised since then.
        """
        return reports.handovers(self.connection, since)

    def gaps(self) -> pl.DataFrame:
        """
        GAP_ROW of everything that was looked at.
        """
        return reports.gaps(self.connection)

    def journey(self, opportunity_id: int, model: str) -> pl.DataFrame:
        """
        JOURNEY_ROW of one deal.
        """
        return reports.journey(self.connection, opportunity_id, model, self.rules.currency)

    def not_known(self) -> Sequence[str]:
        """
        What a reader must know of rows that cannot all be had as they stood.
        """
        return ()
