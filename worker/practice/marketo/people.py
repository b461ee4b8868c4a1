"""
The people of the practice Marketo, looked up by id, e-mail or Salesforce id.

A person is a mapping of field names to JSON values; a field without value is absent. Used by ``org`` alone, under its
lock.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from worker.practice.marketo.database import read_fact, transaction, write_fact

Person = dict[str, Any]

_KEYS: Final = {
    "email": "email",
    "sfdcLeadId": "lead",
    "sfdcContactId": "contact",
    "sfdcAccountId": "account",
}


class PeopleTable:
    """
    Ids are the platform's numbers; e-mail is compared without regard to case, as the platform does.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._next: int = 1 + max(
            database.execute("SELECT COALESCE(MAX(id), 0) FROM people").fetchone()[0],
            read_fact(database, "last_person"),
        )

    def next_id(self) -> int:
        """
        An id that nobody has or had.
        """
        self._next += 1
        return self._next - 1

    def save(self, people: Iterable[Person]) -> None:
        """
        Insert or replace; every person carries ``id``.
        """
        rows = [
            (p["id"], *(p.get(field) for field in _KEYS), json.dumps(p, ensure_ascii=False, separators=(",", ":")))
            for p in people
        ]
        self._next = max([self._next, *(row[0] + 1 for row in rows)])
        with transaction(self._db):
            self._db.executemany("INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?, ?, ?)", rows)
            # Remembered beside the rows, because the id of a deleted person is never given again.
            write_fact(self._db, "last_person", self._next - 1)

    def get(self, number: int) -> Person | None:
        """
        One person, or None.
        """
        row = self._db.execute("SELECT document FROM people WHERE id = ?", (number,)).fetchone()
        return None if row is None else _read(row[0])

    def remove(self, number: int) -> None:
        """
        Forget a person; their id is never given again.
        """
        self._db.execute("DELETE FROM people WHERE id = ?", (number,))

    def count(self) -> int:
        """
        How many there are.
        """
        number: int = self._db.execute("SELECT COUNT(*) FROM people").fetchone()[0]
        return number

    def find(self, field: str, values: Sequence[str], *, after: int, limit: int) -> tuple[int, list[Person]]:
        """
        How many people match at all, and those with an id above ``after``, by id, at most ``limit``.

        ``field`` is ``id`` or one of the indexed keys; other fields are compared one by one.
        """
        column = "id" if field == "id" else _KEYS.get(field)
        marks = ", ".join("?" * len(values))
        if column is None:
            wanted = f"CAST(json_extract(document, '$.' || ?) AS TEXT) IN ({marks})"
            bound: list[Any] = [field, *values]
        else:
            wanted = f"{column} IN ({marks})"
            bound = [int(v) if column == "id" else v for v in values]
        total: int = self._db.execute(f"SELECT COUNT(*) FROM people WHERE {wanted}", bound).fetchone()[0]
        rows = self._db.execute(
            f"SELECT document FROM people WHERE {wanted} AND id > ? ORDER BY id LIMIT ?", [*bound, after, limit]
        )
        return total, [_read(row[0]) for row in rows]


def _read(document: str) -> Person:
    person: Person = json.loads(document)
    return person
