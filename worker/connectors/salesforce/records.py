"""
Single records by their ids: as they stand now, those that are gone or hidden named too.

Asked by the source for resyncs and for records whose relatives arrived first. Nothing of windows or cursors is here.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any, Final

from worker.connectors.base import Page
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.deletions import COLUMNS
from worker.connectors.salesforce.mapping import Selection
from worker.connectors.salesforce.soql import quoted_id, select
from worker.connectors.salesforce.window import page_of

# Ids in one query: its address must stay under 16,384 bytes.
_IDS_PER_QUERY: Final = 300


def pages_of_records(
    client: SalesforceClient, selection: Selection, record_ids: Sequence[str], deleted: Callable[[], Container[str]]
) -> Iterator[Page]:
    """
    The records, those in the bin as deleted. One that is not shown at all is deleted where the log of deletions says
    so, and unseen otherwise. ``deleted`` asks the log: the ids it knows, 15 characters.
    """
    ids = list(dict.fromkeys(record_ids))
    groups = [ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY)]
    name = selection.source.object_name
    paths = [
        client.query_path(select(selection.fields, name, [f"Id IN ({', '.join(map(quoted_id, group))})"]))
        for group in groups
    ]
    absent: list[str] = []
    for group, part in zip(groups, client.batch(paths), strict=True):
        records = _whole(client, part.result())
        found = {str(record["Id"])[:15] for record in records}
        absent += [each for each in group if each[:15] not in found]
        if records:
            yield _page(selection, records)
    if absent:
        yield _of_the_absent(selection, absent, deleted())


def _whole(client: SalesforceClient, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    records, _, following = page_of(answer)
    while following is not None:
        further, _, following = page_of(client.more(following))
        records += further
    return records


def _page(selection: Selection, records: Sequence[Mapping[str, Any]]) -> Page:
    rows = [selection.record_row(record) for record in records]
    columns = selection.columns
    if "is_deleted" not in columns:
        columns, rows = (*columns, "is_deleted"), [[*row, "false"] for row in rows]
    return Page(stream=selection.source.stream, columns=columns, rows=rows, count=len(rows))


def _of_the_absent(selection: Selection, absent: Sequence[str], deleted: Container[str]) -> Page:
    rows = [[each, "true"] for each in absent if each[:15] in deleted]
    unseen = [each for each in absent if each[:15] not in deleted]
    return Page(stream=selection.source.stream, columns=COLUMNS, rows=rows, count=len(rows), unseen=unseen)
