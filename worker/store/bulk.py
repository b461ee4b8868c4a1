"""
Sets of rows in and frames out: the two movements every file of the store is made of.

``fetch`` gives a statement's rows as a polars frame of a known schema, ``upsert`` writes a frame and touches only rows
that differ. Both take thousands of rows; the pages of a first load go through ``staging`` instead.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from psycopg import sql
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import dialect

# COPY is the quicker way for many rows, but its temporary table costs some milliseconds once.
MOST_BOUND_ROWS = 1_000
FRAME_TABLE = "headwater_frame"

Schema = Mapping[str, pl.DataType | type[pl.DataType]]


def fetch(connection: Connection, statement: str, values: Mapping[str, Any], schema: Schema) -> pl.DataFrame:
    """
    The rows of ``statement`` (placeholders ``%(name)s``) as a frame; its columns are those of ``schema``, in order.
    """
    rows = cursor_of(connection).execute(statement, values).fetchall()
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def upsert(
    connection: Connection, table: Table, frame: pl.DataFrame, key: Sequence[str], *, stamp: str | None = None
) -> list[tuple[Any, ...]]:
    """
    Write the frame's columns into ``table`` by ``key``; a row that already holds the same is not touched.

    ``stamp`` names a column set to the present instant on rows that are written. Returns the keys of those rows.
    """
    if frame.is_empty():
        return []
    columns = frame.columns
    values = [name for name in columns if name not in key]
    page, bound = as_relation(connection, frame, table)
    stamped = sql.SQL(", {} = now()").format(sql.Identifier(stamp)) if stamp else sql.SQL("")
    update = (
        sql.SQL("UPDATE SET {}{}").format(
            sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in values), stamped
        )
        if values
        else sql.SQL("NOTHING")
    )
    statement = sql.SQL(
        """
        WITH moved AS MATERIALIZED (
            SELECT p.* FROM {page} p LEFT JOIN {table} t ON {same_key}
            WHERE t.{first_key} IS NULL OR {differs}
        ), saved AS (
            INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM moved
            ON CONFLICT ({key}) DO {update}
        )
        SELECT {key} FROM moved
        """
    ).format(
        page=page,
        table=sql.Identifier(table.name),
        same_key=sql.SQL(" AND ").join(sql.SQL("t.{0} = p.{0}").format(sql.Identifier(name)) for name in key),
        first_key=sql.Identifier(key[0]),
        differs=sql.SQL("ROW({}) IS DISTINCT FROM ROW({})").format(_cells("t", values), _cells("p", values))
        if values
        else sql.SQL("false"),
        names=_names(columns),
        key=_names(key),
        update=update,
    )
    keys: list[tuple[Any, ...]] = cursor_of(connection).execute(statement, bound).fetchall()
    return keys


def replace(connection: Connection, table: Table, frame: pl.DataFrame, *, owner: str, owners: Sequence[int]) -> None:
    """
    Have ``table`` hold exactly the frame's rows for the ``owners`` (ids in column ``owner``).
    """
    cursor = cursor_of(connection)
    cursor.execute(
        sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(sql.Identifier(table.name), sql.Identifier(owner)),
        (list(owners),),
    )
    if frame.is_empty():
        return
    _copy(cursor, sql.Identifier(table.name), frame)


def append(connection: Connection, table: Table, frame: pl.DataFrame) -> None:
    """
    Add the frame's rows to ``table``.
    """
    if not frame.is_empty():
        _copy(cursor_of(connection), sql.Identifier(table.name), frame)


def as_relation(connection: Connection, frame: pl.DataFrame, table: Table) -> tuple[sql.Composable, list[Any]]:
    """
    The frame as something to select from, typed by ``table``'s columns, with the values to bind: JSON while it is
    small, a temporary table filled by COPY beyond. The relation lasts until the next call or the transaction's end.
    """
    if frame.height > MOST_BOUND_ROWS:
        relation = sql.Identifier(FRAME_TABLE)
        definition = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_type(table, name))) for name in frame.columns
        )
        cursor = cursor_of(connection)
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(relation))
        cursor.execute(sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(relation, definition))
        _copy(cursor, relation, frame)
        cursor.execute(sql.SQL("ANALYZE {}").format(relation))
        return relation, []
    casts = sql.SQL(", ").join(
        sql.SQL("{0}::{1} AS {0}").format(sql.Identifier(name), sql.SQL(_type(table, name))) for name in frame.columns
    )
    texts = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in frame.columns)
    bound = sql.SQL("(SELECT {} FROM json_to_recordset(%s::json) AS u({}))").format(casts, texts)
    return bound, [as_text(frame).write_json()]


def _copy(cursor: Any, table: sql.Identifier, frame: pl.DataFrame) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, _names(frame.columns))
    with cursor.copy(statement) as copy:
        copy.write(as_text(frame).write_csv(include_header=False).encode())


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """
    Every value as the text PostgreSQL reads it by.
    """
    return frame.with_columns(
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        if isinstance(kind, pl.Datetime)
        else pl.col(name).cast(pl.String)
        for name, kind in frame.schema.items()
    )


def cursor_of(connection: Connection) -> Any:
    """
    A psycopg cursor on the connection's own transaction, for COPY and statements put together by psycopg.
    """
    driver: Any = connection.connection.driver_connection
    return driver.cursor()


def _type(table: Table, name: str) -> str:
    return str(table.c[name].type.compile(dialect=dialect()))  # type: ignore[no-untyped-call]


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


def _cells(alias: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL(f"{alias}.{{}}").format(sql.Identifier(name)) for name in columns)


def analyze(connection: Connection, *names: str) -> None:
    """
    Have the planner know these tables as they are now. Called after a movement so large that what it knew is wrong:
    without it the first decisions after a first load ran seventeen times as long here.
    """
    cursor_of(connection).execute(
        sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(sql.Identifier(name) for name in names))
    )
