"""
The Celery app: how rings travel and how workers behave. ``celery -A tasks.app worker`` and ``beat`` start from here.

The database is the queue; a message only says that a flow has work. So acknowledgements, redelivery and results do not
matter, and everything here is set for a worker that stops quickly and comes back quickly.
"""

import logging
import os
import threading
from datetime import timedelta
from functools import cache
from typing import Any

from celery import Celery, signals

from config.logging import configure_logging
from config.rulefiles import Rules, load_rules
from config.settings import load_settings
from worker.broker.bell import QUEUES, TASK_PREFIX, bell, broker_url, transport_options
from worker.flows.run import Service

# Beat rings this often; a ring finds at once whether anything is due.
TICK_SECONDS = float(os.environ.get("HEADWATER_TICK_SECONDS", "5"))
# Without any beat a worker rings for itself, a little slower.
OWN_TICK_SECONDS = TICK_SECONDS * 3


def _app() -> Celery:
    settings = load_settings()
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else "redis://127.0.0.1:6379/0"
    made = Celery("headwater", broker=broker_url(redis_url), include=["tasks.flows", "tasks.tick"])
    made.conf.update(
        broker_transport_options=transport_options(),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_acks_late=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue="tick",
        task_routes={TASK_PREFIX + flow: {"queue": queue} for flow, queue in QUEUES.items()},
        task_time_limit=300,
        # No limit on messages in hand. With one, a broker that falls while a message is being acknowledged leaves it
        # counted for good, and a worker whose hands are full never asks the broker again, alive and deaf.
        worker_prefetch_multiplier=0,
        worker_max_tasks_per_child=500,
        worker_max_memory_per_child=600_000,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_soft_shutdown_timeout=5,
        beat_schedule={"tick": {"task": f"{TASK_PREFIX}tick", "schedule": TICK_SECONDS, "options": {"expires": 30}}},
        beat_scheduler="celery.beat:Scheduler",
        timezone="UTC",
    )
    made.conf.task_queues = None
    return made


app = _app()
ALL_QUEUES = ",".join(sorted({*QUEUES.values(), "tick"}))


# The rules that this worker put in force when it started; its children go by them, whenever they were forked.
_rules: list[Rules] = []


@signals.worker_init.connect
def put_rules_in_force(**_: Any) -> None:
    """
    Starting a worker is what brings changed rule files into force.
    """
    from worker.store.session import connect
    from worker.wiring import register

    settings = load_settings()
    if settings.database_url is None:
        return
    _rules[:] = [load_rules(settings.rules)]
    engine = connect(settings.database_url.get_secret_value(), pool_size=1)
    register(engine, _rules[0])
    # The children make connections of their own; one that was shared over a fork would answer both.
    engine.dispose()


@cache
def service() -> Service:
    """
    This process's way to the database and the platforms, made at its first task.
    """
    from worker.wiring import build

    lease = os.environ.get("HEADWATER_LEASE_SECONDS")
    return build(
        load_settings(),
        decides=False,
        lease=timedelta(seconds=float(lease)) if lease else None,
        files=_rules[0] if _rules else None,
    )


def read_rules_again() -> None:
    """
    Others are in force: the next task reads the rule files anew, without putting them in force.
    """
    service().engine.dispose()
    service.cache_clear()
    _rules.clear()


@signals.setup_logging.connect
def _logging(**_: Any) -> None:
    configure_logging(load_settings().log)
    # A ring a second says nothing; what runs did is logged by drain.
    logging.getLogger("celery").setLevel(logging.WARNING)


@signals.worker_ready.connect
def _ring_for_oneself(**_: Any) -> None:
    """
    A worker without any beat still finds what is due: it rings once an interval by itself.
    """
    settings = load_settings()
    if settings.redis_url is None:
        return
    ring = bell(settings.redis_url.get_secret_value())

    def tick_for_ever() -> None:
        pause = threading.Event()
        while not pause.wait(OWN_TICK_SECONDS):
            ring(["tick"])

    threading.Thread(target=tick_for_ever, name="own-tick", daemon=True).start()
