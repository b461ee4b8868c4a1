"""
Times seven models over a hundred thousand deals and a million touches from the store and back into it, against the same
models by PostgreSQL's own window functions over the same tables, written into a table (``credit_store.sql``).

Ours is the attribute flow as the service runs it, every deal being due: batches read, paths built, money divided to
the last unit, what is pending or unassigned told, a sentence made, everything held against what is stored, and what
differs written. Two turns are timed: nothing is stored yet; and one deal in a hundred has another amount. (The credits
of open deals by age move with the clock, so those are written again as well.) A third shows what the service does of
itself, which has only those deals due that changed. The SQL computes and writes all rows, on both clocks as ours does.
All alternate within one run.
"""

import resource
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import text

from config.settings import load_settings
from tests.bench.attribution import SEVEN
from tests.bench.ground import Alternating, Report, ground, load, plain, statements_of
from tests.bench.store import attribute_all, have_due, vacuum
from worker.core.attribution.path import CLOCKS
from worker.embedded.databases import create_database
from worker.flows.run import Service
from worker.store import migrate
from worker.wiring import build

DEALS: Final = 100_000
GOAL: Final = 0.6
CHANGED_PERCENT: Final = 1
# Enough for the yardstick's sorts: at PostgreSQL's default of 4 MB they would go through the disk.
WORK_MEMORY: Final = "256MB"
SQL: Final = statements_of(Path(__file__).with_suffix(".sql"))
# Every so many deals' credits are held against the yardstick's.
SAMPLED: Final = 20
# The four models that wait for no milestone, so that both sides mean the same by them.
PLAIN_MODELS: Final = ("first", "last", "linear", "time_decay")


