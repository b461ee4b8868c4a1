"""
Learns what channels weigh under the models that are to be learnt: each once a month, when the rules that make paths
have changed, and every day as long as too few deals were won. Called by ``learn``.

A learning holds from its instant on: deals and clocks that were settled before it keep theirs. So a renewal has only
open deals credited again; the first learning of a model, and the first after changed rules, all of them.
"""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from worker.core.attribution.learn import PathCount, learn
from worker.core.attribution.learnings import FEWEST_WON, LearnRule, days_to_learn_from
from worker.core.attribution.rules import AttributionRules
from worker.core.rules import Rules
from worker.flows.journeys import closed_journeys
from worker.flows.run import Run
from worker.flows.taught import taught, to_learn
from worker.store import dues, learnings
from worker.store.learnings import Lesson

RESOLVE_FIRST: Final = timedelta(seconds=10)


def learn_models(run: Run) -> None:
    """
    Learn what is due, keep it, and have the deals that it changes credited again.
    """
    zone = ZoneInfo(run.rules.zone)
    with run.transaction() as connection:
        due = _due(connection, run.rules, run.now)
        if due and "resolve" in dues.waiting(connection):
            # Changed rules are in force before every touch has its new channel.
            run.come_again = RESOLVE_FIRST
            return
        paths = {months: _paths(connection, run, months) for months in {rule.over_months for rule in due.values()}}
    lessons = [_lesson(model, rule, paths[rule.over_months], run.now.astimezone(zone)) for model, rule in due.items()]
    if not lessons:
        return
    with run.transaction() as connection:
        before = taught(connection, run.rules).attribution
        for lesson in lessons:
            learnings.save(connection, lesson, rule_version=run.rules.version, now=run.now)
        moved = _moved(before, taught(connection, run.rules).attribution)
        if moved:
            learnings.deals_again(connection, only_open=moved == "open")
    run.count("models learnt", sum(lesson.weights is not None for lesson in lessons))


def _due(connection: Connection, rules: Rules, now: datetime) -> dict[str, LearnRule]:
    wanted = to_learn(rules)
    if not wanted:
        return {}
    last, zone = learnings.last_lessons(connection), ZoneInfo(rules.zone)

    def is_due(model: str, rule: LearnRule) -> bool:
        if model not in last:
            return True
        learnt_by, is_learnt, at = last[model]
        return learnt_by != rule or not is_learnt or f"{at.astimezone(zone):%Y-%m}" != f"{now.astimezone(zone):%Y-%m}"

    return {model: rule for model, rule in wanted.items() if is_due(model, rule)}


def _period(now: datetime, over_months: int) -> tuple[datetime, datetime]:
    """
    From and up to which instant deals count, whole days where the company is; ``now`` is there too.
    """
    since, until = days_to_learn_from(now.date(), over_months)
    return datetime.combine(since, time(), now.tzinfo), datetime.combine(until, time(), now.tzinfo)


def _paths(connection: Connection, run: Run, over_months: int) -> list[PathCount]:
    since, until = _period(run.now.astimezone(ZoneInfo(run.rules.zone)), over_months)
    return closed_journeys(connection, run.rules, since, until)


def _lesson(model: str, rule: LearnRule, paths: list[PathCount], now: datetime) -> Lesson:
    since, until = _period(now, rule.over_months)
    conversions = sum(path.conversions for path in paths)
    weights: Mapping[str, Fraction] | None = learn(paths, rule.by).weights if conversions >= FEWEST_WON else None
    return Lesson(model, rule, since, until, conversions, sum(path.nulls for path in paths), weights)


def _moved(before: AttributionRules, after: AttributionRules) -> str | None:
    """
    Which deals the new learnings change: all where a model goes by another first one, open ones where only the last
    weighs otherwise, none where it weighs the same.
    """
    had = {model.name: model.learnings for model in before.models if model.learn}
    moved = None
    for model in after.models:
        if not model.learn:
            continue
        old = had.get(model.name, ())
        if not old or old[0].number != model.learnings[0].number:
            return "all"
        if old[-1].weights != model.learnings[-1].weights:
            moved = "open"
    return moved
