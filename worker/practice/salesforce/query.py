"""
Running SOQL: pages of JSON records, cursors between them, child records.

A cursor keeps the row numbers a query found, in order; the rows themselves are read when a page is asked for, so a page
shows later changes of values but never other rows. That a real cursor behaves so is assumed.
"""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.errors import ApiError
from worker.practice.salesforce.soql.asker import Asker
from worker.practice.salesforce.soql.compiler import compile_children, compile_query
from worker.practice.salesforce.soql.parser import parse
from worker.practice.salesforce.soql.plan import ChildSelect, Compiled, Compound, Leaf, Node, Parent, TypeSelect
from worker.practice.salesforce.values import show_datetime

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

CURSOR_PREFIX = "0r8"
BATCH_DEFAULT = 2000
BATCH_LEAST = 200
AGGREGATE_ROWS = 2000
Record = dict[str, Any]


@dataclass
class Cursor:
    """
    An open query: the statement, the rows it found (SQLite row numbers in order), and whose it is. ``kept`` holds the
    rows themselves where cursors are snapshots of values too.
    """

    locator: str
    user_id: str
    compiled: Compiled
    rows: "array[int]"
    kept: dict[int, Sequence[Any]] | None
    all_rows: bool
    batch: int
    asker: Asker
    opened_at: datetime


@dataclass
class Page:
    """
    Records of one page; ``more`` is the place of the next one, ``locator-offset``, or None.
    """

    total: int
    records: list[Record] = field(default_factory=list)
    more: str | None = None


