"""
The org as it is, held against the store, row for row and column for column.

The truth is read by another user's plain client. What that cannot show any more (records that are hidden or gone, the
winners of purged merges) the history itself remembers.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Engine, text

from tests.nothing_lost.history import History, Merge
from tests.nothing_lost.world import EXTRA, Auditor
from worker.connectors.salesforce.catalogue import fields_of
from worker.connectors.salesforce.mapping import OBJECTS, Selection, chosen
from worker.core.records import ENVELOPE, SHAPES

Row = Mapping[str, Any]

# What histories move must be read at all. The truth is put into the store's words by the connector's own table, so that
# a line which is missing there would be missing from both.
_EVERYWHERE: Final = frozenset({("stamp_at", "SystemModstamp"), ("is_deleted", "IsDeleted")})
_MERGED: Final = frozenset({("merged_into", "MasterRecordId")})
MUST_READ: Final = {
    "Lead": _MERGED
    | {
        ("converted_at", "ConvertedDate"),
        ("converted_contact_ref", "ConvertedContactId"),
        ("converted_account_ref", "ConvertedAccountId"),
        ("converted_opportunity_ref", "ConvertedOpportunityId"),
    },
    "Contact": _MERGED | {("account_ref", "AccountId")},
    "Account": _MERGED,
    "OpportunityContactRole": {("opportunity_ref", "OpportunityId"), ("contact_ref", "ContactId")},
    "CampaignMember": {("campaign_ref", "CampaignId"), ("lead_ref", "LeadId"), ("contact_ref", "ContactId")},
}


class Truth:
    """
    The org after a history, read once; nothing happens in it any more.
    """

    def __init__(self, history: History, auditor: Auditor) -> None:
        self._history = history
        read = _read(history, auditor)
        self._unread = [
            f"{stream}: {field} is not read as {column}"
            for stream, (selection, _) in read.items()
            for column, field in sorted(
                {*_EVERYWHERE, *MUST_READ.get(selection.source.object_name, ())} - {*selection.names}
            )
        ]
        self._rows = {
            stream: {str(record["Id"]): _expected(selection, record) for record in records}
            for stream, (selection, records) in read.items()
        }

    def differences(self, engine: Engine) -> list[str]:
        """
        Every way in which the store is not the org; none where nothing was lost.
        """
        found = list(self._unread)
        for stream, expected in self._rows.items():
            stored, hidden = _stored(engine, stream)
            found += _of_the_seen(stream, expected, stored)
            found += _of_the_unseen(self._history, stream, expected, stored, hidden)
        return found

    def missed_by_polls(self, engine: Engine) -> list[str]:
        """
        What the cursors should have seen and did not, before any sweep makes it good: everything but records that were
        hidden for a time and fields that were.
        """
        found: list[str] = []
        known = self._history.records
        for stream, expected in self._rows.items():
            fields = {name for name, field in _columns_of(stream) if field in self._history.changed_fields}
            seen = {
                record_id: {name: value for name, value in row.items() if name not in fields | {"extra"}}
                for record_id, row in expected.items()
                if record_id not in known or not known[record_id].was_hidden
            }
            stored, _ = _stored(engine, stream)
            found += _of_the_seen(stream, seen, stored)
            found += [
                f"{stream} {record_id}: deleted for good, and no poll has told"
                for record_id in sorted(stored.keys() - expected.keys())
                if not (record_id in known and known[record_id].was_hidden) and not stored[record_id]["is_deleted"]
            ]
        return found


def _columns_of(stream: str) -> list[tuple[str, str]]:
    return [(name, field) for name, fields in OBJECTS[stream].columns.items() for field in fields]


def _read(history: History, auditor: Auditor) -> dict[str, tuple[Selection, list[dict[str, Any]]]]:
    sources = [OBJECTS[stream] for stream in history.streams]
    described = auditor.descriptions([source.object_name for source in sources], history.changed_fields)
    selections = [
        chosen(source, fields_of(description), (), EXTRA.get(source.object_name, ()))[0]
        for source, description in zip(sources, described, strict=True)
    ]
    queries = [f"SELECT {', '.join(each.fields)} FROM {each.source.object_name}" for each in selections]
    pages = auditor.read([f"queryAll?q={quote(query, safe='')}" for query in queries])
    return {each.source.stream: (each, auditor.rest(page)) for each, page in zip(selections, pages, strict=True)}


def _expected(selection: Selection, record: Row) -> Row:
    types = ENVELOPE | SHAPES[selection.source.shape]
    plain = {name: text_ for name, text_ in record.items() if name != "attributes"}
    row = selection.record_row({name: _as_parsed(value) for name, value in plain.items()})
    values: dict[str, Any] = {}
    for column, cell in zip(selection.columns, row, strict=True):
        if "." in column:
            group, name = column.split(".", 1)
            values.setdefault(group, {})[name] = cell
        else:
            values[column] = _typed(types[column], cell)
    return values


def _as_parsed(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value


def _typed(kind: str, cell: str | None) -> Any:
    if cell is None:
        return None
    match kind:
        case "timestamptz":
            at = datetime.fromisoformat(cell)
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        case "date":
            return date.fromisoformat(cell)
        case "boolean":
            return cell == "true"
        case "numeric":
            return Decimal(cell)
        case "jsonb":
            return json.loads(cell)
        case _:
            return cell


def _stored(engine: Engine, stream: str) -> tuple[dict[str, Row], set[str]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text(f"SELECT * FROM source_{OBJECTS[stream].shape} WHERE stream = :stream"), {"stream": stream}
        ).mappings()
        stored: dict[str, Row] = {str(row["record_id"]): dict(row) for row in rows}
        marked = text("SELECT record_id FROM hidden_record WHERE stream = :stream")
        return stored, {str(row.record_id) for row in connection.execute(marked, {"stream": stream})}


def _of_the_seen(stream: str, expected: Mapping[str, Row], stored: Mapping[str, Row]) -> list[str]:
    found = [f"{stream} {each}: not in the store" for each in sorted(expected.keys() - stored.keys())]
    for record_id in sorted(expected.keys() & stored.keys()):
        wrong = {
            column: (value, stored[record_id][column])
            for column, value in expected[record_id].items()
            if _differs(stored[record_id][column], value)
        }
        if wrong:
            found.append(f"{stream} {record_id}: the org and the store say {wrong}")
    return found


def _differs(stored: Any, truth: Any) -> bool:
    if isinstance(truth, dict):
        # A field that is hidden now keeps what was last seen of it; that is no difference.
        return any((stored or {}).get(name) != value for name, value in truth.items())
    return bool(stored != truth)


def _of_the_unseen(
    history: History, stream: str, expected: Mapping[str, Row], stored: Mapping[str, Row], hidden: set[str]
) -> list[str]:
    found = [f"{stream} {each}: still marked hidden" for each in sorted(hidden & expected.keys())]
    for record_id in sorted(stored.keys() - expected.keys()):
        known = history.records.get(record_id)
        is_deleted = stored[record_id]["is_deleted"]
        if known is not None and known.is_hidden:
            if record_id not in hidden and not is_deleted:
                found.append(f"{stream} {record_id}: hidden, and not marked")
            # One that came back from the bin and was hidden before anybody looked was last seen deleted.
            if is_deleted and known.state == "live" and not known.was_deleted:
                found.append(f"{stream} {record_id}: hidden, and held to be deleted")
        elif not is_deleted:
            found.append(f"{stream} {record_id}: gone from the org, and the store holds it for live")
    found += _of_the_merged(history, stored)
    return found


def _of_the_merged(history: History, stored: Mapping[str, Row]) -> list[str]:
    # A merge that some poll saw is known for good, whatever became of the loser in the bin.
    return [
        f"{each.loser}: merged into {each.winner}, and the store says {stored[each.loser]['merged_into']}"
        for each in history.merges
        if each.loser in stored
        and not history.records[each.loser].was_hidden
        and _was_seen(history, each)
        and stored[each.loser]["merged_into"] != each.winner
    ]


def _was_seen(history: History, merge: Merge) -> bool:
    purged_at = history.purged_at.get(merge.loser)
    return purged_at is None or any(merge.visible_at < at < purged_at for at in history.polled_at)


def story_of(history: History, found: Sequence[str]) -> str:
    """
    A failing history as one reads it, with the line that runs it again.
    """
    lines = [
        f"{len(found)} differences after history {history.seed}; again with: --history-seed {history.seed}",
        *found[:12],
        "",
        *history.story,
    ]
    return "\n".join(lines)
