"""
Decides whose acts are screened: kept and shown, but never points and never a reason to act.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_NO_WORD: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Screen:
    """
    Who is screened under ``label``: by e-mail domain, by the beginning of the address, or by words of the title.
    """

    label: str
    domains: tuple[str, ...] = ()
    email_prefixes: tuple[str, ...] = ()
    title_words: tuple[str, ...] = ()

    @cached_property
    def plain_domains(self) -> frozenset[str]:
        """
        In lower case.
        """
        return frozenset(each.lower() for each in self.domains)

    @cached_property
    def plain_prefixes(self) -> frozenset[str]:
        """
        In lower case.
        """
        return frozenset(each.lower() for each in self.email_prefixes)

    @cached_property
    def plain_words(self) -> tuple[str, ...]:
        """
        In lower case, each between blanks.
        """
        return tuple(f" {each.lower()} " for each in self.title_words)


def email_domain(email: str | None) -> str:
    """
    What stands behind the address's first @ in lower case; empty where nothing does.
    """
    return _address(email)[2]


def _address(email: str | None) -> tuple[str, str, str]:
    return (email or "").lower().partition("@")


def screen_of(email: str | None, title: str | None, screens: Sequence[Screen]) -> str | None:
    """
    The label of the first screen that fits, None where none does.
    """
    name, at, domain = _address(email)
    words = f" {_NO_WORD.sub(' ', (title or '').lower())} "
    for screen in screens:
        if domain and domain in screen.plain_domains:
            return screen.label
        if name and at and name in screen.plain_prefixes:
            return screen.label
        if title is not None and any(each in words for each in screen.plain_words):
            return screen.label
    return None
