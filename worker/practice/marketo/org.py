"""
The memory of the practice Marketo and what happens to it when somebody acts: people are made, changed, merged and
deleted, activities are committed, programs get members.

Every act on a person leaves the activity that the platform leaves (12 made, 13 changed, 32 merged, 37 deleted). Times
are whole seconds of the practice clock. ``routes`` reads it, ``control`` acts on it; one lock keeps two threads
apart.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from worker.practice.clock import Clock
from worker.practice.marketo.access import Access
from worker.practice.marketo.catalogue import ALWAYS_NULL, FIELDS, Field
from worker.practice.marketo.database import open_database, transaction
from worker.practice.marketo.log import ActivityLog, NewActivity
from worker.practice.marketo.people import PeopleTable, Person
from worker.practice.marketo.programs import Programs
from worker.practice.marketo.rows import activity_of, change_row, deletion_row, merge_row, new_person_row
from worker.practice.marketo.times import parse_instant, spell

Numbering = Literal["unique", "absent", "repeating"]

_BOOKKEEPING: Final = frozenset({"id", "createdAt", "updatedAt"})


class MarketoOrg:
    """
    One subscription. ``path`` is its file, None keeps it in memory. ``fields`` grows with custom fields.

    ``numbering`` is how activities carry their old ``id``: unique, absent, or repeating as on migrated subscriptions;
    ``marketoGUID`` is always there and always unique.
    """

    def __init__(self, clock: Clock, access: Access, path: Path | None = None) -> None:
        self.clock = clock
        self.access = access
        self.lock = threading.RLock()
        self.fields: dict[str, Field] = {field.name: field for field in FIELDS}
        self.searchable_custom: set[str] = set()
        self.numbering: Numbering = "unique"
        self._db = open_database(path)
        self._read()

    def _read(self) -> None:
        """
        Take up what the file holds.
        """
        self.fields = {field.name: field for field in FIELDS}
        self.searchable_custom = set()
        self.people = PeopleTable(self._db)
        self.log = ActivityLog(self._db)
        self.programs = Programs(self._db)
        for name, label, data_type, length in self._db.execute("SELECT * FROM fields ORDER BY rowid").fetchall():
            self._know_field(name, label, data_type, length)

    def save(self, file: Path) -> None:
        """
        Copy the records into a new file.
        """
        with self.lock:
            self._db.execute("VACUUM INTO ?", (str(file),))

    def restore(self, file: Path) -> None:
        """
        Be what ``save`` copied.
        """
        with self.lock, contextlib.closing(sqlite3.connect(file)) as source:
            source.backup(self._db)
            self._read()

    def close(self) -> None:
        """
        Let go of the file.
        """
        with self.lock:
            self._db.close()

    def now(self) -> int:
        """
        The practice clock in whole seconds.
        """
        return int(self.clock.now().timestamp())

    def add_field(self, name: str, label: str, data_type: str, length: int | None) -> None:
        """
        A custom field of people; text and numbers can be searched by.
        """
        if name in self.fields:
            return
        with self.lock:
            self._db.execute("INSERT INTO fields VALUES (?, ?, ?, ?)", (name, label, data_type, length))
            self._know_field(name, label, data_type, length)

    def _know_field(self, name: str, label: str, data_type: str, length: int | None) -> None:
        number = 10_000 + len(self.fields)
        self.fields[name] = Field(number, name, label, data_type, length)
        if data_type in {"string", "email", "integer"}:
            self.searchable_custom.add(name)

    def save_people(self, records: Sequence[Mapping[str, Any]], *, reason: str = "Web service API") -> list[int]:
        """
        Make or change people; ids in order. A known ``id`` changes that person, any other record makes one.

        ``createdAt`` and ``updatedAt`` may be given. A made person leaves a type 12, a changed one a type 13 for each
        changed field, at its ``updatedAt``. Raises ValueError naming the record for unknown fields and wrong values.
        """
        with self.lock, transaction(self._db):
            now = self.now()
            saved: list[Person] = []
            activities: list[NewActivity] = []
            seen: dict[int, Person] = {}
            for index, record in enumerate(records):
                values = self._checked(record, index)
                number = values.pop("id", None)
                number = self.people.next_id() if number is None else int(number)
                before = seen.get(number) or self.people.get(number)
                if before is None:
                    person = self._made(number, values, now)
                    activities.append(new_person_row(person))
                else:
                    person, changes = _changed(before, values, now)
                    activities.extend(change_row(person, self.fields[n], old, new, reason) for n, old, new in changes)
                seen[number] = person
                saved.append(person)
            self.people.save(saved)
            self.log.put(activities, now)
            return [person["id"] for person in saved]

    def _checked(self, record: Mapping[str, Any], index: int) -> dict[str, Any]:
        values = dict(record)
        unknown = sorted(set(values) - set(self.fields))
        if unknown:
            raise ValueError(f"person {index}: unknown field {unknown[0]!r}; marketo/fields adds custom ones")
        if values.get(ALWAYS_NULL) is not None:
            raise ValueError(
                f"person {index}: {ALWAYS_NULL} is null for every person; sfdcLeadId and sfdcContactId hold ids"
            )
        for name in ("createdAt", "updatedAt"):
            if values.get(name) is not None:
                values[name] = spell(parse_instant(str(values[name])))
        return values

    def _made(self, number: int, values: dict[str, Any], now: int) -> Person:
        created = values.get("createdAt") or spell(now)
        person = {name: value for name, value in values.items() if value is not None}
        return {**person, "id": number, "createdAt": created, "updatedAt": values.get("updatedAt") or created}

    def put_activities(self, records: Iterable[Mapping[str, Any]]) -> list[int]:
        """
        Activities as the control API gives them; their numbers in order. Raises ValueError naming the record.
        """
        with self.lock:
            rows = [activity_of(record, index) for index, record in enumerate(records)]
            return self.log.put(rows, self.now())

    def delete_people(self, ids: Sequence[int]) -> list[int]:
        """
        Delete people, each leaving a type 37; the ids that were there.
        """
        with self.lock, transaction(self._db):
            now = self.now()
            gone, rows = [], []
            for number in ids:
                person = self.people.get(number)
                if person is None:
                    continue
                gone.append(number)
                rows.append(deletion_row(person, now))
                self._forget(number)
            self.log.put(rows, now)
            return gone

    def _forget(self, number: int) -> None:
        self.people.remove(number)
        self.programs.forget(number)

    def merge_people(self, winner: int, losers: Sequence[int]) -> list[str]:
        """
        Merge losers into the winner; the fields that the winner took from them because its own were empty.

        Leaves one type 32 at the winner and a type 37 at each loser. Past activities keep the loser's id, so a reader
        has to follow the merge. Raises ValueError when one of them is not there.
        """
        with self.lock, transaction(self._db):
            now = self.now()
            kept = self.people.get(winner)
            lost = [(number, self.people.get(number)) for number in losers if number != winner]
            absent = [number for number, person in [(winner, kept), *lost] if person is None]
            if kept is None or absent:
                raise ValueError(f"no such person: {', '.join(map(str, absent))}")
            taken = _fill(kept, [person for _, person in lost if person is not None])
            kept["updatedAt"] = spell(now)
            rows = [merge_row(kept, [number for number, _ in lost], taken, now)]
            for number, person in lost:
                assert person is not None  # noqa: S101  (absent ones were refused above)
                rows.append(deletion_row(person, now))
                self.programs.move(number, winner)
                self._forget(number)
            self.people.save([kept])
            self.log.put(rows, now)
            return taken

    def save_programs(self, records: Sequence[Mapping[str, Any]]) -> list[int]:
        """
        Make or change programs; ids in order. Raises ValueError when a new one has no name, type or channel.
        """
        with self.lock, transaction(self._db):
            return self.programs.save(records, self.now())

    def save_members(self, records: Sequence[Mapping[str, Any]]) -> int:
        """
        Put people into programs or change their status there; how many. Raises ValueError naming the record.

        Writes no activity: a status change that shall be seen as one is put in as a type 104.
        """
        with self.lock, transaction(self._db):
            for index, record in enumerate(records):
                if self.people.get(int(record["leadId"])) is None:
                    raise ValueError(f"member {index}: no person {record['leadId']}")
            return self.programs.save_members(records, self.now())


def _changed(before: Person, values: dict[str, Any], now: int) -> tuple[Person, list[tuple[str, Any, Any]]]:
    changes = [
        (name, before.get(name), new)
        for name, new in values.items()
        if name not in _BOOKKEEPING and before.get(name) != new
    ]
    person = {**before, **{name: new for name, _, new in changes}}
    if changes or values.get("updatedAt"):
        person["updatedAt"] = values.get("updatedAt") or spell(now)
    return {name: value for name, value in person.items() if value is not None}, changes


def _fill(winner: Person, losers: Sequence[Person]) -> list[str]:
    taken = []
    for loser in losers:
        for name, value in loser.items():
            if name not in _BOOKKEEPING and winner.get(name) in (None, ""):
                winner[name] = value
                taken.append(name)
    return taken
