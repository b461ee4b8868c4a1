"""
Deploying a zip file of the Metadata API: objects with their fields, permission sets, profiles, and what is to be
removed.

The file has ``package.xml`` and the components in folders, or in one folder around all of that. Carried out at once;
its status can be asked for as long as the process lives. Files of kinds that a practice org does not keep are reported
as failures, each by name, as an org reports what it cannot take.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from worker.practice.salesforce.components import KINDS, Kind, as_list
from worker.practice.salesforce.errors import RowError
from worker.practice.salesforce.values import stamp

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

Reader = Callable[[ET.Element], Any]
DESTRUCTIVE = ("destructiveChangesPre.xml", "destructiveChanges.xml", "destructiveChangesPost.xml")


@dataclass
class Message:
    """
    What became of one component. ``problem`` is empty where it went well.
    """

    file: str
    kind: str
    name: str
    problem: str = ""
    created: bool = False
    deleted: bool = False


class _UndoneError(Exception):
    """
    Ends the transaction of a deployment that is only a check, or has failed.
    """


@dataclass
class Deployment:
    """
    One deployment and what became of it.
    """

    id: str
    content: bytes
    check_only: bool
    rolls_back: bool
    messages: list[Message] = field(default_factory=list)
    error: str = ""
    created: str = ""

    @property
    def failed(self) -> bool:
        """
        Whether anything went wrong.
        """
        return bool(self.error) or any(message.problem for message in self.messages)

    def run(self, org: "Org", read: Reader) -> None:
        """
        Carry it out. A check, or a failure where that is to be rolled back, leaves the org as it was.
        """
        self.created = f"{stamp(org.clock.now())}.000Z"
        try:
            archive = zipfile.ZipFile(io.BytesIO(self.content))
        except zipfile.BadZipFile as error:
            self.error = f"UNKNOWN_EXCEPTION: the file is no zip: {error}"
            return
        with archive, org.database.lock:
            try:
                with org.database.write():
                    self._apply(org, archive, read)
                    if self.check_only or (self.failed and self.rolls_back):
                        raise _UndoneError  # noqa: TRY301 - leaving the block is what rolls the transaction back
            except _UndoneError:
                org.definitions.undo()

    def _apply(self, org: "Org", archive: zipfile.ZipFile, read: Reader) -> None:
        names = {name.rpartition("/")[2] if name.endswith(".xml") else name: name for name in archive.namelist()}
        if "package.xml" not in names:
            self.error = "No package.xml found"
            return
        for file in DESTRUCTIVE[:2]:
            self._remove(org, archive, names.get(file), read)
        for kind, path in self._files(archive):
            self._save(org, kind, path, archive.read(path), read)
        self._remove(org, archive, names.get(DESTRUCTIVE[2]), read)

    def _files(self, archive: zipfile.ZipFile) -> Iterator[tuple[Kind, str]]:
        """
        The components' files, objects before the permissions that name their fields.
        """
        known = {kind.folder: kind for kind in KINDS.values() if kind.folder}
        found = []
        for path in archive.namelist():
            parts = path.split("/")
            if path.endswith(("/", ".xml")) or len(parts) < 2:
                continue
            kind = known.get(parts[-2])
            if kind is None or not path.endswith(f".{kind.suffix}"):
                self.messages.append(Message(path, "", parts[-1], "Not available for deploy for this organization"))
            else:
                found.append((list(known).index(parts[-2]), kind, path))
        for _, kind, path in sorted(found, key=lambda each: (each[0], each[2])):
            yield kind, path

    def _save(self, org: "Org", kind: Kind, path: str, content: bytes, read: Reader) -> None:
        name = path.rpartition("/")[2].removesuffix(f".{kind.suffix}")
        try:
            root = ET.fromstring(content)  # noqa: S314 - a client on loopback
            values = read(root)
            values = values if isinstance(values, dict) else {}
            fields = as_list(values.pop("fields", None)) if kind.name == "CustomObject" else []
            created = kind.read(org, name) is None
            if created or values:
                kind.save(org, name, values)
                self.messages.append(Message(path, kind.name, name, created=created))
        except (ET.ParseError, RowError) as error:
            words = error.message if isinstance(error, RowError) else f"Error parsing file: {error}"
            self.messages.append(Message(path, kind.name, name, words))
            return
        for each in fields:
            self._save_field(org, path, f"{name}.{each.get('fullName')}", each)

    def _save_field(self, org: "Org", path: str, name: str, values: dict[str, Any]) -> None:
        kind = KINDS["CustomField"]
        if not name.endswith("__c"):
            # A standard field in an object's file only says what is tracked or labelled.
            self.messages.append(Message(path, kind.name, name))
            return
        try:
            created = kind.read(org, name) is None
            kind.save(org, name, values)
            self.messages.append(Message(path, kind.name, name, created=created))
        except RowError as error:
            self.messages.append(Message(path, kind.name, name, error.message))

    def _remove(self, org: "Org", archive: zipfile.ZipFile, path: str | None, read: Reader) -> None:
        if path is None:
            return
        values = read(ET.fromstring(archive.read(path)))  # noqa: S314 - a client on loopback
        for types in as_list(values.get("types") if isinstance(values, dict) else None):
            kind = KINDS.get(str(types.get("name")))
            for name in as_list(types.get("members")):
                try:
                    if kind is None:
                        raise RowError("INVALID_TYPE", f"unknown type {types.get('name')}")  # noqa: TRY301 - one way of reporting
                    kind.remove(org, name)
                    self.messages.append(Message(path, kind.name, name, deleted=True))
                except RowError as error:
                    self.messages.append(Message(path, str(types.get("name")), name, error.message))

    def show(self, *, details: bool) -> dict[str, Any]:
        """
        What checkDeployStatus answers.
        """
        errors = sum(1 for each in self.messages if each.problem)
        done = len(self.messages) - errors
        shown: dict[str, Any] = {
            "checkOnly": self.check_only,
            "completedDate": self.created,
            "createdDate": self.created,
            "done": True,
            "id": self.id,
            "ignoreWarnings": False,
            "lastModifiedDate": self.created,
            "numberComponentErrors": errors,
            "numberComponentsDeployed": done,
            "numberComponentsTotal": len(self.messages),
            "numberTestErrors": 0,
            "numberTestsCompleted": 0,
            "numberTestsTotal": 0,
            "rollbackOnError": self.rolls_back,
            "runTestsEnabled": False,
            "startDate": self.created,
            "status": self._status(),
            "success": not self.failed,
        }
        if self.error:
            shown |= {"errorMessage": self.error, "errorStatusCode": "UNKNOWN_EXCEPTION"}
        if details:
            shown["details"] = {
                "componentFailures": [self._shown(each) for each in self.messages if each.problem],
                "componentSuccesses": [self._shown(each) for each in self.messages if not each.problem],
                "runTestResult": {"numFailures": 0, "numTestsRun": 0, "totalTime": 0.0},
            }
        return shown

    def _status(self) -> str:
        if not self.failed:
            return "Succeeded"
        return "Failed" if self.rolls_back or self.error else "SucceededPartial"

    def _shown(self, message: Message) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "changed": not message.problem,
            "componentType": message.kind,
            "created": message.created,
            "createdDate": self.created,
            "deleted": message.deleted,
            "fileName": message.file,
            "fullName": message.name,
            "success": not message.problem,
        }
        if message.problem:
            shown |= {"problem": message.problem, "problemType": "Error"}
        return shown
