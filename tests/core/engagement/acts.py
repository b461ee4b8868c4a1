"""
Makes accounts and acts for the tests of engagement, with only what a test cares about.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from worker.core.engagement.flags import ACCOUNT_EXTRAS, ACT_EXTRAS, flag
from worker.core.engagement.rules import EngagementRules
from worker.core.frames import ACT, ENGAGEMENT_ACCOUNT

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = EngagementRules(version="2026-11")
ACME = 1


def account(account_id: int = ACME, **values: Any) -> dict[str, Any]:
    return {"account_id": account_id, "name": f"Account {account_id}", "employees": 500, "type": "Prospect"} | values


def act(
    kind: str, person: int | None = 1, *, days_ago: float = 0, account_id: int = ACME, **values: Any
) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "person_id": person,
        "occurred_at": NOW - timedelta(days=days_ago),
        "type": kind,
        "level": None if person is None else "other",
        **values,
    }


def accounts_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    schema = {**ENGAGEMENT_ACCOUNT, **ACCOUNT_EXTRAS}
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def acts_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    schema = {**ACT, **ACT_EXTRAS}
    numbered = [{"act_id": f"a{number:04d}", **row} for number, row in enumerate(rows)]
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in numbered], schema=schema)


def flagged(
    *acts: dict[str, Any], now: datetime = NOW, rules: EngagementRules = RULES, **values: Any
) -> dict[str, Any]:
    """
    The flag of one account with these acts.
    """
    return flag(accounts_frame(account(**values)), acts_frame(*acts), rules, now=now).row(0, named=True)


def carried(found: dict[str, Any], *, has_new_act: bool = False) -> dict[str, Any]:
    """
    What the next decision is told of the last one.
    """
    return {
        "was_engaged": found["engaged"],
        "engaged_since_at": found["since_at"],
        "was_band": found["band"],
        "has_new_act": has_new_act,
    }
