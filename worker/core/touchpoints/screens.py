"""
Decides whose acts are screened: kept and shown, but never points and never a reason to act.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

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


def with_screens(people: pl.LazyFrame, screens: tuple[Screen, ...]) -> pl.LazyFrame:
    """
    The rows with ``screened``, the label of the first screen that fits ``email`` and ``title``, null where none does;
    and with ``email_domain``, what stands behind the address's first @ in lower case.
    """
    return (
        people.with_columns(_EMAIL, _TITLE)
        .with_columns(_NAME, _DOMAIN)
        .with_columns(screened=_label(screens))
        .drop("plain_email", "plain_title", "email_name")
    )


_EMAIL: Final = pl.col("email").str.to_lowercase().alias("plain_email")
_NAME: Final = pl.col("plain_email").str.extract(r"^([^@]+)@", 1).alias("email_name")
_DOMAIN: Final = pl.col("plain_email").str.extract(r"@(.+)$", 1).alias("email_domain")
_TITLE: Final = pl.concat_str(
    pl.lit(" "), pl.col("title").str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", " "), pl.lit(" ")
).alias("plain_title")


@lru_cache(maxsize=16)
def _label(screens: Sequence[Screen]) -> pl.Expr:
    """
    The label of the first screen that fits.
    """
    name, domain, title = pl.col("email_name"), pl.col("email_domain"), pl.col("plain_title")
    answers = []
    for screen in screens:
        fits = [domain.is_in([each.lower() for each in screen.domains])] if screen.domains else []
        if screen.email_prefixes:
            fits.append(name.is_in([prefix.lower() for prefix in screen.email_prefixes]))
        if screen.title_words:
            fits.append(title.str.contains_any([f" {words.lower()} " for words in screen.title_words]))
        if fits:
            answers.append(pl.when(pl.any_horizontal(fits).fill_null(value=False)).then(pl.lit(screen.label)))
    return pl.coalesce(*answers, pl.lit(None, pl.String))
