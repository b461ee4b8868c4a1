"""
One short task a flow: drain what is ready of it.
"""

import structlog

from tasks.app import app, read_rules_again, service
from worker.broker.bell import TASK_PREFIX
from worker.core.errors import StaleRules
from worker.flows.drain import FLOWS, drain

log = structlog.get_logger()


def _register(flow: str) -> None:
    @app.task(name=TASK_PREFIX + flow)
    def ring_answered() -> int:
        try:
            return drain(service(), (flow,))
        except StaleRules as error:
            # Nothing was claimed; the next ring finds this process with the rules that are in force.
            log.warning("rules read again", flow=flow, code=error.code)
            read_rules_again()
            return 0


for _flow in FLOWS:
    _register(_flow)
