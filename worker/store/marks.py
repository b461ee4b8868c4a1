"""
Remembers what kind of data this store holds, so that a made-up company and a real one never meet in one store.
"""

from sqlalchemy import Connection, text

from worker.core.errors import Fatal

_MADE_UP = "made_up_company"


def is_made_up(connection: Connection) -> bool:
    """
    Whether the store holds the demo's company.
    """
    return connection.execute(text("SELECT 1 FROM setting WHERE key = :key"), {"key": _MADE_UP}).first() is not None


def is_empty(connection: Connection) -> bool:
    """
    Whether nothing was ever read into this store.
    """
    return connection.execute(text("SELECT 1 FROM cursor LIMIT 1")).first() is None


def mark_made_up(connection: Connection) -> None:
    """
    This store is the demo's from now on. Raises Fatal HW-112 where it holds somebody's real data.
    """
    if is_made_up(connection):
        return
    if not is_empty(connection):
        raise Fatal(
            "HW-112",
            "this store holds data that are not the demo's, and the demo would mix with them",
            actions=["HEADWATER_HOME=.headwater/demo make demo"],
        )
    connection.execute(text("INSERT INTO setting (key) VALUES (:key)"), {"key": _MADE_UP})


def expect_no_other(connection: Connection, login_url: str, demo_url: str | None) -> None:
    """
    Raise Fatal HW-113 where another organisation than the demo's own would be read into the demo's store, or be written
    to from it. ``demo_url`` is where the demo's practice org was last served, None where nobody knows.

    A practice org of one's own is another organisation too: its records have the same ids as the demo's.
    """
    if is_made_up(connection) and login_url.rstrip("/") != (demo_url or "").rstrip("/"):
        raise Fatal(
            "HW-113",
            f"this store holds the demo's made-up company, and the organisation at {login_url} would mix with it",
            actions=[
                "export HEADWATER_HOME=.headwater/own   # a store of its own; then start again, practice orgs included",
                "where DATABASE_URL is set: give it another database, then  headwater migrate",
            ],
        )


def wipe(connection: Connection) -> None:
    """
    Forget everything but the shape of the database. Raises Fatal HW-112 unless the data are the demo's or there are
    none.
    """
    mark_made_up(connection)
    names = connection.execute(
        text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
    )
    tables = ", ".join(f'"{name}"' for (name,) in names)
    connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
