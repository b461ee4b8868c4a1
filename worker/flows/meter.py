"""
Counts the API calls that this process makes, for the store: how many since it was last told, and what they were for.

What may be used is ``budget``'s. ``Run.transaction`` has the calls noted that were made since the last one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine

from worker.connectors.base import Source
from worker.core.budget import Purpose
from worker.store import apicalls, cursors

_PURPOSES: Final[Mapping[str, Purpose]] = {"apply": "writes", "sweep": "history"}


@dataclass
class Meter:
    """
    What this process has told the store of its calls: source -> how many of them.
    """

    engine: Engine
    sources: Mapping[str, Source]
    noted: dict[str, int] = field(default_factory=dict)

    def note(self, purpose: Purpose) -> None:
        """
        Note the calls that were made since the last time, if any, in a transaction of its own: they were made whatever
        becomes of the work, and everybody's count is one row that no long transaction may hold.
        """
        for name, source in self.sources.items():
            calls = source.calls()
            new = calls - self.noted.get(name, 0)
            if new:
                usage = source.usage()
                with self.engine.begin() as connection:
                    apicalls.note(connection, name, purpose, new, (usage.used, usage.allowed) if usage else None)
                self.noted[name] = calls


def purpose_of(connection: Connection, flow: str, scope: Mapping[str, Any]) -> Purpose:
    """
    What a job's calls are for. A first load is history: nothing is decided before it is through. So is a resync of
    whole streams; one of single records is somebody's who waits for it.
    """
    if flow == "resync":
        return "history" if "streams" in scope else "changes"
    if flow == "pull" and not cursors.everything_read_once(connection):
        return "history"
    return _PURPOSES.get(flow, "changes")
