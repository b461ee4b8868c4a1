"""
Keeps source records as received: a page of text values in, typed rows out, and a note of what changed.

A page is compared with what is stored, so that a row read again costs no write. A row whose content changed is noted in
``due`` for ``resolve``; one where only the fields we write moved is noted for ``plan``; one where only the stamp moved
is not noted at all. A value that its column cannot hold puts its row in quarantine and the rest of the page goes on.
Called by the pull and resync flows, inside their transaction.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from psycopg import sql
from psycopg.errors import DataError, IntegrityError
from sqlalchemy import Connection

from worker.core.errors import Retriable
from worker.core.records import ENVELOPE, OURS_ALONE, RESOLVED, SHAPES
from worker.store.dues import SLICE

# The temporary table that a page of CSV is copied into.
PAGE_TABLE = "headwater_page"


@dataclass(frozen=True)
class Saved:
    """
    What became of a page: rows received, rows written, rows whose content changed, rows put in quarantine.
    """

    read: int = 0
    written: int = 0
    changed: int = 0
    quarantined: int = 0


@dataclass(frozen=True)
class Received:
    """
    A page on its way into its table: where its ``count`` rows of text columns are to be had (``relation``) and the
    values bound in it; ``numbers`` are columns whose numbers are to be spelled plainly. Pages of one form are equal,
    whatever rows they hold.
    """

    stream: str
    shape: str
    columns: tuple[str, ...]
    relation: sql.Composable = field(compare=False)
    values: tuple[Any, ...] = field(compare=False)
    is_small: bool
    count: int = field(compare=False)
    numbers: frozenset[str] = frozenset()

    @property
    def types(self) -> dict[str, str]:
        return ENVELOPE | SHAPES[self.shape]


def save_rows(
    connection: Connection, stream: str, shape: str, columns: Sequence[str], rows: Iterable[Sequence[str | None]]
) -> Saved:
    """
    Save rows of text values given in the order of ``columns`` (see ``connectors.base.Page``).
    """
    if not columns:
        return Saved()
    page = receive_rows(stream, shape, columns, rows)
    return _save(connection, page) if page.count else Saved()


def save_csv(
    connection: Connection,
    stream: str,
    shape: str,
    columns: Sequence[str],
    chunks: Iterable[bytes],
    *,
    expected_count: int | None = None,
    numbers: Collection[str] = (),
) -> Saved:
    """
    Save a page of CSV, streamed straight into COPY in constant memory. ``numbers`` as in ``connectors.base.Page``.

    Raises Retriable HW-216 when the page does not hold as many rows as the platform said (a cut answer).
    """
    return _save(connection, receive_csv(connection, stream, shape, columns, chunks, expected_count, numbers=numbers))


def receive_rows(stream: str, shape: str, columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> Received:
    """
    Rows of text values where statements can read them.
    """
    turned = list(zip(*rows, strict=True)) or [() for _ in columns]
    arrays = sql.SQL(", ").join(sql.SQL("%s::text[]") for _ in columns)
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    relation = sql.SQL("unnest({}) AS page({})").format(arrays, names)
    values = tuple(list(column) for column in turned)
    return Received(stream, shape, tuple(columns), relation, values, is_small=True, count=len(turned[0]))


def receive_csv(
    connection: Connection,
    stream: str,
    shape: str,
    columns: Sequence[str],
    chunks: Iterable[bytes],
    count: int | None,
    *,
    numbers: Collection[str] = (),
) -> Received:
    """
    CSV where statements can read it, until the transaction ends. Raises as ``save_csv`` does.
    """
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    table = sql.Identifier(PAGE_TABLE)
    definition = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in columns)
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a checked-out connection always has one
    with driver.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(table))
        cursor.execute(sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(table, definition))
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FORCE_NULL ({}))").format(table, names, names)
        with cursor.copy(statement) as copy:
            for chunk in chunks:
                copy.write(chunk)
        came = cursor.rowcount
    if count is not None and came != count:
        raise Retriable(
            "HW-216",
            f"a page of {stream} was cut: {came:,} rows came of the {count:,} that were announced",
            actions=["nothing: the page is asked for again"],
        )
    relation = sql.SQL("pg_temp.{} AS page").format(table)
    return Received(stream, shape, tuple(columns), relation, (), is_small=False, count=came, numbers=frozenset(numbers))


def refresh(connection: Connection, page: Received) -> Saved:
    """
    Give known records the values of the page, as far as it is not older than what is stored. No record comes into
    being, and neither stamp nor deletion moves: a page of some columns is no news of the record.
    """
    return _save(connection, page, only_known=True) if page.count else Saved()


def _save(connection: Connection, page: Received, *, only_known: bool = False) -> Saved:
    """
    The quick way first; only a page that PostgreSQL refuses is looked at row by row.
    """
    driver: Any = connection.connection.driver_connection
    try:
        with driver.transaction():
            written, changed = _upsert(driver, page, distinct=page.is_small, only_known=only_known)
        quarantined = 0
    except (DataError, IntegrityError):
        # A value that its column cannot hold, or a record that stands in the page twice.
        with driver.transaction():
            quarantined = _quarantine(driver, page)
            written, changed = _upsert(driver, page, distinct=True, only_valid=True, only_known=only_known)
    if not only_known:
        _release(driver, page)
    return Saved(page.count, written, changed, quarantined)


def _cell(name: str) -> sql.Composed:
    return sql.SQL("page.{}").format(sql.Identifier(name))


def _plain(page: Received) -> list[str]:
    return [name for name in page.columns if "." not in name]


def _gathered(page: Received, prefix: str) -> sql.Composed | None:
    """
    ``ours.X`` and ``extra.X`` columns as one JSON object, empty members too; None where the page has none.
    """
    members = [name for name in page.columns if name.startswith(f"{prefix}.")]
    if not members:
        return None
    plain = sql.SQL("CASE WHEN pg_input_is_valid({0}, 'numeric') THEN trim_scale({0}::numeric)::text ELSE {0} END")
    pairs = sql.SQL(", ").join(
        sql.SQL("{}, {}").format(
            sql.Literal(name.removeprefix(f"{prefix}.")),
            plain.format(_cell(name)) if name in page.numbers else _cell(name),
        )
        for name in members
    )
    return sql.SQL("jsonb_build_object({})").format(pairs)


def _merged(alias: str, name: str) -> sql.Composed:
    """
    What is stored of such an object with the page's members put over it: members that a page does not name stay.
    """
    given = sql.SQL("p.{}").format(sql.Identifier(name))
    return sql.SQL("CASE WHEN {0} IS NULL THEN jsonb_strip_nulls({1}) ELSE jsonb_strip_nulls({0} || {1}) END").format(
        sql.SQL(f"{alias}.{{}}").format(sql.Identifier(name)), given
    )


def _upsert(
    driver: Any, page: Received, *, distinct: bool, only_valid: bool = False, only_known: bool = False
) -> tuple[int, int]:
    form = replace(page, values=(), count=0)
    statement = _upserting(form, distinct=distinct, only_valid=only_valid, only_known=only_known)
    with driver.cursor() as cursor:
        written, changed, implausible = cursor.execute(statement, page.values or None).fetchone()
    if implausible:
        raise DataError(f"{implausible} rows hold an instant or a number that is none")
    return written, changed


# Putting it together costs more than a hundred rows take to save, and the pages of a stream are of one form.
@lru_cache(maxsize=256)
def _upserting(page: Received, *, distinct: bool, only_valid: bool, only_known: bool) -> str:
    typed: dict[str, sql.Composable] = {
        name: sql.SQL("{}::{}").format(_cell(name), sql.SQL(page.types[name])) for name in _plain(page)
    }
    for prefix in ("ours", "extra"):
        gathered = _gathered(page, prefix)
        if gathered is not None:
            typed[prefix] = gathered
    # A page of some columns says nothing of the record's version, and one of deletions alone has no version to say.
    targets = [name for name in typed if not (only_known and name in {"stamp_at", "is_deleted"})]
    only_known = only_known or set(page.columns) <= {"record_id", "is_deleted"}
    content = [name for name in targets if name not in {"record_id", "stamp_at", "ours"}]
    table = sql.Identifier(f"source_{page.shape}")
    newer = sql.SQL("(p.stamp_at IS NULL OR t.stamp_at IS NULL OR p.stamp_at >= t.stamp_at)")

    values: dict[str, sql.Composable] = {
        name: _merged("t", name) if name in {"ours", "extra"} else sql.SQL("p.{}").format(sql.Identifier(name))
        for name in targets
    }

    def differs(names: Sequence[str]) -> sql.Composed:
        if not names:
            return sql.SQL("false").format()
        new = sql.SQL(", ").join(values[name] for name in names)
        old = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in names)
        return sql.SQL("ROW({}) IS DISTINCT FROM ROW({})").format(new, old)

    statement = sql.SQL(
        """
        WITH typed AS (
            SELECT {distinct} {casts} FROM {relation} {where} {order}
        ), moved AS MATERIALIZED (
            SELECT {values}, NOT ({plausible}) AS implausible, t.record_id IS NULL AS is_new,
                   t.record_id IS NULL OR {content_differs} AS content_moved,
                   t.record_id IS NOT NULL AND {ours_differ} AS ours_moved
            FROM typed p {join} {table} t ON t.stream = {stream} AND t.record_id = p.record_id
            WHERE t.record_id IS NULL OR ({newer} AND {any_differs})
        ), saved AS (
            INSERT INTO {table} (stream, {names}) SELECT {stream}, {names} FROM moved WHERE is_new
        ), renewed AS (
            UPDATE {table} t SET {updates} FROM moved m
            WHERE NOT m.is_new AND t.stream = {stream} AND t.record_id = m.record_id
        ), noted AS (
            {note_resolve}
        ), noted_for_plan AS (
            INSERT INTO due (flow, kind, key) SELECT 'plan', {shape}, {stream} || ':' || record_id
            FROM moved WHERE {note_plan} ORDER BY record_id COLLATE "C"
            ON CONFLICT DO NOTHING
        )
        SELECT count(*), count(*) FILTER (WHERE content_moved), count(*) FILTER (WHERE implausible) FROM moved
        """
    ).format(
        distinct=sql.SQL("DISTINCT ON (page.record_id)") if distinct else sql.SQL(""),
        casts=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(value, sql.Identifier(name))
            for name, value in (
                typed if "stamp_at" in typed else typed | {"stamp_at": sql.SQL("NULL::timestamptz")}
            ).items()
        ),
        relation=page.relation,
        where=sql.SQL("WHERE {}").format(_valid(page)) if only_valid else sql.SQL(""),
        order=sql.SQL("ORDER BY page.record_id, {} DESC NULLS LAST").format(typed.get("stamp_at", sql.SQL("1")))
        if distinct
        else sql.SQL(""),
        values=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(value, sql.Identifier(name)) for name, value in values.items()
        ),
        join=sql.SQL("JOIN" if only_known else "LEFT JOIN"),
        content_differs=differs(content),
        ours_differ=differs(["ours"] if "ours" in typed else []),
        any_differs=differs([name for name in targets if name != "record_id"]),
        newer=newer,
        table=table,
        stream=sql.Literal(page.stream),
        shape=sql.Literal(page.shape),
        names=sql.SQL(", ").join(sql.Identifier(name) for name in targets),
        updates=sql.SQL(", ").join(
            sql.SQL("{0} = m.{0}").format(sql.Identifier(name)) for name in targets if name != "record_id"
        ),
        note_resolve=_noting(page),
        note_plan=sql.SQL(
            "ours_moved OR content_moved" if page.shape in OURS_ALONE else "ours_moved AND NOT content_moved"
        ),
        plausible=_all_of(
            _plausible(sql.SQL("p.{}").format(sql.Identifier(name)), page.types[name]) for name in _plain(page)
        ),
    )
    return statement.as_string()


def _noting(page: Received) -> sql.Composed:
    """
    How the changed records are noted for ``resolve``: a row each, or a row a thousand where a page is large. Records of
    a shape that nothing is resolved from are not noted.
    """
    if page.shape not in RESOLVED:
        return sql.SQL("SELECT").format()
    values = {"shape": sql.Literal(page.shape), "stream": sql.Literal(page.stream)}
    if page.is_small:
        return sql.SQL(
            """
            INSERT INTO due (flow, kind, key) SELECT 'resolve', {shape}, {stream} || ':' || record_id
            FROM moved WHERE content_moved ORDER BY record_id COLLATE "C" ON CONFLICT DO NOTHING
            """
        ).format(**values)
    return sql.SQL(
        """
        INSERT INTO due_slice (flow, kind, keys)
        SELECT 'resolve', {shape}, array_agg({stream} || ':' || record_id)
        FROM (SELECT record_id, row_number() OVER () / {slice} AS number FROM moved WHERE content_moved) s
        GROUP BY number
        """
    ).format(slice=sql.Literal(SLICE), **values)


def _valid(page: Received) -> sql.Composed:
    """
    A row that its table can hold: it has an id, and every typed value can be read as its type.
    """
    readable = [_readable(page, name) for name in _plain(page) if page.types[name] != "text"]
    return sql.SQL(" AND ").join([sql.SQL("page.record_id IS NOT NULL").format(), *readable])


def _readable(page: Received, name: str) -> sql.Composed:
    """
    Whether a cell can be read as its type, and is a value one can reckon with.
    """
    kind = page.types[name]
    typed = sql.SQL("{}::{}").format(_cell(name), sql.SQL(kind))
    return sql.SQL(
        "({0} IS NULL OR CASE WHEN pg_input_is_valid({0}, {1}) THEN coalesce({2}, true) ELSE false END)"
    ).format(_cell(name), sql.Literal(kind), _plausible(typed, kind) or sql.SQL("true"))


def _plausible(value: sql.Composable, kind: str) -> sql.Composed | None:
    """
    Whether a typed value is one to reckon with: no NaN, infinity or number of 30 digits, no instant before 1900 or
    after the year 9998. None for types that hold nothing of the kind.
    """
    if kind == "numeric":
        return sql.SQL("({} IS NULL OR abs({}) < 1e30)").format(value, value)
    if kind in {"timestamptz", "date"}:
        return sql.SQL("({} IS NULL OR {} BETWEEN '1900-01-01' AND '9998-12-31')").format(value, value)
    return None


def _all_of(tests: Iterable[sql.Composed | None]) -> sql.Composable:
    found = [test for test in tests if test is not None]
    return sql.SQL(" AND ").join(found) if found else sql.SQL("true")


def _quarantine(driver: Any, page: Received) -> int:
    """
    Put aside the rows that cannot be held, each with the columns at fault. Returns how many.
    """
    faults = [
        sql.SQL("CASE WHEN NOT {} THEN jsonb_build_object({}, {}) END").format(
            _readable(page, name), sql.Literal(name), _cell(name)
        )
        for name in _plain(page)
        if page.types[name] != "text"
    ]
    merged = sql.SQL(" || ").join(sql.SQL("coalesce({}, '{{}}')").format(fault) for fault in faults)
    statement = sql.SQL(
        """
        WITH faulty AS (
            SELECT coalesce(page.record_id, '(no id)') AS record_id, {merged} AS faults
            FROM {relation} WHERE NOT ({valid})
        ), kept AS (
            INSERT INTO quarantine (stream, record_id, code, whose, message, payload)
            SELECT DISTINCT ON (record_id) {stream}, record_id, 'HW-401', 'theirs',
                   CASE WHEN record_id = '(no id)' THEN 'the record came without an id'
                        ELSE 'these columns hold what their type cannot: '
                             || (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(faults) k) END,
                   faults
            FROM faulty
            ON CONFLICT (stream, record_id) DO UPDATE SET attempts = quarantine.attempts + 1, last_seen_at = now(),
                message = EXCLUDED.message, payload = EXCLUDED.payload
        )
        SELECT count(*) FROM faulty
        """
    ).format(merged=merged, relation=page.relation, valid=_valid(page), stream=sql.Literal(page.stream))
    with driver.cursor() as cursor:
        counted: int = cursor.execute(statement, page.values or None).fetchone()[0]
    return counted


def _release(driver: Any, page: Received) -> None:
    """
    A record that came whole this time leaves quarantine, and one that came at all is not hidden any more.
    """
    with driver.cursor() as cursor:
        in_quarantine, is_hidden = cursor.execute(
            "SELECT EXISTS (SELECT FROM quarantine WHERE stream = %(stream)s),"
            " EXISTS (SELECT FROM hidden_record WHERE stream = %(stream)s)",
            {"stream": page.stream},
        ).fetchone()
        for is_there, table, came in (
            (in_quarantine, "quarantine", _valid(page)),
            (is_hidden, "hidden_record", sql.SQL("true")),
        ):
            if is_there:
                statement = sql.SQL(
                    """
                    DELETE FROM {table} q USING (SELECT page.record_id FROM {relation} WHERE {came}) p
                    WHERE q.stream = {stream} AND q.record_id = p.record_id
                    """
                ).format(
                    table=sql.Identifier(table), relation=page.relation, came=came, stream=sql.Literal(page.stream)
                )
                cursor.execute(statement, page.values or None)
