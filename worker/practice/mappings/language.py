"""
Reads a mapping file into a ``Mapping`` and says of every mistake on which line it stands. The language itself is
described in the head of ``olist.yaml``.

Checks everything that can be known without the data: keys, types, names of files, columns, steps and parts. Called by
``worker.practice.load``; touches no server.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from worker.core.errors import Fatal
from worker.practice.mappings.values import Placeholder, placeholders

TYPES: Final = ("text", "number", "boolean", "day", "instant")
CONVERSION: Final = "salesforce.conversion"
MAKES: Final = (CONVERSION, "marketo.person", "marketo.activity", "marketo.program", "marketo.member")
PARTS: Final = ("leadId", "accountId", "contactId", "opportunityId", "roleId")
_DEFAULT_FORMATS: Final = {"day": ("%Y-%m-%d",), "instant": ("%Y-%m-%d %H:%M:%S",)}


@dataclass(frozen=True)
class Column:
    """
    A column's type, one of ``TYPES``, and for days and instants the formats to try, in order.
    """

    type: str
    formats: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """
    One CSV file: see ``files`` in the language. ``within`` is other file -> own column.
    """

    name: str
    path: str
    key: str
    columns: dict[str, Column]
    required: tuple[str, ...] = ()
    within: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """
    One kind of record to make: see ``steps`` in the language. ``values`` holds templates, nested as written.
    """

    name: str
    make: str
    of: str
    for_each: tuple[str, ...]
    values: dict[str, Any]


@dataclass(frozen=True)
class NoticeRule:
    """
    An oddity to report: ``of.earlier`` lies before ``than_file.than_column``.
    """

    of: str
    earlier: str
    than_file: str
    than_column: str
    say: str


@dataclass(frozen=True)
class Mapping:
    """
    A whole mapping file, checked. ``fields`` is Salesforce object -> custom field -> label.
    """

    path: Path
    files: dict[str, File]
    fields: dict[str, dict[str, str]]
    steps: tuple[Step, ...]
    notices: tuple[NoticeRule, ...]


def read_mapping(path: Path) -> Mapping:
    """
    The mapping in a file. Raises Fatal HW-170 naming file and line of the first mistake.
    """
    try:
        document = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Fatal("HW-170", f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Fatal("HW-170", f"{path}:1: not UTF-8") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Fatal("HW-170", f"{path}:{line}: {error.problem}") from error
    except YAMLError as error:
        raise Fatal("HW-170", f"{path}:1: {error}") from error
    return _Reader(path).mapping(document)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, File] = {}
        self._steps: dict[str, Step] = {}

    def mapping(self, document: Any) -> Mapping:
        top = self._map(document, 1, ("files", "fields", "steps", "notices"), required=("files", "steps"))
        files = self._map(top["files"], _line(top, "files"))
        for name in files:
            self._files[str(name)] = self._file(str(name), files[name], _line(files, name))
        for file in self._files.values():
            self._check_within(file, files[file.name])
        fields = self._fields(top)
        steps = self._list(top["steps"], _line(top, "steps"))
        for index, item in enumerate(steps):
            step = self._step(item, _item_line(steps, index))
            self._steps[step.name] = step
        notices = self._list(top.get("notices") or CommentedSeq(), _line(top, "notices"))
        rows = tuple(self._notice(item, _item_line(notices, index)) for index, item in enumerate(notices))
        return Mapping(self._path, self._files, fields, tuple(self._steps.values()), rows)

    def _file(self, name: str, item: Any, line: int) -> File:
        keys = ("path", "key", "columns", "required", "within")
        shape = self._map(item, line, keys, required=("path", "key", "columns"))
        columns = self._map(shape["columns"], _line(shape, "columns"))
        parsed = {str(c): self._column(columns[c], _line(columns, c)) for c in columns}
        key = self._known(shape["key"], parsed, "column", _line(shape, "key"))
        required = tuple(
            self._known(c, parsed, "column", _line(shape, "required"))
            for c in self._list(shape.get("required") or CommentedSeq(), _line(shape, "required"))
        )
        within = {str(k): str(v) for k, v in (shape.get("within") or {}).items()}
        return File(name, self._text(shape["path"], _line(shape, "path")), key, parsed, required, within)

    def _check_within(self, file: File, shape: CommentedMap) -> None:
        for other, column in file.within.items():
            line = _line(shape, "within")
            self._known(other, self._files, "file", line)
            self._known(column, file.columns, "column", line)

    def _column(self, item: Any, line: int) -> Column:
        if isinstance(item, str):
            item = {"type": item}
            shape = item
        else:
            shape = self._map(item, line, ("type", "formats"), required=("type",))
        kind = self._known(shape["type"], TYPES, "type", line)
        formats = tuple(str(f) for f in shape.get("formats") or ())
        if formats and kind not in _DEFAULT_FORMATS:
            raise self._flaw(line, f"only day and instant have formats, not {kind}")
        return Column(kind, formats or _DEFAULT_FORMATS.get(kind, ()))

    def _fields(self, top: CommentedMap) -> dict[str, dict[str, str]]:
        if not top.get("fields"):
            return {}
        objects = self._map(top["fields"], _line(top, "fields"))
        fields: dict[str, dict[str, str]] = {}
        for name in objects:
            labels = self._map(objects[name], _line(objects, name))
            for api_name in labels:
                if not str(api_name).endswith("__c"):
                    raise self._flaw(_line(labels, api_name), f"a custom field's name ends in __c: {api_name}")
            fields[str(name)] = {str(k): str(v) for k, v in labels.items()}
        return fields

    def _step(self, item: Any, line: int) -> Step:
        keys = ("step", "make", "of", "for_each", "values")
        shape = self._map(item, line, keys, required=("step", "make", "of", "values"))
        name = self._text(shape["step"], line)
        if name in self._steps:
            raise self._flaw(line, f"there is a step {name} already")
        make = self._text(shape["make"], _line(shape, "make"))
        if not (make.startswith("salesforce.") and make != "salesforce."):
            self._known(make, MAKES, "kind of record", _line(shape, "make"))
        of = self._known(shape["of"], self._files, "file", _line(shape, "of"))
        columns = self._files[of].columns
        for_each = tuple(
            self._known(c, columns, "column", _line(shape, "for_each"))
            for c in self._list(shape.get("for_each") or CommentedSeq(), line)
        )
        values = self._map(shape["values"], _line(shape, "values"))
        step = Step(name, make, of, for_each, values)
        for text, at in _texts(values):
            self._check_text(text, at, step)
        return Step(name, make, of, for_each, _plain(values))

    def _check_text(self, text: str, line: int, step: Step) -> None:
        try:
            found = placeholders(text)
        except ValueError as error:
            raise self._flaw(line, str(error)) from error
        for placeholder in found:
            self._check_placeholder(placeholder, line, step)

    def _check_placeholder(self, placeholder: Placeholder, line: int, step: Step) -> None:
        columns = self._files[step.of].columns
        if placeholder.step is None:
            names = ["value"] if step.for_each else list(columns)
            self._known(placeholder.column, names, "column", line)
            return
        other = self._steps[self._known(placeholder.step, self._steps, "earlier step", line)]
        if placeholder.part is not None:
            if other.make != CONVERSION:
                raise self._flaw(line, f"step {other.name} makes one id; only a conversion has parts")
            self._known(placeholder.part, PARTS, "part of a conversion", line)
        elif other.make == CONVERSION:
            raise self._flaw(line, f"say which part of step {other.name}: {', '.join(PARTS)}")
        if step.for_each:
            if placeholder.column:
                raise self._flaw(line, "in a step with for_each a reference is matched by {value}, not by a column")
        elif placeholder.column:
            self._known(placeholder.column, columns, "column", line)
        elif other.for_each:
            raise self._flaw(
                line, f"step {other.name} is made for each value: say by which column, {{id:{other.name}/...}}"
            )
        elif self._files[other.of].key not in columns:
            key = self._files[other.of].key
            raise self._flaw(line, f"{step.of} has no column {key}: say by which column, {{id:{other.name}/...}}")

    def _notice(self, item: Any, line: int) -> NoticeRule:
        keys = ("of", "earlier", "than", "say")
        shape = self._map(item, line, keys, required=keys)
        of = self._known(shape["of"], self._files, "file", line)
        earlier = self._known(shape["earlier"], self._files[of].columns, "column", line)
        file, _, column = str(shape["than"]).rpartition(".")
        file = self._known(file or of, self._files, "file", line)
        column = self._known(column, self._files[file].columns, "column", line)
        key = self._files[file].key
        if file != of and key not in self._files[of].columns:
            raise self._flaw(line, f"{of} has no column {key}, so its {file} cannot be found")
        for name, owner in ((earlier, of), (column, file)):
            if self._files[owner].columns[name].type not in _DEFAULT_FORMATS:
                raise self._flaw(line, f"{owner}.{name} is neither a day nor an instant")
        return NoticeRule(of, earlier, file, column, self._text(shape["say"], line))

    def _map(
        self, item: Any, line: int, keys: tuple[str, ...] | None = None, required: tuple[str, ...] = ()
    ) -> CommentedMap:
        if not isinstance(item, CommentedMap):
            raise self._flaw(line, "expected a mapping (name: value)")
        if keys is not None:
            for key in item:
                self._known(key, keys, "key", _line(item, key))
        for key in required:
            if item.get(key) is None:
                raise self._flaw(line, f"{key} is missing")
        return item

    def _list(self, item: Any, line: int) -> CommentedSeq:
        if not isinstance(item, CommentedSeq):
            raise self._flaw(line, "expected a list")
        return item

    def _text(self, item: Any, line: int) -> str:
        if not isinstance(item, str) or not item:
            raise self._flaw(line, f"expected a text, not {item!r}")
        return str(item)

    def _known(self, name: Any, names: Iterable[str], what: str, line: int) -> str:
        known = list(names)
        if name in known:
            return str(name)
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(known) or 'none'}."
        raise self._flaw(line, f"no {what} {name!r}.{hint}")

    def _flaw(self, line: int, message: str) -> Fatal:
        return Fatal("HW-170", f"{self._path}:{line}: {message}")


def _line(item: CommentedMap, key: Any) -> int:
    lines: Any = item.lc
    return int(lines.key(key)[0]) + 1 if key in item else int(lines.line) + 1


def _item_line(items: CommentedSeq, index: int) -> int:
    lines: Any = items.lc
    return int(lines.item(index)[0]) + 1


def _texts(values: Any, line: int = 0) -> Iterator[tuple[str, int]]:
    if isinstance(values, CommentedMap):
        for key in values:
            yield from _texts(values[key], _line(values, key))
    elif isinstance(values, CommentedSeq):
        for index, value in enumerate(values):
            yield from _texts(value, _item_line(values, index))
    elif isinstance(values, str):
        yield values, line


def _plain(item: Any) -> Any:
    if isinstance(item, CommentedMap):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, CommentedSeq):
        return [_plain(value) for value in item]
    if isinstance(item, bool) or item is None:
        return item
    if isinstance(item, int):
        return int(item)
    return float(item) if isinstance(item, float) else str(item)
