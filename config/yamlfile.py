"""
Reads one YAML file into plain data and remembers on which line each key stands.

Stricter than YAML: no anchors and aliases (a few lines of them can grow to gigabytes), no tags, no duplicate keys, no
tabs in the indentation, one document, a mapping at the top, bounded size and depth. YAML 1.2, so ``no`` and ``off`` are
words and not booleans. Decides nothing about meaning; called by ``config.rulefiles`` alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.parser import Parser

MAX_BYTES = 262_144  # the shipped files together are a tenth of it; a file this long is a mistake
MAX_DEPTH = 12  # the deepest rule needs 5; a bound keeps the recursive reader off the stack's end

Plain = None | bool | int | Decimal | str | list["Plain"] | dict[str, "Plain"]
YamlPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Flaw:
    """
    What is wrong with the file as YAML, and on which line (1 is the first).
    """

    line: int
    message: str


@dataclass
class Document:
    """
    The data of one file, the line of every key and list item by its path, and what is wrong with it.

    ``lines[("enter", "points")]`` is the line of the key ``points``; ``written`` is the text of every number, as it
    stands in the file (007, 1e3). With flaws, ``data`` may be incomplete.
    """

    data: dict[str, Plain] = field(default_factory=dict)
    lines: dict[YamlPath, int] = field(default_factory=dict)
    written: dict[YamlPath, str] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)


def read_yaml(path: Path) -> Document:
    """
    The file's content. Never raises for what is in the file: every flaw is listed. Raises OSError as open does.
    """
    with path.open("rb") as opened:
        raw = opened.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        return Document(flaws=[Flaw(1, f"the file is larger than {MAX_BYTES // 1024} KB; a rule file never is")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Document(flaws=[Flaw(line, "not UTF-8; save the file in that encoding")])
    return parse_yaml(text)


def parse_yaml(text: str, such_as: str = "window_days: 90") -> Document:
    """
    The text's content; see ``read_yaml``. ``such_as`` is a key and value that such a file may hold.
    """
    document = Document()
    document.flaws = _flaws_of_layout(text)
    if document.flaws:
        return document
    root, document.flaws = _composed(text)
    if document.flaws:
        return document
    if root is None or (isinstance(root, ScalarNode) and root.tag == _TAG + "null"):
        return document
    if not isinstance(root, MappingNode):
        document.flaws = [Flaw(root.start_mark.line + 1, f"the file must hold keys and values, such as  {such_as}")]
        return document
    data = _plain(root, (), document)
    if isinstance(data, dict):
        document.data = data
    return document


def _flaws_of_layout(text: str) -> list[Flaw]:
    flaws = []
    for number, line in enumerate(text.split("\n"), start=1):
        if "\t" in line[: len(line) - len(line.lstrip())] and line.strip():
            flaws.append(Flaw(number, "a tab in the indentation; YAML takes spaces only"))
    return flaws


def _composed(text: str) -> tuple[Node | None, list[Flaw]]:
    """
    The text as nodes, and what of its structure is not allowed; with flaws the nodes may be missing.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Parser = _Watched
    try:
        return yaml.compose(text), yaml.parser.flaws
    except YAMLError as error:
        return None, yaml.parser.flaws or [_flaw_of(error)]


class _Watched(Parser):
    """
    A parser that looks at each event as it goes by: only there anchors, aliases and tags are seen before they are
    followed, and a file nested without end stops at the bound.
    """

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self.flaws: list[Flaw] = []
        self._nested = 0

    def get_event(self) -> Any:
        """
        The next event. Raises YAMLError beyond the bound.
        """
        event = super().get_event()
        if isinstance(event, CollectionEndEvent):
            self._nested -= 1
        elif isinstance(event, NodeEvent):
            self.flaws += _flaws_of_event(event)
            if isinstance(event, CollectionStartEvent):
                self._nested += 1
            if self._nested > MAX_DEPTH:
                self.flaws.append(Flaw(event.start_mark.line + 1, f"nested more than {MAX_DEPTH} levels deep"))
                raise YAMLError
        return event


def _flaws_of_event(event: NodeEvent) -> Iterator[Flaw]:
    if isinstance(event, AliasEvent):
        words = f'"*{event.anchor}" refers to another place; anchors and aliases are not taken'
        yield Flaw(event.start_mark.line + 1, words)
    elif event.anchor is not None:
        yield Flaw(event.start_mark.line + 1, f'"&{event.anchor}" is an anchor; anchors and aliases are not taken')
    if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
        yield Flaw(event.start_mark.line + 1, f'the tag "{event.tag}" is not allowed; write the plain value')


def _flaw_of(error: YAMLError) -> Flaw:
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        words = " ".join(part for part in (error.problem, error.context) if part)
        return Flaw(mark.line + 1 if mark else 1, f"not readable as YAML: {words or 'unknown reason'}")
    position = getattr(error, "position", None)
    return Flaw(1, "not readable as YAML: a control character" + (f" at position {position}" if position else ""))


def _plain(node: Node, path: YamlPath, document: Document) -> Plain:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, MappingNode):
        return _plain_mapping(node, path, document)
    if isinstance(node, SequenceNode):
        return [_plain(item, (*path, index), document) for index, item in enumerate(node.value)]
    plain = _plain_scalar(node)
    if isinstance(plain, int | Decimal) and not isinstance(plain, bool):
        document.written[path] = str(node.value)
    return plain


def _plain_mapping(node: MappingNode, path: YamlPath, document: Document) -> dict[str, Plain]:
    data: dict[str, Plain] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode):
            document.flaws.append(Flaw(line, "a key must be one word, not a list or a mapping"))
            continue
        key = str(key_node.value)
        if key in data:
            first = document.lines[(*path, key)]
            document.flaws.append(Flaw(line, f'"{key}" stands here twice; the first is on line {first}'))
            continue
        document.lines[(*path, key)] = line
        data[key] = _plain(value_node, (*path, key), document)
    return data


def _plain_scalar(node: Node) -> Plain:
    """
    Numbers keep every digit they are written with; dates stay text for the model to read.
    """
    text = str(node.value)
    kind = node.tag.removeprefix(_TAG) if isinstance(node.tag, str) else str(node.tag).removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in ("int", "float"):
        return _number(text)
    return text


def _number(text: str) -> Plain:
    plain = text.replace("_", "")
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        return Decimal(plain)
    except ArithmeticError:
        return text  # 0x1F or .inf: numbers to YAML, to a rule only words that the model will refuse
