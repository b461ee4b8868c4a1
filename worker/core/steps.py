"""
Tells what each of several causes did to a value, one after the other: the value before, what each step changed, and the
value after, which is their sum. Pure; called by ``why --since``.
"""

from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final, Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

# In this order: what happened since (and what time took away), other rules, what came late.
TIME: Final = "time"
DATA: Final = "data"
RULES: Final = "rules"
LATE: Final = "late data"


class Line(NamedTuple, Generic[Key]):
    """
    One value: before, what each step changed of it, after.
    """

    key: Key
    before: Decimal
    changes: tuple[Decimal, ...]
    after: Decimal


def lines(values: Sequence[Mapping[Key, Decimal]]) -> list[Line[Key]]:
    """
    A line for each key of any of ``values``: those before, and those after each step. An absent value is nothing.
    """
    keys: dict[Key, None] = dict.fromkeys(key for each in values for key in each)
    found = []
    for key in keys:
        row = [each.get(key, Decimal(0)) for each in values]
        changes = tuple(after - before for before, after in pairwise(row))
        found.append(Line(key, row[0], changes, row[-1]))
    return found
