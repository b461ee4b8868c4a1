"""
The rows that reports are made of: people, accounts, deals, credits, campaigns, handovers, and what data lack. Reads
only; each function gives a frame with one row a thing, and sums up nothing. Called by the reports through these names.
"""

from worker.store.reports.account_rows import ACCOUNT_ROW, accounts, engagement_turns
from worker.store.reports.act_rows import BEFORE_ROW, acts_before, acts_by_month, touches_by_day
from worker.store.reports.campaign_rows import CAMPAIGN_ROW, campaigns
from worker.store.reports.deal_rows import CREDIT_ROW, DEAL_ROW, NOBODYS, NOT_CREDITED, credits, deals
from worker.store.reports.horizon import PRESENT, Horizon, standing_of
from worker.store.reports.journey_rows import JOURNEY_DAYS, JOURNEY_ROW, journey
from worker.store.reports.person_rows import HANDOVER_ROW, PERSON_ROW, handovers, people, ties
from worker.store.reports.readiness import GAP_ROW, gaps

__all__ = [
    "ACCOUNT_ROW",
    "BEFORE_ROW",
    "CAMPAIGN_ROW",
    "CREDIT_ROW",
    "DEAL_ROW",
    "GAP_ROW",
    "HANDOVER_ROW",
    "JOURNEY_DAYS",
    "JOURNEY_ROW",
    "NOBODYS",
    "NOT_CREDITED",
    "PERSON_ROW",
    "PRESENT",
    "Horizon",
    "accounts",
    "acts_before",
    "acts_by_month",
    "campaigns",
    "credits",
    "deals",
    "engagement_turns",
    "gaps",
    "handovers",
    "journey",
    "people",
    "standing_of",
    "ties",
    "touches_by_day",
]
