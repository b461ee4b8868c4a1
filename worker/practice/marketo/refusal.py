"""
The errors that Marketo answers inside HTTP 200, with the platform's codes and words.
"""

from typing import Any


class Refusal(Exception):
    """
    The call is refused: ``code`` as text, as the platform spells it.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def shape(self) -> dict[str, Any]:
        """
        One item of an answer's ``errors``.
        """
        return {"code": self.code, "message": self.message}


# Calls refused with these are counted neither against the day's quota nor against the rate limit.
UNCOUNTED = frozenset({"601", "602", "604", "605", "608", "611"})


def missing(parameter: str) -> Refusal:
    """
    1002: a required parameter was not given.
    """
    return Refusal("1002", f"Missing value for required parameter '{parameter}'")


def mistyped(value: str, wanted: str) -> Refusal:
    """
    1001: a parameter's value has the wrong type.
    """
    return Refusal("1001", f"Invalid value '{value}'. Required of type '{wanted}'")
