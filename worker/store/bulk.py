"""
Sets of rows in and frames out: the two movements every file of the store is made of.

``fetch`` gives a statement's rows as a polars frame of a known schema, ``upsert`` writes a frame and touches only rows
that differ. Both take thousands of rows; the pages of a first load go through ``staging`` instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import dialect

# COPY is the quicker way for many rows, but its temporary table costs some milliseconds once.
MOST_BOUND_ROWS = 1_000
FRAME_TABLE = "headwater_frame"
# Kinds of values that JSON, CSV and PostgreSQL write the same way.
SPELT_ALIKE = (pl.String, pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)

Schema = Mapping[str, pl.DataType | type[pl.DataType]]


def fetch(connection: Connection, statement: str, values: Mapping[str, Any], schema: Schema) -> pl.DataFrame:
    """
    The rows of ``statement`` (placeholders ``%(name)s``) as a frame; its columns are those of ``schema``, in order.
    """
    rows = cursor_of(connection).execute(statement, values).fetchall()
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def upsert(
    connection: Connection,
    table: Table,
    frame: pl.DataFrame,
    key: Sequence[str],
    *,
    stamp: str | None = None,
    noted: Mapping[str, Any] | None = None,
) -> list[tuple[Any, ...]]:
    """
    Write the frame's columns into ``table`` by ``key``; a row that already holds the same is not touched.

    ``stamp`` names a column set to the present instant on rows that are written, ``noted`` gives columns that say
    something of the writing (when it was decided): they are set on those rows and make none differ. Returns the keys
    of the rows written.
    """
    if frame.is_empty():
        return []
    values = [name for name in frame.columns if name not in key]
    page, bound = as_relation(connection, frame, table)
    same_key = " AND ".join(f"t.{name} = p.{name}" for name in _quoted(key))
    differs = f"ROW({_cells('t', values)}) IS DISTINCT FROM ROW({_cells('p', values)})" if values else "false"
    noted, types = noted or {}, _types(table)
    updates = [f"{name} = EXCLUDED.{name}" for name in _quoted([*values, *noted])]
    updates += [f'"{stamp}" = now()'] if stamp else []
    cells = ", ".join([_names(frame.columns), *(f"%s::{types[name]}" for name in noted)])
    statement = f"""
        WITH moved AS MATERIALIZED (
            SELECT p.* FROM {page} p LEFT JOIN "{table.name}" t ON {same_key}
            WHERE t."{key[0]}" IS NULL OR {differs}
        ), saved AS (
            INSERT INTO "{table.name}" ({_names([*frame.columns, *noted])}) OVERRIDING SYSTEM VALUE
            SELECT {cells} FROM moved
            ON CONFLICT ({_names(key)}) DO {f"UPDATE SET {', '.join(updates)}" if values else "NOTHING"}
        )
        SELECT {_names(key)} FROM moved
        """
    keys: list[tuple[Any, ...]] = cursor_of(connection).execute(statement, [*bound, *noted.values()]).fetchall()
    return keys


def replace(connection: Connection, table: Table, frame: pl.DataFrame, *, owner: str, owners: Sequence[int]) -> None:
    """
    Have ``table`` hold exactly the frame's rows for the ``owners`` (ids in column ``owner``). The table has no unique
    key: rows come and go in one statement.
    """
    cursor = cursor_of(connection)
    gone = f'DELETE FROM "{table.name}" WHERE "{owner}" = ANY(%s)'
    if frame.is_empty() or frame.height > MOST_BOUND_ROWS:
        cursor.execute(gone, (list(owners),))
        append(connection, table, frame)
        return
    page, bound = as_relation(connection, frame, table)
    names = _names(frame.columns)
    added = f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {page} p'
    # Both see the table as it was before, so what is added is not what is taken away.
    cursor.execute(f"WITH gone AS ({gone}) {added}", [list(owners), *bound])


def append(connection: Connection, table: Table, frame: pl.DataFrame) -> None:
    """
    Add the frame's rows to ``table``.
    """
    if not frame.is_empty():
        _copy(cursor_of(connection), table.name, frame)


def as_relation(connection: Connection, frame: pl.DataFrame, table: Table) -> tuple[str, list[Any]]:
    """
    The frame as something to select from, typed by ``table``'s columns, with the values to bind: JSON while it is
    small, a temporary table filled by COPY beyond. The relation lasts until the next call or the transaction's end.
    """
    types = _types(table)
    if frame.height > MOST_BOUND_ROWS:
        definition = ", ".join(f'"{name}" {types[name]}' for name in frame.columns)
        cursor = cursor_of(connection)
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{FRAME_TABLE}")
        cursor.execute(f"CREATE TEMP TABLE {FRAME_TABLE} ({definition}) ON COMMIT DROP")
        _copy(cursor, FRAME_TABLE, frame)
        cursor.execute(f"ANALYZE {FRAME_TABLE}")
        return FRAME_TABLE, []
    casts = ", ".join(f'"{name}"::{types[name]} AS "{name}"' for name in frame.columns)
    texts = ", ".join(f"{name} text" for name in _quoted(frame.columns))
    return f"(SELECT {casts} FROM json_to_recordset(%s::json) AS u({texts}))", [as_text(frame).write_json()]


def _copy(cursor: Any, table: str, frame: pl.DataFrame) -> None:
    with cursor.copy(f'COPY "{table}" ({_names(frame.columns)}) FROM STDIN (FORMAT csv)') as copy:
        copy.write(as_text(frame).write_csv(include_header=False).encode())


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """
    Every value as the text PostgreSQL reads it by, where JSON and CSV would not spell it so by themselves.
    """
    return frame.with_columns(
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        if isinstance(kind, pl.Datetime)
        else pl.col(name).cast(pl.String)
        for name, kind in frame.schema.items()
        if kind not in SPELT_ALIKE
    )


def cursor_of(connection: Connection) -> Any:
    """
    A psycopg cursor on the connection's own transaction, for COPY and statements put together by psycopg.
    """
    driver: Any = connection.connection.driver_connection
    return driver.cursor()


@cache
def _types(table: Table) -> Mapping[str, str]:
    """
    What PostgreSQL calls the types of a table's columns, by name.
    """
    spelt = dialect()  # type: ignore[no-untyped-call]
    return {column.name: column.type.compile(dialect=spelt) for column in table.columns}


# Tables and columns bear the names that ``tables`` gives them, so quotes are all they need.
def _quoted(columns: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in columns]


def _names(columns: Iterable[str]) -> str:
    return ", ".join(_quoted(columns))


def _cells(alias: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in _quoted(columns))


def analyze(connection: Connection, *names: str) -> None:
    """
    Have the planner know these tables as they are now. Called after a movement so large that what it knew is wrong:
    without it the first decisions after a first load ran seventeen times as long here.
    """
    cursor_of(connection).execute(f"ANALYZE {_names(names)}")
