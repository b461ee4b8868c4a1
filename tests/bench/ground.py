"""
What every benchmark stands on: servers of its own in a folder that goes at the end, and the ways a figure is taken.

PostgreSQL runs with the settings ``headwater up`` gives it: commits wait for the disk, memory is PostgreSQL's default.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from worker.embedded.parts import EmbeddedParts, embedded, remove_abandoned

ROOT = Path(__file__).resolve().parent.parent.parent
HOMES = ROOT / ".headwater" / "bench"
COUNTERS = ("seq_scan", "seq_tup_read", "idx_tup_fetch", "n_tup_ins", "n_tup_upd", "n_tup_del")


@contextmanager
def ground() -> Iterator[EmbeddedParts]:
    """
    A PostgreSQL and a Valkey of this run's own. What an earlier run that was killed left behind goes first.
    """
    HOMES.mkdir(parents=True, exist_ok=True)
    remove_abandoned(HOMES)
    with embedded(HOMES / f"run-{os.getpid()}", durable=True, keep=False) as parts:
        yield parts


def statements_of(path: Path) -> dict[str, str]:
    """
    The statements of an SQL file by name: each stands below a line ``-- :NAME``.
    """
    parts = path.read_text(encoding="utf-8").split("\n-- :")[1:]
    return {name.strip(): statement for name, _, statement in (part.partition("\n") for part in parts)}


def plain(url: str) -> str:
    """
    The address as psycopg takes it.
    """
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def counters(url: str) -> dict[str, dict[str, int]]:
    """
    PostgreSQL's own count of rows read and written, by table. Complete once the sessions that worked have ended.
    """
    names = ", ".join(f"coalesce({name}, 0)" for name in COUNTERS)
    with psycopg.connect(plain(url)) as connection:
        rows = connection.execute(f"SELECT relname, {names} FROM pg_stat_user_tables ORDER BY relname").fetchall()
    return {row[0]: dict(zip(COUNTERS, row[1:], strict=True)) for row in rows}


def settled_counters(url: str) -> dict[str, dict[str, int]]:
    """
    The same, waited for: a session hands in what it counted a moment after it has ended.
    """
    before = counters(url)
    for _ in range(20):
        time.sleep(0.1)
        after = counters(url)
        if after == before:
            break
        before = after
    return before


def risen(before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """
    By how much each table's counters rose; tables that nobody touched are left out.
    """
    found = {
        table: {name: number - before.get(table, {}).get(name, 0) for name, number in counted.items()}
        for table, counted in after.items()
    }
    return {table: counted for table, counted in found.items() if any(counted.values())}


@dataclass
class Alternating:
    """
    Times acts in turns, A B A B, so that a busy machine slows all alike. Seconds by act's name, in order.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def time(self, name: str, act: Callable[[], object]) -> None:
        """
        One turn of one act.
        """
        started = time.perf_counter()
        act()
        self.note(name, time.perf_counter() - started)

    def note(self, name: str, seconds: float) -> None:
        """
        A turn that was timed elsewhere.
        """
        self.seconds.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, ours: str, theirs: str) -> float:
        """
        The median of the turns' own ratios: each turn of ours over the turn of the yardstick beside it.
        """
        pairs = zip(self.seconds[ours], self.seconds[theirs], strict=True)
        return statistics.median(a / b for a, b in pairs)


class Report:
    """
    Prints figures as they come and remembers which bounds were not kept.
    """

    def __init__(self) -> None:
        self.broken: list[str] = []

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """
        Columns as wide as their widest cell, numbers to the right.
        """
        cells = [[str(head) for head in heads], *([_cell(value) for value in row] for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
        for row in cells:
            first, *others = zip(row, widths, strict=True)
            line = first[0].ljust(first[1]) + "".join(f"  {cell.rjust(width)}" for cell, width in others)
            self.say(f"  {line.rstrip()}")

    def turns(self, turns: Alternating, unit: str = "ms") -> None:
        """
        What each act took, in ``ms`` or ``s``.
        """
        scale = {"ms": 1000, "s": 1}[unit]
        self.table(
            ("", f"median {unit}", "best", "worst"),
            [
                (name, *(scale * each for each in (turns.median(name), min(taken), max(taken))))
                for name, taken in turns.seconds.items()
            ],
        )

    def bound(self, what: str, value: float, *, goal: float, must: float | None = None, unit: str = "x") -> None:
        """
        Hold a figure against its goal, and against what it must not pass (the goal itself where none is given).
        """
        most = goal if must is None else must
        if value <= goal:
            verdict = "goal met"
        elif value <= most:
            verdict = "within bounds"
        else:
            verdict = "NOT MET"
            self.broken.append(what)
        bounds = f"goal {goal:g}{unit}" + ("" if must is None else f", at most {must:g}{unit}")
        self.say(f"  {what}: {value:.3g}{unit}  ({verdict}: {bounds})")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def load() -> str:
    """
    How busy the machine is, to be read beside every figure.
    """
    one, five, _ = os.getloadavg()
    python = sys.version.split()[0]
    return f"load {one:.1f} now, {five:.1f} over five minutes, {os.cpu_count()} processors, Python {python}"
