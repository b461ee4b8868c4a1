"""
The whole state of an org as one thing: kept through a restart, copied into a file, put back, and told apart by a hash.

A snapshot is a copy of the org's SQLite file, with all that does not live in tables (settings, rules, sessions,
allowances, counters, the clock) written into it as one row of JSON. Not in it: Bulk jobs and open query cursors, which
a restored org does not know, and the journal. ``lines`` spells the state out in one canonical way, so that equal states
give equal bytes. Called by the control API, and by the server at its start and end.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.bulk import JOB_PREFIX
from worker.practice.salesforce.bulk1 import BATCH_PREFIX, RESULT_PREFIX
from worker.practice.salesforce.query import CURSOR_PREFIX
from worker.practice.salesforce.rules import Rules
from worker.practice.salesforce.settings import Settings

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

FACTS = "org"
VERSION = 1
# Counters that begin at the second of the machine's clock, so that no process gives an id twice.
PASSING = frozenset({JOB_PREFIX, BATCH_PREFIX, RESULT_PREFIX, CURSOR_PREFIX})
# A table that says nothing about the org: the count of its changes.
BOOKKEEPING = frozenset({"_permissions"})
FETCH_ROWS = 2_000


class Snapshots:
    """
    The state of one org.
    """

    def __init__(self, org: "Org") -> None:
        self.org = org

    def remember(self) -> None:
        """
        Write what does not live in tables beside them, so that the file is the whole org.
        """
        with self.org.database.write() as connection:
            text = json.dumps(self._facts(), sort_keys=True)
            connection.execute("INSERT OR REPLACE INTO _facts VALUES (?, ?)", (FACTS, text))

    def save(self, file: Path) -> None:
        """
        Copy the org into a new file. Raises ``ValueError`` if it cannot be made.
        """
        if file.exists() or not file.parent.is_dir():
            raise ValueError(f"{file} must be a new file in a folder that is there")
        with self.org.database.lock:
            self.remember()
            self.org.database.writer.execute("VACUUM INTO ?", (str(file),))

    def restore(self, file: Path) -> None:
        """
        Make the org what it was when ``file`` was saved, the clock too. Raises ``ValueError`` for any other file.
        """
        with self.org.database.lock:
            with contextlib.closing(_open_snapshot(file)) as source:
                self.org.forget_work()
                self.org.database.replace(source)
            self.org.reread()
            found = self._load(exact=True)
            self.org.clock.load(found["clock"])
            self.remember()

    def resume(self) -> None:
        """
        Go on where the file was left, if it was used before: by its last process, ended or killed.
        """
        if read_facts(self.org.database.writer) is not None:
            found = self._load(exact=False)
            self.org.clock.resume(found["clock"])

    def _load(self, *, exact: bool) -> dict[str, Any]:
        """
        Take up what ``remember`` wrote, but for the clock, and return it. Where it may be older than the tables (not
        ``exact``: the process was killed), the tables decide which ids and numbers come next.
        """
        org = self.org
        found = read_facts(org.database.writer)
        if found is None:
            raise ValueError("nothing was remembered")
        known = {each.name for each in fields(Settings)}
        org.settings = Settings(**{name: value for name, value in found["settings"].items() if name in known})
        org.rules = Rules.load(found["rules"])
        org.ids.load(self._counters(found["ids"], exact=exact))
        org.load_numbers(found["numbers"] if exact else [])
        org.usage.load(found["usage"])
        org.sessions.load(found["sessions"])
        org.schema_changed_at = datetime.fromisoformat(found["schema_changed_at"])
        return found

    def lines(self) -> Iterator[bytes]:
        """
        The state in canonical form: a line of JSON for what is not in tables, then each table with its rows in order.
        """
        with self.org.database.lock:
            found = self._facts()
            reader = self.org.database.open_reader()
        del found["clock"]
        found["ids"] = {prefix: last for prefix, last in found["ids"].items() if prefix not in PASSING}
        with contextlib.closing(reader):
            yield _line(found)
            for table, statement in _tables(reader):
                cursor = reader.execute(statement)
                yield _line({"table": table, "columns": [column[0] for column in cursor.description]})
                while rows := cursor.fetchmany(FETCH_ROWS):
                    yield b"".join(_line(row) for row in rows)

    def digest(self) -> str:
        """
        SHA-256 over ``lines``: equal where two states are equal to the byte.
        """
        made = hashlib.sha256()
        for line in self.lines():
            made.update(line)
        return made.hexdigest()

    def export(self, file: Path) -> int:
        """
        Write ``lines`` into a new file; how many bytes. Raises ``ValueError`` if it cannot be made.
        """
        if file.exists() or not file.parent.is_dir():
            raise ValueError(f"{file} must be a new file in a folder that is there")
        with file.open("wb") as out:
            return sum(out.write(line) for line in self.lines())

    def _counters(self, found: Mapping[str, int], *, exact: bool) -> dict[str, int]:
        told = {**found} if exact else _greater(found, self.org.last_ids())
        passing = {prefix: last for prefix, last in self.org.ids.dump().items() if prefix in PASSING}
        return _greater(told, passing)

    def _facts(self) -> dict[str, Any]:
        org = self.org
        return {
            "version": VERSION,
            "settings": asdict(org.settings),
            "rules": org.rules.dump(),
            "ids": org.ids.dump(),
            "numbers": org.dump_numbers(),
            "usage": org.usage.dump(),
            "sessions": org.sessions.dump(),
            "schema_changed_at": org.schema_changed_at.isoformat(),
            "clock": org.clock.dump(),
        }


def read_facts(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """
    What ``remember`` wrote into a database, or None if nobody has.
    """
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_facts'").fetchone()
    row = connection.execute("SELECT value FROM _facts WHERE name = ?", (FACTS,)).fetchone() if there else None
    return None if row is None else dict(json.loads(row[0]))


def _open_snapshot(file: Path) -> sqlite3.Connection:
    if not file.is_file():
        raise ValueError(f"there is no snapshot {file}")
    source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        found = read_facts(source)
    except sqlite3.DatabaseError as error:
        source.close()
        raise ValueError(f"{file} is no snapshot: {error}") from error
    if found is None or found["version"] != VERSION:
        source.close()
        raise ValueError(f"{file} is no snapshot of this version")
    return source


def _tables(reader: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    rows = reader.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    ).fetchall()
    for name, sql in rows:
        if name not in BOOKKEEPING:
            columns = ", ".join(f'"{row[1]}"' for row in reader.execute(f'PRAGMA table_info("{name}")'))
            order = columns if "WITHOUT ROWID" in sql else "rowid"
            # The row this module writes is the first line already.
            where = f" WHERE name <> '{FACTS}'" if name == "_facts" else ""
            yield name, f'SELECT {columns} FROM "{name}"{where} ORDER BY {order}'


def _greater(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def _line(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
