"""
Single records by their ids: as they stand now, those that are gone named too.

Asked by the source for resyncs and for records whose relatives arrived first. Nothing of windows or cursors is here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from worker.connectors.base import Page
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.mapping import Selection
from worker.connectors.salesforce.soql import quoted_id, select
from worker.connectors.salesforce.window import page_of

# Ids in one query: its address must stay under 16,384 bytes.
_IDS_PER_QUERY: Final = 300


def pages_of_records(client: SalesforceClient, selection: Selection, record_ids: Sequence[str]) -> Iterator[Page]:
    """
    The records, deleted ones as such; one that Salesforce does not show at all as deleted and otherwise empty.
    """
    ids = list(dict.fromkeys(record_ids))
    groups = [ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY)]
    name = selection.source.object_name
    paths = [
        client.query_path(select(selection.fields, name, [f"Id IN ({', '.join(map(quoted_id, group))})"]))
        for group in groups
    ]
    for group, part in zip(groups, client.batch(paths), strict=True):
        yield _page(selection, group, _whole(client, part.result()))


def _whole(client: SalesforceClient, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    records, _, following = page_of(answer)
    while following is not None:
        further, _, following = page_of(client.more(following))
        records += further
    return records


def _page(selection: Selection, asked: Iterable[str], records: list[dict[str, Any]]) -> Page:
    columns = list(selection.columns)
    if "is_deleted" not in columns:
        columns.append("is_deleted")
    rows = [selection.record_row(record) for record in records]
    rows = [row if len(row) == len(columns) else [*row, "false"] for row in rows]
    found = {str(record["Id"])[:15] for record in records}
    where = {name: position for position, name in enumerate(columns)}
    for record_id in asked:
        if record_id[:15] not in found:
            gone: list[str | None] = [None] * len(columns)
            gone[where["record_id"]], gone[where["is_deleted"]] = record_id, "true"
            rows.append(gone)
    return Page(stream=selection.source.stream, columns=columns, rows=rows, count=len(rows))
