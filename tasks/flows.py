"""
One short task a flow: drain what is ready of it.
"""

from tasks.app import app, service
from worker.broker.bell import TASK_PREFIX
from worker.flows.drain import FLOWS, drain


def _register(flow: str) -> None:
    @app.task(name=TASK_PREFIX + flow)
    def ring_answered() -> int:
        return drain(service(), (flow,))


for _flow in FLOWS:
    _register(_flow)
