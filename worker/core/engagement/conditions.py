"""
Conditions that rules set on an account, as values: which fact is looked at, and what it must be.

Turned into polars expressions over one frame of facts, so that any number of accounts is judged at once, and into words
for people. Tiers, the ideal customer profile, target lists, fit factors and buying stages are made of them. Which
facts there are is ``FACTS``; a field of the customer's own is ``extra.<name>``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from worker.core.errors import Fatal

NUMBERS: Final = frozenset(
    {
        "employees",
        "annual_revenue",
        "fit",
        "points",
        "people_count",
        "intent_points",
        "spike_times",
        "requests_count",
        "high_value_count",
        "group_count",
        "in_market_percent",
        "in_market_times",
        "open_deals_count",
        "won_deals_count",
        "lost_deals_count",
    }
)
TEXTS: Final = frozenset(
    {"name", "domain", "type", "industry", "country", "city", "tier", "fit_band", "stage", "trend", "list"}
)
FACTS: Final = NUMBERS | TEXTS
EXTRA: Final = "extra."
TESTS: Final = ("in", "contains", "at_least", "below", "missing")


@dataclass(frozen=True)
class Condition:
    """
    One condition. ``in`` and ``contains`` compare text in any case without spaces around; ``at_least`` and ``below``
    take the number in ``values``; ``missing`` holds where there is no value. What is absent passes no other test.
    ``negated`` turns the answer round.
    """

    fact: str
    test: str
    values: tuple[str | Decimal | int, ...] = ()
    negated: bool = False

    def __post_init__(self) -> None:
        if self.test not in TESTS:
            raise Fatal("HW-150", f"no such test: {self.test}; there are {', '.join(TESTS)}")
        if not self.fact.startswith(EXTRA) and self.fact not in FACTS:
            raise Fatal("HW-150", f"no such fact of an account: {self.fact}; there are {', '.join(sorted(FACTS))}")
        if self.test in ("at_least", "below") and self.fact in TEXTS:
            raise Fatal("HW-150", f"{self.fact} is a text and has no {self.test}")
        if self.test in ("in", "contains") and self.fact in NUMBERS:
            raise Fatal("HW-150", f"{self.fact} is a number: write at_least or below")
        if self.test != "missing" and not self.values:
            raise Fatal("HW-150", f"the condition on {self.fact} is held against nothing")


def holds(condition: Condition) -> pl.Expr:
    """
    True or false, never null, for each row of a frame of facts.
    """
    return ~_answer(condition) if condition.negated else _answer(condition)


def all_hold(conditions: Sequence[Condition]) -> pl.Expr:
    """
    Whether every one of them holds; none is true of all.
    """
    if not conditions:
        return pl.lit(value=True)
    return pl.all_horizontal(map(holds, conditions))


def words(condition: Condition) -> str:
    """
    "employees at least 50", "industry not in Retail, Media".
    """
    fact = condition.fact.removeprefix(EXTRA).replace("_", " ")
    no = "not " if condition.negated else ""
    if condition.test == "missing":
        return f"{fact} {no}empty"
    listed = ", ".join(str(value) for value in condition.values)
    return f"{fact} {no}{condition.test.replace('_', ' ')} {listed}"


def extras_of(conditions: Iterable[Condition]) -> list[str]:
    """
    The customer's own fields that these conditions look at, each once.
    """
    return sorted({each.fact.removeprefix(EXTRA) for each in conditions if each.fact.startswith(EXTRA)})


def _answer(condition: Condition) -> pl.Expr:
    fact = pl.col(condition.fact)
    if condition.fact == "list":
        return _listed(condition)
    match condition.test:
        case "missing":
            absent = fact.is_null()
            return (
                absent if condition.fact in NUMBERS else absent | (fact.str.strip_chars() == "").fill_null(value=True)
            )
        case "at_least" | "below":
            # A field of the customer's own is text that may or may not be a number.
            number = fact if condition.fact in NUMBERS else fact.cast(pl.Float64, strict=False)
            limit = float(condition.values[0])
            return (number >= limit if condition.test == "at_least" else number < limit).fill_null(value=False)
        case "in":
            plain = fact.str.strip_chars().str.to_lowercase()
            return plain.is_in(sorted(str(value).strip().lower() for value in condition.values)).fill_null(value=False)
        case _:
            plain = fact.str.to_lowercase()
            found = [plain.str.contains(str(value).lower(), literal=True) for value in condition.values]
            return pl.any_horizontal(found).fill_null(value=False)


def _listed(condition: Condition) -> pl.Expr:
    """
    Whether the account is in one of the named lists, of those that stand before this one in the rules.
    """
    names = [str(value) for value in condition.values]
    return pl.any_horizontal([pl.col("list").list.contains(name) for name in names]).fill_null(value=False)
