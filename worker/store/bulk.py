"""
Sets of rows in and frames out: the two movements every file of the store is made of.

``fetch`` gives a statement's rows as a polars frame of a known schema, ``upsert`` writes a frame and touches only rows
that differ. Both take thousands of rows; the pages of a first load go through ``staging`` instead.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from math import inf
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import dialect

from worker.core.rows import series_of

# COPY is the quicker way for many rows, but its temporary table costs some milliseconds once.
MOST_BOUND_ROWS = 1_000
FRAME_TABLE = "headwater_frame"
# Kinds of values that JSON, CSV and PostgreSQL write the same way.
SPELT_ALIKE: Final = frozenset(
    (pl.String, pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
)

# For how many subjects a statement is planned once and the plan kept. Of a list it has not seen the planner thinks that
# it names ten.
FEW: Final = 20
# Kept plans are held against the tables' rows so often; tables of no more rows may be read whole.
LOOK_EVERY_SECONDS: Final = 10
SMALL_TABLE_ROWS: Final = 1_000
# Up to this many rows are quicker made a frame by their names, more of them column by column.
FEW_ROWS: Final = 50

# A value of ``noted`` that is the database's present instant.
NOW: Final = object()

Schema = Mapping[str, pl.DataType | type[pl.DataType]]


def fetch(connection: Connection, statement: str, values: Mapping[str, Any], schema: Schema) -> pl.DataFrame:
    """
    The rows of ``statement`` (placeholders ``%(name)s``) as a frame; its columns are those of ``schema``, in order.
    """
    cursor = cursor_of(connection)
    rows = cursor.execute(statement, values).fetchall()
    if not rows:
        return _empty(tuple(schema.items())).clone()
    if len(rows) <= FEW_ROWS:
        return pl.from_dicts([dict(zip(schema, row, strict=True)) for row in rows], schema=dict(schema))
    # It would hold the answer until the next one.
    cursor.close()
    return pl.DataFrame(series_of(schema, rows))


# Reading nothing is common, and a frame's schema takes longer to make than the question takes to answer.
@lru_cache(maxsize=256)
def _empty(schema: Sequence[tuple[str, pl.DataType | type[pl.DataType]]]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(schema))


def plan_for_few(connection: Connection) -> None:
    """
    Have the statements that follow in this transaction run by plans that are made once and kept, because making one
    takes longer than what it is made for.
    """
    cursor = cursor_of(connection)
    _drop_outgrown_plans(connection.info, cursor)
    cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")


def plan_for(connection: Connection, subjects: int) -> None:
    """
    Take ``plan_for_few`` back where there turned out to be more: plans are made for the tables and the subjects as they
    are.
    """
    if subjects > FEW:
        cursor_of(connection).execute("SET LOCAL plan_cache_mode = force_custom_plan")


def _drop_outgrown_plans(session: dict[str, Any], cursor: Any) -> None:
    """
    Drop what a session has planned when a table has come to twice its rows since: a plan made while it was all but empty
    would read the whole of it. The server does so as well, but only after it has sampled the rows again.
    """
    now = time.monotonic()
    if now < session.get("tables looked at", -inf) + LOOK_EVERY_SECONDS:
        return
    # By the server's own tally, which waits for no lock on the tables.
    rows = dict(
        cursor.execute(
            """
            SELECT oid, pg_stat_get_live_tuples(oid) FROM pg_class
            WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
            """
        ).fetchall()
    )
    planned_for = session.setdefault("planned for", rows)
    if any(count > 2 * planned_for.get(table, 0) + SMALL_TABLE_ROWS for table, count in rows.items()):
        cursor.execute("DISCARD PLANS")
        session["planned for"] = rows
    session["tables looked at"] = now


def upsert(
    connection: Connection,
    table: Table,
    frame: pl.DataFrame,
    key: Sequence[str],
    *,
    added: Mapping[str, tuple[str, Any]] | None = None,
    noted: Mapping[str, Any] | None = None,
    was: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """
    Write the frame's columns into ``table`` by ``key``; a row that already holds the same is not touched.

    ``added`` gives further columns, each as SQL over the frame's row ``r`` with the one value that it binds. ``noted``
    gives columns that say something of the writing (when it was decided, or NOW): they are set on rows that are written
    and make none differ. Returns the keys of the rows written, each with what its columns ``was`` held before (None
    where there was no row).
    """
    if frame.is_empty():
        return []
    page, bound = as_relation(connection, frame, table)
    added, noted = added or {}, noted or {}
    told = {name: value for name, value in noted.items() if value is not NOW}
    statement = _upserting(
        table,
        _with_columns(page, tuple((name, sql) for name, (sql, _) in added.items())),
        (*frame.columns, *added),
        tuple(key),
        tuple((name, name in told) for name in noted),
        tuple(was),
    )
    values = [*(value for _, value in added.values()), *bound, *told.values()]
    keys: list[tuple[Any, ...]] = cursor_of(connection).execute(statement, values).fetchall()
    return keys


def _with_columns(page: str, columns: Sequence[tuple[str, str]]) -> str:
    added = "".join(f', {sql} AS "{name}"' for name, sql in columns)
    return f"(SELECT r.*{added} FROM {page} r)" if added else page


# Put together once: for a single row that takes as long as writing it.
@lru_cache(maxsize=256)
def _upserting(
    table: Table,
    page: str,
    columns: Sequence[str],
    key: Sequence[str],
    noted: Sequence[tuple[str, bool]],
    was: Sequence[str],
) -> str:
    """
    The statement of ``upsert``; ``noted`` says of each column whether its value is bound.
    """
    values = [name for name in columns if name not in key]
    same_key = " AND ".join(f"t.{name} = p.{name}" for name in _quoted(key))
    differs = f"ROW({_cells('t', values)}) IS DISTINCT FROM ROW({_cells('p', values)})" if values else "false"
    types = _types(table)
    names = _names([*columns, *(name for name, _ in noted)])
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in _quoted([*values, *(name for name, _ in noted)]))
    cells = ", ".join([_names(columns), *(f"%s::{types[name]}" if bound else "now()" for name, bound in noted)])
    before = "".join(f', t."{name}" AS "was_{name}"' for name in was)
    return f"""
        WITH moved AS MATERIALIZED (
            SELECT p.*{before} FROM {page} p LEFT JOIN "{table.name}" t ON {same_key}
            WHERE t."{key[0]}" IS NULL OR {differs}
        ), saved AS (
            INSERT INTO "{table.name}" ({names}) OVERRIDING SYSTEM VALUE
            SELECT {cells} FROM moved
            ON CONFLICT ({_names(key)}) DO {f"UPDATE SET {updates}" if values else "NOTHING"}
        )
        SELECT {_names([*key, *(f"was_{name}" for name in was)])} FROM moved
        """


def replace(
    connection: Connection,
    table: Table,
    frame: pl.DataFrame,
    *,
    owner: str,
    owners: Sequence[int],
    along: tuple[str, Sequence[Any]],
) -> None:
    """
    Have ``table`` hold exactly the frame's rows for the ``owners`` (ids in column ``owner``), and along with it run a
    statement that writes to another table, given with its values. The table has no unique key: rows come and go in one
    statement.
    """
    cursor = cursor_of(connection)
    gone = f'DELETE FROM "{table.name}" WHERE "{owner}" = ANY(%s)'
    beside, values = along
    if frame.is_empty() or frame.height > MOST_BOUND_ROWS:
        cursor.execute(f"WITH beside AS ({beside}) {gone}", [*values, list(owners)])
        append(connection, table, frame)
        return
    page, bound = as_relation(connection, frame, table)
    names = _names(frame.columns)
    added = f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {page} p'
    # All see the tables as they were before, so what is added is not what is taken away.
    cursor.execute(f"WITH beside AS ({beside}), gone AS ({gone}) {added}", [*values, list(owners), *bound])


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
    return _json_page(table, tuple(frame.columns)), [_as_json(frame), frame.height]


@lru_cache(maxsize=256)
def _json_page(table: Table, columns: Sequence[str]) -> str:
    """
    The rows of a bound JSON text as something to select from, and how many they are: the planner would expect a
    hundred, and rather read a whole table of some hundred rows than look a few of them up.
    """
    types = _types(table)
    casts = ", ".join(f'"{name}"::{types[name]} AS "{name}"' for name in columns)
    texts = ", ".join(f"{name} text" for name in _quoted(columns))
    return f"(SELECT {casts} FROM json_to_recordset(%s::json) AS u({texts}) LIMIT %s)"


def _as_json(frame: pl.DataFrame) -> str:
    """
    The rows as JSON, each value so that PostgreSQL reads its text.
    """
    # Column by column: an expression, however small, is planned first, and that takes longer than a few rows do.
    alike = SPELT_ALIKE | {pl.Datetime}
    spelt = [column if column.dtype.base_type() in alike else column.cast(pl.String) for column in frame.get_columns()]
    return pl.DataFrame(spelt).write_json()


def _copy(cursor: Any, table: str, frame: pl.DataFrame) -> None:
    with cursor.copy(f'COPY "{table}" ({_names(frame.columns)}) FROM STDIN (FORMAT csv)') as copy:
        copy.write(_as_text(frame).write_csv(include_header=False).encode())


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """
    Every value as the text PostgreSQL reads it by, where CSV would not spell it so by itself.
    """
    return frame.with_columns(
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        if isinstance(kind, pl.Datetime)
        else pl.col(name).cast(pl.String)
        for name, kind in frame.schema.items()
        if kind.base_type() not in SPELT_ALIKE
    )


def cursor_of(connection: Connection) -> Any:
    """
    A psycopg cursor on the connection's own transaction, for COPY and statements put together by psycopg. It is the
    connection's one: an answer is to be read before the next statement is asked. A new one would have to learn again
    how each kind of value travels, which takes a sixth of a small statement's time.
    """
    session = connection.info
    cursor = session.get("cursor")
    if cursor is None or cursor.closed:
        driver: Any = connection.connection.driver_connection
        cursor = session["cursor"] = driver.cursor()
    return cursor


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
