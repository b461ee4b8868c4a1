"""
The worked cases of ``examples/``: one deal a case, told so that a marketer can check it by hand and add another.

A file holds a story, and either one case or several under ``cases``, which take from the file what they leave out.
Dates are midnight UTC. ``expected`` names, for each clock and model, what every item gets: [share, money].
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from worker.core.attribution import DEFAULT_MODELS, AttributionRules, Model, PathSet, Position, allot, build_paths
from worker.core.frames import DEAL, DEAL_PERSON, INSTANT, TOUCH

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.yaml"))
AS_OF = datetime(2026, 11, 18, tzinfo=UTC)
Case = dict[str, Any]


def cases() -> Iterator[Any]:
    for path in EXAMPLES:
        told = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        for number, case in enumerate(told.pop("cases", [{}]), start=1):
            yield pytest.param({**told, **case}, id=f"{path.stem}-{number}")


def instant(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


def rules_of(case: Case) -> AttributionRules:
    told = dict(case.get("rules", {}))
    positions = [Position(name, *milestone.split(" ", 1)) for name, milestone in told.pop("positions", {}).items()]
    own = [Model(name, weights) for name, weights in told.pop("models", {}).items()]
    return AttributionRules(**told, positions=positions, models=[*DEFAULT_MODELS, *own])


def digits(amount: str | None) -> int:
    return -int(Decimal(amount or "0").as_tuple().exponent)


def attributed(case: Case) -> tuple[PathSet, pl.DataFrame]:
    deal, rules = case["deal"], rules_of(case)
    amount = deal["amount"]
    numbers = {person["who"]: number for number, person in enumerate(case["people"], start=1)}
    deals = pl.DataFrame(
        {
            "opportunity_id": [1],
            "account_id": [1],
            "currency": ["EUR"],
            "amount_units": [None if amount is None else int(Decimal(amount).scaleb(digits(amount)))],
            "digits": [digits(amount)],
            "created_at": [instant(deal["created"])],
            "closed_at": [instant(deal.get("closed"))],
            "outcome": [deal["outcome"]],
        },
        schema=DEAL,
    )
    people = pl.DataFrame(
        [(1, numbers[p["who"]], p.get("role"), False, instant(p.get("lead created"))) for p in case["people"]],
        schema=DEAL_PERSON,
        orient="row",
    )
    touches = pl.DataFrame(
        [
            (t["id"], numbers[t["who"]], instant(t["on"]), t["type"], t.get("team", "marketing"), "Web", None, None)
            for t in case["touches"]
        ],
        schema=TOUCH,
        orient="row",
    )
    stages = pl.DataFrame(
        [(1, s["stage"], instant(s["on"])) for s in case.get("stages", [])],
        schema={"opportunity_id": pl.Int64, "stage": pl.String, "entered_at": INSTANT},
        orient="row",
    )
    paths = build_paths(deals, people, touches, rules, as_of=AS_OF, stages=stages)
    return paths, allot(deals, paths, rules)


@pytest.mark.parametrize("case", list(cases()))
def test_the_worked_case_comes_out_as_told(case: Case) -> None:
    paths, credit = attributed(case)
    expected = dict(case["expected"])
    for name, value in expected.pop("deal", {}).items():
        assert paths.deals[name].item() == value, name
    for clock, touches in expected.pop("positions", {}).items():
        found = paths.paths.filter(clock=clock)
        assert {t: " ".join(held) for t, held in zip(found["touch_id"], found["positions"], strict=True)} == touches
    for clock, models in expected.items():
        for model, items in models.items():
            rows = credit.filter(clock=clock, model=model).iter_rows(named=True)
            found_items = {
                row["touch_id"] or row["item"]: (Fraction(row["share_num"], row["share_den"]), row["amount_units"])
                for row in rows
            }
            assert found_items == {item: told(*pair, case["deal"]["amount"]) for item, pair in items.items()}, model


def told(share: object, money: str | None, amount: str | None) -> tuple[Fraction, int | None]:
    return Fraction(str(share)), None if money is None else int(Decimal(money).scaleb(digits(amount)))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10
