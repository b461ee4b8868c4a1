"""
Where the practice org keeps its records: one SQLite table an object, a column a stored field.

One connection writes, under a lock; every thread reads through a connection of its own, so that a long export sees one
moment and stops nobody. The file is lost with the data folder, hence no waiting for the disk.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from worker.practice.salesforce.errors import lock_refusal
from worker.practice.salesforce.lag import ReadLag
from worker.practice.salesforce.schema import ID_TYPES, NUMBER_TYPES, Field, Schema, SObject

UNINDEXED = frozenset({"createdbyid", "lastmodifiedbyid", "recordtypeid", "profileid", "userroleid"})
HELD = "row held by an open transaction"  # what the guards of late.py say
PAGE_CACHE_KIB = 65_536
MAPPED_BYTES = 256 << 20


class Database:
    """
    The tables of a schema in one file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._readers = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._open_lock = threading.Lock()
        self.writer = self._connect()
        self.writer.execute("PRAGMA journal_mode = WAL")
        self.writer.execute("PRAGMA synchronous = OFF")
        self.writer.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB}")
        self._depth = 0
        self._owner = 0
        self.lag: ReadLag | None = None

    def close(self) -> None:
        """
        Close all connections; whoever still reads gets an error.
        """
        with self._open_lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

    @property
    def reader(self) -> sqlite3.Connection:
        """
        A reading connection. It sees what is committed, unless reading lags behind, and inside ``write`` what this
        thread has written.
        """
        if self._depth and self._owner == threading.get_ident():
            return self.writer
        behind = self.lag.reader() if self.lag is not None else None
        if behind is not None:
            return behind
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
        return connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """
        A connection for a long export, which sees what a reader sees now.
        """
        behind = self.lag.reader() if self.lag is not None else None
        if behind is not None:
            yield behind
            return
        with contextlib.closing(self.open_reader()) as connection:
            yield connection

    def open_reader(self) -> sqlite3.Connection:
        """
        A reading connection of its own; the caller closes it or lets go of it.
        """
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=60)
        connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        connection.execute("PRAGMA query_only = ON")
        return connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """
        One transaction, committed at the end and rolled back on any error. Nested, it is a savepoint of the outer one.
        Raises ``RowError`` UNABLE_TO_LOCK_ROW where a row is written that an open transaction of ``late.py`` holds.
        """
        with self.lock:
            name = f"level_{self._depth}"
            if self._depth == 0 and self.lag is not None:
                self.lag.hold()
            self.writer.execute("BEGIN IMMEDIATE" if self._depth == 0 else f"SAVEPOINT {name}")
            self._depth += 1
            self._owner = threading.get_ident()
            try:
                yield self.writer
            except BaseException as error:
                self.writer.execute("ROLLBACK" if self._depth == 1 else f"ROLLBACK TO {name}")
                if self._depth > 1:
                    self.writer.execute(f"RELEASE {name}")
                if isinstance(error, sqlite3.IntegrityError) and HELD in str(error):
                    raise lock_refusal() from error
                raise
            else:
                self.writer.execute("COMMIT" if self._depth == 1 else f"RELEASE {name}")
            finally:
                self._depth -= 1

    def ensure_schema(self, schema: Schema) -> None:
        """
        Make the tables, columns and indexes that are missing. Never removes any.
        """
        with self.write() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS _deletions (object TEXT, id TEXT PRIMARY KEY, at TEXT, root TEXT)"
            )
            connection.execute("CREATE INDEX IF NOT EXISTS _deletions_root ON _deletions (root)")
            connection.execute("CREATE INDEX IF NOT EXISTS _deletions_at ON _deletions (object, at)")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS _own_history "
                "(opportunity TEXT, id TEXT, PRIMARY KEY (opportunity, id)) WITHOUT ROWID"
            )
            connection.execute("CREATE TABLE IF NOT EXISTS _hidden (id TEXT PRIMARY KEY) WITHOUT ROWID")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS _open (id INTEGER PRIMARY KEY, started TEXT, commits TEXT, images TEXT)"
            )
            connection.execute("CREATE TABLE IF NOT EXISTS _facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
            connection.execute("CREATE TABLE IF NOT EXISTS _held (id TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID")
            for sobject in schema:
                self._ensure_table(connection, sobject)

    def replace(self, source: sqlite3.Connection) -> None:
        """
        Be a copy of another database, page for page. The caller holds the lock and no transaction.
        """
        triggers = self.writer.execute("SELECT name FROM sqlite_temp_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            self.writer.execute(f'DROP TRIGGER temp."{name}"')
        source.backup(self.writer)

    def drop_tables(self) -> None:
        """
        Remove everything.
        """
        with self.write() as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                connection.execute(f'DROP TABLE "{name}"')

    def _ensure_table(self, connection: sqlite3.Connection, sobject: SObject) -> None:
        present = {row[1].lower() for row in connection.execute(f'PRAGMA table_info("{sobject.name}")')}
        if not present:
            columns = ", ".join(column_definition(field) for field in sobject.stored_fields)
            connection.execute(f'CREATE TABLE "{sobject.name}" ({columns})')
        for field in sobject.stored_fields:
            if present and field.name.lower() not in present:
                connection.execute(f'ALTER TABLE "{sobject.name}" ADD COLUMN {column_definition(field)}')
        for statement in index_definitions(sobject):
            connection.execute(statement)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=60)
        connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        with self._open_lock:
            self._open.append(connection)
        return connection


def column_definition(field: Field) -> str:
    """
    The column of a stored field. Text compares without regard to case, as SOQL does; ids compare exactly.
    """
    if field.type == "boolean":
        return f'"{field.name}" INTEGER NOT NULL DEFAULT {int(bool(field.default))}'
    if field.type == "int":
        return f'"{field.name}" INTEGER'
    if field.type in NUMBER_TYPES:
        return f'"{field.name}" REAL'
    exact = field.type in ID_TYPES or field.type in {"date", "datetime", "time"} or field.case_sensitive
    return f'"{field.name}" TEXT' + ("" if exact else " COLLATE NOCASE")


def index_definitions(sobject: SObject) -> Iterable[str]:
    """
    The indexes of an object's table: id, stamp, the deleted ones, references, and whatever records are looked up by.
    """
    table = sobject.name
    yield f'CREATE UNIQUE INDEX IF NOT EXISTS "{table}_Id" ON "{table}" (Id)'
    if sobject.get("SystemModstamp"):
        yield f'CREATE INDEX IF NOT EXISTS "{table}_SystemModstamp" ON "{table}" (SystemModstamp, Id)'
        if sobject.soft_deletes:
            yield (
                f'CREATE INDEX IF NOT EXISTS "{table}_IsDeleted" ON "{table}" (SystemModstamp, Id) WHERE IsDeleted = 1'
            )
    for field in sobject.stored_fields:
        looked_up = field.id_lookup or field.external_id or field.unique
        if field.name != "Id" and (field.type == "reference" or looked_up) and field.name.lower() not in UNINDEXED:
            yield (
                f'CREATE INDEX IF NOT EXISTS "{table}_{field.name}" ON "{table}" ("{field.name}") '
                f'WHERE "{field.name}" IS NOT NULL'
            )
