"""
The one door to the database: an engine made from an address. Called by wiring and the command line.
"""

from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from worker.core.errors import Fatal

# Disks have no arm to move any more: at the default of 4 the planner scans whole tables for a hundred subjects. jit compiles
# for a third of a second what then runs for a thousandth. A plan made for good while a table was empty would scan it when
# it is full: only ``bulk.plan_for_few`` has plans kept, and sees to that. What we note before we send leans on commits
# that are kept.
# A worker that stops for good inside a transaction (a paused machine, a cut network) gives its locks up after five minutes.
SESSION = " ".join(
    f"-c {setting}"
    for setting in (
        "timezone=UTC",
        "random_page_cost=1.1",
        "jit=off",
        "plan_cache_mode=force_custom_plan",
        "synchronous_commit=on",
        "idle_in_transaction_session_timeout=300000",
        "tcp_keepalives_idle=30",
        "tcp_keepalives_interval=10",
        "tcp_keepalives_count=3",
    )
)

# A cycle asks some two hundred different statements. psycopg keeps a hundred prepared unless told otherwise, and of more
# than that, asked one after the other and over again, it would keep none.
PREPARED_STATEMENTS: Final = 1_000


def connect(database_url: str, *, pool_size: int = 4) -> Engine:
    """
    An engine for PostgreSQL at ``database_url`` (``postgresql+psycopg://``).

    Connections are checked before use, so that a restarted server costs one reconnection and no error. One that has its
    statements prepared is taken before one that has not; a rollback makes it forget them, so even transactions that
    only look are better committed.
    """
    engine = create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=2,
        pool_pre_ping=True,
        pool_use_lifo=True,
        # Values of statements are people's data: they stay out of error texts and so out of logs.
        hide_parameters=True,
        connect_args={"application_name": "headwater", "options": SESSION},
    )
    event.listen(engine, "connect", _keep_prepared)
    return engine


def _keep_prepared(connection: Any, _record: object) -> None:
    connection.prepared_max = PREPARED_STATEMENTS


def check(engine: Engine) -> None:
    """
    Raise Fatal HW-502 when the database does not answer.
    """
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except OperationalError as error:
        raise Fatal(
            "HW-502",
            "the database does not answer",
            actions=["echo $DATABASE_URL", "headwater doctor"],
            vendor=str(error.orig).strip().splitlines()[0] if error.orig else None,
        ) from error
