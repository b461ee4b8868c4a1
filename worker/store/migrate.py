"""
Brings the database to the shape the code expects. Called by ``headwater migrate``, the release process and tests.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from worker.store.session import connect

# Two releases that start at once must not both migrate: whoever has this advisory lock goes first.
MIGRATION_LOCK = 4_119_600_211


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(database_url: str) -> None:
    """
    Apply every migration that is missing, each in a transaction of its own; none if none is missing.
    """
    config = _config()
    engine = connect(database_url)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
            connection.commit()
            try:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
            finally:
                connection.rollback()
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})")
                connection.commit()
    finally:
        engine.dispose()


def newest() -> str:
    """
    The revision this code expects.
    """
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return head or ""


def present(engine: Engine) -> str | None:
    """
    The revision the database is at; None for an empty one.
    """
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
