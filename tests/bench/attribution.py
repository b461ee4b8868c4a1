"""
Times seven models over a million touches of a hundred thousand deals against plain SQL windows in DuckDB.

Both sides start from the same frames in memory (deals, people, touches) and end with one row a touch and every model's
credit. Ours also finds what is pending or unassigned, allots to the last unit, and proves that every deal's credits add
up; the SQL (``attribution.sql``, readable beside this file) only multiplies DECIMAL shares. The two alternate within
one run, so that a busy machine slows both alike. Run by ``make bench`` or alone:

    python -m tests.bench.attribution [ROUNDS]
"""

import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from worker.core.attribution import DEFAULT_MODELS, AttributionRules, PathSet, allot, allot_wide, build_paths
from worker.core.frames import DEAL, DEAL_PERSON, TOUCH

SEED = 20261118
DEALS = 100_000
PEOPLE_A_DEAL = 3
TOUCHES = 1_000_000
AS_OF = datetime(2026, 11, 18, tzinfo=UTC)
GOAL, MUST = 1.5, 3.0
SEVEN = ("first", "last", "linear", "u", "w", "full_path", "time_decay")
TYPES = ("form", "content", "webinar_attended", "event_attended", "demo_request", "ad_click")
SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


def made_up() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """
    Deals of the last two years with three people by role each, and their touches from 300 days before creation on.
    """
    rng = random.Random(SEED)
    created = [AS_OF - timedelta(seconds=rng.randrange(60 * 86_400, 700 * 86_400)) for _ in range(DEALS)]
    closed = [at + timedelta(seconds=rng.randrange(86_400, 180 * 86_400)) for at in created]
    won = [at < AS_OF and rng.random() < 0.4 for at in closed]
    deals = pl.DataFrame(
        {
            "opportunity_id": range(1, DEALS + 1),
            "account_id": range(1, DEALS + 1),
            "currency": ["EUR"] * DEALS,
            "amount_units": [rng.randrange(100_000, 50_000_000) for _ in range(DEALS)],
            "digits": [2] * DEALS,
            "created_at": created,
            "closed_at": [at if at < AS_OF else None for at in closed],
            "outcome": ["won" if w else "lost" if at < AS_OF else "open" for w, at in zip(won, closed, strict=True)],
        },
        schema=DEAL,
    )
    persons = DEALS * PEOPLE_A_DEAL
    owners = [person // PEOPLE_A_DEAL for person in range(persons)]
    people = pl.DataFrame(
        {
            "opportunity_id": [owner + 1 for owner in owners],
            "person_id": range(1, persons + 1),
            "role": ["Decision Maker"] * persons,
            "is_primary": [person % PEOPLE_A_DEAL == 0 for person in range(persons)],
            "lead_created_at": [created[owner] - timedelta(seconds=rng.randrange(200 * 86_400)) for owner in owners],
        },
        schema=DEAL_PERSON,
    )
    chosen = [rng.randrange(persons) for _ in range(TOUCHES)]
    instants = []
    for person in chosen:
        start, end = created[owners[person]] - timedelta(days=300), min(closed[owners[person]], AS_OF)
        instants.append(start + (end - start) * rng.random())
    touches = pl.DataFrame(
        {
            "touch_id": [f"marketo.activity:{number}" for number in range(TOUCHES)],
            "person_id": [person + 1 for person in chosen],
            "occurred_at": instants,
            "type": rng.choices(TYPES, k=TOUCHES),
            "team": ["marketing"] * TOUCHES,
            "channel": rng.choices(["Webinar", "Paid search", "Event", "Content syndication"], k=TOUCHES),
            "offer": rng.choices(["Cost Control", "Benchmark Report", "Roadshow"], k=TOUCHES),
            "campaign": [None] * TOUCHES,
        },
        schema=TOUCH,
    )
    return deals, people, touches


def yardstick(deals: pl.DataFrame, people: pl.DataFrame, touches: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    """
    DuckDB with two threads and the frames as its own tables, so that it need not read ours while it is timed.
    """
    connection = duckdb.connect(config={"threads": 2})
    for name, frame in (("deals", deals), ("people", people), ("touches", touches)):
        connection.register("handed_over", frame.to_arrow())
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM handed_over")
        connection.unregister("handed_over")
    return connection


def adds_up(credit: pl.DataFrame, deals: pl.DataFrame) -> bool:
    """
    Whether under every model each deal's shares add up to 1 and its credits to its amount.
    """
    sums = credit.group_by("opportunity_id", "model").agg(
        pl.col("amount_units", "share_num").sum(), pl.col("share_den").first(), dens=pl.col("share_den").n_unique()
    )
    compared = sums.join(deals.select("opportunity_id", amount="amount_units"), on="opportunity_id")
    right = (
        (pl.col("amount_units") == pl.col("amount"))
        & (pl.col("share_num") == pl.col("share_den"))
        & (pl.col("dens") == 1)
    )
    return compared.height == deals.height * len(SEVEN) and compared.select(right.all()).item()


def same_as_sql(credit: pl.DataFrame, answer: pl.DataFrame) -> bool:
    """
    Whether both computed the same: under the models that wait for no milestone, every touch within one unit.
    """
    for model in ("first", "last", "linear", "time_decay"):
        ours = credit.filter(pl.col("model") == model, pl.col("item") == "touch")
        compared = answer.select("touch_id", sql=pl.col(model)).join(ours, on="touch_id", how="left")
        if compared.height != answer.height:
            return False
        apart = (pl.col("sql") - pl.col("amount_units").fill_null(0)).abs()
        if float(compared.select(apart.max()).item()) > 1:
            return False
    return True


def run(rounds: int = 5) -> dict[str, Any]:
    """
    Medians in seconds of ours (paths, then allotment) and of the SQL, and their ratio; AssertionError if a deal's
    credits do not add up, or the SQL found other credits.
    """
    deals, people, touches = made_up()
    rules = AttributionRules(models=[model for model in DEFAULT_MODELS if model.name in SEVEN])
    connection = yardstick(deals, people, touches)

    def paths() -> PathSet:
        return build_paths(deals, people, touches, rules, as_of=AS_OF, clocks=["revenue"])

    found = paths()
    acts: dict[str, Callable[[], Any]] = {
        "paths": paths,
        "allot": lambda: allot(deals, found, rules),
        "allot_wide": lambda: allot_wide(deals, found, rules),
        "sql": lambda: connection.sql(SQL, params={"as_of": AS_OF}).to_arrow_table(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            started = time.perf_counter()
            act()
            seconds[name].append(time.perf_counter() - started)
    credit = allot(deals, found, rules)
    assert adds_up(credit, deals), "a deal's credits do not add up to its amount"
    assert same_as_sql(credit, pl.DataFrame(acts["sql"]())), "the SQL computes something else"
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return {
        "deals": deals.height,
        "touches": touches.height,
        "credit_rows": credit.height,
        "rounds": rounds,
        **{f"{name}_s": round(median, 3) for name, median in medians.items()},
        "ratio": round((medians["paths"] + medians["allot"]) / medians["sql"], 2),
        "ratio_wide": round((medians["paths"] + medians["allot_wide"]) / medians["sql"], 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> int:
    figures = run(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    for name, figure in figures.items():
        print(f"{name:<12} {figure:>12,}")
    verdict = "goal met" if figures["ratio"] <= GOAL else "within bounds" if figures["ratio"] <= MUST else "too slow"
    print(
        f"seven models, exact to the unit: {figures['ratio']}x plain DuckDB windows"
        f" ({verdict}: goal {GOAL}x, must {MUST}x)"
    )
    return 0 if figures["ratio"] <= MUST else 1


if __name__ == "__main__":
    raise SystemExit(main())
