"""
Makes and drops databases on a server of our own, quickly from a template: one a test, one a trial of rules.

Takes the URL of any database of the server. Names are ours, so they are quoted and not checked. The new database's
tables are the caller's business.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

TEMPLATE_LOCK = 5_140_001  # the number of the advisory lock that keeps two processes from making one template at once

Connection = psycopg.Connection[tuple[Any, ...]]


def create_database(server_url: str, name: str, *, template: str = "template1") -> str:
    """
    Make a database and return its URL. A template that nobody is connected to is copied file by file.
    """
    with maintenance(server_url) as connection:
        act(connection, "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
    return url_for(server_url, name)


def drop_database(server_url: str, name: str) -> None:
    """
    Remove a database, ending whoever is connected to it. Nothing happens where it is not there.
    """
    with maintenance(server_url) as connection:
        act(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def ensure_template(server_url: str, name: str, prepare: Callable[[str], object]) -> None:
    """
    Make a template once a server: ``prepare`` is given its URL and fills it. Others who ask meanwhile wait.

    It gets its name when it is whole, so one broken off is made again.
    """
    draft = f"{name}_draft"
    with maintenance(server_url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        act(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", draft)
        act(connection, "CREATE DATABASE {}", draft)
        prepare(url_for(server_url, draft))
        connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [draft])
        act(connection, "ALTER DATABASE {} RENAME TO {}", draft, name)
        act(connection, "ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false", name)


@contextmanager
def maintenance(server_url: str) -> Iterator[Connection]:
    """
    A connection to the server's own database, each statement by itself.
    """
    plain = make_url(url_for(server_url, "postgres")).set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


def act(connection: Connection, statement: LiteralString, *names: str) -> None:
    """
    Run a statement with names in its gaps.
    """
    connection.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))


def url_for(server_url: str, name: str) -> str:
    """
    The URL of another database of the same server.
    """
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)
