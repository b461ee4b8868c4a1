"""
What is wrong with a rule file, in plain words, with its place and the nearest right spelling.

Turns pydantic's findings into sentences; finds nothing itself. Called by ``config.rulefiles`` and its cross-checks.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from config.errors import ConfigError
from config.rulemodel import RuleModel
from config.yamlfile import YamlPath


@dataclass(frozen=True, order=True)
class Problem:
    """
    One thing to correct: the file as its path reads from here, the line (1 is the first), what is wrong.
    """

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class RuleErrors(ConfigError):
    """
    Everything that is wrong with a folder of rules, by file and line. HW-102.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        things = "one thing" if count == 1 else f"{count} things"
        text = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__("HW-102", f"{things} to correct in the rule files\n{text}", ("headwater check",))


def path_of(location: tuple[int | str, ...]) -> YamlPath:
    """
    The path in the file of what pydantic found; an unfit key of a mapping is found at that key.
    """
    return tuple(part for part in location if part != "[key]")


def with_path(path: YamlPath, message: str) -> str:
    """
    ``message`` with the path in words, for where no line can be named.
    """
    return f'{message} (at "{".".join(str(part) for part in path)}")' if path else message


def words_of(found: ErrorDetails, model: type[RuleModel]) -> str:
    """
    A validation error in plain words.
    """
    kind, location = found["type"], path_of(found["loc"])
    context = found.get("ctx", {})
    key = _named(location)
    if kind == "extra_forbidden":
        return f"unknown key {key}{hint(str(location[-1]), _keys_at(model, location[:-1]))}"
    if kind == "missing":
        return f"missing {key}"
    if kind in ("literal_error", "enum"):
        words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        if not words:
            return f"{key}: must be {context.get('expected')}"
        given = found["input"]
        return f'{key}: "{given}" is none of {", ".join(words)}{hint(str(given), words)}'
    if kind == "value_error":
        return f"{key}: {context['error']}" if location else str(context["error"])
    if kind in _BOUNDS:
        return f"{key}: must be {_BOUNDS[kind]} {next(iter(context.values()))}"
    if kind in _LENGTHS:
        limit, told = _LENGTHS[kind]
        return f"{key}: {told.format(context[limit])}"
    return f"{key}: {_PLAIN.get(kind, str(found['msg'])[:1].lower() + str(found['msg'])[1:])}"


_PLAIN: Final = {
    "int_type": "a whole number is expected",
    "bool_type": "true or false is expected",
    "string_type": "a text is expected",
    "dict_type": "keys and values are expected here",
    "model_type": "keys and values are expected here",
    "model_attributes_type": "keys and values are expected here",
    "tuple_type": "a list is expected",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}

_BOUNDS: Final = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}

# Which of the finding's values says how long it may be, and the words around it.
_LENGTHS: Final = {
    "too_long": ("max_length", "must not be longer than {}"),
    "string_too_long": ("max_length", "must not be longer than {} letters"),
    "decimal_max_places": ("decimal_places", "at most {} digits may stand behind the point"),
}


def _named(path: YamlPath) -> str:
    if not path:
        return "the file"
    last = path[-1]
    return f'"{last}"' if isinstance(last, str) else f"{_named(path[:-1])} item {last + 1}"


def hint(word: str, known: Iterable[str]) -> str:
    """
    The nearest of the known words as a question, to be put behind a sentence; empty where none is near.
    """
    close = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6) or difflib.get_close_matches(
        word, sorted(known), n=1, cutoff=0.6
    )
    return f'. Did you mean "{close[0]}"?' if close else ""


def _keys_at(model: type[BaseModel], path: YamlPath) -> list[str]:
    """
    The keys that the model takes at a path of the file.
    """
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
            here = _inner(fields.get(str(part)))
        else:
            arguments = [argument for argument in get_args(here) if argument is not Ellipsis]
            here = _inner(arguments[-1]) if arguments else None
    if isinstance(here, type) and issubclass(here, BaseModel):
        return [field.alias or name for name, field in here.model_fields.items()]
    return []


def _inner(annotation: Any) -> Any:
    """
    What is annotated, without ``| None`` and metadata.
    """
    if hasattr(annotation, "__metadata__"):
        return _inner(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _inner(next(argument for argument in get_args(annotation) if argument is not type(None)))
    return annotation
