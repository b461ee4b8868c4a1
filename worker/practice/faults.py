"""
Disturbances ordered through the control API: which request they meet and what shall happen to it.

This module only chooses and counts; the server's outermost layer carries the disturbance out. Chance is seeded: the
same order and the same requests give the same faults. Gates hold an answer back until somebody opens them, so that a
test can stop the world between the writing and the answering.
"""

import asyncio
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from worker.practice.clock import parse_moment
from worker.practice.disturbances import KINDS

GATE_LIMIT_SECONDS = 60.0
ACTIONS = frozenset({"status", "reset", "delay_seconds", "trickle_seconds", "cut_body_at", "gate", "expire", "refuse"})
RESETS = frozenset({"before", "after", "idle"})
WHAT = frozenset({"action", "kind", "kinds"})
WHERE = frozenset({"system", "method", "path_contains", "times", "skip", "chance", "seed", "since", "until"})


@dataclass
class Fault:
    """
    One disturbance. ``system``, ``method`` and ``path_contains`` narrow it (None meets everything); ``times`` is how
    often it still strikes, None without end; ``skip`` matching requests pass before the first strike; of the others it
    strikes a ``chance`` share, drawn from ``seed``; ``since`` and ``until`` bound it by the practice clock.

    ``actions`` has one action, or several of which each strike takes one by lot; ``names`` are their kinds.
    """

    id: int
    actions: Sequence[Mapping[str, Any]]
    names: Sequence[str | None]
    system: str | None = None
    method: str | None = None
    paths: Sequence[str | None] = (None,)
    times: int | None = None
    skip: int = 0
    chance: float = 1.0
    seed: int = 0
    since: datetime | None = None
    until: datetime | None = None
    struck: int = 0
    lot: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self.lot.seed(self.seed)

    def strike(self, system: str, method: str, path: str, now: datetime) -> Mapping[str, Any] | None:
        """
        The action if the fault strikes this request, else None. ``path`` may carry the query string.
        """
        fitting = [place for place in range(len(self.actions)) if _fits(self.paths[place], path)]
        if (
            not fitting
            or (self.system != system if system == "tls" else self.system not in {None, system})
            or (self.method is not None and self.method.upper() != method.upper())
            or (self.since is not None and now < self.since)
            or (self.until is not None and now >= self.until)
        ):
            return None
        if self.skip > 0:
            self.skip -= 1
            return None
        # Drawn for every matching request, so that the lot depends on nothing else.
        drawn, place = self.lot.random(), self.lot.choice(fitting)
        if drawn >= self.chance:
            return None
        self.struck += 1
        if self.times is not None:
            self.times -= 1
        return self.actions[place]

    def shown(self) -> dict[str, Any]:
        """
        The fault as the control API shows it.
        """
        body: dict[str, Any] = {
            "id": self.id,
            "system": self.system,
            "method": self.method,
            "path_contains": self.paths[0],
            "times": self.times,
            "skip": self.skip,
            "chance": self.chance,
            "seed": self.seed,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "struck": self.struck,
        }
        if self.names[0] is None:
            return {**body, "action": dict(self.actions[0])}
        return {**body, "kinds": list(self.names)}


class Faults:
    """
    The faults in force, oldest first. Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._last = 0
        self.gates = Gates()

    def order(self, given: Mapping[str, Any]) -> int:
        """
        Put a fault in force as a control call or a faults file spells it, and return its number.

        ``{"kind": name}``, ``{"kinds": [names]}`` or ``{"action": {...}}``, with the words of ``Fault`` beside it.
        Raises ``ValueError`` for a word, a kind or an action there is not.
        """
        unknown = sorted(given.keys() - WHAT - WHERE)
        if unknown:
            raise ValueError(f"a fault takes {', '.join(sorted(WHAT | WHERE))}; got also {unknown}")
        names = [str(name) for name in given.get("kinds") or ([given["kind"]] if "kind" in given else [])]
        if bool(names) == ("action" in given):
            raise ValueError("a fault needs either an action, or a kind, or kinds")
        wrong = [name for name in names if name not in KINDS]
        if wrong:
            raise ValueError(f"there is no kind {wrong[0]!r}; there are {', '.join(sorted(KINDS))}")
        kinds = [KINDS[name] for name in names]
        path, times, chance = given.get("path_contains"), given.get("times"), float(given.get("chance", 1.0))
        if not 0.0 <= chance <= 1.0:
            raise ValueError(f"chance is a share between 0 and 1, not {chance:g}")
        systems = {kind.system for kind in kinds if kind.system is not None}
        if systems and len(kinds) > 1:
            raise ValueError("tls_refused is ordered by itself: it meets connections and not requests")
        actions = [kind.action for kind in kinds] or [_checked(dict(given["action"]))]
        return self._add(
            actions,
            names or [None],
            system=next(iter(systems), given.get("system")),
            method=given.get("method"),
            paths=[path if path is not None else kind.path for kind in kinds] or [path],
            times=None if times is None else int(times),
            skip=int(given.get("skip", 0)),
            chance=chance,
            seed=int(given.get("seed", 0)),
            since=_moment(given.get("since")),
            until=_moment(given.get("until")),
        )

    def find(self, system: str, method: str, path: str, now: datetime) -> Mapping[str, Any] | None:
        """
        The action of the first fault that strikes the request, counted as one strike, or None.
        """
        with self._lock:
            for fault in self._faults:
                action = fault.strike(system, method, path, now)
                if fault.times is not None and fault.times <= 0:
                    self._faults.remove(fault)
                if action is not None:
                    return action
            return None

    def in_force(self) -> list[dict[str, Any]]:
        """
        The faults as the control API shows them.
        """
        with self._lock:
            return [fault.shown() for fault in self._faults]

    def clear(self, number: int | None = None) -> None:
        """
        Lift one fault or all. Answers held at a gate stay held until it is opened.
        """
        with self._lock:
            self._faults = [fault for fault in self._faults if number is not None and fault.id != number]

    def _add(self, actions: Sequence[Mapping[str, Any]], names: Sequence[str | None], **where: Any) -> int:
        with self._lock:
            self._last += 1
            self._faults.append(Fault(self._last, actions, names, **where))
            return self._last


def _fits(wanted: str | None, path: str) -> bool:
    return wanted is None or wanted in path


def _checked(action: Mapping[str, Any]) -> Mapping[str, Any]:
    if not ACTIONS & action.keys():
        raise ValueError(f"a fault's action needs one of {', '.join(sorted(ACTIONS))}; got {sorted(action)}")
    if action.get("reset", "before") not in RESETS:
        raise ValueError(f"reset is one of {', '.join(sorted(RESETS))}, not {action['reset']!r}")
    return action


def _moment(given: object) -> datetime | None:
    return None if given is None else parse_moment(str(given))


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
