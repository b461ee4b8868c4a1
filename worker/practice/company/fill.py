"""
Puts a made-up company into a running practice server through its control API, and nothing else.

References become ids as the records they point at are made. The orgs have to be empty of people and accounts, because
the company brings its own Marketo numbers.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.core.errors import Fatal
from worker.practice.company.model import OBJECTS, Company, Record, Ref
from worker.practice.control_client import ControlClient, Progress


@dataclass
class FillReport:
    """
    How many records of each kind were made (``salesforce.Lead``, ``marketo.people``), and how long it took.
    """

    made: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def fill(company: Company, base_url: str, progress: Progress | None = None) -> FillReport:
    """
    Make every record of the company. Raises Fatal HW-570, HW-571, or HW-572 when the server already has people.
    """
    started = time.monotonic()
    report = FillReport()
    with ControlClient(base_url, progress) as client:
        people = int(client.get("marketo/counts")["people"])
        if people:
            raise Fatal(
                "HW-572",
                f"the practice server already has {people} people; the made-up company needs an empty one",
                actions=["start headwater practice serve with another --data folder"],
            )
        ids = _Ids()
        for object_name in OBJECTS:
            records = company.salesforce[object_name]
            _create(client, object_name, records, ids)
            report.made[f"salesforce.{object_name}"] = len(records)
        client.put("programs", ids.resolve_all(company.programs))
        client.put("people", ids.resolve_all(company.people))
        client.put("people", ids.resolve_all(company.changes))
        client.put_members(company.members)
        client.put("activities", company.activities)
        for kind, rows in (
            ("programs", company.programs),
            ("people", company.people),
            ("members", company.members),
            ("activities", company.activities),
        ):
            report.made[f"marketo.{kind}"] = len(rows)
    report.seconds = time.monotonic() - started
    return report


class _Ids:
    """
    Salesforce ids by reference, as far as they are known.
    """

    def __init__(self) -> None:
        self._known: dict[Ref, str] = {}

    def learn(self, object_name: str, records: Sequence[Record], ids: Sequence[str]) -> None:
        for record, record_id in zip(records, ids, strict=True):
            self._known[Ref(object_name, record.key)] = record_id

    def knows(self, object_name: str, record: Record) -> bool:
        return Ref(object_name, record.key) in self._known

    def knows_all(self, fields: Mapping[str, Any]) -> bool:
        return all(value in self._known for value in fields.values() if isinstance(value, Ref))

    def resolve(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._known[value] if isinstance(value, Ref) else value for name, value in fields.items()}

    def resolve_all(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [self.resolve(row) for row in rows]


def _create(client: ControlClient, object_name: str, records: Sequence[Record], ids: _Ids) -> None:
    waiting = list(records)
    while waiting:
        # A record may point at one of its own object (a parent, a merge's survivor), which then has to be made first.
        ready = [record for record in waiting if ids.knows_all(record.fields)]
        if not ready:
            raise ValueError(f"{len(waiting)} records of {object_name} point at something that is never made")
        made = client.create(object_name, [ids.resolve(record.fields) for record in ready])
        ids.learn(object_name, ready, made)
        waiting = [record for record in waiting if not ids.knows(object_name, record)]
