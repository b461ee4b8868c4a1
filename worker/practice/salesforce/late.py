"""
Transactions that are open for a while: what they wrote is stamped when it was written and visible when they commit.

A transaction is carried out at once, what it wrote is noted row by row, and the whole is undone; the commit puts those
rows where they belong, stamps and all. Until then the rows are held, as by a real lock: nobody else may write them.
Open transactions are rows themselves, so a restart and a snapshot keep them. Called by the control API; whoever
serves a request commits first what is due.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from worker.practice.salesforce.database import HELD
from worker.practice.salesforce.errors import lock_refusal
from worker.practice.salesforce.ground import Ground
from worker.practice.salesforce.values import stamp

T = TypeVar("T")
# Tables beside the objects' own that a transaction may write, all with a column ``id``.
BOOKS = ("_deletions", "_own_history")
WATCH = "late_"  # what the names of this module's triggers begin with
# table -> record id -> the row as the transaction left it, None where it removed it.
Images = dict[str, dict[str, dict[str, Any] | None]]


@dataclass(frozen=True)
class Transaction:
    """
    An open transaction: its number, its start and its commit as stamps, the ids of the records it has written.
    """

    id: int
    started: str
    commits: str
    ids: tuple[str, ...]


class _UndoneError(Exception):
    """
    Leaves a savepoint so that all that happened in it is undone.
    """


class LateCommits:
    """
    The open transactions of one org. Safe to use from any thread.
    """

    def __init__(self, org: Ground) -> None:
        self.org = org
        self._open: list[Transaction] = []
        self._is_prepared = False
        self.load()

    def load(self) -> None:
        """
        Find the open transactions the database remembers.
        """
        with self.org.database.write() as connection:
            rows = connection.execute("SELECT id, started, commits, images FROM _open ORDER BY id").fetchall()
            connection.execute("DELETE FROM _held")
            self._open = []
            for number, started, commits, text in rows:
                self._note(Transaction(number, started, commits, _written(json.loads(text))))
        self.guard()

    def run(self, work: Callable[[], T], seconds: float) -> tuple[T, Transaction]:
        """
        Do ``work`` in a transaction that commits ``seconds`` from now; its answer and the transaction. Whatever
        ``work`` raises ends the transaction.
        """
        if seconds < 0:
            raise ValueError(f"a transaction commits now or later, not {-seconds:g} s ago")
        self._prepare()
        now = self.org.clock.now()
        answers: list[T] = []
        images: Images = {}
        with self.org.database.write() as connection:
            try:
                with self.org.database.write():
                    connection.execute("INSERT INTO temp.watching VALUES (1)")
                    answers.append(work())
                    images = self._images(connection)
                    raise _UndoneError  # noqa: TRY301 - leaving the block is what undoes the work
            except _UndoneError:
                pass
            number = 1 + int(connection.execute("SELECT COALESCE(MAX(id), 0) FROM _open").fetchone()[0])
            commits = stamp(now + timedelta(seconds=seconds))
            made = Transaction(number, stamp(now), commits, _written(images))
            text = json.dumps(images, sort_keys=True)
            connection.execute("INSERT INTO _open VALUES (?, ?, ?, ?)", (number, made.started, commits, text))
            self._note(made)
        return answers[0], made

    def settle(self) -> None:
        """
        Commit what is due.
        """
        if self._open:
            now = stamp(self.org.clock.now())
            self._end(lambda each: each.commits <= now, commit=True)

    def end(self, number: int | None, *, commit: bool) -> int:
        """
        Commit or roll back one transaction, or all of them, whether due or not; how many. Raises ``ValueError``.
        """
        if number is not None and all(each.id != number for each in self._open):
            raise ValueError(f"there is no open transaction {number}")
        return self._end(lambda each: number in (None, each.id), commit=commit)

    def open(self) -> list[Transaction]:
        """
        The open transactions, oldest first.
        """
        return list(self._open)

    def oldest_start(self) -> str | None:
        """
        When the oldest open transaction began: getUpdated and getDeleted vouch for nothing after it.
        """
        return min((each.started for each in self._open), default=None)

    def check(self, ids: Iterable[str | None]) -> None:
        """
        Refuse to write a record that an open transaction holds. Raises ``RowError`` UNABLE_TO_LOCK_ROW.
        """
        if self._open:
            held = {each for transaction in self._open for each in transaction.ids}
            locked = sorted(held.intersection(each for each in ids if each))
            if locked:
                raise lock_refusal(locked[0])

    def _end(self, chosen: Callable[[Transaction], bool], *, commit: bool) -> int:
        with self.org.database.write() as connection:
            ending = sorted((each for each in self._open if chosen(each)), key=lambda each: (each.commits, each.id))
            for each in ending:
                (text,) = connection.execute("SELECT images FROM _open WHERE id = ?", (each.id,)).fetchone()
                connection.execute("DELETE FROM _held WHERE number = ?", (each.id,))
                connection.execute("DELETE FROM _open WHERE id = ?", (each.id,))
                if commit:
                    _put(connection, json.loads(text))
            self._open = [each for each in self._open if each not in ending]
        return len(ending)

    def _note(self, made: Transaction) -> None:
        self._open.append(made)
        marks = ((each, made.id) for each in made.ids)
        self.org.database.writer.executemany("INSERT OR IGNORE INTO _held VALUES (?, ?)", marks)

    def _prepare(self) -> None:
        """
        Have writes noted while a transaction is being carried out, and held rows refused at any time. Triggers of the
        writing connection do both; they stay once made, for making them takes longer than most transactions.
        """
        if self._is_prepared:
            return
        with self.org.database.write() as connection:
            for statement in (
                "CREATE TEMP TABLE IF NOT EXISTS written (name TEXT, id TEXT, PRIMARY KEY (name, id)) WITHOUT ROWID",
                "CREATE TEMP TABLE IF NOT EXISTS watching (yes INTEGER)",
            ):
                connection.execute(statement)
            for table in (*(each.name for each in self.org.schema), *BOOKS):
                for verb, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
                    connection.execute(
                        f'CREATE TEMP TRIGGER "{WATCH}{table}_{verb}" AFTER {verb} ON main."{table}" '
                        "WHEN EXISTS (SELECT 1 FROM watching) "
                        f"BEGIN INSERT OR IGNORE INTO written VALUES ('{table}', {row}.Id); END"
                    )
                    if verb != "INSERT" and table not in BOOKS:
                        connection.execute(
                            f'CREATE TEMP TRIGGER "{WATCH}{table}_{verb}_held" BEFORE {verb} ON main."{table}" '
                            "WHEN EXISTS (SELECT 1 FROM main._held WHERE id = OLD.Id) "
                            f"BEGIN SELECT RAISE(ABORT, '{HELD}'); END"
                        )
        self._is_prepared = True

    def _images(self, connection: sqlite3.Connection) -> Images:
        images: Images = {}
        for table, record_id in connection.execute("SELECT name, id FROM temp.written").fetchall():
            cursor = connection.execute(f'SELECT * FROM "{table}" WHERE Id = ?', (record_id,))
            row = cursor.fetchone()
            names = [column[0] for column in cursor.description]
            images.setdefault(table, {})[record_id] = None if row is None else dict(zip(names, row, strict=True))
        return images

    def guard(self) -> None:
        """
        Make the triggers anew, because the tables have changed; none where nobody has opened a transaction yet.
        """
        with self.org.database.write() as connection:
            rows = connection.execute("SELECT name FROM sqlite_temp_master WHERE type = 'trigger'").fetchall()
            for (name,) in rows:
                if name.startswith(WATCH):
                    connection.execute(f'DROP TRIGGER temp."{name}"')
        self._is_prepared = False
        if self._open:
            self._prepare()


def _written(images: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted(each for table, rows in images.items() if table not in BOOKS for each in rows))


def _put(connection: sqlite3.Connection, images: Images) -> None:
    for table, rows in images.items():
        present = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
        for record_id, image in rows.items():
            if image is None:
                connection.execute(f'DELETE FROM "{table}" WHERE Id = ?', (record_id,))
                continue
            # A field may have gone since the transaction wrote it.
            row = {name: value for name, value in image.items() if name in present}
            sets = ", ".join(f'"{name}" = ?' for name in row)
            values = list(row.values())
            if connection.execute(f'UPDATE "{table}" SET {sets} WHERE Id = ?', [*values, record_id]).rowcount == 0:
                columns = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join("?" * len(values))
                connection.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', values)
