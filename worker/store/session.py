"""
The one door to the database: an engine made from an address. Called by wiring and the command line.
"""

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError

from worker.core.errors import Fatal

# Disks have no arm to move any more: at the default of 4 the planner scans whole tables for a hundred subjects. jit compiles
# for a third of a second what then runs for a thousandth. What we note before we send leans on commits that are kept.
# A worker that stops for good inside a transaction (a paused machine, a cut network) gives its locks up after five minutes.
SESSION = " ".join(
    f"-c {setting}"
    for setting in (
        "timezone=UTC",
        "random_page_cost=1.1",
        "jit=off",
        "synchronous_commit=on",
        "idle_in_transaction_session_timeout=300000",
        "tcp_keepalives_idle=30",
        "tcp_keepalives_interval=10",
        "tcp_keepalives_count=3",
    )
)


def connect(database_url: str, *, pool_size: int = 4) -> Engine:
    """
    An engine for PostgreSQL at ``database_url`` (``postgresql+psycopg://``).

    Connections are checked before use, so that a restarted server costs one reconnection and no error.
    """
    return create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=2,
        pool_pre_ping=True,
        # Values of statements are people's data: they stay out of error texts and so out of logs.
        hide_parameters=True,
        connect_args={"application_name": "headwater", "options": SESSION},
    )


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
