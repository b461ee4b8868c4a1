"""
Reads one JSON text into plain data and remembers on which line each key stands: what ``yamlfile`` is for YAML.

As strict: no duplicate keys, no NaN, an object at the top, bounded depth; numbers keep every digit they are written
with. Decides nothing about meaning; called by ``config.dealfile`` alone.
"""

import re
from bisect import bisect_right
from decimal import Decimal
from itertools import accumulate
from json import JSONDecodeError, JSONDecoder
from typing import Final

from config.yamlfile import MAX_DEPTH, Document, Flaw, Plain, YamlPath

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_STRINGS: Final = JSONDecoder()
_WORDS: Final[dict[str, Plain]] = {"true": True, "false": False, "null": None}


def parse_json(text: str) -> Document:
    """
    The text's content. Never raises for what is in it: the first thing that is no JSON is a flaw and ends the reading,
    keys that stand twice are flaws each.
    """
    reader = _Reader(text)
    try:
        data = reader.whole()
    except JSONDecodeError as error:
        reader.document.flaws = [Flaw(error.lineno, f"not readable as JSON: {error.msg}")]
        return reader.document
    if isinstance(data, dict):
        reader.document.data = data
    else:
        reader.document.flaws = [Flaw(1, "the file must hold keys and values in braces")]
    return reader.document


class _Reader:
    """
    A recursive reader; ``end`` is the place behind the value read last.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = 0
        self.document = Document()
        self._line_starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]

    def whole(self) -> Plain:
        """
        The one value that the text is.
        """
        data = self.value((), self.skip(0))
        if self.skip(self.end) != len(self.text):
            raise JSONDecodeError("something stands behind the end", self.text, self.skip(self.end))
        return data

    def skip(self, place: int) -> int:
        """
        The next place that holds no white space.
        """
        found = _SPACE.match(self.text, place)
        return found.end() if found else place

    def value(self, path: YamlPath, place: int) -> Plain:
        """
        The value that begins at this place.
        """
        self.document.lines.setdefault(path, self._line(place))
        if len(path) > MAX_DEPTH:
            raise JSONDecodeError(f"nested more than {MAX_DEPTH} levels deep", self.text, place)
        match self.text[place : place + 1]:
            case "{":
                return self._object(path, place)
            case "[":
                return self._array(path, place)
            case '"':
                return self._string(place)
        for word, meant in _WORDS.items():
            if self.text.startswith(word, place):
                self.end = place + len(word)
                return meant
        return self._number(path, place)

    def _object(self, path: YamlPath, place: int) -> dict[str, Plain]:
        data: dict[str, Plain] = {}
        place = self.skip(place + 1)
        while self.text[place : place + 1] != "}" or data:
            if self.text[place : place + 1] != '"':
                raise JSONDecodeError("a key in double quotes is expected", self.text, place)
            line = self._line(place)
            key = self._string(place)
            place = self._past(":", "a colon is expected behind a key")
            if key in data:
                first = self.document.lines[(*path, key)]
                self.document.flaws.append(Flaw(line, f'"{key}" stands here twice; the first is on line {first}'))
            else:
                self.document.lines[(*path, key)] = line
            data[key] = self.value((*path, key), place)
            place = self.skip(self.end)
            if self.text[place : place + 1] == "}":
                break
            place = self._past(",", "a comma or a closing brace is expected")
        self.end = place + 1
        return data

    def _array(self, path: YamlPath, place: int) -> list[Plain]:
        data: list[Plain] = []
        place = self.skip(place + 1)
        while self.text[place : place + 1] != "]" or data:
            data.append(self.value((*path, len(data)), place))
            place = self.skip(self.end)
            if self.text[place : place + 1] == "]":
                break
            place = self._past(",", "a comma or a closing bracket is expected")
        self.end = place + 1
        return data

    def _string(self, place: int) -> str:
        found, self.end = _STRINGS.raw_decode(self.text, place)
        text = str(found)
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise JSONDecodeError("half a character, which no text can hold", self.text, place)
        return text

    def _number(self, path: YamlPath, place: int) -> Plain:
        found = _NUMBER.match(self.text, place)
        if found is None:
            raise JSONDecodeError("a value is expected", self.text, place)
        self.end = found.end()
        self.document.written[path] = found[0]
        try:
            return Decimal(found[0]) if found[1] or found[2] else int(found[0])
        except ValueError:
            return Decimal(found[0])  # more digits than Python reads as a whole number
        except ArithmeticError:
            return found[0]  # an exponent that no number has: only words, which the model will refuse

    def _past(self, sign: str, words: str) -> int:
        """
        The next value's place, behind this sign.
        """
        place = self.skip(self.end)
        if self.text[place : place + 1] != sign:
            raise JSONDecodeError(words, self.text, place)
        return self.skip(place + 1)

    def _line(self, place: int) -> int:
        return bisect_right(self._line_starts, place)
