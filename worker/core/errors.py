"""
What can go wrong, named for what to do about it.

Every error a person may see carries a code (``docs/errors.md`` lists them), what happened with counts and names, and
lines that can be pasted. The three verdicts decide what the machinery does: ``Fatal`` stops the run, ``Retriable``
makes the job come again, ``Skippable`` puts one record aside and the rest goes on.
"""

from collections.abc import Sequence
from datetime import timedelta


class HeadwaterError(Exception):
    """
    An error a person can act on.

    ``code`` is ``HW-nnn``: 1xx configuration, 2xx Salesforce, 3xx marketing platform, 4xx matching and data,
    5xx database or broker, 9xx a bug of ours. ``actions`` are lines to paste or do, in order. ``vendor`` quotes the
    other system's own words and code as received.
    """

    def __init__(self, code: str, message: str, *, actions: Sequence[str] = (), vendor: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.actions = tuple(actions)
        self.vendor = vendor

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" ({self.vendor})" if self.vendor else "")


class Fatal(HeadwaterError):
    """
    The run stops; a person has to act (a wrong key, a missing permission, a rule that cannot be read).
    """


class Retriable(HeadwaterError):
    """
    The job comes again by itself, not before ``after`` has passed (an outage, a lock, a limit).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        after: timedelta = timedelta(seconds=15),
        actions: Sequence[str] = (),
        vendor: str | None = None,
    ) -> None:
        super().__init__(code, message, actions=actions, vendor=vendor)
        self.after = after


class Skippable(HeadwaterError):
    """
    One record is put in quarantine with the reason, and the rest goes on.
    """


class LeaseLost(Retriable):
    """
    Another worker holds this job now: everything of this unit of work is rolled back.
    """

    def __init__(self) -> None:
        super().__init__("HW-501", "this worker was too slow and another one has taken the job over")


class StaleRules(Retriable):
    """
    Other rules are in force than the ones this process has read: it reads them again before it goes on.
    """

    def __init__(self, in_force: int, ours: int) -> None:
        super().__init__(
            "HW-104",
            f"rules v{in_force} are in force, this process has read v{ours}",
            actions=["run the command again", "start every process with the same HEADWATER_RULES"],
        )