def run(report: Report, *, small: bool, rounds: int | None = None) -> None:
    """
    Make the store, time in turns, then hold both sides' credits against each other.
    """
    turns = Alternating()
    deals = DEALS // 10 if small else DEALS
    with ground() as parts:
        url = create_database(parts.database_url, "bench_credit_store")
        migrate.upgrade(url)
        now = datetime.now(UTC)
        with psycopg.connect(plain(url), cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(SQL["store"].encode(), {"deals": deals, "now": now})
            connection.execute(SQL["table"].encode())
        vacuum(url)
        service = seven_models(build(load_settings(database_url=url, redis_url=parts.redis_url), sources=False))
        told = play(report, turns, service, url, now, rounds or 2)
        report.table(("", ""), list(told.items()))
        tell(report, turns)
        service.engine.dispose()


def seven_models(service: Service) -> Service:
    """
    The service with the seven models that the yardstick knows.
    """
    rules = service.rules.attribution
    seven = replace(rules, models=[model for model in rules.models if model.name in SEVEN])
    assert len(seven.models) == len(SEVEN), [model.name for model in rules.models]
    return replace(service, rules=replace(service.rules, attribution=seven))


def play(
    report: Report, turns: Alternating, service: Service, url: str, now: datetime, rounds: int
) -> Mapping[str, object]:
    """
    The turns of both sides. Returns what the store holds in the end.
    """
    report.say(f"  {load()}")
    for turn in range(rounds):
        forget(url)
        have_due(service)
        turns.time("nothing stored", lambda: attribute_all(service))
        for name, clocks in (("windows, one clock", ("revenue",)), ("windows", CLOCKS)):
            windows(turns, url, now, name, clocks)
        change_amounts(url)
        have_due(service)
        turns.time("1 % changed", lambda: attribute_all(service))
        have_due(service, change_amounts(url))
        turns.time("1 % due", lambda: attribute_all(service))
        told = ", ".join(f"{name} {taken[-1]:.1f} s" for name, taken in turns.seconds.items())
        report.say(f"  turn {turn + 1} of {rounds}: {told}")
    with psycopg.connect(plain(url)) as connection:
        windows(Alternating(), url, now, "windows", CLOCKS)
        found = check(connection)
        last = connection.execute("SELECT max(id) FROM run").fetchone()
    have_due(service)
    attribute_all(service)
    again = tally(service, last[0] if last else 0)
    assert again == (found["deals"], 0), f"deals decided again, and how many of them otherwise: {again}"
    return {**found, "peak MiB of our process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def windows(turns: Alternating, url: str, now: datetime, name: str, clocks: tuple[str, ...]) -> None:
    """
    One turn of the yardstick, into an empty table.
    """
    with psycopg.connect(plain(url), autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(f"SET work_mem = '{WORK_MEMORY}'".encode())
        connection.execute("TRUNCATE window_credit")
        values: dict[str, Any] = {"now": now, "clocks": list(clocks)}
        turns.time(name, lambda: connection.execute(SQL["windows"].encode(), values))


def forget(url: str) -> None:
    """
    As if nothing had been decided yet.
    """
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute("TRUNCATE credit, credit_digest, attribution, adjustment, due")
        connection.execute("CHECKPOINT")


def change_amounts(url: str) -> list[int]:
    """
    Another amount for one deal in a hundred, whose ids are returned.
    """
    with psycopg.connect(plain(url), autocommit=True) as connection:
        rows = connection.execute(
            "UPDATE opportunity SET amount = amount + 1 WHERE id %% 100 < %s RETURNING id", (CHANGED_PERCENT,)
        ).fetchall()
        connection.execute("CHECKPOINT")
    return [number for (number,) in rows]


def tally(service: Service, after: int) -> tuple[int, int]:
    """
    How many deals the runs after that one decided, and how many of them otherwise than before.
    """
    with service.engine.begin() as connection:
        rows = connection.execute(
            text("SELECT tally FROM run WHERE flow = 'attribute' AND id > :after"), {"after": after}
        )
        told: list[Mapping[str, int]] = list(rows.scalars())
    return sum(each.get("deals decided", 0) for each in told), sum(each.get("attributions changed", 0) for each in told)


def check(connection: "psycopg.Connection[Any]") -> dict[str, int]:
    """
    Raise AssertionError unless every sampled deal's credits add up to its amount under each model, and both sides gave
    the same touches the same money to a unit. Returns how many rows each side wrote.
    """
    sums = connection.execute(
        """
        SELECT count(*) FILTER (WHERE units IS DISTINCT FROM amount * 100), count(*)
        FROM (
            SELECT c.opportunity_id, c.clock, m.key, sum((m.value->>'units')::numeric) AS units, min(o.amount) AS amount
            FROM credit c JOIN opportunity o ON o.id = c.opportunity_id CROSS JOIN jsonb_each(c.models) m
            WHERE c.opportunity_id %% %s = 0 GROUP BY 1, 2, 3
        ) summed
        """,
        (SAMPLED,),
    ).fetchone()
    assert sums is not None
    assert sums[0] == 0, f"{sums[0]} of {sums[1]} sums are not the deal's amount"
    for model in PLAIN_MODELS:
        apart = connection.execute(
            f"""
            SELECT max(abs(w.{model} * 100 - coalesce((c.models->'{model}'->>'units')::numeric, 0))), count(*),
                count(*) FILTER (WHERE c.opportunity_id IS NULL)
            FROM window_credit w
            LEFT JOIN credit c USING (opportunity_id, clock, touch_id) WHERE w.opportunity_id %% %s = 0
            """.encode(),
            (SAMPLED,),
        ).fetchone()
        assert apart is not None
        assert apart[0] <= 1, f"{model}: {apart[0]} units apart"
    rows = connection.execute(
        """
        SELECT (SELECT count(*) FROM opportunity), (SELECT count(*) FROM touchpoint), (SELECT count(*) FROM credit),
            (SELECT count(*) FROM window_credit)
        """
    ).fetchone()
    assert rows is not None
    return dict(zip(("deals", "touches", "credit rows", "rows of the SQL"), rows, strict=True))


def tell(report: Report, turns: Alternating) -> None:
    report.turns(turns, "s")
    for name in ("1 % changed", "nothing stored"):
        report.bound(f"{name}: from the store and back / PostgreSQL's windows", turns.ratio(name, "windows"), goal=GOAL)
    report.say(f"  1 % due / PostgreSQL's windows over all: {turns.ratio('1 % due', 'windows'):.3f}x")
    report.say(f"  windows of one clock / of both: {turns.ratio('windows, one clock', 'windows'):.2f}x")
