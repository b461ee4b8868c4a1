"""
``headwater periods``: locks fiscal periods, so that no credit moves inside them any more.
"""

import getpass
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import click

from worker.cli.ground import ground
from worker.cli.output import Speech, common, table
from worker.cli.sync import service_of
from worker.core.instants import to_the_minute
from worker.store import adjustments


@click.command("periods")
@click.option(
    "--lock",
    "lock_from_to",
    nargs=2,
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="FROM TO",
    help="Lock these days, both counted.",
)
@click.option("--reason", help="Why; kept with the lock.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def command(lock_from_to: tuple[datetime, datetime] | None, reason: str | None, *, yes: bool, speech: Speech) -> None:
    """
    Show the locked periods, or lock one.

    Pipeline credit belongs to the period of the deal's creation, revenue credit to that of its close date. Inside a
    locked period the stored credits stay as they are; what late data would change is booked as an adjustment on the day
    it is found. A lock cannot be taken back.
    """
    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        if lock_from_to is not None:
            starts_on, ends_on = (moment.date() for moment in lock_from_to)
            _check(starts_on, ends_on, reason)
            if not yes:
                click.confirm(f"Lock {starts_on} to {ends_on} for ever?", abort=True, err=True)
            with service.engine.begin() as connection:
                adjustments.lock(connection, starts_on, ends_on, reason or "", getpass.getuser())
        with service.engine.connect() as connection:
            locked = adjustments.locks(connection)
    speech.answer({"locked": locked}, lambda: _told(locked))


def _check(starts_on: date, ends_on: date, reason: str | None) -> None:
    if ends_on < starts_on:
        raise click.BadParameter(f"{ends_on} lies before {starts_on}", param_hint="--lock")
    if not reason:
        raise click.UsageError("say why: --reason TEXT is kept with the lock")


def _told(locked: list[dict[str, Any]]) -> Iterator[str]:
    if not locked:
        yield "No period is locked."
        return
    yield from table(
        ("FROM", "TO", "REASON", "LOCKED BY", "LOCKED", "ADJUSTED SINCE"),
        [
            (
                each["starts_on"],
                each["ends_on"],
                each["reason"],
                each["locked_by"],
                to_the_minute(each["locked_at"]),
                each["adjusted_deals"],
            )
            for each in locked
        ],
        right=(5,),
    )
