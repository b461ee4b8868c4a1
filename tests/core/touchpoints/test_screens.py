"""
Whose acts are kept and shown and never reach sales, and why.
"""

import pytest

from worker.core.touchpoints.screens import Screen, screen_of

SCREENS = (
    Screen("Junk: made-up address", domains=("example.com", "Mailinator.com")),
    Screen("Junk: made-up address", email_prefixes=("asdf", "noemail")),
    Screen("Junk: job seeker", title_words=("job seeker", "unemployed")),
)


def label(email: str | None, title: str | None = None, screens: tuple[Screen, ...] = SCREENS) -> str | None:
    return screen_of(email, title, screens)


@pytest.mark.parametrize("email", ["Ada@EXAMPLE.com", "x@mailinator.com", "asdf@acme.com", "NoEmail@acme.com"])
def test_a_made_up_address_is_screened(email: str) -> None:
    assert label(email) == "Junk: made-up address"


@pytest.mark.parametrize("email", ["ada@notexample.com", "asdfgh@acme.com", "ada@acme.com", "no-at-sign", "", None])
def test_a_real_address_is_not(email: str | None) -> None:
    assert label(email) is None


def test_a_title_is_read_by_whole_words() -> None:
    assert label("ada@acme.com", "CFO (Job-Seeker)") == "Junk: job seeker"
    assert label("ada@acme.com", "Job Seekers' Advocate") is None


def test_the_first_screen_that_fits_gives_the_reason() -> None:
    assert label("ada@example.com", "unemployed") == "Junk: made-up address"


def test_without_screens_nobody_is_screened() -> None:
    assert label("ada@example.com", screens=()) is None
