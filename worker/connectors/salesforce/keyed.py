"""
Records of ours in Salesforce, known by an external id: looking at them by it, making and changing them by upserts on
it, and deleting them. An upsert that is sent twice makes one record. The writer calls it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from worker.connectors.base import Observed, RecordChange, Result
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.mapping import canonical_instant, text_of
from worker.connectors.salesforce.outcomes import results_of
from worker.connectors.salesforce.soql import checked_name, quoted_key, select
from worker.core.errors import Retriable

# Keys in one query: it travels as an address, of which Salesforce takes 16,384 characters (read 2026-11).
_KEYS_A_QUERY: Final = 100
_FACTS: Final = ("Id", "SystemModstamp", "LastModifiedById")


def observe(
    client: SalesforceClient, object_name: str, key: str, keys: Sequence[str], fields: Sequence[str]
) -> list[Observed]:
    """
    The fields as they stand, in the order of the keys; one call for 2,500 of them. ``facts`` hold the record's Id.
    """
    names = list(dict.fromkeys([key, *map(checked_name, fields), *_FACTS]))
    parts = [keys[start : start + _KEYS_A_QUERY] for start in range(0, len(keys), _KEYS_A_QUERY)]
    queries = [
        select(names, object_name, [f"{key} IN ({', '.join(map(quoted_key, part))})", "IsDeleted = false"])
        for part in parts
    ]
    found: dict[str, Mapping[str, Any]] = {}
    for answer in client.batch([client.query_path(query) for query in queries]):
        body = answer.result()
        records = body.get("records")
        if not isinstance(records, list) or body.get("done") is not True:
            raise Retriable("HW-203", f"Salesforce answered a look at {len(keys)} records with something else")
        found |= {str(record.get(key)): record for record in records}
    return [_observed(each, found.get(each), fields) for each in keys]


def upsert(
    client: SalesforceClient, object_name: str, key: str, keys: Sequence[str], records: Sequence[Mapping[str, Any]]
) -> list[Result]:
    """
    Have the records be as they are given, each with its key among its values. One call.
    """
    path = f"composite/sobjects/{checked_name(object_name)}/{key}"
    body = {"allOrNone": False, "records": records}
    return results_of(keys, lambda: client.tell("PATCH", path, body), are_keys=True)


def remove(client: SalesforceClient, changes: Sequence[RecordChange]) -> list[Result]:
    """
    Delete the records. One call; a record that is gone already is done.
    """
    ids = [change.removes or "" for change in changes]
    path = f"composite/sobjects?ids={','.join(ids)}&allOrNone=false"
    return removed(changes, results_of(ids, lambda: client.tell("DELETE", path, None)))


def removed(changes: Sequence[RecordChange], results: Sequence[Result]) -> list[Result]:
    """
    What was answered of the ids that were to be deleted, under the keys of their records: one that is gone already is
    done.
    """
    return [
        replace(result, record_id=change.record_id, verdict="done" if result.verdict == "gone" else result.verdict)
        for change, result in zip(changes, results, strict=True)
    ]


def _observed(key: str, record: Mapping[str, Any] | None, fields: Sequence[str]) -> Observed:
    if record is None:
        return Observed(key, None)
    texts = {name: canonical_instant(text_of(record.get(name))) for name in (*fields, *_FACTS)}
    return Observed(key, {name: texts[name] for name in fields}, {name: texts[name] for name in _FACTS})
