"""
Reads the file in which somebody describes one deal, JSON or YAML, or reports everything that is wrong with it at once,
by file and line.

Checks its shape and that its names fit together; what it means the engine decides. Called by ``headwater credit``.
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, StringConstraints, ValidationError

from config.days import Days, read_instant
from config.errors import ConfigError
from config.jsonfile import parse_json
from config.ruleerrors import Problem, path_of, with_path, words_of
from config.rulemodel import TOO_LONG, RuleModel, YesNo, as_list, is_endless, spelt
from config.rules_attribution import CREATION, MIDDLE, POSITIONS, Milestone, Model, Weight
from config.yamlfile import Document, Flaw, Plain, YamlPath, parse_yaml

MAX_BYTES: Final = 16_777_216  # a deal of 50,000 touches; more is another file
MAX_YAML_BYTES: Final = 4_194_304  # YAML is read at some 200 KB a second: what is longer takes more than half a minute
MAX_UNITS: Final = 2**63  # money is counted in whole numbers of 63 bits, at least of ten-thousandths


def _as_id(value: Any) -> Any:
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _as_positions(value: Any) -> Any:
    """
    A single word is a list of one; several without brackets would be one strange name.
    """
    if isinstance(value, str) and re.search("[,;]", value):
        meant = ", ".join(name.strip() for name in re.split("[,;]", value) if name.strip())
        raise ValueError(f'"{value}" is one text and not several positions; write [{meant}]')
    return as_list(value)


def _as_amount(value: Any) -> Any:
    """
    A number in quotes keeps the digits it is written with; of a bare number zeros at the end say nothing.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError("a number is expected")  # noqa: TRY004 - pydantic reports only ValueError
    try:
        amount = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or (isinstance(value, str) and "_" in value):
        raise ValueError(f'"{value}" is no number; write it as 84000.00')
    exponent = int(amount.as_tuple().exponent)
    if not isinstance(value, str) and -400 < exponent < 0:
        amount = Decimal(format(amount, "f").rstrip("0").rstrip("."))
        exponent = int(amount.as_tuple().exponent)
    if exponent > 18 or exponent < -18 or abs(int(amount.scaleb(max(4, -exponent)))) >= MAX_UNITS:
        raise ValueError(TOO_LONG)
    return amount


# As ``datetime | date`` alone, pydantic would read text itself, and guess.
Instant = Annotated[Any, BeforeValidator(read_instant)]
# The constraints stand first: behind a validator, pydantic would count the letters before it takes away the blanks.
Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), BeforeValidator(_as_id)]
Label = Annotated[str, BeforeValidator(_as_id), StringConstraints(strip_whitespace=True, max_length=255)]
Amount = Annotated[Any, BeforeValidator(_as_amount)]
FreeName = Annotated[Id, spelt(r"[^:]{1,80}", "name; at most 80 letters, and no colon")]
Positions = Annotated[tuple[FreeName, ...], BeforeValidator(_as_positions)]
Currency = Annotated[Id, spelt(r"[A-Z]{3}", "currency; write its three letters, as EUR")]


class Described(RuleModel):
    """
    What may be said of anything, for the reader alone.
    """

    name: Any = None
    note: Any = None
    source: Any = None


class StageEntry(Described):
    """
    The deal's entry to a stage.
    """

    stage: Id
    at: Instant


class Opportunity(Described):
    """
    The deal. ``amount`` may be empty; ``currency`` left out is the organisation's.
    """

    id: Id
    amount: Amount | None = None
    currency: Currency | None = None
    created_at: Instant
    closed_at: Instant | None = None
    outcome: Literal["open", "won", "lost"]
    stages: tuple[StageEntry, ...] = ()


class Person(Described):
    """
    One of the account's people; ``role`` null is no contact role, an empty one is a role without a name.
    """

    id: Id
    role: Label | None = None
    lead_created_at: Instant | None = None
    primary: YesNo = False


