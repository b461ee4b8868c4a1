"""
Measures what in-market learns, on months it has never seen: the area under the curve beside the truth's own and beside
a plain count of recent acts, and how far its chances are from what came.

The truth is stated here, because the made-up company of the demo has none (its deals follow private times of interest
by a coin's throw). A market of its own is drawn, seed and all: firms have times of interest nobody sees. A firm's true
hazard of opening an opportunity on a day is

    0.0002 x 25 (while interested) x 0.6 (below 50 employees) or 1.6 (from 1,000) x 2 (a senior act in 30 days)

and what people do follows from the interest, not from the hazard: interested people read, attend and now and then ask
to be called; everybody's passers-by visit, more the larger the firm. The made-up company is measured beside it, for
information, by what its own generator throws. Run by ``make bench`` or alone:

    python -m tests.bench.in_market [SEED]
"""

import bisect
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from tests.bench import made_up_market
from tests.bench.ground import Report
from worker.core.engagement.in_market import (
    PAST_ACCOUNT,
    PAST_ACT,
    PAST_DEAL,
    InMarket,
    kinds_of,
    learn_in_market,
    months_between,
    snapshots,
)
from worker.core.engagement.logistic import auc, calibration_error
from worker.core.engagement.rules import EngagementRules

SEED = 20261118
FIRMS = 6_000
START = date(2024, 1, 1)
LEARNT_ON = date(2025, 8, 15)
END = date(2026, 5, 31)
AUC_OF_TRUTH, ABOVE_BASELINE, CALIBRATION = 0.95, 0.05, 0.05

BASE: Final = 0.0002
INTERESTED: Final = 25.0
SENIOR: Final = 2.0
QUIET_A_DAY: Final = 0.012  # acts of a passer-by: four a year and person
KEEN_A_DAY: Final = 0.25  # acts of a team that looks for something: one in four days
CURIOUS: Final = 1.0  # how far firms differ in what their passers-by do (sigma of a lognormal)
CALM_DAYS, LEAST_DAYS, MOST_DAYS = 800, 90, 270  # between two times of interest, and how long one is
QUIET_TYPES: Final = (("visit", 70), ("email_click", 20), ("content", 8), ("form", 2))
KEEN_TYPES: Final = (
    ("visit", 34),
    ("high_value_page", 16),
    ("content", 18),
    ("form", 14),
    ("webinar_attended", 10),
    ("event_attended", 4),
    ("demo_request", 2),
    ("email_click", 2),
)


@dataclass
class Market:
    """
    What is seen (acts, accounts, deals), and per firm what is not: its spans of interest and its senior acts.
    """

    acts: pl.DataFrame
    accounts: pl.DataFrame
    deals: pl.DataFrame
    size: dict[int, float] = field(default_factory=dict)
    interest: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    senior: dict[int, list[int]] = field(default_factory=dict)

    def hazard(self, firm: int, day: int) -> float:
        """
        The true hazard of a firm on the ``day`` after START, by what went before it.
        """
        keen = any(start <= day < end for start, end in self.interest[firm])
        acts = self.senior[firm]
        place = bisect.bisect_left(acts, day)
        senior = place > 0 and acts[place - 1] >= day - 30
        return BASE * self.size[firm] * (INTERESTED if keen else 1.0) * (SENIOR if senior else 1.0)


