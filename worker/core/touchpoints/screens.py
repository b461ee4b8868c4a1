"""
Decides whose acts are screened: kept and shown, but never points and never a reason to act.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl


@dataclass(frozen=True)
class Screen:
    """
    Who is screened under ``label``: by e-mail domain, by the beginning of the address, or by words of the title.
    """

    label: str
    domains: tuple[str, ...] = ()
    email_prefixes: tuple[str, ...] = ()
    title_words: tuple[str, ...] = ()


def screened(people: pl.DataFrame, screens: tuple[Screen, ...]) -> pl.Series:
    """
    The label of the first screen that fits each row's ``email`` and ``title``; null where none does.
    """
    email = pl.col("email").str.to_lowercase()
    title = " " + pl.col("title").str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", " ") + " "
    # Made once, as every screen looks at them again.
    plain = people.select(email=email, domain=email.str.extract(r"@(.+)$", 1), title=title)
    return plain.with_columns(screened=_label(screens))["screened"]


@lru_cache(maxsize=16)
def _label(screens: Sequence[Screen]) -> pl.Expr:
    """
    The label of the first screen that fits, over ``email``, ``domain`` and ``title`` in lower case.
    """
    email, domain, title = pl.col("email"), pl.col("domain"), pl.col("title")
    answers = []
    for screen in screens:
        fits = [domain.is_in([name.lower() for name in screen.domains])] if screen.domains else []
        fits += [email.str.starts_with(prefix.lower() + "@") for prefix in screen.email_prefixes]
        fits += [title.str.contains(f" {words.lower()} ", literal=True) for words in screen.title_words]
        if fits:
            answers.append(pl.when(pl.any_horizontal(fits).fill_null(value=False)).then(pl.lit(screen.label)))
    return pl.coalesce(*answers, pl.lit(None, pl.String))