class Touchpoint(Described):
    """
    A touch; ``positions`` are those it carries, an empty list says none.
    """

    id: Id
    person: Id
    at: Instant
    type: Label | None = None
    channel: Label | None = None
    offer: Label | None = None
    positions: Positions | None = None


class DealModel(Model):
    """
    A model as in ``attribution.yaml``, its names as free as the file's author likes.
    """

    weights: dict[FreeName, Weight] = Field(default_factory=dict)


class DealFile(Described):
    """
    The whole file. ``models``, ``positions`` and ``no_touch`` left out are the rule files'. ``story`` and ``expected``
    are for the reader of a worked case and say nothing to the engine.
    """

    story: str | None = None

    opportunity: Opportunity
    people: tuple[Person, ...]
    touchpoints: tuple[Touchpoint, ...]
    models: dict[FreeName, DealModel] | None = None
    positions: dict[FreeName, Milestone] = Field(default_factory=dict)
    no_touch: Literal["unassigned", "spread"] | None = None
    expected: Any = None

    _place: "_Place" = PrivateAttr()
    _standing: frozenset[str] = PrivateAttr()

    def error_at(self, path: YamlPath, words: str) -> "DealErrors":
        """
        What is wrong with what stands at this path, as an error with its line.
        """
        return DealErrors([self._place.problem(path, words)])

    @property
    def standing(self) -> list[Touchpoint]:
        """
        The touches of those who may stand on the path. What the others carry says nothing.
        """
        return [touch for touch in self.touchpoints if touch.person in self._standing]

    @property
    def carries(self) -> bool:
        """
        Whether the touches carry positions, so that none are derived.
        """
        return any(touch.positions is not None for touch in self.standing)

    @property
    def carried_positions(self) -> set[str]:
        """
        Every position that a touch carries.
        """
        return {name for touch in self.standing for name in touch.positions or ()}

    @property
    def named_positions(self) -> set[str]:
        """
        Every position that a touch carries or a model of the file weighs.
        """
        return self.carried_positions | {
            name for model in (self.models or {}).values() for name in model.weights if name != MIDDLE
        }

    def unknown_positions(self, weighed: Collection[str]) -> list[str]:
        """
        Positions that touches carry, and that are none of the five, nor defined, nor among ``weighed``.
        """
        return sorted(self.carried_positions - {*POSITIONS, *self.positions, *weighed})


