"""
Puts a folder of CSV files into a running practice server, as its mapping file says.

Every row of every file is either used or reported with its line and the reason; every count in the report is counted.
Speaks to the server's control API only. Called by the command line and by tests.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from worker.core.errors import Fatal
from worker.practice.control_client import ControlClient, Progress
from worker.practice.mappings.language import CONVERSION, NoticeRule, Step, read_mapping
from worker.practice.mappings.language import Mapping as MappingFile
from worker.practice.mappings.table import Rejected, Table, read_table
from worker.practice.mappings.values import Placeholder, Row, Unmatched, fill

SHIPPED: Final = Path(__file__).parent / "mappings"
OWN_MAPPING: Final = "mapping.yaml"

# What the ids of a step are found by: the key of the row, or the value it was made for.
Ids = dict[str, Any]


@dataclass(frozen=True)
class Notice:
    """
    A row that is odd and was loaded all the same.
    """

    file: str
    line: int
    say: str


@dataclass
class LoadReport:
    """
    What a load did, by which mapping file. ``read`` is rows by file, ``made`` is records by kind (``salesforce.Lead``),
    ``steps`` by step. Plain values throughout, so that ``asdict`` makes JSON of it.
    """

    mapping: str
    read: dict[str, int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    unused_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """
        The report as a person reads it, one fact a line; at most ten rows a kind are listed.
        """
        told = [f"{file}: {count} rows read" for file, count in self.read.items()]
        told += [f"{kind}: {count} made" for kind, count in sorted(self.made.items())]
        told += [f"{file}: column {name} not used" for file, names in self.unused_columns.items() for name in names]
        told.append(f"rejected: {len(self.rejected)} rows")
        told += [f"  {row.file}:{row.line}: {row.reason}" for row in self.rejected[:10]]
        told.append(f"notices: {len(self.notices)}")
        told += [f"  {notice.file}:{notice.line}: {notice.say}" for notice in self.notices[:10]]
        return told


def find_mapping(folder: Path) -> Path:
    """
    The mapping for a folder: its own ``mapping.yaml``, else the shipped one whose files are all there.

    Raises Fatal HW-172 when there is none.
    """
    if (folder / OWN_MAPPING).is_file():
        return folder / OWN_MAPPING
    for path in sorted(SHIPPED.glob("*.yaml")):
        if all((folder / file.path).is_file() for file in read_mapping(path).files.values()):
            return path
    raise Fatal(
        "HW-172",
        f"no mapping fits the folder {folder}",
        actions=[f"write {folder / OWN_MAPPING} (the language is described in {SHIPPED / 'olist.yaml'})"],
    )


def load(folder: Path, base_url: str, progress: Progress | None = None, mapping_path: Path | None = None) -> LoadReport:
    """
    Load the folder into the practice server at ``base_url``.

    All files are read before the first record is made. Raises Fatal for a mapping or a file that cannot be read, and
    for a server that is not there or refuses a batch; what was made until then stays. Loading twice makes all twice.
    """
    started = time.monotonic()
    mapping = read_mapping(mapping_path or find_mapping(folder))
    tables = {name: read_table(folder, file) for name, file in mapping.files.items()}
    for table in tables.values():
        _reject_strangers(table, tables)
    report = LoadReport(str(mapping.path))
    for table in tables.values():
        report.read[table.file.path] = table.read
        if table.unused_columns:
            report.unused_columns[table.file.path] = table.unused_columns
    for rule in mapping.notices:
        report.notices += _notices(rule, tables)
    with ControlClient(base_url, progress) as client:
        _add_fields(client, mapping)
        _Maker(client, mapping, tables, report).make_all()
    for table in tables.values():
        report.rejected += table.rejected
    report.rejected.sort(key=lambda row: (row.file, row.line))
    report.seconds = time.monotonic() - started
    return report


def _reject_strangers(table: Table, tables: Mapping[str, Table]) -> None:
    for other, column in table.file.within.items():
        for key, row in list(table.rows.items()):
            value = row.values[column]
            if value is not None and str(value) not in tables[other].rows:
                table.reject(row.line, f"{column} {value} is not in {tables[other].file.path}")
                del table.rows[key]


def _notices(rule: NoticeRule, tables: Mapping[str, Table]) -> list[Notice]:
    table, other = tables[rule.of], tables[rule.than_file]
    found = []
    for row in table.rows.values():
        counterpart = row if other is table else other.rows.get(str(row.values[other.file.key]))
        if counterpart is None:
            continue
        earlier, later = row.values[rule.earlier], counterpart.values[rule.than_column]
        if earlier is not None and later is not None and earlier < later:
            found.append(Notice(table.file.path, row.line, rule.say))
    return found


def _add_fields(client: ControlClient, mapping: MappingFile) -> None:
    for object_name, labels in mapping.fields.items():
        fields = [{"name": name, "label": label, "type": "string", "length": 255} for name, label in labels.items()]
        client.post("salesforce/fields", {"object": object_name, "fields": fields})


class _Maker:
    """
    Carries out the steps in order and remembers the ids each made.
    """

    def __init__(
        self, client: ControlClient, mapping: MappingFile, tables: Mapping[str, Table], report: LoadReport
    ) -> None:
        self._client = client
        self._mapping = mapping
        self._tables = tables
        self._report = report
        self._made: dict[str, Ids] = {}
        self._steps = {step.name: step for step in mapping.steps}

    def make_all(self) -> None:
        for step in self._mapping.steps:
            keys, records = self._records(step)
            ids = self._send(step, records)
            self._made[step.name] = dict(zip(keys, ids, strict=True))
            self._report.steps[step.name] = len(records)
            self._report.made[step.make] = self._report.made.get(step.make, 0) + len(records)

    def _records(self, step: Step) -> tuple[list[str], list[dict[str, Any]]]:
        table = self._tables[step.of]
        keys: list[str] = []
        records: list[dict[str, Any]] = []
        if step.for_each:
            cells = (row.values[column] for row in table.rows.values() for column in step.for_each)
            for value in dict.fromkeys(cell for cell in cells if cell is not None):
                keys.append(str(value))
                records.append(fill(step.values, {"value": value}, self._look_up))
            return keys, records
        for key, row in list(table.rows.items()):
            try:
                records.append(fill(step.values, row.values, self._look_up))
                keys.append(key)
            except Unmatched as error:
                # Out of the later steps too, so that a row is rejected once, with its first reason.
                table.reject(row.line, f"step {step.name}: {error}")
                del table.rows[key]
        return keys, records

    def _look_up(self, placeholder: Placeholder, row: Row) -> Any:
        assert placeholder.step is not None  # noqa: S101  (only references come here)
        step = self._steps[placeholder.step]
        own_key = self._mapping.files[step.of].key
        column = placeholder.column or (own_key if own_key in row else "value")
        value = row[column]
        found = None if value is None else self._made[step.name].get(str(value))
        if placeholder.part is not None and found is not None:
            found = found.get(placeholder.part)
        if found is None and not placeholder.optional:
            what = f"{step.name}.{placeholder.part}" if placeholder.part else step.name
            raise Unmatched(f"no {what} for {column} {value}")
        return found

    def _send(self, step: Step, records: Sequence[dict[str, Any]]) -> list[Any]:
        if step.make == CONVERSION:
            return self._client.convert(records)
        system, _, kind = step.make.partition(".")
        if system == "salesforce":
            return self._client.create(kind, records)
        if kind == "member":
            self._client.put_members(records)
            return [record["leadId"] for record in records]
        plural = {"person": "people", "activity": "activities", "program": "programs"}[kind]
        return self._client.put(plural, records)
