"""
How senior a title is, and which role a sentence shows.
"""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.engagement.levels import FUNCTION_PATTERNS, LevelRules, level_and_role, levels
from worker.core.errors import Fatal

TITLES = {
    "VP Finance": ("vp", "VP Finance"),
    "Vice President, Human Resources": ("vp", "VP HR"),
    "SVP Sales": ("vp", "VP Sales"),
    "CFO": ("c_level", "C-level Finance"),
    "Chief Information Security Officer": ("c_level", "C-level Security"),
    "Co-Founder & CEO": ("c_level", "C-level"),
    "President": ("c_level", "C-level"),
    "Geschäftsführer": ("c_level", "C-level"),
    "Director of Procurement": ("director", "Director Procurement"),
    "Head of Data": ("director", "Director Data"),
    "Leiter IT": ("director", "Director IT"),
    "Einkaufsleiterin": ("director", "Director Procurement"),
    "IT Manager": ("other", "IT"),
    "Software Engineer": ("other", "Engineering"),
    "Internal Auditor": ("other", "Finance"),
    "International Sales Manager": ("other", "Sales"),
    "Product Owner": ("other", "Product"),
    "Executive Assistant to the CEO": ("other", None),
    "Chief of Staff": ("other", None),
    "Consultant": ("other", None),
    "Intern": ("student", "student"),
    "Werkstudentin Marketing": ("student", "student"),
    "": ("other", None),
}


@pytest.mark.parametrize(("title", "found"), TITLES.items())
def test_a_title_has_a_level_and_a_role(title: str, found: tuple[str, str | None]) -> None:
    assert level_and_role(title) == found


def test_no_title_is_other() -> None:
    assert level_and_role(None) == ("other", None)


def test_a_column_gives_one_row_a_distinct_title() -> None:
    found = levels(pl.Series(["CFO", None, "Intern", "CFO"]))
    assert list(found.iter_rows()) == [("CFO", "c_level", "C-level Finance"), ("Intern", "student", "student")]
    assert levels(pl.Series([], dtype=pl.String)).schema == found.schema


@given(st.text(max_size=60))
def test_nothing_typed_into_a_title_reaches_a_sentence(title: str) -> None:
    _, role = level_and_role(title)
    words = {word for word, _ in FUNCTION_PATTERNS}
    assert (
        role is None
        or role in ("student", "C-level", "VP", "Director")
        or role.split(" ", 1)[-1] in words
        or role in words
    )


def test_other_patterns_may_be_given() -> None:
    rules = LevelRules(levels=(("vp", r"\bpartner\b"),), functions=(("Law", "law"),))
    assert level_and_role("Partner, Law", rules) == ("vp", "VP Law")


@pytest.mark.parametrize(
    ("rules", "words"),
    [({"levels": (("boss", "x"),)}, "no such level: boss"), ({"functions": (("IT", "("),)}, "'IT' cannot be read")],
)
def test_patterns_that_mean_nothing_are_refused(rules: dict[str, tuple[tuple[str, str], ...]], words: str) -> None:
    with pytest.raises(Fatal, match=words):
        LevelRules(**rules)