def draw(seed: int, firms: int) -> Market:
    """
    The market of a seed.
    """
    rng = random.Random(seed)
    days = (END - START).days
    acts: list[tuple[Any, ...]] = []
    accounts: list[tuple[Any, ...]] = []
    deals: list[tuple[Any, ...]] = []
    market = Market(pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
    for firm in range(firms):
        employees = max(4, int(rng.lognormvariate(5.2, 1.4)))
        accounts.append((firm, employees, START - timedelta(days=1)))
        market.size[firm] = 0.6 if employees < 50 else 1.6 if employees >= 1_000 else 1.0
        market.interest[firm] = spans = list(_spans(rng, days))
        own = sorted(_acts(rng, firm, employees, spans, days), key=lambda act: act[2])
        acts += own
        market.senior[firm] = [(act[2] - START).days for act in own if act[4] in ("c_level", "vp", "director")]
        deals += _deals(rng, market, firm, days)
    market.acts = pl.DataFrame(acts, schema=PAST_ACT, orient="row")
    market.accounts = pl.DataFrame(accounts, schema=PAST_ACCOUNT, orient="row")
    market.deals = pl.DataFrame(deals, schema=PAST_DEAL, orient="row")
    return market


def _spans(rng: random.Random, days: int) -> Iterator[tuple[int, int]]:
    day = rng.expovariate(1 / CALM_DAYS)
    while day < days:
        length = rng.uniform(LEAST_DAYS, MOST_DAYS)
        yield int(day), int(day + length)
        day += length + rng.expovariate(1 / CALM_DAYS)


def _acts(
    rng: random.Random, firm: int, employees: int, spans: list[tuple[int, int]], days: int
) -> Iterator[tuple[Any, ...]]:
    people = 3 + int(employees**0.4)
    levels = [rng.choices(("c_level", "vp", "director", "other"), (4, 6, 15, 75))[0] for _ in range(people)]

    def act(day: float, kinds: tuple[tuple[str, int], ...], who: int) -> tuple[Any, ...]:
        kind = rng.choices([name for name, _ in kinds], [weight for _, weight in kinds])[0]
        return firm, firm * 1_000 + who, START + timedelta(days=int(day)), kind, levels[who]

    passing = people * QUIET_A_DAY * rng.lognormvariate(0, CURIOUS)
    day = rng.expovariate(passing)
    while day < days:
        yield act(day, QUIET_TYPES, rng.randrange(people))
        day += rng.expovariate(passing)
    for start, end in spans:
        team = rng.sample(range(people), min(people, rng.randrange(2, 6)))
        day = start + rng.expovariate(KEEN_A_DAY)
        while day < min(end, days):
            yield act(day, KEEN_TYPES, rng.choice(team))
            day += rng.expovariate(KEEN_A_DAY)


def _deals(rng: random.Random, market: Market, firm: int, days: int) -> Iterator[tuple[Any, ...]]:
    free_from = 0
    for day in range(days):
        if day >= free_from and rng.random() < market.hazard(firm, day):
            closed = day + rng.randrange(30, 120)
            over = closed < days
            won = rng.random() < 0.3
            outcome = ("won" if won else "lost") if over else "open"
            yield firm, START + timedelta(days=day), START + timedelta(days=closed) if over else None, outcome
            free_from = closed + 1


def known_on(market: Market, day: date) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """
    Acts, accounts and deals as they were known on the morning of a day.
    """
    before = pl.col("created_on") < day
    is_over = (pl.col("closed_on") < day).fill_null(value=False)
    deals = market.deals.filter(before).with_columns(
        closed_on=pl.when(is_over).then("closed_on"), outcome=pl.when(is_over).then("outcome").otherwise(pl.lit("open"))
    )
    return market.acts.filter(pl.col("occurred_on") < day), market.accounts, deals


def measure(seed: int = SEED, firms: int = FIRMS) -> dict[str, Any]:
    """
    The figures on the months after the learning, none of whose days were known then.
    """
    market = draw(seed, firms)
    kinds = kinds_of(EngagementRules())
    model = learn_in_market(*known_on(market, LEARNT_ON), kinds, today=LEARNT_ON)
    assert isinstance(model, InMarket), model
    unseen = months_between(LEARNT_ON, END - timedelta(days=90))
    rows = snapshots(market.acts, market.accounts, market.deals, kinds, unseen)
    truth = pl.Series(
        [market.hazard(firm, (day - START).days) for firm, day in rows.select("account_id", "day").iter_rows()]
    )
    said = rows.select(p=model.chance())["p"]
    return {
        "seed": seed,
        "firms": firms,
        "acts": market.acts.height,
        "opportunities": market.deals.height,
        "months learnt from": len(months_between(model.learnt_from, model.held_out_from)),
        "unseen months": len(unseen),
        "rows": rows.height,
        "openings": int(rows["opened"].sum()),
        "auc": round(auc(said, rows["opened"]), 4),
        "auc of the truth": round(auc(truth, rows["opened"]), 4),
        "auc of acts in 30 days": round(auc(rows["acts_30"], rows["opened"]), 4),
        "calibration error": round(calibration_error(said, rows["opened"]), 4),
        "said by the model itself": {name: round(value, 4) for name, value in model.measured.items()},
    }


def run(report: Report, *, small: bool, rounds: int | None) -> None:
    """
    In-market on unseen months against the truth it was drawn from.
    """
    figures = measure(firms=FIRMS // 3 if small else FIRMS)
    report.table(("", ""), [(name, str(value)) for name, value in figures.items()])
    if not small:
        report.say("for information, the made-up company, whose truth is worked out (no bound):")
        report.table(("", ""), [(name, str(value)) for name, value in made_up_market.measure().items()])
    for what, kept in verdicts(figures):
        report.say(f"{'kept' if kept else 'NOT KEPT'}: {what}")
        if not kept:
            report.broken.append(what)


def verdicts(figures: dict[str, Any]) -> list[tuple[str, bool]]:
    """
    The three bounds, and whether each was kept.
    """
    share = figures["auc"] / figures["auc of the truth"]
    above = figures["auc"] - figures["auc of acts in 30 days"]
    gap = figures["calibration error"]
    return [
        (f"in-market: {share:.1%} of the truth's auc, at least {AUC_OF_TRUTH:.0%}", share >= AUC_OF_TRUTH),
        (f"in-market: {above:.3f} above the count of acts, at least {ABOVE_BASELINE}", above >= ABOVE_BASELINE),
        (f"in-market: calibration error {gap:.4f}, at most {CALIBRATION}", gap <= CALIBRATION),
    ]


def main() -> int:
    figures = measure(int(sys.argv[1]) if len(sys.argv) > 1 else SEED)
    for name, figure in figures.items():
        print(f"{name:<26} {figure}")
    found = verdicts(figures)
    for what, kept in found:
        print("kept:" if kept else "NOT KEPT:", what)
    return 0 if all(kept for _, kept in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
