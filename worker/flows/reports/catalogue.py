"""
Every report by its name, of the present or of a past moment. Called by the command line and the console.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from worker.core.errors import Fatal
from worker.core.instants import to_the_minute
from worker.flows.as_of import Hindsight, Moment
from worker.flows.reports import funnels, money, quota
from worker.flows.reports.campaigns import campaigns
from worker.flows.reports.metrics import metrics
from worker.flows.reports.past import PastRows
from worker.flows.reports.rows import Rows
from worker.flows.reports.shape import Asked, Report, Standing
from worker.flows.reports.value import value
from worker.flows.taught import taught

REPORTS: Final[Mapping[str, Callable[[Rows, Asked], Report]]] = {
    "funnel": funnels.funnel,
    "attribution": money.attribution,
    "engagement": funnels.engagement,
    "journey": money.journey,
    "campaigns": campaigns,
    "velocity": funnels.velocity,
    "quota": quota.quota,
    "handover": funnels.handover,
    "value": value,
    "metrics": metrics,
    "readiness": funnels.readiness,
    "weekly": funnels.weekly,
}
# Reports that cannot be made of a past moment, and why.
PRESENT_ONLY: Final[Mapping[str, str]] = {
    "sources": "it tells what was decided last; the same numbers as of a moment are those of attribution",
    "readiness": "when a field was filled in, or a record tied to another, is not kept",
}


def make(connection: Connection, name: str, asked: Asked) -> Report:
    """
    The report of that name. Raises Fatal for a period, a group, a model or a subject that it has not.
    """
    return _made(Rows(connection, asked.rules), name, asked, until=None)


def make_as_of(hindsight: Hindsight, name: str, asked: Asked, moment: Moment) -> Report:
    """
    The report of that name as of a moment, by the rules in force then; ``asked.rules`` are those, ``asked.now`` is the
    moment. Raises Fatal as ``make`` does, HW-182 for an instant that is yet to come, and HW-164 for a report that can
    only tell the present.
    """
    expect_past(name)
    hindsight.expect_past(moment.at)
    rows = PastRows(hindsight, moment)
    found = _made(rows, name, asked, until=moment.at)
    return replace(found, standing=Standing(moment.at, rows.rules.version, moment.sense, tuple(rows.not_known())))


def expect_past(name: str) -> None:
    """
    Raises Fatal HW-164 for a report that can only tell the present.
    """
    if name in PRESENT_ONLY:
        raise Fatal(
            "HW-164",
            f"the report {name} tells the present only: {PRESENT_ONLY[name]}",
            actions=[f"headwater report {name}", "headwater report attribution --as-of INSTANT"],
        )


def _made(rows: Rows, name: str, asked: Asked, *, until: datetime | None) -> Report:
    """
    ``until``: by which instant a model must have been learnt to count. None, for the present: so far, whatever our
    clock says, which is corrected anew by every answer.
    """
    known = [model.name for model in asked.rules.attribution.models]
    if asked.model not in known:
        when = "" if asked.rules is rows.rules else f" as of {to_the_minute(asked.now)}"
        raise Fatal(
            "HW-163", f"the rules{when} have no model {asked.model}", actions=[f"--model one of {', '.join(known)}"]
        )
    learnt = _learnt(rows, asked, until)
    found = REPORTS[name](rows, asked)
    return replace(found, notes=[*found.notes, *learnt])


def _learnt(rows: Rows, asked: Asked, until: datetime | None) -> list[str]:
    """
    What must be said of a model whose weights are learnt. Raises Fatal HW-147 where they were not yet.
    """
    rules = asked.rules.attribution
    if rules.model(asked.model).learn is None:
        return []
    learnings = [
        each
        for model in taught(rows.connection, asked.rules, until).attribution.models
        if model.name == asked.model
        for each in model.learnings
    ]
    if not learnings:
        raise Fatal(
            "HW-147",
            f"nothing was learnt yet of what channels weigh under {asked.model}, so it divides nothing",
            actions=["headwater learn   (says from how many deals)", f"--model {asked.rules.write_model}"],
        )
    last, times = learnings[-1], "once" if len(learnings) == 1 else f"{len(learnings):,} times"
    words = f"{asked.model} was learnt {times}, last on {last.learnt_at:%Y-%m-%d} (learning {last.number}): "
    return [words + "each deal goes by what had been learnt at its creation, or its close."]
