"""
Keeps what was learnt of channels' weights: each learning with what it was learnt from, and of a model that could not be
learnt the last attempt. Called by the learn flow, by whoever decides credits, and by the commands that show it.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from sqlalchemy import Connection

from worker.core.attribution.learnings import Learning, LearnRule
from worker.store.bulk import cursor_of

_SHOWN: Final = ("id", "model", "learner", "over_months", "since_at", "until_at", "conversions", "nulls", "weights",
                 "rule_version", "learnt_at")  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """
    What one attempt to learn a model came to: ``weights`` is None where there were too few ``conversions``. The deals
    were closed from ``since`` on and before ``until``.
    """

    model: str
    rule: LearnRule
    since: datetime
    until: datetime
    conversions: int
    nulls: int
    weights: Mapping[str, Fraction] | None


def last_lessons(connection: Connection) -> dict[str, tuple[LearnRule, bool, datetime]]:
    """
    By model the last attempt: its rule, whether anything was learnt, and when by the organisation's clock.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT DISTINCT ON (model) model, learner, over_months, basis, weights IS NOT NULL, learnt_at FROM learning
        ORDER BY model, id DESC
        """
    )
    return {model: (LearnRule(by, months, basis), is_learnt, at) for model, by, months, basis, is_learnt, at in rows}


def save(connection: Connection, lesson: Lesson, *, rule_version: int, now: datetime) -> int:
    """
    Keep a lesson; an earlier attempt at the model that came to nothing goes. Returns its number.
    """
    cursor = cursor_of(connection)
    cursor.execute("DELETE FROM learning WHERE model = %s AND weights IS NULL", (lesson.model,))
    weights = None if lesson.weights is None else {name: str(weight) for name, weight in lesson.weights.items()}
    row = cursor.execute(
        """
        INSERT INTO learning (model, learner, over_months, basis, since_at, until_at, conversions, nulls, weights,
            rule_version, learnt_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
        """,
        (
            lesson.model,
            lesson.rule.by,
            lesson.rule.over_months,
            lesson.rule.basis,
            lesson.since,
            lesson.until,
            lesson.conversions,
            lesson.nulls,
            None if weights is None else json.dumps(weights, ensure_ascii=False),
            rule_version,
            now,
        ),
    )
    number: int = row.fetchone()[0]
    return number


def kept(connection: Connection, models: Collection[str], until: datetime | None = None) -> dict[str, list[Learning]]:
    """
    What was learnt of these models by an instant of the organisation's clock (None: so far), by model.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT model, id, learnt_at, weights, learner, over_months, basis FROM learning
        WHERE model = ANY(%s) AND weights IS NOT NULL AND learnt_at <= coalesce(%s::timestamptz, 'infinity') ORDER BY id
        """,
        (sorted(models), until),
    )
    found: dict[str, list[Learning]] = {}
    for model, number, learnt_at, weights, *rule in rows:
        exact = {channel: Fraction(weight) for channel, weight in weights.items()}
        found.setdefault(model, []).append(Learning(number, learnt_at, exact, LearnRule(*rule)))
    return found


def told(connection: Connection, numbers: Collection[int] | None = None) -> list[dict[str, Any]]:
    """
    These lessons, or all, by model and the newest first: id, model, learner, over_months, since_at, until_at,
    conversions, nulls, weights (by channel, exact fractions as text; None where nothing was learnt), rule_version,
    learnt_at.
    """
    rows = cursor_of(connection).execute(
        f"""
        SELECT {", ".join(_SHOWN)} FROM learning WHERE %(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s)
        ORDER BY model, id DESC
        """,
        {"ids": None if numbers is None else sorted(numbers)},
    )
    return [dict(zip(_SHOWN, row, strict=True)) for row in rows]


def deals_again(connection: Connection, *, only_open: bool) -> None:
    """
    Have every deal credited again, or every open one: what channels weigh has changed for them.
    """
    cursor_of(connection).execute(
        f"""
        INSERT INTO due (flow, kind, key) SELECT 'attribute', 'opportunity', id::text FROM opportunity
        WHERE NOT is_deleted {"AND outcome = 'open'" if only_open else ""}
        ORDER BY id::text COLLATE "C" ON CONFLICT DO NOTHING
        """
    )
