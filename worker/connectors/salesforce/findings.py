"""
What looking an organisation over comes to: one finding for each thing looked at. ``doctor`` and ``automation`` make
them, the command line tells them.
"""

from dataclasses import dataclass
from typing import Literal

from worker.core.errors import HeadwaterError

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """
    One thing looked at: what ``check`` found, how bad it is, lines that cure it, and its code in ``docs/errors.md``.
    """

    check: str
    level: Level
    message: str
    actions: tuple[str, ...] = ()
    code: str | None = None


def finding_of(check: str, error: HeadwaterError, level: Level = "error") -> Finding:
    """
    An error as a finding.
    """
    words = f"{error.message} ({error.vendor})" if error.vendor else error.message
    return Finding(check, level, words, tuple(error.actions), error.code)
