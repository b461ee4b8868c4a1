"""
Times one cycle of a hundred changed leads in a warm process, in a store and in one ten times as large, against the bare
SQL of the same rows (``warm_floor.sql``).

The clock runs from the answer to the last commit: saving the page, resolving, engagement, attribution and the plan,
with every job claimed and every run noted as in the service. Both stores lie on one server and all sides alternate.
That the cost follows the change and not the store is shown by PostgreSQL's own count of rows read and written as well.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
from sqlalchemy import text

from config.settings import load_settings
from tests.bench import store
from tests.bench.answers import COLUMNS, LEADS, Answers, Row
from tests.bench.ground import Alternating, Report, ground, load, plain, risen, settled_counters, statements_of
from worker.embedded.databases import create_database
from worker.embedded.parts import EmbeddedParts
from worker.flows.drain import drain, start_cycle
from worker.flows.run import Service
from worker.store import migrate
from worker.wiring import build

CHANGED: Final = 100
BASE_LEADS: Final = 10_000
COPIES: Final = {"small store": 10, "large store": 100}
# What a store's size is told in: table -> what a row of it is.
HELD: Final = {
    "source_person": "leads and contacts",
    "account": "accounts",
    "opportunity": "deals",
    "touchpoint": "touches",
    "credit": "credits",
}
GROUPS: Final = 3  # as many different hundreds of leads take turns, so that no cycle finds its own rows of just before
FLOOR: Final = statements_of(Path(__file__).with_name("warm_floor.sql"))


@dataclass
class Side:
    """
    One store with a warm service on it, a warm session for the floor, and the leads that change in turns.
    """

    name: str
    url: str
    service: Service
    answers: Answers
    floor: "psycopg.Connection[Any]"
    groups: list[list[Row]]
    turn: int = 0
    runs: list[dict[str, Any]] = field(default_factory=list)

    def changed(self) -> list[Row]:
        """
        The next hundred leads, changed: another title and phone, and every tenth has moved to the next company.
        """
        self.turn += 1
        group = self.groups[self.turn % GROUPS]
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        for number, row in enumerate(group):
            is_senior = row["title"] != "VP Operations"
            row["title"] = "VP Operations" if is_senior else "Director of Operations"
            row["phone"] = f"+1 560 {self.turn:03d}{number:04d}"
            row["stamp_at"] = stamp
            if number % 10 == 0:
                row["email"], row["other_email"] = row["other_email"], row["email"]
        return group

    def cycle(self) -> None:
        """
        From the answer to the last commit.
        """
        while drain(self.service):
            pass

    def bare(self, values: Mapping[str, Any]) -> None:
        """
        The floor: upsert, candidates, weights and diff, one commit.
        """
        with self.floor.transaction():
            self.floor.execute(FLOOR["upsert"].encode(), values)
            found = self.floor.execute(FLOOR["candidates"].encode(), values).fetchone()
            assert found is not None
            self.floor.execute(FLOOR["weights"].encode(), {**values, "deals": found[0]})

    def expect(self) -> None:
        """
        Raise AssertionError unless the last cycle did all of its work.
        """
        # Committed: a rollback would make the session forget what it has prepared.
        with self.service.engine.begin() as connection:
            last = connection.execute(text("SELECT max(id) FROM run WHERE flow = 'pull'")).scalar_one()
            rows = connection.execute(text("SELECT flow, state, tally FROM run WHERE id >= :last"), {"last": last})
            runs = [dict(row._mapping) for row in rows]
            left = connection.execute(text("SELECT count(*) FROM due")).scalar_one()
        tally: dict[str, int] = {}
        for run in runs:
            for what, number in run["tally"].items():
                tally[what] = tally.get(what, 0) + number
        assert all(run["state"] == "done" for run in runs), runs
        assert left == 0, f"{left} subjects are left"
        assert tally.get("records changed") == CHANGED, tally
        assert tally.get("people changed") == CHANGED, tally
        assert tally.get("deals decided", 0) >= CHANGED, tally
        assert {run["flow"] for run in runs} >= {"pull", "resolve", "engage", "attribute", "plan"}, runs
        self.runs.append(tally)


def run(report: Report, *, small: bool, rounds: int | None = None) -> None:
    """
    Make both stores, warm up, time in turns, then count rows.
    """
    turns = Alternating()
    with ground() as parts, ExitStack() as stack:
        sides = stores(report, parts, stack, BASE_LEADS // 10 if small else BASE_LEADS)
        for side in sides:
            # Statements are prepared at their sixth turn, and planned for good some five turns later.
            for _ in range(4 * GROUPS):
                play(side, Alternating())
        report.say(f"  {CHANGED} leads change a cycle; {load()}")
        for _ in range(rounds or (5 if small else 15)):
            for side in sides:
                play(side, turns)
        tell(report, turns, sides)
        counted = {side.name: count_rows(side) for side in sides}
    tell_rows(report, counted)


def stores(report: Report, parts: EmbeddedParts, stack: ExitStack, base_leads: int) -> list[Side]:
    """
    The small and the large store, copied from one decided base.
    """
    sides = []
    for copy in copied(parts, stack, base_leads, COPIES):
        for statement in FLOOR["tables"].split(";"):
            if statement.strip():
                copy.floor.execute(statement.encode())
        store.vacuum(copy.url)
        groups = groups_of(copy.floor, base_leads, copy.times)
        sides.append(Side(copy.name, copy.url, copy.service, copy.answers, copy.floor, groups))
        rows = store.counts(copy.url)
        told = ", ".join(f"{rows[table]:,} {word}" for table, word in HELD.items())
        report.say(f"  {copy.name}: {told}")
    return sides


class Copy(NamedTuple):
    """
    A store of so many times the base, with a warm service on it and a session for the floor.
    """

    name: str
    url: str
    service: Service
    answers: Answers
    floor: "psycopg.Connection[Any]"
    times: int


def copied(parts: EmbeddedParts, stack: ExitStack, base_leads: int, copies: Mapping[str, int]) -> Iterator[Copy]:
    """
    Stores of a size each, all of one decided base.
    """
    base = create_database(parts.database_url, "bench_base")
    with serving(parts, base) as (service, _):
        store.decide_base(base, service, base_leads, datetime.now(UTC))
    for name, times in copies.items():
        url = create_database(parts.database_url, "bench_" + name.replace(" ", "_"), template="bench_base")
        store.multiply(url, times)
        service, answers = stack.enter_context(serving(parts, url))
        store.digest_again(url, service)
        floor = stack.enter_context(psycopg.connect(plain(url), autocommit=True))
        yield Copy(name, url, service, answers, floor, times)


@contextmanager
def serving(parts: EmbeddedParts, url: str) -> Iterator[tuple[Service, Answers]]:
    """
    A service on a store, as the workers build it, with the answers in the place of an org.
    """
    migrate.upgrade(url)
    service = build(load_settings(database_url=url, redis_url=parts.redis_url), sources=False)
    answers = Answers(store.known(service.rules))
    try:
        yield replace(service, sources={"salesforce": answers}), answers
    finally:
        service.engine.dispose()


def groups_of(connection: "psycopg.Connection[Any]", base_leads: int, copies: int) -> list[list[Row]]:
    """
    Hundreds of leads from all over the store, each of another company.
    """
    cells = ", ".join(f"{name}::text" for name in COLUMNS)
    step = base_leads * copies // (CHANGED * GROUPS)
    numbers = range(step // 2, base_leads * copies, step)
    ids = [f"00Q{store.mark_of(n // base_leads)}{1 + n % base_leads:08d}EAA" for n in numbers]
    found = connection.execute(
        f"SELECT {cells} FROM source_person WHERE stream = %s AND record_id = ANY(%s) ORDER BY record_id".encode(),
        (LEADS.name, ids[: CHANGED * GROUPS]),
    ).fetchall()
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in found]
    assert len(rows) == CHANGED * GROUPS
    for row, other in zip(rows, [*rows[GROUPS:], *rows[:GROUPS]], strict=True):
        row["other_email"] = f"{row['email'].partition('@')[0]}@{other['email'].partition('@')[2]}"
    return [rows[group::GROUPS] for group in range(GROUPS)]


def play(side: Side, turns: Alternating) -> None:
    """
    One turn of ours and one of the floor over the same changed rows.
    """
    rows = side.changed()
    side.answers.rows = rows
    with side.service.engine.begin() as connection:
        start_cycle(connection, side.service)
    turns.time(f"{side.name}, cycle", side.cycle)
    side.expect()
    values = bound(rows)
    turns.time(f"{side.name}, floor", lambda: side.bare(values))
    store.settle(side.url, side.service.rules)


def bound(rows: Sequence[Row]) -> dict[str, Any]:
    """
    The same rows as the floor's statements take them.
    """
    leads = [{name: row[name] for name in COLUMNS} | {"stream": LEADS.name, "ours": {}} for row in rows]
    emails = [row["email"] for row in rows]
    return {
        "leads": json.dumps(leads),
        "emails": emails,
        "domains": [email.partition("@")[2] for email in emails],
        "ids": [row["record_id"] for row in rows],
        "now": datetime.now(UTC),
    }


def tell(report: Report, turns: Alternating, sides: Sequence[Side]) -> None:
    report.turns(turns)
    for side in sides:
        report.bound(f"{side.name}: cycle / floor", turns.ratio(f"{side.name}, cycle", f"{side.name}, floor"), goal=5)
    small, large = (side.name for side in sides)
    report.bound("cycle in ten times the store", turns.ratio(f"{large}, cycle", f"{small}, cycle"), goal=1.6, must=2.0)
    report.say(f"  floor in ten times the store: {turns.ratio(f'{large}, floor', f'{small}, floor'):.2f}x")
    report.say(
        f"  one cycle: {', '.join(f'{number:,} {what}' for what, number in sides[-1].runs[-1].items() if number)}"
    )


def count_rows(side: Side) -> dict[str, dict[str, int]]:
    """
    Rows that one cycle reads and writes, by table: the mean of one turn of each hundred.
    """
    side.service.engine.dispose()
    before = settled_counters(side.url)
    for _ in range(GROUPS):
        side.answers.rows = side.changed()
        with side.service.engine.begin() as connection:
            start_cycle(connection, side.service)
        side.cycle()
    side.service.engine.dispose()
    found = risen(before, settled_counters(side.url))
    store.settle(side.url, side.service.rules)
    return {
        table: {name: round(number / GROUPS) for name, number in counted.items()} for table, counted in found.items()
    }


def tell_rows(report: Report, counted: Mapping[str, Mapping[str, Mapping[str, int]]]) -> None:
    """
    Both stores side by side; what is read in the large one may not grow with it.
    """
    small, large = counted.values()
    read, written = ("seq_tup_read", "idx_tup_fetch"), ("n_tup_ins", "n_tup_upd", "n_tup_del")
    nothing: dict[str, int] = {}

    def total(counts: Mapping[str, Mapping[str, int]], table: str, names: Sequence[str]) -> int:
        return sum(counts.get(table, nothing).get(name, 0) for name in names)

    tables = sorted({*small, *large})
    report.say("  rows a cycle, small store and large one")
    report.table(
        ("", "read", "read", "of them in scans", "in scans", "written", "written"),
        [
            (
                table,
                *(total(each, table, read) for each in (small, large)),
                *(total(each, table, read[:1]) for each in (small, large)),
                *(total(each, table, written) for each in (small, large)),
            )
            for table in tables
        ],
    )
    sums = [sum(total(each, table, read) for table in tables) for each in (small, large)]
    report.bound("rows read in ten times the store", sums[1] / max(1, sums[0]), goal=1.1, must=1.5)
    sums = [sum(total(each, table, written) for table in tables) for each in (small, large)]
    report.bound("rows written in ten times the store", sums[1] / max(1, sums[0]), goal=1.1, must=1.5)
