"""
Gives rules with what their models were learnt to weigh. Called by whoever decides credits; ``learn_models`` learns.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from worker.core.attribution.learnings import LearnRule, in_force
from worker.core.rules import Rules
from worker.store import learnings


def taught(connection: Connection, rules: Rules, until: datetime | None = None) -> Rules:
    """
    The rules with what their models had been learnt to weigh by an instant of the organisation's clock (None: so far);
    models of which nothing was learnt by then are left out.
    """
    wanted = to_learn(rules)
    if not wanted:
        return rules
    kept = learnings.kept(connection, wanted, until)
    counting = {model: in_force(kept.get(model, []), rule) for model, rule in wanted.items()}
    return replace(rules, attribution=rules.attribution.taught(counting))


def to_learn(rules: Rules) -> dict[str, LearnRule]:
    """
    The models whose weights are learnt, by name.
    """
    return {model.name: model.learn for model in rules.attribution.models if model.learn is not None}
