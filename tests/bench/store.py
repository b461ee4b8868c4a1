"""
Makes a store of any size in which everything is decided: a base of made-up leads goes through the flows themselves, and
the decided base is then copied in SQL under other ids as often as the size asks for.

A copy is as consistent as the base: every id, domain and company's name carries a mark, which is replaced, and golden
ids are shifted. Only the digests of credits cannot follow, for which the copied deals are decided once more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from tests.bench.ground import plain
from worker.connectors.salesforce.mapping import OBJECTS
from worker.core.rules import Rules
from worker.flows.drain import drain, follow_up
from worker.flows.run import Service
from worker.store import dues, jobs, migrate, outbox, scopes, tables

SOURCES: Final = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
MARK: Final = "qaaq"
GOLDEN_COLUMNS: Final = frozenset({"golden_id", "account_id", "opportunity_id", "person_id"})
# Golden ids of two copies lie this far apart: more than a base has golden records.
SPAN: Final = 1_000_000
COPIED: Final[Sequence[Table]] = (
    *(table for shape, table in tables.SOURCE.items() if shape not in {"stage", "campaign", "user"}),
    *tables.GOLDEN.values(),
    tables.crosswalk,
    tables.identity_key,
    tables.touchpoint,
    tables.engagement,
    tables.attribution,
    tables.credit,
    tables.credit_digest,
)


def mark_of(copy: int) -> str:
    """
    The mark of a copy; the base is copy 0.
    """
    return f"q{chr(97 + copy // 26)}{chr(97 + copy % 26)}q"


def decide_base(url: str, service: Service, leads: int, now: datetime) -> None:
    """
    Fill an empty database with a base of ``leads`` leads, have the flows decide everything, and settle it as if every
    planned field had been written.
    """
    migrate.upgrade(url)
    with psycopg.connect(plain(url), cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(SOURCES.encode(), {"leads": leads, "mark": MARK, "now": now})
        connection.execute(
            "INSERT INTO source_state (source, known) VALUES ('salesforce', %s)", (Jsonb(known(service.rules)),)
        )
    vacuum(url)
    with service.engine.begin() as connection:
        scopes.everything_again(connection)
        outbox.approve(connection, "bench")
        follow_up(connection, replace(service, sources={}))
    while drain(replace(service, sources={})):
        pass
    with psycopg.connect(plain(url)) as connection:
        row = connection.execute("SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM run WHERE state <> 'done')")
        left = row.fetchone()
        assert left == (0, 0), f"due and failed runs after the base was decided: {left}"
    settle(url, service.rules)


def known(rules: Rules) -> dict[str, Any]:
    """
    What the source would have told of its objects: every field that is read or written, as large as the real one.
    """
    facts = {"type": "string", "filterable": True, "updateable": True}
    objects: dict[str, dict[str, Any]] = {}
    for source in OBJECTS.values():
        read = {name for candidates in source.columns.values() for name in candidates}
        written = {target.field for target in rules.write.targets.get(source.object_name, {}).values()}
        names = sorted({*read, *source.inputs, *written})
        objects[source.object_name] = {
            "described_at": datetime.now(UTC).isoformat(),
            "considered": names,
            "fields": dict.fromkeys(names, facts),
            "missing": {},
        }
    return {"org": "00D000000000001EAA", "unreadable": {}, "objects": objects, "appeared": {}}


def settle(url: str, rules: Rules) -> None:
    """
    As if everything in the outbox had been written: the records hold it, nothing is left to send.
    """
    with psycopg.connect(plain(url)) as connection:
        for name, kind in rules.write.kinds.items():
            connection.execute(
                sql.SQL(
                    """
                    UPDATE {} s SET ours = jsonb_strip_nulls(s.ours || (
                        SELECT jsonb_object_agg(c->>'field', c->'new') FROM jsonb_array_elements(o.changes) c))
                    FROM outbox o WHERE o.object = %s AND s.stream = %s AND s.record_id = o.record_id
                    """
                ).format(sql.Identifier(f"source_{kind}")),
                (name, rules.write.streams[name]),
            )
        connection.execute("DELETE FROM outbox")
        connection.execute("UPDATE plan SET state = 'done'")


def multiply(url: str, copies: int) -> None:
    """
    Have the store hold the base ``copies`` times over, the base itself included.
    """
    with psycopg.connect(plain(url)) as connection:
        connection.execute("CREATE TEMP TABLE mark (copy int, mark text)")
        with connection.cursor() as cursor, cursor.copy("COPY mark FROM STDIN") as copy:
            for number in range(1, copies):
                copy.write_row((number, mark_of(number)))
        for table in COPIED:
            connection.execute(_copying(table))
        for name in tables.GOLDEN:
            connection.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
    vacuum(url)


def digest_again(url: str, service: Service) -> None:
    """
    Have the digests be those of the credits as they are in the copies, and nothing be due for it.
    """
    have_due(service)
    attribute_all(service)
    with service.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM due")
        connection.exec_driver_sql("DELETE FROM job WHERE state = 'ready'")
    vacuum(url)


def have_due(service: Service, deals: Sequence[int] | None = None) -> None:
    """
    Have these deals due, or every one, and the flow asked for.
    """
    with service.engine.begin() as connection:
        ids = deals or [number for (number,) in connection.exec_driver_sql("SELECT id FROM opportunity")]
        connection.exec_driver_sql("DELETE FROM due")
        dues.note(connection, "attribute", "opportunity", ids)
        jobs.enqueue(connection, "attribute")


def attribute_all(service: Service) -> None:
    """
    From the first batch read to the last commit.
    """
    while drain(service, ("attribute",)):
        pass


def _copying(table: Table) -> sql.Composed:
    cells = []
    for column in table.columns:
        name = sql.Identifier(column.name)
        if column.name in GOLDEN_COLUMNS or (column.name == "id" and isinstance(column.type, BigInteger)):
            cells.append(sql.SQL("t.{} + m.copy * {}::bigint").format(name, sql.Literal(SPAN)))
        elif isinstance(column.type, JSONB):
            cells.append(sql.SQL("replace(t.{}::text, {}, m.mark)::jsonb").format(name, sql.Literal(MARK)))
        elif isinstance(column.type, Text) and column.name not in {"stream", "kind", "source", "rule"}:
            cells.append(sql.SQL("replace(t.{}, {}, m.mark)").format(name, sql.Literal(MARK)))
        else:
            cells.append(sql.SQL("t.{}").format(name))
    return sql.SQL(
        "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {cells} FROM mark m CROSS JOIN {table} t"
    ).format(
        table=sql.Identifier(table.name),
        names=sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
        cells=sql.SQL(", ").join(cells),
    )


def vacuum(url: str) -> None:
    """
    What autovacuum does after so much was written, done now so that it does not come in between.
    """
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def counts(url: str) -> Mapping[str, int]:
    """
    How many rows the tables of a store hold, as VACUUM last counted them.
    """
    with psycopg.connect(plain(url)) as connection:
        rows = connection.execute(
            "SELECT relname, reltuples::bigint FROM pg_class WHERE relkind = 'r' AND relname = ANY(%s)",
            ([table.name for table in COPIED],),
        )
        return dict(rows.fetchall())
