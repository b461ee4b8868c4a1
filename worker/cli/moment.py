"""
``--as-of`` and ``--known-then``: the past moment for which a command is to answer, and the store as one looks back at
it. Called by ``why`` and ``report``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import wraps
from typing import Any

import click

from config.days import instant
from config.rulefiles import load_rules
from config.settings import Settings
from worker.cli.instants import InstantType
from worker.flows.as_of import Hindsight, Moment
from worker.flows.run import Service
from worker.store import past
from worker.wiring import past_rules


@dataclass(frozen=True)
class AsOf:
    """
    What was asked for: an instant or a day, and whether by what was known then.
    """

    at: datetime | date
    known_then: bool

    def moment(self, zone: str) -> Moment:
        """
        The instant; of a day, its last second in the time zone.
        """
        return Moment(instant(self.at, zone, ends=True), self.known_then)


def past_moment(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    The two options; the command gets an ``as_of``, None where no moment was asked for.
    """

    @click.option(
        "--as-of",
        type=InstantType(),
        metavar="INSTANT",
        help="As it stood then, by all that is known of it now (2026-11-18T12:00:00Z, or a day).",
    )
    @click.option("--known-then", is_flag=True, help="With --as-of: by what was known then.")
    @wraps(command)
    def asked(*args: Any, as_of: datetime | date | None, known_then: bool, **kwargs: Any) -> Any:
        if known_then and as_of is None:
            raise click.UsageError("give --known-then with --as-of")
        return command(*args, as_of=None if as_of is None else AsOf(as_of, known_then), **kwargs)

    return asked


@contextmanager
def looking_back(service: Service, settings: Settings) -> Iterator[Hindsight]:
    """
    One moment of the store, read only, and the rules that were in force on each day.
    """
    rules_of = past_rules(service.engine, load_rules(settings.rules))
    with past.look_only(service.engine) as connection:
        yield Hindsight(connection, rules_of)
