"""
Times the whole engagement pass over a hundred thousand accounts and a million touches against one aggregate in DuckDB.

Two comparisons, each side starting from the same frames in memory. Scores and flags alone, with the memory of earlier
flags and the day of lapse, against the aggregate that gives score, people and flag. And the whole pass against the same
aggregate with the list of acts behind each flag as JSON: ours also makes the sentence and says where the account stands
(fit, intent, spike, stage, buying group, lists, qualified). The SQL is readable beside this file (``engagement.sql``).
All alternate within one run. Run by ``make bench`` or alone:

    python -m tests.bench.engagement [ROUNDS]
"""

import random
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

from tests.bench.ground import Report
from worker.core.engagement.flags import ACT_EXTRAS, conclude, flag, measured, score, typed_accounts, with_lapses
from worker.core.engagement.in_market import PAST_DEAL
from worker.core.engagement.rules import EngagementRules
from worker.core.engagement.standing import Learnt, StandingRules, stand
from worker.core.frames import ACT, ENGAGEMENT_ACCOUNT

SEED = 20261118
ACCOUNTS = 100_000
TOUCHES = 1_000_000
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
MUST: Final = 3.0
SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
PLAIN_SQL = re.sub(r"-- reasons\n.*?-- end of reasons\n", "", SQL, flags=re.DOTALL)
RULES = EngagementRules()
ROLES = (
    ("c_level", "C-level Finance", 3),
    ("vp", "VP Finance", 5),
    ("director", "Director IT", 12),
    ("other", "IT", 30),
    ("other", "Procurement", 15),
    ("other", None, 35),
)


