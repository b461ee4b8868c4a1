"""
Decides which accounts are qualified and how much of their buying group is engaged, and says where they stand, in JSON.

Row by row, because nothing here is looked up or summed. Called by ``standing``, with all that it found out before.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import polars as pl

from worker.core.engagement.buying_group import GroupRules
from worker.core.engagement.reasons import LEFT_OUT
from worker.core.engagement.rules import EngagementRules
from worker.core.engagement.stages import QualifiedRules
from worker.core.frames import INSTANT, Schema
from worker.core.instants import microseconds
from worker.core.rows import quoted, rows_of, series_of

# What is decided of an account. ``missing`` of the detail names what it lacks: fit, stage, people, excluded.
QUALIFIED: Final[Schema] = {
    "group_engaged": pl.Int32,
    "group_needed": pl.Int32,
    "group_gap": pl.String,
    "qualified": pl.Boolean,
    "qualified_since_at": INSTANT,
    "spiked_at": INSTANT,
    "detail": pl.String,
}
_DAY: Final = 86_400_000_000  # microseconds


class Known(NamedTuple):
    """
    What is known of an account. Instants are in microseconds since 1970.
    """

    employees: int | None
    fit_band: str | None
    stage: str
    people_count: int
    parts: list[str]
    was_qualified: bool | None
    qualified_since_at: int | None
    fit_factors: str
    in_market_why: str | None
    in_market_times: float | None
    stage_why: str
    topics: list[str]
    trend: str
    week_milli: int
    before_milli: int
    week_people: int
    is_spike: bool
    list: list[str]


def qualified(
    facts: pl.DataFrame,
    why: pl.Series,
    rules: tuple[EngagementRules, QualifiedRules, GroupRules],
    told: Mapping[str, str],
    *,
    now: datetime,
) -> list[pl.Series]:
    """
    The columns of QUALIFIED for the accounts of ``facts``, of which the flag says ``why``. ``told`` are the sentences
    about what was learnt, by kind.
    """
    at = microseconds(now)
    head = json.dumps({"fit_told": told.get("fit"), "in_market_told": told.get("in_market")})[:-1]
    known = rows_of(facts, Known)
    decided = [_decided(account, said, rules, head, at) for account, said in zip(known, why.to_list(), strict=True)]
    return series_of(QUALIFIED, decided)


def _decided(
    account: Known, why: str, rules: tuple[EngagementRules, QualifiedRules, GroupRules], head: str, now: int
) -> tuple[object, ...]:
    engagement, qualifying, group = rules
    people_needed = engagement.people_needed(account.employees)
    lacks = {
        "fit": account.fit_band not in qualifying.fit_bands,
        "stage": account.stage not in qualifying.stages,
        "people": account.people_count < people_needed,
    }
    is_excluded = why.startswith(LEFT_OUT)
    was = bool(account.was_qualified)
    since = account.qualified_since_at if was and account.qualified_since_at is not None else now
    is_held = was and now // _DAY - since // _DAY < qualifying.hold_days
    is_qualified = not is_excluded and (is_held or not any(lacks.values()))
    gaps = [part for part in group.needed if part not in account.parts]
    missing = [word for word, is_lacking in {**lacks, "excluded": is_excluded}.items() if is_lacking]
    return (
        len(group.needed) - len(gaps),
        len(group.needed),
        gaps[0].replace("_", " ") if gaps else None,
        is_qualified,
        since if is_qualified else None,
        now if account.is_spike else None,
        _detail(account, people_needed, missing, head),
    )


def _detail(account: Known, people_needed: int, missing: list[str], head: str) -> str:
    """
    The reasons as JSON: fit_factors ([name, points] ...), stage_why, in_market ([words, times the odds] ...), group
    (parts engaged), lists, spike, topics, missing (of qualified).
    """
    times = "null" if account.in_market_times is None else f"{round(account.in_market_times, 2)}"
    return (
        f'{head},"fit_factors":{account.fit_factors},"in_market_why":{account.in_market_why or "[]"},'
        f'"stage_why":{quoted(account.stage_why)},"group":{_listed(account.parts)},"lists":{_listed(account.list)},'
        f'"topics":{_listed(account.topics)},"trend":{quoted(account.trend)},"spike":{{"week_milli":{account.week_milli},'
        f'"before_milli":{account.before_milli},"week_people":{account.week_people}}},"people_needed":{people_needed},'
        f'"missing":{_listed(missing)},"in_market_times":{times}}}'
    )


def _listed(texts: Sequence[str]) -> str:
    return f"[{','.join(map(quoted, texts))}]"
