"""
Reads back which channels led to the deals that were closed in a period: what Markov and Shapley are learnt from.

Writes nothing. Called by the learn flow and ``headwater learn``.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from worker.core.attribution.learn import PathCount, observed
from worker.core.deals import why_not_credited
from worker.core.rules import Rules
from worker.flows.attribute import paths_of
from worker.store import decisions

AT_A_TIME: Final = 5_000


def closed_journeys(connection: Connection, rules: Rules, since: datetime, until: datetime) -> list[PathCount]:
    """
    The paths of the deals that earn credit and were closed from ``since`` on and before ``until``, each different one
    once; a path without a touch is none.
    """
    ids, as_of = decisions.closed_between(connection, since, until), until.astimezone(UTC)
    won: Counter[tuple[str, ...]] = Counter()
    lost: Counter[tuple[str, ...]] = Counter()
    for start in range(0, len(ids), AT_A_TIME):
        facts = decisions.deal_facts(connection, ids[start : start + AT_A_TIME])
        earning = facts.filter(why_not_credited(facts, rules.deals).is_null())
        _, touches, paths = paths_of(connection, earning, rules, as_of)
        for path in observed(paths, touches):
            won[tuple(path.channels)] += path.conversions
            lost[tuple(path.channels)] += path.nulls
    return [PathCount(channels, won[channels], lost[channels]) for channels in sorted(won)]
