"""
The tests that rules are made of: trimmed, in any case, and never in doubt.
"""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.touchpoints.predicates import all_hold, any_holds, attribute, holds
from worker.core.touchpoints.rules import Predicate, Test


def answer(asset: str | None, test: Test, *values: str, negated: bool = False) -> bool:
    frame = pl.DataFrame({"asset": [asset]}, schema={"asset": pl.String})
    found: Any = frame.select(holds(Predicate("field", "asset", test, values, negated))).item()
    assert isinstance(found, bool)
    return found


@pytest.mark.parametrize(
    ("asset", "test", "values", "expected"),
    [
        ("  Webinar ", "in", ("webinar", "event"), True),
        ("Webinars", "in", ("webinar",), False),
        ("Request a Demo", "contains", ("demo",), True),
        ("Democracy survey", "words", ("demo",), False),
        ("demo-request", "words", ("demo",), True),
        ("a (b.c) d", "words", ("b.c",), True),
        ("a bxc d", "words", ("b.c",), False),
        ("/pricing/eu", "starts_with", ("/pricing",), True),
        ("/en/pricing", "starts_with", ("/pricing",), False),
        (None, "missing", (), True),
        ("   ", "missing", (), True),
        ("x", "missing", (), False),
        ("Ünser Größe", "words", ("größe",), True),
    ],
)
def test_a_value_is_compared_trimmed_and_in_any_case(
    asset: str | None, test: Test, values: tuple[str, ...], expected: bool
) -> None:
    assert answer(asset, test, *values) is expected
    assert answer(asset, test, *values, negated=True) is not expected


@given(st.text() | st.none(), st.text(min_size=1))
def test_every_test_gives_an_answer_whatever_the_value(asset: str | None, value: str) -> None:
    tests: tuple[Test, ...] = ("in", "contains", "words", "starts_with", "missing")
    for test in tests:
        answer(asset, test, value)


def test_an_attribute_is_read_by_its_whole_name() -> None:
    frame = pl.DataFrame({"attributes": ['{"New Status": "Attended", "a.b": "x", "it\'s": "y"}', "{}", None]})
    for name, expected in (("New Status", "Attended"), ("a.b", "x"), ("it's", "y")):
        assert frame.select(attribute(name)).to_series().to_list() == [expected, None, None]


def test_no_predicate_holds_for_all_and_none_for_any() -> None:
    frame = pl.DataFrame({"asset": ["x"]})
    assert frame.select(a=all_hold(())).item() is True
    assert frame.select(a=any_holds(())).item() is False
