"""
Predicates of the rule file as polars expressions over a frame of activities.
"""

import re
from collections.abc import Sequence
from functools import reduce
from operator import and_, or_

import polars as pl

from worker.core.touchpoints.rules import Predicate

UTM_PREFIX = "utm:"


def attribute(name: str) -> pl.Expr:
    """
    One of the platform's own attributes, from the JSON text in column ``attributes``; null where absent or empty.
    """
    path = "$['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"
    return filled(pl.col("attributes").str.json_path_match(path))


def filled(value: pl.Expr) -> pl.Expr:
    """
    The value trimmed; null where nothing is left.
    """
    trimmed = value.str.strip_chars()
    return pl.when(trimmed != "").then(trimmed)


def holds(predicate: Predicate) -> pl.Expr:
    """
    Whether a predicate holds, never null.
    """
    subject = _subject(predicate).str.to_lowercase()
    values = [value.strip().lower() for value in predicate.values]
    match predicate.test:
        case "in":
            answer = subject.is_in(values)
        case "contains":
            answer = _any(subject.str.contains(value, literal=True) for value in values)
        case "words":
            answer = _any(subject.str.contains(_whole_words(value)) for value in values)
        case "starts_with":
            answer = _any(subject.str.starts_with(value) for value in values)
        case "missing":
            answer = subject.is_null()
        case "differs_from":
            answer = subject != attribute(predicate.values[0]).str.to_lowercase().fill_null("")
    answer = answer.fill_null(value=False)
    return ~answer if predicate.negated else answer


def all_hold(predicates: Sequence[Predicate]) -> pl.Expr:
    """
    Whether every predicate holds; true for none.
    """
    return reduce(and_, (holds(predicate) for predicate in predicates), pl.lit(value=True))


def any_holds(predicates: Sequence[Predicate]) -> pl.Expr:
    """
    Whether one predicate holds; false for none.
    """
    return _any(holds(predicate) for predicate in predicates)


def _subject(predicate: Predicate) -> pl.Expr:
    match predicate.source:
        case "attribute":
            return attribute(predicate.name)
        case "utm":
            return filled(pl.col(UTM_PREFIX + predicate.name))
        case "field":
            return filled(pl.col(predicate.name))


def _any(answers: object) -> pl.Expr:
    return reduce(or_, answers, pl.lit(value=False))  # type: ignore[call-overload, no-any-return]


def _whole_words(value: str) -> str:
    return r"(?:^|[^\p{L}\p{N}])" + re.escape(value).replace(r"\ ", " ") + r"(?:$|[^\p{L}\p{N}])"
