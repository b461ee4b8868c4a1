"""
Privileged writing for loaders and tests: any stored field, audit stamps and computed ones included, thousands of rows a
call, no rules, no API call counted.

What the writer leaves out is filled as an org would fill it. ``SystemModstamp`` is the practice clock's now unless
given, so that freshly made records turn up in the next polling window; ``LastModifiedDate`` falls back on
``CreatedDate``.
Mistakes raise ``ValueError`` with the row's number.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.derive import Saving, derive
from worker.practice.salesforce.errors import RowError
from worker.practice.salesforce.rows import Values, fetch, update_changed
from worker.practice.salesforce.schema import Field, SObject
from worker.practice.salesforce.values import stamp, store

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

Row = Mapping[str, Any]


class Loading:
    """
    The privileged writes of one org.
    """

    def __init__(self, org: "Org") -> None:
        self.org = org

    def create(self, sobject: SObject, rows: Sequence[Row]) -> list[str]:
        """
        Insert rows and return their ids in order. A row may bring its own ``Id``.
        """
        with self.org.database.write() as connection:
            now = stamp(self.org.clock.now())
            if sobject.name == "OpportunityHistory":
                self.org.history.give_way({str(row["OpportunityId"]) for row in rows if row.get("OpportunityId")})
            template = self._template(sobject, now)
            fresh = iter(self.org.ids.take(sobject.prefix, sum(1 for row in rows if not row.get("Id"))))
            facts = self.org.facts()
            numbered = [each for each in sobject.stored_fields if each.auto_number is not None]
            remember = sobject.name in {"Opportunity", "Campaign"}
            read = _Reader(sobject)
            ids: list[str] = []
            tuples: list[tuple[Any, ...]] = []
            made: list[Values] = []
            for number, row in enumerate(rows, start=1):
                given = read.row(row, number)
                values = {**template, **given}
                values["Id"] = given.get("Id") or next(fresh)
                if "CreatedDate" in values and values["CreatedDate"] is None:
                    values["CreatedDate"] = now
                if "LastModifiedDate" in values and values["LastModifiedDate"] is None:
                    values["LastModifiedDate"] = values.get("CreatedDate", now)
                derive(sobject.name, Saving(values, None, frozenset(map(str.lower, given)), now), facts)
                for each in numbered:
                    if values[each.name] is None:
                        values[each.name] = self.org.next_number(sobject, each)
                ids.append(values["Id"])
                tuples.append(tuple(values.values()))
                if remember:
                    made.append(values)
            columns = ", ".join(f'"{name}"' for name in template)
            marks = ", ".join("?" * len(template))
            connection.executemany(f'INSERT INTO "{sobject.name}" ({columns}) VALUES ({marks})', tuples)
            self._after_create(sobject, made)
            return ids

    def update(self, sobject: SObject, rows: Sequence[Row]) -> None:
        """
        Change records by ``Id``. SystemModstamp is now unless given; LastModifiedDate follows SystemModstamp, and
        LastModifiedById is the administrator, unless given: as if a person had edited.
        """
        with self.org.database.write() as connection:
            now = stamp(self.org.clock.now())
            facts = self.org.facts()
            read = _Reader(sobject)
            for number, row in enumerate(rows, start=1):
                given = read.row(row, number)
                record_id = str(given.get("Id") or "")
                old = fetch(connection, sobject, record_id)
                if old is None:
                    raise ValueError(f"row {number}: there is no {sobject.name} {row.get('Id')!r}")
                new = {**old, **given}
                if "systemmodstamp" in sobject.fields:
                    new["SystemModstamp"] = given.get("SystemModstamp", now)
                if "lastmodifieddate" in sobject.fields:
                    new["LastModifiedDate"] = given.get("LastModifiedDate", new.get("SystemModstamp", now))
                    new["LastModifiedById"] = given.get("LastModifiedById", self.org.admin_id)
                derive(sobject.name, Saving(new, old, frozenset(name.lower() for name in given), now), facts)
                update_changed(connection, sobject, old, new)
                if sobject.name == "Opportunity":
                    self.org.history.write(new, old, new["LastModifiedById"], new["SystemModstamp"])

    def touch(self, sobject: SObject, ids: Sequence[str] | None) -> int:
        """
        Move SystemModstamp to now and nothing else, as a system job does, of these records or of all (None); how many
        records it met, every one in the same second.
        """
        with self.org.database.write() as connection:
            now = stamp(self.org.clock.now())
            statement = f'UPDATE "{sobject.name}" SET SystemModstamp = ?'
            if ids is None:
                return connection.execute(statement, (now,)).rowcount
            return connection.executemany(f"{statement} WHERE Id = ?", [(now, each) for each in ids]).rowcount

    def _template(self, sobject: SObject, now: str) -> Values:
        """
        Every stored field with its default, in the order of the table.
        """
        values: Values = {}
        for each in sobject.stored_fields:
            values[each.name] = int(bool(each.default)) if each.type == "boolean" else each.default
        for name, value in (
            ("OwnerId", self.org.admin_id),
            ("CurrencyIsoCode", self.org.definitions.features.currency),
            ("CreatedById", self.org.admin_id),
            ("LastModifiedById", self.org.admin_id),
            ("SystemModstamp", now),
        ):
            if name in values:
                values[name] = value
        return values

    def _after_create(self, sobject: SObject, made: Sequence[Values]) -> None:
        if sobject.name == "Opportunity":
            for values in made:
                self.org.history.write(values, None, values["CreatedById"], values["CreatedDate"])
        if sobject.name == "Campaign":
            for values in made:
                self.org.add_member_statuses(values["Id"], values["CreatedById"], values["CreatedDate"])


class _Reader:
    """
    Reads loaders' rows of one object; finds each field once.
    """

    def __init__(self, sobject: SObject) -> None:
        self.sobject = sobject
        self.found: dict[str, Field | None] = {"attributes": None}

    def row(self, row: Row, number: int) -> Values:
        """
        A row's values in stored form. Raises ``ValueError`` with the row's number.
        """
        values: Values = {}
        for name, value in row.items():
            field = self.found[name] if name in self.found else self._find(name, number)
            if field is None or (value is None and field.type == "boolean"):
                continue
            try:
                values[field.name] = store(field, value)
            except RowError as error:
                raise ValueError(f"row {number}: {field.name}: {error}") from error
        return values

    def _find(self, name: str, number: int) -> Field:
        field = self.sobject.get(name)
        if field is None or not field.stored:
            raise ValueError(f"row {number}: {self.sobject.name} has no stored field {name!r}")
        self.found[name] = field
        return field
