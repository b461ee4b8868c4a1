"""
SOQL text cut into tokens, and the caret frame that Salesforce puts around its complaints.
"""

import re
from dataclasses import dataclass
from typing import Literal

from worker.practice.salesforce.errors import malformed_query

FRAME_BEFORE = 40  # characters of the line shown left of the caret
FRAME_AFTER = 60

Kind = Literal["word", "string", "number", "currency", "date", "datetime", "symbol", "end"]

_SCANNER = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<datetime>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})(?![\w.]))
  | (?P<date>\d{4}-\d{2}-\d{2}(?![\w.:]))
  | (?P<number>[+-]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<currency>[A-Z]{3}\d+(?:\.\d+)?(?!\w))
  | (?P<word>[A-Za-z_]\w*)
  | (?P<symbol><=|>=|!=|<>|[=<>(),.:])
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "'": "'", '"': '"', "\\": "\\", "_": "_", "%": "%"}


@dataclass(frozen=True)
class Token:
    """
    One token. ``text`` is a string's value without quotes and escapes; ``pattern`` is its form for LIKE, where ``%``
    and ``_`` stand for anything unless a backslash stands before them. ``at`` is the offset in the source.
    """

    kind: Kind
    text: str
    at: int
    pattern: str = ""

    def is_symbol(self, text: str) -> bool:
        """
        Whether this is the given symbol.
        """
        return self.kind == "symbol" and self.text == text

    def is_word(self, *words: str) -> bool:
        """
        Whether this is one of the given lower-case words, in any case.
        """
        return self.kind == "word" and self.text.lower() in words


def tokenize(source: str) -> list[Token]:
    """
    The tokens of ``source``, the last one of kind ``end``. Raises MALFORMED_QUERY.
    """
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        if source[at] == "'":
            token, at = _string(source, at)
            tokens.append(token)
            continue
        match = _SCANNER.match(source, at)
        if match is None:
            raise malformed_query(frame(source, at, f"line 1:{at} no viable alternative at character '{source[at]}'"))
        kind = match.lastgroup
        if kind != "space":
            tokens.append(Token(kind, match.group(), at))  # type: ignore[arg-type]  # the group names are the kinds
        at = match.end()
    tokens.append(Token("end", "<EOF>", len(source)))
    return tokens


def _string(source: str, start: int) -> tuple[Token, int]:
    at = start + 1
    text: list[str] = []
    pattern: list[str] = []
    while at < len(source):
        char = source[at]
        if char == "'":
            return Token("string", "".join(text), start, "".join(pattern)), at + 1
        if char == "\\":
            escape = source[at + 1 : at + 2]
            if escape.lower() == "u" and re.match(r"[0-9A-Fa-f]{4}", source[at + 2 : at + 6]):
                value, width = chr(int(source[at + 2 : at + 6], 16)), 6
            elif escape.lower() in _ESCAPES:
                value, width = _ESCAPES[escape.lower()], 2
            else:
                words = (
                    f"Invalid string literal '{source[start + 1 : at + 2]}'. Illegal character sequence '\\{escape}' "
                    "in string literal."
                )
                raise malformed_query(frame(source, at, words))
            text.append(value)
            pattern.append("\\" + value if value in "%_\\" else value)
            at += width
            continue
        text.append(char)
        pattern.append(char)
        at += 1
    raise malformed_query(frame(source, start, f"line 1:{start} mismatched character '<EOF>' expecting '''"))


def frame(source: str, at: int, complaint: str) -> str:
    """
    Salesforce's message about a place in a query: the line, a caret under the place, row and column from 1, the words.
    """
    row = source.count("\n", 0, at)
    line_start = source.rfind("\n", 0, at) + 1
    line_end = source.find("\n", at)
    line_end = len(source) if line_end < 0 else line_end
    column = at - line_start
    left = max(line_start, at - FRAME_BEFORE)
    shown = source[left : min(line_end, at + FRAME_AFTER)]
    return f"\n{shown}\n{' ' * (at - left)}^\nERROR at Row:{row + 1}:Column:{column + 1}\n{complaint}"