class DealErrors(ConfigError):
    """
    Everything that is wrong with a deal's file, by line. HW-130.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        things = "one thing" if count == 1 else f"{count} things"
        text = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__("HW-130", f"{things} to correct in the deal's file\n{text}", ("headwater credit --help",))


def read_deal(
    file: Path, known_positions: Mapping[str, object], may_stand: Callable[[tuple[Person, ...]], Collection[str]]
) -> DealFile:
    """
    The deal in this file; ``-`` is standard input. ``known_positions`` are those of the rules, ``may_stand`` tells the
    ids of those of its people whose touches may stand on the path.

    Raises ``DealErrors`` with everything that is wrong with it, HW-130.
    """
    shown = "standard input" if str(file) == "-" else str(file)
    place = _Place(shown, _document(file))
    problems = [Problem(shown, flaw.line, flaw.message) for flaw in place.document.flaws]
    if problems:
        raise DealErrors(problems)
    _keep_names_as_written(place.document)
    problems = [place.problem(path, words) for path, words in _unreadable(place)]
    if problems:
        raise DealErrors(problems)
    try:
        deal = DealFile.model_validate(place.document.data)
    except ValidationError as error:
        raise DealErrors(
            [place.problem(path_of(found["loc"]), words_of(found, DealFile)) for found in error.errors()]
        ) from None
    deal._place = place  # noqa: SLF001 - set here once, for the lines of what is found later
    deal._standing = frozenset(may_stand(deal.people))  # noqa: SLF001 - set here once; whose touches count rules say
    problems = [place.problem(path, words) for path, words in _disagreements(deal, known_positions, place)]
    if problems:
        raise DealErrors(problems)
    return deal


# What is a name, also where it looks like a number: 007 is not 7.
_NAMES: Final = frozenset({"id", "person", "stage", "role", "type", "channel", "offer"})


def _keep_names_as_written(document: Document) -> None:
    for path, text in document.written.items():
        if path[-1] not in _NAMES and "positions" not in path[-2:]:
            continue
        holder: Any = document.data
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = text


def _unreadable(place: "_Place") -> Iterator[tuple[YamlPath, str]]:
    """
    What would be lost, or take without end, before a model can look at it: of names that are the same but for the
    blanks around them all but one, and numbers of millions of digits.
    """
    data = place.document.data
    yield from _alike(data.get("models"), ("models",), place)
    yield from _alike(data.get("positions"), ("positions",), place)
    for name, model in _entries(data.get("models")).items():
        for key, value in _entries(model).items():
            path: YamlPath = ("models", name, key)
            yield from _alike(value, path, place)
            numbers: dict[YamlPath, Plain] = {(*path, part): each for part, each in _entries(value).items()}
            for at, number in {path: value, **numbers}.items():
                if is_endless(number):
                    yield at, f'"{at[-1]}": {TOO_LONG}'


def _entries(value: Plain) -> dict[str, Plain]:
    return value if isinstance(value, dict) else {}


def _alike(names: Plain, path: YamlPath, place: "_Place") -> Iterator[tuple[YamlPath, str]]:
    first: dict[str, str] = {}
    for name in _entries(names):
        plain = name.strip()
        other = first.setdefault(plain, name)
        if not plain:
            yield (*path, name), f'"{name}" is no name; it must not be empty'
        elif other != name:
            line = place.document.lines.get((*path, other), 1)
            yield (*path, name), f'"{name}" and "{other}" are the same name; the first is on line {line}'


def days_of(deal: DealFile, zone: str) -> Days:
    """
    How the times of this file are to be read in an organisation of that time zone.
    """
    told = deal.opportunity
    clocks = tuple(at for at in (told.created_at, told.closed_at) if isinstance(at, datetime))
    return Days(zone, by_day=not isinstance(told.created_at, datetime), clocks=clocks)


@dataclass(frozen=True)
class _Place:
    shown: str
    document: Document

    def problem(self, path: YamlPath, message: str) -> Problem:
        for length in range(len(path), -1, -1):
            line = self.document.lines.get(path[:length])
            if line is not None:
                return Problem(self.shown, line, message if length else with_path(path[:-1], message))
        return Problem(self.shown, 1, with_path(path, message))


def _document(file: Path) -> Document:
    """
    JSON where it is that, else YAML; a file that is named ``.json`` is never YAML.
    """
    try:
        if str(file) == "-":
            import sys

            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError("HW-130", f"{file} cannot be read: {error.strerror}", ("Check its permissions",)) from error
    if len(raw) > MAX_BYTES:
        return Document(flaws=[Flaw(1, f"the file is larger than {MAX_BYTES // 1_048_576} MB")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Document(flaws=[Flaw(raw.count(b"\n", 0, error.start) + 1, "not UTF-8; save the file in that encoding")])
    if not text.strip():
        return Document(flaws=[Flaw(1, "the file is empty")])
    if file.suffix.lower() == ".json" or _is_json(text):
        document = parse_json(text)
    elif len(raw) > MAX_YAML_BYTES:
        words = f"larger than {MAX_YAML_BYTES // 1_048_576} MB; a deal of so many touches is read as JSON"
        return Document(flaws=[Flaw(1, words)])
    else:
        document = parse_yaml(text, such_as="opportunity: {id: o1, outcome: open}")
    if not document.data and not document.flaws:
        document.flaws = [Flaw(1, "the file says nothing of a deal")]
    return document


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=str)  # any number of digits
    except (ValueError, RecursionError):
        return False
    return True


def _disagreements(
    deal: DealFile, known_positions: Mapping[str, object], place: _Place
) -> Iterator[tuple[YamlPath, str]]:
    """
    What only the whole file shows.
    """
    yield from _doubled(deal, place)
    people = {person.id for person in deal.people}
    for number, touch in enumerate(deal.touchpoints):
        if touch.person not in people:
            yield (
                ("touchpoints", number, "person"),
                f'touch "{touch.id}" is of "{touch.person}", who is not among the people{_meant(touch.person, people)}',
            )
    closed = deal.opportunity.closed_at is not None
    if deal.opportunity.outcome != "open" and not closed:
        yield ("opportunity", "outcome"), f'a deal that is {deal.opportunity.outcome} needs "closed_at"'
    if deal.models is not None and not deal.models:
        yield ("models",), 'there is no model; leave "models" out to take those of the rule files'
    for model, rule in (deal.models or {}).items():
        if rule.learn is not None:
            words = 'one deal teaches nothing; give "channels", as headwater learn prints them'
            yield ("models", model, "learn"), words
    yield from _positions(deal, known_positions)


def _doubled(deal: DealFile, place: _Place) -> Iterator[tuple[YamlPath, str]]:
    ids = {"people": [each.id for each in deal.people], "touchpoints": [each.id for each in deal.touchpoints]}
    for section, named in ids.items():
        first: dict[str, int] = {}
        for number, name in enumerate(named):
            earlier = first.setdefault(name, number)
            if earlier != number:
                line = place.document.lines.get((section, earlier), 1)
                yield (section, number, "id"), f'the id "{name}" stands here twice; the first is on line {line}'


def _positions(deal: DealFile, known_positions: Mapping[str, object]) -> Iterator[tuple[YamlPath, str]]:
    defined = {*POSITIONS, *known_positions, *deal.positions}
    for name, milestone in deal.positions.items():
        if name in (*POSITIONS, MIDDLE) and not (name == CREATION and milestone.stage):
            yield ("positions", name), f'"{name}" is a position already; choose another name'
    yield from _weighed(deal, defined)
    yield from _carried(deal, defined)


def _weighed(deal: DealFile, defined: Collection[str]) -> Iterator[tuple[YamlPath, str]]:
    carried = deal.carried_positions
    known = {*defined, MIDDLE}
    for model, rule in (deal.models or {}).items():
        for name in rule.weights:
            if name in known:
                continue
            # Where positions are carried, any may be: one that no touch carries is not reached.
            if name in carried:
                meant = _misspelt(name, known)
            else:
                meant = _meant(name, _not_by_number(name, known) if deal.carries else known)
            if meant or not deal.carries:
                yield ("models", model, "weights", name), f'unknown position "{name}"{meant}'


def _carried(deal: DealFile, defined: Collection[str]) -> Iterator[tuple[YamlPath, str]]:
    for number, touch in enumerate(deal.touchpoints):
        names = touch.positions or ()
        for index, name in enumerate(names):
            path: YamlPath = ("touchpoints", number, "positions", index)
            if _letters(name) == MIDDLE:
                yield path, '"middle" is no position: a touch is in the middle where it holds none; write []'
            elif name not in defined and (meant := _misspelt(name, defined)):
                yield path, f'unknown position "{name}"{meant}'
            elif name in names[:index]:
                yield path, f'"{name}" stands twice on one touch'


def _letters(name: str) -> str:
    return "".join(name.split()).lower()


def _misspelt(name: str, known: Collection[str]) -> str:
    """
    The known name that is the same but for case and blanks, as a question.
    """
    same = [other for other in sorted(known) if _letters(other) == _letters(name)]
    return f'. Did you mean "{same[0]}"?' if same else ""


def _not_by_number(name: str, known: Collection[str]) -> list[str]:
    """
    The names that differ from this one by more than a number: stage2 is no slip of stage1.
    """
    return [other for other in known if re.sub(r"\d", "", other) != re.sub(r"\d", "", name)]


def _meant(name: str, known: Collection[str]) -> str:
    """
    The known name that was meant, as a question: names are short, so another case is looked for first.
    """
    if misspelt := _misspelt(name, known):
        return misspelt
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return f'. Did you mean "{close[0]}"?' if close else ""
