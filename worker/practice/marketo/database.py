"""
The SQLite file that the practice Marketo remembers in: its tables and its transactions.

One connection serves the whole org; the org's lock keeps threads apart. Nothing is flushed to disk on commit: the
file outlives a stop or a kill of the server, not a power cut.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ACTIVITY: Final = (
    "number INTEGER, person INTEGER, at INTEGER, type INTEGER, campaign INTEGER, primary_id INTEGER, "
    "primary_value TEXT, attributes TEXT, changes TEXT"
)

_PERSON: Final = (
    "id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE, lead TEXT, contact TEXT, account TEXT, document TEXT"
)
_MEMBER: Final = "program INTEGER, person INTEGER, updated_at INTEGER, document TEXT, PRIMARY KEY (program, person)"

_TABLES: Final = (
    f"CREATE TABLE IF NOT EXISTS log (position INTEGER PRIMARY KEY, {_ACTIVITY})",
    f"CREATE TABLE IF NOT EXISTS waiting (commit_at INTEGER, {_ACTIVITY})",
    f"CREATE TABLE IF NOT EXISTS people ({_PERSON})",
    "CREATE INDEX IF NOT EXISTS people_email ON people (email)",
    "CREATE INDEX IF NOT EXISTS people_lead ON people (lead)",
    "CREATE INDEX IF NOT EXISTS people_contact ON people (contact)",
    "CREATE INDEX IF NOT EXISTS people_account ON people (account)",
    "CREATE TABLE IF NOT EXISTS programs (id INTEGER PRIMARY KEY, document TEXT)",
    f"CREATE TABLE IF NOT EXISTS members ({_MEMBER}) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS members_person ON members (person)",
    "CREATE TABLE IF NOT EXISTS fields (name TEXT PRIMARY KEY, label TEXT, data_type TEXT, length INTEGER)",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER)",
)


def open_database(path: Path | None) -> sqlite3.Connection:
    """
    The database at ``path``, made if it is not there; None keeps it in memory.
    """
    database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    for statement in _TABLES:
        database.execute(statement)
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """
    All or nothing; inside another one it is part of that.
    """
    if database.in_transaction:
        yield
        return
    database.execute("BEGIN")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def read_fact(database: sqlite3.Connection, name: str) -> int:
    """
    A remembered number; 0 if it was never set.
    """
    row = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def write_fact(database: sqlite3.Connection, name: str, value: int) -> None:
    """
    Remember a number.
    """
    database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
