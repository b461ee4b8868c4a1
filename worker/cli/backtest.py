"""
``headwater backtest``: whether the flag was worth anything, by what happened afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from sqlalchemy import Connection

from worker.cli.ground import ground
from worker.cli.output import Speech, common, table
from worker.cli.sync import service_of
from worker.core.engagement.backtest import Backtest
from worker.core.errors import Fatal
from worker.store import scopes, standings

VERDICTS = ("wrong", "not interested", "right")


@click.command("backtest")
@click.option("--on", "on", type=click.DateTime(["%Y-%m-%d"]), help="The day to look back to; a year ago by default.")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Keep what sales says of the flag of --account.")
@click.option("--account", help="A Salesforce id, a domain, or a name.")
@click.option("--by", "said_by", help="Who says so.")
@common
def command(on: datetime | None, verdict: str | None, account: str | None, said_by: str | None, speech: Speech) -> None:
    """
    Of the accounts that were engaged a year ago by today's rules, how many opened an opportunity within 90 days,
    against unflagged accounts of the same fit; and the precision of every rule version that was in force.
    """
    if (verdict is None) != (account is None):
        raise click.UsageError("--verdict and --account go together.")
    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        if verdict is not None and account is not None:
            with service.engine.begin() as connection:
                standings.say(connection, _account(connection, account), verdict, said_by)
            speech.answer({"verdict": verdict, "account": account}, lambda: [f"Kept: {account}, {verdict}."])
            return
        from worker.flows.backtest import backtest

        day = on.date() if on else (datetime.now(UTC) - timedelta(days=365)).date()
        with service.engine.connect() as connection:
            found = backtest(connection, service.rules, day)
            versions = standings.precision_by_version(connection)
    speech.answer({**asdict(found), "versions": versions}, lambda: told(found, versions))


def _account(connection: Connection, words: str) -> int:
    found = [each["id"] for each in scopes.find(connection, words) if each["kind"] == "account"]
    if len(found) != 1:
        raise Fatal("HW-122", f'"{words}" names {len(found)} accounts', actions=["give the account's Salesforce id"])
    return int(found[0])


def told(found: Backtest, versions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """
    The answer as people read it.
    """
    yield f"Engaged on {found.on} by today's rules, and whether an opportunity was opened within 90 days:"
    yield from table(
        ("FIT", "FLAGGED", "OPENED", "RATE", "UNFLAGGED", "OPENED", "RATE"),
        [
            [
                band["fit_band"],
                band["flagged"],
                band["flagged_opened"],
                _share(band["flagged_opened"], band["flagged"]),
                band["unflagged"],
                band["unflagged_opened"],
                _share(band["unflagged_opened"], band["unflagged"]),
            ]
            for band in found.bands
        ],
        right=(1, 2, 3, 4, 5, 6),
    )
    if found.precision is None:
        yield "Nobody was engaged then: nothing can be said."
    elif found.expected is None:
        yield f"{found.precision:.1%} of the flagged opened one; there is nobody of the same fit to compare with."
    else:
        lift = f", {found.lift:.1f} times as many" if found.lift is not None else ""
        yield (
            f"{found.precision:.1%} of {found.flagged:,} flagged accounts opened one; unflagged accounts of the same "
            f"fit {found.expected:.1%}{lift}."
        )
    if found.openings_found is not None:
        yield f"{found.openings_found:.1%} of all openings had been flagged."
    yield ""
    if versions:
        yield from table(
            ("RULES", "FLAGGED", "OF THEM RIPE", "OPENED", "PRECISION", "WRONG", "NOT INTERESTED"),
            [
                [
                    f"v{row['rule_version']}",
                    row["flagged"],
                    row["ripe"],
                    row["opened"],
                    _share(row["opened"], row["ripe"]),
                    row["wrong"],
                    row["not_interested"],
                ]
                for row in versions
            ],
            right=(1, 2, 3, 4, 5, 6),
        )
        yield "Ripe: flagged at least 90 days ago, so that it is known what came of it."


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
