"""
Reads one CSV file by its part of a mapping: typed rows with their line numbers, and the rows that cannot be used.

Nothing is dropped silently: a row is either in the table or among the rejected, with the reason. Called by
``worker.practice.load``.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from worker.core.errors import Fatal
from worker.practice.mappings.language import Column, File

_TRUE = frozenset({"true", "yes", "1", "t", "y"})
_FALSE = frozenset({"false", "no", "0", "f", "n"})


@dataclass(frozen=True)
class Rejected:
    """
    A row that was not used: where it stands and why.
    """

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class TableRow:
    """
    One row: the line it begins on (1 is the header) and its values by column, None where the cell is empty.
    """

    line: int
    values: Mapping[str, Any]


@dataclass
class Table:
    """
    A file's rows by key, in the file's order, the rejected ones, and the columns nobody asked for.
    """

    file: File
    rows: dict[str, TableRow] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    read: int = 0
    unused_columns: tuple[str, ...] = ()

    def reject(self, line: int, reason: str) -> None:
        """
        Put a row among the rejected.
        """
        self.rejected.append(Rejected(self.file.path, line, reason))


def read_table(folder: Path, file: File) -> Table:
    """
    One file of the folder. Raises Fatal HW-171 if it is not there, not UTF-8 CSV, or lacks a column.
    """
    path = folder / file.path
    table = Table(file)
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.reader(opened, strict=True)
            header = next(reader, [])
            positions = _positions(path, file, header)
            table.unused_columns = tuple(name for name in header if name not in file.columns)
            line = reader.line_num + 1
            for cells in reader:
                if cells:
                    _take(table, cells, len(header), positions, line)
                line = reader.line_num + 1
    except OSError as error:
        raise Fatal("HW-171", f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Fatal("HW-171", f"{path}: not UTF-8 (byte {error.start})") from error
    except csv.Error as error:
        raise Fatal("HW-171", f"{path}:{reader.line_num}: not CSV ({error})") from error
    return table


def _positions(path: Path, file: File, header: list[str]) -> dict[str, int]:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise Fatal("HW-171", f"{path}:1: the column {twice[0]} stands there twice")
    missing = [name for name in file.columns if name not in header]
    if missing:
        raise Fatal("HW-171", f"{path}:1: no column {', '.join(missing)}; there are: {', '.join(header) or 'none'}")
    return {name: header.index(name) for name in file.columns}


def _take(table: Table, cells: list[str], width: int, positions: Mapping[str, int], line: int) -> None:
    table.read += 1
    if len(cells) != width:
        table.reject(line, f"{len(cells)} cells, the header has {width}")
        return
    values: dict[str, Any] = {}
    for name, column in table.file.columns.items():
        text = cells[positions[name]].strip()
        try:
            values[name] = parse_cell(text, column) if text else None
        except ValueError as error:
            table.reject(line, f"{name}: {error}")
            return
    empty = [name for name in (table.file.key, *table.file.required) if values[name] is None]
    if empty:
        table.reject(line, f"{empty[0]} is empty")
        return
    key = str(values[table.file.key])
    if key in table.rows:
        table.reject(line, f"{table.file.key} {key} stands already in line {table.rows[key].line}")
        return
    table.rows[key] = TableRow(line, values)


def parse_cell(text: str, column: Column) -> Any:
    """
    A cell that is not empty, as its column's type: text, int or float, boolean, or an aware UTC instant. Raises
    ValueError saying what is wrong. A day is its first instant.
    """
    if column.type == "number":
        return _number(text)
    if column.type == "boolean":
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() in _TRUE
    if column.type in {"day", "instant"}:
        for form in column.formats:
            try:
                moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is added below where the text has none
            except ValueError:
                continue
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        raise ValueError(f"{text!r} fits none of {', '.join(column.formats)}")
    return text


def _number(text: str) -> int | float:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a number")
    return int(number) if number == number.to_integral_value() else float(number)
