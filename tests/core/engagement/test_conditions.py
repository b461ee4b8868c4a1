"""
Conditions on accounts: what each test answers, and that nothing absent passes.
"""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from worker.core.engagement.conditions import Condition, all_hold, extras_of, holds, words
from worker.core.errors import Fatal

FACTS = pl.DataFrame(
    {
        "account_id": [1, 2, 3],
        "employees": [500, 40, None],
        "industry": ["Machinery", " food ", None],
        "extra.Stack__c": ["SAP; Oracle", "12", ""],
        "list": [["Named"], [], None],
    },
    schema_overrides={"list": pl.List(pl.String)},
)

ANSWERS: list[tuple[Condition, list[bool]]] = [
    (Condition("employees", "at_least", (500,)), [True, False, False]),
    (Condition("employees", "below", (Decimal(500),)), [False, True, False]),
    (Condition("employees", "at_least", (500,), negated=True), [False, True, True]),
    (Condition("employees", "missing"), [False, False, True]),
    (Condition("industry", "in", ("FOOD", "Retail")), [False, True, False]),
    (Condition("industry", "contains", ("mach",)), [True, False, False]),
    (Condition("industry", "missing", negated=True), [True, True, False]),
    (Condition("extra.Stack__c", "contains", ("sap",)), [True, False, False]),
    (Condition("extra.Stack__c", "at_least", (10,)), [False, True, False]),
    (Condition("extra.Stack__c", "missing"), [False, False, True]),
    (Condition("list", "in", ("Named", "Other")), [True, False, False]),
]


@pytest.mark.parametrize(("condition", "answers"), ANSWERS, ids=[words(condition) for condition, _ in ANSWERS])
def test_a_condition_answers_yes_or_no_and_never_nothing(condition: Condition, answers: list[bool]) -> None:
    assert FACTS.select(x=holds(condition))["x"].to_list() == answers


def test_all_of_them_must_hold_and_none_is_true_of_all() -> None:
    both = [Condition("employees", "at_least", (10,)), Condition("industry", "in", ("food",))]
    assert FACTS.select("account_id", x=all_hold(both)).filter("x")["account_id"].to_list() == [2]
    assert FACTS.select("account_id", x=all_hold([]))["x"].all()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"fact": "colour", "test": "in", "values": ("red",)}, "no such fact"),
        ({"fact": "employees", "test": "near", "values": (5,)}, "no such test"),
        ({"fact": "industry", "test": "below", "values": (5,)}, "is a text"),
        ({"fact": "employees", "test": "in", "values": ("5",)}, "is a number"),
        ({"fact": "industry", "test": "in"}, "held against nothing"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(Fatal, match=told):
        Condition(**values)


def test_it_says_itself_in_words() -> None:
    assert words(Condition("industry", "in", ("Retail", "Media"), negated=True)) == "industry not in Retail, Media"
    assert words(Condition("employees", "at_least", (50,))) == "employees at least 50"
    assert extras_of([Condition("extra.Stack__c", "missing"), Condition("name", "missing")]) == ["Stack__c"]
