"""
``headwater report sources``: deals by the channel that opened them, and those whose data contradict themselves apart.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from worker.cli.money import money
from worker.cli.output import table
from worker.core.instants import to_the_minute
from worker.store import views


def won_in(connection: Connection, home_currency: str) -> list[str]:
    """
    The currencies of the won deals; a deal that names none is in the home currency.
    """
    found = views.rows(
        connection,
        """
        SELECT DISTINCT coalesce(currency, :home) AS currency FROM opportunity
        WHERE NOT is_deleted AND outcome = 'won' AND amount IS NOT NULL ORDER BY 1
        """,
        home=home_currency,
    )
    return [str(row["currency"]) for row in found]


def told(found: dict[str, Any], currencies: Sequence[str]) -> Iterator[str]:
    """
    The report as people read it. ``currencies`` are those of the won deals: a sum over several is said to be one.
    """
    columns = ("channel", "team", "deals", "open_deals", "won_deals", "lost_deals")
    currency = currencies[0] if len(currencies) == 1 else "(mixed)"
    yield from table(
        [*(name.replace("_", " ").upper() for name in columns), "WON AMOUNT"],
        [
            [
                *(row[name] for name in columns),
                money(row["won_amount"], currency) if row["won_amount"] is not None else None,
            ]
            for row in found["rows"]
        ],
        right=(2, 3, 4, 5, 6),
    )
    if len(currencies) > 1:
        yield f"Won amounts add up {', '.join(currencies)} as they stand, without conversion."
    won = sum(row["won_deals"] for row in found["rows"])
    yield f"{sum(row['deals'] for row in found['rows']):,} deals, {won:,} won."
    for row in found["not_credited"]:
        yield f"Apart: {row['deals']:,} deals ({row['won_deals']:,} won), {row['why']}."
    shown: dict[str, list[dict[str, Any]]] = {}
    for remark in found["remarks"]:
        shown.setdefault(remark["remark"], []).append(remark)
    for words, deals in shown.items():
        yield f"As it is: {len(deals):,} deals, {words}; for example {deals[0]['name']} ({deals[0]['record_id']})."
    as_of = found["as_of"]
    yield f"As of {to_the_minute(as_of['at'])}, rules v{as_of['rules']}." if as_of["at"] else "Nothing was decided yet."
