"""
What Salesforce's answer to a collections call says of each of its records. The writer and ``keyed`` call it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker.connectors.base import Result, Verdict
from worker.connectors.http import Ambiguous
from worker.connectors.salesforce.classify import ORG_WIDE, CallRefused, FieldGone, vendor_error, verdict_of
from worker.core.errors import HeadwaterError


def results_of(ids: Sequence[str], call: Callable[[], Any], *, are_keys: bool = False) -> list[Result]:
    """
    One result an id, in their order. ``are_keys``: the ids are keys of ours, and the answer's ids are given on as
    ``vendor_id``.

    A refusal of the whole call for a field or a permission is every record's verdict; what concerns the whole
    organisation is raised.
    """
    try:
        answer = call()
    except Ambiguous as error:
        return _all(ids, "unknown", error)
    except (CallRefused, FieldGone) as error:
        if error.code in ORG_WIDE:
            raise
        code = (error.vendor or "").partition(":")[0]
        return _all(ids, "refused" if isinstance(error, FieldGone) else verdict_of(code), error, code)
    if not isinstance(answer, list) or not _belong_together(ids, answer, are_keys=are_keys):
        return [Result(each, "unknown", "HW-203", "the answer does not fit what was sent") for each in ids]
    return [_result(each, entry, is_key=are_keys) for each, entry in zip(ids, answer, strict=True)]


def _belong_together(ids: Sequence[str], answer: Sequence[Any], *, are_keys: bool) -> bool:
    # Answers come in the order sent; a failed one carries no id. Anything else cannot be told apart.
    if len(answer) != len(ids) or not all(isinstance(entry, dict) for entry in answer):
        return False
    if are_keys:
        return all(entry.get("success") is not True or isinstance(entry.get("id"), str) for entry in answer)
    pairs = zip(ids, answer, strict=True)
    return all(entry.get("id") is None or str(entry["id"])[:15] == record_id[:15] for record_id, entry in pairs)


def _result(record_id: str, entry: Mapping[str, Any], *, is_key: bool) -> Result:
    if entry.get("success") is True:
        return Result(record_id, "done", vendor_id=str(entry["id"]) if is_key else None)
    error = vendor_error(entry.get("errors"))
    fields = f" ({', '.join(error.fields)})" if error.fields else ""
    return Result(record_id, verdict_of(error.code), error.code, f"{error.message}{fields}"[:400])


def _all(ids: Sequence[str], verdict: Verdict, error: HeadwaterError, code: str | None = None) -> list[Result]:
    return [Result(record_id, verdict, code or error.code, error.vendor or error.message) for record_id in ids]
