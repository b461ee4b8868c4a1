"""
Reads a folder of rule files into one frozen ``Rules``, or reports everything that is wrong with it at once.

A customer's folder holds only what differs: each file is laid over the shipped one, mappings key by key, lists as a
whole. Says where and what; what the rules mean is decided elsewhere. Called by wiring and by ``headwater check``.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.crosschecks import disagreements
from config.errors import ConfigError
from config.ruleerrors import Problem, RuleErrors, hint, path_of, with_path, words_of
from config.rulemodel import STORED, RuleModel
from config.rules_accounts import is_member, members_in
from config.rules_attribution import AttributionRules
from config.rules_engagement import EngagementRules
from config.rules_fields import FieldRules
from config.rules_funnel import FunnelRules
from config.rules_service import ServiceRules
from config.yamlfile import Document, YamlPath, read_yaml

__all__ = [
    "DECIDING",
    "SECTIONS",
    "SHIPPED_RULES",
    "Problem",
    "RuleErrors",
    "Rules",
    "load_rules",
    "overlay",
    "stored_rules",
]

SHIPPED_RULES: Final = Path(__file__).parent / "rules"

SECTIONS: Final[Mapping[str, type[RuleModel]]] = {
    "service": ServiceRules,
    "fields": FieldRules,
    "engagement": EngagementRules,
    "attribution": AttributionRules,
    "funnel": FunnelRules,
}
# Those that records are decided by: a change of the others makes no new version.
DECIDING: Final = ("service", "fields", "engagement", "attribution")

_REPAIRS: Final = 4  # a part taken out may leave its parent incomplete; no rule is nested deeper than this


class Rules(RuleModel):
    """
    All rules of one folder. Equal content has an equal ``digest``, however it is laid out or commented.
    """

    folder: Path
    service: ServiceRules
    fields: FieldRules
    engagement: EngagementRules
    attribution: AttributionRules
    funnel: FunnelRules

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """
        The SHA-256 of each section as 64 hex digits, by section name.
        """
        return {name: _digest(getattr(self, name).model_dump(by_alias=True)) for name in SECTIONS}

    @cached_property
    def digest(self) -> str:
        """
        The SHA-256 of all sections that decide together, as 64 hex digits.
        """
        return _digest({name: self.digests[name] for name in DECIDING})


def load_rules(folder: Path | None = None) -> Rules:
    """
    The rules in ``folder`` laid over the shipped ones; without a folder, the shipped ones.

    Raises ``RuleErrors`` with every problem of every file, ``ConfigError`` where the folder itself cannot be read.
    """
    folder = SHIPPED_RULES if folder is None else folder
    problems = list(_strangers(folder))
    sections: dict[str, RuleModel] = {}
    places: dict[str, _Place] = {}
    for name, model in SECTIONS.items():
        place = places[name] = _Place.of(folder, name)
        problems += [Problem(place.shown, flaw.line, flaw.message) for flaw in place.document.flaws]
        if place.document.flaws:
            continue
        section, errors = _validated(model, place)
        problems += [place.problem(path_of(error["loc"]), words_of(error, model)) for error in errors]
        if section is not None:
            sections[name] = section
    engagement = sections.get("engagement")
    if isinstance(engagement, EngagementRules):
        sections["engagement"], flaws = _with_list_files(engagement, places["engagement"])
        problems += flaws
    for name, path, message in disagreements(sections):
        problems.append(places[name].problem(path, message))
    if problems:
        raise RuleErrors(problems)
    return Rules.model_validate({"folder": folder, **sections})


def stored_rules(stored: Mapping[str, Any], files: Rules) -> Rules:
    """
    The rules of an earlier version as they were kept: the JSON of the sections that decide. The other sections are
    those of ``files``. Keys that this release has and the stored rules have not yet hold their shipped value.

    Raises ``ConfigError`` HW-180 where this release does not understand them any more.
    """
    sections: dict[str, RuleModel] = {}
    for name in DECIDING:
        data = stored.get(name, {})
        for _ in range(_REPAIRS):
            try:
                sections[name] = SECTIONS[name].model_validate(data, context=STORED)
                break
            except ValidationError as error:
                missing = [path_of(each["loc"]) for each in error.errors() if each["type"] == "missing"]
                for path in missing:
                    data = _with_shipped(data, _shipped(name).data, path)
        else:
            raise ConfigError(
                "HW-180",
                f"the {name} rules of that version were written by a release whose rules this one does not understand",
                ("headwater report attribution   (what is in force)",),
            )
    return files.model_copy(update=sections)


def _with_shipped(data: Any, shipped: Any, path: YamlPath) -> Any:
    """
    ``data`` with the shipped value at ``path``; as it is where nothing is shipped there.
    """
    if not path or not isinstance(shipped, dict) or path[0] not in shipped or not isinstance(data, dict):
        return data if path else shipped
    return data | {path[0]: _with_shipped(data.get(path[0]), shipped[path[0]], path[1:])}


@dataclass(frozen=True)
class _Place:
    """
    One section's data as laid over the shipped file, and where each key of it is written.
    """

    file: Path
    document: Document
    shipped: Document
    data: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, name: str) -> "_Place":
        file = folder / f"{name}.yaml"
        shipped = _shipped(name)
        if folder.resolve() == SHIPPED_RULES.resolve():
            return cls(file, shipped, shipped, dict(shipped.data))
        document = Document()
        if file.exists():
            try:
                document = read_yaml(file)
            except OSError as error:
                raise _unreadable(file, error) from error
        return cls(file, document, shipped, overlay(shipped.data, document.data))

    @property
    def shown(self) -> str:
        try:
            return str(self.file.resolve().relative_to(Path.cwd()))
        except ValueError:
            return str(self.file)

    def problem(self, path: YamlPath, message: str) -> Problem:
        """
        A problem at ``path``, or at the nearest place above it that is written in the customer's own file.
        """
        for length in range(len(path), -1, -1):
            line = self.document.lines.get(path[:length])
            if line is not None:
                return Problem(self.shown, line, message if length else with_path(path, message))
        return Problem(self.shown, 1, with_path(path, message))


def _with_list_files(rules: EngagementRules, place: _Place) -> tuple[EngagementRules, list[Problem]]:
    """
    The rules with the members that stand in files of their own, so that a changed file is a changed rule.
    """
    problems: list[Problem] = []
    lists = []
    for number, each in enumerate(rules.target_lists):
        members: list[str] = []
        if each.file is not None:
            file = place.file.parent / each.file
            try:
                members = [member for line, member in members_in(file) if _is_sound(file, line, member, problems)]
            except (OSError, UnicodeDecodeError) as error:
                path: YamlPath = ("target_lists", number, "file")
                problems.append(place.problem(path, f'"{each.file}" cannot be read: {error}'))
        lists.append(each.model_copy(update={"accounts": tuple(dict.fromkeys((*each.accounts, *members)))}))
    return rules.model_copy(update={"target_lists": tuple(lists)}), problems


def _is_sound(file: Path, line: int, member: str, problems: list[Problem]) -> bool:
    if not is_member(member):
        problems.append(Problem(file.name, line, f'"{member}" is no Salesforce id of an account and no domain'))
        return False
    return True


@cache
def _shipped(name: str) -> Document:
    """
    A file that comes with the product and does not change while it runs; nobody may change what this returns.
    """
    return read_yaml(SHIPPED_RULES / f"{name}.yaml")


def overlay(shipped: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """
    ``shipped`` with what ``own`` says in its place: mappings key by key, all else as a whole.
    """
    merged = dict(shipped)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _validated(model: type[RuleModel], place: _Place) -> tuple[RuleModel | None, list[ErrorDetails]]:
    """
    The section and what is wrong with it.

    With errors, the section is what is left when each wrong part gives way to the shipped one: good enough to check
    the names in the rest of it, so that all errors come at once. None where even that does not hold.
    """
    first: list[ErrorDetails] = []
    data = place.data
    for _ in range(_REPAIRS):
        try:
            return model.model_validate(data), first
        except ValidationError as error:
            errors = _originals(error.errors())
        first = first or errors
        for found in errors:
            path = path_of(found["loc"])
            data = _without(data, place.shipped.data, path[:-1] if found["type"] == "missing" else path)
    return None, first


def _originals(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """
    Without the lists that are too short only because their wrong items do not count.
    """
    wrong = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
    return [error for error in errors if not (error["type"] == "too_short" and error["loc"] in wrong)]


def _without(data: Any, shipped: Any, path: YamlPath) -> Any:
    """
    ``data`` with the part at ``path`` as shipped, or gone where none is shipped. A list gives way as a whole.
    """
    if not path or not isinstance(data, dict):
        return shipped
    key, rest = path[0], path[1:]
    below = shipped.get(key) if isinstance(shipped, dict) else None
    value = _without(data[key], below, rest) if rest and key in data else below
    kept = {name: known for name, known in data.items() if name != key}
    return kept if value is None else kept | {key: value}


def _strangers(folder: Path) -> Iterator[Problem]:
    """
    Files that no section is named after: usually a misspelt name, which would silently change nothing.
    """
    try:
        files = sorted(entry for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise _unreadable(folder, error) from error
    if not files:
        names = ", ".join(f"{name}.yaml" for name in SECTIONS)
        raise ConfigError(
            "HW-102", f"{folder} holds no rule file", (f"Put one of {names} there, or unset HEADWATER_RULES",)
        )
    expected = [f"{name}.yaml" for name in SECTIONS]
    for file in files:
        if file.name not in expected:
            yield Problem(
                _Place(file, Document(), Document(), {}).shown, 1, f"unknown rule file{hint(file.name, expected)}"
            )


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        "HW-102", f"{path} cannot be read: {error.strerror}", ("Check HEADWATER_RULES and its permissions",)
    )


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_canonical)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> str:
    """
    1.5 and 1.50 are one rule; so are 100 and 100.0, which is why whole numbers of a decimal kind pass here too.
    """
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
