"""
One short task a flow: drain what is ready of it.
"""

import structlog

from tasks.app import app, read_rules_again, service
from worker.broker.bell import TASK_PREFIX
from worker.core.errors import StaleRules
from worker.flows.drain import FLOWS, drain
from worker.store import decisions, findings

log = structlog.get_logger()

STALE = "rules"


def _register(flow: str) -> None:
    @app.task(name=TASK_PREFIX + flow)
    def ring_answered() -> int:
        try:
            return drain(service(), (flow,))
        except StaleRules as error:
            # Nothing was claimed; the next ring finds this process with the rules that are in force.
            log.warning("rules read again", flow=flow, code=error.code)
            read_rules_again()
            _say_if_still_stale(error)
            return 0


def _say_if_still_stale(error: StaleRules) -> None:
    """
    Rule files that differ from those in force keep this worker from working: a person has to know.
    """
    made = service()
    with made.engine.begin() as connection:
        if decisions.rules_in_force(connection) == made.rules.version:
            findings.clear(connection, STALE)
        else:
            findings.note(connection, STALE, error.code, error.message, error.actions)


for _flow in FLOWS:
    _register(_flow)
