"""
Databases from a template.
"""

import psycopg
import pytest

from tests.embedded.conftest import query
from worker.embedded.databases import create_database, drop_database, ensure_template, url_for
from worker.embedded.parts import EmbeddedParts


def names(url: str) -> set[str]:
    return {name for (name,) in query(url, "SELECT datname FROM pg_database")}


def test_a_database_from_a_template_has_its_rows_and_keeps_its_own(parts: EmbeddedParts) -> None:
    prepared: list[str] = []

    def prepare(url: str) -> None:
        prepared.append(url)
        query(url, "CREATE TABLE river AS SELECT 'Rhine' AS name")

    for _ in range(2):
        ensure_template(parts.database_url, "rivers", prepare)
    assert len(prepared) == 1
    first = create_database(parts.database_url, "first", template="rivers")
    second = create_database(parts.database_url, "second", template="rivers")
    query(first, "DELETE FROM river")
    assert query(second, "SELECT name FROM river") == [("Rhine",)]
    for name in ("first", "second"):
        drop_database(parts.database_url, name)
    assert not {"first", "second"} & names(parts.database_url)


def test_a_template_whose_making_failed_is_made_again(parts: EmbeddedParts) -> None:
    def fail(url: str) -> None:
        query(url, "CREATE TABLE half (made int)")
        raise RuntimeError("the migration failed")

    with pytest.raises(RuntimeError, match="the migration failed"):
        ensure_template(parts.database_url, "second_try", fail)
    assert "second_try" not in names(parts.database_url)
    ensure_template(parts.database_url, "second_try", lambda url: query(url, "CREATE TABLE whole (made int)"))
    url = create_database(parts.database_url, "from_second_try", template="second_try")
    assert query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("whole",)]
    drop_database(parts.database_url, "from_second_try")


def test_a_database_is_dropped_although_somebody_is_connected(empty_database_url: str) -> None:
    url = create_database(empty_database_url, "busy")
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("SELECT 1")
        drop_database(empty_database_url, "busy")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert url == url_for(empty_database_url, "busy")


def test_each_test_has_a_migrated_database_of_its_own(database_url: str) -> None:
    tables = {name for (name,) in query(database_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert {"account", "alembic_version"} <= tables
