"""
The one error of this room: a value from outside that cannot be used.

It has the attributes of ``worker.core.errors.HeadwaterError`` without importing it, because config imports nothing of
ours. Whoever shows errors to a person shows both alike. Codes: HW-101 environment, HW-102 rule files.
"""

from collections.abc import Sequence


class ConfigError(Exception):
    """
    A setting or a rule file a person has to correct before anything can run.

    ``code`` is ``HW-1nn``, ``message`` says what is wrong and where, never a secret's value. ``actions`` are lines to
    paste or do, in order. ``vendor`` is always None: nobody else's words are involved.
    """

    def __init__(self, code: str, message: str, actions: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.actions = tuple(actions)
        self.vendor: str | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