class Queries:
    """
    The queries of one org. Safe to use from any thread.
    """

    def __init__(self, org: "Org") -> None:
        self.org = org
        self._lock = threading.Lock()
        self._cursors: OrderedDict[str, Cursor] = OrderedDict()

    def run(self, soql: str, asker: Asker, root: str, *, all_rows: bool, batch: int | None = None) -> Page:
        """
        The first page of a query. ``root`` is the version's base for the records' addresses. Raises ``ApiError``.
        """
        compiled = compile_query(asker, parse(soql), all_rows=all_rows)
        self.check_cost(compiled)
        reader = self.org.database.reader
        if compiled.count_only:
            return Page(int(reader.execute(compiled.statement(), compiled.parameters).fetchone()[0]))
        if compiled.aggregate:
            return self._aggregate(compiled)
        size = max(BATCH_LEAST, min(batch or BATCH_DEFAULT, BATCH_DEFAULT))
        rows = reader.execute(compiled.statement(), compiled.parameters).fetchmany(size + 1)
        if len(rows) <= self._least(size):
            records = self._records(compiled, rows, root, all_rows=all_rows, asker=asker)
            return Page(len(records), records)
        kept = None
        if self.org.settings.cursor_snapshots:
            statement = compiled.statement([*compiled.columns, "t.rowid"])
            kept = {row[-1]: row for row in reader.execute(statement, compiled.parameters)}
        found = reader.execute(compiled.statement(["t.rowid"]), compiled.parameters)
        numbers = array("q", kept if kept is not None else (row[0] for row in found))
        cursor = Cursor(
            locator=self.org.ids.take(CURSOR_PREFIX)[0],
            user_id=asker.user_id,
            compiled=compiled,
            rows=numbers,
            kept=kept,
            all_rows=all_rows,
            batch=size,
            asker=asker,
            opened_at=self.org.clock.now(),
        )
        self._keep(cursor)
        return self._page(cursor, 0, root)

    def more(self, place: str, user_id: str, root: str) -> Page:
        """
        The page at ``locator-offset``. Raises INVALID_QUERY_LOCATOR.
        """
        locator, _, offset = place.partition("-")
        with self._lock:
            cursor = self._cursors.get(locator)
            if cursor is not None:
                self._cursors.move_to_end(locator)
        limit = timedelta(seconds=self.org.settings.cursor_seconds)
        if (
            cursor is None
            or cursor.user_id != user_id
            or not offset.isdigit()
            or int(offset) >= len(cursor.rows)
            or self.org.clock.now() - cursor.opened_at > limit
        ):
            raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(cursor, int(offset), root)

    def fetch(
        self, sobject: str, ids: Sequence[str], fields: Sequence[str], user_id: str, root: str
    ) -> dict[str, Record]:
        """
        Undeleted records of one object by id, over the named fields (none named: all the user may see).
        """
        asker = self.org.asker(user_id, tooling=self.org.schema[sobject].tooling)
        wanted = list(fields) or [each.name for each in asker.schema.visible_fields(asker.schema[sobject])]
        found: dict[str, Record] = {}
        query = parse(f"SELECT {', '.join(wanted)} FROM {sobject}")
        for start in range(0, len(ids), 500):
            chunk = list(ids[start : start + 500])
            compiled = compile_query(asker, query, all_rows=False)
            joiner = " AND" if compiled.where else " WHERE"
            compiled.where += f"{joiner} t.Id IN ({', '.join('?' * len(chunk))})"
            rows = self.org.database.reader.execute(compiled.statement(), [*compiled.parameters, *chunk]).fetchall()
            for row, record in zip(rows, self._records(compiled, rows, root, all_rows=False, asker=asker), strict=True):
                found[row[0]] = record
        return found

    def drop_cursors(self) -> int:
        """
        Forget all open cursors, as a restart of the org's machines does; how many.
        """
        with self._lock:
            count = len(self._cursors)
            self._cursors.clear()
        return count

    def records(self, compiled: Compiled, rows: Sequence[Sequence[Any]], root: str) -> list[Record]:
        """
        Rows of a statement without child queries as records.
        """
        builder = _Builder(compiled.nodes, f"{root}/sobjects/", self.org, {})
        made = []
        for row in rows:
            url = f"{root}/sobjects/{compiled.sobject.name}/{row[0]}"
            record: Record = {"attributes": {"type": compiled.sobject.name, "url": url}}
            builder.fill(record, row, compiled.nodes)
            made.append(record)
        return made

    def check_cost(self, compiled: Compiled) -> None:
        """
        Refuse a query that an org would take too long over: rows found times fields asked for. Raises QUERY_TIMEOUT.
        """
        limit = self.org.settings.query_cost_limit
        if limit <= 0:
            return
        counted = f"SELECT COUNT(*) FROM (SELECT 1 {compiled.source}{compiled.where}{compiled.limits})"
        rows = int(self.org.database.reader.execute(counted, compiled.parameters).fetchone()[0])
        if rows * len(compiled.columns) > limit:
            raise ApiError(400, "QUERY_TIMEOUT", "Your query request was running for too long.")

    def _size(self, cursor: Cursor, offset: int) -> int:
        """
        How many rows the page at ``offset`` has: the size asked for is no promise.
        """
        return self._least(cursor.batch) if offset // cursor.batch % 2 == 0 else cursor.batch

    def _least(self, size: int) -> int:
        """
        How many rows a first page has at most.
        """
        return max(1, size // 3) if self.org.settings.small_pages else size

    def _keep(self, cursor: Cursor) -> None:
        with self._lock:
            self._cursors[cursor.locator] = cursor
            own = [each.locator for each in self._cursors.values() if each.user_id == cursor.user_id]
            for locator in own[: max(0, len(own) - self.org.settings.cursors)]:
                del self._cursors[locator]

    def _page(self, cursor: Cursor, offset: int, root: str) -> Page:
        numbers = cursor.rows[offset : offset + self._size(cursor, offset)]
        compiled = cursor.compiled
        marks = ", ".join("?" * len(numbers))
        columns = ", ".join([*compiled.columns, "t.rowid"])
        # Read by row number: the cursor has already applied the conditions, the order and the limit.
        statement = f"SELECT {columns} {compiled.source} WHERE t.rowid IN ({marks})"
        by_number = cursor.kept
        if by_number is None:
            by_number = {row[-1]: row for row in self.org.database.reader.execute(statement, numbers.tolist())}
        rows = [by_number[number] for number in numbers if number in by_number]
        records = self._records(compiled, rows, root, all_rows=cursor.all_rows, asker=cursor.asker)
        after = offset + len(numbers)
        more = f"{cursor.locator}-{after}" if after < len(cursor.rows) else None
        return Page(len(cursor.rows), records, more)

    def _aggregate(self, compiled: Compiled) -> Page:
        rows = self.org.database.reader.execute(compiled.statement(), compiled.parameters).fetchmany(AGGREGATE_ROWS + 1)
        if len(rows) > AGGREGATE_ROWS:
            words = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch"
            raise ApiError(400, "EXCEEDED_ID_LIMIT", words)
        records = []
        for row in rows:
            record: Record = {"attributes": {"type": "AggregateResult"}}
            for node in compiled.nodes:
                if isinstance(node, Leaf):
                    record[node.key] = _shown(node, row)
            records.append(record)
        return Page(len(records), records)

    def _records(
        self, compiled: Compiled, rows: Sequence[Sequence[Any]], root: str, *, all_rows: bool, asker: Asker
    ) -> list[Record]:
        name, base = compiled.sobject.name, f"{root}/sobjects/"
        children = [node for node in compiled.nodes if isinstance(node, ChildSelect)]
        nested = {
            node.key: self._children(node, [row[0] for row in rows], root, all_rows=all_rows, asker=asker)
            for node in children
        }
        builder = _Builder(compiled.nodes, base, self.org, nested)
        records = []
        for row in rows:
            record: Record = {"attributes": {"type": name, "url": f"{base}{name}/{row[0]}"}}
            builder.fill(record, row, compiled.nodes)
            records.append(record)
        return records

    def _children(
        self, node: ChildSelect, parents: Sequence[str], root: str, *, all_rows: bool, asker: Asker
    ) -> Mapping[str, Record]:
        if not parents:
            return {}
        compiled = compile_children(asker, node, parents, all_rows=all_rows)
        rows = self.org.database.reader.execute(compiled.statement(), compiled.parameters).fetchall()
        records = self._records(compiled, rows, root, all_rows=all_rows, asker=asker)
        grouped: dict[str, list[Record]] = {}
        for row, record in zip(rows, records, strict=True):
            grouped.setdefault(row[-1], []).append(record)
        first, limit = node.query.offset or 0, node.query.limit
        made = {}
        for parent, found in grouped.items():
            chosen = found[first:] if limit is None else found[first : first + limit]
            if chosen:
                made[parent] = {"totalSize": len(chosen), "done": True, "records": chosen}
        return made


class _Builder:
    """
    Rows to nested records.
    """

    def __init__(
        self, nodes: Sequence[Node], base: str, org: "Org", nested: Mapping[str, Mapping[str, Record]]
    ) -> None:
        self.nodes = nodes
        self.base = base
        self.org = org
        self.nested = nested

    def fill(self, record: Record, row: Sequence[Any], nodes: Sequence[Node]) -> None:
        for node in nodes:
            match node:
                case Leaf():
                    value = row[node.index]
                    record[node.key] = value if node.convert is None or value is None else node.convert(value)
                case Parent():
                    record[node.key] = self.parent(node, row)
                case TypeSelect():
                    record[node.key] = self.typed(node, row)
                case Compound():
                    parts = {key: row[index] for key, index in node.parts}
                    record[node.key] = parts if any(value is not None for value in parts.values()) else None
                case ChildSelect():
                    record[node.key] = self.nested[node.key].get(row[0])

    def parent(self, node: Parent, row: Sequence[Any]) -> Record | None:
        record_id = row[node.id_index]
        if record_id is None:
            return None
        target = self.org.schema.of_id(record_id)
        url = f"{self.base}{node.type or (target.name if target else 'Name')}/{record_id}"
        record: Record = {"attributes": {"type": node.type or "Name", "url": url}}
        self.fill(record, row, node.nodes)
        return record

    def typed(self, node: TypeSelect, row: Sequence[Any]) -> Record | None:
        """
        A parent told by what it is: with TYPEOF its own type stands in the attributes.
        """
        record_id = row[node.id_index]
        target = self.org.schema.of_id(record_id) if record_id is not None else None
        if target is None:
            return None
        record: Record = {"attributes": {"type": target.name, "url": f"{self.base}{target.name}/{record_id}"}}
        self.fill(record, row, node.cases.get(target.name, node.otherwise or []))
        return record


def _shown(node: Leaf, row: Sequence[Any]) -> Any:
    value = row[node.index]
    if value is None:
        return None
    if node.field.type == "datetime":
        return show_datetime(value)
    return node.convert(value) if node.convert is not None else value
