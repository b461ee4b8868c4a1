"""
Writes amounts for people. What is exact stays exact: digits are grouped, never rounded. Called by ``why``, ``report``
and the demo's story.
"""

from decimal import Decimal


def money(amount: Decimal | int | str | None, currency: str) -> str:
    """
    An amount in major units as ``84,000 USD``; "no amount" for none.
    """
    return "no amount" if amount is None or amount == "" else f"{Decimal(amount):,} {currency}"
