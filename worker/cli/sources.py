"""
``headwater report``: numbers with what is behind them.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import click
from sqlalchemy import Connection

from worker.cli.ground import ground
from worker.cli.money import money
from worker.cli.output import Speech, common, table
from worker.cli.sync import service_of
from worker.core.instants import to_the_minute
from worker.store import views


@click.command("report")
@click.argument("name", type=click.Choice(["sources"]))
@click.option("--csv", "as_csv", is_flag=True, help="Answer in CSV.")
@common
def command(name: str, *, as_csv: bool, speech: Speech) -> None:  # noqa: ARG001 - click has checked the name
    """
    sources: deals by the channel that opened them, with what was won; deals whose data contradict themselves apart.
    """
    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        with service.engine.connect() as connection:
            found = views.report_sources(connection)
            currencies = _won_in(connection, service.rules.currency)
        if as_csv:
            click.echo(_csv(found["rows"]), nl=False)
        else:
            speech.answer(found, lambda: told(found, currencies))


def _won_in(connection: Connection, home_currency: str) -> list[str]:
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


def _csv(rows: list[dict[str, Any]]) -> str:
    """
    CSV for people: text that a spreadsheet would run as a formula gets a quote before it.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else ["channel"])
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r\0" and value[:1] else value
                for name, value in row.items()
            }
        )
    return out.getvalue()
