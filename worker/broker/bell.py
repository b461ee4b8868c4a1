"""
Rings: tells workers that flows have work, by name and with nothing else. A ring may be lost or doubled without harm,
because the database remembers what is to be done. Called by wiring's service and by whoever asks for a job.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

log = structlog.get_logger()

# Which queue a flow's ring goes to; a worker may be given some of them only.
QUEUES: dict[str, str] = {
    "tick": "tick",
    "resync": "asked",
    "pull": "pull",
    "reread": "pull",
    "sweep": "pull",
    "resolve": "decide",
    "engage": "decide",
    "attribute": "decide",
    "originate": "decide",
    "plan": "decide",
    "apply": "apply",
    "upkeep": "decide",
    "learn": "decide",
}

TASK_PREFIX = "headwater."


def broker_url(redis_url: str) -> str:
    """
    The address as kombu spells it: a socket's ``unix://`` becomes ``redis+socket://``.
    """
    if not redis_url.startswith("unix://"):
        return redis_url
    parts = urlsplit(redis_url)
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def transport_options() -> dict[str, Any]:
    """
    How rings travel: short patience everywhere, so that a silent broker holds nobody up.
    """
    return {
        "visibility_timeout": 300,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "global_keyprefix": "headwater:",
    }


def bell(redis_url: str) -> Callable[[Sequence[str]], None]:
    """
    A function that rings for flows. A broker that does not answer is noted and nothing more: the next tick rings again.
    """
    app = Celery("headwater-bell", broker=broker_url(redis_url), set_as_current=False)
    app.conf.update(
        broker_transport_options=transport_options() | {"max_retries": 1},
        broker_connection_retry=False,
        task_ignore_result=True,
        task_publish_retry=False,
    )

    def ring(flows: Sequence[str]) -> None:
        try:
            for flow in flows:
                app.send_task(TASK_PREFIX + flow, queue=QUEUES[flow])
        except (OperationalError, OSError) as error:
            log.warning("bell not heard", flows=list(flows), reason=type(error).__name__)

    return ring
