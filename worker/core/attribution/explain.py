"""
Puts an attribution into words: shares, positions, and the one sentence that sales reads on the opportunity.

Says only what ``path`` decided, with absolute dates, offers and campaigns as representatives know them, and never a
person's name. Called by the attribution flow and the console.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, Final

import polars as pl

from worker.core.attribution.path import PathSet
from worker.core.attribution.rules import BUILT_IN_POSITIONS, MIDDLE, AttributionRules, Model

# Salesforce's Text(255); characters beyond the basic plane count twice there, as in UTF-16.
LONGEST_SENTENCE: Final = 255
LONGEST_NAME: Final = 60

# Types as a representative calls them; any other is its own name with spaces.
TYPE_WORDS: Final = {
    "webinar_attended": "webinar",
    "event_attended": "event",
    "demo_request": "demo",
    "campaign_response": "campaign",
}
MILESTONE_WORDS: Final = {"LC": "lead creation", "OC": "creation", "CW": "close"}
BASIS_WORDS: Final = {"roles": "by role", "account": "by account", "primary": "as primary contact"}
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def share_text(numerator: int, denominator: int) -> str:
    """
    A share as text: a finite decimal where there is one ("0.6"), else the fraction in lowest terms ("1/3").
    """
    share = Fraction(numerator, denominator)
    rest, twos, fives = share.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{share.numerator}/{share.denominator}"
    places = max(twos, fives)
    digits = f"{share.numerator * 10**places // share.denominator:0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def share_percent(numerator: int, denominator: int, digits: int) -> Decimal:
    """
    A share in percent with that many digits, halves away from zero: (5, 8, 2) becomes 62.50.
    """
    scaled = Fraction(numerator * 100 * 10**digits, denominator)
    whole = (2 * abs(scaled.numerator) + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if scaled >= 0 else -whole).scaleb(-digits)


def positions_text(positions: Iterable[str]) -> str:
    """
    ["FT", "LC"] becomes "FT; LC"; no position becomes "".
    """
    return "; ".join(positions)
