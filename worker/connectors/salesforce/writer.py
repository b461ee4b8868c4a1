"""
Salesforce as a sink: setting fields by sObject collections or by a Bulk job, and looking at records before and after.

It decides nothing about what to write; it turns text into the types of fields and Salesforce's answers into verdicts.
Assignment rules stay off: by the session's headers, and because no Bulk job names one. It creates and deletes records
of those objects alone that are ours and known by an external id; of all others it only sets fields.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from worker.connectors.base import Observed, RecordChange, Result, Usage
from worker.connectors.salesforce import ingest, keyed, persons
from worker.connectors.salesforce.catalogue import fields_of
from worker.connectors.salesforce.classify import ORG_WIDE, CallRefused, FieldGone
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.mapping import canonical_instant, text_of
from worker.connectors.salesforce.outcomes import results_of
from worker.connectors.salesforce.soql import checked_name, is_key, is_record_id
from worker.connectors.salesforce.splitting import Splitter
from worker.core.errors import Fatal, Retriable

# Records in one collections call to write, and to read; limits of Salesforce's (read 2026-11).
WRITE_BATCH: Final = 200
OBSERVE_BATCH: Final = 2_000
# A Bulk job costs about ten calls, however many its records; beyond one call's reading it is the cheaper way.
BULK_ABOVE: Final = 2_000
_FACTS: Final = ("SystemModstamp", "LastModifiedById")
_INSTALL: Final = "Install the shipped package and assign its permission set to the integration user."
_LEAD_FACTS: Final = ("IsConverted", "ConvertedContactId")
_NUMBERS: Final = frozenset({"double", "currency", "percent", "int", "long"})


class SalesforceSink:
    """
    Writes to one organisation. ``known`` is what a SalesforceSource learned: the types of fields; an object that is not
    in it is described once, one call. More than ``bulk_above`` records are for a Bulk job (None: never). ``keys`` is
    object -> the external id by which its records are known instead of by their ids: only those come into being and go.
    """

    def __init__(
        self,
        client: SalesforceClient,
        *,
        known: Mapping[str, Any] | None = None,
        bulk_above: int | None = BULK_ABOVE,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._keys = {name: checked_name(field) for name, field in (keys or {}).items()}
        self._bulk_above = bulk_above
        self._types: dict[str, dict[str, str]] = {}
        self._accounts: dict[str, str | None] = {}  # of contacts looked at: whether and of which one they are half
        self._twins: frozenset[str] = frozenset()
        self._splitter = Splitter()
        self.recall(known or {})

    def recall(self, known: Mapping[str, Any]) -> None:
        """
        Take over the types of fields that a SalesforceSource learned. A new run of writing begins.
        """
        self._splitter.begin()
        objects = known.get("objects")
        for name, entry in (objects if isinstance(objects, dict) else {}).items():
            if isinstance(entry, dict) and isinstance(entry.get("fields"), dict):
                self._types[name] = {field: each["type"] for field, each in entry["fields"].items() if "type" in each}

    @property
    def name(self) -> str:
        """
        "salesforce".
        """
        return "salesforce"

    @property
    def batch_size(self) -> int:
        """
        200.
        """
        return WRITE_BATCH

    @property
    def bulk_above(self) -> int | None:
        """
        As it was built.
        """
        return self._bulk_above

    def usage(self) -> Usage | None:
        """
        The organisation's calls of its rolling day.
        """
        return self._client.usage()

    def observe(self, object_name: str, record_ids: Sequence[str], fields: Sequence[str]) -> Sequence[Observed]:
        """
        The fields as they stand. ``facts`` hold SystemModstamp and LastModifiedById, for a Lead also IsConverted and
        ConvertedContactId.

        It learns the types of the fields too: ``write`` is then a single call, and nothing that may take long comes
        between the note that it is made and its making.
        """
        self._types_of(object_name, fields)
        if object_name in self._keys:
            return keyed.observe(self._client, object_name, self._keys[object_name], record_ids, fields)
        facts = _FACTS + (_LEAD_FACTS if object_name == "Lead" else ())
        facts += persons.FACTS if self._has_persons(object_name) else ()
        names = list(dict.fromkeys(["Id", *map(checked_name, fields), *facts]))
        seen: list[Observed] = []
        for start in range(0, len(record_ids), OBSERVE_BATCH):
            ids = list(record_ids[start : start + OBSERVE_BATCH])
            path = f"composite/sobjects/{checked_name(object_name)}"
            records = self._client.ask("POST", path, body={"ids": ids, "fields": names})
            if not isinstance(records, list) or len(records) != len(ids):
                raise Retriable("HW-203", f"Salesforce answered a look at {len(ids)} records with something else")
            seen += [
                _observed(record_id, record, fields, facts) for record_id, record in zip(ids, records, strict=True)
            ]
        if self._has_persons(object_name):
            self._look_up_persons(seen, fields)
        return seen

    def write(self, object_name: str, changes: Sequence[RecordChange]) -> Sequence[Result]:
        """
        Set the fields by one call, each record on its own; those of a person account's contact on its account. Where
        code of theirs refuses all records as one, the records it is about are searched for by further calls.

        A value that its field cannot take is refused here and not sent. A refusal of the whole call for a field or a
        permission is every record's verdict; what concerns the whole organisation is raised.
        """
        if len(changes) > WRITE_BATCH:
            raise Fatal("HW-901", f"{len(changes)} records were to be written by one call, which takes {WRITE_BATCH}")
        if changes and changes[0].removes:
            return keyed.remove(self._client, changes)
        fields = {name for change in changes for name in change.values}
        types = self._types_of(object_name, fields)
        if self._has_persons(object_name) and not self._accounts.keys() >= {change.record_id for change in changes}:
            self.observe(object_name, [change.record_id for change in changes], sorted(fields))
        outcome: dict[int, Result] = {}
        sent: list[tuple[int, dict[str, Any]]] = []
        key = self._keys.get(object_name)
        for position, change in enumerate(changes):
            try:
                record = _record(object_name, change, types, key)
                if object_name == persons.CONTACT and (account := self._accounts.get(change.record_id)) is not None:
                    record = persons.through_account(record, account, self._twins)
                sent.append((position, record))
            except ValueError as error:
                outcome[position] = Result(change.record_id, "refused", "HW-221", str(error))
        # A call takes few runs of objects: what goes to accounts stands together.
        sent.sort(key=lambda each: each[1]["attributes"]["type"] != object_name)
        if sent:
            records = [record for _, record in sent]
            ids = [str(record[key or "id"]) for record in records]
            send = partial(keyed.upsert, self._client, object_name, key) if key else self._sent
            results = self._splitter.sent(ids, records, send)
            for (position, _), result in zip(sent, results, strict=True):
                outcome[position] = replace(result, record_id=changes[position].record_id)
        return [outcome[position] for position in range(len(changes))]

    def open_job(self, object_name: str, *, removes: bool = False) -> str | None:
        """
        A new Bulk job; None where Bulk does not take the object, is off, or has no jobs left today. Contacts go by
        collections where some are person accounts', which a job of contacts cannot write.
        """
        if self._has_persons(object_name):
            return None
        key = self._keys.get(object_name)
        try:
            if removes:
                return ingest.open_job(self._client, object_name, "delete")
            return ingest.open_job(self._client, object_name, "upsert" if key else "update", key)
        except (CallRefused, FieldGone) as error:
            if error.code in ORG_WIDE:
                raise
            return None

    def hand_over(self, job: str, object_name: str, changes: Sequence[RecordChange]) -> Sequence[Result]:
        """
        Upload the changes and let the job run. A value that its field cannot take is refused here and not sent.
        """
        types = self._types_of(object_name, {name for change in changes for name in change.values})
        key = self._keys.get(object_name)
        refused: list[Result] = []
        sent: list[Mapping[str, str]] = []
        for change in changes:
            try:
                sent.append(_cells(change, types, key))
            except ValueError as error:
                refused.append(Result(change.record_id, "refused", "HW-221", str(error)))
        if sent:
            ingest.run_job(self._client, job, sent)
        return refused

    def job_results(
        self, job: str, object_name: str, changes: Sequence[RecordChange], *, give_up: bool = False
    ) -> Sequence[Result] | None:
        """
        What the job says became of the records; None while it runs.
        """
        removes = [change.removes for change in changes if change.removes]
        if removes:
            results = ingest.results_of(self._client, job, removes, give_up=give_up)
            return results and keyed.removed(changes, results)
        names = [change.record_id for change in changes]
        return ingest.results_of(self._client, job, names, give_up=give_up, key=self._keys.get(object_name))

    def drop_job(self, job: str) -> None:
        """
        Delete the job.
        """
        ingest.drop_job(self._client, job)

    def _description(self, object_name: str) -> Mapping[str, Any]:
        try:
            return self._client.ask_object(f"sobjects/{checked_name(object_name)}/describe")
        except CallRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            words = f"{object_name} is not there, or not visible to the integration user"
            raise FieldGone("HW-209", words, actions=[_INSTALL], vendor=error.vendor) from error

    def _has_persons(self, object_name: str) -> bool:
        return object_name == persons.CONTACT and persons.TELLTALE in self._types.get(object_name, {})

    def _look_up_persons(self, seen: Sequence[Observed], fields: Sequence[str]) -> None:
        self._accounts = persons.accounts_of(seen)
        wanted = {persons.twin_of(name) for name in fields if name.endswith("__c")}
        if any(self._accounts.values()) and not self._twins >= wanted:
            # The account's fields for its person are in no description that a source has learned.
            description = self._client.ask_object(f"sobjects/{persons.ACCOUNT}/describe")
            self._twins = frozenset(name for name in fields_of(description) if name.endswith("__pc"))

    def _sent(self, ids: Sequence[str], records: Sequence[Mapping[str, Any]]) -> list[Result]:
        body = {"allOrNone": False, "records": records}
        return results_of(ids, lambda: self._client.tell("PATCH", "composite/sobjects", body))

    def _types_of(self, object_name: str, wanted: Iterable[str]) -> Mapping[str, str]:
        known = self._types.get(object_name, {})
        if not known.keys() >= set(wanted):
            description = self._description(object_name)
            known = {name: str(entry.get("type")) for name, entry in fields_of(description).items()}
            self._types[object_name] = known
        absent = sorted(set(wanted) - known.keys())
        if absent:
            raise FieldGone(
                "HW-209",
                f"{len(absent)} fields of {object_name} are not visible to the integration user: {', '.join(absent)}",
                actions=[_INSTALL],
            )
        return known


def _record(object_name: str, change: RecordChange, types: Mapping[str, str], key: str | None) -> dict[str, Any]:
    values = _values(change, types, is_keyed=key is not None)
    return {"attributes": {"type": object_name}, **values, key or "id": change.record_id}


def _cells(change: RecordChange, types: Mapping[str, str], key: str | None) -> dict[str, str]:
    if change.removes:
        return {"Id": change.removes}
    cells = {key or "Id": change.record_id}
    for name, value in _values(change, types, is_keyed=key is not None).items():
        if value is None:
            cells[name] = ingest.EMPTY
        elif value in ("", ingest.EMPTY):
            raise ValueError(f"{name} cannot be set to {value!r} by a bulk job, which takes that for something else")
        else:
            cells[name] = text_of(value if not isinstance(value, float) else Decimal(repr(value))) or ""
    return cells


def _values(change: RecordChange, types: Mapping[str, str], *, is_keyed: bool = False) -> dict[str, Any]:
    if is_keyed and not is_key(change.record_id):
        raise ValueError(f"{change.record_id[:40]!r} is not a key of a record of ours")
    if not is_keyed and not is_record_id(change.record_id):
        raise ValueError(f"{change.record_id[:40]!r} is not a Salesforce record id")
    return {name: _json_value(name, text, types[name]) for name, text in change.values.items()}


def _json_value(name: str, text: str | None, kind: str) -> Any:
    # The field's own JSON type: Salesforce refuses "true" where it wants true.
    if kind == "boolean":
        if text not in (None, "true", "false"):
            raise ValueError(f"{name} is a checkbox and cannot hold {text[:40] if text else text!r}")
        return text == "true"  # a checkbox has no empty state
    if text is None:
        return None
    if kind in _NUMBERS:
        return _number(name, text)
    return text.replace("\0", "")


def _number(name: str, text: str) -> int | float:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{name} is a number and cannot hold {text[:40]!r}") from None
    if not number.is_finite():
        raise ValueError(f"{name} is a number and cannot hold {text[:40]!r}")
    if number == number.to_integral_value():
        return int(number)
    # Salesforce keeps numbers as doubles, whose shortest decimal is exact to 15 digits.
    if Decimal(repr(float(number))) != number:
        raise ValueError(f"{name} cannot hold {text[:40]} exactly: more digits than a Salesforce number has")
    return float(number)


def _observed(record_id: str, record: Any, fields: Sequence[str], facts: Sequence[str]) -> Observed:
    if not isinstance(record, dict):
        return Observed(record_id, None)
    texts = {name: canonical_instant(text_of(record.get(name))) for name in (*fields, *facts)}
    return Observed(
        record_id, {name: texts[name] for name in fields}, {name: texts[name] for name in facts if name in record}
    )
