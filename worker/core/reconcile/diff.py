"""
Compares what a record should hold with what it holds.

Some of our fields lead and some only ride along: a sentence, or a date that moved a little, goes out with another
change and never by itself, so that passing time alone never causes a write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from worker.core.reconcile.rules import Target
from worker.core.reconcile.values import canonical

# Ours by name: what explains another value, and so travels only with it.
RIDES_ALONG: Final = frozenset({"engaged_why", "attribution_why", "match_why", "model"})


@dataclass(frozen=True)
class Wanted:
    """
    What one field should hold and why; ``name`` is ours, the target says which field that is.
    """

    name: str
    value: object
    reason: str


@dataclass(frozen=True)
class Change:
    """
    One field of one record to be set: canonical text before and after, and the reason.
    """

    field: str
    old: str | None
    new: str | None
    reason: str


def diff(
    wanted: Sequence[Wanted], actual: Mapping[str, str | None], targets: Mapping[str, Target], readable: frozenset[str]
) -> list[Change]:
    """
    The changes that make ``actual`` (field -> text as last read) hold ``wanted``, in the order of the fields' names.

    Fields that have no target, or that the organisation does not show us (not in ``readable``), are left alone. An
    empty list means nothing is to be written, also where only what rides along differs.
    """
    changes: list[Change] = []
    leads = False
    for want in wanted:
        target = targets.get(want.name)
        if target is None or target.field not in readable:
            continue
        new = canonical(want.value, target)
        old = canonical(actual.get(target.field), target)
        if new == old:
            continue
        changes.append(Change(target.field, old, new, f"{want.reason}{_cut(want.value, target)}"))
        leads = leads or not (want.name in RIDES_ALONG or _barely_moved(old, new, target))
    # A record whose sentence is still empty gets it even alone: nothing has been said there yet.
    first_words = any(change.old is None and change.new is not None for change in changes)
    return sorted(changes, key=lambda change: change.field) if leads or first_words else []


def _cut(value: object, target: Target) -> str:
    # A field of theirs may be shorter than our sentence: whoever reads the reason is told so.
    length = len(value.strip()) if isinstance(value, str) else 0
    if target.length is None or length <= target.length:
        return ""
    return f" (cut from {length} to {target.length} characters, the length of the field)"


def _barely_moved(old: str | None, new: str | None, target: Target) -> bool:
    if target.min_move_days is None or old is None or new is None:
        return False
    return abs((date.fromisoformat(new) - date.fromisoformat(old)).days) < target.min_move_days