def made_up(accounts: int, touches: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    Accounts and the acts of 90 days of ten people each; a tenth of the acts are nobody's.
    """
    rng = random.Random(SEED)
    companies = pl.DataFrame(
        {
            "account_id": range(accounts),
            "name": [f"Account {number}" for number in range(accounts)],
            "employees": [int(rng.lognormvariate(5, 1.4)) for _ in range(accounts)],
            "type": ["Prospect"] * accounts,
            "was_engaged": [False] * accounts,
            "engaged_since_at": [None] * accounts,
            "was_band": ["None"] * accounts,
        },
        schema=ENGAGEMENT_ACCOUNT,
    )
    kinds = [kind for kind in RULES.acts if kind != "email_open"]
    owners = [rng.randrange(accounts) for _ in range(touches)]
    people = [rng.randrange(10) if rng.random() < 0.9 else None for _ in range(touches)]
    roles = [rng.choices(ROLES, [weight for *_, weight in ROLES])[0] for _ in range(1_000)]
    chosen = [
        (None, None) if who is None else roles[(owner * 10 + who) % 1_000][:2]
        for owner, who in zip(owners, people, strict=True)
    ]
    types = rng.choices(kinds, k=touches)
    acts = pl.DataFrame(
        {
            "account_id": owners,
            "person_id": [None if who is None else owner * 10 + who for owner, who in zip(owners, people, strict=True)],
            "act_id": [f"marketo.activity:{number}" for number in range(touches)],
            "occurred_at": [NOW - timedelta(seconds=rng.randrange(90 * 86_400)) for _ in range(touches)],
            "type": types,
            "label": [f"{kind.replace('_', ' ')} {rng.randrange(40)}" for kind in types],
            "level": [level for level, _ in chosen],
            "role_label": [label for _, label in chosen],
            "screened": [None] * touches,
        },
        schema={**ACT, **ACT_EXTRAS},
    )
    return companies, acts


def yardstick(accounts: pl.DataFrame, acts: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    """
    DuckDB with two threads and the frames as its own tables.
    """
    connection = duckdb.connect(config={"threads": 2})
    priced = pl.DataFrame(
        [
            (name, float(act.points), None if act.cap is None else int(act.cap // act.points), act.per == "week")
            for name, act in RULES.acts.items()
            if act.points
        ],
        schema={"type": pl.String, "points": pl.Float64, "most": pl.Int64, "per_week": pl.Boolean},
        orient="row",
    )
    levels = pl.DataFrame(
        [(name, float(weight)) for name, weight in RULES.level_weights.items()],
        schema=["level", "weight"],
        orient="row",
    )
    # Instants without a zone, all UTC: its zones are an extension.
    plain = acts.with_columns(pl.col("occurred_at").dt.replace_time_zone(None))
    for name, frame in (("accounts", accounts), ("acts", plain), ("points", priced), ("levels", levels)):
        connection.register("handed_over", frame.to_arrow())
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM handed_over")
        connection.unregister("handed_over")
    return connection


def same_as_sql(flags: pl.DataFrame, answer: pl.DataFrame) -> bool:
    """
    Whether both found the same people and flags, and scores at most a rounding an act apart.
    """
    both = flags.join(answer, on="account_id", suffix="_sql")
    apart = (pl.col("points_milli") / 1000 - pl.col("score").cast(pl.Float64)).abs()
    wrong = both.filter((apart > 0.1) | (pl.col("people_count") != pl.col("people")))
    flags_apart = both.filter(pl.col("engaged") != pl.col("engaged_sql"))
    # A score within a rounding of a threshold may fall on either side of it.
    edge = flags_apart.filter((pl.col("points_milli") - 50_000).abs() > 100)
    return both.height == flags.height and wrong.is_empty() and edge.is_empty()


def flags_alone(companies: pl.DataFrame, acts: pl.DataFrame) -> pl.DataFrame:
    """
    Everything that ``flag`` decides, without its words.
    """
    typed = typed_accounts(companies)
    found = score(typed, acts, RULES, now=NOW)
    return with_lapses(conclude(typed, measured(found.acts, RULES), RULES, now=NOW), found, RULES, now=NOW)


def measure(rounds: int, accounts: int = ACCOUNTS, touches: int = TOUCHES) -> dict[str, Any]:
    """
    Medians in seconds of the flags alone, of the whole pass, and of the SQL, and the ratios.
    """
    companies, acts = made_up(accounts, touches)
    connection = yardstick(companies, acts)
    deals = pl.DataFrame(schema=PAST_DEAL)
    at = {"now": NOW.replace(tzinfo=None)}
    acted: dict[str, Callable[[], Any]] = {
        "flags": lambda: flags_alone(companies, acts),
        "plain_sql": lambda: connection.sql(PLAIN_SQL, params=at).to_arrow_table(),
        "pass": lambda: stand(companies, acts, deals, (RULES, StandingRules()), Learnt(), now=NOW),
        "sql": lambda: connection.sql(SQL, params=at).to_arrow_table(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in acted}
    for _ in range(rounds):
        for name, act in acted.items():
            started = time.perf_counter()
            act()
            seconds[name].append(time.perf_counter() - started)
    flags = flag(companies, acts, RULES, now=NOW)
    assert same_as_sql(flags, pl.DataFrame(acted["sql"]())), "the SQL computes something else"
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return {
        "accounts": accounts,
        "touches": touches,
        "engaged": int(flags["engaged"].sum()),
        "rounds": rounds,
        **{f"{name}_s": round(median, 3) for name, median in medians.items()},
        "ratio_flags": round(medians["flags"] / medians["plain_sql"], 2),
        "ratio": round(medians["pass"] / medians["sql"], 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def run(report: Report, *, small: bool, rounds: int | None) -> None:
    """
    The engagement pass against one aggregate.
    """
    size = 10 if small else 1
    figures = measure(rounds or 3, ACCOUNTS // size, TOUCHES // size)
    report.table(("", ""), list(figures.items()))
    report.bound("scores and flags / one SQL aggregate", figures["ratio_flags"], goal=MUST, must=MUST)
    report.bound("the whole pass with reasons / the aggregate with reasons", figures["ratio"], goal=MUST, must=MUST)


def main() -> int:
    figures = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    for name, figure in figures.items():
        print(f"{name:<12} {figure:>12,}")
    return 0 if max(figures["ratio"], figures["ratio_flags"]) <= MUST else 1


if __name__ == "__main__":
    raise SystemExit(main())
