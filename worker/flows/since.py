"""
Tells what changed a flag, a stage or a deal's credits since a past moment: what happened since, time, other rules, or
what came late. Each cause is tried by deciding again without those after it. Reads only; called by ``why``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from worker.core.rule_changes import changed_keys
from worker.core.rules import Rules
from worker.core.steps import DATA, LATE, RULES, TIME
from worker.core.timeline import Lens
from worker.flows.as_of import Credited, Hindsight, credit_as
from worker.flows.replay import AccountsPast, Engaged, Span, engaged_of, flags_as_known_then, memory_of
from worker.store import decisions


@dataclass(frozen=True)
class Since:
    """
    The value then and after each step (``steps`` names them); what happened since and what came late, each a mapping of
    at, came_at, what; and the versions of the rules then and now, with the keys in which they differ.
    """

    steps: tuple[str, ...]
    values: Sequence[Any]
    happened: list[dict[str, Any]]
    late: list[dict[str, Any]]
    rules_then: int
    rules_now: int
    changed_keys: list[str]


def flag_since(hindsight: Hindsight, account: AccountsPast, moment: datetime) -> Since:
    """
    Of one account. ``values`` are five ``Engaged``: then, after time, data, rules, late data; the last is what holds
    now.
    """
    now, old = hindsight.now, hindsight.rules_at(moment)
    was = flags_as_known_then(hindsight, account, moment)
    span = Span(moment, now, memory_of(was), by_arrival=True, extra=frozenset(hindsight.took_effect(moment)))

    def by_old(_at: datetime) -> Rules:
        return old

    def ruled(by: Callable[[datetime], Rules], lens: Lens) -> Engaged:
        return engaged_of(account.replay(by, lens, span).stood, by(now).version)

    values = (
        engaged_of(was, old.version),
        ruled(by_old, Lens(moment, moment)),
        ruled(by_old, Lens(now, moment)),
        ruled(hindsight.rules_at, Lens(now, moment)),
        ruled(hindsight.rules_at, Lens(now)),
    )
    acts = account.acts(hindsight.rules_at(now))
    return _since(hindsight, (TIME, DATA, RULES, LATE), values, _told(acts), moment)


def credits_since(hindsight: Hindsight, opportunity_id: int, moment: datetime) -> Since:
    """
    ``values`` are four ``Credited`` (None where the deal was not there): then, after data, rules, late data.
    """
    now, old, new = hindsight.now, hindsight.rules_at(moment), hindsight.rules_at(hindsight.now)
    values: list[Credited | None] = [
        credit_as(hindsight, opportunity_id, rules, lens, at)
        for rules, lens, at in (
            (old, Lens(moment, moment), moment),
            (old, Lens(now, moment), now),
            (new, Lens(now, moment), now),
            (new, Lens(now), now),
        )
    ]
    return _since(hindsight, (DATA, RULES, LATE), values, hindsight.told_of_deal(opportunity_id, new), moment)


def _told(acts: pl.DataFrame) -> pl.DataFrame:
    return acts.select("occurred_at", "arrived_at", what="label")


def _since(
    hindsight: Hindsight, steps: tuple[str, ...], values: Sequence[Any], news: pl.DataFrame, moment: datetime
) -> Since:
    old, new = hindsight.rules_at(moment).version, hindsight.rules_at(hindsight.now).version
    kept = [decisions.kept_rules(hindsight.connection, number) for number in (old, new)]
    seen = news.filter(Lens(hindsight.now).sees()).sort("occurred_at")
    happened = seen.filter(pl.col("occurred_at") > moment)
    late = seen.filter((pl.col("occurred_at") <= moment) & (pl.col("arrived_at") > moment))
    return Since(
        steps,
        values,
        happened.to_dicts(),
        late.to_dicts(),
        old,
        new,
        changed_keys(kept[0], kept[1]) if old != new else [],
    )
