"""
Programs of the practice Marketo and who is a member of which, with what status.

A program and a membership are mappings as the platform shows them, instants as text. Used by ``org`` alone, under its
lock and inside its transaction.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from worker.practice.marketo.times import parse_instant, spell


class Programs:
    """
    Program ids begin at 1001; a membership is keyed by program and person.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def save(self, records: Sequence[Mapping[str, Any]], now: int) -> list[int]:
        """
        Make or change programs; ids in order. Raises ValueError when a new one has no name, type or channel.
        """
        ids = []
        last: int = self._db.execute("SELECT COALESCE(MAX(id), 1000) FROM programs").fetchone()[0]
        for index, record in enumerate(records):
            number = int(record.get("id") or last + 1)
            last = max(last, number)
            before = self.get(number)
            stamps = {k: spell(parse_instant(str(record[k]))) for k in ("createdAt", "updatedAt") if record.get(k)}
            if before is None:
                absent = [k for k in ("name", "type", "channel") if not record.get(k)]
                if absent:
                    raise ValueError(f"program {index}: {absent[0]} is missing")
                created = stamps.get("createdAt", spell(now))
                before = {"createdAt": created, "status": "", "workspace": "Default"}
                updated = created
            else:
                updated = spell(now)
            program = {**before, **record, "updatedAt": updated, **stamps, "id": number}
            self._db.execute("INSERT OR REPLACE INTO programs VALUES (?, ?)", (number, json.dumps(program)))
            ids.append(number)
        return ids

    def get(self, number: int) -> dict[str, Any] | None:
        """
        One program, or None.
        """
        row = self._db.execute("SELECT document FROM programs WHERE id = ?", (number,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def all(self) -> list[dict[str, Any]]:
        """
        Every program, by id.
        """
        return [json.loads(row[0]) for row in self._db.execute("SELECT document FROM programs ORDER BY id")]

    def save_members(self, records: Sequence[Mapping[str, Any]], now: int) -> int:
        """
        Put people into programs or change their status there; how many. Raises ValueError naming the record.
        """
        known = {row[0] for row in self._db.execute("SELECT id FROM programs")}
        for index, record in enumerate(records):
            program, person = int(record["programId"]), int(record["leadId"])
            if program not in known:
                raise ValueError(f"member {index}: no program {program}")
            row = self._db.execute(
                "SELECT document FROM members WHERE program = ? AND person = ?", (program, person)
            ).fetchone()
            before = json.loads(row[0]) if row else {"reachedSuccess": False, "acquiredBy": False}
            given = {
                name: spell(parse_instant(str(value))) if value and name.endswith(("At", "Date")) else value
                for name, value in record.items()
            }
            since = before.get("membershipDate") or given.get("membershipDate") or spell(now)
            updated = given.get("updatedAt") or (spell(now) if row else since)
            member = {**before, **given, "membershipDate": since, "updatedAt": updated}
            self._keep({**member, "createdAt": since, "leadId": person, "programId": program})
        return len(records)

    def _keep(self, member: Mapping[str, Any]) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?)",
            (member["programId"], member["leadId"], parse_instant(member["updatedAt"]), json.dumps(member)),
        )

    def forget(self, person: int) -> None:
        """
        A deleted person is no member any more.
        """
        self._db.execute("DELETE FROM members WHERE person = ?", (person,))

    def move(self, loser: int, winner: int) -> None:
        """
        A merged person's memberships go to the survivor, whose own stand where both were members.
        """
        rows = self._db.execute("SELECT document FROM members WHERE person = ?", (loser,)).fetchall()
        for row in rows:
            member = {**json.loads(row[0]), "leadId": winner}
            taken = self._db.execute(
                "SELECT 1 FROM members WHERE program = ? AND person = ?", (member["programId"], winner)
            ).fetchone()
            if taken is None:
                self._keep(member)
        self.forget(loser)

    def count_members(self, program: int) -> int:
        """
        How many members a program has.
        """
        number: int = self._db.execute("SELECT COUNT(*) FROM members WHERE program = ?", (program,)).fetchone()[0]
        return number

    def members(self, program: int, *, after: int, span: tuple[int, int] | None = None) -> list[dict[str, Any]]:
        """
        Members with a person id above ``after``, by person id; those updated within ``span`` (both ends) if given.
        """
        lo, hi = span or (-(2**62), 2**62)
        rows = self._db.execute(
            "SELECT document FROM members WHERE program = ? AND person > ? AND updated_at BETWEEN ? AND ? "
            "ORDER BY person",
            (program, after, lo, hi),
        )
        return [json.loads(row[0]) for row in rows]
