"""
``headwater periods``: what is locked stays locked, with its reason.
"""

import pytest

from tests.cli.conftest import Terminal

pytestmark = pytest.mark.slow


def test_a_period_is_locked_with_a_reason_and_shown(headwater: Terminal) -> None:
    assert headwater("periods").out == "No period is locked.\n"
    said = headwater(
        "periods", "--lock", "2001-01-01", "2001-03-31", "--reason", "closed by finance", "--yes", "--json"
    )
    assert said.code == 0, said.err
    (locked,) = said.data["result"]["locked"]
    assert (locked["starts_on"], locked["ends_on"], locked["reason"]) == (
        "2001-01-01",
        "2001-03-31",
        "closed by finance",
    )
    assert "2001-03-31  closed by finance" in headwater("periods").out


@pytest.mark.parametrize(
    "words",
    [
        ("--lock", "2001-03-31", "2001-01-01", "--reason", "x", "--yes"),
        ("--lock", "2001-01-01", "2001-03-31", "--yes"),
        ("--lock", "January", "2001-03-31", "--reason", "x", "--yes"),
    ],
)
def test_wrong_usage_locks_nothing(headwater: Terminal, words: tuple[str, ...]) -> None:
    before = headwater("periods").out
    assert headwater("periods", *words).code == 2
    assert headwater("periods").out == before
