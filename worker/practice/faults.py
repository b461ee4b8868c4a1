"""
Disturbances ordered through the control API: which request they meet and what shall happen to it.

This module only chooses and counts; the server's outermost layer carries the disturbance out. Gates hold an answer
back until somebody opens them, so that a test can stop the world between the writing and the answering.
"""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GATE_LIMIT_SECONDS = 60.0
ACTIONS = frozenset({"status", "reset", "delay_seconds", "cut_body_at", "gate"})


@dataclass
class Fault:
    """
    One disturbance. ``system``, ``method`` and ``path_contains`` narrow it (None meets everything); ``times`` is how
    often it still strikes, None without end; ``skip`` matching requests pass before the first strike.
    """

    id: int
    system: str | None
    method: str | None
    path_contains: str | None
    times: int | None
    skip: int
    action: Mapping[str, Any]

    def meets(self, system: str, method: str, path: str) -> bool:
        """
        Whether a request is one of those this fault is for. ``path`` may carry the query string.
        """
        return (
            self.system in (None, system)
            and (self.method is None or self.method.upper() == method.upper())
            and (self.path_contains is None or self.path_contains in path)
        )


class Faults:
    """
    The faults in force, oldest first. Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._last = 0
        self.gates = Gates()

    def add(
        self,
        action: Mapping[str, Any],
        *,
        system: str | None = None,
        method: str | None = None,
        path_contains: str | None = None,
        times: int | None = None,
        skip: int = 0,
    ) -> int:
        """
        Put a fault in force and return its number. Raises ``ValueError`` for an action this module does not know.
        """
        if not ACTIONS & action.keys():
            raise ValueError(f"a fault's action needs one of {', '.join(sorted(ACTIONS))}; got {sorted(action)}")
        if action.get("reset", "before") not in {"before", "after"}:
            raise ValueError(f"reset is 'before' or 'after', not {action['reset']!r}")
        with self._lock:
            self._last += 1
            self._faults.append(Fault(self._last, system, method, path_contains, times, skip, dict(action)))
            return self._last

    def find(self, system: str, method: str, path: str) -> Mapping[str, Any] | None:
        """
        The action of the first fault that meets the request, counted as one strike, or None.
        """
        with self._lock:
            for fault in self._faults:
                if not fault.meets(system, method, path):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault.action
            return None

    def in_force(self) -> list[dict[str, Any]]:
        """
        The faults as the control API shows them.
        """
        with self._lock:
            return [{**vars(fault), "action": dict(fault.action)} for fault in self._faults]

    def clear(self) -> None:
        """
        Lift all faults. Answers held at a gate stay held until it is opened.
        """
        with self._lock:
            self._faults.clear()


class Gates:
    """
    Answers held back by name. Only the server's event loop uses this.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[str, asyncio.Event]]] = {}

    async def wait(self, name: str, who: str) -> None:
        """
        Wait until gate ``name`` is opened, at most ``GATE_LIMIT_SECONDS``. ``who`` is shown to whoever asks.
        """
        place = (who, asyncio.Event())
        self._waiting.setdefault(name, []).append(place)
        try:
            async with asyncio.timeout(GATE_LIMIT_SECONDS):
                await place[1].wait()
        except TimeoutError:
            pass
        finally:
            if place in self._waiting.get(name, []):
                self._waiting[name].remove(place)

    def waiting(self) -> dict[str, list[str]]:
        """
        Who waits at which gate: ``{"name": ["PATCH /services/...", ...]}``.
        """
        return {name: [who for who, _ in places] for name, places in self._waiting.items() if places}

    def open(self, name: str) -> int:
        """
        Let those pass who wait at ``name`` now, and return how many they were. Later ones wait again.
        """
        places = self._waiting.pop(name, [])
        for _, event in places:
            event.set()
        return len(places)
