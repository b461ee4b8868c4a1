"""
Decides whose acts are screened: kept and shown, but never points and never a reason to act.
"""

from dataclasses import dataclass

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
    domain = email.str.extract(r"@(.+)$", 1)
    title = " " + pl.col("title").str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", " ") + " "
    answers = []
    for screen in screens:
        fits = domain.is_in([name.lower() for name in screen.domains])
        for prefix in screen.email_prefixes:
            fits |= email.str.starts_with(prefix.lower() + "@")
        for words in screen.title_words:
            fits |= title.str.contains(f" {words.lower()} ", literal=True)
        answers.append(pl.when(fits.fill_null(value=False)).then(pl.lit(screen.label)))
    label = pl.coalesce(*answers, pl.lit(None, pl.String)) if answers else pl.lit(None, pl.String)
    return people.select(screened=label)["screened"]
