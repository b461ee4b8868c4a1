"""
Every report by its name. Called by the command line and the console.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from worker.core.errors import Fatal
from worker.flows.reports import funnels, money, quota
from worker.flows.reports.shape import Asked, Report
from worker.store import cursors

REPORTS: Final[Mapping[str, Callable[[Connection, Asked], Report]]] = {
    "funnel": funnels.funnel,
    "attribution": money.attribution,
    "engagement": funnels.engagement,
    "journey": money.journey,
    "campaigns": money.campaigns,
    "velocity": funnels.velocity,
    "quota": quota.quota,
    "handover": funnels.handover,
    "readiness": funnels.readiness,
    "weekly": funnels.weekly,
}


def now_of(connection: Connection) -> datetime:
    """
    The present instant by the organisation's clock.
    """
    return datetime.now(UTC) + cursors.clock_offset(connection, "salesforce")


def make(connection: Connection, name: str, asked: Asked) -> Report:
    """
    The report of that name. Raises Fatal for a period, a group, a model or a subject that it has not.
    """
    known = [model.name for model in asked.rules.attribution.models]
    if asked.model not in known:
        raise Fatal("HW-163", f"the rules have no model {asked.model}", actions=[f"--model one of {', '.join(known)}"])
    return REPORTS[name](connection, asked)
