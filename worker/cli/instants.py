"""
How an instant is typed on the command line.
"""

from datetime import date, datetime
from typing import Any

import click

from config.days import read_instant


class InstantType(click.ParamType["datetime | date"]):
    """
    An instant with its time zone, or a day of the organisation's.
    """

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | date:
        """
        A day alone stays a date.
        """
        try:
            return read_instant(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
