"""
What a real Salesforce org answered, read from a folder of recorded HTTP exchanges, and how two answers are compared.

The folder has ``describe/*.yaml`` (one describe each) and ``exchanges/*.yaml`` (exchanges in the order they happened;
``include_file`` stands for one of the describes, ``include_template`` for a body that was not kept). The recordings
were cleaned: hosts, versions (``vxx.0``) and some ids are stand-ins. ``test_recorded.py`` uses this.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from worker.practice.salesforce.ids import to18

VERSION = "v59.0"  # what the stand-in vxx.0 is taken for
ID = re.compile(r"[0-9A-Za-z]{18}\Z")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000(\+0000|Z)\Z")
ELEMENTS = {
    "id": "id", "jobId": "jobId", "object": "object", "state": "state", "idField": "externalIdFieldName",
    "creator": "createdById", "cdate": "createdDate", "smts": "systemModstamp",
    "numbatchtotal": "numberBatchesTotal", "numrecsprocc": "numberRecordsProcessed",
}  # fmt: skip
CHUNK = re.compile(r"^[0-9a-f]+\r?\n(.*?)\r?\n\r?\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Exchange:
    """
    One request and its answer. ``body`` is text or JSON already read; where the recording keeps an XML body only as
    the values that went into it, it is None and ``elements`` holds them by the names of their elements.
    """

    method: str
    path: str
    sent: str | None
    status: int
    content_type: str | None
    body: Any
    elements: Mapping[str, str] = field(default_factory=dict)


def read_exchanges(folder: Path) -> dict[str, list[Exchange]]:
    """
    All exchanges by the name of their file. Raises ``ValueError`` for an exchange that is none.
    """
    return {path.stem: list(_file(folder, path)) for path in sorted((folder / "exchanges").glob("*.yaml"))}


def read_describe(folder: Path, name: str) -> dict[str, Any]:
    """
    The body of one recorded describe.
    """
    body: dict[str, Any] = next(iter(_file(folder, folder / "describe" / f"{name}.yaml"))).body
    return body


@cache
def _content(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _file(folder: Path, path: Path) -> Iterator[Exchange]:
    content = _content(path)
    for each in content.get("interactions", [content]):
        if "include_file" in each:
            name = re.sub(r"GET_sobjects_|_describe|\.yaml", "", each["include_file"])
            found = folder / ("exchanges" if name == "Organization" else "describe") / f"{name}.yaml"
            yield from _file(folder, found)
        elif "request" in each:
            yield _exchange(each["request"], each["response"])
        else:
            raise ValueError(f"{path}: neither an exchange nor an include: {sorted(each)}")


def _exchange(request: Mapping[str, Any], response: Mapping[str, Any]) -> Exchange:
    headers = response["headers"].get("Response-Headers", response["headers"])
    given = response["body"]["string"]
    body = json.loads(given) if isinstance(given, str) and given[:1] in "[{" else given
    sent = request.get("body")
    if sent and CHUNK.match(sent):
        sent = "".join(f"{each}\n" for each in CHUNK.findall(sent) if each)
    template = isinstance(body, dict) and "include_template" in body
    elements = {ELEMENTS[name]: value for name, value in body["vars"].items() if name in ELEMENTS} if template else {}
    return Exchange(
        request["method"],
        request["uri"].partition(".com")[2].replace("vxx.0", VERSION).replace("/async/v", "/async/"),
        sent.replace("vxx.0", VERSION) if sent else sent,
        response["status"]["code"],
        (headers.get("Content-Type") or [None])[0],
        None if template else body,
        elements,
    )


@dataclass
class Comparison:
    """
    Two answers side by side. ``ids`` learns which of our records stands for which recorded one; ``keys`` and ``values``
    count what was compared; ``loose`` are names of keys whose values may differ.
    """

    ids: dict[str, str] = field(default_factory=dict)
    loose: frozenset[str] = frozenset()
    keys: int = 0
    values: int = 0
    differences: list[str] = field(default_factory=list)

    def ours(self, text: str) -> str:
        """
        A recorded request with our ids in place of the recorded ones.
        """
        for recorded, own in self.ids.items():
            text = text.replace(recorded, own)
        return text

    def compare(self, recorded: Any, own: Any, place: str = "") -> None:
        """
        Compare two JSON values: keys, nesting, types, and values other than ids, stamps and addresses.
        """
        if isinstance(recorded, dict) and isinstance(own, dict):
            self._objects(recorded, own, place)
        elif isinstance(recorded, list) and isinstance(own, list):
            if len(recorded) != len(own):
                self.differences.append(f"{place}: {len(recorded)} entries recorded, {len(own)} here")
            for number, (theirs, mine) in enumerate(zip(*_paired(recorded, own), strict=False)):
                self.compare(theirs, mine, f"{place}[{number}]")
        else:
            self._value(recorded, own, place)

    def compare_elements(self, recorded: Mapping[str, str], own: str) -> None:
        """
        Compare the recorded values of an XML answer with ours: every element there, ids learnt, names the same.
        """
        for name, value in recorded.items():
            self.keys += 1
            found = re.search(rf"<{name}>([^<]*)</{name}>", own)
            if found is None:
                self.differences.append(f"<{name}>: recorded, not here")
            elif name in {"id", "jobId", "createdById"} or name in {"object", "externalIdFieldName"}:
                self.compare(value, found[1], f"<{name}>")
            elif name in {"createdDate", "systemModstamp"} and not STAMP.match(found[1]):
                self.differences.append(f"<{name}>: {value} recorded, {found[1]} here")

    def _objects(self, recorded: dict[str, Any], own: dict[str, Any], place: str) -> None:
        self.keys += len(recorded)
        for name in sorted(recorded.keys() - own.keys()):
            self.differences.append(f"{place}.{name}: recorded, not here")
        for name in sorted(own.keys() - recorded.keys()):
            self.differences.append(f"{place}.{name}: here, not recorded")
        for name, value in recorded.items():
            if name in own:
                self.compare(value, own[name], f"{place}.{name}")

    def _value(self, recorded: Any, own: Any, place: str) -> None:
        self.values += 1
        if type(recorded) is not type(own):
            self.differences.append(f"{place}: {recorded!r} recorded, {own!r} here")
            return
        if place.rpartition(".")[2] in self.loose or recorded == own:
            return
        if isinstance(recorded, str) and self._stands_for(recorded, own):
            return
        self.differences.append(f"{place}: {recorded!r} recorded, {own!r} here")

    def _stands_for(self, recorded: str, own: str) -> bool:
        if STAMP.match(recorded):
            return STAMP.match(own) is not None
        if recorded.startswith("/services/"):
            *path, last = recorded.replace("vxx.0", VERSION).split("/")
            *own_path, own_last = own.split("/")
            return path == own_path and self._stands_for(last, own_last)
        if ID.match(recorded) and to18(own) == own and recorded[:3] == own[:3]:
            self.ids.setdefault(recorded, own)
            return self.ids[recorded] == own
        return False


def _paired(recorded: list[Any], own: list[Any]) -> tuple[list[Any], list[Any]]:
    """
    Records of queries come in no order, so they are paired by what they say; other lists as they stand.
    """
    if all(isinstance(each, dict) and "attributes" in each for each in [*recorded, *own]):
        return sorted(recorded, key=_said), sorted(own, key=_said)
    return recorded, own


def _said(record: dict[str, Any]) -> str:
    plain = {name: value for name, value in record.items() if name not in {"attributes", "Id"}}
    return json.dumps(plain, sort_keys=True, default=str) if "Opportunities" not in plain else str(plain["FirstName"])
