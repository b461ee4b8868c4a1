"""
Single records as the tables hold them: read, inserted, changed. Values are in stored form (``values.py``).
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from worker.practice.salesforce.schema import SObject

Values = dict[str, Any]


def fetch(
    connection: sqlite3.Connection, sobject: SObject, record_id: str, columns: Sequence[str] | None = None
) -> Values | None:
    """
    A record's stored values by field name, or None.
    """
    names = list(columns) if columns is not None else [each.name for each in sobject.stored_fields]
    chosen = ", ".join(f'"{name}"' for name in names)
    row = connection.execute(f'SELECT {chosen} FROM "{sobject.name}" WHERE Id = ?', (record_id,)).fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def insert(connection: sqlite3.Connection, sobject: SObject, values: Values) -> None:
    """
    Insert stored values, ``Id`` among them.
    """
    names = list(values)
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    connection.execute(f'INSERT INTO "{sobject.name}" ({columns}) VALUES ({marks})', [values[name] for name in names])


def update_changed(connection: sqlite3.Connection, sobject: SObject, old: Values, new: Values) -> None:
    """
    Store what differs.
    """
    names = [name for name in new if name != "Id" and new[name] != old.get(name)]
    if names:
        sets = ", ".join(f'"{name}" = ?' for name in names)
        connection.execute(
            f'UPDATE "{sobject.name}" SET {sets} WHERE Id = ?', [*(new[name] for name in names), old["Id"]]
        )
